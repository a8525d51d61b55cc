//! Settings of a pool, and its creation.

use std::num::NonZero;
use std::sync::Arc;
use std::time::Duration;

use crate::breaker::BreakerOptions;
use crate::engine::Engine;
use crate::native::WithNative;
use crate::observe::Observer;
use crate::options::Settings;
use crate::pool::Pool;
use crate::shared::Shared;
use crate::supervisor;
use crate::sync::{channel, thread::Builder};

/// Why a pool could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No threads were asked for.
    #[error("a pool needs at least one thread; leave `threads` out for one per processor")]
    NoThreads,
    /// Fewer threads at most than at least.
    #[error("at most {max} threads, but {threads} from the start; raise `threads_max` or lower `threads`")]
    ThreadsMax {
        /// From the start.
        threads: usize,
        /// At most.
        max: usize,
    },
    /// The operating system gave no thread for the supervisor.
    #[error("the pool's supervisor thread could not be made; is there a limit on threads?")]
    Supervisor(#[source] std::io::Error),
}

/// The settings of a pool before those defaults are filled in that depend on other settings.
pub(crate) struct Base {
    pub(crate) settings: Settings,
    pub(crate) threads_max: Option<usize>,
    pub(crate) queue_total_max: Option<usize>,
    pub(crate) lost_threads_max: Option<usize>,
    pub(crate) observers: Vec<Observer>,
}

impl Default for Base {
    fn default() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
        let settings = Settings {
            name: "isopod".to_owned(),
            threads,
            threads_max: threads,
            queue_len_max: 1024,
            queue_total_max: 0,
            queue_wait_max: Duration::from_secs(10),
            queue_target: Duration::from_millis(100),
            queue_interval: Duration::from_millis(500),
            wall_timeout: Duration::from_secs(30),
            stream_timeout: Duration::from_secs(3600),
            wait_until_timeout: Duration::from_secs(30),
            boot_timeout: Duration::from_secs(10),
            idle_timeout: None,
            linger: Duration::from_micros(50),
            displace_after: Duration::from_millis(100),
            yield_after: Duration::from_millis(50),
            cancel_grace: Duration::from_secs(1),
            wall_grace: Duration::from_millis(100),
            memory_bytes_max: None,
            lost_grace: Duration::from_secs(1),
            lost_threads_max: threads,
            stop_grace: Duration::from_secs(2),
            drop_drain: Duration::from_secs(10),
            retry_after: Duration::from_secs(1),
            breaker: BreakerOptions::default(),
        };
        Self {
            settings,
            threads_max: None,
            queue_total_max: None,
            lost_threads_max: None,
            observers: Vec::new(),
        }
    }
}

impl Base {
    /// Fills in the defaults that follow from other settings, and checks them all.
    fn settle(&mut self) -> Result<(), BuildError> {
        let threads = self.settings.threads;
        if threads == 0 {
            return Err(BuildError::NoThreads);
        }
        self.settings.threads_max = self.threads_max.unwrap_or(threads);
        if self.settings.threads_max < threads {
            return Err(BuildError::ThreadsMax {
                threads,
                max: self.settings.threads_max,
            });
        }
        let eight_queues = self.settings.queue_len_max.saturating_mul(8);
        self.settings.queue_total_max = self.queue_total_max.unwrap_or(eight_queues);
        self.settings.lost_threads_max = self.lost_threads_max.unwrap_or(threads);
        Ok(())
    }
}

/// The methods of a builder that has a [`Base`] in its field `base`: one for each setting of the pool.
macro_rules! settings {
    () => {
        /// How many worker threads there are from the start. Default: one per processor.
        pub const fn threads(mut self, threads: usize) -> Self {
            self.base.settings.threads = threads;
            self
        }

        /// How many worker threads there may be. Default: `threads`.
        pub const fn threads_max(mut self, threads_max: usize) -> Self {
            self.base.threads_max = Some(threads_max);
            self
        }

        /// What the names of all threads begin with. Default: `isopod`.
        pub fn thread_name(mut self, name: impl Into<String>) -> Self {
            self.base.settings.name = name.into();
            self
        }

        /// How many events of one script may wait. Default: 1024.
        pub const fn queue_len_max(mut self, queue_len_max: usize) -> Self {
            self.base.settings.queue_len_max = queue_len_max;
            self
        }

        /// How many events may wait in the pool. One script may have as many of them as there is room left for others, so that
        /// none takes it all; sixteen of each script always have room. Default: eight times `queue_len_max`.
        pub const fn queue_total_max(mut self, queue_total_max: usize) -> Self {
            self.base.queue_total_max = Some(queue_total_max);
            self
        }

        /// How long the luckiest event of a script may wait, over a whole [`Self::queue_interval`], before its queue counts as
        /// overloaded. While it is, what has waited for twice as long is shed instead of being given to a worker, and what comes
        /// is refused where it would wait for longer than this. A queue of fewer than sixteen events is never
        /// overloaded. Default: 100 ms; `Duration::MAX` turns it off.
        pub const fn queue_target(mut self, queue_target: std::time::Duration) -> Self {
            self.base.settings.queue_target = queue_target;
            self
        }

        /// Over what time a queue is judged: a burst that drains within it is none of an overload. Default: 500 ms.
        pub const fn queue_interval(mut self, queue_interval: std::time::Duration) -> Self {
            self.base.settings.queue_interval = queue_interval;
            self
        }

        /// How long an event may wait before it ends as `load_shed`. Default: 10 s.
        pub const fn queue_wait_max(mut self, queue_wait_max: std::time::Duration) -> Self {
            self.base.settings.queue_wait_max = queue_wait_max;
            self
        }

        /// How long an event may take until it has been answered; where the answer is a stream, until that begins. Default: 30 s.
        pub const fn wall_timeout(mut self, wall_timeout: std::time::Duration) -> Self {
            self.base.settings.wall_timeout = wall_timeout;
            self
        }

        /// How long an event may take to produce the stream it answered with, such as the body of a response; then it ends as
        /// `exceeded_wall`, and its reader gets an error. Default: 1 h.
        pub const fn stream_timeout(mut self, stream_timeout: std::time::Duration) -> Self {
            self.base.settings.stream_timeout = stream_timeout;
            self
        }

        /// How long an event may go on after its answer, with what it gave to `ctx.waitUntil`; then it ends as `exceeded_wall`,
        /// though its caller has been answered. Default: 30 s.
        pub const fn wait_until_timeout(mut self, wait_until_timeout: std::time::Duration) -> Self {
            self.base.settings.wait_until_timeout = wait_until_timeout;
            self
        }

        /// How long a worker may take to boot. Default: 10 s.
        pub const fn boot_timeout(mut self, boot_timeout: std::time::Duration) -> Self {
            self.base.settings.boot_timeout = boot_timeout;
            self
        }

        /// After what time without events a worker goes. Default: never.
        pub const fn idle_timeout(mut self, idle_timeout: std::time::Duration) -> Self {
            self.base.settings.idle_timeout = Some(idle_timeout);
            self
        }

        /// How long a worker has been idle before a script that has a worker elsewhere may take its thread. A script that
        /// has none takes it at once. Default: 100 ms.
        pub const fn displace_after(mut self, displace_after: std::time::Duration) -> Self {
            self.base.settings.displace_after = displace_after;
            self
        }

        /// How long a busy worker is kept when a script without any worker waits for a thread. Default: 50 ms.
        pub const fn yield_after(mut self, yield_after: std::time::Duration) -> Self {
            self.base.settings.yield_after = yield_after;
            self
        }

        /// How long a worker's thread looks for the next event before it sleeps, where events come one after the other more
        /// quickly than this: such a caller is answered without a thread being woken. Costs at most this much processor time
        /// after a quick succession of events ends, and nothing otherwise. Default: 50 µs; zero turns it off.
        pub const fn linger(mut self, linger: std::time::Duration) -> Self {
            self.base.settings.linger = linger;
            self
        }

        /// How long a worker may take to end an event that was canceled before it is dropped. Default: 1 s.
        pub const fn cancel_grace(mut self, cancel_grace: std::time::Duration) -> Self {
            self.base.settings.cancel_grace = cancel_grace;
            self
        }

        /// How long after a deadline code may still run for its event before it is ended by force, with its worker: code that waits
        /// is canceled at the deadline, and code that computes may be about to end. An event that passes its deadline
        /// while another's code runs ends without its worker after this time. Default: 100 ms.
        ///
        /// It holds where the engine can end code ([`Engine::stops_code`](crate::Engine::stops_code)), as that for JavaScript can.
        pub const fn wall_grace(mut self, wall_grace: std::time::Duration) -> Self {
            self.base.settings.wall_grace = wall_grace;
            self
        }

        /// How many bytes all workers together may hold. From seven eighths of it on, idle workers go, the one that has been idle
        /// longest first; from fifteen sixteenths on none boots, and events wait; with all of it in use, events are refused. Each
        /// worker is asked what it holds after its events, at most a hundred times a second. Default: no limit.
        ///
        /// What one event takes meanwhile is the business of its worker's own limit: leave room for that, and for what is not a
        /// worker's.
        pub const fn memory_bytes_max(mut self, memory_bytes_max: usize) -> Self {
            self.base.settings.memory_bytes_max = Some(memory_bytes_max);
            self
        }

        /// How long a worker's thread may take to come back once its worker was to stop: because an event's deadline passed,
        /// or because the engine said so ([`StopNotice`](crate::StopNotice)). One that does not is *lost*: it runs what cannot
        /// be interrupted. Its events end without it, and another thread takes its place. Default: 1 s.
        ///
        /// Where the engine cannot end code ([`Engine::stops_code`](crate::Engine::stops_code)), a turn that takes longer than
        /// this while another event of its worker passes its deadline loses its thread too.
        pub const fn lost_grace(mut self, lost_grace: std::time::Duration) -> Self {
            self.base.settings.lost_grace = lost_grace;
            self
        }

        /// How many lost threads are replaced at a time. With more than this the pool is not ready any more
        /// ([`Pool::health`](crate::Pool::health)), for what watches the process to start another. A lost thread that comes back ends, and counts
        /// no longer. Default: `threads`.
        pub const fn lost_threads_max(mut self, lost_threads_max: usize) -> Self {
            self.base.lost_threads_max = Some(lost_threads_max);
            self
        }

        /// How long a shutdown waits for events it has cut, and then for threads. Default: 2 s.
        pub const fn stop_grace(mut self, stop_grace: std::time::Duration) -> Self {
            self.base.settings.stop_grace = stop_grace;
            self
        }

        /// How long accepted events may go on once the last handle of the pool was dropped. Default: 10 s.
        pub const fn drop_drain(mut self, drop_drain: std::time::Duration) -> Self {
            self.base.settings.drop_drain = drop_drain;
            self
        }

        /// What a caller whose event found no room is told to wait, about and at least: longer where the line is long and slow, and
        /// never two callers the same, so that they do not come back together. Default: 1 s.
        pub const fn retry_after(mut self, retry_after: std::time::Duration) -> Self {
            self.base.settings.retry_after = retry_after;
            self
        }

        /// When a script whose workers cannot boot is left alone for a while, and for how long. Default: after 3 failed boots
        /// within 60 s, for 1 s, then twice as long after each failed probe, at most 60 s.
        pub const fn breaker(mut self, breaker: $crate::BreakerOptions) -> Self {
            self.base.settings.breaker = breaker;
            self
        }

        /// Calls `observer` with each [`PoolEvent`](crate::PoolEvent), on the thread where it happens: it must be quick, and not block.
        pub fn on(mut self, observer: impl Fn(&$crate::PoolEvent) + Send + Sync + 'static) -> Self {
            self.base.observers.push(Box::new(observer));
            self
        }
    };
}
pub(crate) use settings;

/// Settings of a pool to be; see [`Pool::builder`].
#[must_use = "a builder makes a pool with `build`"]
pub struct PoolBuilder<E: Engine> {
    engine: E,
    base: Base,
}

impl<E: Engine> Pool<E> {
    /// Creates a builder with default settings.
    pub fn builder(engine: E) -> PoolBuilder<E> {
        PoolBuilder::with(engine, Base::default())
    }
}

impl<E: Engine> PoolBuilder<E> {
    settings!();

    pub(crate) const fn with(engine: E, base: Base) -> Self {
        Self { engine, base }
    }

    /// Makes the pool. Works on any thread, inside and outside any runtime; the worker threads are made meanwhile.
    ///
    /// # Errors
    /// Settings that contradict each other, or no thread for the supervisor.
    pub fn build(mut self) -> Result<Pool<E>, BuildError> {
        self.base.settle()?;
        let Base {
            settings, observers, ..
        } = self.base;
        let (wake, woken) = channel::bounded(1);
        let name = format!("{}-supervisor", settings.name);
        let shared = Arc::new(Shared::new(WithNative(self.engine), settings, observers, wake));
        let body = {
            let shared = Arc::clone(&shared);
            move || supervisor::run(&shared, &woken)
        };
        // Not the engine's business: nothing of an engine lives on the supervisor.
        let supervisor = Builder::new().name(name).spawn(body).map_err(BuildError::Supervisor)?;
        Ok(Pool::new(shared, supervisor))
    }

    /// What a pool would be made with.
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(crate) fn settled(mut self) -> Result<Settings, BuildError> {
        self.base.settle()?;
        Ok(self.base.settings)
    }
}
