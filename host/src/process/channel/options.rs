//! Settings of a channel.

use std::time::Duration;

use isopod_module::protocol::Limits;

#[cfg(feature = "shared-memory")]
use super::shared::SharedMemory;
use crate::bus::{Pattern, Results, SubscribeOptions};
use crate::supervise::{Backoff, Intensity, Restart};

/// Settings of the channel between the host and a module's process; see [`ProcessModule::channel`](crate::process::ProcessModule::channel).
/// Every setting has a default.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use std::time::Duration;
///
/// use isopod::host::process::{Channel, ProcessModule};
///
/// let channel = Channel::default().retries(3).deadline(Duration::from_secs(300)).publishes("samples.*".parse()?);
/// let scan = ProcessModule::new("scan", "/usr/lib/analysis/scan").channel(channel);
/// # drop(scan);
/// # Ok::<(), isopod_host::bus::TopicError>(())
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct Channel {
    pub(super) restart: Restart,
    pub(super) backoff: Backoff,
    pub(super) intensity: Intensity,
    pub(super) retries: u32,
    pub(super) deadline: Duration,
    pub(super) queue_max: usize,
    pub(super) tasks_max: u32,
    pub(super) window_bytes: u64,
    pub(super) limits: Limits,
    pub(super) silence_max: Duration,
    pub(super) hello_within: Duration,
    pub(super) cancel_grace: Duration,
    pub(super) publishes: Vec<Pattern>,
    pub(super) events: SubscribeOptions,
    pub(super) results: Option<Results>,
    #[cfg(feature = "shared-memory")]
    pub(super) shared_memory: Option<SharedMemory>,
}

impl Default for Channel {
    fn default() -> Self {
        Self {
            restart: Restart::default(),
            backoff: Backoff::default(),
            intensity: Intensity::default(),
            retries: 0,
            deadline: Duration::from_secs(30),
            queue_max: 1024,
            tasks_max: 64,
            window_bytes: 1 << 20,
            limits: Limits::default(),
            silence_max: Duration::from_secs(5),
            hello_within: Duration::from_secs(10),
            cancel_grace: Duration::from_secs(5),
            publishes: Vec::new(),
            events: SubscribeOptions::default(),
            results: None,
            #[cfg(feature = "shared-memory")]
            shared_memory: None,
        }
    }
}

impl Channel {
    /// Sets when a process that has ended is started again. Default: always.
    pub const fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets the wait before a process is started again. Default: [`Backoff::default`], which begins with 100 ms.
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how often a process may be started again; above it, the module has failed and the host stops. Default: 5
    /// times within 60 s.
    pub const fn intensity(mut self, intensity: Intensity) -> Self {
        self.intensity = intensity;
        self
    }

    /// Sets how often a task whose process was lost is retried, at most 16 times. Default: 0, it ends as `worker_lost`. A
    /// retried task may have had effects already: its results are emitted again.
    pub const fn retries(mut self, retries: u32) -> Self {
        self.retries = if retries > 16 { 16 } else { retries };
        self
    }

    /// Sets the time limit of tasks whose request has none. It begins with the request, and includes waiting. Default:
    /// 30 s.
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Sets the maximum number of tasks that wait for the process; another one ends as `load_shed`. Default: 1024.
    pub const fn queue_max(mut self, tasks: usize) -> Self {
        self.queue_max = tasks;
        self
    }

    /// Sets the maximum number of tasks that the process works on at once, at least 1. The process can ask for fewer. Default:
    /// 64.
    pub const fn tasks_max(mut self, tasks: u32) -> Self {
        self.tasks_max = if tasks == 0 { 1 } else { tasks };
        self
    }

    /// Sets how many bytes of progress and results of a task may wait for its reader before the process has to wait. Default:
    /// 1 MiB; the last item may exceed it.
    pub const fn window_bytes(mut self, bytes: u32) -> Self {
        self.window_bytes = if bytes == 0 { 1 } else { bytes as u64 };
        self
    }

    /// Sets the maximum size of a payload, in bytes. Default: 8 MiB.
    pub const fn body_bytes_max(mut self, bytes: u32) -> Self {
        self.limits.body_bytes_max = bytes;
        self
    }

    /// Sets how long a process may be silent, without an answer to the host's ping, before it is killed. Default: 5 s.
    pub const fn silence_max(mut self, silence: Duration) -> Self {
        self.silence_max = silence;
        self
    }

    /// Sets how long a process may take to register itself. Default: 10 s.
    pub const fn hello_within(mut self, within: Duration) -> Self {
        self.hello_within = within;
        self
    }

    /// Sets how long a process may take to end a task that was canceled, before the process is killed. Default: 5 s.
    pub const fn cancel_grace(mut self, grace: Duration) -> Self {
        self.cancel_grace = grace;
        self
    }

    /// Lets the module publish under these topics as well. Default: only under its own name, `<name>.>`.
    pub fn publishes(mut self, topics: Pattern) -> Self {
        self.publishes.push(topics);
        self
    }

    /// Sets the queue of messages that the module subscribes to. Default: [`SubscribeOptions::default`].
    pub const fn events(mut self, options: SubscribeOptions) -> Self {
        self.events = options;
        self
    }

    /// Sets the store of results. Default: the one in the hub, or one of the module's own.
    pub fn results(mut self, results: &Results) -> Self {
        self.results = Some(results.clone());
        self
    }

    /// Lets large payloads and results go through memory that the host shares with the process, if the process can: it needs
    /// `isopod-module` with the feature `shared-memory`, of the same version. Default: all go over the socket.
    ///
    /// Only for modules that the operator trusts like the host's own code: a process that writes anything but what the
    /// protocol says into the memory can crash the host or change data that the host has received.
    ///
    /// Needs the feature `shared-memory`.
    #[cfg(feature = "shared-memory")]
    pub fn shared_memory(mut self, memory: SharedMemory) -> Self {
        self.shared_memory = Some(memory);
        self
    }
}
