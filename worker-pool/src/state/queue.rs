//! A script's queue: nested events first, the deepest first, then by priority, then in the order of acceptance. It measures
//! its pace and detects whether it is standing.

use std::cmp::Reverse;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::engine::{Event, SessionId};
use crate::job::{EventId, Job};
use crate::options::Priority;
use crate::overload::{Delay, Pace};

/// Length up to which a queue is never overloaded: in so short a queue, long waits come from long events.
pub(super) const LINE_MIN: usize = 16;

const LANES: usize = 1 + Priority::ALL.len();

/// Returns the lane of events of this priority and depth. Events that another worker waits for come before all others, so that
/// running events can end.
const fn lane(priority: Priority, depth: u32) -> usize {
    if depth > 0 { 0 } else { 1 + priority as usize }
}

/// Returns the sort key of an event in its lane.
fn order<V: Event>(job: &Job<V>) -> (Reverse<u32>, EventId) {
    (Reverse(job.depth), job.id)
}

pub(crate) struct Queue<V: Event> {
    /// A lane for nested events, and one for each [`Priority`]. Each is ordered by depth, then by id, which is the order of
    /// acceptance.
    lanes: [VecDeque<Job<V>>; LANES],
    delay: Delay,
    pace: Pace,
    /// Number of queued events in the pool. Written under the lock.
    total: Arc<AtomicUsize>,
}

/// Decision about a queued event.
pub(super) enum Waited<V: Event> {
    /// A worker begins it.
    Served(Job<V>),
    /// It is shed.
    TooLong(Job<V>),
}

impl<V: Event> Queue<V> {
    pub(super) fn new(delay: Delay, total: Arc<AtomicUsize>) -> Self {
        Self {
            lanes: std::array::from_fn(|_| VecDeque::new()),
            delay,
            pace: Pace::default(),
            total,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.lanes.iter().map(VecDeque::len).sum()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().all(VecDeque::is_empty)
    }

    /// Returns the depth of the event at the head, the deepest; 0 if the queue is empty.
    pub(super) fn depth(&self) -> u32 {
        self.lanes[0].front().map_or(0, |job| job.depth)
    }

    /// Returns whether the queue is standing, so that another event of this priority would wait too long.
    pub(super) fn is_overloaded_for(&self, priority: Priority, now: Instant) -> bool {
        let Some(below) = self.delay.admits_below().filter(|_| self.len() >= LINE_MIN) else {
            return false;
        };
        match priority {
            Priority::High => false,
            Priority::Normal => {
                let normal = lane(Priority::Normal, 0);
                let before: usize = self.lanes[..=normal].iter().map(VecDeque::len).sum();
                let first = self.lanes[normal].front();
                let waits = first.map_or(Duration::ZERO, |first| now.saturating_duration_since(first.accepted));
                self.pace.passes(before).max(waits) > below
            }
            Priority::Low => true,
        }
    }

    /// Returns the time after which a refused caller should try again.
    pub(super) fn retry_after(&self, least: Duration, chance: u64) -> Duration {
        self.pace.retry_after(self.len(), least, chance)
    }

    /// Inserts an event, which may be one that a worker returned, at its position.
    pub(super) fn put(&mut self, job: Job<V>) {
        self.total.fetch_add(1, Ordering::Relaxed);
        let lane = &mut self.lanes[lane(job.priority, job.depth)];
        let at = lane.partition_point(|queued| order(queued) < order(&job));
        lane.insert(at, job);
    }

    /// Returns the depth of the first event for a worker that does or does not take sessions.
    pub(super) fn first_for(&self, takes_sessions: bool) -> Option<u32> {
        let mut jobs = self.lanes.iter().flatten();
        let first = jobs.find(|job| takes_sessions || job.session.is_none())?;
        Some(first.depth)
    }

    /// Takes the next event for a worker that does or does not take sessions. While the queue is standing, events that have
    /// waited too long are shed.
    pub(super) fn next(&mut self, takes_sessions: bool, now: Instant) -> Option<Waited<V>> {
        let line = self.len();
        let job = self.lanes.iter_mut().find_map(|lane| {
            if takes_sessions {
                return lane.pop_front();
            }
            let at = lane.iter().position(|job| job.session.is_none())?;
            lane.remove(at)
        })?;
        self.total.fetch_sub(1, Ordering::Relaxed);
        let waited = now.saturating_duration_since(job.accepted);
        let shed = line >= LINE_MIN
            && job.priority != Priority::High
            && job.depth == 0
            && self.delay.serves_below().is_some_and(|below| waited > below);
        if shed {
            return Some(Waited::TooLong(job));
        }
        if job.priority != Priority::Low {
            self.delay.left(waited, now);
        }
        Some(Waited::Served(job))
    }

    /// Records that this many events were given to a worker.
    pub(super) fn moved(&mut self, count: u32, now: Instant) {
        self.pace.left(count, now);
        if self.is_empty() {
            self.delay.emptied();
            self.pace.emptied();
        }
    }

    /// Returns whether any queued event comes after one of this priority and depth.
    pub(super) fn has_below(&self, priority: Priority, depth: u32) -> bool {
        let mut lower = self.lanes.iter().skip(lane(priority, depth) + 1);
        lower.any(|lane| !lane.is_empty())
    }

    /// Takes the latest event that comes after one of this priority and depth, to make room.
    pub(super) fn make_room(&mut self, priority: Priority, depth: u32) -> Option<Job<V>> {
        let lower = self.lanes.iter_mut().skip(lane(priority, depth) + 1).rev();
        let job = lower.filter_map(VecDeque::pop_back).next()?;
        self.total.fetch_sub(1, Ordering::Relaxed);
        Some(job)
    }

    pub(super) fn remove(&mut self, id: EventId) -> Option<Job<V>> {
        let found = self.lanes.iter_mut().find_map(|lane| {
            // The lane of nested events is the only one not ordered by id.
            let at = match lane.front().is_some_and(|first| first.depth > 0) {
                true => lane.iter().position(|job| job.id == id)?,
                false => lane.binary_search_by_key(&id, |job| job.id).ok()?,
            };
            lane.remove(at)
        })?;
        self.total.fetch_sub(1, Ordering::Relaxed);
        Some(found)
    }

    /// Takes the events of a session that has been placed.
    pub(super) fn take_session(&mut self, session: SessionId) -> Vec<Job<V>> {
        let mut taken = Vec::new();
        for lane in &mut self.lanes {
            let (own, others) = std::mem::take(lane)
                .into_iter()
                .partition(|job| job.session == Some(session));
            *lane = others;
            taken.extend::<VecDeque<_>>(own);
        }
        self.total.fetch_sub(taken.len(), Ordering::Relaxed);
        if self.is_empty() {
            self.delay.emptied();
            self.pace.emptied();
        }
        taken
    }

    /// Returns the sessions of queued events.
    #[cfg(all(test, not(feature = "shuttle")))]
    pub(super) fn sessions(&self) -> impl Iterator<Item = SessionId> {
        self.lanes.iter().flatten().filter_map(|job| job.session)
    }

    pub(super) fn drain(&mut self) -> Vec<Job<V>> {
        let all: Vec<_> = self.lanes.iter_mut().flat_map(|lane| lane.drain(..)).collect();
        self.total.fetch_sub(all.len(), Ordering::Relaxed);
        self.delay.emptied();
        self.pace.emptied();
        all
    }

    /// Takes the events that have expired. Also returns the time at which the next one expires.
    pub(super) fn expire(&mut self, wait_max: Duration, now: Instant) -> (Vec<Job<V>>, Option<Instant>) {
        let (mut expired, mut next) = (Vec::new(), None::<Instant>);
        for lane in &mut self.lanes {
            let mut at = 0;
            while let Some(job) = lane.get(at) {
                let due = job.expires(wait_max);
                if due > now {
                    next = Some(next.map_or(due, |next| next.min(due)));
                    at += 1;
                } else {
                    expired.extend(lane.remove(at));
                }
            }
        }
        self.total.fetch_sub(expired.len(), Ordering::Relaxed);
        (expired, next)
    }
}
