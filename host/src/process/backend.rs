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

/// The description of a process to be spawned.
#[derive(Clone)]
#[non_exhaustive]
pub struct ProcessSpec {
    /// The module's name.
    pub name: String,
    /// Executable.
    pub binary: PathBuf,
    /// Its arguments.
    pub args: Vec<OsString>,
    /// Its whole environment, except for variables that the backend adds.
    pub env: BTreeMap<String, OsString>,
    /// Working directory; `None` means the host's.
    pub working_dir: Option<PathBuf>,
    /// The process's end of its [channel](super::Channel), which becomes its descriptor 0.
    pub channel: Option<ChannelEnd>,
}

/// A process's end of its channel. The host notices the end of the process when all copies are closed.
#[derive(Clone, Debug)]
pub struct ChannelEnd(pub(super) Arc<UnixStream>);

impl ChannelEnd {
    /// Returns a descriptor for it, which is closed on `exec` unless it becomes a standard stream of the process.
    ///
    /// # Errors
    /// The process has too many open descriptors.
    pub fn descriptor(&self) -> io::Result<OwnedFd> {
        self.0.try_clone().map(OwnedFd::from)
    }
}

/// Omits the values of the environment, which may be secrets.
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
    /// Spawns a process for the module of this context. The task that reads its output belongs to the module.
    ///
    /// # Errors
    /// It cannot be spawned.
    async fn spawn(&self, spec: &ProcessSpec, ctx: &Context) -> io::Result<Box<dyn Process>>;
}

/// A spawned process. Dropping it kills the process.
#[async_trait]
pub trait Process: Send + 'static {
    /// Waits for its end. The future may be dropped, and the method called again.
    ///
    /// # Errors
    /// It cannot be waited for.
    async fn wait(&mut self) -> io::Result<ExitStatus>;

    /// Asks it to end. Succeeds if it has ended already.
    ///
    /// # Errors
    /// It cannot be asked.
    fn terminate(&mut self) -> io::Result<()>;

    /// Kills it, and waits for its end.
    ///
    /// # Errors
    /// It cannot be killed.
    async fn kill(&mut self) -> io::Result<()>;
}
