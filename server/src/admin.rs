//! Health and figures, on a listener of their own that clients of the workers cannot reach.

use std::{convert::Infallible, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

use crate::{
    dispatch::{Dispatch, Readiness},
    metrics,
    server::{App, Stage},
};

/// Probes and scrapers are few; whoever opens more connections waits.
const CONNECTIONS_MAX: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(10);

/// Serves until it is dropped, also while the server drains: that is when `/readyz` matters most.
pub(crate) async fn serve<D: Dispatch>(app: Arc<App<D>>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    while let Ok(permit) = room.clone().acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let app = app.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let response = respond(&app, &request);
                async move { Ok::<_, Infallible>(response) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(TIMEOUT);
            // A prober that goes away is none of our business.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}

fn respond<D: Dispatch, B>(app: &App<D>, request: &Request<B>) -> Response<Full<Bytes>> {
    let figures = || {
        let mut figures = app.core.counts.snapshot();
        figures.extend(app.dispatch.stats());
        figures
    };
    let text = "text/plain; charset=utf-8";
    let (status, kind, body) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, text, "ok\n".to_owned()),
        "/readyz" => match (app.core.stage(), app.dispatch.readiness()) {
            (Stage::Serving, Readiness::Ready) => (StatusCode::OK, text, "ready\n".to_owned()),
            (Stage::Serving, Readiness::NotReady(why)) => (StatusCode::SERVICE_UNAVAILABLE, text, format!("{why}\n")),
            _ => (StatusCode::SERVICE_UNAVAILABLE, text, "draining\n".to_owned()),
        },
        "/metrics" => (
            StatusCode::OK,
            "text/plain; version=0.0.4; charset=utf-8",
            metrics::prometheus(&figures()),
        ),
        "/stats" => match serde_json::to_string(&figures()) {
            Ok(json) => (StatusCode::OK, "application/json", json),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, text, error.to_string()),
        },
        _ => (
            StatusCode::NOT_FOUND,
            text,
            "there are /healthz, /readyz, /metrics and /stats\n".to_owned(),
        ),
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}
