//! The pool of JavaScript workers for embedders.

use std::fmt;
use std::sync::{Arc, Weak};
use std::time::Duration;

use isopod_runtime::Script;
use isopod_runtime::bindings::queue::{QueueBatch, QueueDecision};
use isopod_runtime::handlers::{Body, CronTrigger, EventKind, HandlerInput, Message, RequestInfo, Task};
use isopod_runtime::sandbox::Confinement;
use isopod_runtime::values::{FromScript, IntoArguments, answer};
use serde::de::IgnoredAny;

use super::answer::value;
use super::cell::Depot;
use super::engine::{JsEngine, ScriptEngine};
use super::request;
use super::session::Session;
use super::task::{TaskRequest, TaskStream};
use super::worker_fetcher::WorkerFetcher;
use crate::{
    DeployError, Deployment, Failure, Meta, NativeTask, Options, PoolStats, ShutdownReport, Ticket, Unhealthy,
    WorkerHandle,
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
/// A name may select an entry point: `"shop#Admin"` is the class or object that the script `shop` exports as `Admin`.
/// Otherwise the default export is used.
///
/// A pool can be created, used and dropped on any thread, inside and outside any runtime, any number of times in a process.
/// Its futures run on any executor. Clones are handles to the same pool. Dropping the last handle returns at once: accepted
/// events finish in the background, then the threads end.
///
/// Workers run on [`JsEngine`]. [`build_with`](super::PoolBuilder::build_with) builds a pool over another [`ScriptEngine`].
pub struct Pool<E: ScriptEngine = JsEngine> {
    pub(super) core: crate::Pool<E>,
    #[cfg(feature = "sql")]
    pub(super) objects: super::objects::Objects<E>,
    /// The cells, which end with the engine.
    pub(super) depot: Weak<Depot>,
}

impl<E: ScriptEngine> Clone for Pool<E> {
    fn clone(&self) -> Self {
        Self {
            core: self.core.clone(),
            #[cfg(feature = "sql")]
            objects: self.objects.clone(),
            depot: Weak::clone(&self.depot),
        }
    }
}

impl<E: ScriptEngine> fmt::Debug for Pool<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("core", &self.core).finish()
    }
}

impl<E: ScriptEngine> Pool<E> {
    /// Deploys a script under a name, replacing the current version without dropping an event. Does not wait for a worker:
    /// see [`Pool::warm`].
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

    /// Determines the mechanisms that confine workers with [`Isolation::Sandbox`](super::Isolation) on this system, by
    /// starting a process, which the next such worker uses.
    ///
    /// # Errors
    /// The pool has no [`Cells`](super::Cells), or the process cannot start.
    pub async fn sandbox(&self) -> std::io::Result<Confinement> {
        let depot = self.depot.upgrade();
        let depot =
            depot.ok_or_else(|| std::io::Error::other("the pool starts no processes: see `PoolBuilder::cells`"))?;
        depot.confine().await
    }

    /// Returns the mechanisms that confine workers with [`Isolation::Sandbox`](super::Isolation), if they are known: see
    /// [`Pool::sandbox`].
    #[must_use]
    pub fn confinement(&self) -> Option<Confinement> {
        self.depot.upgrade()?.confinement()
    }

    /// Removes a script: new events are refused, accepted ones finish. Returns `false` if there was none.
    pub fn undeploy(&self, name: &str) -> bool {
        self.core.undeploy(name)
    }

    /// Waits until the script has a ready worker.
    ///
    /// # Errors
    /// The worker cannot start; [`Failure::detail`] has file, line and code excerpt.
    pub async fn warm(&self, name: &str) -> Result<(), Failure> {
        self.core.warm(name).await
    }

    /// Blocking variant of [`Pool::warm`].
    ///
    /// # Errors
    /// As [`Pool::warm`].
    pub fn warm_blocking(&self, name: &str) -> Result<(), Failure> {
        self.core.warm_blocking(name)
    }

    /// Blocking variant of [`Pool::call`].
    ///
    /// # Errors
    /// As [`Pool::call`].
    pub fn call_blocking<A, R>(&self, name: &str, function: &str, arguments: A) -> Result<R, Failure>
    where
        A: IntoArguments,
        R: FromScript,
    {
        let (call, answer) = request::call(function, arguments);
        pollster::block_on(value(answer, self.begin(name, Meta::default(), call)?))
    }

    /// Calls a script's `fetch` handler. The request's URI must be absolute; scripts see it as `request.url`.
    ///
    /// Dropping the future, or the response's body before its end, cancels the event: the request's `signal` fires, and the
    /// event ends as `canceled`.
    ///
    /// # Errors
    /// The failure of the event.
    pub async fn fetch(
        &self,
        name: &str,
        request: http::Request<Body>,
        meta: Meta,
    ) -> Result<http::Response<Body>, Failure> {
        let asked = request::begin(name, request, RequestInfo::default(), meta, |name, event, meta| {
            let dispatched = self.core.dispatch(name, event, meta);
            dispatched.map_err(|rejected| rejected.reason.into())
        });
        asked?.response(None).await
    }

    /// Variant of [`Pool::fetch`] for servers. `info` has further properties of the request. Also returns the worker if it
    /// got the request at once, so that the caller can attach an [`AttachedTask`](crate::AttachedTask) to it: see
    /// [`Ticket::worker`].
    pub async fn fetch_placed(
        &self,
        name: &str,
        request: http::Request<Body>,
        info: RequestInfo,
        meta: Meta,
    ) -> (Option<WorkerHandle>, Result<http::Response<Body>, Failure>) {
        let asked = request::begin(name, request, info, meta, |name, event, meta| {
            let dispatched = self.core.dispatch(name, event, meta);
            dispatched.map_err(|rejected| rejected.reason.into())
        });
        match asked {
            Ok(asked) => (asked.worker(), asked.response(None).await),
            Err(failure) => (None, Err(failure)),
        }
    }

    /// Creates a fetcher, for a service binding, whose requests go to the `fetch` handler of the script deployed under this
    /// name at the time of each request. It does not keep the pool open.
    ///
    /// ```
    /// # mod isopod { pub use isopod_pool::{Meta, Options, js::{Pool, Script, fetcher::FetcherBinding, handlers::Body}}; }
    /// use isopod::{Body, FetcherBinding, Meta, Options, Pool, Script};
    /// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let pool = Pool::builder().threads(1).build()?;
    /// let users = Script::builder("users").source("export const Admin = { fetch: () => new Response('all users') };");
    /// pool.deploy("users", users.build()?, &Options::default())?;
    /// let front = Script::builder("front")
    ///     .source(
    ///         "export default { async fetch(request, env) {
    ///              const users = await env.USERS.fetch('http://users/all');
    ///              return new Response(await users.text());
    ///          } };",
    ///     )
    ///     .binding("USERS", FetcherBinding::new(pool.fetcher("users#Admin")));
    /// pool.deploy("front", front.build()?, &Options::default())?;
    /// # futures::executor::block_on(async {
    /// let request = http::Request::get("https://example.com/").body(Body::empty())?;
    /// let response = pool.fetch("front", request, Meta::default()).await?;
    /// assert_eq!(response.into_body().as_bytes().expect("in memory"), "all users");
    /// # Ok(())
    /// # })
    /// # }
    /// ```
    pub fn fetcher(&self, name: impl Into<Arc<str>>) -> WorkerFetcher<E> {
        WorkerFetcher::new(self.core.downgrade(), name.into())
    }

    /// Returns the Durable Objects of the pool.
    #[cfg(feature = "sql")]
    pub const fn objects(&self) -> &super::objects::Objects<E> {
        &self.objects
    }

    /// Calls an exported function, or a method of the default export, and returns its result. Arguments are a tuple such as
    /// `(1, "two")`, a slice or a vector, or [`Arguments`](super::values::Arguments) if they include streams or functions. A
    /// returned `ReadableStream` becomes a [`Body`].
    ///
    /// Values are not converted through JSON: see [`super::values`]. Dropping the future cancels the call.
    ///
    /// # Errors
    /// The failure of the event, or `exception` if a value cannot be converted. Its source is the error that the script
    /// threw: [`Thrown`](super::values::Thrown).
    pub async fn call<A, R>(&self, name: &str, function: &str, arguments: A) -> Result<R, Failure>
    where
        A: IntoArguments,
        R: FromScript,
    {
        self.call_with(name, function, arguments, Meta::default()).await
    }

    /// [`Pool::call`] with a deadline.
    ///
    /// # Errors
    /// As [`Pool::call`].
    pub async fn call_with<A, R>(&self, name: &str, function: &str, arguments: A, meta: Meta) -> Result<R, Failure>
    where
        A: IntoArguments,
        R: FromScript,
    {
        let (call, answer) = request::call(function, arguments);
        value(answer, self.begin(name, meta, call)?).await
    }

    /// Calls a script's `task` handler: `task({ id, payload, config }, env, ctx)`. The stream has the items of
    /// `ctx.progress()` and `ctx.emit()`, then the handler's return value. Dropping it cancels the task.
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
    /// The pool did not accept the task.
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

    /// Calls a script's `message` handler and waits until it is done.
    ///
    /// # Errors
    /// The failure of the event.
    pub async fn message(&self, name: &str, message: Message) -> Result<(), Failure> {
        let IgnoredAny = self.handle(name, message, Meta::default()).await?;
        Ok(())
    }

    /// Calls a script's `scheduled` handler for a cron trigger that was due at this time, in milliseconds since the Unix
    /// epoch.
    ///
    /// # Errors
    /// The failure of the event.
    pub async fn scheduled(&self, name: &str, cron: &str, scheduled_time_ms: f64) -> Result<(), Failure> {
        let trigger = CronTrigger::new(cron, scheduled_time_ms);
        let IgnoredAny = self.handle(name, trigger, Meta::default()).await?;
        Ok(())
    }

    /// Calls a script's `queue` handler with a batch of messages, and returns its decisions once the handler and its
    /// `waitUntil` promises have settled.
    ///
    /// ```
    /// # mod isopod { pub use isopod_pool::{Meta, Options, js::{Pool, Script, bindings}}; }
    /// use isopod::bindings::queue::{Decision, QueueBatch, QueueBody, QueueMessage};
    /// use isopod::{Meta, Options, Pool, Script};
    /// # fn main() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    /// let pool = Pool::builder().threads(1).build()?;
    /// let source = "export default { queue(batch) { batch.messages[0].retry({ delaySeconds: 60 }); } };";
    /// pool.deploy("orders", Script::builder("orders").source(source).build()?, &Options::default())?;
    /// let messages = ["first", "second"].map(|text| (QueueMessage::new(QueueBody::text(text)), 1));
    /// let decided = pool.queue("orders", QueueBatch::new("orders", messages), Meta::default());
    /// let decided = futures::executor::block_on(decided)?;
    /// assert!(matches!(decided.about(0), Decision::Retry(Some(delay)) if delay.as_secs() == 60));
    /// assert_eq!(decided.about(1), Decision::Ack);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// The failure of the event if it was terminated or did not begin.
    pub async fn queue(&self, name: &str, batch: QueueBatch, meta: Meta) -> Result<QueueDecision, Failure> {
        self.handle(name, batch, meta).await
    }

    /// Calls a handler of a script with any [`HandlerInput`], and returns its answer.
    ///
    /// # Errors
    /// The failure of the event.
    pub async fn handle<I, R>(&self, name: &str, input: I, meta: Meta) -> Result<R, Failure>
    where
        I: HandlerInput,
        R: FromScript,
    {
        let (reply, answer) = answer::<R>();
        value(answer, self.begin(name, meta, EventKind::handler(input, reply))?).await
    }

    /// Opens a session of a script: see [`Session`]. Never blocks, and does not boot a worker.
    ///
    /// # Errors
    /// `not_deployed` without such a script; `load_shed` at the limit of [`SessionLimits::max`](crate::SessionLimits::max),
    /// or if the pool is shutting down.
    pub fn open_session(&self, name: &str) -> Result<Session, Failure> {
        let core = self.core.open_session(request::script(name))?;
        Ok(Session::new(core, name.into()))
    }

    /// Opens the session of a script with this key, or another handle to it. At any time, the sessions of a script and a key
    /// are on at most one worker of the pool.
    ///
    /// # Errors
    /// As [`Pool::open_session`], and `worker_lost` until all events of an earlier session with this key have ended.
    pub fn open_keyed_session(&self, name: &str, key: &str) -> Result<Session, Failure> {
        let core = self.core.open_keyed_session(request::script(name), key)?;
        Ok(Session::new(core, name.into()))
    }

    /// Runs a Rust task on a worker thread. `task` creates a future there, which need not be `Send`, in a fresh `LocalSet`.
    /// See [`crate::Pool::native`].
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
        F: AsyncFnOnce(&E::Thread) -> R + Send + 'static,
    {
        self.core.native(name, meta, task)
    }

    /// Sets the options of native tasks of a name: see [`crate::Pool::deploy_native`].
    ///
    /// # Errors
    /// The pool is shutting down.
    pub fn deploy_native(&self, name: impl Into<Arc<str>>, options: &Options) -> Result<Deployment, DeployError> {
        self.core.deploy_native(name, options)
    }

    /// Returns whether the pool is ready.
    ///
    /// # Errors
    /// The reason why it is not ready.
    pub fn health(&self) -> Result<(), Unhealthy> {
        self.core.health()
    }

    /// Returns the pool's statistics.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        self.core.stats()
    }

    /// Stops accepting events and waits until accepted ones have ended. Cuts those that are still open after `limit`.
    pub async fn drain(&self, limit: Duration) -> ShutdownReport {
        self.core.drain(limit).await
    }

    /// Blocking variant of [`Pool::drain`].
    #[must_use]
    pub fn drain_blocking(&self, limit: Duration) -> ShutdownReport {
        self.core.drain_blocking(limit)
    }

    /// Drains, then ends and joins all threads.
    pub async fn shutdown(&self, limit: Duration) -> ShutdownReport {
        self.core.shutdown(limit).await
    }

    /// Blocking variant of [`Pool::shutdown`].
    #[must_use]
    pub fn shutdown_blocking(&self, limit: Duration) -> ShutdownReport {
        self.core.shutdown_blocking(limit)
    }

    fn begin(&self, name: &str, meta: Meta, kind: EventKind) -> Result<Ticket, Failure> {
        let (name, event) = request::event(name, kind);
        let dispatched = self.core.dispatch(name, event, meta);
        dispatched.map_err(|rejected| rejected.reason.into())
    }
}
