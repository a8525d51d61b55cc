//! An operation of a script on storage, as part of an event.

use std::cell::RefCell;

use deno_core::{CancelFuture, CancelHandle, OpState};

use crate::context::{begin_operation, end_with_event};
use crate::event::{EventEnded, EventKey};
use crate::quotas::{QuotaError, Usage};

/// Runs an operation on the store of a binding, charges it to the event, and cancels it when the event ends.
pub(super) async fn operate<B, T, E>(
    state: &RefCell<OpState>,
    event: EventKey,
    bound: impl FnOnce(&OpState) -> Result<B, E>,
    run: impl AsyncFnOnce(B) -> Result<T, E>,
) -> Result<T, E>
where
    E: From<QuotaError> + From<EventEnded>,
{
    let (bound, usage, ended) = {
        let state = state.borrow();
        let usage = Usage::of(&state);
        begin_operation(&state, event, &usage)?;
        let ended = CancelHandle::new_rc();
        end_with_event(&state, event, &ended)?;
        (bound(&state)?, usage, ended)
    };
    let _slot = usage.begin_op()?;
    run(bound).or_cancel(&ended).await.map_err(|_| EventEnded)?
}
