//! WebSocket connections (RFC 6455) between byte streams and workers.
//!
//! A connection has two ends. The worker has a [`Port`]: it sends and receives messages without knowing of frames. Beside the
//! byte stream, on the runtime that owns it, [`Wire::run`] reads and writes the frames: pings, the close handshake, limits and
//! backpressure. [`pair`] creates the two ends; between them are bounded channels.
//!
//! Where the worker and the byte stream are in different processes, [`relay`] is between two such pairs.
//!
//! The server and the client of a handshake are in [`handshake`]: pure functions on HTTP heads.
//!
//! The crate knows no V8, no pool and no HTTP server.
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.
#![deny(missing_docs, unreachable_pub, unsafe_code)]

mod end;
pub mod handshake;
mod limits;
mod message;
mod pair;
mod rate;
pub mod relay;
mod run;
mod upgrade;

pub use end::{Ending, Guard, Report};
pub use limits::Limits;
pub use message::{Close, Closed, InvalidClose, Message, REASON_BYTES_MAX};
pub use pair::{Hooks, Incoming, Port, SendError, Wire, pair};
pub use run::Role;
pub use upgrade::Upgrade;
