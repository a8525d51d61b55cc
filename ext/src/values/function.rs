//! A Rust function that scripts call.

use std::fmt;
use std::future::Future;
use std::sync::Arc;

use deno_core::v8;
use futures::future::BoxFuture;

use super::{Encoded, FromScript, ToScript, ValueError};
use crate::event::Body;

/// The result of a Rust function, on its way to the script.
pub enum NativeResult {
    /// A value.
    Value(Box<dyn ToScript>),
    /// A stream; the script sees a `ReadableStream`.
    Stream(Body),
}

/// Types that a Rust function can return: everything that is `Serialize`, `Send` and owned, and a [`Body`].
pub trait IntoResult {
    /// Converts the result to the form that is sent to the worker's thread.
    fn into_result(self) -> NativeResult;
}

impl<T: ToScript> IntoResult for T {
    fn into_result(self) -> NativeResult {
        NativeResult::Value(Box::new(self))
    }
}

impl IntoResult for Body {
    fn into_result(self) -> NativeResult {
        NativeResult::Stream(self)
    }
}

/// An error of a Rust function, as the script sees it: `instanceof` its class, with its message and its cause.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NativeError {
    /// The name of its class: one of JavaScript's own (`TypeError`, `RangeError`, …), one of a `DOMException`
    /// (`DOMExceptionNotFoundError`), or any other, which becomes the `name` of an `Error`.
    pub class: String,
    /// The message.
    pub message: String,
    /// The cause.
    pub cause: Option<Box<NativeError>>,
}

impl NativeError {
    /// Creates an error of this class.
    pub fn new(class: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            class: class.into(),
            message: message.into(),
            cause: None,
        }
    }

    /// Adds the cause.
    #[must_use]
    pub fn with_cause(mut self, cause: Self) -> Self {
        self.cause = Some(Box::new(cause));
        self
    }
}

impl fmt::Display for NativeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.class, self.message)
    }
}

/// Maximum length of a chain of sources.
const CAUSES_MAX: usize = 8;

impl<E: std::error::Error> From<E> for NativeError {
    fn from(error: E) -> Self {
        from_error(&error, 0)
    }
}

fn from_error(error: &dyn std::error::Error, depth: usize) -> NativeError {
    NativeError {
        class: "Error".to_owned(),
        message: error.to_string(),
        cause: error
            .source()
            .filter(|_| depth < CAUSES_MAX)
            .map(|source| Box::new(from_error(source, depth + 1))),
    }
}

pub(crate) type Running = BoxFuture<'static, Result<NativeResult, NativeError>>;
type Call = dyn for<'s, 'i> Fn(&mut v8::PinScope<'s, 'i>, v8::Local<'s, v8::Value>, Vec<Body>) -> Result<Running, ValueError>
    + Send
    + Sync;
type CallEncoded = dyn Fn(Encoded, Vec<Body>, usize) -> Result<Running, ValueError> + Send + Sync;

/// A Rust function that scripts call: `await env.SHOP.price("tea", 3)`.
///
/// ```
/// # mod isopod { pub use isopod_ext::native::NativeError; pub use isopod_ext::native::NativeFunction; }
/// use isopod::{NativeError, NativeFunction};
///
/// let price = NativeFunction::new(|(what, count): (String, u32)| async move {
///     match what.as_str() {
///         "tea" => Ok(count * 3),
///         _ => Err(NativeError::new("RangeError", format!("no such thing: {what}"))),
///     }
/// });
/// ```
///
/// Its arguments are a tuple, converted as a whole (`()` for none). Its future runs on the thread's I/O runtime, so it
/// may use whatever needs Tokio, and is dropped with the event that called it.
#[derive(Clone)]
pub struct NativeFunction(Arc<Functions>);

/// The same function, for arguments of a script and for encoded ones.
struct Functions {
    call: Box<Call>,
    call_encoded: Box<CallEncoded>,
}

impl NativeFunction {
    /// Creates a function of values.
    pub fn new<A, R, F, Fut>(function: F) -> Self
    where
        A: FromScript,
        R: IntoResult,
        F: Fn(A) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, NativeError>> + Send + 'static,
    {
        Self::with_streams(move |arguments, _| function(arguments))
    }

    /// Creates a function that takes streams as well. Each argument that is a `ReadableStream` is passed in the second
    /// parameter, in order; its place in the tuple is `null`.
    pub fn with_streams<A, R, F, Fut>(function: F) -> Self
    where
        A: FromScript,
        R: IntoResult,
        F: Fn(A, Vec<Body>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<R, NativeError>> + Send + 'static,
    {
        let function = Arc::new(function);
        let of_encoded = Arc::clone(&function);
        Self(Arc::new(Functions {
            call: Box::new(move |scope, arguments, streams| {
                let running = function(A::from_script(scope, arguments)?, streams);
                Ok(Box::pin(async move { running.await.map(IntoResult::into_result) }))
            }),
            call_encoded: Box::new(move |arguments, streams, bytes_max| {
                let running = of_encoded(A::from_encoded(arguments, bytes_max)?, streams);
                Ok(Box::pin(async move { running.await.map(IntoResult::into_result) }))
            }),
        }))
    }

    /// Creates a function that passes its arguments on.
    pub(crate) fn of_encoded<A: FromScript>(
        function: impl Fn(A, Vec<Body>) -> Running + Send + Sync + 'static,
    ) -> Self {
        let function = Arc::new(function);
        let of_encoded = Arc::clone(&function);
        Self(Arc::new(Functions {
            call: Box::new(move |scope, arguments, streams| Ok(function(A::from_script(scope, arguments)?, streams))),
            call_encoded: Box::new(move |arguments, streams, bytes_max| {
                Ok(of_encoded(A::from_encoded(arguments, bytes_max)?, streams))
            }),
        }))
    }

    /// Calls it with encoded arguments, whose parts may count `bytes_max`.
    pub(crate) fn call_encoded(
        &self,
        arguments: Encoded,
        streams: Vec<Body>,
        bytes_max: usize,
    ) -> Result<Running, ValueError> {
        (self.0.call_encoded)(arguments, streams, bytes_max)
    }

    pub(crate) fn call<'s>(
        &self,
        scope: &mut v8::PinScope<'s, '_>,
        arguments: v8::Local<'s, v8::Value>,
        streams: Vec<Body>,
    ) -> Result<Running, ValueError> {
        (self.0.call)(scope, arguments, streams)
    }
}

impl fmt::Debug for NativeFunction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NativeFunction")
    }
}
