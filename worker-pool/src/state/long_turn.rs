//! Long turns: events that wait behind one move to other workers.
//!
//! A worker with room gets an event even while its code runs. The engine reports turns of some milliseconds. The events in
//! the worker's mailbox then return to the queue, where other workers take them, and its attached tasks are detached. A
//! worker in another process gives back events that it has received and not begun.

use std::sync::Arc;
use std::time::Instant;

use isopod_outcome::Outcome;

use crate::engine::{Engine, SlotId, WorkerId};
use crate::job::Job;
use crate::state::slots::Running;
use crate::state::{Effects, Mail, Phase, State};
use crate::sync::clock;

/// Maximum number of workers that may be lost, one after another, before they begin an event: it may be the reason.
const LOSSES_MAX: u32 = 3;

/// The reason for which a worker has not begun an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unbegun {
    LongTurn,
    Condemned,
    /// Its process has ended.
    Lost,
}

/// An event that its worker has given back, and that ends.
pub(crate) struct Unwanted<E: Engine> {
    pub(crate) event: E::Event,
    /// `None`: the worker has been given up, and the event with it.
    pub(crate) running: Option<Running>,
}

impl<E: Engine> State<E> {
    /// Takes an event back that its worker has not begun. It waits in the worker's mailbox again, at its place: from there it goes to
    /// another worker when that one departs, or at once if the worker is in a long turn. Returns an event that ends: it has been canceled,
    /// or too many workers were lost before they began it.
    pub(crate) fn give_back(
        &mut self,
        thread: usize,
        worker: WorkerId,
        slot: SlotId,
        event: E::Event,
        why: Unbegun,
        fx: &mut Effects<E>,
    ) -> Option<Unwanted<E>> {
        let hosted = self.threads[thread].hosted.as_mut();
        let hosted = hosted.filter(|hosted| hosted.id == worker);
        let Some((hosted, mut running)) = hosted.and_then(|hosted| {
            let running = hosted.table.lock().remove(slot)?;
            Some((hosted, running))
        }) else {
            return Some(Unwanted { event, running: None });
        };
        let id = running.id;
        let is_cancel = |mail: &Mail<E::Event>| matches!(mail, Mail::Cancel(canceled) if *canceled == id);
        if !hosted.mailbox.take_where(is_cancel).is_empty() {
            running.canceled.get_or_insert(Outcome::Canceled);
        }
        if why == Unbegun::Lost {
            running.terms.losses += 1;
        }
        let tally = match running.canceled {
            None if running.terms.losses <= LOSSES_MAX => running.tally.take(),
            _ => None,
        };
        let Some(tally) = tally else {
            let running = Some(running);
            return Some(Unwanted { event, running });
        };
        let job = Job::again(id, running.terms, running.line, event, tally);
        let is_later = |mail: &Mail<E::Event>| matches!(mail, Mail::Event(job) if job.id > id);
        hosted.mailbox.put_back(Mail::Event(job), is_later);
        if why == Unbegun::LongTurn {
            self.turn_is_long(thread, worker, clock::now(), fx);
        }
        None
    }

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
