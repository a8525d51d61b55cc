//! The first contact with a server: made when it is first needed, and tried again with pauses until it succeeds.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::OnceCell;

use super::StorageError;

/// The pause after the first attempt that failed, which doubles up to the second.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));

/// The result of the first contact that succeeded.
///
/// Until then, each operation makes its own attempt, so that its caller gets the error immediately. During the pause after an attempt,
/// further operations fail with the same error, so that the number of attempts does not depend on the number of operations.
pub(crate) struct FirstContact<T> {
    made: OnceCell<T>,
    failed: Mutex<Option<Attempt>>,
}

/// An attempt that has failed.
struct Attempt {
    error: StorageError,
    pause: Duration,
    ended: Instant,
}

impl<T> Default for FirstContact<T> {
    fn default() -> Self {
        Self {
            made: OnceCell::new(),
            failed: Mutex::default(),
        }
    }
}

impl<T: Clone> FirstContact<T> {
    /// The result, if there was contact.
    #[cfg(any(feature = "postgres", test))]
    pub(crate) fn made(&self) -> Option<&T> {
        self.made.get()
    }

    /// Returns the result, after an attempt if there was no contact yet and no pause. One attempt is made at a time.
    pub(crate) async fn get<F>(&self, attempt: impl FnOnce() -> F) -> Result<T, StorageError>
    where
        F: Future<Output = Result<T, StorageError>>,
    {
        let made = self.made.get_or_try_init(|| async {
            if let Some(error) = self.paused() {
                return Err(error);
            }
            let made = attempt().await;
            self.note(made.as_ref().err());
            made
        });
        made.await.cloned()
    }

    fn paused(&self) -> Option<StorageError> {
        let failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let attempt = failed.as_ref().filter(|last| last.ended.elapsed() < last.pause)?;
        Some(attempt.error.clone())
    }

    fn note(&self, error: Option<&StorageError>) {
        let mut failed = self.failed.lock().unwrap_or_else(PoisonError::into_inner);
        let (first, longest) = PAUSES;
        let pause = failed.as_ref().map_or(first, |last| (last.pause * 2).min(longest));
        *failed = error.map(|error| Attempt {
            error: error.clone(),
            pause,
            ended: Instant::now(),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures::executor::block_on;

    use super::*;

    #[test]
    fn attempts_are_a_pause_apart_and_end_with_the_first_contact() {
        let contact = FirstContact::<u32>::default();
        let attempts = Cell::new(0_u32);
        let missing = || StorageError::Unreachable("nobody is there".to_owned());
        let get = |made: Result<u32, StorageError>| {
            block_on(contact.get(|| async {
                attempts.set(attempts.get() + 1);
                made
            }))
        };
        for _ in 0..100 {
            assert_eq!(get(Err(missing())), Err(missing()));
        }
        // A machine may be so slow that a pause ends in between.
        assert!(attempts.get() < 10, "{} attempts", attempts.get());
        let begun = Instant::now();
        while get(Ok(7)) != Ok(7) {
            assert!(begun.elapsed() < Duration::from_secs(60), "it is tried again");
            std::thread::yield_now();
        }
        let until_contact = attempts.get();
        assert_eq!((get(Err(missing())), attempts.get()), (Ok(7), until_contact));
        assert_eq!(contact.made(), Some(&7));
    }

    #[test]
    fn pauses_double_up_to_a_limit() {
        let contact = FirstContact::<()>::default();
        let error = StorageError::Unreachable(String::new());
        let pauses: Vec<_> = (0..7)
            .map(|_| {
                contact.note(Some(&error));
                contact.failed.lock().unwrap().as_ref().unwrap().pause.as_millis()
            })
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1600, 2000, 2000]);
    }
}
