//! Clients that are slow, leave, stall, come all at once or send what is refused.

use std::time::Duration;

use futures::future::join_all;
use tokio::time::sleep;

use super::good::pattern;
use super::{Asked, Scene, Wrong, expect, is, said};
use crate::client::{NO_OUTCOME, Pace, request};
use crate::plan::{Leave, Refusal};

/// More requests at once than the worker may have waiting: each is answered, or refused with a word on when to come back.
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

/// A body of several megabytes by a client that takes it in small portions.
pub(super) async fn read_slowly(scene: &Scene<'_>, kilobytes: u64) -> Result<(), Wrong> {
    let connection = scene.connect(true).await?;
    let pace = Pace::Slow(64 * 1024, Duration::from_millis(25));
    let request = [request("stream", &format!("/stream/{kilobytes}"), "", None)];
    let answer = scene.ask_on(connection, &request, Duration::ZERO, pace).await?;
    expect(&answer, &pattern(kilobytes))
}

/// A body in pieces, with a rest after each.
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

/// Goes away; nobody is told anything.
pub(super) async fn leave(scene: &Scene<'_>, when: Leave) -> Result<(), Wrong> {
    let mut connection = scene.connect(true).await?;
    let request = match when {
        Leave::AtOnce | Leave::BeforeAnswer => request("timers", "/wait/400", "", None),
        Leave::InAnswer => request("stream", "/stream/2000", "", None),
        Leave::InRequest => {
            b"POST /back HTTP/1.1\r\nhost: echo.soak\r\ncontent-length: 100000\r\n\r\nthat is all".to_vec()
        }
    };
    let asked = Asked::new(&scene.tally);
    let failed = |error: std::io::Error| format!("before it left: {error}");
    connection.write(&[request], Duration::ZERO).await.map_err(failed)?;
    match when {
        Leave::AtOnce => {}
        Leave::BeforeAnswer | Leave::InRequest => sleep(Duration::from_millis(60)).await,
        Leave::InAnswer => drop(connection.some(20_000).await.map_err(failed)?),
    }
    asked.left();
    Ok(())
}

/// Begins a request and says no more: the server hangs up.
pub(super) async fn stall(scene: &Scene<'_>, bytes: u64) -> Result<(), Wrong> {
    let mut connection = scene.connect(true).await?;
    let head = request("hello", "/hello", "", None);
    let some = usize::try_from(bytes).unwrap_or_default().min(head.len() - 1);
    let sent = connection.write(&[head[..some].to_vec()], Duration::ZERO).await;
    sent.map_err(|error| format!("no open connection: {error}"))?;
    // Whether it says why or not, the end comes. A reset is an end, too.
    while connection.some(1024).await.is_ok_and(|read| read > 0) {}
    Ok(())
}

/// What no worker sees.
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
    // A head that is too large may be refused before it is a request.
    let fits = is(&answer, status, "refused") || (status == 431 && is(&answer, status, NO_OUTCOME));
    fits.then_some(())
        .ok_or_else(|| format!("{status} was expected, {}", said(&answer)))
}
