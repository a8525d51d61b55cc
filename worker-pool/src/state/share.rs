//! Shares of the threads, if there are more scripts than threads or several scripts want all of them.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::Engine;
use crate::overload::fair::{Share, at_fair_share};
use crate::placement::Displacing;
use crate::state::{Phase, Script, State, Thread};

/// Claims of waiting scripts on the threads of busy workers.
pub(super) enum Claim {
    /// None, because no script waits, or there are threads for all.
    None,
    /// One thread of a script with the largest share, for a script without any worker.
    First {
        /// The largest share.
        richest: Option<Share>,
    },
    /// Threads up to their shares.
    Share,
}

impl<E: Engine> State<E> {
    /// Returns the threads that host workers of a script, of any version, or are reserved for one.
    pub(super) fn share(&self, name: &str, script: &Script<E>) -> Share {
        let hosts = |thread: &&Thread<E>| match (&thread.hosted, &thread.reserved) {
            (_, Some((reserved, _))) => **reserved == *name,
            (Some(hosted), None) => !matches!(hosted.phase, Phase::Retiring(_)) && *hosted.version.name == *name,
            (None, None) => false,
        };
        let homes = script.homes.iter().map(|home| &self.threads[*home]);
        Share {
            threads: homes.filter(hosts).count(),
            weight: script.current.limits.weight,
        }
    }

    /// Returns the claim of waiting scripts on busy workers, if no more threads may be added.
    pub(super) fn claim(&self, now: Instant) -> Claim {
        if self.waiting.is_empty() || !self.is_full() {
            return Claim::None;
        }
        if !self.is_starved(now) {
            return Claim::Share;
        }
        let shares = self.scripts.iter().map(|(name, script)| self.share(name, script));
        Claim::First {
            richest: shares.reduce(|richest, share| if richest.is_below(share) { share } else { richest }),
        }
    }

    /// Returns whether this busy worker should start yielding to a waiting script.
    pub(super) fn may_yield(&self, thread: usize, now: Instant) -> bool {
        !self.waiting.is_empty() && self.has_had_its_turn(thread, now) && self.owes(thread, &self.claim(now), now)
    }

    fn has_had_its_turn(&self, thread: usize, now: Instant) -> bool {
        let since = self.ready_since(thread);
        since.is_some_and(|since| now.saturating_duration_since(since) >= self.settings.yield_after)
    }

    /// Returns whether this busy worker should start yielding: to a script without workers, if its own script has the most
    /// threads; or to a script with a smaller share.
    pub(super) fn owes(&self, thread: usize, claim: &Claim, now: Instant) -> bool {
        if matches!(claim, Claim::None) || !self.has_had_its_turn(thread, now) {
            return false;
        }
        // A worker with sessions yields only as a last resort: see `State::displace_sessions`.
        let hosted = self.threads[thread]
            .hosted
            .as_ref()
            .filter(|hosted| hosted.pins.is_empty());
        let Some(holder) = hosted.map(|hosted| &hosted.version.name) else {
            return false;
        };
        let Some(script) = self.scripts.get(holder) else {
            // Its script was removed.
            return matches!(claim, Claim::First { .. });
        };
        let own = self.share(holder, script);
        match claim {
            Claim::None => false,
            Claim::First { richest } => !richest.is_some_and(|richest| own.is_below(richest)),
            Claim::Share => {
                let poorer = self.waiting.iter().filter(|name| {
                    self.scripts.get(*name).is_some_and(|waiting| {
                        let share = self.share(name, waiting);
                        share.should_gain_from(own) && self.wants(name, now) == Some(Displacing::Allowed)
                    })
                });
                poorer.count() > self.being_freed(now)
            }
        }
    }

    /// Returns whether more scripts wait for their first worker than threads are being freed.
    fn is_starved(&self, now: Instant) -> bool {
        self.starving(now).count() > self.being_freed(now)
    }

    /// Returns the times since which scripts have waited for their first worker.
    pub(super) fn starving_since(&self, now: Instant) -> impl Iterator<Item = Instant> {
        self.starving(now).filter_map(|script| script.waits_since)
    }

    pub(super) fn starving(&self, now: Instant) -> impl Iterator<Item = &Script<E>> {
        self.waiting.iter().filter_map(move |name| {
            let script = self.scripts.get(name)?;
            let census = self.census(&script.current);
            let starves = census.ready + census.coming == 0 && self.wants(name, now) == Some(Displacing::Allowed);
            starves.then_some(script)
        })
    }

    /// Returns the number of threads that will soon be free for waiting scripts: threads of ending workers without events,
    /// and of workers that recently started yielding. A worker that has yielded for longer may keep its events for long, and
    /// is not counted.
    pub(super) fn being_freed(&self, now: Instant) -> usize {
        let moment = self.settings.yield_after;
        let unreserved = self.threads.iter().filter(|thread| thread.reserved.is_none());
        let going = unreserved.filter_map(|thread| thread.hosted.as_ref()).filter(|hosted| {
            let asked = hosted
                .yields
                .is_some_and(|at| now.saturating_duration_since(at) <= moment);
            // Sessions that were notified will end soon; others stay.
            let goes = hosted.is_free() || hosted.pins.is_closing() || (asked && hosted.pins.is_empty());
            matches!(hosted.phase, Phase::Retiring(_)) && goes
        });
        going.count()
    }

    /// Returns the script that gets the next thread: of the waiting scripts that may have one, that with the smallest share,
    /// then the longest wait. An extra thread is for nested events only.
    pub(super) fn next_in_turn(&self, is_extra: bool, now: Instant) -> Option<Arc<str>> {
        let mut best: Option<(Share, &Arc<str>)> = None;
        for name in &self.waiting {
            if best.is_some_and(|(least, _)| least.threads == 0) {
                break;
            }
            let Some(script) = self.scripts.get(name) else { continue };
            if is_extra && script.queue.depth() == 0 {
                continue;
            }
            let share = self.share(name, script);
            if best.is_none_or(|(least, _)| share.is_below(least)) && self.wants(name, now).is_some() {
                best = Some((share, name));
            }
        }
        best.map(|(_, name)| Arc::clone(name))
    }

    /// Returns whether the script has its full share of the pool: its maximum number of workers, or its fair share of the
    /// threads while other scripts want theirs.
    pub(super) fn at_fair_share(&self, name: &str) -> bool {
        let Some(script) = self.scripts.get(name) else {
            return false;
        };
        let own = self.share(name, script);
        let (max, all_of_it) = (script.current.limits.workers_max, self.settings.size.script_workers_max);
        if max < all_of_it && own.threads >= max {
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
        let alive = self.threads.iter().filter(|thread| thread.is_alive()).count();
        at_fair_share(own, all, alive.min(all_of_it))
    }
}
