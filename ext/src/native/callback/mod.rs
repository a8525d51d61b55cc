//! A script's function, callable from Rust.

pub(super) mod reading;

use std::fmt;
use std::sync::Arc;

use deno_core::serde_v8;
use futures::FutureExt as _;
use futures::future::{BoxFuture, Either};
use serde::de::{Error, Visitor};
use serde::{Deserialize, Deserializer};
use tokio::sync::mpsc::error::TrySendError;

pub(crate) use self::reading::{WithFunctions, passing};
use super::lease::{Call, Lease};
use crate::event::{Fault, FaultKind, Thrown};
use crate::values::{Answer, Arguments, FUNCTION, FromScript, IntoArguments, answer};

/// A function passed by a script: an argument of a Rust function, a part of one, or the result of a call.
///
/// ```
/// # mod isopod { pub use isopod_ext::native::Callback; pub use isopod_ext::native::NativeFunction; }
/// use isopod::{Callback, NativeFunction};
///
/// // await env.FILES.each("*.txt", async (name) => …)
/// let each = NativeFunction::new(|(pattern, tell): (String, Callback)| async move {
///     for name in ["a.txt", "b.txt"] {
///         tell.call::<_, ()>((name,)).await?;
///     }
///     Ok(pattern)
/// });
/// ```
///
/// It can be called from any thread, on any runtime, and concurrently. Each call runs on the worker's thread as part of
/// the event that passed the function: its logs and requests are the event's, and it is subject to the event's limits.
/// Once that event has ended, calls fail with [`CallbackError::Ended`]. An event whose result contains functions stays
/// open until they are dropped, or its time is over.
///
/// Clones refer to the same function, which is released when the last one is dropped. It implements [`FromScript`], and
/// may be part of tuples, structs and lists.
///
/// Do not block on a call on the worker's own thread, for example in the body of a Rust function before its `async`
/// part: the call needs that thread.
#[derive(Clone)]
pub struct Callback(Place);

#[derive(Clone)]
enum Place {
    Here(Arc<Lease>),
    Away(Arc<dyn Away>),
}

/// A function of a script in another process.
pub(super) trait Away: Send + Sync {
    /// Begins a call, whose future ends with the answer.
    fn begin(&self, arguments: Arguments, reply: Box<dyn Answer>) -> BoxFuture<'static, ()>;
}

/// An error of calling a script's function.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The event that passed it has ended, or its worker has.
    #[error("cannot call the script's function: the event that passed it has ended")]
    Ended,
    /// It threw, or its promise was rejected.
    #[error("the script's function threw {0}")]
    Threw(#[source] Thrown),
    /// It returned a value of another shape than requested, or an argument could not be converted.
    #[error("{0}")]
    Value(String),
}

impl From<Fault> for CallbackError {
    fn from(fault: Fault) -> Self {
        match (fault.kind, fault.thrown) {
            (FaultKind::Exception, Some(thrown)) => Self::Threw(Thrown::clone(&thrown)),
            (FaultKind::Exception, None) => Self::Value(fault.message),
            _ => Self::Ended,
        }
    }
}

impl From<CallbackError> for Fault {
    fn from(error: CallbackError) -> Self {
        let message = error.to_string();
        match error {
            CallbackError::Ended => Self::new(FaultKind::Canceled, message),
            CallbackError::Value(_) => Self::new(FaultKind::Exception, message),
            CallbackError::Threw(thrown) => {
                let mut fault = Self::new(FaultKind::Exception, thrown.to_string());
                fault.thrown = Some(Arc::new(thrown));
                fault
            }
        }
    }
}

impl Callback {
    pub(super) const fn new(lease: Arc<Lease>) -> Self {
        Self(Place::Here(lease))
    }

    /// A function of a script in another process.
    pub(super) fn away(away: impl Away + 'static) -> Self {
        Self(Place::Away(Arc::new(away)))
    }

    /// Makes a call at once, so that calls begin in the order in which they are made; as [`Callback::call`] otherwise.
    pub(crate) fn begin<R: FromScript>(
        &self,
        arguments: Arguments,
    ) -> impl Future<Output = Result<R, CallbackError>> + Send + use<R> {
        let (reply, given) = answer::<R>();
        let running = match &self.0 {
            Place::Here(lease) => Either::Left(begin_here(lease, arguments, reply)),
            Place::Away(away) => Either::Right(away.begin(arguments, reply).map(Ok)),
        };
        // The function is not released while it is called.
        let called = self.clone();
        async move {
            running.await?;
            let given = given.await;
            drop(called);
            given.map_err(|_| CallbackError::Ended)?.map_err(Into::into)
        }
    }

    /// Calls the function, and waits for its return value or the value of its promise.
    ///
    /// Dropping the future abandons the call; if it has begun, it continues.
    ///
    /// # Errors
    /// [`CallbackError`]: it threw, returned a value of another type, or can no longer be called.
    pub fn call<A, R>(&self, arguments: A) -> impl Future<Output = Result<R, CallbackError>> + Send + use<A, R>
    where
        A: IntoArguments,
        R: FromScript,
    {
        let (callback, arguments) = (self.clone(), arguments.into_arguments());
        async move { callback.begin(arguments).await }
    }
}

/// Sends a call to the worker's thread at once if there is room, and resolves when it is sent.
fn begin_here(
    lease: &Arc<Lease>,
    arguments: Arguments,
    reply: Box<dyn Answer>,
) -> impl Future<Output = Result<(), CallbackError>> + Send + use<> {
    let lease = Arc::clone(lease);
    let call = |number| Call {
        number,
        arguments,
        reply,
    };
    let sent = lease.place().map(|place| place.calls.try_send(call(place.number)));
    async move {
        match sent {
            Some(Ok(())) => Ok(()),
            Some(Err(TrySendError::Full(call))) => {
                let place = lease.place().ok_or(CallbackError::Ended)?;
                place.calls.send(call).await.map_err(|_| CallbackError::Ended)
            }
            Some(Err(TrySendError::Closed(_))) | None => Err(CallbackError::Ended),
        }
    }
}

impl fmt::Debug for Callback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Callback")
    }
}

/// Only from a script's values, while a call of a native extension reads them.
impl<'de> Deserialize<'de> for Callback {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_newtype_struct(FUNCTION, Function)
    }
}

struct Function;

impl<'de> Visitor<'de> for Function {
    type Value = Callback;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a function")
    }

    /// A value of a script.
    fn visit_newtype_struct<D: Deserializer<'de>>(self, deserializer: D) -> Result<Callback, D::Error> {
        let value = serde_v8::GlobalValue::deserialize(deserializer)?;
        let lease = Arc::new(Lease::default());
        match reading::take(value.v8_value, &lease) {
            true => Ok(Callback::new(lease)),
            false => Err(D::Error::custom("this worker cannot pass functions")),
        }
    }

    /// The number of a function in an encoded value.
    fn visit_u32<E: Error>(self, number: u32) -> Result<Callback, E> {
        reading::passed(number).ok_or_else(|| E::custom("this function was not passed"))
    }
}
