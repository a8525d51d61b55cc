//! Processes of this machine.

use std::io;
use std::process::{ExitStatus, Stdio};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tokio::process::{Child, ChildStdin, Command};

use super::backend::{Process, ProcessBackend, ProcessSpec};
use super::logs;
use crate::context::Context;

/// Spawns processes on this machine.
///
/// - Adds `PATH` (`/usr/local/bin:/usr/bin:/bin`) and `LANG` (`C.UTF-8`) to the given environment if it does not have them.
///   Nothing is inherited.
/// - Lines of standard output and standard error go to the log, cut at [`LocalProcesses::line_len_max`]. A process that
///   writes faster than they are logged waits.
/// - Standard input is the process's end of its [channel](super::Channel) if it has one, and otherwise an empty pipe. Both
///   are closed when the host ends, even if it is killed. A process that must not outlive its host ends itself when it reads
///   the end of its input.
/// - Killing a process kills its process group, which contains the processes that it has started.
#[derive(Clone, Copy, Debug)]
pub struct LocalProcesses {
    line_len_max: usize,
}

impl Default for LocalProcesses {
    fn default() -> Self {
        Self { line_len_max: 8 * 1024 }
    }
}

impl LocalProcesses {
    /// Sets the maximum number of bytes of an output line that are logged at once; the rest is logged as further lines.
    /// Default: 8 KiB; at least 1.
    #[must_use]
    pub const fn line_len_max(mut self, bytes: usize) -> Self {
        self.line_len_max = if bytes == 0 { 1 } else { bytes };
        self
    }
}

#[async_trait]
impl ProcessBackend for LocalProcesses {
    async fn spawn(&self, spec: &ProcessSpec, ctx: &Context) -> io::Result<Box<dyn Process>> {
        let mut command = Command::new(&spec.binary);
        command
            .args(&spec.args)
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .env("LANG", "C.UTF-8")
            .envs(&spec.env)
            .stdin(match &spec.channel {
                Some(end) => Stdio::from(end.descriptor()?),
                None => Stdio::piped(),
            })
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            // Not the host's group: Ctrl-C in a terminal would reach the process before the host has drained.
            .process_group(0)
            .kill_on_drop(true);
        if let Some(folder) = &spec.working_dir {
            command.current_dir(folder);
        }
        let mut child = command.spawn()?;
        if let Some(out) = child.stdout.take() {
            logs::follow(ctx, out, "stdout", self.line_len_max);
        }
        if let Some(out) = child.stderr.take() {
            logs::follow(ctx, out, "stderr", self.line_len_max);
        }
        let stdin = child.stdin.take();
        Ok(Box::new(Local { child, _stdin: stdin }))
    }
}

struct Local {
    child: Child,
    /// Held open until the process has to end. `Child::wait` would close it.
    _stdin: Option<ChildStdin>,
}

impl Local {
    /// `None` once it has been waited for: its number may then belong to another process.
    fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.id()?).ok()?)
    }
}

#[async_trait]
impl Process for Local {
    async fn wait(&mut self) -> io::Result<ExitStatus> {
        self.child.wait().await
    }

    fn terminate(&mut self) -> io::Result<()> {
        match self.pid().map(|pid| kill_process(pid, Signal::TERM)) {
            None | Some(Ok(()) | Err(rustix::io::Errno::SRCH)) => Ok(()),
            Some(Err(error)) => Err(error.into()),
        }
    }

    async fn kill(&mut self) -> io::Result<()> {
        if let Some(group) = self.pid() {
            // The process itself is awaited below in any case.
            let _ = kill_process_group(group, Signal::KILL);
        }
        self.child.kill().await
    }
}
