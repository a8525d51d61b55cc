//! The pool as a fetcher, for requests between workers.

use std::fmt;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::FutureExt;
use isopod_runtime::fetcher::{FetchFuture, Fetcher, RpcFuture};
use isopod_runtime::handlers::{Body, Caller, EventKind, RequestInfo};
use isopod_runtime::rpc::{RpcCall, RpcMessage};
use isopod_runtime::values::answer;
use isopod_runtime::websocket::handshake::is_asked_for;

use super::answer::wait;
use super::engine::{JsEngine, ScriptEngine};
use super::request;
use super::session::Session;
use crate::{Failure, Meta, Outcome, Ticket, WeakPool};

/// A fetcher for the script that is deployed under a name. Created by [`Pool::fetcher`](super::Pool::fetcher).
pub struct WorkerFetcher<E: ScriptEngine = JsEngine> {
    pool: WeakPool<E>,
    name: Arc<str>,
}

impl<E: ScriptEngine> WorkerFetcher<E> {
    pub(super) const fn new(pool: WeakPool<E>, name: Arc<str>) -> Self {
        Self { pool, name }
    }
}

impl<E: ScriptEngine> Clone for WorkerFetcher<E> {
    fn clone(&self) -> Self {
        Self::new(self.pool.clone(), Arc::clone(&self.name))
    }
}

impl<E: ScriptEngine> Fetcher for WorkerFetcher<E> {
    fn fetch(&self, mut request: http::Request<Body>, caller: Caller) -> FetchFuture {
        let meta = Meta::default().deadline(caller.deadline).depth(caller.depth);
        request.extensions_mut().insert(caller.clone());
        let worker = Arc::clone(&self.name);
        if is_asked_for(request.headers()) {
            // The session keeps the worker for a WebSocket that it accepts, and otherwise ends with the response.
            let session = self.pool.open_session(request::script(&worker));
            return Box::pin(async move {
                let response = async { Session::new(session?, worker.clone()).fetch(request, meta).await };
                response.await.inspect_err(|failure| log(failure, &worker, &caller))
            });
        }
        let pool = &self.pool;
        let asked = request::begin(
            &self.name,
            request,
            RequestInfo::default(),
            meta,
            |name, event, meta| {
                let dispatched = pool.dispatch(name, event, meta);
                dispatched.map_err(|rejected| rejected.reason.into())
            },
        );
        Box::pin(async move {
            let response = async { asked?.response(None).await };
            response.await.inspect_err(|failure| log(failure, &worker, &caller))
        })
    }

    fn call(&self, call: RpcCall, caller: Caller) -> RpcFuture {
        let meta = Meta::default().deadline(caller.deadline).depth(caller.depth);
        let (reply, answer) = answer::<RpcMessage>();
        let (name, event) = request::event(&self.name, EventKind::handler(call.by(caller.clone()), reply));
        let dispatched = self.pool.dispatch(name, event, meta);
        let worker = Arc::clone(&self.name);
        Box::pin(async move {
            let result = async {
                let ticket = dispatched.map_err(|rejected| Failure::from(rejected.reason))?;
                let (message, ticket) = wait(answer, ticket).await?;
                if !message.has_parts() {
                    ticket.detach();
                    return Ok(message);
                }
                let held = Held::new(ticket);
                Ok(message.owned_by(poll_fn(move |cx| held.poll_lost(cx)).boxed()))
            };
            result.await.inspect_err(|failure| log(failure, &worker, &caller))
        })
    }
}

/// The ticket of an event whose answer has stubs. The event ends once they are disposed.
pub(super) struct Held(Option<Ticket>);

impl Held {
    pub(super) const fn new(ticket: Ticket) -> Self {
        Self(Some(ticket))
    }

    pub(super) fn poll_lost(&self, cx: &Context<'_>) -> Poll<Failure> {
        match &self.0 {
            Some(ticket) => ticket.poll_lost(cx),
            None => Poll::Pending,
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if let Some(ticket) = self.0.take() {
            ticket.detach();
        }
    }
}

/// Logs details that are withheld from the caller: in production only the log has the stack.
pub(super) fn log(failure: &Failure, worker: &str, caller: &Caller) {
    let (outcome, request) = (
        failure.outcome.as_str(),
        caller.request_id.as_deref().unwrap_or_default(),
    );
    let text = failure.detail.as_ref().unwrap_or(&failure.message);
    match failure.outcome {
        // A line per event would add load during overload, and a caller's disconnect is no fault.
        Outcome::Ok | Outcome::Canceled | Outcome::LoadShed => {}
        _ => tracing::error!(target: "isopod::worker", worker, caller = &*caller.worker, outcome, request, "{text}"),
    }
}

impl<E: ScriptEngine> fmt::Debug for WorkerFetcher<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerFetcher").field(&self.name).finish()
    }
}
