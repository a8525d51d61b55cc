//! Settings of a pool, and its creation.

use std::sync::Arc;
use std::time::Duration;

use crate::breaker::BreakerOptions;
use crate::build_error::BuildError;
use crate::engine::Engine;
use crate::native::WithNative;
use crate::observe::Observer;
use crate::options::Settings;
use crate::pool::Pool;
use crate::shared::Shared;
use crate::sizing::{Machine, Size, SizeSettings};
use crate::supervisor;
use crate::sync::{channel, thread::Builder};

/// Settings of a pool as set by its builder. Defaults that depend on other settings are still missing.
pub(crate) struct Base {
    pub(crate) settings: Settings,
    pub(crate) size: SizeSettings,
    pub(crate) queue_total_max: Option<usize>,
    pub(crate) lost_threads_max: Option<usize>,
    pub(crate) observers: Vec<Observer>,
}

impl Default for Base {
    fn default() -> Self {
        let settings = Settings {
            name: "isopod".to_owned(),
            size: Size::default(),
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
            trim_after: Duration::from_secs(5),
            io_idle_timeout: Duration::from_secs(60),
            thread_idle_timeout: Duration::from_secs(10),
            linger: Duration::from_micros(50),
            attached_tasks_max: 4096,
            displace_after: Duration::from_millis(100),
            yield_after: Duration::from_millis(50),
            cancel_grace: Duration::from_secs(1),
            wall_grace: Duration::from_millis(100),
            lost_grace: Duration::from_secs(1),
            lost_threads_max: 0,
            stop_grace: Duration::from_secs(2),
            drop_drain: Duration::from_secs(10),
            depth_max: 16,
            retry_after: Duration::from_secs(1),
            breaker: BreakerOptions::default(),
        };
        Self {
            settings,
            size: SizeSettings::default(),
            queue_total_max: None,
            lost_threads_max: None,
            observers: Vec::new(),
        }
    }
}

impl Base {
    /// Applies defaults that depend on other settings, and checks all settings.
    fn settle(&mut self) -> Result<(), BuildError> {
        self.settings.size = self.size.on(&Machine::detect())?;
        let eight_queues = self.settings.queue_len_max.saturating_mul(8);
        self.settings.queue_total_max = self.queue_total_max.unwrap_or(eight_queues);
        self.settings.lost_threads_max = self.lost_threads_max.unwrap_or(self.settings.size.threads);
        Ok(())
    }
}

/// Defines one builder method per setting of the pool, for a builder with a field `base` of type [`Base`].
macro_rules! settings {
    () => {
        /// Sets the number of worker threads, which all start at once. [`PoolBuilder::threads_max`] allows more of them. A
        /// worker occupies one thread for as long as it lives, also while it waits. If all are occupied, an event that
        /// another worker waits for may start extra threads, up to its [`Meta::depth`](field@$crate::Meta::depth). Default:
        /// one per processor, and more on demand, up to [`PoolBuilder::workers_max`].
        pub const fn threads(mut self, threads: usize) -> Self {
            self.base.size.threads = Some(threads);
            self
        }

        /// Sets the maximum number of worker threads. Default: `threads` if that is set, else
        /// [`PoolBuilder::workers_max`].
        pub const fn threads_max(mut self, threads_max: usize) -> Self {
            self.base.size.threads_max = Some(threads_max);
            self
        }

        /// Sets the maximum number of workers of all scripts together. At the maximum, the longest idle worker makes room
        /// for another script. Default: the number of threads if that is set, else one for each 4 MiB of
        /// [`PoolBuilder::memory_bytes_max`] or its default, at least 8 and at most 2000.
        pub const fn workers_max(mut self, workers_max: usize) -> Self {
            self.base.size.workers_max = Some(workers_max);
            self
        }

        /// Sets the prefix of all thread names. Default: `isopod`.
        pub fn thread_name(mut self, name: impl Into<String>) -> Self {
            self.base.settings.name = name.into();
            self
        }

        /// Sets the maximum queue length of a script. Default: 1024.
        pub const fn queue_len_max(mut self, queue_len_max: usize) -> Self {
            self.base.settings.queue_len_max = queue_len_max;
            self
        }

        /// Sets the maximum number of queued events in the pool. A script may have as many events queued as it leaves places
        /// free, and sixteen events of each script always have room. Default: eight times `queue_len_max`.
        pub const fn queue_total_max(mut self, queue_total_max: usize) -> Self {
            self.base.queue_total_max = Some(queue_total_max);
            self
        }

        /// Sets the target of the queue wait. If even a script's shortest wait exceeds it for a whole
        /// [`PoolBuilder::queue_interval`], the script's queue counts as overloaded: events that have waited twice as long
        /// are shed, and new events are refused if they would wait longer than the target. A queue of fewer than sixteen
        /// events is never overloaded. Default: 100 ms; `Duration::MAX` turns it off.
        pub const fn queue_target(mut self, queue_target: std::time::Duration) -> Self {
            self.base.settings.queue_target = queue_target;
            self
        }

        /// Sets the time for which waits must exceed the target. A burst that drains within it is not overload. Default: 500 ms.
        pub const fn queue_interval(mut self, queue_interval: std::time::Duration) -> Self {
            self.base.settings.queue_interval = queue_interval;
            self
        }

        /// Sets the maximum queue wait, after which an event ends as `load_shed`. Default: 10 s.
        pub const fn queue_wait_max(mut self, queue_wait_max: std::time::Duration) -> Self {
            self.base.settings.queue_wait_max = queue_wait_max;
            self
        }

        /// Sets the time until an event must be answered, or the stream of its answer must begin. Default: 30 s.
        pub const fn wall_timeout(mut self, wall_timeout: std::time::Duration) -> Self {
            self.base.settings.wall_timeout = wall_timeout;
            self
        }

        /// Sets the time for producing the stream of an answer, such as the body of a response. Afterwards the event ends as
        /// `exceeded_wall`, and the reader gets an error. Default: 1 h.
        pub const fn stream_timeout(mut self, stream_timeout: std::time::Duration) -> Self {
            self.base.settings.stream_timeout = stream_timeout;
            self
        }

        /// Sets the time for `ctx.waitUntil` work after the answer. Afterwards the event ends as `exceeded_wall`, although
        /// its caller was answered. Default: 30 s.
        pub const fn wait_until_timeout(mut self, wait_until_timeout: std::time::Duration) -> Self {
            self.base.settings.wait_until_timeout = wait_until_timeout;
            self
        }

        /// Sets the maximum time of a boot, unless the script has its own
        /// ([`Options::boot_timeout`](crate::Options::boot_timeout)). Default: 10 s.
        pub const fn boot_timeout(mut self, boot_timeout: std::time::Duration) -> Self {
            self.base.settings.boot_timeout = boot_timeout;
            self
        }

        /// Sets the idle time after which a worker is retired. Default: never.
        pub const fn idle_timeout(mut self, idle_timeout: std::time::Duration) -> Self {
            self.base.settings.idle_timeout = Some(idle_timeout);
            self
        }

        /// Sets the idle time after which a worker releases garbage and free pages of its heap, once per idle period.
        /// Default: 5 s.
        pub const fn trim_after(mut self, trim_after: std::time::Duration) -> Self {
            self.base.settings.trim_after = trim_after;
            self
        }

        /// Sets the idle time after which a worker's thread closes its connections, such as those of `fetch` and databases,
        /// and shuts down its I/O runtime, which restarts at its next use. Never earlier than `trim_after`. Default: 60 s.
        pub const fn io_idle_timeout(mut self, io_idle_timeout: std::time::Duration) -> Self {
            self.base.settings.io_idle_timeout = io_idle_timeout;
            self
        }

        /// Sets the time after which a thread without a worker ends, if there are more threads than at the start. Until then
        /// it keeps its connections for the next worker. Default: 10 s.
        pub const fn thread_idle_timeout(mut self, thread_idle_timeout: std::time::Duration) -> Self {
            self.base.settings.thread_idle_timeout = thread_idle_timeout;
            self
        }

        /// Sets the idle time after which a worker may be displaced by a script that has another worker. A script without
        /// any worker displaces it at once. Default: 100 ms.
        pub const fn displace_after(mut self, displace_after: std::time::Duration) -> Self {
            self.base.settings.displace_after = displace_after;
            self
        }

        /// Sets the time after which a busy worker starts yielding to a script that has no worker and waits for a thread.
        /// Default: 50 ms.
        pub const fn yield_after(mut self, yield_after: std::time::Duration) -> Self {
            self.base.settings.yield_after = yield_after;
            self
        }

        /// Sets the time for which a worker's thread polls for the next event before it sleeps. It only does so while events
        /// arrive at shorter intervals than this, and then answers them without a wake-up. Costs at most this much CPU time
        /// after the last event of such a series. Default: 50 µs; zero turns it off.
        pub const fn linger(mut self, linger: std::time::Duration) -> Self {
            self.base.settings.linger = linger;
            self
        }

        /// Sets the maximum number of [tasks attached](crate::AttachedTask) to a worker. Default: 4096; 0: none.
        pub const fn attached_tasks_max(mut self, attached_tasks_max: usize) -> Self {
            self.base.settings.attached_tasks_max = attached_tasks_max;
            self
        }

        /// Sets the time within which a worker must end a canceled event; otherwise the worker is dropped. Default: 1 s.
        pub const fn cancel_grace(mut self, cancel_grace: std::time::Duration) -> Self {
            self.base.settings.cancel_grace = cancel_grace;
            self
        }

        /// Sets the time for which code may run on after its event's deadline before its worker is terminated. Code that
        /// awaits is canceled at the deadline; code that computes may be about to finish. An event that passes its deadline
        /// while another event's code runs ends after this time, and the worker survives. Default: 100 ms.
        ///
        /// Requires an engine that can stop code ([`Engine::stops_code`](crate::Engine::stops_code)), such as the JavaScript
        /// engine.
        pub const fn wall_grace(mut self, wall_grace: std::time::Duration) -> Self {
            self.base.settings.wall_grace = wall_grace;
            self
        }

        /// Sets the maximum memory of all workers together, in bytes. Above 7/8 of it, idle workers are retired, the longest
        /// idle first; above 15/16, no worker boots and events wait; at the limit, events are refused. Workers are measured
        /// after their events, at most a hundred times a second.
        ///
        /// Default: half of the memory of the machine, or of the process's control group. This default is a budget and not a
        /// limit: it refuses no event, and as many workers as `threads` can always boot.
        ///
        /// Between two measurements, only the worker's own limit bounds its memory: leave room for that, and for memory
        /// outside the workers.
        pub const fn memory_bytes_max(mut self, memory_bytes_max: usize) -> Self {
            self.base.size.memory_bytes_max = Some(memory_bytes_max);
            self
        }

        /// Sets the time within which a thread must respond after its worker should have stopped, because an event's
        /// deadline passed or the engine stopped it ([`WorkerNotice`](crate::WorkerNotice)). Afterwards the thread is
        /// *lost*: it runs code that cannot be interrupted. The pool ends its events and starts another thread. Default: 1
        /// s.
        ///
        /// With an engine that cannot stop code ([`Engine::stops_code`](crate::Engine::stops_code)), a turn that takes
        /// longer than this while another event of its worker passes its deadline also loses its thread.
        pub const fn lost_grace(mut self, lost_grace: std::time::Duration) -> Self {
            self.base.settings.lost_grace = lost_grace;
            self
        }

        /// Sets the maximum number of lost threads that are replaced. Beyond it the pool is not ready ([`Pool::health`]), so
        /// that a service manager can restart the process. A lost thread that returns after all ends, and no longer counts.
        /// Default: `threads`.
        pub const fn lost_threads_max(mut self, lost_threads_max: usize) -> Self {
            self.base.lost_threads_max = Some(lost_threads_max);
            self
        }

        /// Sets the time for which a shutdown waits for cut events, and then for threads. Default: 2 s.
        pub const fn stop_grace(mut self, stop_grace: std::time::Duration) -> Self {
            self.base.settings.stop_grace = stop_grace;
            self
        }

        /// Sets the time for accepted events to finish after the pool's last handle is dropped. Default: 10 s.
        pub const fn drop_drain(mut self, drop_drain: std::time::Duration) -> Self {
            self.base.settings.drop_drain = drop_drain;
            self
        }

        /// Sets the maximum depth of calls between workers ([`Meta::depth`](field@$crate::Meta::depth)), which ends infinite
        /// recursion. Default: 16.
        pub const fn depth_max(mut self, depth_max: u32) -> Self {
            self.base.settings.depth_max = depth_max;
            self
        }

        /// Sets the minimum retry-after hint for refused events. It grows with the length and speed of the queue, and has
        /// jitter, so that callers do not return together. Default: 1 s.
        pub const fn retry_after(mut self, retry_after: std::time::Duration) -> Self {
            self.base.settings.retry_after = retry_after;
            self
        }

        /// Sets the breaker for scripts whose workers cannot boot. Default: opens after 3 failed boots within 60 s, for 1 s,
        /// doubling after each failed probe up to 60 s.
        pub const fn breaker(mut self, breaker: $crate::BreakerOptions) -> Self {
            self.base.settings.breaker = breaker;
            self
        }

        /// Sets a function that is called with each [`PoolEvent`](crate::PoolEvent), on the thread where it happens. It must
        /// return quickly and not block.
        pub fn on(mut self, observer: impl Fn(&$crate::PoolEvent) + Send + Sync + 'static) -> Self {
            self.base.observers.push(Box::new(observer));
            self
        }
    };
}
#[cfg(feature = "v8")]
pub(crate) use settings;

/// A builder for a [`Pool`], created by [`Pool::builder`].
#[must_use = "a builder does nothing until `build`"]
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

    /// Builds the pool. Works on any thread, inside and outside any runtime; worker threads start in the background.
    ///
    /// # Errors
    /// The settings conflict, or the supervisor thread cannot be spawned.
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
        // Not spawned by the engine, because the supervisor runs no engine code.
        let supervisor = Builder::new().name(name).spawn(body).map_err(BuildError::Supervisor)?;
        Ok(Pool::new(shared, supervisor))
    }

    /// Returns the resulting settings.
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(crate) fn settled(mut self) -> Result<Settings, BuildError> {
        self.base.settle()?;
        Ok(self.base.settings)
    }
}
