//! Functions that a script of another process passed: the side that calls them, and the side that has them.

use std::sync::Arc;

use deno_core::v8;
use futures::future::BoxFuture;
use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::{function_of, serve};
use crate::bindings::{Lent, Parcel, ParcelFuture, pack, unpack};
use crate::event::{Body, Fault, FaultKind};
use crate::native::callback::Away;
use crate::native::{Callback, NativeFunction};
use crate::values::{Answer, Argument, Arguments, Encoded, FromScript, ValueError, encoded};
use crate::written::WrittenFault;

/// The arguments of a call. Streams and functions are beside them, in order.
#[derive(Serialize, Deserialize)]
enum Passed {
    Whole(ByteBuf),
    Each(Vec<PassedOne>),
}

#[derive(Serialize, Deserialize)]
enum PassedOne {
    Value(ByteBuf),
    Stream,
    Function,
}

#[derive(Serialize, Deserialize)]
enum Returned {
    Value(ByteBuf),
    /// The stream beside it.
    Stream,
    Failed(WrittenFault),
}

/// A script's function in another process.
struct Borrowed {
    lent: Arc<dyn Lent>,
    bytes_max: usize,
}

impl Away for Borrowed {
    fn begin(&self, arguments: Arguments, reply: Box<dyn Answer>) -> BoxFuture<'static, ()> {
        let (lent, bytes_max) = (Arc::clone(&self.lent), self.bytes_max);
        let running = parcel_of(arguments).map(|parcel| lent.call(parcel, bytes_max));
        Box::pin(async move {
            let answer = match running {
                Ok(running) => running.await,
                Err(error) => return reply.fail(Fault::new(FaultKind::Exception, error.to_string())),
            };
            // It is not released while it is called.
            drop(lent);
            let taken = answer.and_then(|answer| {
                let returned = unpack(&answer.bytes)?;
                give(reply, returned, answer.bodies, bytes_max);
                Ok(())
            });
            // The reply is dropped if there is no answer, which tells the caller that the function has ended.
            if let Err(why) = taken {
                tracing::debug!(why, "a function of a script in another process does not answer");
            }
        })
    }
}

/// Gives a function's result to its caller, who receives errors as well.
fn give(reply: Box<dyn Answer>, returned: Returned, bodies: Vec<Body>, bytes_max: usize) {
    match returned {
        Returned::Value(bytes) => drop(reply.give_encoded(value_of(bytes), bytes_max)),
        Returned::Stream => match bodies.into_iter().next() {
            Some(body) => drop(reply.stream(body)),
            None => reply.fail(Fault::new(FaultKind::Exception, "the stream of an answer is missing")),
        },
        Returned::Failed(fault) => reply.fail(fault.into()),
    }
}

fn parcel_of(arguments: Arguments) -> Result<Parcel, ValueError> {
    let (mut bodies, mut stubs) = (Vec::new(), Vec::new());
    let passed = match arguments.into_whole() {
        Ok(whole) => Passed::Whole(bytes_of(encoded(whole)?)),
        Err(each) => {
            let each = each.into_iter().map(|argument| match argument {
                Argument::Value(value) => Ok(PassedOne::Value(bytes_of(encoded(value)?))),
                Argument::Stream(body) => {
                    bodies.push(body);
                    Ok(PassedOne::Stream)
                }
                Argument::Function(function) => {
                    stubs.push(Arc::new(LentNative(function)) as Arc<dyn Lent>);
                    Ok(PassedOne::Function)
                }
            });
            Passed::Each(each.collect::<Result<_, ValueError>>()?)
        }
    };
    let bytes = pack(&passed).map_err(ValueError::Internal)?;
    Ok(Parcel {
        stubs,
        ..Parcel::with_bodies(bytes, bodies)
    })
}

fn bytes_of(value: Encoded) -> ByteBuf {
    ByteBuf::from(Vec::from(value.into_bytes()))
}

fn value_of(bytes: ByteBuf) -> Encoded {
    Encoded::from_bytes(bytes.into_vec().into())
}

fn arguments_of(request: Parcel) -> Result<Arguments, String> {
    let (mut bodies, mut stubs) = (request.bodies.into_iter(), request.stubs.into_iter());
    Ok(match unpack(&request.bytes)? {
        Passed::Whole(whole) => Arguments::whole(Box::new(value_of(whole))),
        Passed::Each(each) => {
            let mut arguments = Arguments::new();
            for one in each {
                arguments = arguments.with(match one {
                    PassedOne::Value(bytes) => Argument::Value(Box::new(value_of(bytes))),
                    PassedOne::Stream => Argument::Stream(bodies.next().ok_or("a stream is missing")?),
                    PassedOne::Function => {
                        let lent = stubs.next().ok_or("a function is missing")?;
                        Argument::Function(function_of(move |request| lent.call(request, usize::MAX), None))
                    }
                });
            }
            arguments
        }
    })
}

/// Lends functions to another process, which holds the result.
pub(crate) fn lent(functions: Vec<Callback>) -> Vec<Arc<dyn Lent>> {
    let lent = |function| -> Arc<dyn Lent> { Arc::new(LentCallback(function)) };
    functions.into_iter().map(lent).collect()
}

/// The functions that another process has lent, whose results may count `bytes_max`.
pub(crate) fn borrowed(lent: impl IntoIterator<Item = Arc<dyn Lent>>, bytes_max: usize) -> Vec<Callback> {
    let functions = lent
        .into_iter()
        .map(|lent| Callback::away(Borrowed { lent, bytes_max }));
    functions.collect()
}

/// A script's function of this process that another one calls.
struct LentCallback(Callback);

impl Lent for LentCallback {
    fn call(&self, request: Parcel, _bytes_max: usize) -> ParcelFuture {
        let begun = request.pass_on().and_then(|mut request| {
            let held = std::mem::take(&mut request.held);
            Ok((self.0.begin::<AnyResult>(arguments_of(request)?), held))
        });
        Box::pin(async move {
            let (running, held) = begun?;
            let returned = running.await;
            drop(held);
            let (returned, bodies) = match returned {
                Ok(AnyResult::Value(value)) => (Returned::Value(bytes_of(value)), Vec::new()),
                Ok(AnyResult::Stream(body)) => (Returned::Stream, vec![body]),
                Err(error) => (Returned::Failed((&Fault::from(error)).into()), Vec::new()),
            };
            Ok(Parcel::with_bodies(pack(&returned)?, bodies))
        })
    }
}

/// The result of any script's function.
enum AnyResult {
    Value(Encoded),
    Stream(Body),
}

impl FromScript for AnyResult {
    fn from_script<'s>(scope: &mut v8::PinScope<'s, '_>, value: v8::Local<'s, v8::Value>) -> Result<Self, ValueError> {
        Encoded::from_script(scope, value).map(Self::Value)
    }

    fn from_encoded(value: Encoded, _bytes_max: usize) -> Result<Self, ValueError> {
        Ok(Self::Value(value))
    }

    fn from_stream(body: Body) -> Result<Self, ValueError> {
        Ok(Self::Stream(body))
    }
}

/// A Rust function of this process that a script of another one calls.
struct LentNative(NativeFunction);

impl Lent for LentNative {
    fn call(&self, request: Parcel, bytes_max: usize) -> ParcelFuture {
        serve(|_| Some(&self.0), request, bytes_max)
    }
}
