//! The process of a cell: start, memory and end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use h2::PingPong;
use isopod_runtime::Begun;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::keeper::Keeper;
use super::options::{ARGUMENT, Cells, SANDBOX};
use super::serve::{Served, serve};

/// The interval at which a cell's memory is measured.
const WEIGHED_EVERY: Duration = Duration::from_millis(100);

/// Time limit for a cell that is no longer needed to write the rest of its log.
const FAREWELL: Duration = Duration::from_millis(500);

/// Maximum number of bytes of a cell's standard error that are logged at once.
const CHUNK_BYTES: usize = 8 << 10;

/// A started process. Dropping it ends the process.
pub(super) struct Launched {
    /// The connection for events, until the worker takes it.
    pub(super) down: Option<UnixStream>,
    /// Pings the cell's main thread, once it runs. Until the worker takes it.
    pub(super) pings: Option<oneshot::Receiver<PingPong>>,
    /// The objects that the cell may request or call.
    pub(super) served: Arc<Served>,
    pub(super) life: Arc<Life>,
    pub(super) in_sandbox: bool,
}

/// The state of a process.
pub(super) struct Life {
    pid: u32,
    /// Private memory, in bytes.
    memory_bytes: AtomicUsize,
    memory_max: AtomicUsize,
    /// True if it was killed because of its memory.
    is_too_large: AtomicBool,
    /// The events that it has begun.
    begun: Begun,
    kill: Notify,
    release: Notify,
    /// A description of its end, once it has ended.
    ended: watch::Sender<Option<String>>,
}

impl Life {
    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// The private memory at the last measurement.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Sets the private memory above which the process is killed.
    pub(super) fn set_memory_max(&self, bytes: usize) {
        self.memory_max.store(bytes, Ordering::Relaxed);
    }

    /// Limits the address space for data, for allocations that exceed the limit between two measurements.
    pub(super) fn limit_address_space(&self, bytes: usize) {
        let max = Some(bytes as u64);
        let limit = Rlimit {
            current: max,
            maximum: max,
        };
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        if let Err(error) = prlimit(pid, Resource::Data, limit) {
            tracing::debug!(pid = self.pid, %error, "cannot limit the address space of a cell");
        }
    }

    pub(super) fn is_too_large(&self) -> bool {
        self.is_too_large.load(Ordering::Relaxed)
    }

    /// Returns whether an event may have begun. What is true of an event once the process [has ended](Self::has_ended) stays true.
    pub(super) fn may_have_begun(&self, event: u64) -> bool {
        self.begun.may_have_begun(event)
    }

    /// Returns whether the system has reported its end, so that none of its threads runs.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.borrow().is_some()
    }

    /// Kills the process.
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Waits for the end of the process, and describes it.
    pub(super) async fn ended(&self) -> String {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or_default(),
            Err(_) => "its end is not known".to_owned(),
        }
    }
}

impl Launched {
    /// Returns whether it is still running.
    pub(super) fn lives(&self) -> bool {
        !self.life.has_ended()
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.life.release.notify_one();
    }
}

/// Starts a process on the runtime that supervises it. It ends with the thread of that runtime.
pub(super) fn launch(cells: &Cells, keeper: &Keeper, in_sandbox: bool) -> io::Result<Launched> {
    let (down, its_down) = UnixStream::pair()?;
    let (up, its_up) = UnixStream::pair()?;
    let begun = Begun::create(&down)?;
    for stream in [&down, &up] {
        stream.set_nonblocking(true)?;
    }
    let mut child = Command::new(&cells.program)
        .arg0(ARGUMENT)
        .args([ARGUMENT.to_owned(), std::process::id().to_string()])
        .args(in_sandbox.then_some(SANDBOX))
        .env_clear()
        // A sandbox cannot read the file with the time zone.
        .envs(time_zone().filter(|_| in_sandbox).map(|zone| ("TZ", zone)))
        .envs(cells.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(OwnedFd::from(its_down)))
        .stdout(Stdio::from(OwnedFd::from(its_up)))
        .stderr(Stdio::piped())
        // Otherwise Ctrl-C in a terminal would reach the cell before its worker is drained.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().unwrap_or_default();
    let life = Arc::new(Life {
        pid,
        memory_bytes: AtomicUsize::new(0),
        memory_max: AtomicUsize::new(usize::MAX),
        is_too_large: AtomicBool::new(false),
        begun,
        kill: Notify::new(),
        release: Notify::new(),
        ended: watch::Sender::new(None),
    });
    let served = Arc::new(Served::new(
        in_sandbox.then(|| (keeper.broker.clone(), keeper.handle.clone())),
    ));
    if let Some(errors) = child.stderr.take() {
        keeper.handle.spawn(log_errors(errors, pid, Arc::clone(&served)));
    }
    let (to, pings) = oneshot::channel();
    keeper.handle.spawn(serve(up, Arc::clone(&served), to));
    keeper
        .handle
        .spawn(look_after(child, Arc::clone(&life), keeper.clone()));
    tracing::debug!(pid, "started a cell");
    Ok(Launched {
        down: Some(down),
        pings: Some(pings),
        served,
        life,
        in_sandbox,
    })
}

/// The name of the system's time zone.
fn time_zone() -> Option<String> {
    let file = std::fs::read_link("/etc/localtime").ok()?;
    let (_, name) = file.to_str()?.split_once("/zoneinfo/")?;
    Some(name.to_owned())
}

async fn look_after(mut child: Child, life: Arc<Life>, keeper: Keeper) {
    let mut ends = keeper.ends.clone();
    let _lives = keeper.lives;
    let mut has_ended = false;
    let mut weighs = interval(WEIGHED_EVERY);
    weighs.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut released = false;
    let status = loop {
        tokio::select! {
            status = child.wait() => break status,
            () = life.kill.notified() => drop(child.start_kill()),
            _ = ends.wait_for(|ends| *ends), if !has_ended => {
                has_ended = true;
                drop(child.start_kill());
            }
            () = life.release.notified(), if !released => released = true,
            () = sleep(FAREWELL), if released => drop(child.start_kill()),
            _ = weighs.tick(), if !released => {
                let bytes = private_bytes(life.pid).unwrap_or_default();
                life.memory_bytes.store(bytes, Ordering::Relaxed);
                if bytes > life.memory_max.load(Ordering::Relaxed) {
                    life.is_too_large.store(true, Ordering::Relaxed);
                    drop(child.start_kill());
                }
            }
        }
    };
    let how = match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("its end is not known: {error}"),
    };
    tracing::debug!(pid = life.pid, how, "a cell ended");
    life.ended.send_replace(Some(how));
}

/// Returns the memory that a process does not share with others.
fn private_bytes(pid: u32) -> Option<usize> {
    let pages = std::fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    let mut pages = pages.split(' ').skip(1).map_while(|pages| pages.parse::<usize>().ok());
    let (resident, shared) = (pages.next()?, pages.next()?);
    Some(
        resident
            .saturating_sub(shared)
            .saturating_mul(rustix::param::page_size()),
    )
}

/// Logs the standard error of a process, such as messages of V8 or of a panic.
async fn log_errors(mut errors: impl AsyncRead + Unpin, pid: u32, served: Arc<Served>) {
    let mut chunk = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = errors.read(&mut chunk).await {
        let script = served.script();
        for line in String::from_utf8_lossy(&chunk[..length])
            .lines()
            .filter(|line| !line.is_empty())
        {
            tracing::warn!(target: "isopod::cell", pid, script, "{line}");
        }
    }
}
