//! Events, and the channels for their answers.

use std::borrow::Cow;
use std::fmt;

use super::input::{HandlerInput, Input};
use crate::event::{Body, Fault, Reply, RequestInfo};
use crate::values::{Answer, Arguments};

/// An event, with the channel for its answer.
#[derive(Debug)]
pub struct Event {
    /// The named entry point; `None` is the default export.
    pub entrypoint: Option<String>,
    /// The kind of event.
    pub kind: EventKind,
}

/// The kinds of events, each with its payload and the channel for its answer.
pub enum EventKind {
    /// An HTTP request, for the `fetch` handler.
    Fetch {
        /// The request. Its URI must be absolute: scripts see it as `request.url`.
        request: Box<http::Request<Body>>,
        /// Its description by a server.
        info: RequestInfo,
        /// The channel for the response.
        reply: Reply<http::Response<Body>>,
    },
    /// A call of an exported function or method.
    Call {
        /// Its name.
        function: String,
        /// Its arguments.
        arguments: Arguments,
        /// The channel for the return value (`null` for `undefined`).
        reply: Box<dyn Answer>,
    },
    /// An event for any other handler: `task`, `message`, `scheduled`, `queue`. Created by [`EventKind::handler`].
    Handler {
        /// The name of the handler.
        handler: Cow<'static, str>,
        /// The script with the JavaScript side of the handler: see [`HandlerInput::SCRIPT`].
        script: Option<Cow<'static, str>>,
        /// The handler's input.
        input: Input,
        /// The channel for the handler's answer.
        reply: Box<dyn Answer>,
    },
}

impl EventKind {
    /// Creates an event for the handler of this input.
    pub fn handler<I: HandlerInput>(input: I, reply: Box<dyn Answer>) -> Self {
        Self::Handler {
            handler: I::HANDLER.into(),
            script: I::SCRIPT.map(Into::into),
            input: input.into_input(),
            reply,
        }
    }

    /// The name of the handler, or of the function for a call.
    pub fn name(&self) -> &str {
        match self {
            Self::Fetch { .. } => "fetch",
            Self::Call { function, .. } => function,
            Self::Handler { handler, .. } => handler,
        }
    }
}

impl fmt::Debug for EventKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EventKind")
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

impl Event {
    /// Answers the caller with a fault, without involving a script.
    pub fn fail(self, fault: Fault) {
        match self.kind {
            // The caller may have left.
            EventKind::Fetch { reply, .. } => drop(reply.send(Err(fault))),
            EventKind::Call { reply, .. } | EventKind::Handler { reply, .. } => reply.fail(fault),
        }
    }
}
