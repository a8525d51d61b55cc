//! Long turns: events that wait behind one move to other workers.
//!
//! A worker with room gets an event even while its code runs. The engine reports turns of some milliseconds. The events in
//! the worker's mailbox then return to the queue, where other workers take them, and its attached tasks are detached.

use std::sync::Arc;
use std::time::Instant;

use crate::engine::{Engine, WorkerId};
use crate::state::{Effects, Mail, Phase, State};

impl<E: Engine> State<E> {
    /// Records a long turn of the worker, and puts the events that it has not begun back into the queue. Events of sessions
    /// stay, because no other worker can run them.
    ///
    /// The turn may have ended meanwhile, so the worker is asked to read its mailbox, after which it takes events again.
    pub(crate) fn turn_is_long(&mut self, thread: usize, worker: WorkerId, now: Instant, fx: &mut Effects<E>) {
        let hosted = self.threads[thread].hosted.as_mut();
        let Some(hosted) = hosted.filter(|hosted| hosted.id == worker && hosted.phase != Phase::Booting) else {
            return;
        };
        hosted.in_long_turn = true;
        hosted.attached.pause();
        fx.evict(&hosted.attached);
        if !std::mem::replace(&mut hosted.nudged, true) {
            fx.post(&hosted.mailbox, Mail::Pull);
        }
        let is_movable = |mail: &Mail<E::Event>| matches!(mail, Mail::Event(job) if job.session.is_none());
        let taken = hosted.mailbox.take_where(is_movable);
        let unbegun: Vec<_> = taken.into_iter().filter_map(Mail::event).collect();
        if unbegun.is_empty() {
            return;
        }
        hosted.forget(|held| unbegun.iter().any(|job| job.id == held));
        hosted.given -= unbegun.len() as u64;
        let version = Arc::clone(&hosted.version);
        self.put_back(&version, unbegun.len(), unbegun, now, fx);
        self.remove_if_done(&version.name, fx);
        let _ = self.line_up(&version.name);
        self.nudge(&version.name, fx);
    }
}
