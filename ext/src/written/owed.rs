//! The two ends of what a worker owes the caller of an event: the one that the event gets, and the one that the transport reads.

use std::sync::Arc;

use deno_core::v8;
use futures::channel::oneshot;
use http::Response;
use tokio::sync::mpsc;

use super::bodies::Sent;
use super::frame::{WrittenAnswer, WrittenEvent, WrittenItem, WrittenKind};
use super::message::written_message;
use super::parts::{written_headers, written_item};
use crate::bindings::Lent;
use crate::event::{Body, Fault, FaultKind, Reply, TaskItem, own_reason};
use crate::native::{WithFunctions, lent};
use crate::rpc::RpcMessage;
use crate::values::{Answer, Encoded, FromScript, ValueError, answer};
use crate::websocket::Upgrade;

/// Items of a task that wait for the transport.
const ITEMS_WAITING_MAX: usize = 1;

/// The callers, or the transport in their place, that an event made of its written form answers.
pub struct Owing {
    pub(super) items: Option<mpsc::Sender<TaskItem>>,
    pub(super) to: Waiting,
}

/// The caller of an event, or the transport in its place.
pub(super) enum Waiting {
    Response(Reply<Response<Body>>),
    Value(Box<dyn Answer>),
}

impl Waiting {
    pub(super) fn fail(self, fault: Fault) {
        match self {
            Self::Response(reply) => drop(reply.send(Err(fault))),
            Self::Value(reply) => reply.fail(fault),
        }
    }
}

/// Returns the two ends of what is owed for an event. It need not have been made yet: see [`import_to`](super::import_to).
#[must_use]
pub fn owe(event: &WrittenEvent) -> (Owing, Owed) {
    let mut items = (None, None);
    let (to, answer) = match &event.kind {
        WrittenKind::Fetch { .. } => {
            let (reply, response) = oneshot::channel();
            (Waiting::Response(reply), Pending::Response(response))
        }
        WrittenKind::Call { takes_any, .. } => encoding(*takes_any),
        WrittenKind::Handler {
            takes_any, has_items, ..
        } => {
            if *has_items {
                let (sender, receiver) = mpsc::channel(ITEMS_WAITING_MAX);
                items = (Some(sender), Some(receiver));
            }
            encoding(*takes_any)
        }
        WrittenKind::Rpc { .. } => {
            let (reply, message) = answer::<RpcMessage>();
            (Waiting::Value(reply), Pending::Message(message))
        }
    };
    let owing = Owing { items: items.0, to };
    (owing, Owed { items: items.1, answer })
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
    Value(WithFunctions),
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
                Given::Value(WithFunctions { value, functions }) => {
                    stubs = lent(functions);
                    WrittenAnswer::Value(value.into_bytes().into())
                }
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

fn encoding(takes_any: bool) -> (Waiting, Pending) {
    let (to, given) = oneshot::channel();
    (
        Waiting::Value(Box::new(Encoding { to, takes_any })),
        Pending::Value(given),
    )
}

impl Answer for Encoding {
    fn give<'s>(
        self: Box<Self>,
        scope: &mut v8::PinScope<'s, '_>,
        value: v8::Local<'s, v8::Value>,
    ) -> Result<(), ValueError> {
        let encoded = match self.takes_any {
            true => Encoded::of(&()).map(WithFunctions::from),
            false => WithFunctions::from_script(scope, value),
        };
        match encoded {
            Ok(value) => {
                drop(self.to.send(Given::Value(value)));
                Ok(())
            }
            Err(error) => {
                self.fail(Fault::new(FaultKind::Exception, error.to_string()));
                Err(error)
            }
        }
    }

    fn give_encoded(self: Box<Self>, value: Encoded, _bytes_max: usize) -> Result<(), ValueError> {
        drop(self.to.send(Given::Value(value.into())));
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
