//! Tasks, for their handlers.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio_util::sync::CancellationToken;

use crate::buffer::{Buffer, Memory};
use crate::error::{BoxError, Error};
use crate::link::{Link, Outgoing};
use crate::payload::Payload;
use crate::protocol::{Cause, ITEM_COST, Parts, RESULT_NAME_BYTES_MAX, ResultRef, TaskError, ToHost};
use crate::window::Window;

/// A running task. Clones are handles to the same task.
///
/// If the task is canceled and its handler has not ended a second after [`TaskContext::token`] fired, the handler's future
/// is dropped.
#[derive(Clone)]
pub struct TaskContext {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    window: Arc<Window>,
    token: CancellationToken,
    request: TaskRequest,
    until: Instant,
}

/// The host's request for a task.
pub(crate) struct TaskRequest {
    pub(crate) id: u64,
    pub(crate) name: String,
    pub(crate) config: BTreeMap<String, String>,
    pub(crate) depth: u32,
    pub(crate) attempt: u32,
    pub(crate) payload: Payload,
}

impl TaskContext {
    pub(crate) fn new(
        link: Arc<Link>,
        window: Arc<Window>,
        token: CancellationToken,
        request: TaskRequest,
        until: Instant,
    ) -> Self {
        Self {
            inner: Arc::new(Inner {
                link,
                window,
                token,
                request,
                until,
            }),
        }
    }

    /// Returns the task's number, unique on the host's bus.
    #[must_use]
    pub fn id(&self) -> u64 {
        self.inner.request.id
    }

    /// Returns the task's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.request.name
    }

    /// Returns a setting of this run.
    #[must_use]
    pub fn config(&self, name: &str) -> Option<&str> {
        self.inner.request.config.get(name).map(String::as_str)
    }

    /// Returns the number of messages that led to the task.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.inner.request.depth
    }

    /// Returns the number of earlier attempts, whose processes were lost.
    #[must_use]
    pub fn attempt(&self) -> u32 {
        self.inner.request.attempt
    }

    /// Returns the payload.
    #[must_use]
    pub fn payload(&self) -> &Payload {
        &self.inner.request.payload
    }

    /// Returns the time until the host cancels the task.
    #[must_use]
    pub fn time_left(&self) -> Duration {
        self.inner.until.saturating_duration_since(Instant::now())
    }

    /// Returns the token that fires when the task's caller leaves, its time is over, or the host is gone.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        &self.inner.token
    }

    /// Reports progress. Waits while the window is full of unread items.
    ///
    /// # Errors
    /// The value cannot be converted to JSON or exceeds a frame, the task was canceled, or the host is gone.
    pub async fn progress(&self, value: &(impl Serialize + ?Sized + Sync)) -> Result<(), Error> {
        let task = self.id();
        self.item(&ToHost::Progress { task }, Payload::json(value)?).await
    }

    /// Emits a serde value as a result in JSON. [`TaskContext::emit_payload`] emits bytes. Waits while the window is full of
    /// unread items.
    ///
    /// # Errors
    /// As [`TaskContext::progress`], or the name is empty or longer than 255 bytes.
    pub async fn emit(&self, name: &str, value: impl Serialize + Send) -> Result<(), Error> {
        let payload = Payload::json(&value)?;
        self.emit_payload(name, payload).await
    }

    /// Emits a payload as a result.
    ///
    /// # Errors
    /// As [`TaskContext::emit`].
    pub async fn emit_payload(&self, name: &str, payload: impl Into<Payload> + Send) -> Result<(), Error> {
        let message = self.result_named(name)?;
        self.item(&message, payload.into()).await
    }

    /// Creates a buffer of this length, filled with zeros, for [`TaskContext::emit_buffer`]. It is in the memory that the module
    /// shares with its host, if possible. Waits while all of that memory is used for results that the host has not received.
    pub async fn buffer(&self, length: usize) -> Buffer {
        self.inner.link.buffer(length).await
    }

    /// Emits the bytes of a buffer as a result. They are not copied if the buffer [is in shared memory](Buffer::is_shared).
    ///
    /// # Errors
    /// As [`TaskContext::emit`].
    ///
    /// ```
    /// # use isopod_module::{Error, TaskContext};
    /// async fn unpack(ctx: TaskContext) -> Result<(), Error> {
    ///     let mut image = ctx.buffer(8 << 20).await;
    ///     image[..4].copy_from_slice(b"\x7fELF");
    ///     ctx.emit_buffer("image", image).await
    /// }
    /// # drop(unpack);
    /// ```
    pub async fn emit_buffer(&self, name: &str, buffer: Buffer) -> Result<(), Error> {
        let message = self.result_named(name)?;
        let loan = match buffer.into_memory() {
            Memory::Own(bytes) => return self.item(&message, bytes.into()).await,
            Memory::Shared(loan) => loan,
        };
        let parts = Parts::without_body(&message, loan.len(), &self.inner.link.limits())?;
        let (link, bytes, loan) = (&self.inner.link, parts.body_bytes(), Some(loan));
        self.in_window(bytes, async { link.send_outgoing(Outgoing { parts, loan }).await })
            .await
    }

    /// Publishes a message on the host's bus, one level deeper than the task.
    ///
    /// # Errors
    /// The host refuses it: the module may not publish under this topic, it exceeds a limit of the bus, or there is a cycle.
    pub async fn publish(&self, topic: &str, payload: impl Into<Payload> + Send) -> Result<(), Error> {
        let payload = payload.into();
        let cause = Some(Cause::Task(self.id()));
        self.inner.link.publish(topic, &payload, cause).await
    }

    /// Returns the result for which a chained task runs.
    ///
    /// # Errors
    /// The payload is not a reference.
    pub fn result(&self) -> Result<ResultRef, Error> {
        self.payload().read().map_err(|_| Error::NoResult)
    }

    /// Reads a result of another module or worker.
    ///
    /// # Errors
    /// It has expired or never existed.
    pub async fn read(&self, result: &ResultRef) -> Result<Payload, Error> {
        self.inner.link.read(result).await
    }

    fn result_named(&self, name: &str) -> Result<ToHost, Error> {
        if name.is_empty() || name.len() > RESULT_NAME_BYTES_MAX {
            return Err(Error::Name(name.len()));
        }
        let (task, name) = (self.id(), name.to_owned());
        Ok(ToHost::Result { task, name })
    }

    async fn item(&self, message: &ToHost, body: Payload) -> Result<(), Error> {
        let link = &self.inner.link;
        let parts = link.parts(message, &body)?;
        self.in_window(parts.body_bytes(), link.send_parts(parts)).await
    }

    /// Sends an item with a body of this many bytes when the window has room, unless the task is canceled before.
    async fn in_window(&self, body_bytes: u32, send: impl Future<Output = Result<(), Error>>) -> Result<(), Error> {
        let inner = &*self.inner;
        let sent = async {
            inner.window.take(u64::from(body_bytes) + ITEM_COST).await;
            send.await
        };
        inner
            .token
            .run_until_cancelled(sent)
            .await
            .unwrap_or(Err(Error::Canceled))
    }
}

impl fmt::Debug for TaskContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TaskContext")
            .field("id", &self.id())
            .field("name", &self.name())
            .finish_non_exhaustive()
    }
}

/// A task's handler.
pub(crate) type Handler = Arc<dyn Fn(TaskContext) -> BoxFuture<'static, Result<Payload, TaskError>> + Send + Sync>;

/// Creates a handler from a function. A payload that cannot be decoded becomes the task's error.
pub(crate) fn handler<F, Fut, P, R, E>(function: F) -> Handler
where
    F: Fn(TaskContext, P) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R, E>> + Send + 'static,
    P: DeserializeOwned + Send + 'static,
    R: Serialize,
    E: Into<BoxError>,
{
    Arc::new(move |ctx: TaskContext| {
        let began = match ctx.payload().read::<P>() {
            Ok(payload) => Ok(function(ctx, payload)),
            Err(error) => Err(task_error(format!("the request cannot be decoded: {error}"))),
        };
        Box::pin(async move {
            let value = began?.await.map_err(|error| failed(&*error.into()))?;
            Payload::json(&value).map_err(|error| task_error(format!("the returned value has no JSON: {error}")))
        })
    })
}

/// Creates a handler from a function on payloads.
pub(crate) fn payload_handler<F, Fut, E>(function: F) -> Handler
where
    F: Fn(TaskContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Payload, E>> + Send + 'static,
    E: Into<BoxError>,
{
    Arc::new(move |ctx| {
        let ended = function(ctx);
        Box::pin(async move { ended.await.map_err(|error| failed(&*error.into())) })
    })
}

/// Runs a handler to its end. A panic becomes the task's error.
pub(crate) async fn run(handler: Handler, ctx: TaskContext) -> Result<Payload, TaskError> {
    // The call is inside, because the function may panic before its future exists.
    let ended = AssertUnwindSafe(async move { handler(ctx).await }).catch_unwind().await;
    ended.unwrap_or_else(|panic| Err(task_error(format!("the task panicked: {}", panic_message(&*panic)))))
}

pub(crate) fn task_error(message: String) -> TaskError {
    TaskError { message, detail: None }
}

/// Converts an error, with the messages of its sources as detail.
fn failed(error: &(dyn std::error::Error + Send + Sync)) -> TaskError {
    let sources = std::iter::successors(error.source(), |error| error.source());
    let detail: Vec<_> = sources.map(ToString::to_string).collect();
    TaskError {
        message: error.to_string(),
        detail: (!detail.is_empty()).then(|| detail.join("\n")),
    }
}

pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("with a payload that is not text")
}
