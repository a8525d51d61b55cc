//! Rust functions that scripts call, as methods of a binding (`await env.SHOP.price("tea")`) or as arguments of a call;
//! and script functions that Rust calls, as [`Callback`]s.
//!
//! The runtime places [`Natives`] in the worker's `OpState`. A function's future runs on the thread's I/O runtime;
//! values are converted on the worker's thread.

mod callback;
mod lease;
mod lending;
mod remote;
mod take_back;

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::rc::Rc;

use deno_core::{CancelFuture, CancelHandle, OpState, ResourceId, ToV8, op2, serde_v8, v8};
use deno_error::JsErrorBox;
use serde_json::json;

pub use self::callback::{Callback, CallbackError};
pub(crate) use self::callback::{WithFunctions, passing};
pub use self::lending::{Callbacks, Due};
pub(crate) use self::lending::{LendError, lend};
pub(crate) use self::remote::{
    binding as remote_binding, borrowed, function as remote_function, lent, serve as serve_remote,
};
pub(crate) use self::take_back::finish;
pub use self::take_back::{lend_stream, release_dropped, take_back};
use crate::bindings::{Binding, EnvValue, NewWorker, Parcel, ParcelFuture, WrittenBinding};
use crate::event::{Body, EventEnded, EventKey};
use crate::io::Io;
use crate::ledger::MemoryLedger;
use crate::quotas::Usage;
use crate::unwind;
use crate::values::{Events, Outgoing, RequestBody, ToScript};

pub use crate::values::{IntoResult, NativeError, NativeFunction, NativeResult};

/// A binding whose methods are Rust functions, by name: `await env.SHOP.price("tea")`.
pub type NativeBinding = BTreeMap<String, NativeFunction>;

impl Binding for NativeBinding {
    fn kind(&self) -> &'static str {
        "native"
    }

    fn install(&self, _name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        let natives = state.borrow_mut::<Natives>();
        let methods = self
            .iter()
            .map(|(method, function)| (method, natives.add(function.clone())));
        EnvValue::made("ext:isopod_native/native.js", &json!(methods.collect::<Vec<_>>()))
    }

    fn written(&self) -> Option<WrittenBinding> {
        let methods = self.keys().cloned().collect();
        Some(WrittenBinding::Native { methods })
    }

    fn serve(&self, _script: &str, request: Parcel, bytes_max: usize) -> ParcelFuture {
        serve_remote(|method| self.get(method?), request, bytes_max)
    }
}

/// The functions that a worker's script can call, by number.
#[derive(Default)]
pub struct Natives {
    last: u32,
    functions: HashMap<u32, NativeFunction>,
}

impl Natives {
    /// Adds a function, and returns its number.
    pub fn add(&mut self, function: NativeFunction) -> u32 {
        self.last += 1;
        self.functions.insert(self.last, function);
        self.last
    }

    /// Removes a function; calling it is then an error for the script.
    pub fn remove(&mut self, number: u32) {
        self.functions.remove(&number);
    }
}

/// The result of a call, on its way to the script: `[value]`, `[, stream]` or `[, , error]`.
enum CallResult {
    Value(Box<dyn ToScript>),
    Stream(ResourceId),
    Error(NativeError),
}

impl<'a> ToV8<'a> for CallResult {
    type Error = JsErrorBox;

    fn to_v8<'i>(self, scope: &mut v8::PinScope<'a, 'i>) -> Result<v8::Local<'a, v8::Value>, JsErrorBox> {
        let undefined: v8::Local<'a, v8::Value> = v8::undefined(scope).into();
        let list = match self {
            Self::Value(mut value) => {
                let overdraft = MemoryLedger::overdraw_for(scope);
                let value = unwind::catch(|| value.to_script(scope));
                drop(overdraft);
                let value = value.unwrap_or_else(|panic| Err(panic.into()));
                vec![value.map_err(|error| JsErrorBox::type_error(error.to_string()))?]
            }
            Self::Stream(rid) => vec![undefined, v8::Integer::new_from_unsigned(scope, rid).into()],
            Self::Error(error) => vec![undefined, undefined, error_value(scope, &error)?],
        };
        Ok(v8::Array::new_with_elements(scope, &list).into())
    }
}

/// `[class, message, cause]`
fn error_value<'a>(
    scope: &mut v8::PinScope<'a, '_>,
    error: &NativeError,
) -> Result<v8::Local<'a, v8::Value>, JsErrorBox> {
    let mut chain = Vec::new();
    let mut next = Some(error);
    while let Some(error) = next {
        chain.push((&error.class, &error.message));
        next = error.cause.as_deref();
    }
    serde_v8::to_v8(scope, chain).map_err(|error| JsErrorBox::type_error(error.to_string()))
}

/// Starts a call immediately; `native.js` unpacks its result.
#[op2(async(lazy), reentrant)]
fn op_isopod_native<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[smi] number: u32,
    arguments: v8::Local<'s, v8::Value>,
    #[serde] streams: Vec<ResourceId>,
    #[smi] event: EventKey,
) -> impl Future<Output = Result<CallResult, JsErrorBox>> + use<> {
    let slot = Usage::of(&state.borrow()).begin_op();
    let started = slot
        .map_err(JsErrorBox::from_err)
        .and_then(|slot| Ok((start(&state, scope, number, arguments, &streams, event)?, slot)));
    let ended = CancelHandle::new_rc();
    if let Some(lent) = state.borrow().borrow::<Rc<RefCell<Events>>>().borrow_mut().lent(event) {
        lent.under_way.add(&ended);
    }
    async move {
        // Dropped with the event: the result is no longer awaited.
        let (running, _slot) = started?;
        let came = running.or_cancel(&ended).await;
        match came.map_err(|_| EventEnded)? {
            Ok(Ok(NativeResult::Value(value))) => Ok(CallResult::Value(value)),
            Ok(Ok(NativeResult::Stream(body))) => {
                let rid = state.borrow_mut().resource_table.add(RequestBody::new(body));
                Ok(CallResult::Stream(rid))
            }
            Ok(Err(error)) => Ok(CallResult::Error(error)),
            Err(error) => Err(JsErrorBox::generic(error.to_string())),
        }
    }
}

type Started = std::pin::Pin<Box<dyn Future<Output = Result<Result<NativeResult, NativeError>, crate::io::IoError>>>>;

fn start<'s>(
    state: &RefCell<OpState>,
    scope: &mut v8::PinScope<'s, '_>,
    number: u32,
    arguments: v8::Local<'s, v8::Value>,
    streams: &[ResourceId],
    event: EventKey,
) -> Result<Started, JsErrorBox> {
    let (function, io) = {
        let state = state.borrow();
        let function = state.borrow::<Natives>().functions.get(&number).cloned();
        (function, state.borrow::<Rc<Io>>().clone())
    };
    let function =
        function.ok_or_else(|| JsErrorBox::type_error("this function was only valid for one call, which has ended"))?;
    let bodies = streams
        .iter()
        .map(|rid| taken_stream(state, *rid, event))
        .collect::<Result<Vec<_>, _>>()?;
    // Arguments are read before the call is spawned, without a borrow: their getters may call ops.
    let running = unwind::catch(|| function.call(scope, arguments, bodies))
        .unwrap_or_else(|panic| Err(panic.into()))
        .map_err(|error| JsErrorBox::type_error(error.to_string()))?;
    Ok(Box::pin(io.bound(()).run(move |()| running)))
}

/// A script's stream as a body, whose bytes a task of the worker moves.
fn taken_stream(state: &RefCell<OpState>, rid: ResourceId, event: EventKey) -> Result<Body, JsErrorBox> {
    let resource = state
        .borrow_mut()
        .resource_table
        .take_any(rid)
        .map_err(JsErrorBox::from_err)?;
    let (outgoing, body) = Outgoing::new(resource);
    if let Some(lent) = state.borrow().borrow::<Rc<RefCell<Events>>>().borrow_mut().lent(event) {
        lent.under_way.add(outgoing.tail());
    }
    outgoing.spawn(&Usage::of(&state.borrow()));
    Ok(body)
}

deno_core::extension!(
    isopod_native,
    deps = [deno_webidl, deno_web, isopod_handlers],
    ops = [
        op_isopod_native,
        lending::op_isopod_callback_give,
        lending::op_isopod_callback_give_stream,
        lending::op_isopod_callback_fail,
    ],
    lazy_loaded_js = [dir "src/native", "native.js"],
    state = |state| state.put(lending::READ),
);
