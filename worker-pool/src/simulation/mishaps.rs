//! Mishaps of scripts, workers and threads.

use crate::observe::RetireReason;
use crate::simulation::{Simulation, sessions};
use crate::state::Departure;

/// A fault of a script or a thread, which is selected by its index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mishap {
    /// One event of this load arrives.
    Asks,
    /// This number of events arrive at once.
    AskTogether(u8),
    /// The next boots of the script, this number of them, fail.
    BootsFail(u8),
    /// The script is deployed again.
    Deploys,
    Undeploys,
    /// The caller of the load's oldest event leaves.
    Leaves,
    /// The worker on the thread is too old.
    Ages,
    /// The worker on the thread is reported to be in a long turn, which may have ended.
    TurnIsLong,
    /// The thread panics.
    Panics,
    /// The worker on the thread holds this number of megabytes.
    Weighs(u16),
    /// A mishap of sessions.
    Session(sessions::Mishap),
}

impl Simulation {
    pub(super) fn happens(&mut self, of: usize, mishap: Mishap) {
        let script = self.scripts[of % self.scripts.len()].0;
        let thread = self.hosted.keys().min().map(|least| least + of % self.hosted.len());
        let thread = thread.filter(|thread| self.hosted.contains_key(thread));
        match (mishap, thread) {
            (Mishap::Asks, _) => self.asks(of),
            (Mishap::AskTogether(count), _) => (0..count).for_each(|_| self.asks(of)),
            (Mishap::BootsFail(count), _) => _ = self.boots_fail.insert(script, count),
            (Mishap::Deploys, _) => self.deploy(of % self.scripts.len()),
            (Mishap::Undeploys, _) => _ = self.with(|state, now, fx| state.undeploy(script, now, fx)),
            (Mishap::Leaves, _) => {
                let oldest = self
                    .waiting
                    .iter()
                    .find(|(_, (load, ..))| *load == of)
                    .map(|(id, _)| *id);
                if let Some(id) = oldest {
                    let script = self.loads[of].script;
                    self.with(|state, _, fx| state.cancel(script, id, fx));
                }
            }
            // A booting worker has no age.
            (Mishap::Ages, Some(thread)) if self.ready.contains(&self.hosted[&thread].worker.get()) => {
                let next = self.with(|state, now, fx| state.tire(thread, RetireReason::Age, now, fx));
                self.follow(thread, next);
            }
            (Mishap::TurnIsLong, Some(thread)) => {
                let worker = self.hosted[&thread].worker;
                self.with(|state, now, fx| state.turn_is_long(thread, worker, now, fx));
            }
            (Mishap::Panics, Some(thread)) => self.panics(thread),
            (Mishap::Weighs(megabytes), Some(thread)) => {
                // Reported together with ended events.
                let hosted = &self.hosted[&thread];
                hosted.memory.set(usize::from(megabytes) << 20);
                let next = self.with(|state, now, fx| state.end(thread, &[], None, now, fx));
                self.follow(thread, next);
            }
            (Mishap::Session(mishap), thread) => self.happens_to_sessions(of, mishap, thread),
            (Mishap::Ages | Mishap::TurnIsLong | Mishap::Panics | Mishap::Weighs(_), _) => {}
        }
    }

    /// Ends the worker on the thread, with all its events.
    pub(super) fn loses(&mut self, thread: usize) {
        self.hosted.remove(&thread);
        let lost: Vec<_> = self.running.extract_if(|_, (on, ..)| *on == thread).collect();
        for (id, _) in lost {
            let (load, ..) = self.waiting.remove(&id).expect("it runs");
            self.fates[load].failed += 1;
        }
    }

    fn panics(&mut self, thread: usize) {
        self.loses(thread);
        self.with(|state, now, fx| {
            state.dismiss(thread);
            state.depart(thread, Departure::Retired(RetireReason::Lost), now, fx);
        });
        self.with(|state, now, fx| state.thread_lost(thread, "it panicked", true, now, fx));
    }
}
