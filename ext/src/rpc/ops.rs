//! The ops of messages and stubs.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use deno_core::{CancelFuture, CancelHandle, OpState, Resource, ResourceId, op2, v8};

use super::convert::read;
use super::failure::{Returned, RpcError, ScriptFailure};
use super::message::{Part, Stub, StubError, StubFuture};
use super::resources::{OutgoingStream, Parcel, StubResource};
use crate::context::{current_event, end_with_event};
use crate::event::{EventEnded, EventKey, Stage};
use crate::native::lend;
use crate::quotas::{OpSlot, Usage};
use crate::unwind;
use crate::values::{Outgoing, RequestBody, StreamError, events};

/// Adds something to the worker's resources, until the event ends.
fn add<R: Resource>(state: &mut OpState, event: EventKey, resource: R) -> Result<ResourceId, RpcError> {
    Usage::of(state).room_for_handle(state)?;
    let events = events(state);
    let mut events = events.borrow_mut();
    let lent = events.lent(event).ok_or(RpcError::NoEvent)?;
    let rid = state.resource_table.add(resource);
    lent.resources.push(rid);
    Ok(rid)
}

/// Opens a parcel for the event whose code runs: returns `[isStream, resource, …]`.
#[op2]
#[serde]
pub(super) fn op_isopod_rpc_adopt(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] parcel: ResourceId,
) -> Result<Vec<(bool, ResourceId)>, RpcError> {
    let event = current_event(scope);
    let parcel = state.resource_table.take::<Parcel>(parcel);
    let parts = parcel.map_err(|_| RpcError::Message("it was read already"))?.0.take();
    parts
        .into_iter()
        .map(|part| match part {
            Part::Stub(stub) => Ok((false, add(state, event, StubResource(stub))?)),
            Part::Stream(body) => Ok((true, add(state, event, RequestBody::new(body))?)),
        })
        .collect()
}

/// Lends a function of `values.js`. It is called without arguments when all stubs for it are gone.
#[op2(fast, reentrant)]
#[smi]
pub(super) fn op_isopod_rpc_lend<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    function: v8::Local<'s, v8::Function>,
) -> Result<ResourceId, RpcError> {
    let event = current_event(scope);
    let function = v8::Global::new(scope, function);
    let mut state = state.borrow_mut();
    let callback = lend(&mut state, event, function)?;
    add(&mut state, event, StubResource(Stub::here(callback)))
}

/// Creates another stub for the same target.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_rpc_dup(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] rid: ResourceId,
) -> Result<ResourceId, RpcError> {
    let stub = state.resource_table.get::<StubResource>(rid);
    let stub = stub.map_err(|_| RpcError::Disposed)?.0.clone();
    let event = current_event(scope);
    add(state, event, StubResource(stub))
}

/// The limits of paths, messages and the depth of calls.
#[op2]
#[serde]
pub(super) fn op_isopod_rpc_limits(state: &mut OpState) -> (usize, usize, usize) {
    let usage = Usage::of(state);
    let quotas = &usage.quotas;
    (quotas.rpc_path, quotas.message_bytes, quotas.rpc_depth)
}

/// Calls the function or object of a stub.
#[op2(async(lazy), fast, reentrant)]
pub(super) fn op_isopod_rpc_stub_call<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] rid: ResourceId,
    message: v8::Local<'s, v8::Value>,
) -> impl Future<Output = Result<Returned, RpcError>> + use<> {
    let started = unwind::catch(|| start(&state, scope, rid, message)).unwrap_or_else(|panic| Err(panic.into()));
    async move {
        let (running, ended, _slot) = started?;
        Ok(match running.or_cancel(&ended).await.map_err(|_| EventEnded)? {
            Ok(message) => Returned::Message(message),
            Err(StubError::Callback(error)) => Returned::Failed(error.into()),
            Err(StubError::Failed(failure)) => Returned::Failed(ScriptFailure::new(&failure)),
        })
    }
}

type Started = (StubFuture, Rc<CancelHandle>, OpSlot);

fn start<'s>(
    state: &RefCell<OpState>,
    scope: &mut v8::PinScope<'s, '_>,
    rid: ResourceId,
    message: v8::Local<'s, v8::Value>,
) -> Result<Started, RpcError> {
    let message = read(scope, message)?;
    let event = current_event(scope);
    let state = state.borrow();
    let stub = state.resource_table.get::<StubResource>(rid);
    let stub = stub.map_err(|_| RpcError::Disposed)?.0.clone();
    let slot = Usage::of(&state).begin_op()?;
    let ended = CancelHandle::new_rc();
    end_with_event(&state, event, &ended)?;
    Ok((stub.begin(message), ended, slot))
}

/// Takes a stream for a message.
#[op2(fast)]
#[smi]
pub(super) fn op_isopod_rpc_stream(
    state: &mut OpState,
    scope: &mut v8::PinScope<'_, '_>,
    #[smi] rid: ResourceId,
) -> Result<ResourceId, RpcError> {
    let event = current_event(scope);
    let resource = state.resource_table.take_any(rid).map_err(StreamError::from)?;
    let (outgoing, body) = Outgoing::new(resource);
    end_with_event(state, event, outgoing.tail())?;
    let stream = OutgoingStream {
        body: Cell::new(Some(body)),
        outgoing: Cell::new(Some(outgoing)),
    };
    add(state, event, stream)
}

/// Moves a stream to its reader; resolves when it has ended.
#[op2]
pub(super) fn op_isopod_rpc_pump(
    state: Rc<RefCell<OpState>>,
    #[smi] rid: ResourceId,
) -> impl Future<Output = ()> + use<> {
    let (stream, usage) = {
        let state = state.borrow();
        (state.resource_table.get::<OutgoingStream>(rid).ok(), Usage::of(&state))
    };
    let outgoing = stream.and_then(|stream| stream.outgoing.take());
    async move {
        if let Some(outgoing) = outgoing {
            // The reader gets an error at the position where it broke off.
            drop(outgoing.pump(usage.ledger(), usage.quotas.stream_idle).await);
        }
    }
}

/// Records that an event has answered with stubs or streams, which keep it open.
#[op2(fast)]
pub(super) fn op_isopod_rpc_stays(state: &mut OpState, #[smi] key: EventKey) {
    events(state).borrow_mut().goes_on(key, Stage::Streaming);
}
