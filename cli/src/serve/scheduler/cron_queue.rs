//! Due triggers. Pure: time is passed in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use crate::config::Cron;

/// Maximum amount by which the clock may be set back without repeating triggers. If it is set back further, it was wrong
/// before.
const SET_BACK_MAX: Duration = Duration::from_secs(3600);

/// One cron expression of one worker.
#[derive(Debug)]
pub(super) struct Trigger {
    pub(super) worker: String,
    pub(super) cron: Cron,
    busy: AtomicBool,
}

/// A run of a trigger, of which there is at most one.
#[derive(Debug)]
pub(super) struct Turn(Arc<Trigger>);

impl Trigger {
    /// Begins a run, unless the previous one has not ended. It ends when the turn is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> Option<Turn> {
        (!self.busy.swap(true, Ordering::AcqRel)).then(|| Turn(Arc::clone(self)))
    }
}

impl Turn {
    pub(super) fn trigger(&self) -> &Trigger {
        &self.0
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.busy.store(false, Ordering::Release);
    }
}

/// A due trigger and its time.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) trigger: Arc<Trigger>,
    pub(super) time: SystemTime,
}

/// All triggers with their next times.
#[derive(Debug, Default)]
pub(super) struct CronQueue {
    entries: Vec<Entry>,
}

#[derive(Debug)]
struct Entry {
    trigger: Arc<Trigger>,
    /// Triggers are due after this time.
    since: SystemTime,
    due: Option<SystemTime>,
}

impl CronQueue {
    /// Replaces the triggers. Unchanged ones keep their next time and a run in progress.
    pub(super) fn follow<'a>(&mut self, wanted: impl IntoIterator<Item = (&'a str, &'a Cron)>, now: SystemTime) {
        let mut before = std::mem::take(&mut self.entries);
        for (worker, cron) in wanted {
            let is_it = |entry: &Entry| entry.trigger.worker == worker && entry.trigger.cron == *cron;
            let entry = match before.iter().position(is_it) {
                Some(place) => before.swap_remove(place),
                None => Entry::new(worker.to_owned(), cron.clone(), now),
            };
            self.entries.push(entry);
        }
    }

    /// Returns the next due time.
    pub(super) fn next_due(&self) -> Option<SystemTime> {
        self.entries.iter().filter_map(|entry| entry.due).min()
    }

    /// Removes and returns the due triggers. One that missed several times, because the machine slept, is returned once, for
    /// the last time.
    pub(super) fn take_due(&mut self, now: SystemTime) -> Vec<Due> {
        self.entries
            .iter_mut()
            .filter_map(|entry| entry.take_due(now))
            .collect()
    }
}

impl Entry {
    fn new(worker: String, cron: Cron, now: SystemTime) -> Self {
        Self {
            since: now,
            due: cron.next_after(now),
            trigger: Arc::new(Trigger {
                worker,
                cron,
                busy: AtomicBool::new(false),
            }),
        }
    }

    fn take_due(&mut self, now: SystemTime) -> Option<Due> {
        let cron = &self.trigger.cron;
        if self.since.duration_since(now).is_ok_and(|back| back > SET_BACK_MAX) {
            self.since = now;
            self.due = cron.next_after(now);
        }
        let due = self.due.filter(|due| *due <= now)?;
        let time = cron.last_until(now).unwrap_or(due);
        self.since = now;
        self.due = cron.next_after(now);
        Some(Due {
            trigger: Arc::clone(&self.trigger),
            time,
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    fn second(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    fn queue(crons: &[&str], now: SystemTime) -> CronQueue {
        let mut queue = CronQueue::default();
        follow(&mut queue, crons, now);
        queue
    }

    fn follow(queue: &mut CronQueue, crons: &[&str], now: SystemTime) {
        let crons: Vec<Cron> = crons.iter().map(|text| text.parse().expect("a cron")).collect();
        queue.follow(crons.iter().map(|cron| ("worker", cron)), now);
    }

    fn times(due: &[Due]) -> Vec<SystemTime> {
        due.iter().map(|due| due.time).collect()
    }

    #[test]
    fn missed_times_are_due_once_for_the_last_of_them() {
        let mut queue = queue(&["* * * * *"], second(30));
        assert_eq!(queue.next_due(), Some(second(60)));
        assert!(queue.take_due(second(59)).is_empty());
        assert_eq!(times(&queue.take_due(second(60))), [second(60)]);
        assert!(queue.take_due(second(60)).is_empty(), "it has come");
        // Eight hours of sleep.
        assert_eq!(times(&queue.take_due(second(8 * 3600 + 5))), [second(8 * 3600)]);
        assert_eq!(queue.next_due(), Some(second(8 * 3600 + 60)));
    }

    #[test]
    fn setting_the_clock_back_repeats_nothing_unless_it_was_wrong() {
        let mut queue = queue(&["* * * * *"], second(86_400));
        assert_eq!(queue.take_due(second(86_460)).len(), 1);
        assert!(queue.take_due(second(86_455)).is_empty());
        assert_eq!(queue.next_due(), Some(second(86_520)));
        assert!(queue.take_due(second(1000)).is_empty());
        assert_eq!(queue.next_due(), Some(second(1020)), "a day earlier");
    }

    #[test]
    fn a_trigger_has_one_run_at_a_time_also_across_configurations() {
        let mut queue = queue(&["* * * * *"], second(0));
        let due = queue.take_due(second(60));
        let turn = due[0].trigger.begin().expect("its first turn");
        follow(&mut queue, &["*/2 * * * *", "* * * * *"], second(61));
        let due = queue.take_due(second(120));
        assert_eq!(due.len(), 2, "one stays, one is new");
        let begun: Vec<_> = due.iter().filter_map(|due| due.trigger.begin()).collect();
        assert_eq!(begun.len(), 1, "the other one runs");
        drop(turn);
        let free = due.iter().filter(|due| due.trigger.cron.to_string() == "* * * * *");
        assert!(free.map(|due| due.trigger.begin()).all(|turn| turn.is_some()));
    }

    #[test]
    fn a_removed_trigger_is_never_due() {
        let mut queue = queue(&["* * * * *"], second(0));
        follow(&mut queue, &[], second(1));
        assert_eq!((queue.next_due(), queue.take_due(second(600)).len()), (None, 0));
    }

    proptest! {
        #[test]
        fn every_time_is_due_once(
            step in 1_u64..30,
            begin in 0_u64..1_000_000,
            looks in proptest::collection::vec(1_u64..100, 1..60),
        ) {
            let mut queue = queue(&[&format!("*/{step} * * * * *")], second(begin));
            let (mut now, mut last) = (begin, second(begin));
            for ahead in looks {
                now += ahead;
                let is_due = queue.next_due().is_some_and(|next| next <= second(now));
                let due = times(&queue.take_due(second(now)));
                prop_assert_eq!(due.len(), usize::from(is_due));
                for time in due {
                    prop_assert!(last < time && time <= second(now));
                    last = time;
                }
                prop_assert!(queue.next_due().is_some_and(|next| next > second(now)));
            }
        }
    }
}
