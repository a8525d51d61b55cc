//! The side of an event that waits for the answer.

use std::borrow::Cow;
use std::sync::Arc;

use http::{Response, StatusCode};
use tokio::sync::mpsc;

use super::bodies::{Sent, body_of};
use super::frame::{
    FrameError, WrittenAnswer, WrittenArgument, WrittenArguments, WrittenEvent, WrittenItem, WrittenKind,
};
use super::import::import_to;
use super::message::{message_of, written_message};
use super::owed::{Owing, Waiting};
use super::parts::{item_of, response_headers_of, written_caller, written_cf, written_data, written_headers};
use crate::bindings::{Crossing, Lent};
use crate::event::{Body, CallDepth, Caller, Fault, FaultKind, RequestCf, RequestUrl, TaskItem, set_reason};
use crate::handlers::{Event, EventKind, HandlerInput as _};
use crate::native::{borrowed, passing};
use crate::rpc::{RpcCall, RpcMessage};
use crate::values::{Argument, Arguments, Encoded, NativeFunction, ToScript, ValueError, encoded};
use crate::websocket::Upgrade;

/// An event in written form, with the parts that go with it.
pub struct Exported {
    /// Its written form.
    pub event: WrittenEvent,
    /// The bodies that are streams, by number.
    pub bodies: Vec<Body>,
    /// The functions, by number.
    pub functions: Vec<NativeFunction>,
    /// The functions and objects of the script that made a call between workers, by number.
    pub stubs: Vec<Arc<dyn Lent>>,
    /// The side that waits for the answer.
    pub recipient: Recipient,
}

/// Separates an event into its written form, the parts that go with it, and the recipient of its answer.
///
/// # Errors
/// The data of a message cannot be encoded. The caller has received the error.
pub fn export(event: Event) -> Result<Exported, ValueError> {
    export_to(event, &Crossing::default())
}

/// As [`export`], for a worker whose process is described by `crossing`.
///
/// # Errors
/// As [`export`].
pub fn export_to(event: Event, crossing: &Crossing) -> Result<Exported, ValueError> {
    let mut parts = Parts::default();
    let (kind, recipient) = match event.kind {
        EventKind::Fetch { request, info, reply } => {
            let (mut head, body) = request.into_parts();
            if let Some(id) = info.id {
                head.headers.insert("x-request-id", id);
            }
            let url = info.url.or_else(|| Some(head.extensions.remove::<RequestUrl>()?.0));
            let cf = info.cf.or_else(|| head.extensions.remove::<RequestCf>());
            let kind = WrittenKind::Fetch {
                method: head.method.to_string(),
                uri: head.uri.to_string(),
                url,
                headers: written_headers(&head.headers),
                cf: cf.map(written_cf),
                depth: head.extensions.remove::<CallDepth>().map(|depth| depth.0),
                caller: head.extensions.remove::<Caller>().map(written_caller),
                body: parts.sent.add(body),
            };
            (kind, Recipient::new(Waiting::Response(reply)))
        }
        EventKind::Call {
            function,
            arguments,
            reply,
        } => {
            let kind = WrittenKind::Call {
                function,
                arguments: parts.arguments(arguments),
                takes_any: reply.takes_any(),
            };
            (kind, Recipient::new(Waiting::Value(reply)))
        }
        EventKind::Handler {
            handler, input, reply, ..
        } if handler == RpcCall::HANDLER => {
            let message = input.arguments.into_whole().ok().and_then(|mut whole| {
                let message = whole.as_any()?.downcast_mut::<RpcMessage>();
                message.map(std::mem::take)
            });
            let Some(message) = message else {
                let error = ValueError::Internal("a call between workers has a message".to_owned());
                reply.fail(Fault::new(FaultKind::Exception, error.to_string()));
                return Err(error);
            };
            let kind = WrittenKind::Rpc {
                message: written_message(message, &mut parts.sent, &mut parts.stubs),
                caller: input.caller.map(|caller| written_caller(*caller)),
            };
            (kind, Recipient::new(Waiting::Value(reply)))
        }
        EventKind::Handler {
            handler,
            script,
            input,
            reply,
        } => {
            let crossed = input
                .attachment
                .zip(input.cross)
                .and_then(|(value, cross)| cross(value, crossing));
            let attachment = crossed.map(|crossed| {
                parts.stubs.push(crossed.lent);
                serde_bytes::ByteBuf::from(Vec::from(crossed.bytes))
            });
            let data = match written_data(input.data) {
                Ok(data) => data,
                Err(error) => {
                    reply.fail(Fault::new(FaultKind::Exception, error.to_string()));
                    return Err(error);
                }
            };
            let kind = WrittenKind::Handler {
                handler: handler.into_owned(),
                script: script.map(Cow::into_owned),
                arguments: parts.arguments(input.arguments),
                takes_any: reply.takes_any(),
                has_items: input.items.is_some(),
                data,
                depth: input.origin.depth,
                message: input.origin.message,
                caller: input.caller.map(|caller| written_caller(*caller)),
                attachment,
            };
            let recipient = Recipient {
                items: input.items,
                ..Recipient::new(Waiting::Value(reply))
            };
            (kind, recipient)
        }
    };
    let event = WrittenEvent {
        entrypoint: event.entrypoint,
        kind,
    };
    Ok(Exported {
        event,
        bodies: parts.sent.0,
        functions: parts.functions,
        stubs: parts.stubs,
        recipient,
    })
}

impl Exported {
    /// Makes the event again, which answers the same caller: for one that was not begun where it was sent. The parts of a
    /// message's data may count `bytes_max`.
    ///
    /// # Errors
    /// A part is missing. The caller has received the error.
    pub fn restore(self, bytes_max: usize) -> Result<Event, FrameError> {
        let Recipient { waiting, items } = self.recipient;
        let mut bodies: Vec<_> = self.bodies.into_iter().map(Some).collect();
        let mut stubs: Vec<_> = self.stubs.into_iter().map(Some).collect();
        let functions = self.functions;
        import_to(
            Owing { items, to: waiting },
            self.event,
            |number| bodies.get_mut(number as usize)?.take(),
            |number| functions.get(number as usize).cloned(),
            |number| stubs.get_mut(number as usize)?.take(),
            bytes_max,
        )
    }
}

#[derive(Default)]
struct Parts {
    sent: Sent,
    functions: Vec<NativeFunction>,
    stubs: Vec<Arc<dyn Lent>>,
}

impl Parts {
    fn arguments(&mut self, arguments: Arguments) -> WrittenArguments {
        match arguments.into_whole() {
            Ok(whole) => WrittenArguments::Whole(value(whole)),
            Err(each) => WrittenArguments::Each(each.into_iter().map(|argument| self.argument(argument)).collect()),
        }
    }

    fn argument(&mut self, argument: Argument) -> WrittenArgument {
        match argument {
            Argument::Value(whole) => value(whole),
            Argument::Stream(body) => WrittenArgument::Stream(self.sent.add(body)),
            Argument::Function(function) => {
                self.functions.push(function);
                #[expect(clippy::cast_possible_truncation, reason = "there are as many as arguments")]
                WrittenArgument::Function((self.functions.len() - 1) as u32)
            }
        }
    }
}

fn value(value: Box<dyn ToScript>) -> WrittenArgument {
    match encoded(value) {
        Ok(value) => WrittenArgument::Value(value.into_bytes().into()),
        Err(error) => WrittenArgument::Failed(error.to_string()),
    }
}

/// The side of an event that waits for its answer. Dropped without one, the event is lost.
pub struct Recipient {
    waiting: Waiting,
    items: Option<mpsc::Sender<TaskItem>>,
}

/// The reason why a caller did not get its answer. The caller has received it.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AnswerError {
    /// The answer does not have the type that the caller expects: the event ends with an exception.
    #[error(transparent)]
    Value(#[from] ValueError),
    /// The other side sent an answer of another kind of event.
    #[error(transparent)]
    Frame(#[from] FrameError),
}

impl Recipient {
    fn new(waiting: Waiting) -> Self {
        Self { waiting, items: None }
    }

    /// Passes on an item of a task; waits while the caller is slow. `false`: the caller accepts no more.
    ///
    /// # Errors
    /// The item is invalid.
    pub async fn item(&mut self, item: WrittenItem, bytes_max: usize) -> Result<bool, FrameError> {
        let item = item_of(item, bytes_max)?;
        Ok(match &self.items {
            Some(items) => items.send(item).await.is_ok(),
            None => false,
        })
    }

    /// Answers the caller. `stream` and `stub` return the transport's body and stand-in by number; `socket` is its end of
    /// the response's WebSocket. A value may have `bytes_max` bytes.
    ///
    /// # Errors
    /// [`AnswerError`].
    pub fn answer(
        self,
        answer: WrittenAnswer,
        mut stream: impl FnMut(u32) -> Option<Body>,
        mut stub: impl FnMut(u32) -> Option<Arc<dyn Lent>>,
        socket: Option<Upgrade>,
        bytes_max: usize,
    ) -> Result<(), AnswerError> {
        match (self.waiting, answer) {
            (waiting, WrittenAnswer::Failed(fault)) => {
                waiting.fail(fault.into());
                Ok(())
            }
            (Waiting::Value(reply), WrittenAnswer::Value(value)) => {
                let functions = borrowed((0..).map_while(stub), bytes_max);
                let value = Encoded::from_bytes(value.into());
                Ok(passing(functions, || reply.give_encoded(value, bytes_max))?)
            }
            (Waiting::Value(reply), WrittenAnswer::Message(message)) => {
                match message_of(message, &mut stream, &mut stub, bytes_max) {
                    Ok(message) => Ok(reply.give_any(Box::new(message))?),
                    Err(error) => Err(lost(Waiting::Value(reply), error)),
                }
            }
            (Waiting::Value(reply), WrittenAnswer::Stream(body)) => match body_of(body, &mut stream) {
                Ok(body) => Ok(reply.stream(body)?),
                Err(error) => Err(lost(Waiting::Value(reply), error)),
            },
            (
                Waiting::Response(reply),
                WrittenAnswer::Response {
                    status,
                    reason,
                    headers,
                    body,
                    has_socket,
                },
            ) => {
                let response = body_of(body, &mut stream).and_then(|body| {
                    let mut response = Response::new(body);
                    *response.status_mut() =
                        StatusCode::from_u16(status).map_err(|error| FrameError::invalid("status", error))?;
                    set_reason(&mut response, &reason).map_err(|error| FrameError::invalid("reason", error))?;
                    *response.headers_mut() = response_headers_of(headers)?;
                    if has_socket {
                        let socket = socket.ok_or_else(|| FrameError::invalid("socket", "it does not come with it"))?;
                        response.extensions_mut().insert(socket);
                    }
                    Ok(response)
                });
                match response {
                    // The caller may have left.
                    Ok(response) => {
                        drop(reply.send(Ok(response)));
                        Ok(())
                    }
                    Err(error) => Err(lost(Waiting::Response(reply), error)),
                }
            }
            (waiting, _) => Err(lost(
                waiting,
                FrameError::invalid("kind", "it answers an event of another kind"),
            )),
        }
    }

    /// Tells the caller that the event failed.
    pub fn fail(self, fault: Fault) {
        self.waiting.fail(fault);
    }
}

/// Tells the caller that an answer cannot be read.
fn lost(waiting: Waiting, error: FrameError) -> AnswerError {
    waiting.fail(Fault::new(FaultKind::WorkerLost, error.to_string()));
    error.into()
}
