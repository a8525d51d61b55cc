//! Asynchronous calls: a thread per pool that waits for them, and runs each callback once.

use std::ffi::{CString, c_char, c_void};
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread::{self, JoinHandle, ThreadId};

use futures::channel::mpsc::{Receiver, Sender, channel};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, StreamExt, select_biased};
use isopod::{Failure, Outcome};

use crate::last_error;
use crate::status::{Error, Status};

/// `isopod_callback` of `isopod.h`: receives the result of an asynchronous call, on the pool's callback thread.
pub type Callback = unsafe extern "C" fn(user_data: *mut c_void, status: Status, result_json: *const c_char);

/// The future of a call's result, as JSON.
pub(crate) type Answer = Pin<Box<dyn Future<Output = Result<String, Error>> + Send>>;

/// A callback with its user data.
pub(crate) struct Listener {
    callback: Callback,
    user_data: *mut c_void,
}

// SAFETY: the interface requires that the callback and the user data may be used on the library's thread.
unsafe impl Send for Listener {}

impl Listener {
    /// # Safety
    /// The callback may be called once with this user data, on any thread.
    pub(crate) const unsafe fn new(callback: Callback, user_data: *mut c_void) -> Self {
        Self { callback, user_data }
    }

    fn tell(&self, answer: Result<String, Error>) {
        let (status, result) = match answer {
            Ok(json) => (Status::Ok, Some(last_error::text(json))),
            Err(error) => (last_error::set(&error), None),
        };
        let json = result.as_ref().map_or(std::ptr::null(), |text: &CString| text.as_ptr());
        // SAFETY: guaranteed to `new`; the string lives until the callback returns.
        unsafe { (self.callback)(self.user_data, status, json) };
    }
}

/// A callback that has not run. Dropping it runs the callback with the status for a canceled call.
struct Promise {
    listener: Option<Listener>,
    waiting: Arc<AtomicUsize>,
}

impl Promise {
    fn keep(mut self, answer: Result<String, Error>) {
        self.settle(answer);
    }

    fn settle(&mut self, answer: Result<String, Error>) {
        if let Some(listener) = self.listener.take() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            listener.tell(answer);
        }
    }

    /// Drops it without running the callback, because the caller gets the error instead.
    fn withdraw(mut self) {
        if self.listener.take().is_some() {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
        }
    }
}

impl Drop for Promise {
    fn drop(&mut self) {
        let gone = Failure::new(Outcome::Canceled, "the pool was shut down before the call ended");
        self.settle(Err(Error::Event(gone)));
    }
}

struct Pending {
    answer: Answer,
    promise: Promise,
}

impl Pending {
    async fn run(self) {
        let answer = self.answer.await;
        self.promise.keep(answer);
    }
}

/// A pool's callback thread.
pub(crate) struct Callbacks {
    queue: Mutex<Option<Sender<Pending>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
    thread_id: ThreadId,
    waiting: Arc<AtomicUsize>,
    waiting_max: usize,
}

impl Callbacks {
    pub(crate) fn start(name: &str, waiting_max: usize) -> Result<Self, Error> {
        let (queue, calls) = channel(waiting_max);
        let thread = thread::Builder::new()
            .name(format!("{name}-callbacks"))
            .spawn(move || futures::executor::block_on(run(calls)))
            .map_err(Error::Thread)?;
        Ok(Self {
            queue: Mutex::new(Some(queue)),
            thread_id: thread.thread().id(),
            thread: Mutex::new(Some(thread)),
            waiting: Arc::new(AtomicUsize::new(0)),
            waiting_max,
        })
    }

    /// Returns an error on the callback thread, which cannot wait for itself.
    pub(crate) fn check_caller(&self) -> Result<(), Error> {
        if thread::current().id() == self.thread_id {
            return Err(Error::FromCallback);
        }
        Ok(())
    }

    /// Starts a call. The callback runs if, and only if, this returns `Ok`.
    pub(crate) fn submit(&self, listener: Listener, mut answer: Answer) -> Result<(), Error> {
        let promise = self.promise(listener)?;
        // The first poll is on the caller's thread: slow callbacks delay no event, and a rejection is returned
        // immediately. A call that has ended by then is told like any other.
        match answer.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Pending => {}
            Poll::Ready(Err(error)) if error.is_rejection() => {
                promise.withdraw();
                return Err(error);
            }
            Poll::Ready(ended) => answer = Box::pin(std::future::ready(ended)),
        }
        let mut queue = self.queue.lock().unwrap_or_else(PoisonError::into_inner);
        let pending = Pending { answer, promise };
        match queue.as_mut() {
            None => {
                pending.promise.withdraw();
                Err(Error::ShutDown)
            }
            // Cannot be full: the number of promises is limited to the queue's length.
            Some(queue) => queue.try_send(pending).map_err(|refused| {
                refused.into_inner().promise.withdraw();
                Error::ShutDown
            }),
        }
    }

    fn promise(&self, listener: Listener) -> Result<Promise, Error> {
        let room = |waiting: usize| (waiting < self.waiting_max).then(|| waiting + 1);
        self.waiting
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, room)
            .map_err(|waiting| Error::CallbacksFull { waiting })?;
        Ok(Promise {
            listener: Some(listener),
            waiting: Arc::clone(&self.waiting),
        })
    }

    /// Runs the remaining callbacks, and joins the thread. Called after the pool has ended, so no more results arrive.
    pub(crate) fn close(&self) {
        drop(self.queue.lock().unwrap_or_else(PoisonError::into_inner).take());
        // The lock is held meanwhile, so that a concurrent caller waits as well.
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // A panic of that thread has been printed, and its promises have run their callbacks.
            let _ = thread.join();
        }
    }
}

async fn run(mut calls: Receiver<Pending>) {
    let mut open = FuturesUnordered::new();
    loop {
        select_biased! {
            call = calls.next() => match call {
                Some(call) => open.push(call.run()),
                None => break,
            },
            () = open.select_next_some() => {}
        }
    }
    // The pool has ended: finished calls deliver their results, the rest are dropped.
    while let Some(Some(())) = open.next().now_or_never() {}
}

#[cfg(test)]
mod tests {
    use super::*;

    unsafe extern "C" fn note(user_data: *mut c_void, status: Status, _: *const c_char) {
        // SAFETY: the tests pass a list that outlives the callbacks.
        let told = unsafe { &*user_data.cast::<Mutex<Vec<Status>>>() };
        told.lock().unwrap().push(status);
    }

    fn listener(told: &Mutex<Vec<Status>>) -> Listener {
        // SAFETY: `note` may be called on any thread; the list lives until the callbacks are closed.
        unsafe { Listener::new(note, std::ptr::from_ref(told).cast_mut().cast()) }
    }

    #[test]
    fn closing_its_thread_cancels_an_endless_call() {
        let told = Mutex::new(Vec::new());
        let callbacks = Callbacks::start("test", 2).unwrap();
        callbacks
            .submit(listener(&told), Box::pin(std::future::pending()))
            .unwrap();
        callbacks
            .submit(listener(&told), Box::pin(async { Ok("1".to_owned()) }))
            .unwrap();
        callbacks.close();
        let mut told = told.into_inner().unwrap();
        told.sort_by_key(|status| *status as i32);
        assert_eq!(told, [Status::Ok, Status::Canceled]);
    }

    #[test]
    fn an_immediate_failure_is_reported_by_the_callback() {
        let told = Mutex::new(Vec::new());
        let callbacks = Callbacks::start("test", 1).unwrap();
        let threw = Failure::new(Outcome::Exception, "no");
        callbacks
            .submit(listener(&told), Box::pin(async { Err(Error::Event(threw)) }))
            .unwrap();
        callbacks.close();
        assert_eq!(told.into_inner().unwrap(), [Status::Exception]);
    }

    #[test]
    fn refusals_are_reported_by_the_return_value_only() {
        let told = Mutex::new(Vec::new());
        let callbacks = Callbacks::start("test", 1).unwrap();
        let refused = callbacks.submit(listener(&told), Box::pin(async { Err(Error::ShutDown) }));
        assert!(matches!(refused, Err(Error::ShutDown)), "{refused:?}");
        callbacks
            .submit(listener(&told), Box::pin(std::future::pending()))
            .unwrap();
        let full = callbacks.submit(listener(&told), Box::pin(std::future::pending()));
        assert!(matches!(full, Err(Error::CallbacksFull { waiting: 1 })), "{full:?}");
        callbacks.close();
        let late = callbacks.submit(listener(&told), Box::pin(std::future::pending()));
        assert!(matches!(late, Err(Error::ShutDown)), "{late:?}");
        assert_eq!(told.into_inner().unwrap(), [Status::Canceled]);
    }
}
