//! Who has which part of the threads, and whose turn it is: with more scripts than threads, and with scripts that want all.

use std::sync::Arc;

use crate::engine::Engine;
use crate::overload::fair::{Share, has_its_part};
use crate::state::{Phase, Script, State};

impl<E: Engine> State<E> {
    /// The threads that a script has or is about to, whatever the version.
    fn share(&self, name: &str, script: &Script<E>) -> Share {
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

    /// Whether a worker of this script is to finish for another that waits: one that has none at all, where none has more than
    /// this one; or one that has less than it should beside this one.
    pub(super) fn owes_a_thread(&self, holder: &str) -> bool {
        let Some(script) = self.scripts.get(holder).filter(|_| !self.waiting.is_empty()) else {
            // Its script is gone, and others wait.
            return !self.waiting.is_empty() && self.is_starved();
        };
        let own = self.share(holder, script);
        if self.is_starved() {
            let others = self.scripts.iter().filter(|(name, _)| ***name != *holder);
            return !others
                .into_iter()
                .any(|(name, other)| own.is_below(self.share(name, other)));
        }
        let poorer = self.waiting.iter().filter(|name| {
            self.scripts.get(*name).is_some_and(|waiting| {
                let share = self.share(name, waiting);
                let may_have_more = share.threads < waiting.current.limits.workers_max;
                !waiting.queue.is_empty() && may_have_more && share.should_gain_from(own)
            })
        });
        poorer.count() > self.being_freed()
    }

    /// How many threads will be free for others in a while.
    pub(super) fn being_freed(&self) -> usize {
        let hosted = self.threads.iter().filter_map(|thread| thread.hosted.as_ref());
        hosted
            .filter(|hosted| matches!(hosted.phase, Phase::Retiring(_)))
            .count()
    }

    /// The script that is to have the next thread: of those that wait the one with the smallest part, and of equals the one
    /// that has waited longest.
    pub(super) fn next_in_turn(&mut self) -> Option<Arc<str>> {
        let share = |name: &Arc<str>| self.scripts.get(name).map(|script| self.share(name, script));
        let mut best: Option<(usize, Share)> = None;
        for (at, name) in self.waiting.iter().enumerate() {
            match (share(name), best) {
                (None, _) => return self.waiting.remove(at),
                (Some(share), Some((_, least))) if !share.is_below(least) => {}
                (Some(share), _) => best = Some((at, share)),
            }
        }
        self.waiting.remove(best?.0)
    }

    /// Whether the script has all of the pool that it may have beside others: as many workers as it is allowed, where the pool has
    /// more threads, or its part of them, where others want theirs.
    pub(super) fn has_its_part(&self, name: &str) -> bool {
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
        has_its_part(own, all, self.threads.iter().filter(|thread| thread.is_alive()).count())
    }
}
