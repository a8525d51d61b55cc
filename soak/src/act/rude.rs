//! Clients that are slow, disconnect, stall, arrive all at once, or send invalid requests.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;

use super::good::pattern;
use super::{Attempt, Scene, Wrong, describe, expect, is};
use crate::client::{NO_OUTCOME, Pace, request};
use crate::plan::{Leave, Refusal};

/// More concurrent requests than the worker's queue holds: each is answered, or shed with a time to retry after.
pub(super) async fn burst(scene: &Scene<'_>, requests: u64) -> Result<(), Wrong> {
    let ask = async || {
        let answer = scene.ask(request("narrow", "/wait/5", "", None), true).await?;
        let refused = matches!(answer.head.status, 429 | 503) && answer.head.outcome() == "load_shed";
        if refused && answer.head.header("retry-after").is_some() {
            return Ok(());
        }
        expect(&answer, b"waited")
    };
    join_all((0..requests).map(|_| ask())).await.into_iter().collect()
}

/// Reads a body of several megabytes in small portions.
pub(super) async fn read_slowly(scene: &Scene<'_>, kilobytes: u64) -> Result<(), Wrong> {
    let connection = scene.connect(true).await?;
    let pace = Pace::Slow(64 * 1024, Duration::from_millis(25));
    let request = [request("stream", &format!("/stream/{kilobytes}"), "", None)];
    let answer = scene.ask_on(connection, &request, Duration::ZERO, pace).await?;
    expect(&answer, &pattern(kilobytes))
}

/// Sends a body in pieces, with a pause after each.
pub(super) async fn write_slowly(scene: &Scene<'_>, pieces: u64) -> Result<(), Wrong> {
    let connection = scene.connect(true).await?;
    let body = pattern(pieces);
    let mut parts = vec![b"POST /back HTTP/1.1\r\nhost: echo.soak\r\ntransfer-encoding: chunked\r\n\r\n".to_vec()];
    parts.extend(body.chunks(1000).map(|piece| [b"3e8\r\n", piece, b"\r\n"].concat()));
    parts.push(b"0\r\n\r\n".to_vec());
    let rest = Duration::from_millis(40);
    let answer = scene.ask_on(connection, &parts, rest, Pace::Full).await?;
    expect(&answer, &body)
}

/// Disconnects.
pub(super) async fn leave(scene: &Scene<'_>, when: Leave) -> Result<(), Wrong> {
    let mut connection = scene.connect(true).await?;
    let request = match when {
        Leave::AtOnce | Leave::BeforeAnswer => request("timers", "/wait/400", "", None),
        Leave::InAnswer => request("stream", "/stream/2000", "", None),
        Leave::InRequest => {
            b"POST /back HTTP/1.1\r\nhost: echo.soak\r\ncontent-length: 100000\r\n\r\nthat is all".to_vec()
        }
    };
    let attempt = Attempt::new(&scene.tally);
    let failed = |error: std::io::Error| format!("before it left: {error}");
    connection.write(&[request], Duration::ZERO).await.map_err(failed)?;
    match when {
        Leave::AtOnce => {}
        Leave::BeforeAnswer | Leave::InRequest => sleep(Duration::from_millis(60)).await,
        Leave::InAnswer => drop(connection.some(20_000).await.map_err(failed)?),
    }
    attempt.left();
    Ok(())
}

/// Begins a request and sends nothing more: the server disconnects.
pub(super) async fn stall(scene: &Scene<'_>, bytes: u64) -> Result<(), Wrong> {
    let mut connection = scene.connect(true).await?;
    let head = request("hello", "/hello", "", None);
    let some = usize::try_from(bytes).unwrap_or_default().min(head.len() - 1);
    let sent = connection.write(&[head[..some].to_vec()], Duration::ZERO).await;
    sent.map_err(|error| format!("no open connection: {error}"))?;
    // With or without an explanation, the connection ends, possibly by a reset.
    while connection.some(1024).await.is_ok_and(|read| read > 0) {}
    Ok(())
}

/// Sends a request that reaches no worker.
pub(super) async fn refused(scene: &Scene<'_>, refusal: Refusal) -> Result<(), Wrong> {
    let (request, status) = match refusal {
        Refusal::NoRoute => (request("nobody", "/", "", None), 404),
        Refusal::GiantHead => {
            let extra = format!("x-giant: {}\r\n", "x".repeat(20_000));
            (request("hello", "/hello", &extra, None), 431)
        }
        Refusal::GiantBody => {
            let head = "POST /echo HTTP/1.1\r\nhost: echo.soak\r\ncontent-length: 8000000\r\n\r\n";
            (head.as_bytes().to_vec(), 413)
        }
    };
    let answer = scene.ask(request, true).await?;
    // A head that is too large may be rejected before it counts as a request.
    let fits = is(&answer, status, "refused") || (status == 431 && is(&answer, status, NO_OUTCOME));
    fits.then_some(())
        .ok_or_else(|| format!("{status} was expected, {}", describe(&answer)))
}
