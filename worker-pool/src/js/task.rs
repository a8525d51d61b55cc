//! The caller's side of a script's tasks.

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures::Stream;
use futures::channel::oneshot;
use isopod_runtime::handlers::{Fault, TaskItem};
use isopod_runtime::values::ToScript;
use tokio::sync::mpsc;

use super::answer::value;
use crate::{Failure, Meta, Ticket};

/// Default maximum number of unread items of a task.
const ITEMS_WAITING_MAX: usize = 256;

/// A request for a task of a script: its payload, and named text settings.
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
    /// Creates a request with this payload.
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

    /// Sets the task's `id`. Default: the empty string.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = id.into();
        self
    }

    /// Adds a setting.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(name.into(), value.into());
        self
    }

    /// Sets the depth: the number of messages that led to the task. Messages that its script publishes are one level deeper.
    /// Default: 0.
    pub const fn at_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }

    /// Returns the depth.
    #[must_use]
    pub const fn depth(&self) -> u32 {
        self.depth
    }

    /// Sets the maximum number of unread items, above which `ctx.progress()` and `ctx.emit()` wait. Default: 256; at least
    /// 1.
    pub fn items_waiting_max(mut self, items: usize) -> Self {
        self.items_waiting_max = items.max(1);
        self
    }

    /// Sets the deadline and other event settings.
    pub const fn meta(mut self, meta: Meta) -> Self {
        self.meta = meta;
        self
    }
}

/// A running task: a stream of its items, which ends when the handler has returned or failed; then call
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

    /// Returns the handler's return value. Unread items are lost.
    ///
    /// # Errors
    /// The failure of the task.
    pub async fn outcome(self) -> Result<R, Failure> {
        let Self {
            mut items,
            answer,
            ticket,
        } = self;
        // Unread items are dropped, so that a script that waits for room can continue.
        let drained = poll_fn(|cx| {
            while let Poll::Ready(item) = items.poll_recv(cx) {
                if item.is_none() {
                    return Poll::Ready(());
                }
            }
            ticket.poll_lost(cx).map(drop)
        });
        drained.await;
        value(answer, ticket).await
    }
}

impl<R> Stream for TaskStream<R> {
    type Item = TaskItem;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TaskItem>> {
        match self.items.poll_recv(cx) {
            // A lost thread sends no more items; the outcome has the reason.
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
