//! Requests of a worker in a process of its own to the bindings in its pool's process.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::event::Body;

/// A request to a binding in another process, or its answer: bytes and streams.
#[derive(Default)]
pub struct Parcel {
    /// The bytes.
    pub bytes: Bytes,
    /// The streams.
    pub bodies: Vec<Body>,
}

impl Parcel {
    /// Creates a parcel without streams.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            bodies: Vec::new(),
        }
    }
}

/// The answer of a binding, or the reason why there is none. Dropping it cancels the operation.
pub type ParcelFuture = BoxFuture<'static, Result<Parcel, String>>;

/// The target of a request of a worker in a process of its own.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Target {
    /// The binding of this name.
    Binding(String),
    /// A function that was passed with an event, by the numbers of both.
    Function(u64, u32),
    /// An entry point of the worker itself: its name, after that of the script and `#` unless it is the default.
    Own(String),
    /// The files of the script's modules, for a worker in a sandbox.
    Modules,
    /// The network, for a worker in a sandbox.
    Network,
    /// The database of this binding, for a worker in a sandbox.
    Database(String),
}

/// A connection to the pool's process, for a worker in one of its own.
pub trait Remote: Send + Sync + 'static {
    /// Sends a request, and waits for the answer.
    fn ask(&self, target: Target, parcel: Parcel) -> ParcelFuture;

    /// Sends a request, and blocks the thread until there is an answer: for targets that answer at once.
    ///
    /// # Errors
    /// The reason why there is no answer.
    fn ask_now(&self, target: Target, parcel: Parcel) -> Result<Parcel, String>;
}

/// A connection to one target.
#[derive(Clone)]
pub(crate) struct Asks {
    pub(crate) remote: Arc<dyn Remote>,
    pub(crate) target: Target,
}

impl Asks {
    pub(crate) fn ask(&self, parcel: Parcel) -> ParcelFuture {
        self.remote.ask(self.target.clone(), parcel)
    }

    pub(crate) fn ask_now(&self, parcel: Parcel) -> Result<Parcel, String> {
        self.remote.ask_now(self.target.clone(), parcel)
    }
}

/// Encodes a request or an answer.
pub(crate) fn pack<T: serde::Serialize>(value: &T) -> Result<Bytes, String> {
    let bytes = postcard::to_stdvec(value).map_err(|error| error.to_string())?;
    Ok(bytes.into())
}

/// Decodes a request or an answer, which may be any bytes.
pub(crate) fn unpack<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes follow a message", rest.len())),
        Err(error) => Err(format!("a message cannot be decoded: {error}")),
    }
}
