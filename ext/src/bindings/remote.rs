//! Requests of a worker in another process to the bindings in its pool's process.

use std::any::Any;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use futures::future::BoxFuture;
use isopod_websocket::Upgrade;

use super::transit::{Held, Transit};
use crate::event::Body;

/// A request to a binding in another process, or its answer: bytes, and values that have no written form.
#[derive(Default)]
pub struct Parcel {
    /// The bytes.
    pub bytes: Bytes,
    /// The streams.
    pub bodies: Vec<Body>,
    /// The functions and objects.
    pub stubs: Vec<Arc<dyn Lent>>,
    /// The WebSocket of an answer.
    pub socket: Option<Upgrade>,
    /// The room that it takes in the memory of this process.
    pub held: Held,
    /// The limits of the values in transit between this process and the one that asks.
    pub transit: Transit,
}

/// A function or an object that another process can call while this is held.
pub trait Lent: Send + Sync + 'static {
    /// Calls it with a message of at most `bytes_max` bytes, and waits for the answer.
    fn call(&self, request: Parcel, bytes_max: usize) -> ParcelFuture;

    /// Returns true if a call waits for storage alone, and never for code of workers or of the embedder: it keeps the room of its
    /// question, and may wait for more. Default: false.
    fn is_storage(&self) -> bool {
        false
    }

    /// Prepares the value that this is a part of for yet another process, because the first one has not begun to use it. Default:
    /// `None`, and it goes on as it is.
    fn cross_again(&self, crossing: &Crossing) -> Option<(Bytes, Arc<dyn Lent>)> {
        let _ = crossing;
        None
    }
}

impl Parcel {
    /// Maximum number of streams of a parcel.
    pub const BODIES_MAX: usize = 64;

    /// Creates a parcel of bytes.
    #[must_use]
    pub fn new(bytes: impl Into<Bytes>) -> Self {
        Self::with_bodies(bytes, Vec::new())
    }

    /// Adds streams.
    #[must_use]
    pub fn with_bodies(bytes: impl Into<Bytes>, bodies: Vec<Body>) -> Self {
        Self {
            bytes: bytes.into(),
            bodies,
            ..Self::default()
        }
    }

    /// Prepares a question for code of workers or of the embedder, which may take any time: it gives back the room in which further
    /// questions are received.
    ///
    /// # Errors
    /// The reason, if too much was passed on that is not read.
    pub fn pass_on(mut self) -> Result<Self, String> {
        self.held = self.transit.pass_on(self.bytes.len())?;
        Ok(self)
    }

    /// Waits for room for an answer, unless it has room in this transit.
    ///
    /// # Errors
    /// The reason, if too many answers wait already.
    pub async fn made(mut self, transit: &Transit) -> Result<Self, String> {
        self.held = transit.made(self.held, self.bytes.len()).await?;
        Ok(self)
    }
}

/// A value of the host, sent from another process.
pub(crate) struct Crossed {
    /// Its written form.
    pub(crate) bytes: Bytes,
    /// The part that stays in the other process while this is held.
    pub(crate) lent: Arc<dyn Lent>,
}

/// Prepares a value of the host for a worker in another process. `None` for values of another type.
pub(crate) type Cross = fn(Box<dyn Any + Send>, &Crossing) -> Option<Crossed>;

/// The process of a worker, as far as the values of the host depend on it. The default is one that opens files itself.
#[derive(Default)]
pub struct Crossing {
    sandbox: Option<SandboxLimits>,
    /// The part of this process in the work of the sandbox.
    kept: OnceLock<Arc<dyn Any + Send + Sync>>,
}

/// The limits of what this process does for a worker in a sandbox: those of its script.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::exhaustive_structs, reason = "made by the engine")]
pub struct SandboxLimits {
    /// Bytes that the worker may hold outside of its heap.
    pub native_bytes: usize,
    /// CPU time of an event.
    pub cpu: Duration,
}

impl Crossing {
    /// Creates one for a worker in a sandbox.
    #[must_use]
    pub fn to_sandbox(limits: SandboxLimits) -> Self {
        Self {
            sandbox: Some(limits),
            kept: OnceLock::new(),
        }
    }

    /// Returns what this process does for the sandbox, made at the first call; `None` if the process is no sandbox.
    #[cfg_attr(not(feature = "sql"), expect(dead_code, reason = "for Durable Objects"))]
    pub(crate) fn for_sandbox<T: Send + Sync + 'static>(
        &self,
        make: impl FnOnce(SandboxLimits) -> T,
    ) -> Option<Arc<T>> {
        let limits = self.sandbox?;
        let kept = self.kept.get_or_init(|| Arc::new(make(limits)));
        Arc::clone(kept).downcast::<T>().ok()
    }
}

impl std::fmt::Debug for Crossing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Crossing")
            .field("sandbox", &self.sandbox)
            .finish_non_exhaustive()
    }
}

/// The future of a binding's answer, or the reason why there is none. Dropping it cancels the operation.
pub type ParcelFuture = BoxFuture<'static, Result<Parcel, String>>;

/// The target of a request of a worker in another process.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Target {
    /// The binding with this name.
    Binding(String),
    /// A function that was passed with an event, by the numbers of both.
    Function(u64, u32),
    /// An entry point of the worker's own script: the script's name, followed by `#` and the entry point unless it is the
    /// default.
    Own(String),
    /// The files of the script's modules, for a worker in a sandbox.
    Modules,
    /// The network, for a worker in a sandbox.
    Network,
    /// The database of this binding, for a worker in a sandbox.
    Database(String),
    /// A function or an object of the other side, by its number.
    Lent(u64),
    /// The responses behind `caches`.
    Cache,
}

/// A connection to the pool's process, for a worker in another process.
pub trait Remote: Send + Sync + 'static {
    /// Sends a request, and waits for the answer.
    fn ask(&self, target: Target, parcel: Parcel) -> ParcelFuture;

    /// Sends a request, and blocks the thread until its answer, for targets that answer at once.
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
pub(crate) fn unpack<'a, T: serde::Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, String> {
    match postcard::take_from_bytes(bytes) {
        Ok((value, [])) => Ok(value),
        Ok((_, rest)) => Err(format!("{} bytes follow a message", rest.len())),
        Err(error) => Err(format!("a message cannot be decoded: {error}")),
    }
}
