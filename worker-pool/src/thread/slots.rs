//! The events one worker runs, by slot.

use std::time::Instant;

use crate::engine::SlotId;
use crate::job::{EventId, Tally};

/// An event that has been begun.
pub(crate) struct Running {
    pub(crate) id: EventId,
    pub(crate) started: Instant,
    /// When it is canceled; after that, when its worker is given up.
    pub(crate) deadline: Instant,
    pub(crate) canceled: bool,
    pub(crate) tally: Tally,
}

/// A table whose indices are used again, each time with another generation.
#[derive(Default)]
pub(crate) struct Slots {
    entries: Vec<(u32, Option<Running>)>,
    free: Vec<u32>,
}

impl Slots {
    pub(crate) fn insert(&mut self, running: Running) -> SlotId {
        let index = self.free.pop().unwrap_or_else(|| {
            self.entries.push((0, None));
            // Bounded by the script's concurrency.
            u32::try_from(self.entries.len() - 1).unwrap_or(u32::MAX)
        });
        let entry = &mut self.entries[index as usize];
        entry.0 = entry.0.wrapping_add(1);
        entry.1 = Some(running);
        SlotId {
            index,
            generation: entry.0,
        }
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

    pub(crate) fn nearest_deadline(&self) -> Option<Instant> {
        self.entries
            .iter()
            .filter_map(|(_, running)| running.as_ref().map(|running| running.deadline))
            .min()
    }

    pub(crate) fn drain(&mut self) -> impl Iterator<Item = Running> {
        self.free.clear();
        self.entries.drain(..).filter_map(|(_, running)| running)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_that_is_used_again_does_not_answer_to_its_old_name() {
        let running = || Running {
            id: EventId(1),
            started: Instant::now(),
            deadline: Instant::now(),
            canceled: false,
            tally: Tally::accept(Default::default(), Default::default()),
        };
        let mut slots = Slots::default();
        let first = slots.insert(running());
        assert!(slots.remove(first).is_some());
        let second = slots.insert(running());
        assert_eq!(first.index(), second.index());
        assert!(slots.remove(first).is_none());
        assert!(!slots.is_empty() && slots.remove(second).is_some() && slots.is_empty());
    }
}
