//! Tasks of scripts, as whoever asked for one sees them.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use futures::channel::oneshot;
use isopod_runtime::handlers::{Fault, TaskItem};
use isopod_runtime::values::ToScript;
use tokio::sync::mpsc;

use super::answer::wait;
use crate::{Failure, Meta, Ticket};

/// Items of a task that may wait to be read, unless the request says otherwise.
const ITEMS_WAITING_MAX: usize = 256;

/// A task that a script is asked to do: what it is about, and settings of this run as text by name.
#[must_use]
pub struct TaskRequest {
    pub(super) id: String,
    pub(super) payload: Box<dyn ToScript>,
    pub(super) config: BTreeMap<String, String>,
    pub(super) depth: u32,
    pub(super) items_waiting_max: usize,
    pub(super) meta: Meta,
}

impl TaskRequest {
    /// A task about this.
    pub fn new(payload: impl ToScript) -> Self {
        Self {
            id: String::new(),
            payload: Box::new(payload),
            config: BTreeMap::new(),
            depth: 0,
            items_waiting_max: ITEMS_WAITING_MAX,
            meta: Meta::default(),
        }
    }

    /// What the script sees as its `id`. Default: the empty string.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Adds a setting.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(name.into(), value.into());
        self
    }

    /// Says how many messages led to it: as many led to each that its script publishes. Default: 0.
    pub const fn at_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// How many messages led to it.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// How many items may wait to be read before `ctx.progress()` and `ctx.emit()` wait. Default: 256; at least 1.
    pub fn items_waiting_max(mut self, items: usize) -> Self {
        self.items_waiting_max = items.max(1);
        self
    }

    /// Its deadline, and what else the pool is to know of it.
    pub const fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }
}

/// A task that runs: a stream of what it tells, which ends when the handler has returned or failed; then
/// [`TaskStream::outcome`]. Dropping it cancels the task.
pub struct TaskStream<R> {
    items: mpsc::Receiver<TaskItem>,
    answer: oneshot::Receiver<Result<R, Fault>>,
    ticket: Ticket,
}

impl<R> TaskStream<R> {
    pub(super) const fn new(
        items: mpsc::Receiver<TaskItem>,
        answer: oneshot::Receiver<Result<R, Fault>>,
        ticket: Ticket,
    ) -> Self {
        Self { items, answer, ticket }
    }

    /// The value that the handler returned. What was not read of the stream is lost.
    ///
    /// # Errors
    /// How the task ended, where not well.
    pub async fn outcome(self) -> Result<R, Failure> {
        let Self {
            mut items,
            answer,
            ticket,
        } = self;
        // A script that waits for room must not wait for ever.
        let drained = poll_fn(|cx| {
            while let Poll::Ready(item) = items.poll_recv(cx) {
                if item.is_none() {
                    return Poll::Ready(());
                }
            }
            ticket.poll_lost(cx).map(drop)
        });
        drained.await;
        let (value, ticket) = wait(answer, ticket).await?;
        ticket.detach();
        Ok(value)
    }
}

impl<R> Stream for TaskStream<R> {
    type Item = TaskItem;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TaskItem>> {
        match self.items.poll_recv(cx) {
            // Where its thread does not come back, nothing more will come; why, the outcome says.
            Poll::Pending => self.ticket.poll_lost(cx).map(|_| None),
            item => item,
        }
    }
}

impl<R> std::fmt::Debug for TaskStream<R> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TaskStream")
            .field("event", &self.ticket.event_id())
            .finish_non_exhaustive()
    }
}
