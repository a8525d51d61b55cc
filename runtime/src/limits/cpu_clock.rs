//! The CPU clock of a thread, readable from any other thread: no signal is used, because an embedded crate must not own
//! `SIGALRM`.
#![allow(unsafe_code, reason = "the clock of another thread is reached through libc alone")]

use std::io;
use std::time::Duration;

/// The CPU time that one thread has used, user and system. See `pthread_getcpuclockid(3)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CpuClock(libc::clockid_t);

impl CpuClock {
    pub(crate) fn of_this_thread() -> io::Result<Self> {
        let mut clock = 0;
        // SAFETY: the calling thread exists, and `clock` is a valid place to write to.
        match unsafe { libc::pthread_getcpuclockid(libc::pthread_self(), &raw mut clock) } {
            0 => Ok(Self(clock)),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }

    /// `None` once the thread has ended.
    pub(crate) fn elapsed(self) -> Option<Duration> {
        let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
        // SAFETY: `time` is a valid place to write to; a clock of a thread that ended makes the call fail, no more.
        let result = unsafe { libc::clock_gettime(self.0, &raw mut time) };
        (result == 0).then(|| {
            Duration::new(
                u64::try_from(time.tv_sec).unwrap_or(0),
                u32::try_from(time.tv_nsec).unwrap_or(0),
            )
        })
    }
}
