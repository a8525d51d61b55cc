//! Questions of a worker in a process of its own to the bindings in its pool's process.

use std::sync::Arc;

use bytes::Bytes;
use futures::future::BoxFuture;

use crate::event::Body;

/// A question to a binding in another process, or its answer: bytes, and streams beside them.
#[derive(Default)]
pub struct Parcel {
    /// The bytes.
    pub bytes: Bytes,
    /// The streams.
    pub bodies: Vec<Body>,
}

impl Parcel {
    /// A parcel without streams.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self {
            bytes: bytes.into(),
            bodies: Vec::new(),
        }
    }
}

/// The answer of a binding, or the reason why there is none. Dropping it ends what it does.
pub type ParcelFuture = BoxFuture<'static, Result<Parcel, String>>;

/// The addressee of a question of a worker in a process of its own.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Target {
    /// The binding of this name.
    Binding(String),
    /// A function that an event brought, by the numbers of both.
    Function(u64, u32),
    /// An entry point of the worker itself: its name, after that of the script and `#` unless it is the default.
    Own(String),
}

/// A connection to the pool's process, for a worker in one of its own.
pub trait Remote: Send + Sync + 'static {
    /// Asks, and waits for the answer.
    fn ask(&self, target: Target, parcel: Parcel) -> ParcelFuture;

    /// Asks, and blocks the thread until there is an answer: for what answers at once.
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

/// Encodes a question or an answer.
pub(crate) fn pack(value: &impl serde::Serialize) -> Result<Bytes, String> {
    let bytes = postcard::to_stdvec(value).map_err(|error| error.to_string())?;
    Ok(bytes.into())
}

/// Decodes a question or an answer. Takes any bytes.
pub(crate) fn unpack<T: serde::de::DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes follow a message", rest.len())),
        Err(error) => Err(format!("a message is not understood: {error}")),
    }
}
