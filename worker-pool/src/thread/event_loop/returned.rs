//! Events that a worker gives back.

use isopod_outcome::{Failure, Outcome};

use super::{EventLoop, Step};
use crate::engine::{Engine, Event as _, SlotId, Worker as _};
use crate::observe::RetireReason;
use crate::state::{Departure, Unwanted};

impl<E: Engine> EventLoop<'_, E> {
    /// Gives an event back that the worker has not begun.
    pub(super) fn give_back(&mut self, slot: SlotId) -> Step {
        let Some(event) = self.worker.take_back(slot) else {
            tracing::error!(?slot, "a worker gave back an event that it does not have");
            return Ok(());
        };
        let (thread, worker, is_condemned) = (self.thread, self.assignment.worker, self.worker.is_condemned());
        let unwanted = self
            .shared
            .with(|state, fx| state.give_back(thread, worker, slot, event, is_condemned, fx));
        let Some(Unwanted { event, running }) = unwanted else {
            return Ok(());
        };
        let outcome = running.as_ref().map_or(Outcome::WorkerLost, |running| {
            running.canceled.unwrap_or(Outcome::Canceled)
        });
        event.fail(Failure::new(outcome, "the event ended before a worker began it"));
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
