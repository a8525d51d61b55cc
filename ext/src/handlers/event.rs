//! What a script can be asked to handle, and how it answers.

use std::borrow::Cow;
use std::fmt;

use super::input::{HandlerInput, Input};
use crate::event::{Body, Fault, Reply};
use crate::values::{Answer, Arguments};

/// One thing a worker is asked to handle, with the place its answer goes to.
#[derive(Debug)]
pub struct Event {
    /// The named entry point; `None` is the default export.
    pub entrypoint: Option<String>,
    /// What is asked.
    pub kind: EventKind,
}

/// The kinds of event, each with its payload and its reply.
pub enum EventKind {
    /// An HTTP request, for the `fetch` handler.
    Fetch {
        /// The request. Its URI must be absolute: scripts see it as `request.url`.
        request: Box<http::Request<Body>>,
        /// Where the response goes.
        reply: Reply<http::Response<Body>>,
    },
    /// A call of an exported function or method.
    Call {
        /// Its name.
        function: String,
        /// Its arguments.
        arguments: Arguments,
        /// Where the value it returns goes (`null` for `undefined`).
        reply: Box<dyn Answer>,
    },
    /// An event for any other handler: `task`, `message`, `scheduled`, `queue`. Made by [`EventKind::handler`].
    Handler {
        /// The name of the handler.
        handler: Cow<'static, str>,
        /// The script with the JavaScript side of the handler: see [`HandlerInput::SCRIPT`].
        script: Option<Cow<'static, str>>,
        /// What it is called with.
        input: Input,
        /// Where the value goes that the handler answers with.
        reply: Box<dyn Answer>,
    },
}

impl EventKind {
    /// An event for the handler that takes this.
    pub fn handler<I: HandlerInput>(input: I, reply: Box<dyn Answer>) -> Self {
        Self::Handler {
            handler: I::HANDLER.into(),
            script: I::SCRIPT.map(Into::into),
            input: input.into_input(),
            reply,
        }
    }

    /// The name of the handler it is for; for a call, of the function.
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
    /// Answers the caller with a fault, without a script having seen the event.
    pub fn fail(self, fault: Fault) {
        match self.kind {
            // A caller that left does not want to know.
            EventKind::Fetch { reply, .. } => drop(reply.send(Err(fault))),
            EventKind::Call { reply, .. } | EventKind::Handler { reply, .. } => reply.fail(fault),
        }
    }
}
