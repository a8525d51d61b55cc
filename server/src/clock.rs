//! A coarse clock for all time limits of the server.
//!
//! A timer per request would cost more than many requests, and request bodies are polled by threads without timers. Instead
//! one task ticks, and waiters have an [`Alarm`], which is set by one atomic store.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    time::Duration,
};

use futures::task::AtomicWaker;
use slab::Slab;

/// An alarm that is not set.
const NEVER: u64 = u64::MAX;

pub(crate) struct Clock {
    resolution: Duration,
    /// Milliseconds up to the last tick. Time between late ticks is not added, because an alarm set during it would go off
    /// early.
    now: AtomicU64,
    alarms: Mutex<Slab<Arc<Due>>>,
}

struct Due {
    at: AtomicU64,
    waker: AtomicWaker,
}

impl Clock {
    pub(crate) fn new(resolution: Duration) -> Arc<Self> {
        Arc::new(Self {
            resolution,
            now: AtomicU64::new(0),
            alarms: Mutex::default(),
        })
    }

    /// Creates an alarm that is not set.
    pub(crate) fn alarm(self: &Arc<Self>) -> Alarm {
        let due = Arc::new(Due {
            at: AtomicU64::new(NEVER),
            waker: AtomicWaker::new(),
        });
        let key = self.alarms().insert(due.clone());
        Alarm {
            clock: self.clone(),
            due,
            key,
        }
    }

    /// Ticks while it is polled.
    pub(crate) async fn run(&self) {
        let mut passed = Duration::ZERO;
        loop {
            // Not an interval, whose ticks come sooner after a late one: two ticks must not be closer than the resolution.
            tokio::time::sleep(self.resolution).await;
            passed = passed.saturating_add(self.resolution);
            let now = u64::try_from(passed.as_millis()).unwrap_or(NEVER - 1);
            self.now.store(now, Ordering::Release);
            self.wake(|due| due.at.load(Ordering::Acquire) <= now);
        }
    }

    /// Wakes all waiters, due or not, because other state has changed.
    pub(crate) fn wake_all(&self) {
        self.wake(|_| true);
    }

    /// Wakes the selected waiters without holding the lock, because dropping a waker may drop alarms, which need it.
    fn wake(&self, which: impl Fn(&Due) -> bool) {
        let wakers: Vec<_> = self
            .alarms()
            .iter()
            .filter(|(_, due)| which(due))
            .filter_map(|(_, due)| due.waker.take())
            .collect();
        wakers.into_iter().for_each(Waker::wake);
    }

    fn alarms(&self) -> MutexGuard<'_, Slab<Arc<Due>>> {
        self.alarms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An alarm. Setting it replaces the time; dropping it removes it from the clock.
pub(crate) struct Alarm {
    clock: Arc<Clock>,
    due: Arc<Due>,
    key: usize,
}

impl Alarm {
    /// Sets the alarm to go off no sooner than `after`, and little more than one tick later.
    pub(crate) fn set(&self, after: Duration) {
        // The clock's time may be one tick old, so one tick is added.
        let after = u64::try_from((after + self.clock.resolution).as_millis()).unwrap_or(NEVER);
        let at = self.clock.now.load(Ordering::Acquire).saturating_add(after);
        self.due.at.store(at, Ordering::Release);
    }

    pub(crate) fn clear(&self) {
        self.due.at.store(NEVER, Ordering::Release);
    }

    /// Calls `then` when the alarm goes off, unless it is polled.
    pub(crate) fn on_due(&self, then: impl Fn() + Send + Sync + 'static) {
        let watcher = Watcher {
            due: Arc::downgrade(&self.due),
            clock: self.clock.clone(),
            then,
        };
        self.due.waker.register(&Waker::from(Arc::new(watcher)));
    }

    /// Wakes its waiter although it is not due.
    pub(crate) fn wake(&self) {
        self.due.waker.wake();
    }

    /// Ready once the time has come; remembers the waker until then.
    pub(crate) fn poll_due(&self, cx: &Context<'_>) -> Poll<()> {
        self.due.waker.register(cx.waker());
        if self.due.at.load(Ordering::Acquire) <= self.clock.now.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

/// A waker that calls a function, in place of a task that polls an alarm.
struct Watcher<F> {
    /// The alarm's waker holds this.
    due: Weak<Due>,
    clock: Arc<Clock>,
    then: F,
}

impl<F: Fn() + Send + Sync + 'static> Wake for Watcher<F> {
    fn wake(self: Arc<Self>) {
        let Some(due) = self.due.upgrade() else { return };
        if due.at.load(Ordering::Acquire) <= self.clock.now.load(Ordering::Acquire) {
            (self.then)();
        } else {
            // Wakes may come before the alarm is due.
            due.waker.register(&Waker::from(self));
        }
    }
}

impl Drop for Alarm {
    fn drop(&mut self) {
        self.clock.alarms().try_remove(self.key);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;

    #[test]
    fn an_alarm_may_drop_other_alarms() {
        let clock = Clock::new(Duration::from_millis(100));
        let (watched, owned) = (clock.alarm(), clock.alarm());
        // The waiter on one alarm is the last owner of another, as with a connection that was cut.
        watched.on_due(move || owned.clear());
        watched.set(Duration::ZERO);
        clock.now.store(1_000, Ordering::Release);
        let (done, ended) = sync_channel(1);
        let other = clock.clone();
        std::thread::spawn(move || {
            other.wake_all();
            let _ = done.send(());
        });
        ended
            .recv_timeout(Duration::from_secs(10))
            .expect("the clock is not stuck");
        assert_eq!(clock.alarms().len(), 1);
    }
}
