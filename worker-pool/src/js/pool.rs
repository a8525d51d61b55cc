//! The pool of JavaScript workers as an embedder sees it.

use std::sync::Arc;
use std::time::Duration;

use futures::channel::oneshot;
use isopod_runtime::handlers::{
    Body, CronTrigger, Event, EventKind, Fault, HandlerInput, Message, QueueBatch, Reply, Task,
};
use isopod_runtime::values::{Answer, FromScript, IntoArguments, answer};
use isopod_runtime::{Script, WorkerThread};
use serde::de::IgnoredAny;
use serde_json::Value;

use super::answer::wait;
use super::body::hold;
use super::engine::JsEngine;
use super::task::{TaskRequest, TaskStream};
use crate::{
    DeployError, Deployment, Failure, Meta, NativeTask, Options, PoolStats, ShutdownReport, Ticket, Unhealthy,
};

/// A pool of worker threads that run JavaScript.
///
/// ```
/// # mod isopod { pub use isopod_pool::{Options, js::{Pool, Script}}; }
/// use isopod::{Options, Pool, Script};
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pool = Pool::builder().threads(1).build()?;
/// let script = Script::builder("sum").source("export const add = (a, b) => a + b;").build()?;
/// pool.deploy("sum", script, &Options::default())?;
/// let sum: i32 = futures::executor::block_on(pool.call("sum", "add", (1, 2)))?;
/// assert_eq!(sum, 3);
/// # Ok(())
/// # }
/// ```
///
/// A script's name may say which of its entry points is meant: `"shop#Admin"` is the class or object that the script
/// `shop` exports as `Admin`; without, it is the default export.
///
/// It is made, used and dropped on any thread, inside and outside any runtime, any number of times in a process; its
/// futures run on any executor. Cloning it makes another handle of the same pool. Dropping the last handle returns at
/// once: what was accepted is finished, nothing is accepted any more, and the threads end by themselves.
#[derive(Clone, Debug)]
pub struct Pool {
    pub(super) core: crate::Pool<JsEngine>,
}

impl Pool {
    /// Makes a script answer to a name; replaces what had the name, without dropping an event of it. Does not wait for
    /// its start: see [`Pool::warm`].
    ///
    /// # Errors
    /// The pool is shutting down.
    pub fn deploy(
        &self,
        name: impl Into<Arc<str>>,
        script: impl Into<Arc<Script>>,
        options: &Options,
    ) -> Result<Deployment, DeployError> {
        self.core.deploy(name, script.into(), options)
    }

    /// Takes a script away: new events are refused, accepted ones finished. `false` if there was none.
    pub fn undeploy(&self, name: &str) -> bool {
        self.core.undeploy(name)
    }

    /// Waits until the script has a worker that is ready.
    ///
    /// # Errors
    /// Why its worker cannot be started, with the file, line and code frame in [`Failure::detail`].
    pub async fn warm(&self, name: &str) -> Result<(), Failure> {
        self.core.warm(name).await
    }

    /// [`Pool::warm`] for code that is not async. Blocks the thread it is called on.
    ///
    /// # Errors
    /// As [`Pool::warm`].
    pub fn warm_blocking(&self, name: &str) -> Result<(), Failure> {
        self.core.warm_blocking(name)
    }

    /// [`Pool::call`] for code that is not async. Blocks the thread it is called on.
    ///
    /// # Errors
    /// As [`Pool::call`].
    pub fn call_blocking<A, R>(&self, name: &str, function: &str, arguments: A) -> Result<R, Failure>
    where
        A: IntoArguments,
        R: FromScript,
    {
        let (reply, answer) = answer::<R>();
        let call = EventKind::Call {
            function: function.to_owned(),
            arguments: arguments.into_arguments(),
            reply,
        };
        let ticket = self.begin(name, Meta::default(), call)?;
        let (value, ticket) = pollster::block_on(wait(answer, ticket))?;
        ticket.detach();
        Ok(value)
    }

    /// Has a script answer an HTTP request. The request's URI must be absolute; scripts see it as `request.url`.
    ///
    /// Dropping the future, or the response's body before its end, is a client that leaves: the request's `signal` fires,
    /// and the event ends as `canceled`.
    ///
    /// # Errors
    /// How the event ended, where that was not with a response.
    pub async fn fetch(
        &self,
        name: &str,
        request: http::Request<Body>,
        meta: Meta,
    ) -> Result<http::Response<Body>, Failure> {
        let request = Box::new(request);
        let (response, ticket) = self
            .ask(name, meta, |reply| EventKind::Fetch { request, reply })
            .await?;
        Ok(response.map(|body| hold(body, ticket)))
    }

    /// Calls a function that a script exports, or a method of its default export, with values; gives the value it
    /// returns. Arguments are a tuple, a slice or a vector, `(1, "two")`, or [`Arguments`](super::values::Arguments) where
    /// streams and functions are among them. A function that returns a `ReadableStream` gives a [`Body`].
    ///
    /// Values cross without JSON in between: see [`super::values`]. Dropping the future cancels the call.
    ///
    /// # Errors
    /// How the event ended; `exception` also where a value cannot be converted. The error that the script threw is the
    /// failure's source: [`Thrown`](super::values::Thrown).
    pub async fn call<A, R>(&self, name: &str, function: &str, arguments: A) -> Result<R, Failure>
    where
        A: IntoArguments,
        R: FromScript,
    {
        self.call_with(name, function, arguments, Meta::default()).await
    }

    /// [`Pool::call`] under a deadline of its own.
    ///
    /// # Errors
    /// As [`Pool::call`].
    pub async fn call_with<A, R>(&self, name: &str, function: &str, arguments: A, meta: Meta) -> Result<R, Failure>
    where
        A: IntoArguments,
        R: FromScript,
    {
        let function = function.to_owned();
        let arguments = arguments.into_arguments();
        let call = |reply| EventKind::Call {
            function,
            arguments,
            reply,
        };
        let (value, ticket) = self.give(name, meta, call).await?;
        ticket.detach();
        Ok(value)
    }

    /// Has a script's `task` handler do a task: `task({ id, payload, config }, env, ctx)`. What `ctx.progress()` and
    /// `ctx.emit()` tell comes while it runs, then the value that the handler returns. Dropping the stream cancels it.
    ///
    /// ```no_run
    /// # mod isopod { pub use isopod_pool::js::{TaskItem, TaskRequest}; }
    /// # async fn example(pool: isopod_pool::js::Pool) -> Result<(), isopod_pool::Failure> {
    /// use futures::StreamExt;
    /// use isopod::{TaskItem, TaskRequest};
    ///
    /// let mut task = pool.task::<String>("resize", TaskRequest::new(("photo.png", 640)).config("format", "webp"))?;
    /// while let Some(item) = task.next().await {
    ///     match item {
    ///         TaskItem::Progress(done) => println!("{done}"),
    ///         TaskItem::Result { name, data } => println!("{name}: {} bytes", data.len()),
    ///         _ => {}
    ///     }
    /// }
    /// println!("{}", task.outcome().await?);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The pool did not accept it.
    pub fn task<R: FromScript>(&self, name: &str, request: TaskRequest) -> Result<TaskStream<R>, Failure> {
        let meta = request.meta;
        let (items, received) = tokio::sync::mpsc::channel(request.items_waiting_max);
        let (reply, answer) = answer::<R>();
        let task = Task {
            id: request.id,
            payload: request.payload,
            config: request.config,
            depth: request.depth,
            items,
        };
        let ticket = self.begin(name, meta, EventKind::handler(task, reply))?;
        Ok(TaskStream::new(received, answer, ticket))
    }

    /// Hands a message to a script's `message` handler, and waits until that is done with it.
    ///
    /// # Errors
    /// How the event ended, where not well.
    pub async fn message(&self, name: &str, message: Message) -> Result<(), Failure> {
        let IgnoredAny = self.handle(name, message, Meta::default()).await?;
        Ok(())
    }

    /// Runs a script's `scheduled` handler for a cron trigger that was due at this time, in milliseconds since the Unix
    /// epoch.
    ///
    /// # Errors
    /// How the event ended, where not well.
    pub async fn scheduled(&self, name: &str, cron: &str, scheduled_time_ms: f64) -> Result<(), Failure> {
        let trigger = CronTrigger {
            cron: cron.to_owned(),
            scheduled_time_ms,
        };
        let IgnoredAny = self.handle(name, trigger, Meta::default()).await?;
        Ok(())
    }

    /// Hands a batch of messages to a script's `queue` handler: `{ queue, messages: [{ id, timestamp, body, attempts }] }`.
    /// Gives what it decided: `{ ackAll, retryAll, acked, retried }`.
    ///
    /// # Errors
    /// How the event ended, where not well.
    pub async fn queue(&self, name: &str, batch: Value) -> Result<Value, Failure> {
        self.handle(name, QueueBatch(batch), Meta::default()).await
    }

    /// Calls a script's handler with any input: [`HandlerInput`] says how one is made. Gives the value that it answers with.
    ///
    /// # Errors
    /// How the event ended, where not well.
    pub async fn handle<I, R>(&self, name: &str, input: I, meta: Meta) -> Result<R, Failure>
    where
        I: HandlerInput,
        R: FromScript,
    {
        let (value, ticket) = self.give(name, meta, |reply| EventKind::handler(input, reply)).await?;
        ticket.detach();
        Ok(value)
    }

    /// Runs a Rust task on a worker thread, with what is the thread's own at hand: `task` makes a future there, which need
    /// not be `Send`, in a fresh `LocalSet`. See [`crate::Pool::native`].
    ///
    /// ```
    /// # mod isopod { pub use isopod_pool::{Meta, js::Pool}; }
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// use isopod::{Meta, Pool};
    ///
    /// let pool = Pool::builder().threads(1).build()?;
    /// let task = pool.native("name", Meta::default(), async |_thread| {
    ///     let local = std::rc::Rc::new(41);
    ///     tokio::task::yield_now().await;
    ///     *local + 1
    /// });
    /// assert_eq!(task.wait()?, 42);
    /// # Ok(())
    /// # }
    /// ```
    pub fn native<R, F>(&self, name: &str, meta: Meta, task: F) -> NativeTask<R>
    where
        R: Send + 'static,
        F: AsyncFnOnce(&WorkerThread) -> R + Send + 'static,
    {
        self.core.native(name, meta, task)
    }

    /// Sets how the native tasks of a name are run: see [`crate::Pool::deploy_native`].
    ///
    /// # Errors
    /// The pool is shutting down.
    pub fn deploy_native(&self, name: impl Into<Arc<str>>, options: &Options) -> Result<Deployment, DeployError> {
        self.core.deploy_native(name, options)
    }

    /// Whether the pool can do its work.
    ///
    /// # Errors
    /// Why it cannot; a server says so to what watches the process.
    pub fn health(&self) -> Result<(), Unhealthy> {
        self.core.health()
    }

    /// What the pool has done and does.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.core.stats()
    }

    /// Accepts nothing from now on, and waits until what was accepted has ended; cuts what has not within `limit`.
    pub async fn drain(&self, limit: Duration) -> ShutdownReport {
        self.core.drain(limit).await
    }

    /// [`Pool::drain`] for code that is not async.
    #[must_use]
    pub fn drain_blocking(&self, limit: Duration) -> ShutdownReport {
        self.core.drain_blocking(limit)
    }

    /// Drains, then ends and joins all threads.
    pub async fn shutdown(&self, limit: Duration) -> ShutdownReport {
        self.core.shutdown(limit).await
    }

    /// [`Pool::shutdown`] for code that is not async.
    #[must_use]
    pub fn shutdown_blocking(&self, limit: Duration) -> ShutdownReport {
        self.core.shutdown_blocking(limit)
    }

    /// Dispatches one event and waits for its response.
    async fn ask<T>(
        &self,
        name: &str,
        meta: Meta,
        kind: impl FnOnce(Reply<T>) -> EventKind,
    ) -> Result<(T, Ticket), Failure> {
        let (reply, answer) = oneshot::channel::<Result<T, Fault>>();
        let ticket = self.begin(name, meta, kind(reply))?;
        wait(answer, ticket).await
    }

    /// Dispatches one event and waits for its value.
    async fn give<R: FromScript>(
        &self,
        name: &str,
        meta: Meta,
        kind: impl FnOnce(Box<dyn Answer>) -> EventKind,
    ) -> Result<(R, Ticket), Failure> {
        let (reply, answer) = answer::<R>();
        let ticket = self.begin(name, meta, kind(reply))?;
        wait(answer, ticket).await
    }

    fn begin(&self, name: &str, meta: Meta, kind: EventKind) -> Result<Ticket, Failure> {
        let (name, entrypoint) = match name.split_once('#') {
            Some((name, entrypoint)) => (name, Some(entrypoint.to_owned())),
            None => (name, None),
        };
        let event = Event { entrypoint, kind };
        let dispatched = self.core.dispatch(name, event, meta);
        dispatched.map_err(|rejected| rejected.reason.into())
    }
}
