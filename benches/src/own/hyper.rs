//! A minimal server on hyper for each route: an upper bound for anything built on hyper.

use std::convert::Infallible;
use std::error::Error;
use std::net::Ipv4Addr;

use anyhow::Result;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpListener;

pub(super) fn run(port: u16) -> Result<()> {
    serve(port, answer)
}

/// Serves HTTP/1 with this handler, on as many threads as there are processors.
pub(super) fn serve<A, B, E>(port: u16, answer: impl Fn(Request<Incoming>) -> A + Clone + Send + 'static) -> Result<()>
where
    A: Future<Output = Result<Response<B>, E>> + Send + 'static,
    B: Body<Data: Send, Error: Into<Box<dyn Error + Send + Sync>>> + Send + 'static,
    E: Into<Box<dyn Error + Send + Sync>> + 'static,
{
    let tokio = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let runtime = tokio.handle().clone();
    tokio.block_on(async {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
        loop {
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            let connection = hyper::server::conn::http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service_fn(answer.clone()));
            runtime.spawn(connection);
        }
    })
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    Ok(match request.uri().path() {
        "/" => reply("text/plain", "hello world"),
        // That others fetch from.
        "/origin" => reply("application/octet-stream", &[b'x'; 16 << 10][..]),
        "/echo" => match echo(request).await {
            Ok(json) => reply("application/json", json),
            Err(_) => status(StatusCode::BAD_REQUEST),
        },
        path => match path.strip_prefix("/users/") {
            Some(id) => reply(
                "application/json",
                serde_json::json!({ "id": id, "name": "Ada" }).to_string(),
            ),
            None => status(StatusCode::NOT_FOUND),
        },
    })
}

/// Parsed and serialized, as a handler that uses the data would do.
async fn echo(request: Request<Incoming>) -> Result<Vec<u8>> {
    let body = request.into_body().collect().await?.to_bytes();
    Ok(serde_json::to_vec(&serde_json::from_slice::<serde_json::Value>(
        &body,
    )?)?)
}

fn reply(kind: &'static str, body: impl Into<Bytes>) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.into()));
    response
        .headers_mut()
        .insert("content-type", http::HeaderValue::from_static(kind));
    response
}

fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
