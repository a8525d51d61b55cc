//! An axum program in which JavaScript answers some of the routes.
//!
//! The program has its own runtime, routes and state. The pool is part of that state and has its own threads. Request
//! and response bodies are streamed between axum and the worker.

use std::error::Error;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get};
use isopod::{Failure, Meta, Options, Outcome, Pool, RequestUrl, Script};

/// Time for requests to finish after the program is told to stop.
const SHUTDOWN_MAX: Duration = Duration::from_secs(10);

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let pool = Pool::builder().threads(2).build()?;
    // The script is compiled into the program; `.file("path")` would read it and its imports from disk.
    let script = Script::builder("shop")
        .source(include_str!("shop.js"))
        .text("CURRENCY", "EUR")
        .build()?;
    pool.deploy("shop", script, &Options::default())?;
    // Fail at startup if the script cannot start, not at the first request.
    pool.warm("shop").await?;

    let app = Router::new()
        .route("/", get(|| async { "This is Rust.\n" }))
        .route("/stats", get(stats))
        .route("/shop/{*path}", any(shop))
        .with_state(pool.clone());

    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:3000".to_owned());
    let listener = tokio::net::TcpListener::bind(&address).await?;
    eprintln!("listening on http://{}", listener.local_addr()?);
    axum::serve(listener, app)
        .with_graceful_shutdown(asked_to_stop())
        .await?;

    let report = pool.shutdown(SHUTDOWN_MAX).await;
    eprintln!(
        "stopped: {} finished, {} cut, {} threads joined",
        report.finished, report.cut, report.threads_joined
    );
    Ok(())
}

/// Passes a request to the script unchanged.
async fn shop(State(pool): State<Pool>, mut request: Request) -> Response {
    // Scripts see an absolute `request.url`; an HTTP/1.1 request has a path and a Host header.
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("localhost");
    let url = RequestUrl(format!("http://{host}{}", request.uri()));
    request.extensions_mut().insert(url);
    match pool
        .fetch("shop", request.map(isopod::Body::new), Meta::default())
        .await
    {
        Ok(response) => response.map(Body::new),
        Err(failure) => (status(&failure), format!("{}\n", failure.outcome)).into_response(),
    }
}

/// The program chooses the status code for each outcome.
const fn status(failure: &Failure) -> StatusCode {
    match failure.outcome {
        Outcome::ExceededCpu | Outcome::ExceededWall => StatusCode::GATEWAY_TIMEOUT,
        Outcome::LoadShed | Outcome::BootFailed => StatusCode::SERVICE_UNAVAILABLE,
        Outcome::WorkerLost => StatusCode::BAD_GATEWAY,
        Outcome::NotDeployed => StatusCode::NOT_FOUND,
        Outcome::Ok | Outcome::Exception | Outcome::ExceededMemory | Outcome::Canceled => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    }
}

async fn stats(State(pool): State<Pool>) -> String {
    let stats = pool.stats();
    let mut text = format!("threads alive: {}\n", stats.threads.alive);
    for (outcome, count) in stats.outcomes.iter().filter(|(_, count)| **count > 0) {
        text += &format!("{outcome}: {count}\n");
    }
    text
}

async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    let terminated = async {
        match signal(SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            // Without SIGTERM, Ctrl-C still works.
            Err(_) => std::future::pending().await,
        }
    };
    tokio::select! {
        () = terminated => {}
        _ = tokio::signal::ctrl_c() => {}
    }
}
