//! Tasks of a module's process, for callers.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, PoisonError, RwLock};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use isopod_pool::{Failure, Outcome};
use serde_json::Value;
use tokio::sync::{mpsc, oneshot};

use super::job::{Item, Job};
use super::queue::{Note, Queue, READ_STEP};
use crate::bus::{Bus, Chain, ChainContext, ChainTarget, HandlerOptions, Message, Pattern, Payload, Results, Source};
use crate::supervise::{BoxError, Called, Exports};
use crate::tasks::{Announce, Record, TaskResponse, run_to_end};

/// A request for a task of a module's process.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::process::ModuleRequest;
/// use serde_json::json;
///
/// let request = ModuleRequest::new("strings").payload(json!({ "path": "sample.exe" })).config("min", "6");
/// # drop(request);
/// ```
#[derive(Clone, Debug)]
#[must_use]
pub struct ModuleRequest {
    task: Arc<str>,
    payload: Payload,
    config: BTreeMap<String, String>,
    deadline: Option<Duration>,
    depth: u32,
}

impl ModuleRequest {
    /// Creates a request for this task, without a payload.
    pub fn new(task: impl Into<Arc<str>>) -> Self {
        Self {
            task: task.into(),
            payload: Payload::Empty,
            config: BTreeMap::new(),
            deadline: None,
            depth: 0,
        }
    }

    /// Sets the payload: JSON or bytes.
    pub fn payload(mut self, payload: impl Into<Payload>) -> Self {
        self.payload = payload.into();
        self
    }

    /// Adds a setting of this run.
    pub fn config(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.config.insert(name.into(), value.into());
        self
    }

    /// Sets the time limit, which includes waiting. Default: that of the [channel](super::Channel::deadline).
    pub const fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// Sets the depth: the number of messages that led to it. Default: 0.
    pub const fn at_depth(mut self, depth: u32) -> Self {
        self.depth = depth;
        self
    }
}

/// Runs tasks of a module's process. Cloning it creates another handle. It is in the hub under the module's name:
/// `hub.get_scoped::<ModuleTasks>("scan")`.
///
/// Tasks wait while the process starts or restarts.
#[derive(Clone)]
pub struct ModuleTasks {
    inner: Arc<Desk>,
}

/// The state shared by the callers of one module's tasks.
pub(super) struct Desk {
    pub(super) module: Arc<str>,
    pub(super) queue: Arc<Queue>,
    pub(super) bus: Bus,
    pub(super) results: Results,
    pub(super) deadline: Duration,
    pub(super) window_bytes: u64,
    /// Maximum number of items that wait for a reader: as many as fit in the windows of all processes that may begin the task.
    pub(super) items_max: usize,
    /// The names of the process's tasks, once it has registered itself.
    pub(super) tasks: RwLock<BTreeSet<Arc<str>>>,
}

impl ModuleTasks {
    pub(super) const fn new(inner: Arc<Desk>) -> Self {
        Self { inner }
    }

    /// Returns the module's name.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.inner.module
    }

    /// Returns the names of the process's tasks; none before it has registered itself.
    #[must_use]
    pub fn names(&self) -> Vec<Arc<str>> {
        let tasks = self.inner.tasks.read().unwrap_or_else(PoisonError::into_inner);
        tasks.iter().cloned().collect()
    }

    /// Runs a task in the process. It begins as soon as the process has room, and proceeds as fast as its responses are read.
    /// Dropping it cancels it.
    ///
    /// Its events on the bus are [`TaskStarted`](crate::bus::SystemEvent::TaskStarted), `TaskProgress`, and finally
    /// `TaskCompleted` or `TaskFailed`, with the name `<module>.<task>`. Results are announced under `results.<module>`.
    pub fn run(&self, request: ModuleRequest) -> ModuleTask {
        let source = Source::native(Arc::clone(&self.inner.module));
        let (bus, results, depth) = (self.inner.bus.clone(), self.inner.results.clone(), request.depth);
        let announce: Announce = Box::new(move |name, payload| {
            let publish = |message: Message| bus.publish(message.at_depth(depth));
            results.announce_by(source.clone(), name, payload, publish)
        });
        self.begin(request, announce)
    }

    /// Creates a chain from results announced under `from`, such as `results.scan`, to a task of the process; start it
    /// with [`Chain::start`]. The task's payload is the result's reference, and its configuration has `source` and
    /// `name`. Chains that the process itself requests need not be created.
    ///
    /// `options` are those of the chain, except that its source is always the module.
    pub fn chain(&self, from: Pattern, task: impl Into<Arc<str>>, options: HandlerOptions) -> Chain {
        let options = HandlerOptions {
            source: Source::native(Arc::clone(&self.inner.module)),
            ..options
        };
        let (tasks, task) = (self.clone(), task.into());
        Chain::new(from, options, Target { tasks, task })
    }

    fn begin(&self, request: ModuleRequest, announce: Announce) -> ModuleTask {
        let desk = &self.inner;
        let id = desk.bus.next_task();
        let name = format!("{}.{}", desk.module, request.task);
        let (items, read) = mpsc::channel(desk.items_max);
        let (end, ended) = oneshot::channel();
        let record = Record::begin(&desk.bus, id, name.into());
        desk.queue.push(Job {
            id,
            task: request.task,
            config: request.config,
            payload: request.payload,
            depth: request.depth,
            until: Instant::now() + request.deadline.unwrap_or(desk.deadline),
            attempt: 0,
            items,
            end,
        });
        ModuleTask {
            items: read,
            ended: Some(ended),
            unsaid: 0,
            step: (desk.window_bytes / READ_STEP).max(1),
            queue: Arc::clone(&desk.queue),
            record,
            announce,
        }
    }
}

impl fmt::Debug for ModuleTasks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleTasks")
            .field("module", &self.inner.module)
            .finish_non_exhaustive()
    }
}

/// The only unit is the module's name, and its functions are the module's tasks.
impl Exports for ModuleTasks {
    fn call_export(
        &self,
        unit: &str,
        function: &str,
        args: Value,
    ) -> BoxFuture<'static, Result<Called<Value>, Failure>> {
        if unit != self.module() {
            let message = format!("there is no module `{unit}` here, only `{}`", self.module());
            return futures::future::ready(Err(Failure::new(Outcome::NotDeployed, message))).boxed();
        }
        let task = self.run(ModuleRequest::new(function).payload(args));
        async move {
            match task.finish().await {
                Ok(payload) => {
                    let value = payload.to_json();
                    value
                        .map(Called::Value)
                        .map_err(|error| Failure::new(Outcome::Exception, error.to_string()))
                }
                Err(failure) if failure.outcome == Outcome::NotDeployed => Ok(Called::NotExported),
                Err(failure) => Err(failure),
            }
        }
        .boxed()
    }
}

/// A running task: a stream of its responses.
#[must_use = "dropping it cancels the task"]
pub struct ModuleTask {
    items: mpsc::Receiver<(Item, u64)>,
    /// `None` once the final response was read.
    ended: Option<oneshot::Receiver<Result<Payload, Failure>>>,
    /// Read bytes that were not yet noted for the process.
    unsaid: u64,
    step: u64,
    queue: Arc<Queue>,
    record: Record,
    announce: Announce,
}

impl ModuleTask {
    /// Returns its number, unique on its bus.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.record.task
    }

    /// Reads all its responses, and returns the final one.
    ///
    /// # Errors
    /// The task failed.
    pub async fn finish(mut self) -> Result<Payload, Failure> {
        while let Some(response) = self.next().await {
            if let TaskResponse::End(result) = response {
                return result;
            }
        }
        Err(Failure::new(Outcome::Canceled, "the task's end has already been read"))
    }

    fn response_to(&mut self, item: Item, cost: u64) -> TaskResponse<Payload> {
        self.unsaid += cost;
        if self.unsaid >= self.step {
            let read = std::mem::take(&mut self.unsaid);
            self.queue.note(self.id(), Note { read, gone: false });
        }
        match item {
            Item::Progress(progress) => {
                self.record.progress(&progress);
                TaskResponse::Progress(progress)
            }
            Item::Result { name, data } => {
                let announced = (self.announce)(Arc::clone(&name), Arc::clone(&data));
                TaskResponse::Result { name, data, announced }
            }
            Item::Retried { attempt } => {
                // A lost process needs no note.
                self.unsaid = 0;
                TaskResponse::Retried { attempt }
            }
        }
    }
}

impl Stream for ModuleTask {
    type Item = TaskResponse<Payload>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TaskResponse<Payload>>> {
        let task = self.get_mut();
        if let Some((item, cost)) = futures::ready!(task.items.poll_recv(cx)) {
            return Poll::Ready(Some(task.response_to(item, cost)));
        }
        let Some(ended) = &mut task.ended else {
            return Poll::Ready(None);
        };
        let result = futures::ready!(ended.poll_unpin(cx));
        // The end was dropped with the runtime that would have sent it.
        let result = result.unwrap_or_else(|_| Err(Failure::new(Outcome::WorkerLost, "the host has ended")));
        task.ended = None;
        task.record.end(result.as_ref().err());
        Poll::Ready(Some(TaskResponse::End(result)))
    }
}

impl Drop for ModuleTask {
    fn drop(&mut self) {
        if self.ended.is_some() {
            self.items.close();
            self.queue.note(self.record.task, Note { read: 0, gone: true });
        }
    }
}

impl fmt::Debug for ModuleTask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ModuleTask")
            .field("id", &self.record.task)
            .finish_non_exhaustive()
    }
}

/// A target that runs a task of the process.
struct Target {
    tasks: ModuleTasks,
    task: Arc<str>,
}

impl ChainTarget for Target {
    fn wake(&self, ctx: ChainContext) -> BoxFuture<'static, Result<(), BoxError>> {
        // Strings and numbers can always be serialized.
        let reference = serde_json::to_value(ctx.result()).unwrap_or_default();
        let request = ModuleRequest::new(Arc::clone(&self.task))
            .payload(reference)
            .config("source", ctx.source().name())
            .config("name", ctx.name())
            .at_depth(ctx.depth().saturating_add(1));
        let announce: Announce = Box::new(move |name, payload| ctx.announce_shared(name, payload));
        Box::pin(run_to_end(self.tasks.begin(request, announce)))
    }
}
