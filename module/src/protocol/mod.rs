//! The protocol between a host and a module's process: [`Frame`]s over a Unix stream socket, each a [`ToHost`] or
//! [`ToModule`] with a [`Payload`](crate::Payload). `docs/module-protocol.md` describes it for other languages.
//!
//! ```
//! use bytes::BytesMut;
//! use isopod_module::Payload;
//! use isopod_module::protocol::{Limits, ToHost, decode, encode};
//!
//! let (limits, mut wire) = (Limits::default(), BytesMut::new());
//! encode(&ToHost::Progress { task: 7 }, &Payload::from(serde_json::json!(0.5)), &limits, &mut wire)?;
//! let frame = decode::<ToHost>(&mut wire, &limits)?.expect("a whole frame");
//! assert!(matches!(frame.message, ToHost::Progress { task: 7 }));
//! # Ok::<(), isopod_module::protocol::FrameError>(())
//! ```

mod frame;
mod message;

pub use frame::{Frame, FrameError, HEADER_BYTES, Limits, Parts, decode, decode_with, encode, encode_with};
pub use message::{Cause, ChainFrom, Hello, ResultRef, TaskError, ToHost, ToModule, Welcome};

/// The protocol version of this crate.
pub const PROTOCOL: u32 = 1;

/// The environment variable with the protocol's version, present if descriptor 0 is a channel to the host.
pub const PROTOCOL_VARIABLE: &str = "ISOPOD_MODULE_PROTOCOL";
/// The environment variable that holds a module's configuration, as JSON.
pub const CONFIG_VARIABLE: &str = "ISOPOD_MODULE_CONFIG";
/// The environment variable that holds the module's name.
pub const NAME_VARIABLE: &str = "ISOPOD_MODULE_NAME";
/// The environment variable that holds the id of the host's run.
pub const INSTANCE_VARIABLE: &str = "ISOPOD_INSTANCE_ID";

/// Maximum length of a result's name, in bytes.
pub const RESULT_NAME_BYTES_MAX: usize = 255;
/// The number of bytes that an item takes from its task's window in addition to its body.
pub const ITEM_COST: u64 = 256;
