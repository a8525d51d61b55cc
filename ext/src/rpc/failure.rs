//! Failures of calls, for the calling script.

use deno_core::{ToV8, v8};
use deno_error::JsErrorBox;
use isopod_outcome::{Failure, Outcome};

use super::message::RpcMessage;
use crate::event::{EventEnded, Thrown};
use crate::native::{CallbackError, LendError};
use crate::quotas::QuotaError;
use crate::unwind::Panicked;
use crate::values::{StreamError, ToScript};

/// An error of an op of calls.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum RpcError {
    /// The stub was disposed, or the event that received it has ended.
    #[class(generic)]
    #[error("RPC stub used after being disposed.")]
    Disposed,
    /// A function or object was passed outside of an event.
    #[class(type)]
    #[error("functions and RpcTargets can only be passed to other workers while an event is handled")]
    NoEvent,
    /// The message is too large.
    #[class(generic)]
    #[error(
        "Serialized RPC arguments or return values are limited to {max} bytes (`limits.message`), but the size of this value \
         was: {bytes} bytes."
    )]
    TooLarge {
        /// The size of the message.
        bytes: usize,
        /// The limit.
        max: usize,
    },
    /// The message is invalid.
    #[class(type)]
    #[error("cannot pass the value to another worker: {0}")]
    Message(&'static str),
    /// A quota was reached.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// A stream cannot be passed.
    #[class(inherit)]
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// The event has ended.
    #[class(inherit)]
    #[error(transparent)]
    Ended(#[from] EventEnded),
    /// The op has panicked.
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] Panicked),
}

impl From<LendError> for RpcError {
    fn from(error: LendError) -> Self {
        match error {
            LendError::NoEvent => Self::NoEvent,
            LendError::Quota(quota) => Self::Quota(quota),
        }
    }
}

/// A failure for the script.
#[derive(ToV8)]
pub(crate) struct ScriptFailure {
    class: String,
    message: String,
    /// The called script threw it.
    remote: bool,
    /// The same request may succeed later.
    retryable: bool,
    /// There was no room for the request.
    overloaded: bool,
}

impl ScriptFailure {
    pub(crate) fn new(failure: &Failure) -> Self {
        let thrown = failure
            .source
            .as_deref()
            .and_then(|source| source.downcast_ref::<Thrown>());
        let thrown = thrown.filter(|thrown| failure.outcome == Outcome::Exception && !thrown.missing);
        Self {
            class: thrown.map_or_else(|| "Error".to_owned(), |thrown| thrown.class.clone()),
            message: thrown.map_or_else(|| failure.message.clone(), |thrown| thrown.message.clone()),
            remote: thrown.is_some(),
            retryable: failure.outcome.is_retryable(),
            overloaded: failure.outcome == Outcome::LoadShed,
        }
    }
}

impl From<CallbackError> for ScriptFailure {
    fn from(error: CallbackError) -> Self {
        let (class, message, remote) = match error {
            CallbackError::Threw(thrown) => (thrown.class, thrown.message, true),
            CallbackError::Ended => (
                "Error".to_owned(),
                "The RPC stub's owner is gone: the event that passed it, or its worker, has ended.".to_owned(),
                false,
            ),
            CallbackError::Value(message) => ("Error".to_owned(), message, true),
        };
        Self {
            class,
            message,
            remote,
            retryable: false,
            overloaded: false,
        }
    }
}

/// The result of a call, for the script: `[bytes, parts]` or `[, , failure]`.
pub(crate) enum Returned {
    Message(RpcMessage),
    Failed(ScriptFailure),
}

impl<'a> ToV8<'a> for Returned {
    type Error = JsErrorBox;

    fn to_v8<'i>(self, scope: &mut v8::PinScope<'a, 'i>) -> Result<v8::Local<'a, v8::Value>, JsErrorBox> {
        match self {
            Self::Message(mut message) => {
                let made = message.to_script(scope);
                made.map_err(|error| JsErrorBox::type_error(error.to_string()))
            }
            Self::Failed(told) => {
                let undefined: v8::Local<'a, v8::Value> = v8::undefined(scope).into();
                let told = told.to_v8(scope).map_err(JsErrorBox::from_err)?;
                Ok(v8::Array::new_with_elements(scope, &[undefined, undefined, told]).into())
            }
        }
    }
}
