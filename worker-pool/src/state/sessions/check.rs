//! Invariants of sessions between critical sections, for tests.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use crate::engine::Engine;
use crate::state::sessions::{Count, Owned, Place};
use crate::state::{Phase, State};
use crate::time::after;

/// Maximum delay of the supervisor.
const LATE: Duration = Duration::from_millis(3);

impl<E: Engine> State<E> {
    /// Describes a violated invariant of sessions.
    pub(crate) fn sessions_unsound(&self, now: Instant) -> Option<String> {
        self.entry_unsound()
            .or_else(|| self.worker_unsound(now))
            .or_else(|| self.starves_beside_sessions(now))
    }

    fn entry_unsound(&self) -> Option<String> {
        let sessions = &self.sessions;
        let mut counts = HashMap::<_, Count>::new();
        let mut events = HashMap::<_, (usize, usize)>::new();
        for owned in sessions.events.values() {
            let (all, standing) = events.entry(owned.session).or_default();
            *all += 1;
            *standing += usize::from(owned.stands);
        }
        for (id, entry) in &sessions.entries {
            if events.remove(id).unwrap_or_default() != (entry.events, entry.standing) {
                return Some(format!("session {id} counts {} events", entry.events));
            }
            if entry.is_over() {
                return Some(format!("session {id} has neither handles nor events"));
            }
            if let Place::On { thread, worker, .. } = entry.place {
                let hosted = self.threads[thread].hosted.as_ref();
                let hosted = hosted.filter(|hosted| hosted.id == worker && hosted.phase != Phase::Booting);
                if !hosted.is_some_and(|hosted| hosted.pins.sessions.contains(id)) {
                    return Some(format!("session {id} is on {thread}, and its worker is not"));
                }
            }
            if let Place::Unplaced = entry.place
                && entry.told.is_some()
            {
                return Some(format!("session {id} was told to go, and is to be placed"));
            }
            let count = counts.entry(entry.script.clone()).or_default();
            count.open += usize::from(!entry.is_gone());
            count.placed += usize::from(matches!(entry.place, Place::On { .. }));
        }
        if let Some(id) = events.keys().next() {
            return Some(format!("there are events of session {id}, which is not there"));
        }
        for (script, count) in &counts {
            if sessions.count(script) != *count {
                return Some(format!("{script} has {count:?}"));
            }
        }
        for ((script, key), id) in &sessions.keys {
            let entry = sessions.entries.get(id);
            if entry.is_none_or(|entry| entry.is_gone() && entry.events == 0) {
                return Some(format!("the key {key} of {script} is for no session"));
            }
        }
        for session in self.scripts.values().flat_map(|script| script.queue.sessions()) {
            if sessions
                .entries
                .get(&session)
                .is_none_or(|entry| entry.place != Place::Unplaced)
            {
                return Some(format!(
                    "an event of session {session}, which has its worker, is queued"
                ));
            }
        }
        None
    }

    fn worker_unsound(&self, now: Instant) -> Option<String> {
        for (thread, hosted) in self.threads.iter().enumerate() {
            let Some(hosted) = &hosted.hosted else { continue };
            let pins = &hosted.pins;
            for id in &pins.sessions {
                let place = self.sessions.entries.get(id).map(|entry| entry.place);
                if !matches!(place, Some(Place::On { thread: on, .. }) if on == thread) {
                    return Some(format!(
                        "the worker on {thread} is kept by session {id}, which is {place:?}"
                    ));
                }
            }
            let owned: Vec<&Owned> = hosted
                .held
                .iter()
                .filter_map(|event| self.sessions.events.get(event))
                .collect();
            let standing = owned.iter().filter(|owned| owned.stands).count();
            if (pins.events, pins.standing) != (owned.len() - standing, standing) {
                return Some(format!("the worker on {thread} counts {pins:?} of {owned:?}"));
            }
            if pins.is_empty() {
                continue;
            }
            if self.reason_to_go(hosted).is_some() && !pins.told {
                return Some(format!("the sessions on {thread} were not told"));
            }
            if pins.closing.is_some_and(|closing| after(closing.until, LATE) < now) {
                return Some(format!("the sessions on {thread} have had their grace: {pins:?}"));
            }
        }
        None
    }

    /// Describes a script without a worker that has waited too long although a pinned worker could end.
    fn starves_beside_sessions(&self, now: Instant) -> Option<String> {
        if self.starved_for_long(now).0 <= self.being_freed(now) {
            return None;
        }
        let thread = self.displaceable(now).ok()?;
        Some(format!(
            "a script waits, and the worker on {thread} is kept by sessions"
        ))
    }
}
