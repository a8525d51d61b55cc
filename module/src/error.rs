//! Errors of a module.

use crate::protocol::FrameError;

/// Any error.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An error of a module's connection to its host.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The process was not started by a host.
    #[error("this program is a module: it has to be started by a host (the environment has no `{0}`)")]
    NotAModule(&'static str),
    /// The host uses another version of the protocol.
    #[error("the host speaks version {host} of the module protocol, this program version {own}; update one of them")]
    Version {
        /// The host's version.
        host: String,
        /// The version of this program.
        own: u32,
    },
    /// The module's configuration does not have the expected shape.
    #[error("invalid configuration: {0}; correct the module's section")]
    Config(#[source] serde_json::Error),
    /// The socket failed.
    #[error("the channel to the host failed: {0}")]
    Io(#[from] std::io::Error),
    /// The host sent an invalid frame, or a frame to be sent is too large.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The host refused the module.
    #[error("the host refuses the module: {0}")]
    Refused(String),
    /// The host has closed the channel.
    #[error("the host has closed the channel")]
    Closed,
    /// The task was canceled.
    #[error("the task was canceled")]
    Canceled,
    /// The host refused a request.
    #[error("{0}")]
    Host(String),
    /// The name of a result is empty or too long.
    #[error("a result's name must have 1 to 255 bytes, not {0}")]
    Name(usize),
    /// A value cannot be converted to JSON, or JSON does not have the expected type.
    #[error("a value does not fit its type: {0}")]
    Value(#[from] serde_json::Error),
    /// A chained task was run without a result.
    #[error("the task's payload is not the reference of a result; chain it, or pass a reference")]
    NoResult,
}
