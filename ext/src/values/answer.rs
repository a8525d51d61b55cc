//! Receivers of values that scripts return.

use std::any::{Any, TypeId};

use deno_core::v8;
use futures::channel::oneshot;
use serde::de::IgnoredAny;

use super::{Encoded, FromScript, ValueError};
use crate::event::{Body, Fault, FaultKind, ValueReply};

/// The receiver of a value that a script returns. The value is converted to Rust on the worker's thread.
pub trait Answer: Send {
    /// Sends a value. The caller receives an error as well.
    ///
    /// # Errors
    /// The value does not have the type that the caller expects.
    fn give<'s>(
        self: Box<Self>,
        scope: &mut v8::PinScope<'s, '_>,
        value: v8::Local<'s, v8::Value>,
    ) -> Result<(), ValueError>;

    /// Sends an encoded value, whose size is limited by `bytes_max` as in [`Encoded::read`].
    ///
    /// # Errors
    /// The value does not have the type that the caller expects.
    fn give_encoded(self: Box<Self>, value: Encoded, bytes_max: usize) -> Result<(), ValueError>;

    /// Sends a value of the type that the caller expects, for code that knows the type. Default: an error.
    ///
    /// # Errors
    /// A value of another type.
    fn give_any(self: Box<Self>, value: Box<dyn Any + Send>) -> Result<(), ValueError> {
        drop(value);
        let error = ValueError::FromScript("the caller asked for another type".to_owned());
        self.fail(Fault::new(FaultKind::Exception, error.to_string()));
        Err(error)
    }

    /// Returns true if the caller ignores the value, and so accepts any.
    fn takes_any(&self) -> bool {
        false
    }

    /// Sends a stream.
    ///
    /// # Errors
    /// The caller waits for a value.
    fn stream(self: Box<Self>, body: Body) -> Result<(), ValueError>;

    /// Reports that there will be no value.
    fn fail(self: Box<Self>, fault: Fault);
}

impl ValueReply for Box<dyn Answer> {
    fn fail(self, fault: Fault) {
        Answer::fail(self, fault);
    }
}

struct Typed<R>(oneshot::Sender<Result<R, Fault>>);

impl<R: FromScript> Typed<R> {
    // The caller may have left.
    fn send(self, taken: Result<R, ValueError>) -> Result<(), ValueError> {
        match taken {
            Ok(value) => drop(self.0.send(Ok(value))),
            Err(error) => {
                drop(self.0.send(Err(Fault::new(FaultKind::Exception, error.to_string()))));
                return Err(error);
            }
        }
        Ok(())
    }
}

impl<R: FromScript> Answer for Typed<R> {
    fn give<'s>(
        self: Box<Self>,
        scope: &mut v8::PinScope<'s, '_>,
        value: v8::Local<'s, v8::Value>,
    ) -> Result<(), ValueError> {
        let taken = R::from_script(scope, value);
        self.send(taken)
    }

    fn give_encoded(self: Box<Self>, value: Encoded, bytes_max: usize) -> Result<(), ValueError> {
        let taken = R::from_encoded(value, bytes_max);
        self.send(taken)
    }

    fn give_any(self: Box<Self>, value: Box<dyn Any + Send>) -> Result<(), ValueError> {
        let value = value.downcast::<R>().map(|value| *value);
        self.send(value.map_err(|_| ValueError::FromScript("the caller asked for another type".to_owned())))
    }

    fn takes_any(&self) -> bool {
        [TypeId::of::<()>(), TypeId::of::<IgnoredAny>()].contains(&TypeId::of::<R>())
    }

    fn stream(self: Box<Self>, body: Body) -> Result<(), ValueError> {
        self.send(R::from_stream(body))
    }

    fn fail(self: Box<Self>, fault: Fault) {
        drop(self.0.send(Err(fault)));
    }
}

/// Creates a channel for a value of this type. If the receiver is dropped, the caller has left.
pub fn answer<R: FromScript>() -> (Box<dyn Answer>, oneshot::Receiver<Result<R, Fault>>) {
    let (sender, receiver) = oneshot::channel();
    (Box::new(Typed(sender)), receiver)
}
