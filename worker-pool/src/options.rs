//! Settings of the pool ([`Settings`], through its builder), of a script ([`Options`]) and of an event ([`Meta`]).

use std::time::{Duration, Instant};

use crate::breaker::BreakerOptions;
use crate::engine::WorkerId;
use crate::sizing::Size;

/// Lifetime of a worker.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Handles many events, interleaved up to the script's concurrency.
    #[default]
    PerWorker,
    /// Handles one event.
    PerRequest,
    /// Handles one event, and then the script is undeployed.
    Oneshot,
}

/// Conditions for replacing a worker. It finishes its events, and a fresh worker replaces it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recycle {
    /// Number of events. Default: unlimited.
    pub events: Option<u64>,
    /// Age since it was ready. Default: unlimited.
    pub age: Option<Duration>,
    /// Memory held, in bytes, checked after each event. Default: unlimited.
    pub memory_bytes: Option<usize>,
}

isopod_outcome::setters!(Recycle {
    events: impl Into<Option<u64>>,
    age: impl Into<Option<Duration>>,
    memory_bytes: impl Into<Option<usize>>,
});

/// Limits of a script's [sessions](crate::Session).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SessionLimits {
    /// Maximum number of open sessions. Default: 10,000.
    pub max: usize,
    /// Maximum number of sessions of one worker, at least 1. Default: 5,000.
    pub per_worker: usize,
    /// Maximum number of open events of one session, at least 1. Default: 64.
    pub events: usize,
    /// Maximum number of open events of all sessions of one worker, at least 1. Default: 1024.
    pub events_per_worker: usize,
    /// Time for which a worker that must end is kept for its sessions. Default: 5 s.
    ///
    /// Another script may wait for the worker's thread meanwhile: keep it below
    /// [`PoolBuilder::queue_wait_max`](crate::PoolBuilder::queue_wait_max).
    pub grace: Duration,
}

isopod_outcome::setters!(SessionLimits {
    max: usize,
    per_worker: usize,
    events: usize,
    events_per_worker: usize,
    grace: Duration,
});

impl Default for SessionLimits {
    fn default() -> Self {
        Self {
            max: 10_000,
            per_worker: 5_000,
            events: 64,
            events_per_worker: 1024,
            grace: Duration::from_secs(5),
        }
    }
}

/// Options of a deployed script. The defaults suit most scripts.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// Lifetime of a worker. Default: [`Policy::PerWorker`].
    pub policy: Policy,
    /// Maximum number of events that a worker interleaves, at least 1. Default: 64; always 1 unless the policy is
    /// `PerWorker`.
    ///
    /// A high value suits events that mostly wait. For events that mostly compute use 1: an event given to a worker stays
    /// there, behind any computation, while a queued event goes to the first free worker.
    pub concurrency: usize,
    /// Reduces the concurrency of a worker, down to one, while its thread never sleeps, because another event would only
    /// slow down the others. That event waits in the queue instead, where another worker can take it, or is shed. Default:
    /// false.
    ///
    /// Suits scripts that compute, sometimes or always, and replaces tuning `concurrency`.
    pub adapts: bool,
    /// Maximum number of workers. Default: one per processor, or the number of threads if the pool's is set.
    ///
    /// More do not help workers that compute. Raise it, or `concurrency`, for a script with many events in flight that wait
    /// for long.
    pub workers_max: Option<usize>,
    /// Number of workers that are booted at once and kept warm. Only a script without any worker may displace them. Default: 0.
    pub workers_min: usize,
    /// Conditions for replacing a worker.
    pub recycle: Recycle,
    /// Time for the start of a worker. Default: the pool's.
    pub boot_timeout: Option<Duration>,
    /// Time until an event must be answered, or the stream of its answer must begin. Default: the pool's.
    pub wall_timeout: Option<Duration>,
    /// Time for producing the stream of an answer. Default: the pool's.
    pub stream_timeout: Option<Duration>,
    /// Time for `ctx.waitUntil` work after the answer. Default: the pool's.
    pub wait_until_timeout: Option<Duration>,
    /// Maximum queue length, at least 1. Default: the pool's.
    pub queue_len_max: Option<usize>,
    /// Number of events in flight on the least loaded warm worker at which the script gets another worker. Default: 4.
    ///
    /// Below it events stay together, where caches and connections are warm. All events count, whether waiting or computing;
    /// with 1 a script spreads as soon as two of its events overlap.
    pub spread_at: usize,
    /// Share of the threads when scripts compete for them, in proportion to the weight. At least 1.
    /// Default: 1.
    pub weight: u32,
    /// Limits of its sessions.
    pub sessions: SessionLimits,
}

isopod_outcome::setters!(Options {
    policy: Policy,
    concurrency: usize,
    adapts: bool,
    workers_max: impl Into<Option<usize>>,
    workers_min: usize,
    recycle: Recycle,
    boot_timeout: impl Into<Option<Duration>>,
    wall_timeout: impl Into<Option<Duration>>,
    stream_timeout: impl Into<Option<Duration>>,
    wait_until_timeout: impl Into<Option<Duration>>,
    queue_len_max: impl Into<Option<usize>>,
    spread_at: usize,
    weight: u32,
    sessions: SessionLimits,
});

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::PerWorker,
            concurrency: 64,
            adapts: false,
            workers_max: None,
            workers_min: 0,
            recycle: Recycle::default(),
            boot_timeout: None,
            wall_timeout: None,
            stream_timeout: None,
            wait_until_timeout: None,
            queue_len_max: None,
            spread_at: 4,
            weight: 1,
            sessions: SessionLimits::default(),
        }
    }
}

/// Priority of an event among the events of its script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// First in the queue, and only refused or shed if all queued events have high priority.
    High,
    /// The default.
    #[default]
    Normal,
    /// Last in the queue, shed for others from a full queue, and refused while the queue is standing.
    Low,
}

impl Priority {
    /// All priorities, highest first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];
}

/// A caller's settings for one event.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Meta {
    /// Time until which the caller waits, whether the event is queued or running. Default: the script's limits only.
    pub deadline: Option<Instant>,
    /// Priority. Default: [`Priority::Normal`].
    pub priority: Priority,
    /// Number of nested calls between workers, this event included; each caller waits for the next. An event deeper than
    /// [`PoolBuilder::depth_max`](crate::PoolBuilder::depth_max) is refused. Default: 0, an event from outside.
    pub depth: u32,
    /// Preferred worker, to which the caller is [attached](crate::AttachedTask). Default: none.
    pub near: Option<WorkerId>,
}

isopod_outcome::setters!(Meta {
    deadline: impl Into<Option<Instant>>,
    priority: Priority,
    depth: u32,
    near: impl Into<Option<WorkerId>>,
});

/// Settings of the pool, each documented at its builder method.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) size: Size,
    pub(crate) queue_len_max: usize,
    pub(crate) queue_total_max: usize,
    pub(crate) queue_wait_max: Duration,
    pub(crate) queue_target: Duration,
    pub(crate) queue_interval: Duration,
    pub(crate) wall_timeout: Duration,
    pub(crate) stream_timeout: Duration,
    pub(crate) wait_until_timeout: Duration,
    pub(crate) boot_timeout: Duration,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) trim_after: Duration,
    pub(crate) io_idle_timeout: Duration,
    pub(crate) thread_idle_timeout: Duration,
    pub(crate) linger: Duration,
    pub(crate) attached_tasks_max: usize,
    pub(crate) displace_after: Duration,
    pub(crate) yield_after: Duration,
    pub(crate) cancel_grace: Duration,
    pub(crate) wall_grace: Duration,
    pub(crate) lost_grace: Duration,
    pub(crate) lost_threads_max: usize,
    pub(crate) stop_grace: Duration,
    pub(crate) drop_drain: Duration,
    pub(crate) depth_max: u32,
    pub(crate) retry_after: Duration,
    pub(crate) breaker: BreakerOptions,
}

/// A script's options with defaults applied and limits made consistent.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    pub(crate) policy: Policy,
    pub(crate) concurrency: usize,
    pub(crate) adapts: bool,
    pub(crate) workers_max: usize,
    pub(crate) workers_min: usize,
    pub(crate) events_max: Option<u64>,
    pub(crate) age_max: Option<Duration>,
    pub(crate) memory_bytes_max: Option<usize>,
    pub(crate) boot_timeout: Duration,
    pub(crate) wall_timeout: Duration,
    pub(crate) stream_timeout: Duration,
    pub(crate) wait_until_timeout: Duration,
    pub(crate) queue_len_max: usize,
    pub(crate) spread_at: usize,
    pub(crate) weight: u32,
    pub(crate) sessions: SessionLimits,
}

impl Limits {
    pub(crate) fn new(options: &Options, settings: &Settings) -> Self {
        let single = options.policy != Policy::PerWorker;
        let concurrency = if single { 1 } else { options.concurrency.max(1) };
        let workers_max = options
            .workers_max
            .unwrap_or(settings.size.script_workers_max)
            .clamp(1, settings.size.threads_max);
        Self {
            policy: options.policy,
            concurrency,
            adapts: options.adapts && concurrency > 1,
            workers_max,
            workers_min: options.workers_min.min(workers_max),
            events_max: if single {
                Some(1)
            } else {
                options.recycle.events.map(|events| events.max(1))
            },
            age_max: options.recycle.age,
            memory_bytes_max: options.recycle.memory_bytes,
            boot_timeout: options.boot_timeout.unwrap_or(settings.boot_timeout),
            wall_timeout: options.wall_timeout.unwrap_or(settings.wall_timeout),
            stream_timeout: options.stream_timeout.unwrap_or(settings.stream_timeout),
            wait_until_timeout: options.wait_until_timeout.unwrap_or(settings.wait_until_timeout),
            queue_len_max: options.queue_len_max.unwrap_or(settings.queue_len_max).max(1),
            spread_at: options.spread_at.clamp(1, concurrency),
            weight: options.weight.max(1),
            sessions: SessionLimits {
                per_worker: options.sessions.per_worker.max(1),
                events: options.sessions.events.max(1),
                events_per_worker: options.sessions.events_per_worker.max(1),
                ..options.sessions
            },
        }
    }

    /// Returns the capacity of a worker's mailbox: its events, a cancellation for each event held or ended since the last
    /// read, another for events whose session ends, and the few control messages.
    pub(crate) const fn mailbox_len(&self, depth_max: u32) -> usize {
        let concurrency = self.concurrency.saturating_mul(depth_max as usize + 1);
        // The first events of sessions count twice, because they come from the queue and other events of their sessions follow.
        let events = concurrency.saturating_add(self.sessions.events_per_worker);
        let openers = concurrency.saturating_mul(self.sessions.events);
        let standing = self.sessions.per_worker.saturating_mul(3);
        events
            .saturating_add(openers)
            .saturating_mul(4)
            .saturating_add(standing)
            .saturating_add(8)
    }
}
