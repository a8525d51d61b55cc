//! Ends of a module's process.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::time::Duration;

use isopod_module::protocol::FrameError;
use isopod_module::shared::SharedError;

use crate::bus::SubscribeError;

/// A violation of the protocol by a module's process, which is killed for it.
#[derive(Debug, thiserror::Error)]
pub(super) enum Violation {
    #[error(transparent)]
    Frame(#[from] FrameError),
    #[error("its first message is not `hello`")]
    NoHello,
    #[error("it says `hello` again")]
    SecondHello,
    #[error("it speaks version {0} of the protocol; the host speaks version {own}", own = isopod_module::protocol::PROTOCOL)]
    Version(u32),
    #[error("it cannot subscribe: {0}")]
    Subscribe(#[from] SubscribeError),
    #[error("it chains `{0}`, which is not one of its tasks")]
    Chain(String),
    #[error("it sends responses of task {0}, which it does not have")]
    UnknownTask(u64),
    #[error("task {0} sends more than its window allows; wait for `more`")]
    Window(u64),
    #[error("it sent a message without the required body")]
    Body,
    #[error("it attached shared memory that it was not offered")]
    Unoffered,
    #[error(transparent)]
    Shared(#[from] SharedError),
}

/// The reason why the connection between a process and its host ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum SessionEnd {
    /// It ended by itself, or something else killed it.
    #[error("the process exited unexpectedly: {0}; its output is in the log")]
    Exited(ExitStatus),
    /// It ended as requested.
    #[error("the process was asked to end: {0}")]
    Stopped(ExitStatus),
    /// It broke the protocol.
    #[error("the process broke the module protocol and was killed: {0}")]
    Broke(#[from] Violation),
    /// It did not answer.
    #[error("the process did not answer for {0:?} and was killed")]
    Silent(Duration),
    /// It did not register itself.
    #[error("the process did not register itself within {0:?} and was killed; does it speak the module protocol?")]
    NoHello(Duration),
    /// It did not end a canceled task.
    #[error("the process did not end task {0} after it was canceled, and was killed")]
    Stuck(u64),
    /// It closed the channel and did not exit.
    #[error("the process closed its channel and was killed")]
    Closed,
    /// It did not end when asked to.
    #[error("the process did not exit within {0:?} after it was asked to, and was killed")]
    Killed(Duration),
    /// It could not be started.
    #[error("cannot spawn `{binary}`: {source}; does it exist, and is it executable?")]
    Spawn { binary: String, source: io::Error },
    /// A system call failed.
    #[error("the channel to the process failed: {0}")]
    Io(#[from] io::Error),
}

impl SessionEnd {
    /// Returns true if it ended in order: as requested, or with success.
    pub(super) fn is_well(&self) -> bool {
        match self {
            Self::Stopped(_) => true,
            Self::Exited(status) => status.success(),
            _ => false,
        }
    }

    /// Returns the exit code and the signal, if the process ended by itself.
    pub(super) fn status(&self) -> (Option<i32>, Option<i32>) {
        match self {
            Self::Exited(status) | Self::Stopped(status) => (status.code(), status.signal()),
            Self::Spawn { .. } | Self::Io(_) => (None, None),
            _ => (None, Some(rustix::process::Signal::KILL.as_raw())),
        }
    }
}
