//! Invariants between critical sections, for tests.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::Engine;
use crate::placement::{Grow, View, place_nested};
use crate::state::grow::Ask;
use crate::state::{Hosted, Phase, State};

impl<E: Engine> State<E> {
    /// Describes an event that waits although there is room for it. Calls [`place`] for every script as if its last event
    /// had just arrived, independently of wake-ups.
    pub(crate) fn waits_in_vain(&mut self, now: Instant) -> Option<String> {
        self.check_homes();
        let waiting = self.scripts.values().filter(|script| !script.queue.is_empty());
        let waiting: Vec<_> = waiting.map(|script| Arc::clone(&script.current)).collect();
        for version in waiting {
            let coming = self.census(&version).coming;
            for (thread, slot) in self.threads.iter().enumerate() {
                let Some(hosted) = slot
                    .hosted
                    .as_ref()
                    .filter(|hosted| hosted.version.number == version.number)
                else {
                    continue;
                };
                let queue = &self.scripts[&version.name].queue;
                let first = queue.first_for(hosted.pins.has_room(&version.limits));
                let takes = first.is_some_and(|depth| {
                    let is_left_to_others = depth == 0 && coming > 0 && hosted.load(0) >= version.limits.spread_at;
                    hosted.has_room(depth) && !is_left_to_others
                });
                if takes && !hosted.nudged {
                    return Some(format!(
                        "an event of {} waits, and its worker on {thread} has room",
                        version.name
                    ));
                }
            }
            let queue = &self.scripts[&version.name].queue;
            let (depth, opens) = (queue.depth(), queue.first_for(false).is_none());
            let extra = self.extra_threads(&version, depth);
            let view = self.view(&version, Ask { depth, opens }, now);
            let view = View {
                queued: view.queued - 1,
                ..view
            };
            let grow = place_nested(&view, extra);
            if grow.grow != Grow::Keep {
                let threads = view.threads.to_vec();
                return Some(format!(
                    "an event of {} waits, and could be placed: {:?} of {threads:?}",
                    version.name, grow.grow
                ));
            }
        }
        None
    }

    /// Asserts that each script knows the threads of its workers.
    fn check_homes(&self) {
        for (name, script) in &self.scripts {
            for (index, thread) in self.threads.iter().enumerate() {
                let is_leaving = |hosted: &Hosted<E>| matches!(hosted.phase, Phase::Retiring(_));
                let is_home = thread.is_home_of(name);
                let known = script.homes.iter().filter(|home| **home == index).count();
                // A script that was removed and deployed again does not know the old workers.
                let left = is_home && known == 0 && thread.hosted.as_ref().is_some_and(is_leaving);
                assert!(left || known == usize::from(is_home), "{name} on thread {index}");
            }
        }
    }
}
