//! The thread that reads and writes the channel. It wakes for the socket, for frames to be sent, and for signals, and never
//! polls.

use std::collections::{BTreeMap, HashMap};
use std::os::unix::net::UnixStream as Channel;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::runtime::Handle;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::error::Error;
use crate::event::{self, Ended, Listener, Received};
use crate::link::{Link, Outgoing};
use crate::payload::Payload;
use crate::protocol::{Frame, FrameError, Hello, Limits, ToHost, ToModule, Welcome, decode, decode_with, encode};
use crate::shared::{End, Loan, SharedError};
use crate::task::{self, Handler, TaskContext, TaskRequest};
use crate::window::Window;

/// Maximum bytes that wait to be written; above it, no more frames of tasks are accepted.
const UNWRITTEN_MAX: usize = 256 << 10;
/// Maximum number of events that wait for their handler, above the number that a host sends.
const EVENTS_MAX: usize = 256;
/// Time limit for a canceled task to end by itself.
const CANCEL_GRACE: Duration = Duration::from_secs(1);
/// Time limit for tasks to end after the host is gone.
const GONE_GRACE: Duration = Duration::from_millis(300);

/// The parts of the module that the thread needs.
pub(crate) struct Plan {
    pub(crate) hello: Hello,
    pub(crate) tasks: BTreeMap<String, Handler>,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) stop_within: Duration,
    pub(crate) token: CancellationToken,
    pub(crate) workers: Handle,
    pub(crate) link: Arc<Link>,
}

/// Runs until the channel or the module ends.
pub(crate) fn run(channel: Channel, plan: Plan, frames: mpsc::Receiver<Outgoing>) -> Result<(), Error> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut wire = Wire::new(UnixStream::from_std(channel)?);
        let (welcome, hello) = (plan.link.clone(), plan.hello.clone());
        wire.put(&ToHost::Hello(hello))?;
        let place = wire.welcomed().await?;
        wire.limits = Limits {
            head_bytes_max: place.head_bytes_max,
            body_bytes_max: place.body_bytes_max,
        };
        // Set once, by the only welcome.
        let _ = welcome.limits.set(wire.limits);
        if let Some(end) = wire.attach(&place)? {
            welcome.room.open(end);
        }
        tracing::debug!(module = place.module, instance = place.instance, "taken by the host");
        let ended = Conversation::new(plan, &place).drive(&mut wire, frames).await;
        welcome.close();
        ended
    })
}

/// The socket, with bytes that were read and not yet decoded, and bytes to be written.
struct Wire {
    stream: UnixStream,
    input: BytesMut,
    output: BytesMut,
    limits: Limits,
    end: Option<Arc<End>>,
}

impl Wire {
    fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            input: BytesMut::new(),
            output: BytesMut::new(),
            limits: Limits::default(),
            end: None,
        }
    }

    /// Opens the shared memory that the host offers, and says so. Without it, all bodies go over the socket.
    fn attach(&mut self, place: &Welcome) -> Result<Option<Arc<End>>, FrameError> {
        let Some(terms) = &place.shared_memory else {
            return Ok(None);
        };
        match End::open(terms) {
            Ok(end) => {
                self.put(&ToHost::Attached {})?;
                self.end = Some(Arc::new(end));
            }
            Err(error) => {
                tracing::warn!(%error, "the host's shared memory cannot be opened; the socket is used instead")
            }
        }
        Ok(self.end.clone())
    }

    /// Appends a frame, and sends its body if that is in shared memory: the host receives bodies in the order of frames.
    fn append(&mut self, outgoing: Outgoing) -> Result<(), FrameError> {
        let Outgoing { parts, loan } = outgoing;
        match loan.map(Loan::send) {
            Some(true) => parts.put_shared(&mut self.output),
            // A body that was written into the memory itself is nowhere else.
            Some(false) if parts.body().len() != parts.body_bytes() as usize => {
                return Err(SharedError::Unconnected.into());
            }
            Some(false) | None => parts.put(&mut self.output),
        }
        Ok(())
    }

    fn put(&mut self, message: &ToHost) -> Result<(), FrameError> {
        encode(message, &Payload::Empty, &self.limits, &mut self.output)
    }

    async fn welcomed(&mut self) -> Result<Welcome, Error> {
        loop {
            match decode::<ToModule>(&mut self.input, &self.limits)?.map(|frame| frame.message) {
                Some(ToModule::Welcome(welcome)) => return Ok(welcome),
                Some(ToModule::Refused { error }) => return Err(Error::Refused(error)),
                Some(other) => tracing::warn!(?other, "a message before the welcome is ignored"),
                None => self.turn().await?,
            }
        }
    }

    /// Writes or reads, whichever is possible first. Dropping the future loses nothing.
    async fn turn(&mut self) -> Result<(), Error> {
        let (mut read, mut write) = self.stream.split();
        tokio::select! {
            written = write.write_buf(&mut self.output), if !self.output.is_empty() => {
                written?;
            }
            count = read.read_buf(&mut self.input) => {
                if count? == 0 {
                    return Err(Error::Closed);
                }
            }
        }
        Ok(())
    }

    async fn flush(&mut self) -> Result<(), Error> {
        while !self.output.is_empty() {
            self.stream.write_buf(&mut self.output).await?;
        }
        Ok(())
    }
}

/// A running task.
struct Running {
    token: CancellationToken,
    window: Arc<Window>,
}

/// State of the protocol with the host.
struct Conversation {
    link: Arc<Link>,
    tasks: BTreeMap<String, Handler>,
    workers: Handle,
    token: CancellationToken,
    stop_within: Duration,
    window_bytes: u64,
    running: HashMap<u64, Running>,
    events: mpsc::Sender<Received>,
    /// Messages that have not been handled.
    events_open: usize,
    /// The channel by which tasks and handlers report their end.
    ended: mpsc::Sender<Ended>,
    ends: mpsc::Receiver<Ended>,
    /// The deadline, once the module must end.
    until: Option<Instant>,
}

impl Conversation {
    fn new(plan: Plan, place: &Welcome) -> Self {
        let (events, received) = mpsc::channel(EVENTS_MAX);
        let (ended, ends) = mpsc::channel(64);
        let link = Arc::clone(&plan.link);
        plan.workers
            .spawn(event::handle(link, plan.listeners, received, ended.clone()));
        Self {
            link: plan.link,
            tasks: plan.tasks,
            workers: plan.workers,
            token: plan.token,
            stop_within: plan.stop_within,
            window_bytes: place.window_bytes,
            running: HashMap::new(),
            events,
            events_open: 0,
            ended,
            ends,
            until: None,
        }
    }

    async fn drive(&mut self, wire: &mut Wire, mut frames: mpsc::Receiver<Outgoing>) -> Result<(), Error> {
        let (mut term, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let token = self.token.clone();
        loop {
            while let Some(frame) = decode_with::<ToModule>(&mut wire.input, &wire.limits, wire.end.as_deref())? {
                self.take(frame, wire)?;
            }
            if self.is_over() {
                break;
            }
            let stopping = self.until.is_some();
            let until = tokio::time::Instant::from_std(self.until.unwrap_or_else(Instant::now));
            tokio::select! {
                turned = wire.turn() => if let Err(error) = turned {
                    return self.host_has_gone(error).await;
                },
                Some(frame) = frames.recv(), if wire.output.len() < UNWRITTEN_MAX => wire.append(frame)?,
                Some(ended) = self.ends.recv() => self.ended(ended),
                _ = term.recv() => self.stop(self.stop_within),
                _ = interrupt.recv() => self.stop(self.stop_within),
                () = token.cancelled(), if !stopping => self.stop(self.stop_within),
                () = tokio::time::sleep_until(until), if stopping => break,
            }
        }
        for running in self.running.values() {
            running.token.cancel();
        }
        // The last frames of tasks that have ended.
        while let Ok(frame) = frames.try_recv() {
            wire.append(frame)?;
        }
        tokio::time::timeout(GONE_GRACE, wire.flush()).await.unwrap_or(Ok(()))
    }

    /// Returns whether the module must end and has no more work.
    fn is_over(&self) -> bool {
        self.until.is_some() && self.running.is_empty() && self.events_open == 0
    }

    fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Task(task) => drop(self.running.remove(&task)),
            Ended::Event => self.events_open = self.events_open.saturating_sub(1),
        }
    }

    fn stop(&mut self, within: Duration) {
        let until = Instant::now() + within;
        self.until = Some(self.until.map_or(until, |earlier| earlier.min(until)));
        self.token.cancel();
    }

    async fn host_has_gone(&mut self, error: Error) -> Result<(), Error> {
        self.token.cancel();
        self.link.close();
        for running in self.running.values() {
            running.token.cancel();
        }
        let all_ended = async {
            while !self.running.is_empty() {
                if let Some(ended) = self.ends.recv().await {
                    self.ended(ended);
                }
            }
        };
        // Tasks that have not ended by then end with the process.
        let _ = tokio::time::timeout(GONE_GRACE, all_ended).await;
        match error {
            Error::Closed if self.until.is_some() => Ok(()),
            error => Err(error),
        }
    }

    fn take(&mut self, frame: Frame<ToModule>, wire: &mut Wire) -> Result<(), Error> {
        match frame.message {
            ToModule::Task {
                task,
                name,
                config,
                depth,
                deadline_ms,
                attempt,
            } => {
                let request = TaskRequest {
                    id: task,
                    name,
                    config,
                    depth,
                    attempt,
                    payload: frame.body,
                };
                // A task that an ending module has not begun is lost with it, and run by another process.
                if self.until.is_none() {
                    self.begin(request, Duration::from_millis(deadline_ms));
                }
            }
            ToModule::Cancel { task } => {
                if let Some(running) = self.running.get(&task) {
                    running.token.cancel();
                }
            }
            ToModule::More { task, bytes } => {
                if let Some(running) = self.running.get(&task) {
                    running.window.grow(bytes);
                }
            }
            ToModule::Event {
                event,
                topic,
                source,
                depth,
                at_ms,
            } => {
                let received = Received {
                    event,
                    topic,
                    source,
                    depth,
                    at_ms,
                    payload: frame.body,
                };
                match self.events.try_send(received) {
                    Ok(()) => self.events_open += 1,
                    Err(_) => tracing::error!("the host sends more events than it may; one is dropped"),
                }
            }
            ToModule::Lagged { count } => tracing::warn!(count, "this module is too slow and lost messages"),
            ToModule::Published { request, error, .. } => {
                self.link.answer(request, error.map_or(Ok(Payload::Empty), Err));
            }
            ToModule::Data { request, error } => self.link.answer(request, error.map_or(Ok(frame.body), Err)),
            ToModule::Room {} => self.link.room.answer(),
            ToModule::Ping { ping } => wire.put(&ToHost::Pong { ping })?,
            ToModule::Shutdown { within_ms } => self.stop(Duration::from_millis(within_ms)),
            ToModule::Welcome(_) | ToModule::Refused { .. } => {}
        }
        Ok(())
    }

    fn begin(&mut self, request: TaskRequest, within: Duration) {
        let task = request.id;
        let handler = self.tasks.get(&request.name).cloned();
        let unknown = task::task_error(format!("this module has no task `{}`", request.name));
        let (token, window) = (CancellationToken::new(), Arc::new(Window::new(self.window_bytes)));
        let ctx = TaskContext::new(
            Arc::clone(&self.link),
            Arc::clone(&window),
            token.clone(),
            request,
            Instant::now() + within,
        );
        self.running.insert(
            task,
            Running {
                token: token.clone(),
                window,
            },
        );
        let (link, ended) = (Arc::clone(&self.link), self.ended.clone());
        self.workers.spawn(async move {
            let canceled = async {
                token.cancelled().await;
                tokio::time::sleep(CANCEL_GRACE).await;
            };
            let result = match handler {
                Some(handler) => tokio::select! {
                    result = task::run(handler, ctx) => result,
                    () = canceled => Err(task::task_error("the task was canceled".to_owned())),
                },
                None => Err(unknown),
            };
            end(&link, task, result).await;
            // The thread may have ended with the host.
            let _ = ended.send(Ended::Task(task)).await;
        });
    }
}

/// Sends a task's last message. A value that is too large becomes the task's error.
async fn end(link: &Link, task: u64, result: Result<Payload, crate::protocol::TaskError>) {
    let (error, body) = match result {
        Ok(body) => (None, body),
        Err(error) => (Some(error), Payload::Empty),
    };
    if let Err(error) = link.send(&ToHost::End { task, error }, &body).await {
        tracing::error!(task, %error, "a task's end cannot be sent");
        let error = Some(task::task_error(error.to_string()));
        // Fails if the host is gone, which needs no action.
        let _ = link.send(&ToHost::End { task, error }, &Payload::Empty).await;
    }
}
