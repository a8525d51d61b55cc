//! A script's function, callable from Rust.

use std::fmt;
use std::sync::Arc;

use deno_core::serde_v8;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};
use tokio::sync::mpsc::error::TrySendError;

use super::lease::{self, Call, Lease};
use crate::event::{Fault, FaultKind, Thrown};
use crate::values::{Arguments, FromScript, IntoArguments, answer};

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
pub struct Callback(Arc<Lease>);

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

impl Callback {
    pub(super) const fn new(lease: Arc<Lease>) -> Self {
        Self(lease)
    }

    /// Makes a call at once, so that calls begin in the order in which they are made; as [`Callback::call`] otherwise.
    pub(crate) fn begin<R: FromScript>(
        &self,
        arguments: Arguments,
    ) -> impl Future<Output = Result<R, CallbackError>> + Send + use<R> {
        let (reply, given) = answer::<R>();
        let lease = Arc::clone(&self.0);
        let call = |number| Call {
            number,
            arguments,
            reply,
        };
        let sent = lease.place().map(|place| place.calls.try_send(call(place.number)));
        async move {
            match sent {
                Some(Ok(())) => {}
                Some(Err(TrySendError::Full(call))) => {
                    let place = lease.place().ok_or(CallbackError::Ended)?;
                    place.calls.send(call).await.map_err(|_| CallbackError::Ended)?;
                }
                Some(Err(TrySendError::Closed(_))) | None => return Err(CallbackError::Ended),
            }
            let given = given.await;
            drop(lease);
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
        let (reply, given) = answer::<R>();
        let arguments = arguments.into_arguments();
        let lease = Arc::clone(&self.0);
        async move {
            let place = lease.place().ok_or(CallbackError::Ended)?;
            let call = Call {
                number: place.number,
                arguments,
                reply,
            };
            place.calls.send(call).await.map_err(|_| CallbackError::Ended)?;
            given.await.map_err(|_| CallbackError::Ended)?.map_err(Into::into)
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
        let value = serde_v8::GlobalValue::deserialize(deserializer)?;
        let lease = Arc::new(Lease::default());
        match lease::take(value.v8_value, &lease) {
            true => Ok(Self(lease)),
            false => Err(D::Error::custom("this worker cannot pass functions")),
        }
    }
}
