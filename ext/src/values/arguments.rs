//! The arguments of a call: values alone, or with streams and functions among them.

use super::{NativeFunction, ToScript};
use crate::event::Body;

/// The arguments of a call.
///
/// A tuple is enough if all of them are values: `(1, "two")`. Streams and functions are added one by one:
///
/// ```
/// # mod isopod { pub use isopod_ext::{handlers::Body, native::NativeFunction, values::Arguments}; }
/// use isopod::{Arguments, Body, NativeFunction};
///
/// let tell = NativeFunction::new(|(percent,): (u8,)| async move {
///     println!("{percent} %");
///     Ok(())
/// });
/// let arguments = Arguments::new().value("photo.png").stream(Body::from("bytes")).function(tell);
/// # drop(arguments);
/// ```
#[derive(Default)]
pub struct Arguments(pub(crate) List);

#[allow(clippy::large_enum_variant, reason = "one of them lives for a call")]
pub(crate) enum List {
    /// One value: an array is the list of arguments, `null` is an empty list, and any other value is the only argument.
    Whole(Box<dyn ToScript>),
    Each(Vec<Argument>),
}

impl Default for List {
    fn default() -> Self {
        Self::Each(Vec::new())
    }
}

/// One argument.
pub enum Argument {
    /// A value.
    Value(Box<dyn ToScript>),
    /// A stream of bytes; the script gets a `ReadableStream`.
    Stream(Body),
    /// A function lent for this call; the script gets an async function, which fails once the call has ended.
    Function(NativeFunction),
}

impl Arguments {
    /// Creates an empty list.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a value.
    #[must_use]
    pub fn value(self, value: impl ToScript) -> Self {
        self.with(Argument::Value(Box::new(value)))
    }

    /// Adds a boxed value.
    #[must_use]
    pub fn boxed(self, value: Box<dyn ToScript>) -> Self {
        self.with(Argument::Value(value))
    }

    /// Adds a stream of bytes.
    #[must_use]
    pub fn stream(self, body: Body) -> Self {
        self.with(Argument::Stream(body))
    }

    /// Lends a function.
    #[must_use]
    pub fn function(self, function: NativeFunction) -> Self {
        self.with(Argument::Function(function))
    }

    /// Creates arguments from one value that stands for all of them.
    pub(crate) fn whole(value: Box<dyn ToScript>) -> Self {
        Self(List::Whole(value))
    }

    /// Adds an argument.
    #[must_use]
    pub fn with(mut self, argument: Argument) -> Self {
        match &mut self.0 {
            List::Each(list) => list.push(argument),
            // Only `into_arguments` creates this variant, and its result is not added to.
            List::Whole(_) => {}
        }
        self
    }

    /// Returns the one value that stands for all arguments.
    ///
    /// # Errors
    /// The list, if they were added one by one.
    pub fn into_whole(self) -> Result<Box<dyn ToScript>, Vec<Argument>> {
        match self.0 {
            List::Whole(whole) => Ok(whole),
            List::Each(list) => Err(list),
        }
    }
}

/// The arguments of a call: a tuple, slice or vector of values, `()`, a single value that is no list, or
/// [`Arguments`].
pub trait IntoArguments {
    /// Converts them to the form that is sent to the worker's thread.
    fn into_arguments(self) -> Arguments;
}

impl<T: ToScript> IntoArguments for T {
    fn into_arguments(self) -> Arguments {
        Arguments(List::Whole(Box::new(self)))
    }
}

impl IntoArguments for Arguments {
    fn into_arguments(self) -> Arguments {
        self
    }
}
