//! The inside of a cell: a process that runs one worker for the pool that started it.
//!
//! The worker has a thread of its own, which also drives the connection for events while no code runs for long. The main thread drives
//! the other connection, and gives signs of life on it.

mod asks;
mod driven;
mod event;
mod io;
mod log;
mod shared;
mod waiting;
mod warm;
mod worker;

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixStream;

use isopod_runtime::{Begun, Extend, Image, WorkerTemplate, platform, sandbox};
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

use super::options::{ARGUMENT, SANDBOX};

/// The `oom_score_adj` of a cell: the kernel kills cells first when memory is short.
const OOM_SCORE: &str = "500";

/// The exit code of a cell that could not start.
const FAILED: i32 = 70;

/// Runs a cell and never returns, if this process was started as one. A program whose pools have [`Cells`](super::Cells) must call
/// this at the very beginning of `main`.
///
/// If the pool has extensions or a custom snapshot, use [`CellProgram`] instead.
pub fn run_cell_if_asked() {
    CellProgram::new().run_if_asked();
}

/// The extensions and the snapshot of a program's cells, which must be those of its pool.
///
/// ```no_run
/// # mod isopod { pub use isopod_pool::js::CellProgram; }
/// isopod::CellProgram::new().run_if_asked();
/// ```
#[derive(Default)]
#[must_use = "it does nothing until `run_if_asked`"]
pub struct CellProgram {
    image: Image,
    extends: Vec<std::sync::Arc<dyn Extend>>,
}

impl CellProgram {
    /// Creates one without extensions.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to its workers what [`PoolBuilder::extend`](crate::js::PoolBuilder::extend) adds to those of a pool.
    pub fn extend(mut self, extend: impl Extend) -> Self {
        self.extends.push(std::sync::Arc::new(extend));
        self
    }

    /// Sets the snapshot, as [`PoolBuilder::image`](crate::js::PoolBuilder::image) does.
    pub const fn image(mut self, image: Image) -> Self {
        self.image = image;
        self
    }

    /// Runs a cell and never returns, if this process was started as one.
    pub fn run_if_asked(self) {
        let mut arguments = std::env::args().skip(1);
        if arguments.next().as_deref() != Some(ARGUMENT) {
            return;
        }
        let parent = arguments.next().and_then(|parent| parent.parse().ok());
        let in_sandbox = arguments.next().as_deref() == Some(SANDBOX);
        let run = || -> Result<(), Box<dyn std::error::Error>> {
            if in_sandbox {
                sandbox::close_inherited();
            }
            let ([down, up], begun) = settle(parent)?;
            let confinement = match in_sandbox {
                true => Some(sandbox::confine()?),
                false => None,
            };
            look_at(parent)?;
            let template = WorkerTemplate::new(self.image, self.extends)?;
            io::run(down, up, template, self.image, confinement, begun)
        };
        match run() {
            Ok(()) => platform::exit_now(0),
            // A pool that is shut down closes the connections of its spare cells, some of which have only just been started.
            Err(error) if error.downcast_ref().is_some_and(has_closed) => platform::exit_now(0),
            Err(error) => {
                eprintln!("the cell cannot run: {error}");
                platform::exit_now(FAILED)
            }
        }
    }
}

/// Returns true if the other side of a connection has closed it.
fn has_closed(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), BrokenPipe | ConnectionReset | UnexpectedEof)
}

/// Checks that the parent is alive.
fn look_at(parent: Option<i32>) -> Result<(), &'static str> {
    let parent = parent.and_then(Pid::from_raw);
    let parent = parent.ok_or("a cell is started by a pool, with its process id")?;
    match getppid() == Some(parent) {
        true => Ok(()),
        false => Err("its pool's process has ended"),
    }
}

/// Ties the process to its parent, and takes the connections from its standard streams, and the record of events from one of them.
fn settle(parent: Option<i32>) -> Result<([UnixStream; 2], Begun), Box<dyn std::error::Error>> {
    set_parent_process_death_signal(Some(Signal::KILL))?;
    // The parent may have ended before the signal was requested.
    look_at(parent)?;
    // Without the permission to raise it, the cell keeps the default.
    drop(std::fs::write("/proc/self/oom_score_adj", OOM_SCORE));
    let down = UnixStream::from(std::io::stdin().as_fd().try_clone_to_owned()?);
    let up = UnixStream::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    // Printed text must not be taken for a message.
    let nothing = std::fs::File::open("/dev/null")?;
    rustix::stdio::dup2_stdin(&nothing)?;
    rustix::stdio::dup2_stdout(std::io::stderr().as_fd())?;
    let begun = Begun::receive(&down)?;
    for stream in [&down, &up] {
        stream.set_nonblocking(true)?;
    }
    Ok(([down, up], begun))
}
