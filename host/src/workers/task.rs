//! Tasks of scripts: their responses go to the caller, their results are stored and announced.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures::future::BoxFuture;
use futures::{FutureExt, Stream, StreamExt};
use isopod_pool::js::values::FromScript;
use isopod_pool::js::{Pool, TaskItem, TaskRequest, TaskStream};
use isopod_pool::{Failure, Outcome};
use serde::Deserialize;
use serde_json::Value;

use super::payload::payload_of;
use crate::bus::{Bus, Message, Results, Source};
use crate::tasks::{Announce, Record, TaskResponse};

/// Runs tasks of a pool's scripts. Cloning it creates another handle.
///
/// ```no_run
/// use futures::StreamExt;
/// # mod isopod { pub use isopod_host as host; pub use isopod_pool::js::{Pool, TaskRequest}; }
/// use isopod::host::bus::{Bus, Results};
/// use isopod::host::workers::{TaskResponse, WorkerTasks};
/// use isopod::{Pool, TaskRequest};
///
/// # async fn example(bus: Bus, pool: Pool) {
/// let tasks = WorkerTasks::new(&bus, &Results::new(), &pool);
/// let mut scan = tasks.run::<u32>("scan", TaskRequest::new("sample.exe").config("depth", "2"));
/// while let Some(response) = scan.next().await {
///     match response {
///         TaskResponse::Progress(done) => println!("{done}"),
///         TaskResponse::Result { name, data, .. } => println!("{name}: {} bytes", data.len()),
///         TaskResponse::End(Ok(found)) => println!("{found} found"),
///         TaskResponse::End(Err(failure)) => eprintln!("{failure}"),
///         _ => {}
///     }
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct WorkerTasks {
    bus: Bus,
    results: Results,
    pool: Pool,
}

/// A request from outside, as JSON.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Encoded {
    script: String,
    #[serde(default)]
    payload: Value,
    #[serde(default)]
    config: BTreeMap<String, String>,
}

impl WorkerTasks {
    /// Creates a runner for tasks of this pool's scripts, with the bus for their events and the store for their results.
    #[must_use]
    pub fn new(bus: &Bus, results: &Results, pool: &Pool) -> Self {
        Self {
            bus: bus.clone(),
            results: results.clone(),
            pool: pool.clone(),
        }
    }

    /// Runs a task in a script. It begins at once and proceeds as fast as its responses are read; dropping it cancels it. The
    /// script sees [`WorkerTask::id`] as its `id`.
    ///
    /// Its events on the bus are [`TaskStarted`](crate::bus::SystemEvent::TaskStarted), `TaskProgress`, and finally
    /// `TaskCompleted` or `TaskFailed`.
    pub fn run<R: FromScript>(&self, script: &str, request: TaskRequest) -> WorkerTask<R> {
        let source = Source::worker(script);
        let (bus, results, depth) = (self.bus.clone(), self.results.clone(), request.depth());
        let announce: Announce = Box::new(move |name, payload| {
            let publish = |message: Message| bus.publish(message.at_depth(depth));
            results.announce_by(source.clone(), name, payload, publish)
        });
        self.begin(script, request, announce)
    }

    /// [`WorkerTasks::run`] for a request from outside, as JSON: `{ "script", "payload"?, "config"? }`. If it cannot be decoded,
    /// the task fails, with the reason in its final response.
    pub fn run_encoded(&self, request: &[u8]) -> WorkerTask<Value> {
        match serde_json::from_slice::<Encoded>(request) {
            Ok(Encoded {
                script,
                payload,
                config,
            }) => {
                let request = config
                    .into_iter()
                    .fold(TaskRequest::new(payload), |request, (name, value)| {
                        request.config(name, value)
                    });
                self.run(&script, request)
            }
            Err(error) => {
                let failure = Failure::new(
                    Outcome::Exception,
                    format!("the request is not `{{\"script\", \"payload\"?, \"config\"?}}`: {error}"),
                );
                let announce: Announce = Box::new(|_, _| Err(crate::bus::PublishError::Closed.into()));
                self.task("(undecodable)", self.bus.next_task(), Stage::Ended(failure), announce)
            }
        }
    }

    pub(super) fn begin<R: FromScript>(&self, script: &str, request: TaskRequest, announce: Announce) -> WorkerTask<R> {
        let id = self.bus.next_task();
        let stage = match self.pool.task(script, request.id(id.to_string())) {
            Ok(items) => Stage::Tells(items),
            Err(failure) => Stage::Ended(failure),
        };
        self.task(script, id, stage, announce)
    }

    fn task<R>(&self, script: &str, id: u64, stage: Stage<R>, announce: Announce) -> WorkerTask<R> {
        WorkerTask {
            stage,
            record: Record::begin(&self.bus, id, script.into()),
            announce,
        }
    }
}

/// A running task of a script: a stream of its responses.
#[must_use = "dropping it cancels the task"]
pub struct WorkerTask<R> {
    stage: Stage<R>,
    record: Record,
    announce: Announce,
}

enum Stage<R> {
    /// It runs.
    Tells(TaskStream<R>),
    /// The final response was read.
    Ends(BoxFuture<'static, Result<R, Failure>>),
    /// It failed before it began.
    Ended(Failure),
    Over,
}

impl<R: FromScript> WorkerTask<R> {
    /// Returns its number, unique on its bus.
    #[must_use]
    pub const fn id(&self) -> u64 {
        self.record.task
    }

    /// Reads all its responses, and returns the final one.
    ///
    /// # Errors
    /// The task failed.
    pub async fn finish(mut self) -> Result<R, Failure> {
        while let Some(response) = self.next().await {
            if let TaskResponse::End(result) = response {
                return result;
            }
        }
        Err(Failure::new(Outcome::Canceled, "the task's end has already been read"))
    }

    fn response_to(&self, item: TaskItem) -> Option<TaskResponse<R>> {
        match item {
            TaskItem::Progress(progress) => {
                self.record.progress(&progress);
                Some(TaskResponse::Progress(progress))
            }
            TaskItem::Result { name, data } => {
                let (name, data): (Arc<str>, _) = (name.into(), Arc::new(payload_of(data)));
                let announced = (self.announce)(Arc::clone(&name), Arc::clone(&data));
                Some(TaskResponse::Result { name, data, announced })
            }
            _ => None,
        }
    }
}

impl<R: FromScript> Stream for WorkerTask<R> {
    type Item = TaskResponse<R>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<TaskResponse<R>>> {
        let task = self.get_mut();
        let result = loop {
            match std::mem::replace(&mut task.stage, Stage::Over) {
                Stage::Tells(mut items) => match items.poll_next_unpin(cx) {
                    Poll::Ready(None) => task.stage = Stage::Ends(items.outcome().boxed()),
                    Poll::Ready(Some(item)) => {
                        task.stage = Stage::Tells(items);
                        if let Some(response) = task.response_to(item) {
                            return Poll::Ready(Some(response));
                        }
                    }
                    Poll::Pending => {
                        task.stage = Stage::Tells(items);
                        return Poll::Pending;
                    }
                },
                Stage::Ends(mut outcome) => match outcome.poll_unpin(cx) {
                    Poll::Ready(result) => break result,
                    Poll::Pending => {
                        task.stage = Stage::Ends(outcome);
                        return Poll::Pending;
                    }
                },
                Stage::Ended(failure) => break Err(failure),
                Stage::Over => return Poll::Ready(None),
            }
        };
        task.record.end(result.as_ref().err());
        Poll::Ready(Some(TaskResponse::End(result)))
    }
}

impl<R> fmt::Debug for WorkerTask<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerTask")
            .field("id", &self.record.task)
            .finish_non_exhaustive()
    }
}
