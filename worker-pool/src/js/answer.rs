//! Waiting for the answer to an event.

use std::future::poll_fn;
use std::pin::Pin;
use std::task::Poll;

use futures::channel::oneshot;
use isopod_runtime::handlers::Fault;

use super::fault::failure;
use crate::{Failure, Outcome, Ticket};

/// The receiver of an event's answer.
pub(super) type Answered<T> = oneshot::Receiver<Result<T, Fault>>;

/// Waits for the value of an event, which may then continue with `waitUntil` work. Dropping the future cancels the event.
pub(super) async fn value<T>(answer: Answered<T>, ticket: Ticket) -> Result<T, Failure> {
    let (value, ticket) = wait(answer, ticket).await?;
    ticket.detach();
    Ok(value)
}

/// Waits for the answer. Dropping the future cancels the event.
pub(super) async fn wait<T>(answer: Answered<T>, ticket: Ticket) -> Result<(T, Ticket), Failure> {
    let mut answer = answer;
    let answered = poll_fn(|cx| match Pin::new(&mut answer).poll(cx) {
        Poll::Ready(answered) => Poll::Ready(Ok(answered)),
        // A lost thread does not answer.
        Poll::Pending => ticket.poll_lost(cx).map(Err),
    });
    match answered.await? {
        Ok(Ok(answer)) => Ok((answer, ticket)),
        Ok(Err(fault)) => {
            let failure = ticket.lost().unwrap_or_else(|| failure(fault));
            // The event may still have `waitUntil` work; its caller has the answer.
            ticket.detach();
            Err(failure)
        }
        Err(oneshot::Canceled) => Err(ticket
            .lost()
            .unwrap_or_else(|| Failure::new(Outcome::WorkerLost, "the worker was lost while it held the event"))),
    }
}
