//! The table of sessions, with their placement and their events.
//!
//! [`Sessions`] is the table, and gives events to workers. `dispatch` opens and releases sessions and accepts their events,
//! `depart` handles the end of their worker, and `notice` notifies their holders that it must end.

#[cfg(all(test, not(feature = "shuttle")))]
mod check;
mod depart;
mod dispatch;
mod notice;

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use crate::engine::{Engine, Event, SessionId, WorkerId};
use crate::job::{EventId, Job};
use crate::observe::RetireReason;
use crate::options::{Limits, SessionLimits};
use crate::session::{Closing, Notice};
use crate::state::{Effects, Hosted, Script};

/// All sessions of a pool.
#[derive(Default)]
pub(crate) struct Sessions {
    entries: HashMap<SessionId, Entry>,
    /// Keyed sessions by script and key. A key stays here until the last event of its session has ended.
    keys: HashMap<(Arc<str>, Arc<str>), SessionId>,
    /// The open events of sessions.
    events: HashMap<EventId, Owned>,
    counts: HashMap<Arc<str>, Count>,
    opened: u64,
}

/// Numbers of sessions of a script.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    /// Number of sessions that are not gone.
    pub(crate) open: usize,
    /// Number of sessions with a worker.
    pub(crate) placed: usize,
}

/// An event of a session.
#[derive(Clone, Copy, Debug)]
struct Owned {
    session: SessionId,
    /// True if it is a standing event, which does not count as load.
    stands: bool,
}

struct Entry {
    script: Arc<str>,
    key: Option<Arc<str>>,
    handles: usize,
    /// Numbers of open events and of standing ones among them.
    events: usize,
    standing: usize,
    place: Place,
    /// The notice given to its holders.
    told: Option<Closing>,
    notice: Arc<Notice>,
    /// True if a holder waits for room.
    waits: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    /// Its next event determines its worker.
    Unplaced,
    On {
        thread: usize,
        worker: WorkerId,
        /// Number of events given to this worker.
        given: usize,
    },
    Gone(RetireReason),
}

/// The sessions of one worker.
#[derive(Debug, Default)]
pub(crate) struct Pins {
    sessions: HashSet<SessionId>,
    /// Number of held events of sessions, gone ones included, without standing events.
    events: usize,
    /// Number of standing events.
    standing: usize,
    /// The end and its reason, once the sessions were notified.
    closing: Option<Closing>,
    /// True if all its sessions were notified.
    told: bool,
    /// True if a session waits for room because of other sessions' events.
    crowded: bool,
}

impl Pins {
    pub(crate) fn len(&self) -> usize {
        self.sessions.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.sessions.is_empty()
    }

    /// Returns the number of standing events, which do not count as load.
    pub(super) const fn standing(&self) -> usize {
        self.standing
    }

    /// Records the end of a held event of a session.
    const fn ended(&mut self, event: Owned) {
        if event.stands {
            self.standing -= 1;
        } else {
            self.events -= 1;
        }
    }

    /// Records that an event left the worker's mailbox without having begun.
    pub(super) fn unread_failed<V: Event>(&mut self, job: &Job<V>) {
        self.events -= usize::from(job.session.is_some());
    }

    /// Returns whether its sessions were notified of their end.
    pub(super) const fn is_closing(&self) -> bool {
        self.closing.is_some()
    }

    /// Returns whether there is room for another session.
    pub(super) fn has_room(&self, limits: &Limits) -> bool {
        self.len() < limits.sessions.per_worker
    }
}

impl Entry {
    const fn is_gone(&self) -> bool {
        matches!(self.place, Place::Gone(_))
    }

    /// Returns whether it may have another event. Standing events do not count.
    const fn has_room(&self, limits: &SessionLimits) -> bool {
        let counted = if self.standing > 0 {
            self.events - 1
        } else {
            self.events
        };
        counted < limits.events
    }

    /// Returns whether it has neither handles nor events.
    const fn is_over(&self) -> bool {
        self.handles == 0 && self.events == 0
    }
}

impl Sessions {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the numbers of sessions of this script.
    pub(crate) fn count(&self, script: &str) -> Count {
        self.counts.get(script).copied().unwrap_or_default()
    }

    /// Gives an event to a worker. The first event of a session pins the worker, and the session's other queued events
    /// follow. Returns the earliest time at which one of them is due.
    pub(super) fn give<E: Engine>(
        &mut self,
        thread: usize,
        hosted: &mut Hosted<E>,
        script: &mut Script<E>,
        job: Job<E::Event>,
        now: Instant,
        fx: &mut Effects<E>,
    ) -> Instant {
        let Some(session) = job.session else {
            script.in_flight += 1;
            return hosted.give(job, now, fx);
        };
        let mut jobs = vec![job];
        if let Some(entry) = self.entries.get_mut(&session) {
            if entry.place == Place::Unplaced {
                entry.place = Place::On {
                    thread,
                    worker: hosted.id,
                    given: 0,
                };
                hosted.pins.sessions.insert(session);
                hosted.pins.told = false;
                fx.sessions_must_be_told();
                self.counts.entry(Arc::clone(&entry.script)).or_default().placed += 1;
                if entry.events > 1 {
                    jobs.extend(script.queue.take_session(session));
                    jobs.sort_unstable_by_key(|job| job.id);
                }
            }
            if let Place::On { given, .. } = &mut entry.place {
                *given += jobs.len();
            }
        }
        script.in_flight += jobs.len();
        hosted.pins.events += jobs.len();
        let dues = jobs.into_iter().map(|job| hosted.give(job, now, fx));
        dues.min().unwrap_or(now)
    }

    /// Returns whether any session has a worker.
    fn are_any_placed(&self) -> bool {
        self.counts.values().any(|count| count.placed > 0)
    }

    /// Returns the number of sessions that are not gone.
    pub(crate) fn open(&self) -> usize {
        self.counts.values().map(|count| count.open).sum()
    }

    /// Records an accepted event of the session.
    pub(super) fn begin(&mut self, id: SessionId, event: EventId) {
        if let Some(entry) = self.entries.get_mut(&id) {
            entry.events += 1;
            let stands = false;
            self.events.insert(event, Owned { session: id, stands });
        }
    }

    /// Makes a session gone.
    fn lose<E: Engine>(&mut self, id: SessionId, reason: RetireReason, now: Instant, fx: &mut Effects<E>) {
        let Some(entry) = self.entries.get_mut(&id).filter(|entry| !entry.is_gone()) else {
            return;
        };
        if let Some(count) = self.counts.get_mut(&entry.script) {
            count.open -= 1;
            count.placed -= usize::from(matches!(entry.place, Place::On { .. }));
        }
        entry.place = Place::Gone(reason);
        let until = entry.told.map_or(now, |told| told.until.min(now));
        let reason = entry.told.map_or(reason, |told| told.reason);
        fx.session_gone(&entry.notice, Closing { reason, until });
        self.tidy(id);
    }

    /// Removes the key of a session that is gone and has no events, and also the session if it has no handles.
    fn tidy(&mut self, id: SessionId) {
        let Some(entry) = self.entries.get(&id) else { return };
        if !entry.is_gone() || entry.events > 0 {
            return;
        }
        if let Some(key) = &entry.key {
            let key = (Arc::clone(&entry.script), Arc::clone(key));
            if self.keys.get(&key) == Some(&id) {
                self.keys.remove(&key);
            }
        }
        if self.counts.get(&entry.script) == Some(&Count::default()) {
            self.counts.remove(&entry.script);
        }
        if entry.handles == 0 {
            self.entries.remove(&id);
        }
    }
}
