//! Decides when to take messages.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use isopod_pool::js::bindings::queue::Take;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::batch::{Batches, Next};
use super::verdict::pause;

/// Time to wait after the store has failed.
const AFTER_ERROR: Duration = Duration::from_secs(1);

/// Takes messages and has them handled, until it is stopped or the pool accepts no more events. Then waits for the batches that
/// are being handled.
pub(super) async fn run(batches: Arc<Batches>, stop: CancellationToken) {
    let options = batches.queue.options;
    let mut handled = JoinSet::new();
    let mut timing = Timing::default();
    let mut refusals = 0;
    let mut is_failing = false;
    loop {
        // A `take` is always awaited: if it were dropped, its messages would stay leased without a consumer.
        let has_room = handled.len() < options.concurrency.max(1) && timing.pause_until.is_none_or(is_over);
        if has_room && !stop.is_cancelled() {
            let wanted = Take::default()
                .at_least(timing.at_least(options.batch_size, options.batch_timeout))
                .at_most(options.batch_size.max(1))
                .lease(options.lease);
            match batches.queue.store.take(wanted).await {
                Ok(taken) => {
                    is_failing = false;
                    batches.stats.set_backlog(taken.metrics);
                    timing.note(taken.waiting, taken.next_ms);
                    if !taken.messages.is_empty() {
                        handled.spawn(Arc::clone(&batches).handle(taken));
                        continue;
                    }
                }
                Err(error) => {
                    let queue = &batches.queue.name;
                    // A missing server is reported once.
                    if !std::mem::replace(&mut is_failing, true) {
                        tracing::warn!(target: "isopod::queue", %queue, %error, "cannot take messages; it will be tried again");
                    }
                    timing.pause_until = Some(Instant::now() + AFTER_ERROR);
                }
            }
        }
        let has_room = handled.len() < options.concurrency.max(1);
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            Some(ended) = handled.join_next(), if !handled.is_empty() => match ended {
                Ok(Next::Goes) => refusals = 0,
                Ok(Next::Refused(failure)) => {
                    timing.pause_until = Some(Instant::now() + pause(refusals, &failure));
                    refusals += 1;
                }
                Ok(Next::Ends) => {
                    let queue = &batches.queue.name;
                    tracing::info!(target: "isopod::queue", %queue, "a consumer ends because the pool is shutting down");
                    break;
                }
                // It has panicked: its messages are delivered again.
                Err(_) => {}
            },
            () = sleep_until(timing.pause_until.unwrap_or_else(Instant::now)), if timing.pause_until.is_some() => {
                timing.pause_until = None;
            }
            changed = batches.queue.store.changed(timing.seen), if has_room && timing.pause_until.is_none() => match changed {
                Ok(seen) => timing.seen = seen,
                Err(_) => sleep(options.poll).await,
            },
            () = sleep_until(timing.next_look(options.batch_timeout, options.poll)), if has_room && timing.pause_until.is_none() => {}
        }
    }
    while handled.join_next().await.is_some() {}
}

fn is_over(time: Instant) -> bool {
    time <= Instant::now()
}

/// The times at which there may be messages to take.
#[derive(Debug, Default)]
struct Timing {
    /// The number of changes that have been seen.
    seen: u64,
    /// The time since which messages wait for a full batch.
    waiting_since: Option<Instant>,
    /// The time at which another message is due.
    due: Option<Instant>,
    /// Nothing is taken before this time.
    pause_until: Option<Instant>,
}

impl Timing {
    /// The number of messages that are worth taking now.
    fn at_least(&self, batch_size: usize, batch_timeout: Duration) -> usize {
        let has_waited = self.waiting_since.is_some_and(|since| since.elapsed() >= batch_timeout);
        if has_waited || batch_timeout.is_zero() {
            1
        } else {
            batch_size.max(1)
        }
    }

    /// Records the result: the number of waiting messages, and the time at which another is due.
    fn note(&mut self, waiting: usize, next_ms: Option<u64>) {
        self.waiting_since = match waiting {
            0 => None,
            _ => Some(self.waiting_since.unwrap_or_else(Instant::now)),
        };
        self.due = next_ms.and_then(|next| {
            let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            // One millisecond more, because the time was rounded down.
            let wait = Duration::from_millis(next + 1).saturating_sub(since);
            Instant::now().checked_add(wait)
        });
    }

    /// The time of the next poll, unless it is woken before.
    fn next_look(&self, batch_timeout: Duration, poll: Duration) -> Instant {
        let full = self.waiting_since.and_then(|since| since.checked_add(batch_timeout));
        let looks = [full, self.due].into_iter().flatten();
        looks.fold(Instant::now() + poll.max(Duration::from_millis(1)), Instant::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[tokio::test(start_paused = true)]
    async fn few_messages_are_taken_when_the_first_has_waited() {
        let mut timing = Timing::default();
        assert_eq!(timing.at_least(10, SECOND), 10);
        timing.note(3, None);
        let since = Instant::now();
        sleep(SECOND / 2).await;
        timing.note(4, None);
        assert_eq!(timing.at_least(10, SECOND), 10);
        assert_eq!(timing.next_look(SECOND, SECOND * 9), since + SECOND);
        sleep(SECOND / 2).await;
        assert_eq!(timing.at_least(10, SECOND), 1);
        timing.note(0, None);
        assert_eq!(timing.at_least(10, SECOND), 10);
        assert_eq!(timing.at_least(10, Duration::ZERO), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_polls_at_the_interval_or_when_a_message_is_due() {
        let mut timing = Timing::default();
        let now = Instant::now();
        assert_eq!(timing.next_look(SECOND, SECOND * 3), now + SECOND * 3);
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let next = u64::try_from((since + SECOND * 2).as_millis()).unwrap();
        timing.note(0, Some(next));
        let look = timing.next_look(SECOND, SECOND * 3);
        assert!(look > now + SECOND && look < now + SECOND * 3, "{:?}", look - now);
    }
}
