//! Utilization of a worker's loop, for adaptive concurrency.

use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::overload::{ROOM_WATCHED, Room};
use crate::state::Assignment;

pub(super) struct Pulse {
    room: Room,
    /// Start of the measurement, and the time slept since.
    since: Instant,
    slept: Duration,
    asleep_since: Option<Instant>,
    most_at_once: usize,
}

impl Pulse {
    /// Starts the measurement for a worker whose script enables it.
    pub(super) fn of<E: Engine>(assignment: &Assignment<E>, now: Instant) -> Option<Self> {
        let limits = &assignment.version.limits;
        let pulse = limits.adapts.then(|| Self::new(limits.concurrency, now))?;
        assignment.room.store(pulse.room(), Ordering::Relaxed);
        Some(pulse)
    }

    fn new(concurrency: usize, now: Instant) -> Self {
        Self {
            room: Room::new(concurrency),
            since: now,
            slept: Duration::ZERO,
            asleep_since: None,
            most_at_once: 0,
        }
    }

    const fn room(&self) -> usize {
        self.room.limit()
    }

    pub(super) const fn sleeps(&mut self, now: Instant) {
        self.asleep_since = Some(now);
    }

    pub(super) fn wakes(&mut self, now: Instant) {
        if let Some(since) = self.asleep_since.take() {
            self.slept += now.saturating_duration_since(since);
        }
    }

    /// Records the end of an event among `at_once` concurrent ones. Returns the new limit, if it changed.
    pub(super) fn ended(&mut self, at_once: usize, now: Instant) -> Option<usize> {
        self.most_at_once = self.most_at_once.max(at_once);
        let watched = now.saturating_duration_since(self.since);
        if watched < ROOM_WATCHED {
            return None;
        }
        let busy = 1.0 - self.slept.as_secs_f64() / watched.as_secs_f64();
        self.room.judge(busy, self.most_at_once);
        (self.since, self.slept, self.most_at_once) = (now, Duration::ZERO, 0);
        Some(self.room.limit())
    }
}
