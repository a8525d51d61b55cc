//! Splits an event into its entry in the table of open events, and the call of its handler.

use std::borrow::Cow;

use http::{HeaderName, HeaderValue, Method};

use super::event::{Event, EventKind};
use crate::event::{Body, CallDepth, Caller, EventKey, Opening, RequestUrl, Waiting};
use crate::values::{Arguments, Events};

/// The header with the id of a request, for logs.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Methods that are passed to the JavaScript side as numbers, in the order of `METHODS` in `incoming.js`.
pub const COMMON_METHODS: [Method; 7] = [
    Method::GET,
    Method::HEAD,
    Method::POST,
    Method::PUT,
    Method::DELETE,
    Method::OPTIONS,
    Method::PATCH,
];

/// Up to this size, a body in memory is copied to a script in one piece: as `SMALL_BYTES` in `collect.js`, up to which no memory
/// is reserved.
const WHOLE_BYTES_MAX: usize = 64 << 10;

/// The call of the JavaScript side that begins an event.
pub enum Begin {
    /// An HTTP request.
    Fetch {
        /// The method.
        method: Method,
        /// The absolute URL.
        url: String,
        /// The length of a small body in memory. 0: there is none. -1: it has to be read as a stream.
        length: i32,
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
            EventKind::Fetch {
                mut request,
                info,
                reply,
            } => {
                let has_body = !http_body::Body::is_end_stream(request.body());
                let length = match request.body().as_bytes() {
                    #[expect(clippy::cast_possible_truncation, clippy::cast_possible_wrap, reason = "it is small")]
                    Some(bytes) if bytes.len() <= WHOLE_BYTES_MAX => bytes.len() as i32,
                    _ if has_body => -1,
                    _ => 0,
                };
                let url = info
                    .url
                    .or_else(|| Some(request.extensions_mut().remove::<RequestUrl>()?.0));
                let url = url.unwrap_or_else(|| request.uri().to_string());
                let begin = Begin::Fetch {
                    method: request.method().clone(),
                    url,
                    length,
                };
                let mut opening = Opening::new(Waiting::Response(reply));
                let depth = request.extensions_mut().remove::<CallDepth>();
                opening.origin.depth = depth.map_or(0, |depth| depth.0);
                opening.request = Some(request);
                opening.id = info.id;
                opening.cf = info.cf;
                opening.has_body = has_body;
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
                    request: input.caller.map(|caller| request_of(*caller)),
                    attachment: input.attachment,
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

/// The request that identifies the caller of an event that is not one itself, for logs, limits and further calls.
fn request_of(caller: Caller) -> Box<http::Request<Body>> {
    let mut request = Box::new(http::Request::new(Body::empty()));
    let id = caller
        .request_id
        .as_deref()
        .and_then(|id| HeaderValue::from_str(id).ok());
    if let Some(id) = id {
        request.headers_mut().insert(REQUEST_ID, id);
    }
    request.extensions_mut().insert(caller);
    request
}
