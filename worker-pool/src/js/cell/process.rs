//! The process of a cell: its start, its memory, its end.

use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, prlimit};
use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, Command};
use tokio::sync::{Notify, watch};
use tokio::time::{MissedTickBehavior, interval, sleep};

use super::keeper::Keeper;
use super::options::{ARGUMENT, Cells, SANDBOX};
use super::serve::{Served, serve};

/// The interval at which a cell's memory is read.
const WEIGHED_EVERY: Duration = Duration::from_millis(100);

/// Time for a cell that is not needed any more to write the rest of its log.
const FAREWELL: Duration = Duration::from_millis(500);

/// The most bytes of what a cell writes to its standard error that are logged at once.
const CHUNK_BYTES: usize = 8 << 10;

/// A process that was started. Dropping it ends the process.
pub(super) struct Launched {
    /// The connection for events, until the worker takes it.
    pub(super) down: Option<UnixStream>,
    /// All that the cell may ask for.
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
    /// It was killed because of its memory.
    is_too_large: AtomicBool,
    kill: Notify,
    release: Notify,
    /// Its end, once it has come.
    ended: watch::Sender<Option<String>>,
}

impl Life {
    pub(super) const fn pid(&self) -> u32 {
        self.pid
    }

    /// The private memory at the last look.
    pub(super) fn memory_bytes(&self) -> usize {
        self.memory_bytes.load(Ordering::Relaxed)
    }

    /// Sets the private memory above which the process is killed.
    pub(super) fn set_memory_max(&self, bytes: usize) {
        self.memory_max.store(bytes, Ordering::Relaxed);
    }

    /// Sets the address space for data, above which the system refuses more: what is taken at once, between two looks.
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

    /// Ends the process at once.
    pub(super) fn kill(&self) {
        self.kill.notify_one();
    }

    /// Waits until the process has ended, and says how.
    pub(super) async fn ended(&self) -> String {
        let mut ended = self.ended.subscribe();
        match ended.wait_for(Option::is_some).await {
            Ok(how) => how.clone().unwrap_or_default(),
            Err(_) => "its end is not known".to_owned(),
        }
    }
}

impl Launched {
    /// Returns whether it has not ended yet.
    pub(super) fn lives(&self) -> bool {
        self.life.ended.borrow().is_none()
    }
}

impl Drop for Launched {
    fn drop(&mut self) {
        self.life.release.notify_one();
    }
}

/// Starts a process, on the runtime that will look after it: it ends with the thread of that runtime.
pub(super) fn launch(cells: &Cells, keeper: &Keeper, in_sandbox: bool) -> io::Result<Launched> {
    let (down, its_down) = UnixStream::pair()?;
    let (up, its_up) = UnixStream::pair()?;
    for stream in [&down, &up] {
        stream.set_nonblocking(true)?;
    }
    let mut child = Command::new(&cells.program)
        .arg0(ARGUMENT)
        .args([ARGUMENT.to_owned(), std::process::id().to_string()])
        .args(in_sandbox.then_some(SANDBOX))
        .env_clear()
        // It cannot read the file that says so.
        .envs(time_zone().filter(|_| in_sandbox).map(|zone| ("TZ", zone)))
        .envs(cells.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::from(OwnedFd::from(its_down)))
        .stdout(Stdio::from(OwnedFd::from(its_up)))
        .stderr(Stdio::piped())
        // Not that of the pool's process: Ctrl-C in a terminal would reach the cell before its worker is drained.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()?;
    let pid = child.id().unwrap_or_default();
    let life = Arc::new(Life {
        pid,
        memory_bytes: AtomicUsize::new(0),
        memory_max: AtomicUsize::new(usize::MAX),
        is_too_large: AtomicBool::new(false),
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
    keeper.handle.spawn(serve(up, Arc::clone(&served)));
    keeper
        .handle
        .spawn(look_after(child, Arc::clone(&life), keeper.clone()));
    tracing::debug!(pid, "started a cell");
    Ok(Launched {
        down: Some(down),
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

/// Memory that a process does not share: what it takes from the machine.
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

/// Logs what a process writes to its standard error: V8's last words, or those of a panic.
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
