//! Host module for the admin listener. It answers probes from before the first worker starts until the last has ended.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::SystemTime;

use http::request::Parts;
use http::{HeaderValue, Method, StatusCode, header};
use isopod::Pool;
use isopod::host::{Context, HostHandle, Module, PhaseResult, async_trait};
use isopod::server::{AdminAccess, AdminListener, Metric, MetricKind, Readiness, ServerHandle, Status};

use super::dispatch;
use super::life::Life;
use super::queues::Consumers;
use super::sandbox;
use super::scheduler::{self, Triggers};
use super::servers::Servers;
use crate::logging;

pub(super) struct Admin {
    address: SocketAddr,
    access: AdminAccess,
    life: Arc<Life>,
    listener: Option<AdminListener>,
}

impl Admin {
    pub(super) const fn new(address: SocketAddr, access: AdminAccess, life: Arc<Life>) -> Self {
        Self {
            address,
            access,
            life,
            listener: None,
        }
    }
}

#[async_trait]
impl Module for Admin {
    fn name(&self) -> &str {
        "admin"
    }

    async fn build(&mut self, _ctx: &Context) -> PhaseResult {
        self.listener = Some(AdminListener::bind(self.address)?.with_access(self.access.clone()));
        Ok(())
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        let Some(listener) = self.listener.take() else {
            return Ok(());
        };
        let address = listener.local_addr();
        let face = Face {
            pool: ctx.hub().get::<Pool>()?,
            server: ctx.hub().get::<ServerHandle>()?,
            host: ctx.host().clone(),
            life: Arc::clone(&self.life),
            triggers: ctx.hub().get::<Triggers>()?,
            consumers: ctx.hub().get::<Consumers>()?,
            servers: ctx.hub().get::<Servers>()?,
        };
        // The address is logged only once the listener answers.
        let serving = listener.serve(face)?;
        ctx.service(async move {
            serving.await;
            Ok(())
        });
        logging::tell(format_args!(
            "admin on http://{address} (/healthz /readyz /metrics /stats)"
        ));
        Ok(())
    }
}

/// Contents of the admin listener.
struct Face {
    pool: Arc<Pool>,
    server: Arc<ServerHandle>,
    host: HostHandle,
    life: Arc<Life>,
    triggers: Arc<Triggers>,
    consumers: Arc<Consumers>,
    servers: Arc<Servers>,
}

impl Status for Face {
    fn readiness(&self) -> Readiness {
        if self.host.is_stopping() {
            return Readiness::NotReady("draining".to_owned());
        }
        if !self.life.is_serving() {
            return Readiness::NotReady("starting".to_owned());
        }
        match (dispatch::readiness(&self.pool), self.servers.missing()) {
            (Readiness::Ready, Some(missing)) => Readiness::NotReady(missing),
            (readiness, _) => readiness,
        }
    }

    fn details(&self) -> Vec<String> {
        let sandbox = sandbox::detail(&self.pool);
        sandbox.into_iter().chain(self.servers.details()).collect()
    }

    fn figures(&self) -> Vec<Metric> {
        let mut figures = self.server.figures();
        figures.extend(dispatch::metrics(&self.pool.stats()));
        figures.extend(self.consumers.metrics());
        figures.extend(sandbox::metric(&self.pool));
        figures.extend(self.servers.metric());
        figures.push(log_lines_dropped());
        figures
    }

    async fn answer(&self, request: Parts) -> Option<http::Response<String>> {
        if request.uri.path() != "/__scheduled" {
            return None;
        }
        // Requests with effects must not be possible by a link, an image or a scraper.
        if request.method != Method::POST {
            let mut response = http::Response::new("use POST to fire a trigger\n".to_owned());
            *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
            let allowed = HeaderValue::from_static("POST");
            response.headers_mut().insert(header::ALLOW, allowed);
            return Some(response);
        }
        let (status, text) = self.scheduled(request.uri.query().unwrap_or_default()).await;
        let mut response = http::Response::new(format!("{text}\n"));
        *response.status_mut() = status;
        Some(response)
    }
}

impl Face {
    /// Fires a trigger: `POST /__scheduled?cron=*+*+*+*+*`, with `&worker=NAME` if there are several workers.
    async fn scheduled(&self, query: &str) -> (StatusCode, String) {
        let given = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
        };
        let config = Arc::clone(&self.triggers.borrow());
        let mut names = config.workers.keys();
        let only = names.next().filter(|_| names.next().is_none());
        let named = given("worker").or(only.cloned());
        let Some((worker, settings)) = named.and_then(|name| config.workers.get_key_value(&name)) else {
            let names: Vec<_> = config.workers.keys().map(String::as_str).collect();
            return (
                StatusCode::NOT_FOUND,
                format!("add `worker=` and one of: {}", names.join(", ")),
            );
        };
        let first = || settings.crons.first().map(ToString::to_string);
        let cron = given("cron").or_else(first).unwrap_or_default();
        match scheduler::run(&self.pool, worker, &cron, SystemTime::now()).await {
            Ok(()) => (StatusCode::OK, "ok".to_owned()),
            Err(failure) => {
                let why = failure.detail.as_ref().unwrap_or(&failure.message);
                (
                    StatusCode::INTERNAL_SERVER_ERROR,
                    format!("{}: {why}", failure.outcome.as_str()),
                )
            }
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "Prometheus knows floating-point numbers only")]
fn log_lines_dropped() -> Metric {
    Metric::new(
        "isopod_log_lines_dropped_total",
        "Log lines dropped because the buffer was full",
        MetricKind::Counter,
    )
    .value(logging::lines_dropped() as f64)
}
