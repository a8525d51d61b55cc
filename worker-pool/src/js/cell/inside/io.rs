//! The connections of a cell.

use std::future::poll_fn;
use std::os::unix::net::UnixStream;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::FuturesUnordered;
use futures::{FutureExt as _, StreamExt as _};
use h2::server::SendResponse;
use http::{Request, Response};
use isopod_runtime::remote::{ParcelFuture, Transit, loopback_of};
use isopod_runtime::sandbox::Confinement;
use isopod_runtime::{Begun, Image, WorkerTemplate};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::asks::Asks;
use super::driven::{Driven, Side};
use super::log::{self, Log};
use super::shared::Inside;
use super::waiting::Waiting;
use super::worker::{Booting, Mail};
use super::{event, worker};
use crate::js::cell::line::{Limits, Line};
use crate::js::cell::offered;
use crate::js::cell::offers::Offers;
use crate::js::cell::stream::Stream;
use crate::js::cell::wire::{
    ASK, Boot, Broken, CONNECTION_BYTES, EVENT, FromCell, HEADER_BYTES_MAX, Messages, ToCell, WINDOW_BYTES, encode,
    write,
};

/// Maximum number of unread messages in the worker's mailbox. Further senders wait.
const MAIL_WAITING_MAX: usize = 256;

/// Maximum number of unsent messages of the worker about itself.
const REPORTS_WAITING_MAX: usize = 64;

/// Time limit for sending the rest of the log after the pool has closed its connection.
const FAREWELL: Duration = Duration::from_millis(200);

/// The error of a connection that has not begun: that of its socket, if it is one.
fn early(error: h2::Error) -> Box<dyn std::error::Error> {
    match error.is_io() {
        true => error
            .into_io()
            .map_or_else(|| "its connection is broken".into(), Into::into),
        false => error.into(),
    }
}

/// Serves the pool until it closes the connection for events.
pub(super) fn run(
    down: UnixStream,
    up: UnixStream,
    template: WorkerTemplate,
    image: Image,
    confinement: Option<Confinement>,
    begun: Begun,
) -> Result<(), Box<dyn std::error::Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mail, mailbox) = mpsc::channel(MAIL_WAITING_MAX);
    let waiting = Arc::new(Waiting::new(begun));
    let driven = Arc::new(Driven::new());
    // Started early, so that V8 is ready when the script arrives.
    worker::spawn(mailbox, Arc::clone(&waiting), Arc::clone(&driven), template, image)?;
    let handle = runtime.handle().clone();
    runtime.block_on(serve(down, up, mail, waiting, &driven, handle, confinement))
}

async fn serve(
    down: UnixStream,
    up: UnixStream,
    mail: mpsc::Sender<Mail>,
    waiting: Arc<Waiting>,
    driven: &Arc<Driven>,
    handle: Handle,
    confinement: Option<Confinement>,
) -> Result<(), Box<dyn std::error::Error>> {
    let down = driven.stream(down)?;
    let up = Stream::new(up)?;
    let (up, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .enable_push(false)
        .handshake(up)
        .await
        .map_err(early)?;
    let up_ends = handle.spawn(connection);
    let in_sandbox = confinement.is_some();
    if let Some(confinement) = confinement {
        let request = Request::post("http://cell/confinement").body(());
        let request = request.map_err(|error| Broken(error.to_string()))?;
        let (answer, mut to) = up.clone().send_request(request, false)?;
        to.send_data(encode(&confinement)?, true)?;
        // Dropping a stream resets it.
        handle.spawn(async move { drop(answer.await) });
    }
    let (log, lines) = Log::install();
    let mut logging = handle.spawn(log::send(Arc::clone(&log), up.clone(), lines));
    let connection = h2::server::Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .max_concurrent_streams(u32::MAX)
        // Any number of events may be canceled.
        .max_pending_accept_reset_streams(usize::MAX >> 8)
        // An order may arrive after the end of its event.
        .max_local_error_reset_streams(None)
        .handshake(down)
        .await
        .map_err(early)?;
    let offers = Offers::default();
    // The pool is trusted, and the memory of this process is looked at from outside.
    let line = Line::new(up, offers, handle.clone(), ASK, Transit::default());
    let inside = Arc::new(Inside {
        remote: Arc::new(Asks(line.clone())),
        line,
        mail,
        waiting,
        log: Arc::clone(&log),
        in_sandbox,
    });
    driven.carry(accept(connection, inside));
    tokio::select! {
        () = poll_fn(|cx| driven.poll(Side::Main, cx)) => {}
        // The worker's thread may be stuck, and not read the other one.
        _ = up_ends => {}
    }
    log.close();
    drop(timeout(FAREWELL, &mut logging).await);
    Ok(())
}

/// Answers the streams of the pool until it closes the connection. All of it moves between threads with the connection.
async fn accept(mut connection: h2::server::Connection<Stream, Bytes>, inside: Arc<Inside>) {
    let mut streams = FuturesUnordered::new();
    loop {
        tokio::select! {
            biased;
            accepted = connection.accept() => match accepted {
                Some(Ok((request, respond))) => {
                    // A panic ends one stream.
                    streams.push(AssertUnwindSafe(one(Arc::clone(&inside), request, respond)).catch_unwind());
                }
                Some(Err(_)) | None => return,
            },
            Some(_) = streams.next() => {}
        }
    }
}

async fn one(inside: Arc<Inside>, request: Request<h2::RecvStream>, respond: SendResponse<Bytes>) {
    if request.uri().path() == EVENT {
        // Without its end, the stream tells the pool.
        return drop(event::handle(&inside, request.into_body(), respond).await);
    }
    let Some((request, mut respond)) = offered::serve(inside.line.offers(), request, respond).await else {
        return;
    };
    let path = request.uri().path().to_owned();
    if let Some(number) = path.strip_prefix("/ask/").and_then(|number| number.parse().ok()) {
        let incoming = Messages::new(request.into_body());
        // The pool calls only what this side has lent.
        let find = |_, _| -> ParcelFuture { Box::pin(std::future::ready(Err("it is not lent".to_owned()))) };
        drop(inside.line.answer(number, incoming, respond, find).await);
    } else if path == "/control" {
        drop(control(&inside, request.into_body(), respond).await);
    } else {
        respond.send_reset(h2::Reason::REFUSED_STREAM);
    }
}

/// Starts the worker, and forwards messages between it and the pool.
async fn control(inside: &Inside, request: h2::RecvStream, mut respond: SendResponse<Bytes>) -> Result<(), Broken> {
    let mut incoming = Messages::new(request);
    let mut to = respond.send_response(Response::new(()), false)?;
    let Some(ToCell::Boot(boot)) = incoming.next::<ToCell>().await? else {
        return Err(Broken("a worker is started first".to_owned()));
    };
    let (reports, mut reported) = mpsc::channel(REPORTS_WAITING_MAX);
    let servers = match start(inside, *boot, reports).await {
        Ok(servers) => servers,
        Err(message) => {
            let fault = isopod_runtime::handlers::Fault::new(isopod_runtime::handlers::FaultKind::BootFailed, message);
            write(&mut to, encode(&FromCell::BootFailed((&fault).into()))?).await?;
            return Ok(to.send_data(Bytes::new(), true)?);
        }
    };
    loop {
        tokio::select! {
            message = reported.recv() => match message {
                Some(message) => write(&mut to, encode(&message)?).await?,
                None => return Ok(to.send_data(Bytes::new(), true)?),
            },
            order = incoming.next::<ToCell>() => match order? {
                Some(ToCell::TrimMemory) => drop(inside.mail.send(Mail::TrimMemory).await),
                Some(ToCell::TrimIo) => drop(inside.mail.send(Mail::TrimIo).await),
                Some(ToCell::Servers(places)) => servers.set(places),
                Some(ToCell::Boot(_)) | None => return Ok(()),
            },
        }
    }
}

async fn start(
    inside: &Inside,
    boot: Boot,
    reports: mpsc::Sender<FromCell>,
) -> Result<isopod_runtime::fetch::OwnServers, String> {
    if boot.build != env!("CARGO_PKG_VERSION") {
        let (own, build) = (env!("CARGO_PKG_VERSION"), boot.build);
        return Err(format!(
            "the program of the cells has version {own} of Isopod, and the pool's has {build}"
        ));
    }
    inside.log.set_level(boot.log_level);
    let script = boot.script.script(&inside.remote).map_err(|error| error.to_string())?;
    let servers = script.fetch().servers.clone();
    servers.set(boot.servers);
    let quotas = &script.limits().quotas;
    inside.line.limit(Limits {
        value_bytes_max: quotas.message_bytes,
        socket: quotas.socket.clone(),
    });
    let booting = Booting {
        script: Arc::new(script),
        loopback: loopback_of(&boot.script_name, &inside.remote),
        script_name: boot.script_name,
        version: boot.version,
        worker: boot.worker,
        concurrency: boot.concurrency,
        stop_in: boot.stop_in,
        io_threads: boot.io_threads,
        is_tuned: boot.is_tuned,
        in_sandbox: inside.in_sandbox,
        reports,
    };
    let sent = inside.mail.send(Mail::Boot(Box::new(booting))).await;
    sent.map_err(|_| "the worker's thread has ended".to_owned())?;
    Ok(servers)
}
