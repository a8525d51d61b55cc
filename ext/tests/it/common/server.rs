//! A local HTTP server on its own runtime.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;
use futures::StreamExt;
use http::{Request, Response};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};

pub(crate) type Body = BoxBody<Bytes, Infallible>;
/// The certificate of the TLS server, for `localhost`.
pub(crate) const CERTIFICATE: &[u8] = include_bytes!("../fixtures/localhost.crt.der");

pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    accepted: Arc<AtomicUsize>,
    /// Bytes the server has sent for `/endless`.
    sent: Arc<AtomicUsize>,
    _runtime: tokio::runtime::Runtime,
}

impl Server {
    pub(crate) fn start() -> Self {
        Self::serve(None)
    }

    /// HTTP/2 and 1.1 over TLS.
    pub(crate) fn start_tls() -> Self {
        let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
            include_bytes!("../fixtures/localhost.key.der").to_vec(),
        ));
        let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
        let mut config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![CertificateDer::from(CERTIFICATE.to_vec())], key)
            .unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self::serve(Some(TlsAcceptor::from(Arc::new(config))))
    }

    /// A server at the same port of another address of this machine.
    pub(crate) fn start_beside(&self, address: [u8; 4]) -> Self {
        Self::serve_at((address, self.address.port()).into(), None)
    }

    fn serve(tls: Option<TlsAcceptor>) -> Self {
        Self::serve_at(([127, 0, 0, 1], 0).into(), tls)
    }

    fn serve_at(address: SocketAddr, tls: Option<TlsAcceptor>) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = runtime.block_on(TcpListener::bind(address)).unwrap();
        let address = listener.local_addr().unwrap();
        let (accepted, sent) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (count, bytes) = (accepted.clone(), sent.clone());
        runtime.spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (tls, bytes) = (tls.clone(), bytes.clone());
                #[expect(clippy::disallowed_methods, reason = "the server of a test, on its own runtime")]
                tokio::spawn(async move {
                    let service = service_fn(move |request| answer(request, bytes.clone()));
                    let http = auto::Builder::new(TokioExecutor::new());
                    let _ = match tls {
                        Some(tls) => {
                            let Ok(socket) = tls.accept(socket).await else { return };
                            http.serve_connection(TokioIo::new(socket), service).await
                        }
                        None => http.serve_connection(TokioIo::new(socket), service).await,
                    };
                });
            }
        });
        Self {
            address,
            accepted,
            sent,
            _runtime: runtime,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn accepted(&self) -> usize {
        self.accepted.load(Ordering::SeqCst)
    }

    pub(crate) fn sent(&self) -> usize {
        self.sent.load(Ordering::SeqCst)
    }
}

fn full(bytes: impl Into<Bytes>) -> Body {
    Full::new(bytes.into()).boxed()
}

async fn answer(request: Request<Incoming>, sent: Arc<AtomicUsize>) -> Result<Response<Body>, Infallible> {
    let response = Response::builder();
    let query = request.uri().query().unwrap_or("").to_owned();
    let response = match request.uri().path() {
        "/echo" => response.body(request.into_body().map_err(|_| unreachable!()).boxed()),
        "/echo-whole" => match request.into_body().collect().await {
            Ok(body) => response.body(full(body.to_bytes())),
            Err(_) => response.status(400).body(full("cut off")),
        },
        "/headers" => {
            let names: serde_json::Map<_, _> = request
                .headers()
                .iter()
                .map(|(name, value)| (name.to_string(), String::from_utf8_lossy(value.as_bytes()).into()))
                .collect();
            response
                .header("x-version", format!("{:?}", request.version()))
                .body(full(serde_json::Value::from(names).to_string()))
        }
        "/redirect" => response.status(302).header("location", query).body(full("")),
        "/gzip" => {
            use async_compression::tokio::bufread::GzipEncoder;
            use tokio::io::AsyncReadExt;
            let plain = vec![b'x'; query.parse().unwrap()];
            let mut encoded = Vec::new();
            GzipEncoder::new(&plain[..]).read_to_end(&mut encoded).await.unwrap();
            response.header("content-encoding", "gzip").body(full(encoded))
        }
        "/brotli" => {
            use async_compression::tokio::bufread::BrotliEncoder;
            use tokio::io::AsyncReadExt;
            let plain = vec![b'x'; query.parse().unwrap()];
            let mut encoded = Vec::new();
            BrotliEncoder::new(&plain[..]).read_to_end(&mut encoded).await.unwrap();
            response.header("content-encoding", "br").body(full(encoded))
        }
        "/endless" => {
            let chunk = Bytes::from(vec![b'e'; 64 << 10]);
            let chunks = futures::stream::repeat(chunk).map(move |chunk| {
                sent.fetch_add(chunk.len(), Ordering::SeqCst);
                Ok(Frame::data(chunk))
            });
            response.body(BodyExt::boxed(StreamBody::new(chunks)))
        }
        "/silent" => std::future::pending().await,
        "/big-header" => response
            .header("x-big", "b".repeat(query.parse().unwrap()))
            .body(full("")),
        _ => response.body(full("hello")),
    };
    Ok(response.unwrap())
}
