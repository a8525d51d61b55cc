//! Events that a worker gives back.

use isopod_outcome::{Failure, Outcome};

use super::{EventLoop, Step};
use crate::engine::{Engine, Event as _, SlotId, Worker as _};
use crate::observe::RetireReason;
use crate::state::{Departure, Unbegun, Unwanted};

impl<E: Engine> EventLoop<'_, E> {
    /// Gives an event back that the worker has not begun.
    pub(super) fn give_back(&mut self, slot: SlotId, is_lost: bool) -> Step {
        let Some(event) = self.worker.take_back(slot) else {
            tracing::error!(?slot, "a worker gave back an event that it does not have");
            return Ok(());
        };
        let (thread, worker, is_condemned) = (self.thread, self.assignment.worker, self.worker.is_condemned());
        let why = match (is_lost, is_condemned) {
            (true, _) => Unbegun::Lost,
            (false, true) => Unbegun::Condemned,
            (false, false) => Unbegun::LongTurn,
        };
        let unwanted = self
            .shared
            .with(|state, fx| state.give_back(thread, worker, slot, event, why, fx));
        let Some(Unwanted { event, running }) = unwanted else {
            return Ok(());
        };
        let ended = "the event ended before a worker began it";
        let (outcome, message) = match running.as_ref().map(|running| running.canceled) {
            None => (Outcome::WorkerLost, ended),
            Some(Some(outcome)) => (outcome, ended),
            Some(None) => (
                Outcome::WorkerLost,
                "one worker after another was lost before it began the event",
            ),
        };
        event.fail(Failure::new(outcome, message));
        let Some(running) = running else {
            return match self.slots().is_lost() {
                true => Err(Departure::Retired(RetireReason::Lost)),
                false => Ok(()),
            };
        };
        if let Some(tally) = running.tally {
            tally.finish(outcome);
        }
        // Otherwise it is given up with the worker.
        if !is_condemned {
            self.ended.push(running.id);
        }
        Ok(())
    }
}
