//! The end of every critical section: assigns available threads and workers to waiting scripts and events.
//!
//! Placement of a waiting event depends on the state of every thread, so any change may make it possible. Instead of finding
//! the affected scripts for each change, all waiting scripts are checked after each change. This is free while no script
//! waits, and cheap while no thread is available.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::breaker::Admit;
use crate::engine::Engine;
use crate::observe::RetireReason;
use crate::overload::fair::Share;
use crate::placement::{Displacing, Grow, Places, room, room_nested};
use crate::state::grow::Ask;
use crate::state::{Effects, Phase, State, Version};
use crate::time::after;

impl<E: Engine> State<E> {
    /// Returns whether [`State::settle`] may have work.
    pub(crate) fn is_unsettled(&self) -> bool {
        !self.waiting.is_empty() || self.yielding || !self.sessions.is_empty()
    }

    /// Gives available threads to waiting scripts, by their shares. The supervisor checks for changes by time alone.
    pub(crate) fn settle(&mut self, now: Instant, fx: &mut Effects<E>) {
        if !self.sessions.is_empty() {
            self.end_failed_of_sessions(now, fx);
        }
        if let Some(due) = self.place_waiting(now, fx) {
            self.look_by(due, fx);
        }
        if fx.take_sessions_unnotified() && !self.sessions.is_empty() {
            self.tell_all_sessions(now, fx);
        }
    }

    /// Places waiting events. Returns the time at which another check may place more.
    pub(super) fn place_waiting(&mut self, now: Instant, fx: &mut Effects<E>) -> Option<Instant> {
        if self.waiting.is_empty() && !self.yielding {
            return None;
        }
        if !self.sessions.is_empty() {
            self.note_waiting(now);
        }
        let mut due = None;
        loop {
            if self.waiting.is_empty() {
                break;
            }
            // A nested event does not wait for boots, and may use extra threads.
            let (places, boots_at) = match self.boots.has_room(self.settings.size.boots_max, now) {
                true => (self.places(now), None),
                false => (Places::none(), self.boots.room_at(now)),
            };
            if !places.is_any() && !self.waits_nested() {
                due = earlier(due, boots_at);
                break;
            }
            let (next, later) = self.next_placeable(&places, now);
            due = earlier(later, boots_at);
            let Some((name, grow)) = next else {
                self.tidy_line();
                break;
            };
            self.boot_at(grow, &name, now, fx);
            self.leave_line(&name);
            // The script may need more threads, but after the other scripts.
            let _ = self.line_up(&name);
        }
        due = earlier(due, self.displace_sessions(now, fx));
        self.resume_yielding(fx);
        due
    }

    /// Records the time since which each script has waited for a thread.
    fn note_waiting(&mut self, now: Instant) {
        let line = std::mem::take(&mut self.waiting);
        for name in &line {
            let waits = self.lacks(name) == Some(Displacing::Allowed);
            if let Some(script) = self.scripts.get_mut(name) {
                script.waits_since = waits.then(|| script.waits_since.unwrap_or(now));
            }
        }
        self.waiting = line;
    }

    /// Returns the next script that can be placed now with its place, and the earliest time at which another one may be.
    fn next_placeable(&mut self, places: &Places, now: Instant) -> (Option<(Arc<str>, Grow)>, Option<Instant>) {
        let (mut best, mut due) = (None::<(Share, Arc<str>, Grow)>, None);
        let line = std::mem::take(&mut self.waiting);
        for name in &line {
            if best.as_ref().is_some_and(|(least, ..)| least.threads == 0) {
                // No other script has fewer threads or has waited longer.
                break;
            }
            let Some(script) = self.scripts.get(name) else { continue };
            let (version, share) = (Arc::clone(&script.current), self.share(name, script));
            if let Admit::After(wait) = script.breaker.admit(now) {
                // A breaker admits the next probe at a known time, and the end of a running probe is a change.
                due = earlier(due, script.breaker.opens_at().map(|_| after(now, wait)));
                continue;
            }
            if best.as_ref().is_some_and(|(least, ..)| !share.is_below(*least)) {
                continue;
            }
            let Some(displacing) = self.wants(name, now) else {
                continue;
            };
            match self.room_for(&version, places, displacing, now) {
                (Grow::Keep, ripens) if displacing == Displacing::Allowed => {
                    due = earlier(due, ripens.map(|wait| after(now, wait)));
                }
                (Grow::Keep, _) => {}
                (grow, _) => best = Some((share, Arc::clone(name), grow)),
            }
        }
        self.waiting = line;
        (best.map(|(_, name, grow)| (name, grow)), due)
    }

    /// Returns whether a nested event waits for a worker.
    fn waits_nested(&self) -> bool {
        let mut scripts = self.waiting.iter().filter_map(|name| self.scripts.get(name));
        scripts.any(|script| script.queue.depth() > 0)
    }

    /// Returns a place for another worker of the version, or the time after which there may be one.
    fn room_for(
        &mut self,
        version: &Version<E>,
        places: &Places,
        displacing: Displacing,
        now: Instant,
    ) -> (Grow, Option<Duration>) {
        let depth = self.scripts.get(&version.name).map_or(0, |script| script.queue.depth());
        if depth > 0 {
            let extra = self.extra_threads(version, depth);
            let view = self.view(version, Ask { depth, opens: false }, now);
            let ripens = Places::of(view.threads, view.threads_max, view.displace_after).ripens();
            return (room_nested(&view, displacing, extra), ripens);
        }
        let census = self.census(version);
        let grow = places.room(census.ready + census.coming, displacing);
        let grow = match grow {
            // A script does not displace its own worker.
            Grow::Displace(thread) if self.threads[thread].is_home_of(&version.name) => {
                room(&self.view(version, Ask::default(), now), displacing)
            }
            grow => grow,
        };
        (grow, places.ripens())
    }

    /// Adds the script to the waiting ones if it lacks a worker. Returns the urgency.
    pub(super) fn line_up(&mut self, name: &Arc<str>) -> Option<Displacing> {
        let lacks = self.lacks(name)?;
        let script = self.scripts.get_mut(name)?;
        if !script.enlisted {
            script.enlisted = true;
            self.waiting.push_back(Arc::clone(name));
        }
        Some(lacks)
    }

    pub(super) fn leave_line(&mut self, name: &str) {
        self.waiting.retain(|waiting| **waiting != *name);
        if let Some(script) = self.scripts.get_mut(name) {
            script.enlisted = false;
            script.waits_since = None;
        }
    }

    /// Removes scripts that no longer lack a worker from the waiting ones.
    pub(super) fn tidy_line(&mut self) {
        let mut line = std::mem::take(&mut self.waiting);
        line.retain(|name| {
            let stays = self.lacks(name).is_some();
            if !stays && let Some(script) = self.scripts.get_mut(name) {
                script.enlisted = false;
                script.waits_since = None;
            }
            stays
        });
        self.waiting = line;
    }

    /// Adds the script to the waiting ones. If it has no worker at all, a busy worker of another script starts yielding.
    pub(super) fn enlist(&mut self, name: &Arc<str>, now: Instant, fx: &mut Effects<E>) {
        if self.line_up(name) != Some(Displacing::Allowed) || self.wants(name, now).is_none() {
            return;
        }
        let claim = self.claim(now);
        // The worker with the most recent events will probably finish first.
        let busy = (0..self.threads.len()).filter(|thread| self.owes(*thread, &claim, now));
        let oldest = |thread: &usize| self.threads[*thread].hosted.as_ref()?.held.iter().min().copied();
        if let Some(thread) = busy.max_by_key(oldest) {
            self.have_yield(thread, now, fx);
        }
    }

    /// Makes a worker yield its thread to waiting scripts.
    pub(super) fn have_yield(&mut self, thread: usize, now: Instant, fx: &mut Effects<E>) {
        if let Some(hosted) = self.threads[thread].hosted.as_mut() {
            hosted.retire(RetireReason::Displaced, fx);
            hosted.yields = Some(now);
            self.yielding = true;
        }
    }

    /// Lets yielding workers that still hold events continue once no other script waits.
    fn resume_yielding(&mut self, fx: &mut Effects<E>) {
        if !self.yielding {
            return;
        }
        self.tidy_line();
        self.yielding = false;
        for thread in 0..self.threads.len() {
            let Some(hosted) = self.threads[thread].hosted.as_mut() else {
                continue;
            };
            if hosted.yields.is_none() || hosted.held.is_empty() {
                continue;
            }
            let name = Arc::clone(&hosted.version.name);
            if self.waiting.iter().any(|waiting| *waiting != name) {
                self.yielding = true;
                continue;
            }
            hosted.yields = None;
            hosted.phase = Phase::Ready { since: hosted.ready_at };
            self.nudge(&name, fx);
        }
    }
}

/// Returns the earlier of two optional times.
fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
