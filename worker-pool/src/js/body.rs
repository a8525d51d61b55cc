//! The body of a response, which keeps its event alive while it is read.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};
use isopod_runtime::handlers::{Body, BodyError, Fault};

use super::fault::failure;
use crate::ticket::Ticket;

/// The body of a streamed response. Dropping it before its end cancels the event.
pub(super) struct Held {
    body: Body,
    ticket: Option<Ticket>,
}

/// Ties a body to its event, unless it is in memory.
pub(super) fn hold(body: Body, ticket: Ticket) -> Body {
    if body.is_end_stream() || body.as_bytes().is_some() {
        ticket.detach();
        return body;
    }
    Body::new(Held {
        body,
        ticket: Some(ticket),
    })
}

impl HttpBody for Held {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let mut polled = Pin::new(&mut self.body).poll_frame(cx);
        if polled.is_pending()
            && let Some(Poll::Ready(failure)) = self.ticket.as_ref().map(|ticket| ticket.poll_lost(cx))
        {
            polled = Poll::Ready(Some(Err(BodyError::new(failure))));
        }
        if let Poll::Ready(Some(Err(error))) = polled {
            polled = Poll::Ready(Some(Err(with_outcome(error))));
        }
        // The end of the body completes the response; `waitUntil` work continues.
        let ended = match &polled {
            Poll::Ready(None | Some(Err(_))) => true,
            Poll::Ready(Some(Ok(_))) => self.body.is_end_stream(),
            Poll::Pending => false,
        };
        if ended && let Some(ticket) = self.ticket.take() {
            ticket.detach();
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Adds the outcome of the event to an error of its body.
fn with_outcome(error: BodyError) -> BodyError {
    match error.into_inner().downcast::<Fault>() {
        Ok(fault) => BodyError::new(failure(*fault)),
        Err(error) => BodyError::new(error),
    }
}
