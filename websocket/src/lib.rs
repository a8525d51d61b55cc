//! WebSocket connections (RFC 6455) between byte streams and workers.
//!
//! A connection has two ends, created by [`pair`] and connected by bounded channels. The worker sends and receives messages
//! through a [`Port`]. On the runtime of the byte stream, [`Wire::run`] handles the frames: pings, the close handshake,
//! limits and backpressure.
//!
//! If the worker and the byte stream are in different processes, [`relay`] connects two such pairs.
//!
//! [`handshake`] has both sides of a handshake, as pure functions on HTTP heads.
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
