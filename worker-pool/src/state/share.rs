//! Shares of the threads: with more scripts than threads, and with scripts that want all threads.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::Engine;
use crate::overload::fair::{Share, at_fair_share};
use crate::placement::Displacing;
use crate::state::{Phase, Script, State};

impl<E: Engine> State<E> {
    /// The threads that a script has or is about to, whatever the version.
    pub(super) fn share(&self, name: &str, script: &Script<E>) -> Share {
        let hosts = |thread: &&crate::state::Thread<E>| match (&thread.hosted, &thread.reserved) {
            (_, Some((reserved, _))) => **reserved == *name,
            (Some(hosted), None) => !matches!(hosted.phase, Phase::Retiring(_)) && *hosted.version.name == *name,
            (None, None) => false,
        };
        Share {
            threads: self.threads.iter().filter(hosts).count(),
            weight: script.current.limits.weight,
        }
    }

    /// Returns whether a worker of this script must yield to a waiting script: one without any worker, if none has more than
    /// this one; or one below its share compared with this one.
    pub(super) fn owes_a_thread(&self, holder: &str, now: Instant) -> bool {
        let Some(script) = self.scripts.get(holder).filter(|_| !self.waiting.is_empty()) else {
            // Its script is gone, and others wait.
            return !self.waiting.is_empty() && self.is_starved(now);
        };
        let own = self.share(holder, script);
        if self.is_starved(now) {
            let others = self.scripts.iter().filter(|(name, _)| ***name != *holder);
            return !others
                .into_iter()
                .any(|(name, other)| own.is_below(self.share(name, other)));
        }
        let poorer = self.waiting.iter().filter(|name| {
            self.scripts.get(*name).is_some_and(|waiting| {
                let share = self.share(name, waiting);
                share.should_gain_from(own) && self.wants(name, now) == Some(Displacing::Allowed)
            })
        });
        poorer.count() > self.being_freed(now)
    }

    /// Returns the number of threads that will soon be free for waiting scripts: those of ending workers without events, and
    /// those of workers that started yielding a moment ago. A worker that still has events after that may keep them for
    /// long, so it is not counted.
    pub(super) fn being_freed(&self, now: Instant) -> usize {
        let moment = self.settings.yield_after;
        let unreserved = self.threads.iter().filter(|thread| thread.reserved.is_none());
        let going = unreserved.filter_map(|thread| thread.hosted.as_ref()).filter(|hosted| {
            let asked = hosted
                .yields
                .is_some_and(|at| now.saturating_duration_since(at) <= moment);
            // Sessions that were told let go in a while; sessions that were not stay.
            let goes = hosted.is_free() || hosted.pins.is_closing() || (asked && hosted.pins.is_empty());
            matches!(hosted.phase, Phase::Retiring(_)) && goes
        });
        going.count()
    }

    /// The script that is to have the next thread: of those that wait and may have one the one with the smallest part, and of
    /// equals the one that has waited longest.
    pub(super) fn next_in_turn(&mut self, now: Instant) -> Option<Arc<str>> {
        self.tidy_line();
        let mut best: Option<(Share, &Arc<str>)> = None;
        for name in &self.waiting {
            let Some(script) = self.scripts.get(name) else { continue };
            let share = self.share(name, script);
            if best.is_none_or(|(least, _)| share.is_below(least)) && self.wants(name, now).is_some() {
                best = Some((share, name));
            }
        }
        best.map(|(_, name)| Arc::clone(name))
    }

    /// Returns whether the script has its full share of the pool: its maximum number of workers, if the pool has more
    /// threads, or its part of the threads, if others want theirs.
    pub(super) fn at_fair_share(&self, name: &str) -> bool {
        let Some(script) = self.scripts.get(name) else {
            return false;
        };
        let own = self.share(name, script);
        let max = script.current.limits.workers_max;
        if max < self.settings.threads_max && own.threads >= max {
            return true;
        }
        let wants = |script: &Script<E>| script.in_flight > 0 || !script.queue.is_empty() || !script.warming.is_empty();
        let others = self
            .scripts
            .iter()
            .filter(|(other, script)| ***other != *name && wants(script));
        let mut all: Vec<_> = others.map(|(name, script)| self.share(name, script)).collect();
        if all.is_empty() {
            return false;
        }
        all.push(own);
        at_fair_share(own, all, self.threads.iter().filter(|thread| thread.is_alive()).count())
    }
}
