//! The end of a worker that has sessions.

use std::collections::{HashMap, HashSet};
use std::time::Instant;

use isopod_outcome::{Failure, Outcome};

use crate::engine::{Engine, SessionId};
use crate::job::{EventId, Job};
use crate::observe::RetireReason;
use crate::state::sessions::{Pins, Place};
use crate::state::{Effects, State};

impl<E: Engine> State<E> {
    /// Handles the end of a worker. Its sessions and their events end. A session of which it had begun no event is placed
    /// again instead, with its events.
    pub(in crate::state) fn sessions_depart(
        &mut self,
        pins: Pins,
        held: &[EventId],
        unbegun: &mut Vec<Job<E::Event>>,
        reason: RetireReason,
        now: Instant,
        fx: &mut Effects<E>,
    ) {
        if self.sessions.is_empty() {
            return;
        }
        let waiting: HashSet<EventId> = unbegun.iter().map(|job| job.id).collect();
        let mut waits: HashMap<SessionId, usize> = HashMap::new();
        for session in unbegun.iter().filter_map(|job| job.session) {
            *waits.entry(session).or_default() += 1;
        }
        for id in pins.sessions {
            let Some(entry) = self.sessions.entries.get_mut(&id) else {
                continue;
            };
            let waits = waits.get(&id).copied().unwrap_or_default();
            match entry.place {
                Place::On { given, .. } if waits > 0 && waits == given && entry.told.is_none() => {
                    entry.place = Place::Unplaced;
                    if let Some(count) = self.sessions.counts.get_mut(&entry.script) {
                        count.placed -= 1;
                    }
                }
                _ => self.sessions.lose(id, reason, now, fx),
            }
        }
        for event in held.iter().filter(|event| !waiting.contains(event)) {
            self.session_event_ended(*event, now, fx);
        }
        let is_lost = |job: &mut Job<E::Event>| {
            let entry = job.session.and_then(|session| self.sessions.entries.get(&session));
            entry.is_some_and(super::Entry::is_gone)
        };
        for job in unbegun.extract_if(.., is_lost) {
            let message = "the session's worker ended before it began the event";
            fx.fail(job, Failure::new(Outcome::WorkerLost, message));
        }
    }
}
