//! The number of open connections of a worker, in total and per event.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use deno_core::OpState;

use crate::event::EventKey;
use crate::quotas::{QuotaError, Quotas};

/// The open connections of a worker, by event, in its state.
#[derive(Clone, Default)]
pub(super) struct Slots(Rc<RefCell<HashMap<EventKey, usize>>>);

impl Slots {
    pub(super) fn of(state: &mut OpState) -> Self {
        if !state.has::<Self>() {
            state.put(Self::default());
        }
        state.borrow::<Self>().clone()
    }

    /// Counts a connection until the slot is dropped.
    pub(super) fn take(&self, event: EventKey, quotas: &Quotas) -> Result<Slot, QuotaError> {
        let mut open = self.0.borrow_mut();
        if open.values().sum::<usize>() >= quotas.connections {
            return Err(QuotaError::Connections(quotas.connections));
        }
        // 0 stands for top-level code of modules.
        let of_event = open.get(&event).copied().unwrap_or_default();
        if of_event >= quotas.event_connections {
            return Err(QuotaError::EventConnections(quotas.event_connections));
        }
        open.insert(event, of_event + 1);
        Ok(Slot {
            slots: self.clone(),
            event,
        })
    }
}

/// One open connection.
pub(super) struct Slot {
    slots: Slots,
    event: EventKey,
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut open = self.slots.0.borrow_mut();
        if let Some(of_event) = open.get_mut(&self.event) {
            *of_event -= 1;
            if *of_event == 0 {
                open.remove(&self.event);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_counted_for_the_worker_and_for_each_event() {
        let slots = Slots::default();
        let quotas = Quotas::default().connections(3).event_connections(2);
        let first = slots.take(1, &quotas).unwrap();
        let _second = slots.take(1, &quotas).unwrap();
        assert_eq!(slots.take(1, &quotas).err(), Some(QuotaError::EventConnections(2)));
        let _other = slots.take(2, &quotas).unwrap();
        assert_eq!(slots.take(2, &quotas).err(), Some(QuotaError::Connections(3)));
        drop(first);
        slots.take(1, &quotas).unwrap();
        assert_eq!(slots.0.borrow().len(), 2);
    }

    #[test]
    fn refused_connections_leave_nothing_behind() {
        let slots = Slots::default();
        let quotas = Quotas::default().event_connections(0);
        assert_eq!(slots.take(1, &quotas).err(), Some(QuotaError::EventConnections(0)));
        assert!(slots.0.borrow().is_empty());
    }
}
