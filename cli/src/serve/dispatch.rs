//! Connects the HTTP server to the pool.

use std::task::{Context, Poll};

use http_body_util::BodyExt;
use isopod::server::{
    self, BoxError, Dispatch, Metric, MetricKind, MovableConnection, Readiness, RequestId, RequestMeta, ServerBody,
};
use isopod::{
    AttachedTask, Body, BodyError, Failure, Meta, Outcome, Pool, PoolStats, RequestCf, RequestInfo, RequestUrl,
    WorkerHandle, WorkerId,
};

use super::memory::resident_bytes;
use super::sites::Sites;

/// Answers requests with the pool's workers.
pub(super) struct Workers {
    pub(super) pool: Pool,
    /// The static assets of the workers, or those served without one.
    pub(super) sites: Sites,
}

impl Dispatch for Workers {
    async fn fetch(
        &self,
        worker: &str,
        mut request: http::Request<ServerBody>,
        meta: RequestMeta,
    ) -> Result<http::Response<ServerBody>, Failure> {
        if self.sites.has(worker) {
            let (head, body) = request.into_parts();
            let asked = http::Request::from_parts(head, ());
            // Boxed, so that requests without assets do not reserve memory for this future.
            let answer = Box::pin(self.sites.answer(worker, &asked)).await;
            if let Some(response) = answer.inspect_err(|failure| log(failure, worker, &meta.id))? {
                return Ok(response);
            }
            request = asked.map(|()| body);
        }
        let cf = cf(&meta, &request);
        let request = request.map(received);
        let limits = Meta::default().deadline(meta.deadline).depth(meta.depth);
        let id = meta.id;
        let response = if meta.opens_websocket {
            // The session lasts as long as the WebSocket, if the worker accepts it; else it ends here.
            match self.pool.open_session(worker) {
                Ok(session) => Box::pin(session.fetch(annotated(request, meta.url, cf, &id), limits)).await,
                Err(failure) => Err(failure),
            }
        } else {
            let near = meta.location.as_ref().and_then(|location| location.thread());
            let limits = limits.near(near.map(WorkerId::new));
            let info = RequestInfo::default().url(meta.url).cf(cf).id(id.as_header().clone());
            let (placed, response) = self.pool.fetch_placed(worker, request, info, limits).await;
            if let (Some(location), Some(placed)) = (&meta.location, placed) {
                location.answered_by(placed.id().get(), || {
                    placed.is_open().then(|| Box::new(Thread(placed.clone())) as _)
                });
            }
            response
        };
        let response = response.inspect_err(|failure| log(failure, worker, &id))?;
        Ok(response.map(|body| sent(body, worker, id)))
    }

    fn readiness(&self) -> Readiness {
        readiness(&self.pool)
    }

    fn stats(&self) -> Vec<Metric> {
        metrics(&self.pool.stats())
    }
}

/// Converts the body of a request for the pool.
fn received(body: ServerBody) -> Body {
    match body.into_bytes() {
        Ok(bytes) => bytes.into(),
        Err(stream) => Body::new(stream),
    }
}

/// Converts the body of a response for the server. The failure of a stream is logged.
fn sent(body: Body, worker: &str, id: RequestId) -> ServerBody {
    if let Some(bytes) = body.as_bytes() {
        return bytes.clone().into();
    }
    let worker = worker.to_owned();
    let told = move |error: BodyError| -> BoxError {
        let error = error.into_inner();
        if let Some(failure) = error.downcast_ref::<Failure>() {
            log(failure, &worker, &id);
        }
        error
    };
    ServerBody::new(body.map_err(told))
}

/// Adds URL, `cf` properties and request id to a request.
fn annotated(mut request: http::Request<Body>, url: String, cf: RequestCf, id: &RequestId) -> http::Request<Body> {
    request.extensions_mut().insert(RequestUrl(url));
    request.extensions_mut().insert(cf);
    request.headers_mut().insert("x-request-id", id.as_header().clone());
    request
}

/// The thread of a worker, to which connections can move.
struct Thread(WorkerHandle);

impl server::ConnectionThread for Thread {
    fn attach(self: Box<Self>, connection: MovableConnection) -> Result<(), MovableConnection> {
        self.0.attach(Attached(connection)).map_err(|connection| connection.0)
    }
}

/// A connection that is attached to a worker.
struct Attached(MovableConnection);

impl AttachedTask for Attached {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.0.poll(cx)
    }

    fn detach(self: Box<Self>) {
        self.0.return_to_server();
    }
}

/// Returns the `cf` properties of the client's connection, none behind a proxy.
fn cf(meta: &RequestMeta, request: &http::Request<ServerBody>) -> RequestCf {
    let mut cf = RequestCf::default();
    let accepted = request.headers().get(http::header::ACCEPT_ENCODING);
    cf.client_accept_encoding = accepted.and_then(|accepted| accepted.to_str().ok()).map(str::to_owned);
    if meta.is_proxied {
        return cf;
    }
    cf.http_protocol = match meta.http {
        http::Version::HTTP_2 => Some("HTTP/2".into()),
        http::Version::HTTP_11 => Some("HTTP/1.1".into()),
        http::Version::HTTP_10 => Some("HTTP/1.0".into()),
        _ => None,
    };
    if let Some(tls) = &meta.tls {
        cf.tls_version = Some(tls.version.into());
        cf.tls_cipher = Some(tls.cipher.clone());
    }
    cf
}

/// Returns the pool's readiness.
pub(super) fn readiness(pool: &Pool) -> Readiness {
    match pool.health() {
        Ok(()) => Readiness::Ready,
        Err(why) => Readiness::NotReady(why.to_string()),
    }
}

/// Logs details that the client does not get: in production only the log has the stack.
fn log(failure: &Failure, worker: &str, id: &RequestId) {
    let outcome = failure.outcome.as_str();
    let text = failure.detail.as_ref().unwrap_or(&failure.message);
    match failure.outcome {
        // Under overload, a line for each request would add load; clients that left, and unknown workers, are not faults. The
        // access log has all of them.
        Outcome::Ok | Outcome::Canceled | Outcome::LoadShed | Outcome::NotDeployed => {}
        _ => tracing::error!(target: "isopod::worker", worker, outcome, request = %id, "{text}"),
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floating-point numbers only")]
pub(super) fn metrics(stats: &PoolStats) -> Vec<Metric> {
    use MetricKind::{Counter, Gauge};
    let by_script = |name: &'static str, help: &'static str, kind, of: &dyn Fn(&isopod::ScriptStats) -> f64| {
        stats
            .scripts
            .iter()
            .fold(Metric::new(name, help, kind), |metric, (script, stats)| {
                metric.labelled("worker", script.clone(), of(stats))
            })
    };
    let outcomes = Metric::new("isopod_events_total", "Ended events by outcome", Counter);
    let outcomes = stats.outcomes.iter().fold(outcomes, |metric, (outcome, count)| {
        metric.labelled("outcome", *outcome, *count as f64)
    });
    let resident = Metric::new("process_resident_memory_bytes", "Resident memory of the process", Gauge);
    let resident = match resident_bytes() {
        Some(bytes) => resident.value(bytes as f64),
        None => resident,
    };
    vec![
        resident,
        Metric::new("isopod_threads", "Live worker threads", Gauge).value(stats.threads.alive as f64),
        Metric::new("isopod_threads_max", "Maximum number of worker threads", Gauge).value(stats.threads.max as f64),
        Metric::new("isopod_threads_busy", "Worker threads whose worker has events", Gauge)
            .value(stats.threads.busy as f64),
        Metric::new(
            "isopod_threads_lost_total",
            "Worker threads that panicked, could not start or got stuck",
            Counter,
        )
        .value(stats.threads.lost as f64),
        Metric::new(
            "isopod_threads_stuck",
            "Worker threads stuck in uninterruptible native code",
            Gauge,
        )
        .value(stats.threads.stuck as f64),
        Metric::new("isopod_threads_respawned_total", "Worker threads respawned", Counter)
            .value(stats.threads.respawned as f64),
        outcomes,
        by_script("isopod_workers", "Workers ready", Gauge, &|script| {
            script.workers as f64
        }),
        by_script(
            "isopod_memory_bytes",
            "Memory of all workers, as last reported",
            Gauge,
            &|script| script.memory_bytes as f64,
        ),
        by_script("isopod_events_in_flight", "Running events", Gauge, &|script| {
            script.in_flight as f64
        }),
        by_script("isopod_events_queued", "Queued events", Gauge, &|script| {
            script.queued as f64
        }),
        by_script("isopod_sessions", "Open sessions", Gauge, &|script| {
            script.sessions as f64
        }),
        by_script(
            "isopod_attached_connections",
            "Connections that live on the threads of workers",
            Gauge,
            &|script| script.attached_tasks as f64,
        ),
        by_script(
            "isopod_events_accepted_total",
            "Accepted events; each ends in one outcome",
            Counter,
            &|script| script.accepted as f64,
        ),
        by_script(
            "isopod_events_refused_total",
            "Events rejected for lack of room",
            Counter,
            &|script| script.refused as f64,
        ),
        by_script(
            "isopod_workers_displaced_total",
            "Workers displaced by other scripts; if it keeps rising, increase `threads` if it is set, else `pool.workers_max` or \
             `pool.memory`",
            Counter,
            &|script| script.retired.get("displaced").copied().unwrap_or_default() as f64,
        ),
        by_script("isopod_boots_total", "Workers started", Counter, &|script| {
            script.boots as f64
        }),
        by_script(
            "isopod_boots_failed_total",
            "Failed worker starts",
            Counter,
            &|script| script.boots_failed as f64,
        ),
    ]
}
