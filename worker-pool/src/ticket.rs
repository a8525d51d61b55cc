//! The caller's handle to an accepted event.

use std::fmt;
use std::sync::Arc;
use std::task::{Context, Poll};

use isopod_outcome::Failure;

use crate::attached::WorkerHandle;
use crate::job::EventId;
use crate::line::Line;

/// Operations of a ticket, independent of the engine.
pub(crate) trait Cancel: Send + Sync {
    fn cancel(&self, script: &str, event: EventId);
}

/// The caller's handle to an accepted event. Dropping it cancels the event, as when a client disconnects. Call
/// [`Ticket::detach`] after the answer, so that remaining work of the handler is not canceled.
#[must_use = "dropping a ticket cancels its event"]
pub struct Ticket {
    event: EventId,
    line: Arc<Line>,
    worker: Option<WorkerHandle>,
    held: Option<(Arc<dyn Cancel>, Arc<str>)>,
}

impl Ticket {
    pub(crate) fn new(
        event: EventId,
        line: Arc<Line>,
        worker: Option<WorkerHandle>,
        pool: Arc<dyn Cancel>,
        script: Arc<str>,
    ) -> Self {
        Self {
            event,
            line,
            worker,
            held: Some((pool, script)),
        }
    }

    /// Returns the worker that got the event at dispatch, to attach [tasks](crate::AttachedTask) to. `None` if the event was
    /// queued, belongs to a session, or has a worker of its own.
    #[must_use]
    pub const fn worker(&self) -> Option<&WorkerHandle> {
        self.worker.as_ref()
    }

    /// Returns the event's number.
    #[must_use]
    pub const fn event_id(&self) -> EventId {
        self.event
    }

    /// Polls for the loss of the event: ready with its failure, from then on, once its worker's thread is lost. The event's
    /// own channel then gets no answer.
    ///
    /// ```
    /// # #[cfg(feature = "testing")] {
    /// # use isopod_pool::{Failure, Ticket};
    /// # use std::future::poll_fn;
    /// async fn answer<T>(answer: impl Future<Output = T> + Unpin, ticket: &Ticket) -> Result<T, Failure> {
    ///     let lost = poll_fn(|cx| ticket.poll_lost(cx));
    ///     match futures::future::select(answer, lost).await {
    ///         futures::future::Either::Left((answer, _)) => Ok(answer),
    ///         futures::future::Either::Right((failure, _)) => Err(failure),
    ///     }
    /// }
    /// # }
    /// ```
    pub fn poll_lost(&self, cx: &Context<'_>) -> Poll<Failure> {
        self.line.poll_lost(cx)
    }

    /// Returns the failure of a lost event. Takes precedence over the answer of a worker, because a lost worker may still
    /// answer too late.
    #[must_use]
    pub fn lost(&self) -> Option<Failure> {
        self.line.lost()
    }

    /// Lets the event continue without this handle.
    pub fn detach(mut self) {
        self.held = None;
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if let Some((shared, script)) = self.held.take() {
            shared.cancel(&script, self.event);
        }
    }
}

impl fmt::Debug for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ticket")
            .field("event", &self.event)
            .finish_non_exhaustive()
    }
}
