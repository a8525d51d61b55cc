//! Calls of methods of a service binding.

use std::cell::RefCell;
use std::rc::Rc;

use deno_core::{CancelFuture, CancelHandle, JsBuffer, OpState, op2, v8};

use super::{Bound, FetcherError, RpcFuture, bound};
use crate::context::{current_event, end_with_event};
use crate::event::EventEnded;
use crate::fetch::{FetchError, caller_of};
use crate::quotas::{OpSlot, Usage};
use crate::rpc::{Returned, RpcCall, RpcError, ScriptFailure, read};
use crate::unwind;

/// Makes a call, and waits for its result.
#[op2(async(lazy), reentrant)]
pub(super) fn op_isopod_fetcher_call<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[string] binding: String,
    message: v8::Local<'s, v8::Value>,
    #[buffer] props: Option<JsBuffer>,
) -> impl Future<Output = Result<Returned, FetcherError>> + use<> {
    let begun =
        unwind::catch(|| begin(&state, scope, binding, message, props)).unwrap_or_else(|panic| Err(panic.into()));
    async move {
        let (running, ended, _slot) = begun?;
        match running.or_cancel(&ended).await {
            Err(_) => Err(FetchError::from(EventEnded).into()),
            Ok(Ok(message)) => Ok(Returned::Message(message)),
            Ok(Err(failure)) => Ok(Returned::Failed(ScriptFailure::new(&failure))),
        }
    }
}

type Begun = (RpcFuture, Rc<CancelHandle>, OpSlot);

fn begin<'s>(
    state: &RefCell<OpState>,
    scope: &mut v8::PinScope<'s, '_>,
    binding: String,
    message: v8::Local<'s, v8::Value>,
    props: Option<JsBuffer>,
) -> Result<Begun, FetcherError> {
    let message = read(scope, message)?;
    let event = current_event(scope);
    let (fetcher, caller, ended, slot) = {
        let state = state.borrow();
        let Bound { fetcher, worker, props } = bound(&state, binding, props.as_deref())?;
        let usage = Usage::of(&state);
        let slot = usage.begin_op().map_err(RpcError::from)?;
        let mut caller = caller_of(&state, event, &worker, &usage).map_err(RpcError::from)?;
        caller.props = props;
        let ended = CancelHandle::new_rc();
        end_with_event(&state, event, &ended).map_err(RpcError::from)?;
        (fetcher, caller, ended, slot)
    };
    Ok((fetcher.call(RpcCall::new(message), caller), ended, slot))
}
