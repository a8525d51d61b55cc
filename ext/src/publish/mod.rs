//! `env.EVENTS`: publishes messages under topics. The host provides a [`Publish`] to each script that may publish, and
//! knows which script published what.

mod remote;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::{OpState, op2, v8};
use serde_json::Value;

use crate::bindings::{Binding, EnvValue, Installed, NewWorker, Parcel, ParcelFuture, WrittenBinding};
use crate::event::{Data, EventKey};
use crate::handlers::plain_data;
use crate::quotas::{QuotaError, Usage};
use crate::unwind;
use crate::values::Events;

pub(crate) use self::remote::RemotePublish;

/// Receives the messages of one script.
pub trait Publish: Send + Sync {
    /// Accepts a message immediately, or rejects it instead of waiting.
    ///
    /// # Errors
    /// The reason for the rejection, which the script sees.
    fn publish(&self, message: Outgoing) -> Result<(), Refused>;
}

/// A message published by a script.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outgoing {
    /// The topic.
    pub topic: String,
    /// The content.
    pub data: Data,
    /// The number of messages that led to this one: one more than for the message being handled, the same as for the
    /// task being run, 0 otherwise.
    pub depth: u32,
    /// The id of the message being handled, if any.
    pub cause: Option<u64>,
}

/// The reason for rejecting a message.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// A binding for publishing messages: `env.EVENTS.publish("orders.created", order)`.
#[derive(Clone)]
pub struct PublishBinding(pub Arc<dyn Publish>);

impl fmt::Debug for PublishBinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PublishBinding(…)")
    }
}

impl Binding for PublishBinding {
    fn kind(&self) -> &'static str {
        "events"
    }

    fn install(&self, name: &str, _worker: &NewWorker<'_>, state: &mut OpState) -> EnvValue<'_> {
        Installed::put(state, name, self.clone());
        EnvValue::made("ext:isopod_publish/publish.js", &Value::Null)
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Events)
    }

    fn serve(&self, _script: &str, request: Parcel, bytes_max: usize) -> ParcelFuture {
        Box::pin(std::future::ready(remote::serve(&*self.0, &request, bytes_max)))
    }
}

/// An error of `publish()`.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum PublishError {
    /// The worker has no binding of this name.
    #[class(type)]
    #[error("this worker has no events binding named '{0}'")]
    NoBinding(String),
    /// The value cannot be sent.
    #[class(type)]
    #[error("cannot publish the value: {0}")]
    Value(String),
    /// The value is too large.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The host rejected it.
    #[class(generic)]
    #[error(transparent)]
    Refused(#[from] Refused),
    /// The op has panicked.
    #[class(inherit)]
    #[error(transparent)]
    Panicked(#[from] unwind::Panicked),
}

/// `how`: 0 is a plain value or bytes, copied; 1 transferred bytes; 2 the output of `core.serialize`.
#[op2(fast, reentrant)]
fn op_isopod_publish<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[string] binding: String,
    #[string] topic: String,
    value: v8::Local<'s, v8::Value>,
    #[smi] how: u32,
    #[smi] event: EventKey,
) -> Result<(), PublishError> {
    // Reading a value may run getters, which may call ops: no borrow is held.
    let data = match plain_data(scope, value, how != 0).map_err(PublishError::Value)? {
        Data::Bytes(bytes) if how == 2 => Data::Cloned(bytes),
        data => data,
    };
    Usage::of_isolate(scope).check_message(data.len())?;
    let (publisher, origin) = {
        let state = state.borrow();
        let publisher = Installed::<PublishBinding>::get(&state, &binding).cloned();
        let origin = state.borrow::<Rc<RefCell<Events>>>().borrow().origin(event);
        (publisher.ok_or(PublishError::NoBinding(binding))?, origin)
    };
    let message = Outgoing {
        topic,
        data,
        depth: origin.depth,
        cause: origin.message,
    };
    unwind::catch(|| publisher.0.publish(message))??;
    Ok(())
}

deno_core::extension!(
    isopod_publish,
    deps = [deno_webidl, deno_web, isopod_handlers],
    ops = [op_isopod_publish],
    lazy_loaded_js = [dir "src/publish", "publish.js"],
);
