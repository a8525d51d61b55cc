//! Waiting for a wall-clock time. A runtime timer waits for a duration, which differs if the clock is set or the machine
//! sleeps.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::io::Errno;
use rustix::time::{
    Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create, timerfd_settime,
};
use tokio::io::unix::AsyncFd;

/// A system timer on the wall clock.
pub(super) struct Alarm(AsyncFd<OwnedFd>);

impl Alarm {
    /// Creates a timer. Must be called inside a Tokio runtime.
    pub(super) fn new() -> io::Result<Self> {
        let timer = timerfd_create(TimerfdClockId::Realtime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
        #[expect(
            deprecated,
            reason = "what takes its place is unsafe, for descriptors that may change; an `OwnedFd` is the same until it is dropped"
        )]
        AsyncFd::new(timer).map(Self)
    }

    /// Waits until `time` or until the clock is set, whichever is first; the caller then checks the clock again. Returns at
    /// once for a past time.
    pub(super) async fn until(&self, time: SystemTime) -> io::Result<()> {
        let since = time.duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
        let once = Itimerspec {
            it_interval: Timespec { tv_sec: 0, tv_nsec: 0 },
            it_value: Timespec::try_from(since).map_err(io::Error::other)?,
        };
        timerfd_settime(
            self.0.get_ref(),
            TimerfdTimerFlags::ABSTIME | TimerfdTimerFlags::CANCEL_ON_SET,
            &once,
        )?;
        loop {
            let mut ready = self.0.readable().await?;
            match rustix::io::read(self.0.get_ref(), &mut [0; 8]) {
                Ok(_) | Err(Errno::CANCELED) => return Ok(()),
                Err(Errno::AGAIN) => ready.clear_ready(),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn an_alarm_fires_at_its_time_and_can_be_reused() {
        let alarm = Alarm::new().expect("a timer");
        for wait in [Duration::from_millis(30), Duration::from_millis(1)] {
            let time = SystemTime::now() + wait;
            alarm.until(time).await.expect("a time that comes");
            assert!(SystemTime::now() >= time);
        }
        alarm
            .until(UNIX_EPOCH + Duration::from_secs(1))
            .await
            .expect("a time that has come");
    }

    #[tokio::test]
    async fn an_abandoned_wait_does_not_end_the_next() {
        let alarm = Alarm::new().expect("a timer");
        // On a busy machine, the time may have come before the alarm is set.
        while tokio::time::timeout(
            Duration::ZERO,
            alarm.until(SystemTime::now() + Duration::from_millis(5)),
        )
        .await
        .is_ok()
        {}
        let later = SystemTime::now() + Duration::from_millis(60);
        alarm.until(later).await.expect("a time that comes");
        assert!(SystemTime::now() >= later);
    }
}
