//! Threads of the operating system, and Tokio's clock.

pub(crate) use std::sync::{Mutex, MutexGuard};

pub(crate) mod channel {
    pub(crate) use flume::{Receiver, RecvTimeoutError, Sender, bounded};

    /// Waits for one message.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) type RecvFut<T> = flume::r#async::RecvFut<'static, T>;
}

pub(crate) mod thread {
    pub(crate) use std::thread::{Builder, JoinHandle};
}

pub(crate) mod clock {
    use std::pin::Pin;
    use std::time::Instant;

    pub(crate) use tokio::time::{Sleep, timeout};

    /// Reads the clock; no other function does.
    pub(crate) fn now() -> Instant {
        Instant::now()
    }

    pub(crate) fn sleep_until(at: Instant) -> Sleep {
        tokio::time::sleep_until(at.into())
    }

    pub(crate) fn reset(sleep: Pin<&mut Sleep>, at: Instant) {
        sleep.reset(at.into());
    }
}
