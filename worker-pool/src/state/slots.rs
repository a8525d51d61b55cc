//! Running events of a worker, by slot. Its thread begins and ends them; the supervisor finds overdue ones, and takes all if
//! the thread is lost.

use std::sync::{Arc, PoisonError};
use std::time::Instant;

use isopod_outcome::Outcome;

use crate::engine::SlotId;
use crate::job::{EventId, Tally, Terms};
use crate::line::Line;
use crate::sync::{Mutex, MutexGuard};

/// An event that has been begun.
pub(crate) struct Running {
    pub(crate) id: EventId,
    pub(crate) started: Instant,
    /// Time of its cancellation, and afterwards the time at which its worker is given up.
    pub(crate) deadline: Instant,
    /// Outcome of its cancellation.
    pub(crate) canceled: Option<Outcome>,
    /// `None` if the event was counted already: see [`Slots::take_overdue`].
    pub(crate) tally: Option<Tally>,
    pub(crate) line: Arc<Line>,
    /// For a worker that gives it back.
    pub(crate) terms: Terms,
}

/// The running events of one worker. No foreign code runs under the lock.
#[derive(Default)]
pub(crate) struct Table {
    slots: Mutex<Slots>,
}

impl Table {
    pub(crate) fn lock(&self) -> MutexGuard<'_, Slots> {
        // Nothing in here panics, so a poisoned table is still a consistent one.
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A table whose indices are reused, each time with another generation.
#[derive(Default)]
pub(crate) struct Slots {
    entries: Vec<(u32, Option<Running>)>,
    free: Vec<u32>,
    /// True if the worker was given up, so that it begins and ends no events.
    lost: bool,
}

impl Slots {
    /// Inserts an event. Returns it if the worker was given up.
    pub(crate) fn insert(&mut self, running: Running) -> Result<SlotId, Box<Running>> {
        if self.lost {
            return Err(Box::new(running));
        }
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push((0, None));
            // Bounded by the script's concurrency and by its limit for events of sessions.
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.entries[index as usize];
        entry.0 = entry.0.wrapping_add(1);
        entry.1 = Some(running);
        Ok(SlotId {
            index,
            generation: entry.0,
        })
    }

    pub(crate) fn remove(&mut self, slot: SlotId) -> Option<Running> {
        let entry = self
            .entries
            .get_mut(slot.index())
            .filter(|entry| entry.0 == slot.generation)?;
        let running = entry.1.take()?;
        self.free.push(slot.index);
        Some(running)
    }

    /// Sets another deadline for an event that streams, unless it was canceled.
    pub(crate) fn streams(&mut self, slot: SlotId, deadline: Instant) -> bool {
        let running = self.get_mut(slot).filter(|running| running.canceled.is_none());
        running.map(|running| running.deadline = deadline).is_some()
    }

    /// Returns the event in this slot.
    pub(crate) fn id_of(&mut self, slot: SlotId) -> Option<EventId> {
        self.get_mut(slot).map(|running| running.id)
    }

    /// Returns the slot of this event.
    pub(crate) fn slot_of(&mut self, event: EventId) -> Option<SlotId> {
        self.iter_mut()
            .find_map(|(slot, running)| (running.id == event).then_some(slot))
    }

    fn get_mut(&mut self, slot: SlotId) -> Option<&mut Running> {
        let entry = self.entries.get_mut(slot.index());
        entry
            .filter(|entry| entry.0 == slot.generation)
            .and_then(|entry| entry.1.as_mut())
    }

    /// Sets a new deadline of an event, unless the current one has passed. An event whose caller left can then be canceled again.
    pub(crate) fn put_off(&mut self, slot: SlotId, deadline: Instant) -> bool {
        let running = self.get_mut(slot);
        let running = running.filter(|running| running.canceled != Some(Outcome::ExceededWall));
        let changed = running.map(|running| {
            running.canceled = None;
            running.deadline = deadline;
        });
        changed.is_some()
    }

    /// Takes the reply lines of events whose deadlines passed before this time, each once. Their worker need not end them
    /// any more.
    pub(crate) fn take_overdue(&mut self, by: Instant) -> Vec<(Tally, Arc<Line>, Outcome)> {
        let overdue = self.iter_mut().filter(|(_, running)| running.deadline <= by);
        overdue
            .filter_map(|(_, running)| {
                let outcome = running.canceled.unwrap_or(Outcome::ExceededWall);
                Some((running.tally.take()?, Arc::clone(&running.line), outcome))
            })
            .collect()
    }

    /// Returns the nearest deadline of an event that [`Slots::take_overdue`] has not taken.
    pub(crate) fn nearest_untaken(&self) -> Option<Instant> {
        let running = self.entries.iter().filter_map(|(_, running)| running.as_ref());
        let untaken = running.filter(|running| running.tally.is_some());
        untaken.map(|running| running.deadline).min()
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = (SlotId, &mut Running)> {
        (0u32..)
            .zip(&mut self.entries)
            .filter_map(|(index, (generation, running))| {
                running.as_mut().map(|running| {
                    (
                        SlotId {
                            index,
                            generation: *generation,
                        },
                        running,
                    )
                })
            })
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.free.len() == self.entries.len()
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    pub(crate) const fn is_lost(&self) -> bool {
        self.lost
    }

    pub(crate) fn nearest_deadline(&self) -> Option<Instant> {
        self.deadlines().min()
    }

    pub(crate) fn last_deadline(&self) -> Option<Instant> {
        self.deadlines().max()
    }

    fn deadlines(&self) -> impl Iterator<Item = Instant> {
        let running = self.entries.iter().filter_map(|(_, running)| running.as_ref());
        running.map(|running| running.deadline)
    }

    pub(crate) fn drain(&mut self) -> Vec<(SlotId, Running)> {
        self.free.clear();
        (0u32..)
            .zip(self.entries.drain(..))
            .filter_map(|(index, (generation, running))| Some((SlotId { index, generation }, running?)))
            .collect()
    }

    /// Takes all events of a lost worker.
    pub(crate) fn give_up(&mut self) -> Vec<(SlotId, Running)> {
        self.lost = true;
        self.drain()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::Call;
    use crate::job::Job;
    use crate::options::Meta;

    fn running() -> Running {
        let tally = || Tally::accept(Default::default());
        let meta = Meta::default();
        let job = Job::new(EventId(1), None, Call::echo(1).0, Instant::now(), meta, tally());
        Running {
            id: EventId(1),
            started: Instant::now(),
            deadline: Instant::now(),
            canceled: None,
            tally: Some(tally()),
            line: Arc::default(),
            terms: job.terms(),
        }
    }

    #[test]
    fn a_reused_slot_has_another_id() {
        let mut slots = Slots::default();
        let mut insert = || slots.insert(running()).map_err(|_| "lost").expect("room");
        let first = insert();
        assert!(slots.remove(first).is_some());
        let second = slots.insert(running()).map_err(|_| "lost").expect("room");
        assert_eq!(first.index(), second.index());
        assert!(slots.remove(first).is_none());
        assert!(!slots.is_empty() && slots.remove(second).is_some() && slots.is_empty());
    }

    #[test]
    fn an_abandoned_worker_begins_and_ends_no_events() {
        let mut slots = Slots::default();
        let held = slots.insert(running()).map_err(|_| "lost").expect("room");
        assert_eq!(slots.give_up().len(), 1);
        assert!(slots.remove(held).is_none() && slots.insert(running()).is_err() && slots.is_empty());
    }

    #[test]
    fn an_event_is_overdue_once() {
        let mut slots = Slots::default();
        let slot = slots.insert(running()).map_err(|_| "lost").expect("room");
        let deadline = slots.nearest_untaken().expect("a deadline");
        assert_eq!(slots.take_overdue(deadline).len(), 1);
        assert!(slots.take_overdue(deadline).is_empty() && slots.nearest_untaken().is_none());
        assert!(slots.remove(slot).is_some_and(|running| running.tally.is_none()));
    }
}
