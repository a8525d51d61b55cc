//! A task on its way from a caller to the process and back.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use isopod_pool::{Failure, Outcome};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use crate::bus::Payload;

/// An item of a task, for its reader.
#[derive(Debug)]
pub(super) enum Item {
    Progress(Value),
    Result { name: Arc<str>, data: Arc<Payload> },
    Retried { attempt: u32 },
}

/// A task that has not ended.
#[derive(Debug)]
pub(super) struct Job {
    pub(super) id: u64,
    pub(super) task: Arc<str>,
    pub(super) config: BTreeMap<String, String>,
    pub(super) payload: Payload,
    pub(super) depth: u32,
    pub(super) until: Instant,
    /// The number of processes that were lost after beginning it.
    pub(super) attempt: u32,
    /// Each item, with the bytes that it takes from the task's window.
    pub(super) items: mpsc::Sender<(Item, u64)>,
    pub(super) end: oneshot::Sender<Result<Payload, Failure>>,
}

/// The decision on a job whose process was lost.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Lost {
    Again,
    Fails,
}

impl Job {
    /// Sends the last response to the reader, if it still waits.
    pub(super) fn finish(self, result: Result<Payload, Failure>) {
        let _ = self.end.send(result);
    }

    pub(super) fn fail(self, outcome: Outcome, message: impl Into<String>) {
        self.finish(Err(Failure::new(outcome, message)));
    }

    pub(super) fn overdue(self) {
        self.fail(Outcome::ExceededWall, "the task's deadline has passed");
    }

    pub(super) fn when_lost(&self, retries: u32, now: Instant) -> Lost {
        match self.attempt < retries && self.until > now && !self.items.is_closed() {
            true => Lost::Again,
            false => Lost::Fails,
        }
    }
}
