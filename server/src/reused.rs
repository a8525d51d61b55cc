//! Memory that the futures of a connection's requests use in turn.
//!
//! Such a future takes kilobytes, too much for an allocator's cache and for moving it.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

/// A pinned place for a future.
type Place<F> = Pin<Box<Option<F>>>;

/// The free place, if there is one.
pub(crate) struct ReusedPlace<F>(Arc<Mutex<Option<Place<F>>>>);

impl<F> ReusedPlace<F> {
    pub(crate) fn new() -> Self {
        Self(Arc::default())
    }

    /// Puts a future into the free place, or into a new one.
    pub(crate) fn run(&self, future: F) -> InPlace<F> {
        let free = self.lock().take();
        let place = match free {
            Some(mut place) => {
                place.as_mut().set(Some(future));
                place
            }
            None => Box::pin(Some(future)),
        };
        InPlace {
            place: Some(place),
            reused: Self(self.0.clone()),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Place<F>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A future that returns its place when it is ready.
pub(crate) struct InPlace<F> {
    place: Option<Place<F>>,
    reused: ReusedPlace<F>,
}

impl<F: Future> Future for InPlace<F> {
    type Output = F::Output;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = &mut *self;
        let future = this.place.as_mut().and_then(|place| place.as_mut().as_pin_mut());
        let output = ready!(future.expect("it is polled until it is ready").poll(cx));
        if let Some(mut place) = this.place.take() {
            place.as_mut().set(None);
            *this.reused.lock() = Some(place);
        }
        Poll::Ready(output)
    }
}

#[cfg(test)]
mod tests {
    use std::{cell::Cell, future::poll_fn, task::Waker};

    use super::*;

    /// Returns a future that is ready at its second poll, and counts its drop.
    fn twice(dropped: &Cell<u32>) -> impl Future<Output = ()> {
        struct Counts<'a>(&'a Cell<u32>);
        impl Drop for Counts<'_> {
            fn drop(&mut self) {
                self.0.set(self.0.get() + 1);
            }
        }
        let (mut polls, counts) = (0, Counts(dropped));
        poll_fn(move |_| {
            let _ = &counts;
            polls += 1;
            if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    fn poll<F: Future>(future: &mut InPlace<F>) -> Poll<F::Output> {
        Pin::new(future).poll(&mut Context::from_waker(Waker::noop()))
    }

    fn address<F>(future: &InPlace<F>) -> usize {
        future
            .place
            .as_ref()
            .map_or(0, |place| std::ptr::from_ref(&**place).addr())
    }

    #[test]
    fn a_finished_future_s_memory_is_reused() {
        let dropped = Cell::new(0);
        let reused = ReusedPlace::new();
        let mut first = reused.run(twice(&dropped));
        let place = address(&first);
        assert_eq!((poll(&mut first), dropped.get()), (Poll::Pending, 0));
        // At the same time, as on HTTP/2.
        let mut beside = reused.run(twice(&dropped));
        assert_ne!(address(&beside), place);
        assert_eq!((poll(&mut first), dropped.get()), (Poll::Ready(()), 1));
        let next = reused.run(twice(&dropped));
        assert_eq!(address(&next), place);
        drop(next);
        assert_eq!((dropped.get(), poll(&mut beside)), (2, Poll::Pending));
        assert_eq!((poll(&mut beside), dropped.get()), (Poll::Ready(()), 3));
    }
}
