//! Process backends.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::sync::Arc;

use async_trait::async_trait;

use crate::context::Context;

/// A process to be.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProcessSpec {
    /// The module's name.
    pub name: String,
    /// Executable.
    pub binary: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// All of its environment, but for what the backend adds.
    pub env: BTreeMap<String, OsString>,
    /// Working directory; `None` means the host's.
    pub working_dir: Option<PathBuf>,
    /// The process's end of its [channel](super::Channel), which is to be its descriptor 0.
    pub channel: Option<ChannelEnd>,
}

/// A process's end of its channel. The host sees that the process has gone when all copies are closed.
#[derive(Clone, Debug)]
pub struct ChannelEnd(pub(super) Arc<UnixStream>);

impl ChannelEnd {
    /// Returns a descriptor of it, which is closed on `exec` unless it becomes a standard stream of the process.
    ///
    /// # Errors
    /// There are too many open descriptors.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone().map(OwnedFd::from)
    }
}

/// Without the values of the environment, which may be secrets.
impl fmt::Debug for ProcessSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessSpec")
            .field("name", &self.name)
            .field("binary", &self.binary)
            .field("args", &self.args)
            .field("env", &self.env.keys().collect::<Vec<_>>())
            .field("working_dir", &self.working_dir)
            .finish()
    }
}

/// Spawns processes.
#[async_trait]
pub trait ProcessBackend: Send + Sync + 'static {
    /// Spawns a process, for the module of this context: what reads its output is a task of the module's.
    ///
    /// # Errors
    /// Why it cannot be spawned.
    async fn spawn(&self, spec: &ProcessSpec, ctx: &Context) -> io::Result<Box<dyn Process>>;
}

/// A process that was spawned. Dropping it kills the process.
#[async_trait]
pub trait Process: Send + 'static {
    /// Waits for its end. May be dropped and called again.
    ///
    /// # Errors
    /// It cannot be waited for.
    async fn wait(&mut self) -> io::Result<ExitStatus>;

    /// Asks it to end; fine if it has ended.
    ///
    /// # Errors
    /// It cannot be asked.
    fn terminate(&mut self) -> io::Result<()>;

    /// Ends it, and waits until it has.
    ///
    /// # Errors
    /// It cannot be ended.
    async fn kill(&mut self) -> io::Result<()>;
}
