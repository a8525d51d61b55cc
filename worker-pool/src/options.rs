//! What can be set: for the pool ([`Settings`], through its builder), for a script ([`Options`]), for an event ([`Meta`]).

use std::time::{Duration, Instant};

use crate::breaker::BreakerOptions;

/// How long a worker is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Policy {
    /// Warm: many events, interleaved up to the script's concurrency.
    #[default]
    PerWorker,
    /// A fresh worker for each event.
    PerRequest,
    /// One event; then the worker is gone and the script undeployed.
    Oneshot,
}

/// When a worker has served long enough. It finishes what it holds, and a fresh one takes its place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Recycle {
    /// After this many events. Default: never.
    pub events: Option<u64>,
    /// After this time since it was ready. Default: never.
    pub age: Option<Duration>,
    /// When it holds more than this, asked after each event. Default: never.
    pub memory_bytes: Option<usize>,
}

crate::setters!(Recycle {
    events: impl Into<Option<u64>>,
    age: impl Into<Option<Duration>>,
    memory_bytes: impl Into<Option<usize>>,
});

/// How a script is run. `Options::default()` is what most want.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Options {
    /// How long a worker is kept. Default: [`Policy::PerWorker`].
    pub policy: Policy,
    /// How many events one worker interleaves, at least 1. Default: 64; always 1 unless the policy is `PerWorker`.
    ///
    /// Events that mostly wait are served best by many at a time. For those that mostly compute say 1: an event that was
    /// given to a worker stays with it, behind whatever that computes; one in the queue goes to the first that is free.
    pub concurrency: usize,
    /// Whether a worker is given fewer events at a time than `concurrency`, down to one, as long as its thread never sleeps: one
    /// more would then only make the others take longer. It waits in the queue instead, where another worker may take it, and
    /// where what is too late is shed. Default: false.
    ///
    /// For scripts that compute, sometimes or always, and whose concurrency nobody wants to choose by hand.
    pub adapts: bool,
    /// How many workers at most. Default: as many as there may be threads.
    pub workers_max: Option<usize>,
    /// How many are kept warm, booted at once. Only another script that has no worker at all may take their threads.
    /// Default: 0.
    pub workers_min: usize,
    /// When a worker is replaced.
    pub recycle: Recycle,
    /// How long an event may run until it has been answered; where the answer is a stream, until that begins. Default: the
    /// pool's.
    pub wall_timeout: Option<Duration>,
    /// How long an event may take to produce the stream it answered with. Default: the pool's.
    pub stream_timeout: Option<Duration>,
    /// How long it may go on after its answer, with what it gave to `ctx.waitUntil`. Default: the pool's.
    pub wait_until_timeout: Option<Duration>,
    /// How many events may wait, at least 1. Default: the pool's.
    pub queue_len_max: Option<usize>,
    /// How many events the least loaded warm worker may have in flight before another thread is given a further worker
    /// of this script. Default: 4.
    ///
    /// Until then events stay together, where caches and connections are warm. A load is counted in events, whether they
    /// wait or compute; at 1 a script is spread as soon as two of its events meet.
    pub spread_at: usize,
    /// How much of the threads the script gets where several want more than there are: twice the weight, twice the threads.
    /// At least 1. Default: 1.
    pub weight: u32,
}

crate::setters!(Options {
    policy: Policy,
    concurrency: usize,
    adapts: bool,
    workers_max: impl Into<Option<usize>>,
    workers_min: usize,
    recycle: Recycle,
    wall_timeout: impl Into<Option<Duration>>,
    stream_timeout: impl Into<Option<Duration>>,
    wait_until_timeout: impl Into<Option<Duration>>,
    queue_len_max: impl Into<Option<usize>>,
    spread_at: usize,
    weight: u32,
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
            wall_timeout: None,
            stream_timeout: None,
            wait_until_timeout: None,
            queue_len_max: None,
            spread_at: 4,
            weight: 1,
        }
    }
}

/// How much an event matters beside others of its script, where there is not room for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Priority {
    /// Waits before all others, and is refused or shed only where everything that waits is as important.
    High,
    /// As most are.
    #[default]
    Normal,
    /// Waits behind all others, makes room for them in a full queue, and is refused as soon as the queue stands.
    Low,
}

impl Priority {
    /// All of them, most important first.
    pub const ALL: [Self; 3] = [Self::High, Self::Normal, Self::Low];
}

/// What a caller says of one event.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Meta {
    /// When its caller stops waiting, in the queue or in the handler. Default: only the script's own limits hold.
    pub deadline: Option<Instant>,
    /// How much it matters beside others. Default: [`Priority::Normal`].
    pub priority: Priority,
}

crate::setters!(Meta {
    deadline: impl Into<Option<Instant>>,
    priority: Priority,
});

/// What holds for the whole pool; each is documented at its builder method.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) name: String,
    pub(crate) threads: usize,
    pub(crate) threads_max: usize,
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
    pub(crate) linger: Duration,
    pub(crate) displace_after: Duration,
    pub(crate) yield_after: Duration,
    pub(crate) cancel_grace: Duration,
    pub(crate) wall_grace: Duration,
    pub(crate) memory_bytes_max: Option<usize>,
    pub(crate) lost_grace: Duration,
    pub(crate) lost_threads_max: usize,
    pub(crate) stop_grace: Duration,
    pub(crate) drop_drain: Duration,
    pub(crate) retry_after: Duration,
    pub(crate) breaker: BreakerOptions,
}

/// A script's options with every default filled in and every limit made consistent.
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
    pub(crate) wall_timeout: Duration,
    pub(crate) stream_timeout: Duration,
    pub(crate) wait_until_timeout: Duration,
    pub(crate) queue_len_max: usize,
    pub(crate) spread_at: usize,
    pub(crate) weight: u32,
}

impl Limits {
    pub(crate) fn new(options: &Options, settings: &Settings) -> Self {
        let single = options.policy != Policy::PerWorker;
        let concurrency = if single { 1 } else { options.concurrency.max(1) };
        let workers_max = options
            .workers_max
            .unwrap_or(settings.threads_max)
            .clamp(1, settings.threads_max);
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
            wall_timeout: options.wall_timeout.unwrap_or(settings.wall_timeout),
            stream_timeout: options.stream_timeout.unwrap_or(settings.stream_timeout),
            wait_until_timeout: options.wait_until_timeout.unwrap_or(settings.wait_until_timeout),
            queue_len_max: options.queue_len_max.unwrap_or(settings.queue_len_max).max(1),
            spread_at: options.spread_at.clamp(1, concurrency),
            weight: options.weight.max(1),
        }
    }

    /// What a worker's mailbox can hold at once: its events, a cancellation for each of those and of those that ended
    /// since it last looked, and the few control messages, each sent once.
    pub(crate) const fn mailbox_len(&self) -> usize {
        self.concurrency * 3 + 4
    }
}
