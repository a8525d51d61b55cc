//! A thread that owns values which must not leave it.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::Builder;
use std::time::Duration;

use futures::channel::oneshot;

use super::StorageError;

/// Time without work after which a thread that owns nothing ends.
const KEEP_ALIVE: Duration = Duration::from_secs(10);

/// A value that a thread owns.
pub(crate) trait Owned: Default + 'static {
    /// Returns whether there is nothing to own, so that the thread may end.
    fn is_empty(&self) -> bool;
}

/// A thread that creates, uses and drops a value. It is started on demand, and ends when it is idle and owns nothing, or when this is
/// dropped.
///
/// The queue is unbounded: callers bound the number of operations.
pub(crate) struct OwnerThread<T> {
    name: &'static str,
    queue: Arc<Queue<T>>,
}

struct Queue<T> {
    state: Mutex<State<T>>,
    changed: Condvar,
}

type Job<T> = Box<dyn FnOnce(&mut T) + Send>;

struct State<T> {
    jobs: VecDeque<Job<T>>,
    is_running: bool,
    is_closed: bool,
}

impl<T> Queue<T> {
    fn state(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T: Owned> OwnerThread<T> {
    pub(crate) fn new(name: &'static str) -> Self {
        let state = Mutex::new(State {
            jobs: VecDeque::new(),
            is_running: false,
            is_closed: false,
        });
        let changed = Condvar::new();
        Self {
            name,
            queue: Arc::new(Queue { state, changed }),
        }
    }

    /// Runs `work` on the thread, after all earlier work. It runs also if the future is dropped.
    pub(crate) fn run<R, F>(&self, work: F) -> impl Future<Output = Result<R, StorageError>> + Send + use<T, R, F>
    where
        R: Send + 'static,
        F: FnOnce(&mut T) -> R + Send + 'static,
    {
        let (sender, done) = oneshot::channel();
        let started = self.add(Box::new(move |owned| drop(sender.send(work(owned)))));
        async move {
            started?;
            done.await
                .map_err(|_| StorageError::Failed("its thread for files has failed".to_owned()))
        }
    }

    fn add(&self, job: Job<T>) -> Result<(), StorageError> {
        let mut state = self.queue.state();
        if !state.is_running {
            let queue = Arc::clone(&self.queue);
            let started = Builder::new().name(self.name.to_owned()).spawn(move || queue.serve());
            started.map_err(|error| StorageError::Failed(format!("cannot start its thread: {error}")))?;
            state.is_running = true;
        }
        state.jobs.push_back(job);
        self.queue.changed.notify_one();
        Ok(())
    }
}

impl<T: Owned> Queue<T> {
    fn serve(&self) {
        // Ended by a panic, it is started again.
        let _ends = Ends(self);
        let mut owned = T::default();
        while let Some(job) = self.next(owned.is_empty()) {
            job(&mut owned);
        }
    }

    /// Waits for work. `None`: the thread ends.
    fn next(&self, may_end: bool) -> Option<Job<T>> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            let (after, waited) = self
                .changed
                .wait_timeout(state, KEEP_ALIVE)
                .unwrap_or_else(PoisonError::into_inner);
            state = after;
            if waited.timed_out() && may_end && state.jobs.is_empty() {
                // Under the lock, so that no work is added to a thread that ends.
                state.is_running = false;
                return None;
            }
        }
    }
}

/// Records the end of a thread.
struct Ends<'a, T>(&'a Queue<T>);

impl<T> Drop for Ends<'_, T> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let mut state = self.0.state();
            state.is_running = false;
            // Their callers learn of it.
            state.jobs.clear();
        }
    }
}

impl<T> Drop for OwnerThread<T> {
    /// Does not wait for the thread, which does the work that is waiting.
    fn drop(&mut self) {
        self.queue.state().is_closed = true;
        self.queue.changed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;
    use std::thread::ThreadId;

    use futures::executor::block_on;

    use super::{Owned, OwnerThread};

    /// A value that cannot leave its thread.
    #[derive(Default)]
    struct Numbers(Vec<Rc<u32>>);

    impl Owned for Numbers {
        fn is_empty(&self) -> bool {
            self.0.is_empty()
        }
    }

    #[test]
    fn work_is_done_in_order_on_one_thread() {
        let thread = OwnerThread::<Numbers>::new("test");
        let ids: Vec<ThreadId> = (0..3)
            .map(|number| {
                block_on(thread.run(move |numbers| {
                    numbers.0.push(Rc::new(number));
                    std::thread::current().id()
                }))
                .unwrap()
            })
            .collect();
        assert!(ids.iter().all(|id| *id == ids[0]));
        drop(thread.run(|numbers| numbers.0.push(Rc::new(3))));
        let sum = thread.run(|numbers| numbers.0.iter().map(|number| **number).sum::<u32>());
        drop(thread);
        assert_eq!(block_on(sum).unwrap(), 6);
    }

    #[test]
    fn a_thread_that_has_failed_is_started_again() {
        let thread = OwnerThread::<Numbers>::new("test");
        assert!(block_on(thread.run(|_| panic!("on purpose"))).is_err());
        let mut tries = 0;
        while block_on(thread.run(|_| ())).is_err() {
            tries += 1;
            assert!(tries < 1000);
        }
    }
}
