//! The engine of every pool: the embedder's engine with native workers added.

use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::engine::{BootContext, BootError, Engine, Event, SessionId, SlotId, ThreadError, Trim, Turn, Worker};
use crate::native::Task;
use crate::native::worker::NativeWorker;
use crate::options::Meta;
use crate::reject::Rejected;
use crate::session::SessionHost;
use crate::sync::thread::JoinHandle;
use crate::ticket::Ticket;

/// An engine with native workers.
pub(crate) struct WithNative<E>(pub(crate) E);

/// A deployment: a script or a name for native tasks.
pub(crate) enum Code<S> {
    /// A script of the engine.
    Script(Arc<S>),
    /// A name for native tasks.
    Native,
}

/// Work for a worker.
pub(crate) enum Work<E: Engine> {
    Event(E::Event),
    Task(Task<E::Thread>),
}

/// A worker for either kind of work.
pub(crate) enum Host<E: Engine> {
    Script(E::Worker),
    Native(NativeWorker<E::Thread>),
}

impl<E: Engine> Engine for WithNative<E> {
    type Script = Code<E::Script>;
    type Event = Work<E>;
    /// Shared with the thread's tasks while they run.
    type Thread = Rc<E::Thread>;
    type Worker = Host<E>;

    fn spawn_thread(&self, name: String, body: Box<dyn FnOnce() + Send>) -> io::Result<JoinHandle<()>> {
        self.0.spawn_thread(name, body)
    }

    fn start_thread(&self, name: &str) -> Result<Self::Thread, ThreadError> {
        self.0.start_thread(name).map(Rc::new)
    }

    fn suits(script: &Self::Script, event: &Self::Event) -> bool {
        match (script, event) {
            (Code::Script(script), Work::Event(event)) => E::suits(script, event),
            (Code::Native, Work::Task(_)) => true,
            _ => false,
        }
    }

    fn stops_code(script: &Self::Script) -> bool {
        match script {
            Code::Script(script) => E::stops_code(script),
            Code::Native => false,
        }
    }

    fn native_max(script: &Self::Script) -> Duration {
        match script {
            Code::Script(script) => E::native_max(script),
            Code::Native => Duration::ZERO,
        }
    }

    fn events_max(script: &Self::Script) -> u64 {
        match script {
            Code::Script(script) => E::events_max(script),
            Code::Native => u64::MAX,
        }
    }

    async fn boot(
        &self,
        thread: &Self::Thread,
        script: &Arc<Self::Script>,
        ctx: BootContext,
    ) -> Result<Self::Worker, BootError> {
        match &**script {
            Code::Script(script) => self.0.boot(thread, script, ctx).await.map(Host::Script),
            Code::Native => Ok(Host::Native(NativeWorker::new(Rc::clone(thread)))),
        }
    }
}

/// Adapts the sessions of a pool, whose events are [`Work`], to the engine's events.
pub(crate) struct Sessions<E: Engine>(pub(crate) Arc<dyn SessionHost<Work<E>>>);

impl<E: Engine> SessionHost<E::Event> for Sessions<E> {
    fn dispatch(
        self: Arc<Self>,
        session: SessionId,
        event: E::Event,
        meta: Meta,
    ) -> Result<Ticket, Rejected<E::Event>> {
        let dispatched = Arc::clone(&self.0).dispatch(session, Work::Event(event), meta);
        dispatched.map_err(returned)
    }

    fn has_room(&self, session: SessionId) -> bool {
        self.0.has_room(session)
    }

    fn retain(&self, session: SessionId) {
        self.0.retain(session);
    }

    fn release(&self, session: SessionId) {
        self.0.release(session);
    }
}

/// Unwraps the engine's event that the pool returns.
pub(crate) fn returned<E: Engine>(Rejected { event, reason }: Rejected<Work<E>>) -> Rejected<E::Event> {
    Rejected {
        event: event.event().expect("what is handed back is what was handed over"),
        reason,
    }
}

impl<E: Engine> Work<E> {
    /// Returns the engine's event, if the work is one.
    pub(crate) fn event(self) -> Option<E::Event> {
        match self {
            Self::Event(event) => Some(event),
            Self::Task(_) => None,
        }
    }
}

impl<E: Engine> Event for Work<E> {
    fn fail(self, failure: Failure) {
        match self {
            Self::Event(event) => event.fail(failure),
            Self::Task(task) => task.fail(failure),
        }
    }
}

impl<E: Engine> Worker for Host<E> {
    type Event = Work<E>;

    fn begin(&mut self, slot: SlotId, event: Work<E>) {
        match (self, event) {
            (Self::Script(worker), Work::Event(event)) => worker.begin(slot, event),
            (Self::Native(worker), Work::Task(task)) => worker.begin(slot, task),
            // Unreachable, because `suits` refuses such events.
            (_, event) => event.fail(Failure::new(
                Outcome::Exception,
                "the worker does not handle such events",
            )),
        }
    }

    fn stop_at(&mut self, slot: SlotId, at: Instant) {
        if let Self::Script(worker) = self {
            worker.stop_at(slot, at);
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        match self {
            Self::Script(worker) => worker.poll(cx),
            Self::Native(worker) => worker.poll(cx),
        }
    }

    fn is_condemned(&self) -> bool {
        match self {
            Self::Script(worker) => worker.is_condemned(),
            Self::Native(_) => false,
        }
    }

    fn is_in_long_turn(&self) -> bool {
        match self {
            Self::Script(worker) => worker.is_in_long_turn(),
            Self::Native(_) => false,
        }
    }

    fn cancel(&mut self, slot: SlotId, outcome: Outcome) {
        match self {
            Self::Script(worker) => worker.cancel(slot, outcome),
            Self::Native(worker) => worker.cancel(slot, outcome),
        }
    }

    fn memory_bytes(&mut self) -> usize {
        match self {
            Self::Script(worker) => worker.memory_bytes(),
            Self::Native(_) => 0,
        }
    }

    fn trim(&mut self, trim: Trim) {
        if let Self::Script(worker) = self {
            worker.trim(trim);
        }
    }

    fn take_back(&mut self, slot: SlotId) -> Option<Work<E>> {
        match self {
            Self::Script(worker) => worker.take_back(slot).map(Work::Event),
            Self::Native(_) => None,
        }
    }

    fn abandon(&mut self, failure: Failure) {
        match self {
            Self::Script(worker) => worker.abandon(failure),
            Self::Native(worker) => worker.abandon(&failure),
        }
    }
}
