//! The protocol with one process: handles its messages, and decides which to send. Has no socket and no clock: bytes to be
//! written are appended to [`Talk::out`], and the time is passed in.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Instant, UNIX_EPOCH};

use bytes::BytesMut;
use isopod_module::Payload as Body;
use isopod_module::protocol::{
    Cause, Frame, FrameError, Hello, ITEM_COST, PROTOCOL, TaskError, ToHost, ToModule, Welcome, encode_with,
};
use isopod_module::shared::{End, SharedTerms};
use isopod_pool::{Failure, Outcome};
use serde::Deserialize;

use super::end::{SessionEnd, Violation};
use super::job::{Item, Job, Lost};
use super::place::{Place, body_of, payload_of};
use crate::bus::{Delivery, Message, ResultRef, Subscription};

/// Maximum bytes that wait to be written; above it, no message is read and no task begun.
pub(super) const OUT_MAX: usize = 256 << 10;
/// Maximum number of events that the process has not yet handled.
const EVENTS_MAX: usize = 32;

pub(super) struct Talk {
    place: Arc<Place>,
    pub(super) out: BytesMut,
    shared: Shared,
    /// The process's registration.
    hello: Option<Registered>,
    running: BTreeMap<u64, Running>,
    events: BTreeMap<u64, Arc<Message>>,
    next_event: u64,
}

/// The memory shared with the process.
enum Shared {
    None,
    /// It is offered, if the process can open it.
    Offered(End),
    /// The process has opened it.
    Attached(End),
}

impl Shared {
    const fn attached(&self) -> Option<&End> {
        match self {
            Self::Attached(end) => Some(end),
            _ => None,
        }
    }
}

struct Registered {
    tasks: BTreeSet<Arc<str>>,
    tasks_max: usize,
    subscription: Option<Subscription>,
}

/// A task that the process has.
struct Running {
    /// `None` once its caller was answered or is gone.
    job: Option<Job>,
    depth: u32,
    window: i64,
    canceled: Option<Instant>,
}

impl Talk {
    pub(super) fn new(place: Arc<Place>, shared: Option<End>) -> Self {
        Self {
            place,
            out: BytesMut::new(),
            shared: shared.map_or(Shared::None, Shared::Offered),
            hello: None,
            running: BTreeMap::new(),
            events: BTreeMap::new(),
            next_event: 1,
        }
    }

    pub(super) const fn is_registered(&self) -> bool {
        self.hello.is_some()
    }

    /// Returns the memory that the process uses too.
    pub(super) const fn attached(&self) -> Option<&End> {
        self.shared.attached()
    }

    /// Returns whether there is room for answers.
    pub(super) fn has_room(&self) -> bool {
        self.out.len() < OUT_MAX
    }

    /// Handles a message of the process.
    pub(super) fn take(&mut self, frame: Frame<ToHost>, now: Instant) -> Result<(), Violation> {
        let Frame {
            message,
            body,
            body_bytes,
        } = frame;
        if !self.is_registered() && !matches!(message, ToHost::Hello(_)) {
            return Err(Violation::NoHello);
        }
        let cost = body_bytes as u64 + ITEM_COST;
        match message {
            ToHost::Hello(hello) => self.register(hello),
            ToHost::Progress { task } => match body {
                Body::Json(value) => self.item(task, Item::Progress(value), cost, now),
                _ => Err(Violation::Body),
            },
            ToHost::Result { task, name } => {
                let (name, data) = (name.into(), Arc::new(payload_of(body)));
                self.item(task, Item::Result { name, data }, cost, now)
            }
            ToHost::End { task, error } => self.end(task, error, body),
            ToHost::Publish { request, topic, cause } => {
                let (delivered, error) = match self.publish(&topic, body, cause) {
                    Ok(delivered) => (delivered, None),
                    Err(error) => (0, Some(error)),
                };
                self.put(&ToModule::Published {
                    request,
                    delivered,
                    error,
                });
                Ok(())
            }
            ToHost::Handled { event, error } => {
                if let (Some(message), Some(error)) = (self.events.remove(&event), error) {
                    self.place.not_handled(&message, error);
                }
                Ok(())
            }
            ToHost::Read { request, result } => {
                let reference = serde_json::to_value(result).and_then(ResultRef::deserialize);
                let (error, body) = match reference.map_err(|error| error.to_string()) {
                    Ok(reference) => self
                        .place
                        .read(&reference)
                        .map_or_else(|error| (Some(error), Body::Empty), |body| (None, body)),
                    Err(error) => (Some(error), Body::Empty),
                };
                self.answer_read(request, error, &body);
                Ok(())
            }
            ToHost::Attached {} => self.attach(),
            ToHost::Full {} => {
                self.put(&ToModule::Room {});
                Ok(())
            }
            // Every message shows that the process is alive.
            ToHost::Pong { .. } => Ok(()),
            other => {
                tracing::debug!(?other, "a message that this version does not know");
                Ok(())
            }
        }
    }

    fn answer_read(&mut self, request: u64, error: Option<String>, body: &Body) {
        let data = ToModule::Data { request, error };
        if let Err(error) = self.put_with(&data, body) {
            let error = Some(error.to_string());
            self.put(&ToModule::Data { request, error });
        }
    }

    /// Offers the memory to a process that can open it, and frees it otherwise.
    fn offer(&mut self, library: Option<&str>) -> Option<SharedTerms> {
        match &self.shared {
            Shared::Offered(end) if library == Some(&*end.terms().library) => Some(end.terms().clone()),
            _ => {
                self.shared = Shared::None;
                None
            }
        }
    }

    fn attach(&mut self) -> Result<(), Violation> {
        match std::mem::replace(&mut self.shared, Shared::None) {
            Shared::Offered(end) => {
                end.connect()?;
                self.shared = Shared::Attached(end);
                Ok(())
            }
            Shared::None | Shared::Attached(_) => Err(Violation::Unoffered),
        }
    }

    fn register(&mut self, hello: Hello) -> Result<(), Violation> {
        if self.is_registered() {
            return Err(Violation::SecondHello);
        }
        if hello.protocol != PROTOCOL {
            return Err(Violation::Version(hello.protocol));
        }
        let tasks: BTreeSet<Arc<str>> = hello.tasks.iter().map(|task| task.as_str().into()).collect();
        if let Some(chain) = hello.chains.iter().find(|chain| !tasks.contains(&*chain.task)) {
            return Err(Violation::Chain(chain.task.clone()));
        }
        let place = Arc::clone(&self.place);
        let subscription = place.subscribe(&hello.subscribe)?;
        place.chain(hello.chains)?;
        let shared_memory = self.offer(hello.shared_memory.as_deref());
        let options = &place.options;
        let welcome = ToModule::Welcome(Welcome {
            protocol: PROTOCOL,
            module: place.desk.module.to_string(),
            instance: place.instance.clone(),
            window_bytes: options.window_bytes,
            head_bytes_max: options.limits.head_bytes_max,
            body_bytes_max: options.limits.body_bytes_max,
            silence_ms: u64::try_from(options.silence_max.as_millis()).unwrap_or(u64::MAX),
            shared_memory,
        });
        self.put_with(&welcome, &Body::Json(place.config.clone()))?;
        place.registered(&tasks, &hello.program);
        self.hello = Some(Registered {
            tasks,
            tasks_max: hello.tasks_max.unwrap_or(1).clamp(1, options.tasks_max) as usize,
            subscription,
        });
        Ok(())
    }

    fn item(&mut self, task: u64, item: Item, cost: u64, now: Instant) -> Result<(), Violation> {
        let running = self.running.get_mut(&task).ok_or(Violation::UnknownTask(task))?;
        if running.window <= 0 {
            return Err(Violation::Window(task));
        }
        running.window = running.window.saturating_sub_unsigned(cost);
        let Some(job) = &running.job else { return Ok(()) };
        match job.items.try_send((item, cost)) {
            Ok(()) => Ok(()),
            Err(tokio::sync::mpsc::error::TrySendError::Full(_)) => Err(Violation::Window(task)),
            Err(tokio::sync::mpsc::error::TrySendError::Closed(_)) => {
                self.cancel(task, now);
                Ok(())
            }
        }
    }

    fn end(&mut self, task: u64, error: Option<TaskError>, body: Body) -> Result<(), Violation> {
        let running = self.running.remove(&task).ok_or(Violation::UnknownTask(task))?;
        self.place.desk.queue.ended(task);
        if let Some(job) = running.job {
            job.finish(match error {
                None => Ok(payload_of(body)),
                Some(TaskError { message, detail }) => {
                    let failure = Failure::new(Outcome::Exception, message);
                    Err(match detail {
                        Some(detail) => failure.with_detail(detail),
                        None => failure,
                    })
                }
            });
        }
        Ok(())
    }

    fn publish(&self, topic: &str, body: Body, cause: Option<Cause>) -> Result<u64, String> {
        let place = &self.place;
        let message = place.message(topic, payload_of(body))?;
        let message = match cause {
            None => message,
            Some(Cause::Event(event)) => match self.events.get(&event) {
                Some(cause) => message.caused_by(cause),
                None => return Err(format!("event {event} is not being handled")),
            },
            Some(Cause::Task(task)) => match self.running.get(&task) {
                Some(running) => message.at_depth(running.depth),
                None => return Err(format!("task {task} does not run")),
            },
        };
        let published = place.desk.bus.publish(message);
        let published = published.map_err(|error| error.to_string())?;
        Ok(published.delivered as u64)
    }

    /// Sends the process the notes of readers, and begins tasks while there is room.
    pub(super) fn fill(&mut self, now: Instant, takes_work: bool) {
        let place = Arc::clone(&self.place);
        let queue = &place.desk.queue;
        for (task, note) in queue.take_notes() {
            if note.gone {
                self.cancel(task, now);
            } else if let Some(running) = self.running.get_mut(&task) {
                running.window = running.window.saturating_add_unsigned(note.read);
                self.put(&ToModule::More { task, bytes: note.read });
            }
        }
        while takes_work && self.has_room() && self.has_slot() {
            let Some(job) = queue.next(now) else { return };
            let task = job.id;
            if let Err(failure) = self.begin(job, now) {
                tracing::debug!(task, %failure, "a task cannot be begun");
                queue.ended(task);
            }
        }
    }

    fn has_slot(&self) -> bool {
        self.hello
            .as_ref()
            .is_some_and(|hello| self.running.len() < hello.tasks_max)
    }

    fn begin(&mut self, job: Job, now: Instant) -> Result<(), Failure> {
        let refuse = |job: Job, failure: Failure| {
            job.finish(Err(failure.clone()));
            Err(failure)
        };
        let is_known = self.hello.as_ref().is_some_and(|hello| hello.tasks.contains(&job.task));
        if !is_known {
            let message = format!("the module `{}` has no task `{}`", self.place.desk.module, job.task);
            return refuse(job, Failure::new(Outcome::NotDeployed, message));
        }
        let message = ToModule::Task {
            task: job.id,
            name: job.task.to_string(),
            config: job.config.clone(),
            depth: job.depth,
            deadline_ms: u64::try_from((job.until - now).as_millis()).unwrap_or(u64::MAX),
            attempt: job.attempt,
        };
        let body = body_of(&job.payload).map_err(|error| error.to_string());
        let encoded = body.and_then(|body| self.put_with(&message, &body).map_err(|error| error.to_string()));
        if let Err(error) = encoded {
            return refuse(
                job,
                Failure::new(Outcome::Exception, format!("the request cannot be sent: {error}")),
            );
        }
        let window = i64::try_from(self.place.options.window_bytes).unwrap_or(i64::MAX);
        self.running.insert(
            job.id,
            Running {
                depth: job.depth,
                job: Some(job),
                window,
                canceled: None,
            },
        );
        Ok(())
    }

    fn cancel(&mut self, task: u64, now: Instant) {
        let Some(running) = self.running.get_mut(&task) else {
            return;
        };
        if running.canceled.is_none() {
            running.canceled = Some(now);
            running.job = None;
            self.put(&ToModule::Cancel { task });
        }
    }

    /// Returns the time at which [`Talk::due`] has to be called.
    pub(super) fn next_due(&self) -> Option<Instant> {
        let grace = self.place.options.cancel_grace;
        let due = |running: &Running| match (running.canceled, &running.job) {
            (Some(at), _) => Some(at + grace),
            (None, job) => job.as_ref().map(|job| job.until),
        };
        self.running.values().filter_map(due).min()
    }

    /// Answers tasks that have expired.
    pub(super) fn due(&mut self, now: Instant) -> Result<(), SessionEnd> {
        let grace = self.place.options.cancel_grace;
        let mut overdue = Vec::new();
        for (task, running) in &mut self.running {
            match running.canceled {
                Some(at) if at + grace <= now => return Err(SessionEnd::Stuck(*task)),
                Some(_) => {}
                None if running.job.as_ref().is_some_and(|job| job.until <= now) => {
                    overdue.push(*task);
                    if let Some(job) = running.job.take() {
                        job.overdue();
                    }
                }
                None => {}
            }
        }
        for task in overdue {
            self.cancel(task, now);
        }
        Ok(())
    }

    /// Returns the bytes to be written, and the subscription if the process may be sent more messages.
    pub(super) fn out_and_subscription(&mut self) -> (&mut BytesMut, Option<&mut Subscription>) {
        let takes = self.events.len() < EVENTS_MAX && self.has_room();
        let hello = self.hello.as_mut().filter(|_| takes);
        (&mut self.out, hello.and_then(|hello| hello.subscription.as_mut()))
    }

    /// The bus was closed.
    pub(super) fn unsubscribed(&mut self) {
        if let Some(hello) = &mut self.hello {
            hello.subscription = None;
        }
    }

    pub(super) fn deliver(&mut self, delivery: Delivery) {
        let message = match delivery {
            Delivery::Lagged(count) => {
                tracing::warn!(count, "a module is too slow and lost messages");
                return self.put(&ToModule::Lagged { count });
            }
            Delivery::Message(message) => message,
        };
        let event = self.next_event;
        self.next_event += 1;
        let since = message.at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let head = ToModule::Event {
            event,
            topic: message.topic.to_string(),
            source: message.source.name().to_owned(),
            depth: message.depth,
            at_ms: since.as_secs_f64() * 1000.0,
        };
        let body = body_of(&message.payload).map_err(|error| error.to_string());
        let encoded = body.and_then(|body| self.put_with(&head, &body).map_err(|error| error.to_string()));
        match encoded {
            Ok(()) => drop(self.events.insert(event, message)),
            Err(error) => self.place.not_handled(&message, error),
        }
    }

    pub(super) fn ping(&mut self, ping: u64) {
        self.put(&ToModule::Ping { ping });
    }

    pub(super) fn shutdown(&mut self, within_ms: u64) {
        self.put(&ToModule::Shutdown { within_ms });
    }

    pub(super) fn refuse(&mut self, error: String) {
        self.put(&ToModule::Refused { error });
    }

    /// Sends a message with a body, in shared memory if that is possible.
    fn put_with(&mut self, message: &ToModule, body: &Body) -> Result<(), FrameError> {
        let (limits, end) = (&self.place.options.limits, self.shared.attached());
        encode_with(message, body, limits, end, &mut self.out)
    }

    /// Sends a message without a body, whose texts are short or cut.
    fn put(&mut self, message: &ToModule) {
        if let Err(error) = self.put_with(message, &Body::Empty) {
            tracing::error!(%error, "a message to a module is too large and was dropped");
        }
    }

    /// Ends the protocol: the process's tasks are retried or have failed.
    pub(super) fn over(mut self, end: &SessionEnd, now: Instant) {
        let place = &self.place;
        if let Some(subscription) = self.hello.take().and_then(|hello| hello.subscription) {
            place.keep(subscription);
        }
        for message in std::mem::take(&mut self.events).into_values() {
            place.not_handled(&message, end.to_string());
        }
        let mut again = Vec::new();
        let retries = place.options.retries;
        for (task, running) in std::mem::take(&mut self.running) {
            match running.job {
                Some(job) if job.when_lost(retries, now) == Lost::Again => again.push(again_from(job)),
                Some(job) => {
                    place.desk.queue.ended(task);
                    job.fail(
                        Outcome::WorkerLost,
                        format!("the module `{}` was lost: {end}", place.desk.module),
                    );
                }
                None => place.desk.queue.ended(task),
            }
        }
        place.desk.queue.push_back(again);
    }
}

/// Prepares a job to be retried by another process, and notifies its reader.
fn again_from(mut job: Job) -> Job {
    job.attempt += 1;
    let retried = Item::Retried { attempt: job.attempt };
    // There is always room: the channel has a slot for each attempt.
    let _ = job.items.try_send((retried, 0));
    job
}
