//! Opening and releasing sessions, and their events from acceptance to end.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::{Engine, SessionId};
use crate::job::EventId;
use crate::observe::RetireReason;
use crate::options::{Meta, Priority, SessionLimits};
use crate::overload::Pressure;
use crate::reject::{RejectReason, Rejected};
use crate::session::{Notice, Opened, gone};
use crate::state::sessions::{Entry, Owned, Place};
use crate::state::{Accepted, Effects, Mail, Phase, State};
use crate::time::after;

impl<E: Engine> State<E> {
    /// Opens a session of the script, or another handle to the session with this key.
    pub(crate) fn open_session(&mut self, name: &str, key: Option<&str>) -> Result<Opened, RejectReason> {
        let unknown = || RejectReason::UnknownScript { name: name.to_owned() };
        let script = self.scripts.get(name).ok_or_else(unknown)?;
        let (script, limits) = (Arc::clone(&script.current.name), &script.current.limits);
        let key: Option<Arc<str>> = key.map(Arc::from);
        if let Some(key) = &key
            && let Some(id) = self.sessions.keys.get(&(Arc::clone(&script), Arc::clone(key)))
            && let Some(entry) = self.sessions.entries.get_mut(id)
        {
            if let Place::Gone(reason) = entry.place {
                // The old worker may run until its last event has ended, and there must be only one.
                return Err(gone(name, reason));
            }
            entry.handles += 1;
            return Ok(entry.opened(*id));
        }
        if self.closing.is_some() {
            return Err(RejectReason::ShuttingDown);
        }
        if self.scripts.get(name).is_none_or(|script| script.leaving) {
            return Err(unknown());
        }
        let max = limits.sessions.max;
        if self.sessions.count(name).open >= max {
            return Err(self.sessions_full(name, max));
        }
        Ok(self.add_session(script, key, Place::Unplaced))
    }

    fn add_session(&mut self, script: Arc<str>, key: Option<Arc<str>>, place: Place) -> Opened {
        let sessions = &mut self.sessions;
        sessions.opened += 1;
        let id = SessionId(sessions.opened);
        if let Some(key) = &key {
            sessions.keys.insert((Arc::clone(&script), Arc::clone(key)), id);
        }
        let count = sessions.counts.entry(Arc::clone(&script)).or_default();
        count.open += 1;
        count.placed += usize::from(matches!(place, Place::On { .. }));
        let entry = Entry {
            script,
            key,
            handles: 1,
            events: 0,
            standing: 0,
            place,
            told: None,
            notice: Arc::new(Notice::new()),
            waits: false,
        };
        let opened = entry.opened(id);
        sessions.entries.insert(id, entry);
        opened
    }

    pub(in crate::state) fn sessions_full(&self, name: &str, max: usize) -> RejectReason {
        RejectReason::SessionsFull {
            name: name.to_owned(),
            max,
            retry_after: self.settings.retry_after,
        }
    }

    /// Adds a handle to a session.
    pub(crate) fn retain_session(&mut self, id: SessionId) {
        if let Some(entry) = self.sessions.entries.get_mut(&id) {
            entry.handles += 1;
        }
    }

    /// Drops a handle to a session.
    pub(crate) fn release_session(&mut self, id: SessionId, now: Instant, fx: &mut Effects<E>) {
        let Some(entry) = self.sessions.entries.get_mut(&id) else {
            return;
        };
        entry.handles -= 1;
        if entry.handles == 0 && entry.standing > 0 {
            self.dismiss_standing(id, fx);
        }
        self.end_session_if_over(id, now, fx);
        self.sessions.tidy(id);
    }

    /// Ends the standing events of a session whose last handle was dropped.
    fn dismiss_standing(&mut self, id: SessionId, fx: &mut Effects<E>) {
        let Some(hosted) = self.host_of(id).and_then(|thread| self.threads[thread].hosted.as_ref()) else {
            return;
        };
        for event in &hosted.held {
            let owned = self.sessions.events.get(event);
            if owned.is_some_and(|owned| owned.session == id && owned.stands) {
                fx.post(&hosted.mailbox, Mail::Dismiss(*event));
            }
        }
    }

    /// Makes an event last as long as its session. Returns false if it has no session, or the session has no handles.
    pub(crate) fn event_stands(&mut self, thread: usize, event: EventId) -> bool {
        let Some(owned) = self.sessions.events.get_mut(&event).filter(|owned| !owned.stands) else {
            return false;
        };
        let entry = self.sessions.entries.get_mut(&owned.session);
        let entry = entry.filter(|entry| entry.handles > 0 && !entry.is_gone());
        let (Some(entry), Some(hosted)) = (entry, self.threads[thread].hosted.as_mut()) else {
            return false;
        };
        owned.stands = true;
        entry.standing += 1;
        hosted.pins.standing += 1;
        hosted.pins.events -= 1;
        true
    }

    /// Accepts an event for the worker of a session, or returns it.
    pub(crate) fn accept_to(
        &mut self,
        id: SessionId,
        event: E::Event,
        meta: Meta,
        now: Instant,
        fx: &mut Effects<E>,
    ) -> Result<Accepted, Rejected<E::Event>> {
        let Some(entry) = self.sessions.entries.get(&id) else {
            return Err(Rejected {
                event,
                reason: gone("", RetireReason::Lost),
            });
        };
        let name = Arc::clone(&entry.script);
        if let Err(reason) = self.admit_to(id, &event, meta, now) {
            self.refused(&name);
            return Err(Rejected { event, reason });
        }
        let Some(thread) = self.host_of(id) else {
            // Its first event: placed like any other.
            return self.accept_for(Some(id), &name, event, meta, now, fx);
        };
        let Some(script) = self.scripts.get(&name) else {
            let reason = gone(&name, RetireReason::Undeployed);
            return Err(Rejected { event, reason });
        };
        let counters = Arc::clone(&script.current.counters);
        let (job, accepted) = self.admit(Arc::clone(&name), counters, Some(id), event, meta, now);
        if let Some(hosted) = self.threads[thread].hosted.as_mut()
            && let Some(script) = self.scripts.get_mut(&name)
        {
            let due = self.sessions.give(thread, hosted, script, job, now, fx);
            self.look_by(after(due, self.settings.wall_grace.min(self.settings.lost_grace)), fx);
        }
        Ok(accepted)
    }

    /// Checks whether this event of a session is accepted, and returns the reason if it is refused.
    fn admit_to(&mut self, id: SessionId, event: &E::Event, meta: Meta, now: Instant) -> Result<(), RejectReason> {
        let entry = &self.sessions.entries[&id];
        let name = Arc::clone(&entry.script);
        if let Place::Gone(reason) = entry.place {
            return Err(gone(&name, reason));
        }
        let (depth, max) = (meta.depth, self.settings.depth_max);
        if depth > max {
            return Err(RejectReason::TooDeep { depth, max });
        }
        if meta.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(RejectReason::DeadlinePassed);
        }
        if !self.session_has_room(id) {
            let limits = self.session_limits(id).unwrap_or_default();
            let entry = &self.sessions.entries[&id];
            let max = if entry.has_room(&limits) {
                limits.events_per_worker
            } else {
                limits.events
            };
            return Err(RejectReason::SessionFull {
                name: name.to_string(),
                max,
            });
        }
        let Some(hosted) = self.host_of(id).and_then(|thread| self.threads[thread].hosted.as_ref()) else {
            return Ok(());
        };
        let script = &hosted.version.script;
        if self.closing.as_ref().is_some_and(crate::state::Closing::is_cut) {
            return Err(RejectReason::ShuttingDown);
        }
        if !E::suits(script, event) {
            return Err(RejectReason::Unsuited { name: name.to_string() });
        }
        if hosted.given >= E::events_max(script) {
            return Err(gone(&name, RetireReason::Events));
        }
        if meta.priority != Priority::High && self.pressure() == Pressure::Shed {
            return Err(RejectReason::MemoryFull {
                retry_after: self.settings.retry_after,
            });
        }
        Ok(())
    }

    /// Returns whether a session has room for another event or is gone. If neither, its holders will be notified.
    pub(crate) fn session_has_room(&mut self, id: SessionId) -> bool {
        let Some(limits) = self.session_limits(id) else {
            return true;
        };
        let thread = self.host_of(id);
        let Some(entry) = self.sessions.entries.get_mut(&id).filter(|entry| !entry.is_gone()) else {
            return true;
        };
        let mut has_room = entry.has_room(&limits);
        if let Some(hosted) = thread.and_then(|thread| self.threads[thread].hosted.as_mut())
            && hosted.pins.events >= limits.events_per_worker
        {
            hosted.pins.crowded = true;
            has_room = false;
        }
        entry.waits |= !has_room;
        has_room
    }

    fn session_limits(&self, id: SessionId) -> Option<SessionLimits> {
        let entry = self.sessions.entries.get(&id)?;
        let hosted = self.host_of(id).and_then(|thread| self.threads[thread].hosted.as_ref());
        let version = hosted.map(|hosted| &hosted.version);
        let version = version.or_else(|| Some(&self.scripts.get(&entry.script)?.current));
        version.map(|version| version.limits.sessions)
    }

    /// Returns the thread that hosts the session's worker.
    fn host_of(&self, id: SessionId) -> Option<usize> {
        match self.sessions.entries.get(&id)?.place {
            Place::On { thread, .. } => Some(thread),
            _ => None,
        }
    }

    /// Records ended events of the worker on this thread.
    pub(in crate::state) fn session_events_ended(
        &mut self,
        thread: usize,
        events: &[EventId],
        now: Instant,
        fx: &mut Effects<E>,
    ) {
        if self.sessions.events.is_empty() {
            return;
        }
        for event in events {
            if let Some(owned) = self.sessions.events.get(event)
                && let Some(hosted) = self.threads[thread].hosted.as_mut()
            {
                hosted.pins.ended(*owned);
            }
            self.session_event_ended(*event, now, fx);
        }
        self.make_room_in_crowd(thread, fx);
    }

    /// Records an ended event, which may not have reached a worker.
    pub(in crate::state) fn session_event_ended(&mut self, event: EventId, now: Instant, fx: &mut Effects<E>) {
        let Some(Owned { session: id, stands }) = self.sessions.events.remove(&event) else {
            return;
        };
        let limits = self.session_limits(id);
        let Some(entry) = self.sessions.entries.get_mut(&id) else {
            return;
        };
        entry.events -= 1;
        entry.standing -= usize::from(stands);
        let crowded = match entry.place {
            Place::On { thread, .. } => self.threads[thread]
                .hosted
                .as_ref()
                .is_some_and(|hosted| hosted.pins.crowded),
            _ => false,
        };
        if entry.waits && !crowded && limits.is_none_or(|limits| entry.has_room(&limits)) {
            entry.waits = false;
            fx.session_room(&entry.notice);
        }
        self.sessions.tidy(id);
        self.end_session_if_over(id, now, fx);
        self.lose_if_stranded(id, now, fx);
    }

    /// Notifies sessions that wait for room, once a full worker holds half of its maximum number of events of sessions.
    fn make_room_in_crowd(&mut self, thread: usize, fx: &mut Effects<E>) {
        let Some(hosted) = self.threads[thread].hosted.as_mut() else {
            return;
        };
        let half = hosted.version.limits.sessions.events_per_worker / 2;
        if !hosted.pins.crowded || hosted.pins.events > half {
            return;
        }
        hosted.pins.crowded = false;
        for id in &hosted.pins.sessions {
            if let Some(entry) = self.sessions.entries.get_mut(id).filter(|entry| entry.waits) {
                entry.waits = false;
                fx.session_room(&entry.notice);
            }
        }
    }

    /// Ends a session without handles and events, which unpins its worker.
    fn end_session_if_over(&mut self, id: SessionId, now: Instant, fx: &mut Effects<E>) {
        let Some(entry) = self.sessions.entries.get(&id).filter(|entry| entry.is_over()) else {
            return;
        };
        let place = entry.place;
        self.sessions.lose(id, RetireReason::Policy, now, fx);
        self.sessions.tidy(id);
        let Place::On { thread, .. } = place else { return };
        if let Some(hosted) = self.threads[thread].hosted.as_mut() {
            hosted.pins.sessions.remove(&id);
        }
        self.unpinned(thread, now, fx);
    }

    /// Handles the end of sessions of the worker on this thread.
    pub(super) fn unpinned(&mut self, thread: usize, now: Instant, fx: &mut Effects<E>) {
        let Some(hosted) = self.threads[thread].hosted.as_mut() else {
            return;
        };
        let name = Arc::clone(&hosted.version.name);
        if hosted.pins.is_empty() {
            hosted.pins.closing = None;
            if hosted.held.is_empty() {
                match hosted.phase {
                    Phase::Retiring(_) => fx.post(&hosted.mailbox, Mail::Retire),
                    _ => hosted.idle_since = now,
                }
            }
        }
        // The worker has room for the first events of other sessions.
        self.nudge(&name, fx);
        self.remove_if_done(&name, fx);
        if self.closing.is_some() {
            fx.wake_supervisor();
        }
    }
}

impl Entry {
    fn opened(&self, id: SessionId) -> Opened {
        Opened {
            id,
            script: Arc::clone(&self.script),
            key: self.key.clone(),
            notice: Arc::clone(&self.notice),
        }
    }
}
