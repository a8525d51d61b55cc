//! Threads interleaved by shuttle's scheduler at every lock. Time does not pass: a thread that waits for a deadline only
//! waits forever, which shuttle reports. Progress therefore never depends on a timer.
#![allow(
    missing_docs,
    unreachable_pub,
    reason = "stands in for what has docs, and only for tests"
)]

pub(crate) use shuttle::sync::{Mutex, MutexGuard};

pub(crate) mod thread {
    pub(crate) use shuttle::thread::{Builder, JoinHandle};
}

pub(crate) mod clock {
    use std::future::{Future, Pending};
    use std::pin::Pin;
    use std::sync::LazyLock;
    use std::time::{Duration, Instant};

    /// A constant. With real time, graces could end by a pause of the process instead of the schedule.
    static MOMENT: LazyLock<Instant> = LazyLock::new(Instant::now);

    pub(crate) fn now() -> Instant {
        *MOMENT
    }

    pub(crate) type Sleep = Pending<()>;

    pub(crate) fn sleep_until(_at: Instant) -> Sleep {
        std::future::pending()
    }

    pub(crate) fn reset(_sleep: Pin<&mut Sleep>, _at: Instant) {}

    pub(crate) async fn timeout<F: Future>(_limit: Duration, future: F) -> Result<F::Output, std::convert::Infallible> {
        Ok(future.await)
    }
}

/// A bounded channel with the subset of flume's interface that the pool uses.
pub(crate) mod channel {
    use std::collections::VecDeque;
    use std::future::Future;
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};
    use std::time::Instant;

    use shuttle::sync::{Condvar, Mutex};

    #[derive(Debug)]
    struct Channel<T> {
        inner: Mutex<Inner<T>>,
        changed: Condvar,
    }

    #[derive(Debug)]
    struct Inner<T> {
        queue: VecDeque<T>,
        len_max: usize,
        senders: usize,
        wakers: Vec<Waker>,
    }

    impl<T> Channel<T> {
        /// Changes the value and wakes its waiters.
        fn change<R>(&self, change: impl FnOnce(&mut Inner<T>) -> R) -> R {
            let (result, wakers) = {
                let mut inner = self.inner.lock().expect("no panic under this lock");
                let result = change(&mut inner);
                (result, std::mem::take(&mut inner.wakers))
            };
            self.changed.notify_all();
            wakers.into_iter().for_each(Waker::wake);
            result
        }
    }

    #[derive(Debug, PartialEq, Eq)]
    pub struct Disconnected;

    #[derive(Debug, PartialEq, Eq)]
    pub enum RecvTimeoutError {
        Disconnected,
        #[allow(dead_code, reason = "time stands still")]
        Timeout,
    }

    #[derive(Debug)]
    pub struct Sender<T>(Arc<Channel<T>>);

    #[derive(Debug)]
    pub struct Receiver<T>(Arc<Channel<T>>);

    pub struct RecvFut<T>(Receiver<T>);

    pub fn bounded<T>(len_max: usize) -> (Sender<T>, Receiver<T>) {
        let channel = Arc::new(Channel {
            inner: Mutex::new(Inner {
                queue: VecDeque::new(),
                len_max,
                senders: 1,
                wakers: Vec::new(),
            }),
            changed: Condvar::new(),
        });
        (Sender(Arc::clone(&channel)), Receiver(channel))
    }

    impl<T> Sender<T> {
        pub fn try_send(&self, message: T) -> Result<(), T> {
            self.0.change(|inner| {
                if inner.queue.len() >= inner.len_max {
                    return Err(message);
                }
                inner.queue.push_back(message);
                Ok(())
            })
        }
    }

    impl<T> Clone for Sender<T> {
        fn clone(&self) -> Self {
            self.0.change(|inner| inner.senders += 1);
            Self(Arc::clone(&self.0))
        }
    }

    impl<T> Drop for Sender<T> {
        fn drop(&mut self) {
            self.0.change(|inner| inner.senders -= 1);
        }
    }

    impl<T> Receiver<T> {
        pub fn recv(&self) -> Result<T, Disconnected> {
            let mut inner = self.0.inner.lock().expect("no panic under this lock");
            loop {
                match inner.queue.pop_front() {
                    Some(message) => return Ok(message),
                    None if inner.senders == 0 => return Err(Disconnected),
                    None => inner = self.0.changed.wait(inner).expect("no panic under this lock"),
                }
            }
        }

        pub fn recv_deadline(&self, _at: Instant) -> Result<T, RecvTimeoutError> {
            self.recv().map_err(|Disconnected| RecvTimeoutError::Disconnected)
        }

        pub fn into_recv_async(self) -> RecvFut<T> {
            RecvFut(self)
        }
    }

    impl<T> Future for RecvFut<T> {
        type Output = Result<T, Disconnected>;

        fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
            let mut inner = self.0.0.inner.lock().expect("no panic under this lock");
            match inner.queue.pop_front() {
                Some(message) => Poll::Ready(Ok(message)),
                None if inner.senders == 0 => Poll::Ready(Err(Disconnected)),
                None => {
                    inner.wakers.push(cx.waker().clone());
                    Poll::Pending
                }
            }
        }
    }
}
