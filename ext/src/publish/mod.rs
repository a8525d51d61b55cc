//! `env.EVENTS`: publishing messages under topics. Where they go is the host's: it hands a [`Publish`] to each script that
//! may publish, and sees who published what.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::{OpState, op2, v8};
use serde_json::Value;

use crate::bindings::{Binding, EnvValue, Installed, NewWorker};
use crate::event::{Data, EventKey};
use crate::handlers::plain_data;
use crate::quotas::{QuotaError, Usage};
use crate::unwind;
use crate::values::Events;

/// Takes the messages of one script.
pub trait Publish: Send + Sync {
    /// Takes a message, at once: what must wait has to be refused.
    ///
    /// # Errors
    /// Why it was not taken; the script sees the text.
    fn publish(&self, message: Outgoing) -> Result<(), Refused>;
}

/// A message that a script published.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outgoing {
    /// Under what.
    pub topic: String,
    /// What it carries.
    pub data: Data,
    /// How many messages led to it: one more than to the one that was being handled, as many as to the task that was
    /// being done, 0 otherwise.
    pub depth: u32,
    /// The id of the message that was being handled, if one was.
    pub cause: Option<u64>,
}

/// Why a message was not taken.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{0}")]
pub struct Refused(pub String);

/// A binding to publish messages by: `env.EVENTS.publish("orders.created", order)`.
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
}

/// Why `publish()` failed.
#[derive(Debug, thiserror::Error, deno_error::JsError)]
#[non_exhaustive]
pub enum PublishError {
    /// The worker has no binding of this name.
    #[class(type)]
    #[error("this worker has no events binding named '{0}'")]
    NoBinding(String),
    /// Not a value that can be sent.
    #[class(type)]
    #[error("cannot publish the value: {0}")]
    Value(String),
    /// It is too large.
    #[class(inherit)]
    #[error(transparent)]
    Quota(#[from] QuotaError),
    /// The host did not take it.
    #[class(generic)]
    #[error(transparent)]
    Refused(#[from] Refused),
    /// A fault of ours.
    #[class(generic)]
    #[error("{0}")]
    Internal(String),
}

impl From<unwind::Panicked> for PublishError {
    fn from(panicked: unwind::Panicked) -> Self {
        Self::Internal(panicked.to_string())
    }
}

/// `how`: 0 a plain value or bytes, copied; 1 bytes, handed over; 2 what `core.serialize` wrote.
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
    // Reading a value may run its getters, and those may call ops: no borrow is held meanwhile.
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
