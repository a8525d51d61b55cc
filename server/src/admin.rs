//! Health and figures, on a listener of their own that clients of the workers cannot reach.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore, task::JoinSet};

use crate::{
    dispatch::Readiness,
    error::StartError,
    listener::{claim_tcp, listen_tcp},
    metrics::{self, Metric},
};

/// Probes and scrapers are few; whoever opens more connections waits.
const CONNECTIONS_MAX: usize = 64;
const TIMEOUT: Duration = Duration::from_secs(10);
const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// What an admin listener shows.
pub trait Status: Send + Sync + 'static {
    /// Whether requests can be answered now, for `/readyz`.
    fn readiness(&self) -> Readiness;

    /// What `/metrics` and `/stats` show.
    fn figures(&self) -> Vec<Metric>;

    /// Answers a request for a path that the listener does not know. Default: nothing does, and it is answered with 404.
    fn answer(&self, _request: Parts) -> impl Future<Output = Option<Response<String>>> + Send {
        async { None }
    }
}

/// The place where `/healthz`, `/readyz`, `/metrics` and `/stats` are served, apart from a
/// [`Server`](crate::Server): for a process that is alive before its server is, and after it.
///
/// ```
/// # use isopod_server::{AdminListener, Metric, Readiness, Status};
/// struct Starting;
///
/// impl Status for Starting {
///     fn readiness(&self) -> Readiness {
///         Readiness::NotReady("starting".to_owned())
///     }
///     fn figures(&self) -> Vec<Metric> {
///         Vec::new()
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), isopod_server::StartError> {
/// let listener = AdminListener::bind("127.0.0.1:0".parse().expect("an address"))?;
/// let address = listener.local_addr();
/// let serving = tokio::spawn(listener.serve(Starting)?);
/// println!("probes go to http://{address}/readyz");
/// # serving.abort();
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct AdminListener {
    socket: socket2::Socket,
    address: SocketAddr,
}

impl AdminListener {
    /// Takes the address; nobody is let in yet. Works from any thread.
    ///
    /// # Errors
    ///
    /// The address cannot be had.
    pub fn bind(address: SocketAddr) -> Result<Self, StartError> {
        let (socket, address) = claim_tcp(address).map_err(|source| StartError::BindAdmin { address, source })?;
        Ok(Self { socket, address })
    }

    /// Where it is, with the port the system chose.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Lets connections in, and gives what answers them until it is dropped.
    ///
    /// # Errors
    ///
    /// The address was taken meanwhile.
    ///
    /// # Panics
    ///
    /// Outside of a Tokio runtime.
    pub fn serve<S: Status>(self, status: S) -> Result<impl Future<Output = ()> + Send + use<S>, StartError> {
        Ok(serve(Arc::new(status), self.listen()?))
    }

    /// Lets connections in. Must be called inside an entered Tokio runtime.
    pub(crate) fn listen(self) -> Result<TcpListener, StartError> {
        let refused = |source: io::Error| StartError::BindAdmin {
            address: self.address,
            source,
        };
        listen_tcp(self.socket).map_err(refused)
    }
}

/// Serves until it is dropped, also while the server drains: that is when `/readyz` matters most.
pub(crate) async fn serve<S: Status>(status: Arc<S>, listener: TcpListener) {
    let room = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    let mut connections = JoinSet::new();
    while let Ok(permit) = room.clone().acquire_owned().await {
        while connections.try_join_next().is_some() {}
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        let status = status.clone();
        connections.spawn(async move {
            let service = service_fn(move |request| {
                let status = status.clone();
                async move { Ok::<_, Infallible>(respond(&*status, request).await) }
            });
            let mut http = http1::Builder::new();
            http.timer(TokioTimer::new()).header_read_timeout(TIMEOUT);
            // A prober that goes away is none of our business.
            let _ = http.serve_connection(TokioIo::new(stream), service).await;
            drop(permit);
        });
    }
}

async fn respond<S: Status, B>(status: &S, request: Request<B>) -> Response<Full<Bytes>> {
    let (code, kind, body) = match request.uri().path() {
        "/healthz" => (StatusCode::OK, TEXT, "ok\n".to_owned()),
        "/readyz" => match status.readiness() {
            Readiness::Ready => (StatusCode::OK, TEXT, "ready\n".to_owned()),
            Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, TEXT, format!("{why}\n")),
        },
        "/metrics" => (
            StatusCode::OK,
            HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
            metrics::prometheus(&status.figures()),
        ),
        "/stats" => match serde_json::to_string(&status.figures()) {
            Ok(json) => (StatusCode::OK, HeaderValue::from_static("application/json"), json),
            Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, TEXT, error.to_string()),
        },
        _ => {
            let (head, _) = request.into_parts();
            if let Some(response) = status.answer(head).await {
                return response.map(|text| Full::new(Bytes::from(text)));
            }
            let known = "there are /healthz, /readyz, /metrics and /stats\n".to_owned();
            (StatusCode::NOT_FOUND, TEXT, known)
        }
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = code;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    response
}
