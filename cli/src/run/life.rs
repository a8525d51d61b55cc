//! Lifecycle of a command: a thread for its script, and the exit code.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result};
use isopod::io::IoOptions;
use isopod::{OsScheduling, Script, WorkerThread};
use isopod_runtime::handlers::{Fault, FaultKind};
use isopod_runtime::{BootOptions, Watchdog, Worker, platform};

use crate::cli::tell_error;

/// Exit code of a script that reached a limit, as that of `timeout`.
const LIMIT_REACHED: u8 = 124;

/// Time limit for closing databases and connections. Operations that still block then (a read of standard input, a file on
/// a slow network) are left to the operating system.
const GRACE: Duration = Duration::from_millis(500);

/// Result of a script: an exit code or a fault, if it could be started.
pub(super) type End = Result<Result<i32, Fault>>;

/// Starts a script. Its result is sent once, and the channel closes when its thread has cleaned up.
pub(super) fn begin(script: Script) -> Result<Receiver<End>> {
    let script = Arc::new(script);
    let (ended, end) = sync_channel(1);
    let body = move || on_thread(&script, &ended);
    platform::spawn("isopod-run".into(), Box::new(body)).context("cannot start a thread")?;
    Ok(end)
}

/// Runs a script to its end, no longer than `wall`.
pub(super) fn live(script: Script, wall: Option<Duration>) -> Result<ExitCode> {
    let end = begin(script)?;
    let code = match wall {
        None => end.recv().map_err(|_| RecvTimeoutError::Disconnected),
        Some(wall) => end.recv_timeout(wall),
    };
    let code = match code {
        Ok(outcome) => exit_status(outcome?),
        Err(RecvTimeoutError::Timeout) => {
            let wall = humantime::format_duration(wall.unwrap_or_default());
            tell_error(format_args!("the script exceeded its time limit of {wall} (--wall)"));
            // Nothing waits for the script's work, so it is not asked to stop.
            platform::exit_now(LIMIT_REACHED.into());
        }
        Err(RecvTimeoutError::Disconnected) => anyhow::bail!("the script's thread was lost"),
    };
    match end.recv_timeout(GRACE) {
        Err(RecvTimeoutError::Disconnected) => Ok(ExitCode::from(code)),
        _ => platform::exit_now(code.into()),
    }
}

/// Returns the exit code of a result and prints its error.
pub(super) fn exit_status(end: Result<i32, Fault>) -> u8 {
    let fault = match end {
        // The system keeps only the last eight bits.
        Ok(code) => return u8::try_from(code & 0xff).unwrap_or(1),
        Err(fault) => fault,
    };
    let text = fault.detail.as_deref().unwrap_or(&fault.message);
    let (option, code) = match fault.kind {
        FaultKind::ExceededCpu => (" (--cpu)", LIMIT_REACHED),
        FaultKind::ExceededMemory => (" (--memory)", LIMIT_REACHED),
        _ => ("", 1),
    };
    tell_error(format_args!("{text}{option}"));
    code
}

/// Runs the script's thread: its event loop and worker. The result is sent before they are dropped.
fn on_thread(script: &Arc<Script>, ended: &SyncSender<End>) {
    // If the receiver is gone, the process is about to exit.
    let tell = |end| drop(ended.send(end));
    let start = || {
        let watchdog = Arc::new(Watchdog::start(OsScheduling::Untouched)?);
        let thread = WorkerThread::new(IoOptions::default(), watchdog);
        let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        anyhow::Ok((thread, event_loop))
    };
    let (thread, event_loop) = match start() {
        Ok(started) => started,
        Err(error) => return tell(Err(error)),
    };
    let local = tokio::task::LocalSet::new();
    event_loop.block_on(local.run_until(async {
        match Worker::boot(&thread, script, BootOptions::default()).await {
            Ok(mut worker) => {
                let end = worker.run().await;
                tell(Ok(end));
            }
            Err(fault) => tell(Ok(Err(fault))),
        }
    }));
    drop(local);
    // Blocked threads (name resolution, files) are not awaited.
    event_loop.shutdown_background();
}
