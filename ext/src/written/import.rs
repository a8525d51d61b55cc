//! The worker's side of an event.

use std::sync::Arc;

use deno_core::v8;
use futures::channel::oneshot;
use http::{Method, Request, Response, Uri};
use tokio::sync::mpsc;

use super::bodies::{Sent, body_of};
use super::frame::{
    FrameError, WrittenAnswer, WrittenArgument, WrittenArguments, WrittenEvent, WrittenItem, WrittenKind,
};
use super::message::{message_of, written_message};
use super::parts::{caller_of, cf_of, data_of, headers_of, written_headers, written_item};
use crate::bindings::{Crossed, Lent};
use crate::event::{Body, CallDepth, Fault, FaultKind, Origin, RequestInfo, RequestUrl, TaskItem, own_reason};
use crate::handlers::{Event, EventKind, Input};
use crate::rpc::{RpcCall, RpcMessage};
use crate::values::{Answer, Argument, Arguments, Encoded, FromScript, NativeFunction, ToScript, ValueError, answer};
use crate::websocket::Upgrade;

/// Items of a task that wait for the transport.
const ITEMS_WAITING_MAX: usize = 1;

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
    mut stub: impl FnMut(u32) -> Option<Arc<dyn Lent>>,
    bytes_max: usize,
) -> Result<(Event, Owed), FrameError> {
    let mut parts = Parts { stream, function };
    let mut items = None;
    let (kind, answer) = match written.kind {
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
            let (reply, response) = oneshot::channel();
            let request = Box::new(request);
            let info = RequestInfo::default();
            (EventKind::Fetch { request, info, reply }, Pending::Response(response))
        }
        WrittenKind::Call {
            function,
            arguments,
            takes_any,
        } => {
            let (reply, answer) = encoding(takes_any);
            let kind = EventKind::Call {
                function,
                arguments: parts.arguments(arguments)?,
                reply,
            };
            (kind, answer)
        }
        WrittenKind::Handler {
            handler,
            script,
            arguments,
            takes_any,
            has_items,
            data,
            depth,
            message,
            caller,
            attachment,
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
            }
            if has_items {
                let (sender, receiver) = mpsc::channel(ITEMS_WAITING_MAX);
                input.items = Some(sender);
                items = Some(receiver);
            }
            let (reply, answer) = encoding(takes_any);
            let kind = EventKind::Handler {
                handler: handler.into(),
                script: script.map(Into::into),
                input,
                reply,
            };
            (kind, answer)
        }
        WrittenKind::Rpc { message, caller } => {
            let mut call = RpcCall::new(message_of(message, &mut parts.stream, &mut stub, bytes_max)?);
            if let Some(caller) = caller {
                call = call.by(caller_of(caller, bytes_max)?);
            }
            let (reply, message) = answer::<RpcMessage>();
            (EventKind::handler(call, reply), Pending::Message(message))
        }
    };
    let event = Event {
        entrypoint: written.entrypoint,
        kind,
    };
    Ok((event, Owed { items, answer }))
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

/// The items and the answer that a worker owes the caller of an event.
pub struct Owed {
    items: Option<mpsc::Receiver<TaskItem>>,
    answer: Pending,
}

/// An answer, with the streams and the socket that the transport carries.
pub struct Answered {
    /// Its written form.
    pub answer: WrittenAnswer,
    /// The bodies that are streams, by number.
    pub bodies: Vec<Body>,
    /// The functions and objects of the script, by number.
    pub stubs: Vec<Arc<dyn Lent>>,
    /// The WebSocket that the response is.
    pub socket: Option<Upgrade>,
}

enum Pending {
    Response(oneshot::Receiver<Result<Response<Body>, Fault>>),
    Value(oneshot::Receiver<Given>),
    Message(oneshot::Receiver<Result<RpcMessage, Fault>>),
}

/// The answer of a script that gives a value.
enum Given {
    Value(Encoded),
    Stream(Body),
    Failed(Fault),
}

impl Owed {
    /// Waits for the next item of a task. `None`: there are no more, and the answer is next.
    pub async fn item(&mut self) -> Option<WrittenItem> {
        let items = self.items.as_mut()?;
        // It comes from a script, so no part of it is deeper than can be encoded.
        while let Some(item) = items.recv().await {
            if let Ok(item) = written_item(item) {
                return Some(item);
            }
        }
        None
    }

    /// Notifies the script that the caller accepts no more items.
    pub fn close_items(&mut self) {
        self.items = None;
    }

    /// Waits for the answer. `None`: the worker was lost.
    pub async fn answer(self) -> Option<Answered> {
        let mut sent = Sent::default();
        let (mut socket, mut stubs) = (None, Vec::new());
        let failed = |fault: &Fault| WrittenAnswer::Failed(fault.into());
        let answer = match self.answer {
            Pending::Response(response) => match response.await.ok()? {
                Ok(response) => {
                    let (mut head, body) = response.into_parts();
                    socket = head.extensions.remove::<Upgrade>();
                    WrittenAnswer::Response {
                        status: head.status.as_u16(),
                        reason: own_reason(&head.extensions).unwrap_or_default().to_vec(),
                        headers: written_headers(&head.headers),
                        body: sent.add(body),
                        has_socket: socket.is_some(),
                    }
                }
                Err(fault) => failed(&fault),
            },
            Pending::Value(value) => match value.await.ok()? {
                Given::Value(value) => WrittenAnswer::Value(value.into_bytes().into()),
                Given::Stream(body) => WrittenAnswer::Stream(sent.add(body)),
                Given::Failed(fault) => failed(&fault),
            },
            Pending::Message(message) => match message.await.ok()? {
                Ok(message) => WrittenAnswer::Message(written_message(message, &mut sent, &mut stubs)),
                Err(fault) => failed(&fault),
            },
        };
        Some(Answered {
            answer,
            bodies: sent.0,
            stubs,
            socket,
        })
    }
}

/// Encodes the value that a script gives.
struct Encoding {
    to: oneshot::Sender<Given>,
    /// The caller takes any value, and so it gets none.
    takes_any: bool,
}

fn encoding(takes_any: bool) -> (Box<dyn Answer>, Pending) {
    let (to, given) = oneshot::channel();
    (Box::new(Encoding { to, takes_any }), Pending::Value(given))
}

impl Answer for Encoding {
    fn give<'s>(
        self: Box<Self>,
        scope: &mut v8::PinScope<'s, '_>,
        value: v8::Local<'s, v8::Value>,
    ) -> Result<(), ValueError> {
        let encoded = match self.takes_any {
            true => Encoded::of(&()),
            false => Encoded::from_script(scope, value),
        };
        match encoded {
            Ok(value) => self.give_encoded(value, usize::MAX),
            Err(error) => {
                self.fail(Fault::new(FaultKind::Exception, error.to_string()));
                Err(error)
            }
        }
    }

    fn give_encoded(self: Box<Self>, value: Encoded, _bytes_max: usize) -> Result<(), ValueError> {
        drop(self.to.send(Given::Value(value)));
        Ok(())
    }

    fn takes_any(&self) -> bool {
        self.takes_any
    }

    fn stream(self: Box<Self>, body: Body) -> Result<(), ValueError> {
        drop(self.to.send(Given::Stream(body)));
        Ok(())
    }

    fn fail(self: Box<Self>, fault: Fault) {
        drop(self.to.send(Given::Failed(fault)));
    }
}
