//! The leases of this process.
//!
//! JetStream identifies a taken message by the subject for its acknowledgment. Leases expire here and there at the same time.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use async_nats::Subject;

use super::super::store::{QueueMessage, Receipt};

/// A taken message.
#[derive(Clone)]
pub(super) struct Lease {
    /// The subject for its acknowledgment.
    pub(super) reply: Subject,
    pub(super) message: QueueMessage,
    pub(super) attempts: u32,
    until: Instant,
}

#[derive(Default)]
pub(super) struct Leases(Mutex<HashMap<Receipt, Lease>>);

impl Leases {
    /// Adds a message whose lease ends after this time.
    pub(super) fn add(&self, receipt: Receipt, reply: Subject, message: QueueMessage, attempts: u32, lease: Duration) {
        let until = Instant::now() + lease;
        let lease = Lease {
            reply,
            message,
            attempts,
            until,
        };
        self.with(|leases| leases.insert(receipt, lease));
    }

    /// Returns the lease of a receipt, unless it has expired.
    pub(super) fn of(&self, receipt: Receipt) -> Option<Lease> {
        let lease = self.with(|leases| leases.get(&receipt).cloned());
        lease.filter(|lease| lease.until > Instant::now())
    }

    /// Renews the lease of a receipt for this time from now.
    pub(super) fn renew(&self, receipt: Receipt, lease: Duration) {
        self.with(|leases| {
            if let Some(found) = leases.get_mut(&receipt) {
                found.until = Instant::now() + lease;
            }
        });
    }

    pub(super) fn end(&self, receipt: Receipt) {
        self.with(|leases| leases.remove(&receipt));
    }

    /// Removes expired leases, and returns the number of the others.
    pub(super) fn count(&self) -> usize {
        let now = Instant::now();
        self.with(|leases| {
            leases.retain(|_, lease| lease.until > now);
            leases.len()
        })
    }

    fn with<T>(&self, work: impl FnOnce(&mut HashMap<Receipt, Lease>) -> T) -> T {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
