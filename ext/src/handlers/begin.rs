//! Splits an event into its entry in the table of open events, and the call of its handler.

use std::borrow::Cow;

use http::request::Parts;
use http::{HeaderName, HeaderValue};

use super::event::{Event, EventKind};
use crate::event::{CallDepth, Caller, EventKey, Opening, RequestUrl, Waiting};
use crate::values::{Arguments, Events};

/// The header with the id of a request, for logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The call of the JavaScript side that begins an event.
pub enum Begin {
    /// An HTTP request.
    Fetch {
        /// The method.
        method: http::Method,
        /// The absolute URL.
        url: String,
        /// True if there is a body to read.
        has_body: bool,
    },
    /// A call with its arguments.
    Call(String, Arguments),
    /// Any other handler.
    Handler {
        /// Its name.
        handler: Cow<'static, str>,
        /// The script that contains its row on the JavaScript side.
        script: Option<Cow<'static, str>>,
        /// The arguments of the row.
        arguments: Arguments,
    },
}

impl Events {
    /// Opens an event. Returns its key, its entry point, and the call of the JavaScript side.
    pub fn accept(&mut self, event: Event) -> (EventKey, Option<String>, Begin) {
        let (opening, begin) = match event.kind {
            EventKind::Fetch { request, reply } => {
                let (mut head, body) = request.into_parts();
                let has_body = !http_body::Body::is_end_stream(&body);
                let url = head
                    .extensions
                    .remove::<RequestUrl>()
                    .map_or_else(|| head.uri.to_string(), |url| url.0);
                let begin = Begin::Fetch {
                    method: head.method.clone(),
                    url,
                    has_body,
                };
                let mut opening = Opening::new(Waiting::Response(reply));
                opening.origin.depth = head.extensions.remove::<CallDepth>().map_or(0, |depth| depth.0);
                opening.head = Some(head);
                opening.body = has_body.then_some(body);
                (opening, begin)
            }
            EventKind::Call {
                function,
                arguments,
                reply,
            } => (Opening::new(Waiting::Value(reply)), Begin::Call(function, arguments)),
            EventKind::Handler {
                handler,
                script,
                input,
                reply,
            } => {
                let opening = Opening {
                    items: input.items,
                    data: input.data,
                    origin: input.origin,
                    head: input.caller.map(head_of),
                    ..Opening::new(Waiting::Value(reply))
                };
                let begin = Begin::Handler {
                    handler,
                    script,
                    arguments: input.arguments,
                };
                (opening, begin)
            }
        };
        (self.insert(opening), event.entrypoint, begin)
    }
}

/// The head by which logs, limits and further calls know the caller of an event that is not a request.
fn head_of(caller: Caller) -> Parts {
    let (mut head, ()) = http::Request::new(()).into_parts();
    let id = caller
        .request_id
        .as_deref()
        .and_then(|id| HeaderValue::from_str(id).ok());
    if let Some(id) = id {
        head.headers.insert(REQUEST_ID, id);
    }
    head.extensions.insert(caller);
    head
}
