//! Values on their way between Rust and a script: by `serde_v8`, without JSON in between.
//!
//! Values are converted on the worker's thread, inside its isolate. Threads exchange the Rust value with the code that converts it
//! ([`ToScript`]), or the receiver of a value ([`Answer`]).
//!
//! ```
//! # mod isopod { pub use isopod_ext::values::ToJsBuffer; pub use isopod_ext::values::ToScript; }
//! use isopod::{ToJsBuffer, ToScript};
//!
//! #[derive(serde::Serialize)]
//! struct Picture { name: String, pixels: ToJsBuffer }
//! // The pixels are handed over, not copied: the script gets a Uint8Array of the same memory.
//! let picture = Picture { name: "isopod".into(), pixels: vec![0; 1 << 20].into() };
//! let argument: Box<dyn ToScript> = Box::new((picture, 3));
//! # drop(argument);
//! ```

mod answer;
mod arguments;
mod budget;
mod bytes;
mod encoded;
mod function;
mod js_error;
mod outgoing;
mod place;
mod reader;
mod request_body;

use std::any::Any;
use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{OpState, serde_v8, v8};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::event::{Body, OpenEvents};
use crate::unwind::{self, Panicked};

pub use self::answer::{Answer, answer};
pub use self::arguments::{Argument, Arguments, IntoArguments};
pub use self::bytes::{DetachedBuffer, ToJsBuffer};
pub use self::encoded::Encoded;
pub(crate) use self::encoded::FUNCTION;
pub use self::function::{IntoResult, NativeError, NativeFunction, NativeResult};
pub(crate) use self::js_error::js_error;
pub use self::outgoing::StreamError;
pub(crate) use self::outgoing::{Outgoing, stay};
pub(crate) use self::reader::{ReadFunctions, read};
pub(crate) use self::request_body::RequestBody;
/// The error that a script threw.
pub use crate::event::Thrown;

/// The open events of a worker, whose callers wait for responses or values. The runtime places an `Rc<RefCell<Events>>` in
/// the worker's `OpState`.
pub type Events = OpenEvents<Box<dyn Answer>>;

/// Returns the open events of the worker with this state.
pub(crate) fn events(state: &OpState) -> Rc<RefCell<Events>> {
    state.borrow::<Rc<RefCell<Events>>>().clone()
}

/// The reason why a value could not be converted.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ValueError {
    /// From Rust to the script.
    #[error("cannot convert a value for the script: {0}")]
    ToScript(String),
    /// From the script to Rust.
    #[error("cannot convert the script's value: {0}")]
    FromScript(String),
    /// A stream was sent to a caller that waits for a value.
    #[error("the script returned a ReadableStream, but its caller expects a value: ask for a `Body`")]
    UnexpectedStream,
    /// A value was sent to a caller that waits for a stream.
    #[error("the script returned a value, but its caller expects a `Body`: return a ReadableStream")]
    ExpectedStream,
    /// An internal error.
    #[error("{0}")]
    Internal(String),
}

impl From<Panicked> for ValueError {
    fn from(panicked: Panicked) -> Self {
        Self::Internal(panicked.to_string())
    }
}

/// A value that becomes a JavaScript value on the worker's thread. Every type that is `Serialize`, `Send` and owned is one.
///
/// Maps become objects, sequences and tuples become arrays, `()` and `None` become `null`, and enums have serde's representation. A
/// [`ToJsBuffer`] becomes a `Uint8Array` of the same memory.
pub trait ToScript: Send + 'static {
    /// Creates the JavaScript value.
    ///
    /// # Errors
    /// It cannot be a JavaScript value, for example because a string is too long.
    fn to_script<'s>(&mut self, scope: &mut v8::PinScope<'s, '_>) -> Result<v8::Local<'s, v8::Value>, ValueError>;

    /// Encodes the value, for a worker in another process.
    ///
    /// # Errors
    /// A value that cannot be encoded. This is the default.
    fn to_encoded(&mut self) -> Result<Encoded, ValueError> {
        Err(ValueError::ToScript("it cannot be encoded".to_owned()))
    }

    /// Returns the value itself, for code that knows its type and needs a part without an encoding. Default: `None`.
    fn as_any(&mut self) -> Option<&mut dyn Any> {
        None
    }
}

/// Encodes a value of the host, whose `Serialize` may fail or panic.
pub(crate) fn encoded(mut value: Box<dyn ToScript>) -> Result<Encoded, ValueError> {
    let panicked = || Err(ValueError::ToScript("its Serialize panicked".to_owned()));
    unwind::catch_quietly(|| value.to_encoded()).unwrap_or_else(panicked)
}

impl<T: Serialize + Send + 'static> ToScript for T {
    fn to_script<'s>(&mut self, scope: &mut v8::PinScope<'s, '_>) -> Result<v8::Local<'s, v8::Value>, ValueError> {
        serde_v8::to_v8(scope, &*self).map_err(|error| ValueError::ToScript(error.to_string()))
    }

    fn to_encoded(&mut self) -> Result<Encoded, ValueError> {
        Encoded::of(self)
    }
}

/// A type that a JavaScript value is converted to, on the worker's thread: any that is `Deserialize`, `Send` and owned, and
/// [`Body`] if the script returns a `ReadableStream`.
///
/// The meaning of a value is that of `JSON.stringify()`: a `Date` is its ISO text, and an object with `toJSON()` is what that
/// returns. What JSON would lose (a `Set`, an `Error`, a `Blob`, a function) is an error, and so is a number that the type
/// cannot hold. In addition, `ArrayBuffer`s and typed arrays are bytes, a bigint is an integer of 64 bits, and a `Map` is a map.
pub trait FromScript: Sized + Send + 'static {
    /// Converts a value.
    ///
    /// # Errors
    /// A value of another shape.
    fn from_script<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Result<Self, ValueError>;

    /// Decodes a value, whose size is limited by `bytes_max` as in [`Encoded::read`].
    ///
    /// # Errors
    /// A value of another shape; by default, any.
    fn from_encoded(value: Encoded, bytes_max: usize) -> Result<Self, ValueError> {
        let (_, _) = (value, bytes_max);
        Err(ValueError::FromScript("its type cannot be decoded".to_owned()))
    }

    /// Converts a stream.
    ///
    /// # Errors
    /// The type is that of a value.
    fn from_stream(body: Body) -> Result<Self, ValueError> {
        drop(body);
        Err(ValueError::UnexpectedStream)
    }
}

impl<T: DeserializeOwned + Send + 'static> FromScript for T {
    fn from_script<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Result<Self, ValueError> {
        reader::read(scope, value).map_err(ValueError::FromScript)
    }

    fn from_encoded(value: Encoded, bytes_max: usize) -> Result<Self, ValueError> {
        value.read(bytes_max)
    }
}

impl FromScript for Body {
    fn from_script<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Result<Self, ValueError> {
        let (_, _) = (scope, value);
        Err(ValueError::ExpectedStream)
    }

    fn from_encoded(_value: Encoded, _bytes_max: usize) -> Result<Self, ValueError> {
        Err(ValueError::ExpectedStream)
    }

    fn from_stream(body: Body) -> Result<Self, ValueError> {
        Ok(body)
    }
}
