//! The worker's side of an event.

use std::sync::Arc;

use deno_core::v8;
use http::{Method, Request, Uri};

use super::bodies::body_of;
use super::frame::{FrameError, WrittenArgument, WrittenArguments, WrittenEvent, WrittenKind};
use super::message::message_of;
use super::owed::{Owed, Owing, Waiting, owe};
use super::parts::{caller_of, cf_of, data_of, headers_of};
use crate::bindings::{Crossed, Lent};
use crate::event::{Body, CallDepth, Fault, FaultKind, Origin, RequestInfo, RequestUrl};
use crate::handlers::{Event, EventKind, Input};
use crate::rpc::RpcCall;
use crate::values::{Argument, Arguments, Encoded, NativeFunction, ToScript, ValueError};

/// Restores an event from its written form. `stream`, `function` and `stub` return the transport's body, its stand-in for a
/// function, and its stand-in for a function or an object of a script, by number. The data of a message may have `bytes_max`
/// bytes.
///
/// # Errors
/// A part is invalid, such as a method with a space.
pub fn import(
    written: WrittenEvent,
    stream: impl FnMut(u32) -> Option<Body>,
    function: impl FnMut(u32) -> Option<NativeFunction>,
    stub: impl FnMut(u32) -> Option<Arc<dyn Lent>>,
    bytes_max: usize,
) -> Result<(Event, Owed), FrameError> {
    let (owing, owed) = owe(&written);
    let event = import_to(owing, written, stream, function, stub, bytes_max)?;
    Ok((event, owed))
}

/// As [`import`], for an event whose ends [`owe`] has returned.
///
/// # Errors
/// As [`import`]. The receiver of the answer has received the error.
pub fn import_to(
    owing: Owing,
    written: WrittenEvent,
    stream: impl FnMut(u32) -> Option<Body>,
    function: impl FnMut(u32) -> Option<NativeFunction>,
    stub: impl FnMut(u32) -> Option<Arc<dyn Lent>>,
    bytes_max: usize,
) -> Result<Event, FrameError> {
    let entrypoint = written.entrypoint;
    let Owing { items, to } = owing;
    let kind = match (parts_of(written.kind, stream, function, stub, bytes_max), to) {
        (Ok(Kind::Fetch(request)), Waiting::Response(reply)) => EventKind::Fetch {
            request,
            info: RequestInfo::default(),
            reply,
        },
        (Ok(Kind::Call { function, arguments }), Waiting::Value(reply)) => EventKind::Call {
            function,
            arguments,
            reply,
        },
        (
            Ok(Kind::Handler {
                handler,
                script,
                mut input,
            }),
            Waiting::Value(reply),
        ) => {
            input.items = items;
            EventKind::Handler {
                handler: handler.into(),
                script: script.map(Into::into),
                input: *input,
                reply,
            }
        }
        (Ok(Kind::Rpc(call)), Waiting::Value(reply)) => EventKind::handler(*call, reply),
        (made, to) => {
            let other = || FrameError::invalid("kind", "it is not the event that is waited for");
            let error = made.err().unwrap_or_else(other);
            to.fail(Fault::new(FaultKind::Exception, error.to_string()));
            return Err(error);
        }
    };
    Ok(Event { entrypoint, kind })
}

/// An event without its reply channel.
enum Kind {
    Fetch(Box<Request<Body>>),
    Call {
        function: String,
        arguments: Arguments,
    },
    Handler {
        handler: String,
        script: Option<String>,
        input: Box<Input>,
    },
    Rpc(Box<RpcCall>),
}

fn parts_of(
    written: WrittenKind,
    stream: impl FnMut(u32) -> Option<Body>,
    function: impl FnMut(u32) -> Option<NativeFunction>,
    mut stub: impl FnMut(u32) -> Option<Arc<dyn Lent>>,
    bytes_max: usize,
) -> Result<Kind, FrameError> {
    let mut parts = Parts { stream, function };
    Ok(match written {
        WrittenKind::Fetch {
            method,
            uri,
            url,
            headers,
            cf,
            depth,
            caller,
            body,
        } => {
            let mut request = Request::new(body_of(body, &mut parts.stream)?);
            *request.method_mut() =
                Method::from_bytes(method.as_bytes()).map_err(|error| FrameError::invalid("method", error))?;
            *request.uri_mut() = uri.parse::<Uri>().map_err(|error| FrameError::invalid("URI", error))?;
            *request.headers_mut() = headers_of(headers)?;
            let extensions = request.extensions_mut();
            url.map(|url| extensions.insert(RequestUrl(url)));
            cf.map(|cf| extensions.insert(cf_of(cf)));
            depth.map(|depth| extensions.insert(CallDepth(depth)));
            if let Some(caller) = caller {
                extensions.insert(caller_of(caller, bytes_max)?);
            }
            Kind::Fetch(Box::new(request))
        }
        WrittenKind::Call {
            function, arguments, ..
        } => Kind::Call {
            function,
            arguments: parts.arguments(arguments)?,
        },
        WrittenKind::Handler {
            handler,
            script,
            arguments,
            data,
            depth,
            message,
            caller,
            attachment,
            takes_any: _,
            has_items: _,
        } => {
            let mut input = Input::from_arguments(parts.arguments(arguments)?);
            input.data = data_of(data, bytes_max)?;
            input.origin = Origin { depth, message };
            let caller = caller.map(|caller| caller_of(caller, bytes_max)).transpose()?;
            input.caller = caller.map(Box::new);
            if let Some(bytes) = attachment {
                let lent = stub(0).ok_or_else(|| FrameError::invalid("attachment", "nothing goes with it"))?;
                let bytes = bytes.into_vec().into();
                input.attachment = Some(Box::new(Crossed { bytes, lent }));
                // It may go on to yet another process.
                input.cross = Some(|attachment, crossing| {
                    let crossed = *attachment.downcast::<Crossed>().ok()?;
                    let again = crossed.lent.cross_again(crossing);
                    Some(again.map_or(crossed, |(bytes, lent)| Crossed { bytes, lent }))
                });
            }
            Kind::Handler {
                handler,
                script,
                input: Box::new(input),
            }
        }
        WrittenKind::Rpc { message, caller } => {
            let mut call = RpcCall::new(message_of(message, &mut parts.stream, &mut stub, bytes_max)?);
            if let Some(caller) = caller {
                call = call.by(caller_of(caller, bytes_max)?);
            }
            Kind::Rpc(Box::new(call))
        }
    })
}

struct Parts<S, F> {
    stream: S,
    function: F,
}

impl<S: FnMut(u32) -> Option<Body>, F: FnMut(u32) -> Option<NativeFunction>> Parts<S, F> {
    fn arguments(&mut self, written: WrittenArguments) -> Result<Arguments, FrameError> {
        match written {
            WrittenArguments::Whole(whole) => match self.argument(whole)? {
                Argument::Value(value) => Ok(Arguments::whole(value)),
                other => Ok(Arguments::new().with(other)),
            },
            WrittenArguments::Each(each) => each.into_iter().try_fold(Arguments::new(), |arguments, written| {
                Ok(arguments.with(self.argument(written)?))
            }),
        }
    }

    fn argument(&mut self, written: WrittenArgument) -> Result<Argument, FrameError> {
        Ok(match written {
            WrittenArgument::Value(bytes) => Argument::Value(Box::new(Encoded::from_bytes(bytes.into()))),
            WrittenArgument::Failed(why) => Argument::Value(Box::new(Failed(why))),
            WrittenArgument::Stream(body) => Argument::Stream(body_of(body, &mut self.stream)?),
            WrittenArgument::Function(number) => {
                let function = (self.function)(number);
                Argument::Function(function.ok_or_else(|| FrameError::invalid("function", number))?)
            }
        })
    }
}

/// A value that could not be encoded: the event fails with the same error as in the caller's process.
struct Failed(String);

impl ToScript for Failed {
    fn to_script<'s>(&mut self, _scope: &mut v8::PinScope<'s, '_>) -> Result<v8::Local<'s, v8::Value>, ValueError> {
        Err(ValueError::Internal(std::mem::take(&mut self.0)))
    }
}
