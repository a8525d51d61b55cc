//! Message ports whose waiting messages are charged: deno's own have queues without an end.
//!
//! The ports themselves are deno's; beside each queue stands one of charges, which is pushed and popped with it.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use deno_core::serde_v8::JsBuffer;
use deno_core::{
    CancelFuture, CancelHandle, DetachedBuffer, OpState, RcRef, Resource, ResourceId, TransferredResource, op2,
};
use deno_error::JsErrorBox;
use deno_web::{JsMessageData, MessagePort, MessagePortError, RecvMessageData, create_entangled_message_port};

use super::{QuotaError, Usage};
use crate::ledger::Charge;

/// What a message takes beside its bytes.
const MESSAGE_BYTES: usize = 128;

/// Why a message was not sent.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
pub(super) enum PortError {
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    #[class(inherit)]
    #[error(transparent)]
    Port(#[from] MessagePortError),
}

type Queue = Arc<Mutex<VecDeque<Charge>>>;

fn locked(queue: &Queue) -> MutexGuard<'_, VecDeque<Charge>> {
    queue.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The charges of the messages that wait for a port; they go with it.
struct Waiting(Queue);

impl Drop for Waiting {
    fn drop(&mut self) {
        locked(&self.0).clear();
    }
}

/// A port on its way to another owner.
struct Ends {
    port: MessagePort,
    /// Of the messages that wait for the other port.
    sent: Queue,
    waiting: Waiting,
}

struct Port {
    ends: Ends,
    cancel: CancelHandle,
}

impl Resource for Port {
    fn name(&self) -> Cow<'_, str> {
        "messagePort".into()
    }

    fn close(self: Rc<Self>) {
        self.cancel.cancel();
    }

    fn transfer(self: Rc<Self>) -> Result<Box<dyn TransferredResource>, JsErrorBox> {
        self.cancel.cancel();
        let port = Rc::try_unwrap(self).map_err(|_| JsErrorBox::from_err(MessagePortError::NotReady))?;
        Ok(Box::new(port.ends))
    }
}

impl TransferredResource for Ends {
    fn receive(self: Box<Self>) -> Rc<dyn Resource> {
        Rc::new(Port {
            ends: *self,
            cancel: CancelHandle::new(),
        })
    }
}

fn port(state: &OpState, rid: ResourceId) -> Result<Rc<Port>, MessagePortError> {
    state
        .resource_table
        .get::<Port>(rid)
        .map_err(MessagePortError::Resource)
}

#[op2]
pub(super) fn op_isopod_port_create(state: &mut OpState) -> (ResourceId, ResourceId) {
    let (one, other) = create_entangled_message_port();
    let queues = [Queue::default(), Queue::default()];
    let mut add = |port, sent: &Queue, waiting: &Queue| {
        state.resource_table.add(Port {
            ends: Ends {
                port,
                sent: sent.clone(),
                waiting: Waiting(waiting.clone()),
            },
            cancel: CancelHandle::new(),
        })
    };
    (add(one, &queues[0], &queues[1]), add(other, &queues[1], &queues[0]))
}

fn send(state: &mut OpState, rid: ResourceId, data: JsMessageData) -> Result<(), PortError> {
    let port = port(state, rid)?;
    let is_open = port.ends.port.tx.borrow().as_ref().is_some_and(|tx| !tx.is_closed());
    let charge = match is_open {
        true => Some(Usage::of(state).hold(data.data.len() + MESSAGE_BYTES)?),
        // It is dropped at once.
        false => None,
    };
    port.ends.port.send(state, data)?;
    locked(&port.ends.sent).extend(charge);
    Ok(())
}

#[op2]
pub(super) fn op_isopod_port_post(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[serde] data: JsMessageData,
) -> Result<(), PortError> {
    send(state, rid, data)
}

#[op2]
pub(super) fn op_isopod_port_post_raw(
    state: &mut OpState,
    #[smi] rid: ResourceId,
    #[buffer(detach)] data: JsBuffer,
) -> Result<(), PortError> {
    let data = DetachedBuffer::from_v8slice(data.into_parts());
    let transferables = Vec::new();
    send(state, rid, JsMessageData { data, transferables })
}

#[op2]
pub(super) async fn op_isopod_port_recv(
    state: Rc<RefCell<OpState>>,
    #[smi] rid: ResourceId,
) -> Result<Option<RecvMessageData>, MessagePortError> {
    let port = port(&state.borrow(), rid);
    let Ok(port) = port else { return Ok(None) };
    let cancel = RcRef::map(port.clone(), |port| &port.cancel);
    let received = port.ends.port.recv(state).or_cancel(cancel).await??;
    if received.is_some() {
        locked(&port.ends.waiting.0).pop_front();
    }
    Ok(received)
}

#[op2]
pub(super) fn op_isopod_port_recv_sync(
    state: &mut OpState,
    #[smi] rid: ResourceId,
) -> Result<Option<JsMessageData>, MessagePortError> {
    let port = port(state, rid)?;
    let received = port.ends.port.try_recv_sync(state)?;
    if received.is_some() {
        locked(&port.ends.waiting.0).pop_front();
    }
    Ok(received)
}
