//! The script functions that a worker has lent to its host, and calls of them.
//!
//! When a [`Callback`](super::Callback) is read as part of a script's value, the function is recorded
//! ([`reading::take`]). After the value has been read, each function gets a number and belongs to the event whose code is
//! running ([`lend_taken`]). The runtime polls for calls ([`Callbacks::poll_due`]) and enters the script for them.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};

use deno_core::{JsRuntime, OpState, ResourceId, op2, serde_v8, v8};
use serde::de::Error as _;
use tokio::sync::mpsc;

use super::callback::{Callback, reading};
use super::lease::{Call, Lease, Lender};
use crate::context::current_event;
use crate::event::{CodeFrames, EventKey, Fault, FaultKind};
use crate::quotas::{QuotaError, Usage};
use crate::unwind;
use crate::values::{Answer, Arguments, Events, Outgoing, ReadFunctions, StreamError, events, js_error, stay};

/// Calls that may wait for the worker's thread; one more waits in its caller.
const CALLS_WAITING_MAX: usize = 64;

/// Concurrent calls whose promises have not settled; further ones wait.
const CALLS_RUNNING_MAX: usize = 1024;

/// Called for every value that is read.
pub(super) const READ: ReadFunctions = ReadFunctions {
    begin: reading::begin,
    encode: reading::encode,
    forget: || drop(reading::end()),
    lend: lend_taken,
};

/// Assigns the functions that were read to the event whose code is running.
fn lend_taken(scope: &mut v8::PinScope<'_, '_>) -> Result<(), serde_v8::Error> {
    let taken = reading::end();
    if taken.is_empty() {
        return Ok(());
    }
    let event = current_event(scope);
    let state = JsRuntime::op_state_from(scope);
    let mut state = state
        .try_borrow_mut()
        .map_err(|_| serde_v8::Error::custom("a function cannot be passed from here"))?;
    let (usage, events) = (Usage::of(&state), state.try_borrow::<Rc<RefCell<Events>>>().cloned());
    let Some(callbacks) = state.try_borrow_mut::<Callbacks>() else {
        return Err(serde_v8::Error::custom("this worker cannot pass functions"));
    };
    let mut events = events.as_ref().map(|events| events.borrow_mut());
    let lent = events
        .as_mut()
        .and_then(|events| events.lent(event))
        .ok_or_else(|| serde_v8::Error::custom("a function can only be passed while an event is being handled"))?;
    for (value, lease) in taken {
        let function = v8::Local::<v8::Function>::try_from(v8::Local::new(scope, value))
            .map_err(|_| serde_v8::Error::custom("expected a function"))?;
        if callbacks.functions.len() >= usage.quotas.handles {
            return Err(serde_v8::Error::custom(QuotaError::Handles(usage.quotas.handles)));
        }
        // Values dropped while the rest was read lend nothing.
        if let Some(lease) = lease.upgrade() {
            let number = callbacks.add(event, v8::Global::new(scope, function), &lease, false);
            lent.callbacks.push(number);
        }
    }
    Ok(())
}

/// The reason why a function cannot be lent.
#[derive(Debug)]
pub(crate) enum LendError {
    /// The code that passes it belongs to no open event.
    NoEvent,
    /// The event has lent as many as it may.
    Quota(QuotaError),
}

/// Lends a function to the host as part of an event. Once the host has dropped it, it is called without arguments.
pub(crate) fn lend(
    state: &mut OpState,
    event: EventKey,
    function: v8::Global<v8::Function>,
) -> Result<Callback, LendError> {
    let (usage, events) = (Usage::of(state), events(state));
    let callbacks = state.try_borrow_mut::<Callbacks>().ok_or(LendError::NoEvent)?;
    let mut events = events.borrow_mut();
    let lent = events.lent(event).ok_or(LendError::NoEvent)?;
    if lent.callbacks.len() >= usage.quotas.rpc_stubs {
        return Err(LendError::Quota(QuotaError::RpcStubs(usage.quotas.rpc_stubs)));
    }
    let lease = Arc::new(Lease::default());
    let number = callbacks.add(event, function, &lease, true);
    lent.callbacks.push(number);
    Ok(Callback::new(lease))
}

struct Function {
    event: EventKey,
    function: v8::Global<v8::Function>,
    lease: Weak<Lease>,
    /// It is called when the host has dropped it.
    is_told: bool,
}

struct Running {
    number: u32,
    reply: Box<dyn Answer>,
}

/// A worker's table of lent functions. See the module's documentation.
pub struct Callbacks {
    last: u32,
    functions: HashMap<u32, Function>,
    running: HashMap<u32, Running>,
    /// Functions that have to be notified that the host has dropped them.
    untold: VecDeque<Due>,
    sender: mpsc::Sender<Call>,
    receiver: mpsc::Receiver<Call>,
    lender: Arc<Lender>,
}

impl Default for Callbacks {
    fn default() -> Self {
        let (sender, receiver) = mpsc::channel(CALLS_WAITING_MAX);
        Self {
            last: 0,
            functions: HashMap::new(),
            running: HashMap::new(),
            untold: VecDeque::new(),
            sender,
            receiver,
            lender: Arc::default(),
        }
    }
}

/// A call for which the script has to be entered.
pub struct Due {
    /// The event that passed the function.
    pub event: EventKey,
    /// The number of the call, which identifies it at its end; 0 if nothing waits for it.
    pub call: u32,
    /// The function.
    pub function: v8::Global<v8::Function>,
    /// The arguments.
    pub arguments: Arguments,
}

impl Callbacks {
    fn next_number(&mut self) -> u32 {
        self.last = self.last.wrapping_add(1);
        self.last
    }

    fn add(&mut self, event: EventKey, function: v8::Global<v8::Function>, lease: &Arc<Lease>, is_told: bool) -> u32 {
        let number = self.next_number();
        lease.lend(number, self.sender.clone(), Arc::clone(&self.lender));
        let function = Function {
            event,
            function,
            lease: Arc::downgrade(lease),
            is_told,
        };
        self.functions.insert(number, function);
        number
    }

    /// The next call. Wakes the task when there is one, or when functions were released.
    pub fn poll_due(&mut self, cx: &mut Context<'_>) -> Poll<Due> {
        self.lender.waker.register(cx.waker());
        if let Some(due) = self.untold.pop_front() {
            return Poll::Ready(due);
        }
        while self.running.len() < CALLS_RUNNING_MAX
            && let Poll::Ready(Some(Call {
                number,
                arguments,
                reply,
            })) = self.receiver.poll_recv(cx)
        {
            let Some(Function { event, function, .. }) = self.functions.get(&number) else {
                reply.fail(ended());
                continue;
            };
            let (event, function) = (*event, function.clone());
            let call = self.next_number();
            self.running.insert(call, Running { number, reply });
            return Poll::Ready(Due {
                event,
                call,
                function,
                arguments,
            });
        }
        Poll::Pending
    }

    /// Returns true if calls are waiting for a running one to end.
    pub fn is_full(&self) -> bool {
        self.running.len() >= CALLS_RUNNING_MAX
    }

    /// Reports a failure to a call's caller.
    pub fn fail(&mut self, call: u32, fault: Fault) {
        if let Some(Running { reply, .. }) = self.running.remove(&call) {
            reply.fail(fault);
        }
    }

    /// Removes the functions that the host has dropped. Returns each with the event that passed it.
    pub(super) fn take_dropped(&mut self) -> Vec<(u32, EventKey)> {
        if !self.lender.released.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        let dropped = |(number, function): (&u32, &Function)| {
            (function.lease.strong_count() == 0).then_some((*number, function.event))
        };
        let dropped: Vec<(u32, EventKey)> = self.functions.iter().filter_map(dropped).collect();
        for (number, event) in &dropped {
            let function = self.functions.get(number).filter(|function| function.is_told);
            if let Some(Function { function, .. }) = function {
                let (event, function) = (*event, function.clone());
                self.untold.push_back(Due {
                    event,
                    call: 0,
                    function,
                    arguments: Arguments::new(),
                });
            }
            self.remove(*number);
        }
        dropped
    }

    /// Returns true if functions have to be notified that the host has dropped them.
    pub fn has_untold(&self) -> bool {
        !self.untold.is_empty()
    }

    /// Removes a function; its running calls lose their callers.
    pub(crate) fn remove(&mut self, number: u32) {
        self.functions.remove(&number);
        let over: Vec<u32> = self
            .running
            .iter()
            .filter(|(_, run)| run.number == number)
            .map(|(call, _)| *call)
            .collect();
        over.into_iter().for_each(|call| self.fail(call, ended()));
    }
}

fn ended() -> Fault {
    Fault::new(FaultKind::Canceled, "the event that passed this function has ended")
}

/// Returns a call's result to its caller.
#[op2(fast, reentrant)]
pub(super) fn op_isopod_callback_give<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] call: u32,
    value: v8::Local<'s, v8::Value>,
) {
    // Reading a value may run getters, which may call ops: no borrow is held.
    let running = state.borrow_mut().borrow_mut::<Callbacks>().running.remove(&call);
    if let Some(Running { reply, .. }) = running {
        // The caller has received errors in the value.
        drop(unwind::catch(|| reply.give(scope, value)));
    }
}

/// Returns a stream to a call's caller, and waits until it has been read.
#[op2]
pub(super) fn op_isopod_callback_give_stream(
    state: Rc<RefCell<OpState>>,
    #[smi] call: u32,
    #[smi] rid: ResourceId,
) -> impl Future<Output = Result<bool, StreamError>> + use<> {
    let begun = {
        let mut state = state.borrow_mut();
        let running = state.borrow_mut::<Callbacks>().running.remove(&call);
        state
            .resource_table
            .get_any(rid)
            .map_err(StreamError::from)
            .and_then(|resource| {
                let (outgoing, body) = Outgoing::new(resource);
                let Running { number, reply } = running.ok_or(StreamError::Ended)?;
                let function = state.borrow::<Callbacks>().functions.get(&number);
                if let Some(event) = function.map(|function| function.event)
                    && let Some(lent) = state.borrow::<Rc<RefCell<Events>>>().borrow_mut().lent(event)
                {
                    lent.under_way.add(outgoing.tail());
                }
                reply
                    .stream(body)
                    .map_err(|error| StreamError::Value(error.to_string()))?;
                Ok(outgoing)
            })
    };
    stay(state, rid, None, begun)
}

/// Returns a call's exception to its caller.
#[op2(fast, reentrant)]
pub(super) fn op_isopod_callback_fail<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] call: u32,
    error: v8::Local<'s, v8::Value>,
) {
    let error = js_error(scope, error);
    let mut state = state.borrow_mut();
    let fault = Fault::from_js(FaultKind::Exception, &error, state.try_borrow::<CodeFrames>());
    state.borrow_mut::<Callbacks>().fail(call, fault);
}
