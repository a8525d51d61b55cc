//! An operation of a script on storage, as part of an event.

use std::cell::RefCell;
use std::sync::Arc;

use deno_core::{CancelFuture, CancelHandle, OpState};

use super::Installed;
use crate::context::{begin_operation, end_with_event};
use crate::event::{EventEnded, EventKey};
use crate::quotas::{QuotaError, Usage};

/// Runs an operation on the store of a binding, charges it to the event, and cancels it when the event ends. `missing`: the error
/// if there is no such binding.
pub(super) async fn operate<S, T, E>(
    state: &RefCell<OpState>,
    binding: String,
    event: EventKey,
    missing: impl FnOnce(String) -> E,
    run: impl AsyncFnOnce(Arc<S>) -> Result<T, E>,
) -> Result<T, E>
where
    S: ?Sized + 'static,
    E: From<QuotaError> + From<EventEnded>,
{
    let (store, usage, ended) = {
        let state = state.borrow();
        let usage = Usage::of(&state);
        begin_operation(&state, event, &usage)?;
        let ended = CancelHandle::new_rc();
        end_with_event(&state, event, &ended)?;
        let store = Installed::<Arc<S>>::get(&state, &binding).cloned();
        (store.ok_or_else(|| missing(binding))?, usage, ended)
    };
    let _slot = usage.begin_op()?;
    run(store).or_cancel(&ended).await.map_err(|_| EventEnded)?
}
