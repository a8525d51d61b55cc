//! The CPU clock of a thread, readable from any thread. No signals are used, because an embedded crate must not own
//! `SIGALRM`.
//!
//! A thread may wait for a helper thread, such as one that parses on a large stack. The helper's CPU time is added to
//! the waiting thread's clock, so that it is charged to the same event.
#![allow(unsafe_code, reason = "the clock of another thread is reached through libc alone")]

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

thread_local! {
    static HELPERS: Arc<Helpers> = Arc::default();
}

/// The CPU time of a thread, user and system, including that of its helpers.
#[derive(Debug, Clone)]
pub(crate) struct CpuClock {
    thread: ThreadClock,
    helpers: Arc<Helpers>,
}

impl CpuClock {
    pub(crate) fn of_this_thread() -> io::Result<Self> {
        Ok(Self {
            thread: ThreadClock::of_this_thread()?,
            helpers: HELPERS.with(Arc::clone),
        })
    }

    /// The CPU time so far; `None` if the thread has ended.
    pub(crate) fn elapsed(&self) -> Option<Duration> {
        Some(self.thread.elapsed()? + self.helpers.elapsed())
    }
}

/// CPU time of the threads that work for a waiting thread.
#[derive(Debug, Default)]
pub(crate) struct Helpers(Mutex<Helped>);

#[derive(Debug, Default)]
struct Helped {
    /// CPU time of helpers that have ended.
    done: Duration,
    running: Vec<ThreadClock>,
}

impl Helpers {
    /// The helpers of the current thread, to be passed to a helper.
    pub(crate) fn of_this_thread() -> Arc<Self> {
        HELPERS.with(Arc::clone)
    }

    fn helped(&self) -> MutexGuard<'_, Helped> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn elapsed(&self) -> Duration {
        let helped = self.helped();
        helped.done
            + helped
                .running
                .iter()
                .filter_map(|clock| clock.elapsed())
                .sum::<Duration>()
    }

    /// Counts no further CPU time of the running helpers, whose work is not waited for any longer.
    pub(crate) fn let_go(&self) {
        let mut helped = self.helped();
        let running = std::mem::take(&mut helped.running);
        helped.done += running.into_iter().filter_map(ThreadClock::elapsed).sum::<Duration>();
    }

    /// Counts the current thread's CPU time until the guard or the helper is dropped.
    pub(crate) fn count_this_thread(&self) -> Option<Helping<'_>> {
        let clock = ThreadClock::of_this_thread().ok()?;
        self.helped().running.push(clock);
        Some(Helping { helpers: self, clock })
    }
}

/// See [`Helpers::count_this_thread`].
pub(crate) struct Helping<'a> {
    helpers: &'a Helpers,
    clock: ThreadClock,
}

impl Drop for Helping<'_> {
    fn drop(&mut self) {
        let mut helped = self.helpers.helped();
        if let Some(at) = helped.running.iter().position(|clock| *clock == self.clock) {
            helped.running.swap_remove(at);
            helped.done += self.clock.elapsed().unwrap_or_default();
        }
    }
}

/// See `pthread_getcpuclockid(3)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct ThreadClock(libc::clockid_t);

impl ThreadClock {
    fn of_this_thread() -> io::Result<Self> {
        let mut clock = 0;
        // SAFETY: the calling thread exists, and `clock` is writable.
        match unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) } {
            0 => Ok(Self(clock)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    fn elapsed(self) -> Option<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is writable; if the thread has ended, the call fails.
        let result = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        (result == 0).then(|| {
            Duration::new(
                u64::try_from(time.tv_sec).unwrap_or(0),
                u32::try_from(time.tv_nsec).unwrap_or(0),
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use std::hint::black_box;
    use std::thread;

    use super::*;

    fn spin(time: Duration) {
        let clock = ThreadClock::of_this_thread().unwrap();
        let until = clock.elapsed().unwrap() + time;
        while clock.elapsed().unwrap() < until {
            black_box(());
        }
    }

    #[test]
    fn a_helper_s_cpu_time_is_on_the_clock_of_the_waiting_thread() {
        let clock = CpuClock::of_this_thread().unwrap();
        let helpers = Helpers::of_this_thread();
        let (before, time) = (clock.elapsed().unwrap(), Duration::from_millis(20));
        thread::scope(|scope| {
            scope.spawn(|| {
                let _counted = helpers.count_this_thread();
                spin(time);
                assert!(clock.elapsed().unwrap() - before >= time);
            });
        });
        assert!(clock.elapsed().unwrap() - before >= time);
        let others = thread::spawn(|| CpuClock::of_this_thread().unwrap().elapsed().unwrap());
        assert!(others.join().unwrap() < time);
    }

    #[test]
    fn a_helper_that_was_let_go_is_not_counted_any_longer() {
        let clock = CpuClock::of_this_thread().unwrap();
        let helpers = Helpers::of_this_thread();
        let time = Duration::from_millis(50);
        thread::scope(|scope| {
            let helper = scope.spawn(|| {
                let _counted = helpers.count_this_thread();
                helpers.let_go();
                let before = helpers.elapsed();
                spin(time);
                assert_eq!(helpers.elapsed(), before);
            });
            helper.join().unwrap();
        });
        assert!(clock.elapsed().unwrap() < time);
    }
}
