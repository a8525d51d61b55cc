//! The limit on concurrent boots: the number of processors, because more would only slow each other down.
//!
//! A boot counts while it computes. Once it waits for a top-level `await`, or takes longer than [`LONG`], it no longer
//! counts, so that it delays no other script; the operating system schedules such boots.

use std::time::{Duration, Instant};

/// Time after which a boot no longer counts.
const LONG: Duration = Duration::from_millis(50);

#[derive(Debug, Default)]
pub(super) struct Boots {
    /// Threads on which workers boot or are about to, and the start times.
    computing: Vec<(usize, Instant)>,
}

impl Boots {
    /// Records a boot on this thread, which starts as soon as the thread is free.
    pub(super) fn begin(&mut self, thread: usize, now: Instant) {
        self.end(thread);
        self.computing.push((thread, now));
    }

    /// Records that the boot on this thread waits or has ended.
    pub(super) fn end(&mut self, thread: usize) {
        self.computing.retain(|(booting, _)| *booting != thread);
    }

    /// Returns whether another worker may boot, with this maximum of concurrent boots.
    pub(super) fn has_room(&self, max: usize, now: Instant) -> bool {
        self.counted(now).count() < max
    }

    /// Returns the time at which the oldest boot no longer counts.
    pub(super) fn room_at(&self, now: Instant) -> Option<Instant> {
        self.counted(now).min().map(|since| since + LONG)
    }

    fn counted(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let since = self.computing.iter().map(|(_, since)| *since);
        since.filter(move |since| now.saturating_duration_since(*since) < LONG)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_boot_counts_until_it_ends_waits_or_is_long() {
        let now = Instant::now();
        let mut boots = Boots::default();
        boots.begin(1, now);
        boots.begin(2, now + LONG / 2);
        boots.begin(2, now + LONG / 2);
        assert!(!boots.has_room(2, now + LONG / 2) && boots.has_room(3, now + LONG / 2));
        assert_eq!(boots.room_at(now + LONG / 2), Some(now + LONG));
        assert!(boots.has_room(2, now + LONG));
        boots.end(2);
        assert!(boots.has_room(1, now + LONG) && !boots.has_room(1, now));
    }
}
