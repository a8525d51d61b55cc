//! The pool as a fetcher: requests of workers to workers.

use std::fmt;
use std::sync::Arc;

use isopod_runtime::fetcher::{FetchFuture, Fetcher};
use isopod_runtime::handlers::{Body, Caller};

use super::engine::{JsEngine, ScriptEngine};
use super::request;
use crate::{Failure, Meta, Outcome, WeakPool};

/// Requests to the script that is deployed under a name. Created by [`Pool::fetcher`](super::Pool::fetcher).
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
        let pool = &self.pool;
        let asked = request::begin(&self.name, request, meta, |name, event, meta| {
            let dispatched = pool.dispatch(name, event, meta);
            dispatched.map_err(|rejected| rejected.reason.into())
        });
        let worker = Arc::clone(&self.name);
        Box::pin(async move {
            let response = async { asked?.response(None).await };
            response.await.inspect_err(|failure| log(failure, &worker, &caller))
        })
    }
}

/// Logs details that the caller does not get: in production only the log has the stack.
fn log(failure: &Failure, worker: &str, caller: &Caller) {
    let (outcome, request) = (
        failure.outcome.as_str(),
        caller.request_id.as_deref().unwrap_or_default(),
    );
    let text = failure.detail.as_ref().unwrap_or(&failure.message);
    match failure.outcome {
        // Under overload a line for each would be a load of its own, and a caller that left is no fault.
        Outcome::Ok | Outcome::Canceled | Outcome::LoadShed => {}
        _ => tracing::error!(target: "isopod::worker", worker, caller = &*caller.worker, outcome, request, "{text}"),
    }
}

impl<E: ScriptEngine> fmt::Debug for WorkerFetcher<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("WorkerFetcher").field(&self.name).finish()
    }
}
