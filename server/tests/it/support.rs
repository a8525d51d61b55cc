use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use http_body_util::{BodyExt, StreamBody};
use isopod_server::{
    Address, BoxError, Dispatch, Failure, Limits, Metric, MetricKind, Mode, Outcome, Readiness, RequestMeta, Routes,
    Running, Server, ServerBody, ServerConfig,
};

use crate::connection_thread::Thread;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// A worker whose behavior depends on the path, and its records.
#[derive(Clone, Default)]
pub(crate) struct Worker(pub(crate) Arc<Seen>, pub(crate) Thread);

#[derive(Default)]
pub(crate) struct Seen {
    pub(crate) started: AtomicUsize,
    pub(crate) dropped: AtomicUsize,
    pub(crate) released: AtomicBool,
    pub(crate) release: tokio::sync::Notify,
}

/// hyper's own response to a request that is not HTTP.
pub(crate) const LIKE_A_REFUSAL: &str = "HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

pub(crate) fn full(text: impl Into<Bytes>) -> ServerBody {
    ServerBody::from(text.into())
}

struct Dropped(Arc<Seen>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::SeqCst);
    }
}

impl Dispatch for Worker {
    /// Answers as if on the connections' thread, so that connections move there in every test.
    async fn fetch(
        &self,
        worker: &str,
        request: Request<ServerBody>,
        meta: RequestMeta,
    ) -> Result<Response<ServerBody>, Failure> {
        let location = meta.location.clone();
        let answer = self.answer(worker, request, meta).await;
        if let Some(location) = location {
            location.answered_by(1, || Some(Box::new(self.1.clone())));
        }
        answer
    }

    fn readiness(&self) -> Readiness {
        Readiness::Ready
    }

    fn stats(&self) -> Vec<Metric> {
        vec![Metric::new("isopod_test", "A figure of the worker's.", MetricKind::Gauge).labelled("quote", "a\"b", 7.0)]
    }
}

impl Worker {
    async fn answer(
        &self,
        worker: &str,
        request: Request<ServerBody>,
        meta: RequestMeta,
    ) -> Result<Response<ServerBody>, Failure> {
        self.0.started.fetch_add(1, Ordering::SeqCst);
        let guard = Dropped(self.0.clone());
        let path = request.uri().path().to_owned();
        if let Some(name) = path.strip_prefix("/fail/") {
            let outcome = Outcome::ALL
                .into_iter()
                .find(|outcome| outcome.as_str() == name)
                .unwrap();
            return Err(Failure::new(outcome, "it <broke>").with_detail("at secret.js:1:2"));
        }
        if path == "/own-share" {
            let mut failure =
                Failure::new(Outcome::LoadShed, "it has its share").with_retry_after(Duration::from_millis(1200));
            failure.own_share = true;
            return Err(failure);
        }
        Ok(match path.as_str() {
            "/who" => Response::new(full(format!("{worker} {} {}", meta.url, meta.id))),
            "/hang" => std::future::pending().await,
            "/wait" => {
                let released = self.0.release.notified();
                if !self.0.released.load(Ordering::SeqCst) {
                    released.await;
                }
                Response::new(full("released"))
            }
            "/599" => Response::builder().status(599).body(full("odd")).unwrap(),
            "/hop" => Response::builder()
                .header("connection", "x-private")
                .header("x-private", "1")
                .header("keep-alive", "timeout=5")
                .header("x-kept", "1")
                .body(full("hop"))
                .unwrap(),
            "/endless" => {
                let chunks = futures::stream::repeat(Bytes::from_static(&[b'x'; 16384]))
                    .map(move |chunk| (&guard, Ok::<_, BoxError>(http_body::Frame::data(chunk))).1);
                Response::new(ServerBody::new(StreamBody::new(chunks)))
            }
            // A body of five bytes with the requested headers, in one piece or streamed.
            "/said" | "/said-streamed" => {
                let mut response = Response::new(if path == "/said" {
                    full("hello")
                } else {
                    let chunk = Ok::<_, BoxError>(http_body::Frame::data(Bytes::from_static(b"hello")));
                    ServerBody::new(StreamBody::new(futures::stream::iter([chunk])))
                });
                for (name, value) in request.headers() {
                    if let Some(name) = name.as_str().strip_prefix("say-") {
                        let name: http::HeaderName = name.parse().unwrap();
                        response.headers_mut().append(name, value.clone());
                    }
                }
                response
            }
            "/broken" => {
                let chunk = Ok(http_body::Frame::data(Bytes::from_static(b"hello")));
                let end = Err(BoxError::from("it broke"));
                Response::new(ServerBody::new(StreamBody::new(futures::stream::iter([chunk, end]))))
            }
            "/like-a-refusal" => Response::new(full(LIKE_A_REFUSAL)),
            "/headers" => {
                let lines = request.headers().iter();
                let lines = lines.map(|(name, value)| format!("{name}: {}\n", value.to_str().unwrap()));
                Response::new(full(format!("{}\n{}", meta.url, lines.collect::<String>())))
            }
            "/echo" => match request.into_body().collect().await {
                Ok(body) => Response::new(full(body.to_bytes())),
                Err(error) => return Err(Failure::new(Outcome::Exception, error.to_string())),
            },
            _ => Response::new(full("hello")),
        })
    }
}

pub(crate) fn config() -> ServerConfig {
    ServerConfig::default()
        .routes(Routes::to("worker"))
        .mode(Mode::Development)
}

pub(crate) fn start(config: ServerConfig) -> (Running, Worker) {
    let worker = Worker::default();
    (Server::new(config, worker.clone()).start().unwrap(), worker)
}

pub(crate) fn start_with(change: impl FnOnce(&mut Limits)) -> (Running, Worker) {
    let mut config = config();
    change(&mut config.limits);
    start(config)
}

pub(crate) fn address(running: &Running) -> SocketAddr {
    match &running.local_addrs()[0] {
        Address::Tcp(address) => *address,
        other => panic!("{other:?} is no TCP address"),
    }
}

/// Sends raw bytes and reads until the server closes.
pub(crate) async fn raw(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(request.as_ref()).await.unwrap();
    read_all(&mut stream).await
}

pub(crate) async fn read_all(stream: &mut (impl tokio::io::AsyncRead + Unpin)) -> String {
    let mut response = Vec::new();
    tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut response))
        .await
        .expect("the server closes the connection")
        .expect("the connection is not reset");
    String::from_utf8_lossy(&response).into_owned()
}

/// Sends a plain GET on a new connection.
pub(crate) async fn get(address: SocketAddr, path: &str, headers: &str) -> String {
    raw(
        address,
        format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}\r\n"),
    )
    .await
}

/// Returns the number of requests that the server itself refused, including hyper's refusals.
pub(crate) fn refused(running: &Running) -> u64 {
    figure(running, "isopod_http_requests_total", "refused") + cut(running, "bad_request")
}

/// Returns the number of connections cut for this reason.
pub(crate) fn cut(running: &Running, reason: &str) -> u64 {
    figure(running, "isopod_http_connections_cut_total", reason)
}

fn figure(running: &Running, name: &str, label: &str) -> u64 {
    let figures = running.handle().figures();
    let samples = figures
        .iter()
        .filter(|figure| figure.name == name)
        .flat_map(|figure| &figure.samples);
    let values = samples.filter(|sample| sample.labels.iter().any(|(_, value)| value == label));
    values.map(|sample| sample.value as u64).sum()
}

pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let waited = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(10), waited)
        .await
        .unwrap_or_else(|_| panic!("never happened: {what}"));
}
