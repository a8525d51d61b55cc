//! Requests and calls to a worker.

use futures::channel::oneshot;
use isopod_runtime::handlers::{Body, CallDepth, Event, EventKind, RequestInfo};
use isopod_runtime::values::{FromScript, IntoArguments, answer};
use isopod_runtime::websocket::Upgrade;

use super::answer::{Answered, wait};
use super::body::hold;
use super::socket::{Closes, SocketGuard};
use crate::{Failure, Meta, Ticket, WorkerHandle};

/// A request that was accepted. Dropping it cancels the event.
pub(super) struct PendingRequest {
    answer: Answered<http::Response<Body>>,
    ticket: Ticket,
}

impl PendingRequest {
    /// Returns the worker, if it got the request at once.
    pub(super) fn worker(&self) -> Option<WorkerHandle> {
        self.ticket.worker().cloned()
    }

    /// Waits for the response. `session` is the session of the request, which a WebSocket keeps open.
    pub(super) async fn response(self, session: Option<Closes>) -> Result<http::Response<Body>, Failure> {
        let (response, ticket) = wait(self.answer, self.ticket).await?;
        Ok(match response.extensions().get::<Upgrade>().cloned() {
            Some(upgrade) => {
                upgrade.attach(Box::new(SocketGuard::new(ticket, session)));
                response
            }
            None => response.map(|body| hold(body, ticket)),
        })
    }
}

/// Dispatches a request. The depth of the event is that of `meta` or of the request's [`CallDepth`], whichever is greater.
pub(super) fn begin(
    name: &str,
    mut request: http::Request<Body>,
    info: RequestInfo,
    mut meta: Meta,
    dispatch: impl FnOnce(&str, Event, Meta) -> Result<Ticket, Failure>,
) -> Result<PendingRequest, Failure> {
    let depth = request.extensions().get::<CallDepth>().map_or(0, |depth| depth.0);
    meta.depth = meta.depth.max(depth);
    if meta.depth > depth {
        request.extensions_mut().insert(CallDepth(meta.depth));
    }
    let (reply, answer) = oneshot::channel();
    let request = Box::new(request);
    let (name, event) = event(name, EventKind::Fetch { request, info, reply });
    let ticket = dispatch(name, event, meta)?;
    Ok(PendingRequest { answer, ticket })
}

/// Creates the call of a function, and the receiver of its value.
pub(super) fn call<R: FromScript>(function: &str, arguments: impl IntoArguments) -> (EventKind, Answered<R>) {
    let (reply, answer) = answer::<R>();
    let call = EventKind::Call {
        function: function.to_owned(),
        arguments: arguments.into_arguments(),
        reply,
    };
    (call, answer)
}

/// Returns the script of a name, and its event for the entry point that the name may select.
pub(super) fn event(name: &str, kind: EventKind) -> (&str, Event) {
    let (name, entrypoint) = match name.split_once('#') {
        Some((name, entrypoint)) => (name, Some(entrypoint.to_owned())),
        None => (name, None),
    };
    (name, Event { entrypoint, kind })
}

/// Returns the script that a name selects.
pub(super) fn script(name: &str) -> &str {
    name.split_once('#').map_or(name, |(script, _)| script)
}
