//! A script's function as Rust calls it.

use std::fmt;
use std::sync::Arc;

use deno_core::serde_v8;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::lease::{self, Call, Lease};
use crate::event::{Fault, FaultKind, Thrown};
use crate::values::{FromScript, IntoArguments, answer};

/// A function that a script lent: an argument of a Rust function, a part of one, or what a call answered.
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
/// It may be called from any thread, by any runtime, and from several at once. Each call waits for its turn on the worker's thread
/// and runs there as part of the event that lent the function: what it logs and fetches is that event's, and it is held by
/// its limits. Once that event has ended, calls fail with [`CallbackError::Ended`]. An event whose answer holds functions stays open
/// until they have been dropped, or its time is over.
///
/// Its clones are the same function; the last one that is dropped lets go of it. A [`FromScript`] type like any other: it may
/// stand in tuples, structs and lists.
///
/// Do not wait for a call on the worker's own thread, as by `block_on` in the body of a Rust function before its `async`
/// part: the call would wait for that thread.
#[derive(Clone)]
pub struct Callback(Arc<Lease>);

/// Why a call of a script's function has no value.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CallbackError {
    /// The event that lent it has ended, or its worker has.
    #[error("cannot call the script's function: the event that passed it has ended")]
    Ended,
    /// It threw, or its promise was rejected.
    #[error("the script's function threw {0}")]
    Threw(#[source] Thrown),
    /// It gave a value of another shape than was asked for, or an argument could not be handed to it.
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
    /// Calls the function and waits for what it gives, or what its promise resolves to.
    ///
    /// Dropping the future gives the call up; one that has begun runs on.
    ///
    /// # Errors
    /// [`CallbackError`]: it threw, gave something else, or can be called no more.
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
