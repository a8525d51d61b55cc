//! Starts a worker in a cell.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_outcome::Failure;
use isopod_runtime::fetch::WrittenServers;
use isopod_runtime::remote::{Crossing, SandboxLimits, Transit};
use isopod_runtime::{Isolation, OsScheduling, Script};
use tokio::runtime::Handle;

use super::control::{heartbeat, listen};
use super::{CellWorker, State};
use crate::engine::{BootContext, BootError};
use crate::js::cell::Depot;
use crate::js::cell::line::{Limits, Line};
use crate::js::cell::process::Launched;
use crate::js::cell::serve::MakeFetcher;
use crate::js::cell::spares::Refills;
use crate::js::cell::stream::Stream;
use crate::js::cell::wire::{
    Boot, Broken, CALL, CONNECTION_BYTES, FromCell, HEADER_BYTES_MAX, Messages, ToCell, WINDOW_BYTES, say,
};
use crate::js::fault::failure;

/// Private memory of a cell beyond its script's limit, above which it is killed. It covers the memory of the program and of V8, and
/// growth between two measurements.
const MEMORY_BESIDE: usize = 192 << 20;

/// Address space for data that V8 and the stacks of threads reserve, and mostly do not use.
const UNUSED_BYTES: usize = 1 << 30;

/// Settings of a pool that concern all its cells.
#[derive(Clone)]
pub(in crate::js) struct Conditions {
    pub(in crate::js) io_threads: usize,
    pub(in crate::js) scheduling: OsScheduling,
    pub(in crate::js) lost_grace: Duration,
    pub(in crate::js) cancel_grace: Duration,
    /// Makes fetchers of the pool's workers.
    pub(in crate::js) fetchers: Option<MakeFetcher>,
}

/// Starts a worker. Dropping the future ends the process.
pub(in crate::js) async fn boot(
    depot: &Depot,
    script: &Arc<Script>,
    ctx: BootContext,
    conditions: &Conditions,
    isolation: Isolation,
) -> Result<CellWorker, BootError> {
    let in_sandbox = isolation == Isolation::Sandbox;
    let written = script
        .written_for(isolation)
        .map_err(|error| BootError::new(error.to_string()))?;
    let servers = match in_sandbox {
        // A sandbox has no network.
        true => WrittenServers::default(),
        false => script.fetch().servers.written(),
    };
    let mut is_new = false;
    let _refills = Refills { depot, in_sandbox };
    loop {
        let cell = depot.take(is_new, in_sandbox).await.map_err(|error| {
            BootError::new("cannot start a process for the worker: is there a limit on processes?")
                .with_detail(error.to_string())
        })?;
        if in_sandbox {
            check(depot, &cell).await?;
        }
        let boot = Boot {
            build: env!("CARGO_PKG_VERSION").to_owned(),
            script: written.clone(),
            script_name: (*ctx.script_name).to_owned(),
            version: ctx.version,
            worker: ctx.worker.get(),
            concurrency: ctx.concurrency,
            stop_in: ctx.stop_at.map(|at| at.saturating_duration_since(Instant::now())),
            io_threads: conditions.io_threads,
            is_tuned: conditions.scheduling == OsScheduling::Tuned,
            log_level: level(),
            servers: servers.clone(),
        };
        let life = Arc::clone(&cell.life);
        let error = match start(depot, script, cell, boot, &ctx, conditions).await {
            Ok(worker) => return Ok(worker),
            Err(Refused::Failed(failure)) => return Err(BootError(failure)),
            Err(Refused::Broken(error)) => error,
        };
        life.kill();
        let how = life.ended().await;
        // A spare process may have been killed or stopped meanwhile.
        if !std::mem::replace(&mut is_new, true) {
            tracing::warn!(pid = life.pid(), how, %error, "a cell ended before its worker was ready: trying another one");
            continue;
        }
        let what = match life.is_too_large() {
            true => "the worker's process exceeded its memory while starting",
            false => "the worker's process ended while starting",
        };
        return Err(BootError::new(format!("{what} ({how})")).with_detail(error.to_string()));
    }
}

/// Checks the mechanisms that confine a sandbox, if all of them are required.
async fn check(depot: &Depot, cell: &Launched) -> Result<(), BootError> {
    let confinement = depot
        .confinement_of(cell)
        .await
        .map_err(|error| BootError::new("cannot confine a process for the worker").with_detail(error.to_string()))?;
    match depot.options().sandbox_required && !confinement.is_whole() {
        true => Err(BootError::new(format!(
            "a sandbox is required, and this system has one {confinement}; permit what is missing, or do not require it"
        ))),
        false => Ok(()),
    }
}

enum Refused {
    Failed(Failure),
    Broken(Broken),
}

impl<E: Into<Broken>> From<E> for Refused {
    fn from(error: E) -> Self {
        Self::Broken(error.into())
    }
}

async fn start(
    depot: &Depot,
    script: &Arc<Script>,
    mut cell: Launched,
    boot: Boot,
    ctx: &BootContext,
    conditions: &Conditions,
) -> Result<CellWorker, Refused> {
    let taken = || Broken("the process has a worker already".to_owned());
    let down = Stream::new(cell.down.take().ok_or_else(taken)?)?;
    let memory_max = script.limits().memory_bytes;
    let private_max = memory_max.saturating_add(memory_max / 2).saturating_add(MEMORY_BESIDE);
    cell.life.set_memory_max(private_max);
    if cell.in_sandbox {
        cell.life
            .limit_address_space(private_max.saturating_mul(2).saturating_add(UNUSED_BYTES));
    }
    let pings = cell.pings.take().ok_or_else(taken)?;
    let (requests, connection) = h2::client::Builder::new()
        .initial_window_size(WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_BYTES)
        .max_header_list_size(HEADER_BYTES_MAX)
        .enable_push(false)
        .handshake(down)
        .await?;
    let name = Arc::clone(&ctx.script_name);
    #[expect(
        clippy::disallowed_methods,
        reason = "of the worker's event loop, with which all that is asked of it ends"
    )]
    let own = Handle::current();
    let transit = Transit::new(depot.options().transit_bytes_max);
    let line = Line::new(requests.clone(), cell.served.offers.clone(), own, CALL, transit);
    let quotas = &script.limits().quotas;
    line.limit(Limits {
        value_bytes_max: quotas.message_bytes,
        socket: quotas.socket.clone(),
    });
    cell.served
        .runs(Arc::clone(script), name, line.clone(), conditions.fetchers.clone());
    tokio::task::spawn_local(connection);
    let state = Rc::new(State {
        value_bytes_max: quotas.message_bytes,
        ..State::default()
    });
    let silence_max = depot.options().silence_max.max(Duration::from_millis(100));
    // If there are none, the process is killed, so that its connection ends.
    let life = Arc::clone(&cell.life);
    tokio::task::spawn_local(heartbeat(pings, Rc::clone(&state), life, silence_max));
    let request = http::Request::post("http://cell/control").body(());
    let request = request.map_err(|error| Broken(error.to_string()))?;
    let (response, mut control) = requests.clone().send_request(request, false)?;
    let servers = boot.servers.clone();
    say(&mut control, &ToCell::Boot(Box::new(boot)))?;
    let mut incoming = Messages::new(response.await?.into_body());
    loop {
        match incoming.next::<FromCell>().await? {
            Some(FromCell::Booted { memory_bytes }) => {
                state
                    .memory_bytes
                    .set(usize::try_from(memory_bytes).unwrap_or(usize::MAX));
                break;
            }
            Some(FromCell::BootFailed(fault)) => return Err(Refused::Failed(failure(fault.into()))),
            Some(FromCell::Loaded(urls)) => script.modules_loaded().add(&urls),
            // Events state the number of long turns, including those of the start.
            Some(FromCell::LongTurn) => state.long_turns.set(state.long_turns.get() + 1),
            Some(_) => {}
            None => return Err(Refused::Broken(Broken("it closed the connection".to_owned()))),
        }
    }
    tokio::task::spawn_local(listen(
        incoming,
        Rc::clone(&state),
        (Arc::clone(&cell.life), Arc::clone(&cell.served)),
        ctx.notice.clone(),
        script.modules_loaded(),
        conditions.lost_grace,
    ));
    tracing::debug!(
        worker = ctx.worker.get(),
        pid = cell.life.pid(),
        "a worker runs in a cell"
    );
    Ok(CellWorker {
        script: Arc::clone(script),
        state,
        line,
        control,
        servers,
        number: 0,
        next_stop: None,
        cancel_grace: conditions.cancel_grace,
        crossing: match cell.in_sandbox {
            true => Crossing::to_sandbox(SandboxLimits {
                native_bytes: quotas.native_bytes,
                cpu: script.limits().cpu,
            }),
            false => Crossing::default(),
        },
        cell,
    })
}

/// The level of the log, for `Boot`.
fn level() -> u8 {
    use tracing::level_filters::LevelFilter;
    match LevelFilter::current() {
        LevelFilter::OFF => 0,
        LevelFilter::ERROR => 1,
        LevelFilter::WARN => 2,
        LevelFilter::INFO => 3,
        LevelFilter::DEBUG => 4,
        _ => 5,
    }
}
