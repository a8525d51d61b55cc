//! CPU time used for an event outside of its JavaScript: by databases, on other threads, between two turns of its
//! worker.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use super::EventKey;

/// The accounts of CPU time of a worker's events. The runtime implements it; see [`OpenEvents::charge_to`].
///
/// [`OpenEvents::charge_to`]: super::OpenEvents::charge_to
pub trait CpuAccount: Send + Sync {
    /// Charges an event for time used on this thread; 0 stands for code that belongs to no event. Returns `true` if the
    /// event has reached its limit, and is ended.
    ///
    /// May be called on any thread. Time of the worker's own thread is recognized and not charged twice.
    fn charge(&self, event: EventKey, used: Duration) -> bool;

    /// As [`charge`](Self::charge), for time that another process used while this thread waited for it.
    fn charge_elsewhere(&self, event: EventKey, used: Duration) -> bool;

    /// Resets an event's CPU time, so that its next message may use as much again.
    fn renew(&self, event: EventKey);

    /// Returns true if the code that runs in the worker is being ended, so that native code for it should return.
    fn is_ending(&self) -> bool;

    /// Sets what interrupts native code on the worker's thread: called from another thread, and more than once, while the code that
    /// runs in the worker is being ended. Not called any longer once this returns for `None`.
    fn interrupt_with(&self, interrupt: Option<Box<dyn Fn() + Send>>);
}

/// The error of an event that has reached its CPU limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error, deno_error::JsError)]
#[class(generic)]
#[error("the event used its limit of CPU time (`limits.cpu`)")]
pub struct CpuExceeded;

/// CPU time used for an event outside of its JavaScript. Clones share the count.
#[derive(Clone, Default)]
pub(crate) struct CpuMeter {
    used: Arc<AtomicU64>,
    payer: Option<(Arc<dyn CpuAccount>, EventKey)>,
}

impl CpuMeter {
    /// Creates a meter that charges an event's account.
    pub(crate) fn new(account: Option<Arc<dyn CpuAccount>>, event: EventKey) -> Self {
        Self {
            used: Arc::default(),
            payer: account.map(|account| (account, event)),
        }
    }

    /// Charges time used on this thread.
    pub(crate) fn charge(&self, used: Duration) -> Result<(), CpuExceeded> {
        let nanos = u64::try_from(used.as_nanos()).unwrap_or(u64::MAX);
        self.used.fetch_add(nanos, Ordering::Relaxed);
        match &self.payer {
            Some((account, event)) if account.charge(*event, used) => Err(CpuExceeded),
            _ => Ok(()),
        }
    }

    /// Charges time that another process used while this thread waited for it.
    #[cfg(feature = "sql")]
    pub(crate) fn charge_elsewhere(&self, used: Duration) -> Result<(), CpuExceeded> {
        match &self.payer {
            Some((account, event)) if account.charge_elsewhere(*event, used) => Err(CpuExceeded),
            _ => Ok(()),
        }
    }

    /// Runs some work on this thread, and charges its CPU time.
    pub(crate) fn measure<T>(&self, work: impl FnOnce() -> T) -> Result<T, CpuExceeded> {
        let before = thread_cpu();
        let done = work();
        self.charge(thread_cpu().saturating_sub(before))?;
        Ok(done)
    }

    /// Returns true if the code that runs in the worker is being ended.
    #[cfg(feature = "sql")]
    pub(crate) fn is_ending(&self) -> bool {
        self.payer.as_ref().is_some_and(|(account, _)| account.is_ending())
    }

    /// Runs native code on the worker's thread, which `interrupt` ends from another thread.
    #[cfg(feature = "sql")]
    pub(crate) fn interruptible<T>(&self, interrupt: impl Fn() + Send + 'static, run: impl FnOnce() -> T) -> T {
        /// Holds no interrupt for longer than the code runs, even if it panics.
        struct Running<'a>(Option<&'a dyn CpuAccount>);
        impl Drop for Running<'_> {
            fn drop(&mut self) {
                if let Some(account) = self.0 {
                    account.interrupt_with(None);
                }
            }
        }
        let account = self.payer.as_ref().map(|(account, _)| &**account);
        let _running = Running(account);
        if let Some(account) = account {
            account.interrupt_with(Some(Box::new(interrupt)));
        }
        run()
    }

    /// The total that was charged.
    pub(crate) fn used(&self) -> Duration {
        Duration::from_nanos(self.used.load(Ordering::Relaxed))
    }
}

impl std::fmt::Debug for CpuMeter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CpuMeter")
            .field("used", &self.used())
            .finish_non_exhaustive()
    }
}

/// A meter with a limit.
#[cfg(feature = "sql")]
#[derive(Clone, Debug)]
pub(crate) struct CpuBudget {
    used: CpuMeter,
    max: Duration,
}

#[cfg(feature = "sql")]
impl CpuBudget {
    pub(crate) fn new(used: CpuMeter, max: Duration) -> Self {
        Self { used, max }
    }

    pub(crate) fn max(&self) -> Duration {
        self.max
    }

    /// Returns true if the code that runs in the worker is being ended.
    pub(crate) fn is_ending(&self) -> bool {
        self.used.is_ending()
    }

    /// Charges time used by this thread. Returns `true` if the limit is reached.
    pub(crate) fn charge(&self, used: Duration) -> bool {
        let charged = self.used.charge(used);
        charged == Err(CpuExceeded) || self.used.used() > self.max
    }
}

/// The CPU time of this thread.
pub(crate) fn thread_cpu() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap_or(0),
        time.tv_nsec.try_into().unwrap_or(0),
    )
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    struct Account(Mutex<Duration>);

    impl CpuAccount for Account {
        fn charge(&self, event: EventKey, used: Duration) -> bool {
            assert_eq!(event, 7);
            let mut all = self.0.lock().unwrap();
            *all += used;
            *all > Duration::from_millis(10)
        }

        fn charge_elsewhere(&self, event: EventKey, used: Duration) -> bool {
            self.charge(event, used)
        }

        fn renew(&self, _: EventKey) {}

        fn is_ending(&self) -> bool {
            false
        }

        fn interrupt_with(&self, _: Option<Box<dyn Fn() + Send>>) {}
    }

    #[test]
    fn clones_of_a_meter_charge_one_event_up_to_its_limit() {
        let account = Arc::new(Account(Mutex::default()));
        let meter = CpuMeter::new(Some(account.clone()), 7);
        assert_eq!(meter.clone().charge(Duration::from_millis(6)), Ok(()));
        assert_eq!(meter.charge(Duration::from_millis(6)), Err(CpuExceeded));
        assert_eq!(
            (meter.used(), *account.0.lock().unwrap()),
            (Duration::from_millis(12), meter.used())
        );
    }

    #[test]
    fn work_is_measured_by_the_clock_of_its_thread() {
        let meter = CpuMeter::default();
        let spin = || while thread_cpu() < Duration::from_millis(20) {};
        std::thread::scope(|scope| scope.spawn(|| meter.measure(spin).unwrap()).join().unwrap());
        assert!(meter.used() >= Duration::from_millis(10), "{:?}", meter.used());
    }
}
