//! Health and metrics on a listener of their own, out of reach of the workers' clients.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Method, Request, Response, StatusCode, header, request::Parts};
use http_body_util::Full;
use hyper::{server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    task::{AbortHandle, JoinSet},
};

use crate::{
    access::{AdminAccess, Denial},
    dispatch::Readiness,
    error::StartError,
    listener::{claim_tcp, listen_tcp},
    metric::{self, Metric},
};

/// Maximum number of connections, above which the longest idle one is closed.
const CONNECTIONS_MAX: usize = 64;
/// Maximum number of concurrent slow requests.
const ANSWERS_MAX: usize = 16;
/// Time from one request to the end of the next request's head.
const TIMEOUT: Duration = Duration::from_secs(10);
const REQUEST_BYTES_MAX: usize = 16 << 10;

/// Contents of an admin listener.
pub trait Status: Send + Sync + 'static {
    /// Returns whether requests can be answered now, for `/readyz`.
    fn readiness(&self) -> Readiness;

    /// Returns human-readable lines for the answer of `/readyz`. Default: none.
    fn details(&self) -> Vec<String> {
        Vec::new()
    }

    /// Returns the metrics for `/metrics` and `/stats`.
    fn figures(&self) -> Vec<Metric>;

    /// Answers requests with any method for other paths. Default: `None`, which responds 404.
    fn answer(&self, _request: Parts) -> impl Future<Output = Option<Response<String>>> + Send {
        async { None }
    }
}

/// A listener for `/healthz`, `/readyz`, `/metrics` and `/stats`, separate from a [`Server`](crate::Server), for a process
/// that outlives its server.
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
    access: AdminAccess,
}

impl AdminListener {
    /// Binds the address without accepting connections. Works from any thread.
    ///
    /// # Errors
    ///
    /// The address cannot be bound.
    pub fn bind(address: SocketAddr) -> Result<Self, StartError> {
        let (socket, address) = claim_tcp(address).map_err(|source| StartError::BindAdmin { address, source })?;
        Ok(Self {
            socket,
            address,
            access: AdminAccess::default(),
        })
    }

    /// Sets the access rules.
    #[must_use]
    pub fn with_access(mut self, access: AdminAccess) -> Self {
        self.access = access;
        self
    }

    /// Returns the address, with the port chosen by the system.
    #[must_use]
    pub const fn local_addr(&self) -> SocketAddr {
        self.address
    }

    /// Accepts connections. Returns a future that answers them until it is dropped.
    ///
    /// # Errors
    ///
    /// The address is in use.
    ///
    /// # Panics
    ///
    /// Outside a Tokio runtime.
    pub fn serve<S: Status>(self, status: S) -> Result<impl Future<Output = ()> + Send + use<S>, StartError> {
        let (listener, access) = self.listen()?;
        Ok(serve(Arc::new(status), listener, access))
    }

    /// Accepts connections. Must be called inside an entered Tokio runtime.
    pub(crate) fn listen(self) -> Result<(TcpListener, AdminAccess), StartError> {
        let refused = |source: io::Error| StartError::BindAdmin {
            address: self.address,
            source,
        };
        Ok((listen_tcp(self.socket).map_err(refused)?, self.access))
    }
}

/// An open connection.
struct Seat {
    /// True if it has no request, and may be closed for another connection.
    is_waiting: Arc<AtomicBool>,
    task: AbortHandle,
}

/// Serves until dropped, also while the server drains, when `/readyz` matters most.
pub(crate) async fn serve<S: Status>(status: Arc<S>, listener: TcpListener, access: AdminAccess) {
    let desk = Arc::new(Desk {
        status,
        access,
        answers: Semaphore::new(ANSWERS_MAX),
    });
    let mut connections = JoinSet::new();
    let mut seats: VecDeque<Seat> = VecDeque::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        while connections.try_join_next().is_some() {}
        seats.retain(|seat| !seat.task.is_finished());
        // The longest silent connection is closed, so that incomplete requests do not delay a probe.
        if seats.len() >= CONNECTIONS_MAX
            && let Some(place) = seats.iter().position(|seat| seat.is_waiting.load(Relaxed))
            && let Some(seat) = seats.remove(place)
        {
            seat.task.abort();
        }
        let is_waiting = Arc::new(AtomicBool::new(true));
        let task = connections.spawn(attend(desk.clone(), stream, is_waiting.clone()));
        seats.push_back(Seat { is_waiting, task });
    }
}

/// Serves one connection to its end.
async fn attend<S: Status>(desk: Arc<Desk<S>>, stream: TcpStream, is_waiting: Arc<AtomicBool>) {
    let service = service_fn(move |request| {
        let (desk, is_waiting) = (desk.clone(), is_waiting.clone());
        async move {
            is_waiting.store(false, Relaxed);
            let response = desk.respond(request).await;
            is_waiting.store(true, Relaxed);
            Ok::<_, Infallible>(response)
        }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(TIMEOUT)
        .max_buf_size(REQUEST_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service);
    // A prober may disconnect.
    let _ = served.await;
}

/// Answers requests.
struct Desk<S> {
    status: Arc<S>,
    access: AdminAccess,
    /// Permits for slow answers.
    answers: Semaphore,
}

impl<S: Status> Desk<S> {
    async fn respond<B>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        if let Err(denial) = self.access.check(&request) {
            let mut response = text(denial.status(), format!("{denial}\n"));
            if denial == Denial::Token {
                let bearer = HeaderValue::from_static("Bearer");
                response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
            }
            return response;
        }
        let path = request.uri().path();
        if !matches!(path, "/healthz" | "/readyz" | "/metrics" | "/stats") {
            return self.other(request).await;
        }
        if !matches!(*request.method(), Method::GET | Method::HEAD) {
            let mut response = text(StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned());
            let allowed = HeaderValue::from_static("GET, HEAD");
            response.headers_mut().insert(header::ALLOW, allowed);
            return response;
        }
        match path {
            "/healthz" => text(StatusCode::OK, "ok\n".to_owned()),
            "/readyz" => {
                let (status, answer) = match self.status.readiness() {
                    Readiness::Ready => (StatusCode::OK, "ready".to_owned()),
                    Readiness::NotReady(why) => (StatusCode::SERVICE_UNAVAILABLE, why),
                };
                let mut lines = vec![answer];
                lines.extend(self.status.details());
                text(status, lines.join("\n") + "\n")
            }
            "/metrics" => shown(
                StatusCode::OK,
                HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8"),
                metric::prometheus(&self.status.figures()),
            ),
            _ => match serde_json::to_string(&self.status.figures()) {
                Ok(json) => shown(StatusCode::OK, HeaderValue::from_static("application/json"), json),
                Err(error) => text(StatusCode::INTERNAL_SERVER_ERROR, format!("{error}\n")),
            },
        }
    }

    /// Asks the status for an answer to an unknown path.
    async fn other<B>(&self, request: Request<B>) -> Response<Full<Bytes>> {
        let Ok(_room) = self.answers.try_acquire() else {
            let why = format!("{ANSWERS_MAX} such requests are in progress; try again later\n");
            return text(StatusCode::SERVICE_UNAVAILABLE, why);
        };
        match self.status.answer(request.into_parts().0).await {
            Some(response) => response.map(|text| Full::new(Bytes::from(text))),
            None => text(
                StatusCode::NOT_FOUND,
                "available: /healthz, /readyz, /metrics and /stats\n".to_owned(),
            ),
        }
    }
}

fn text(status: StatusCode, body: String) -> Response<Full<Bytes>> {
    shown(status, HeaderValue::from_static("text/plain; charset=utf-8"), body)
}

fn shown(status: StatusCode, kind: HeaderValue, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, kind);
    let nosniff = HeaderValue::from_static("nosniff");
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
    response
}
