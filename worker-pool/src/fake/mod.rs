//! An engine without V8 for tests. Scripts define their boot, and events the behavior of their handler.
//!
//! It can misbehave like an engine or a script; the rest is the real pool.

mod script;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::engine::{BootContext, BootError, Engine, Event, SlotId, ThreadError, Trim, Turn, Worker, WorkerNotice};
use crate::sync::channel;
use crate::sync::thread::{Builder, JoinHandle};

pub use self::script::{Boot, FakeScript};

/// Boots [`FakeScript`]s.
#[derive(Debug, Default)]
pub struct FakeEngine {
    threads_max: Option<usize>,
    threads: Arc<AtomicUsize>,
}

impl FakeEngine {
    /// Creates an engine.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Limits the number of concurrent threads, as an operating system does.
    #[must_use]
    pub const fn threads_max(mut self, threads_max: usize) -> Self {
        self.threads_max = Some(threads_max);
        self
    }
}

/// State of a thread that outlives its workers. Not `Sync`, like clients bound to a runtime.
#[derive(Debug, Default)]
pub struct FakeThread {
    visits: Cell<u64>,
}

impl FakeThread {
    /// Returns the number of this visit to the thread.
    pub fn visit(&self) -> u64 {
        self.visits.set(self.visits.get() + 1);
        self.visits.get()
    }
}

/// Behavior of an event's handler.
#[derive(Debug)]
pub enum Does {
    /// Answers with this number.
    Echo(u64),
    /// Answers with the script's [`FakeScript::version`].
    Version,
    /// Answers with the number of the worker.
    WorkerId,
    /// Answers 0 when the sender at the other end sends or is dropped.
    Wait(channel::Receiver<()>),
    /// Ends without an answer when canceled.
    Never,
    /// Answers 0 at once, and continues until the sender at the other end sends or is dropped, or it is canceled.
    GoOn(channel::Receiver<()>),
    /// Answers 0 at once, and continues as long as its session, or until the sender at the other end sends or is dropped.
    Stand(channel::Receiver<()>),
    /// Never answers, not even when canceled.
    Stubborn,
    /// Spins for this time, then answers 0.
    Spin(Duration),
    /// Blocks its thread, also when canceled, until the sender at the other end sends or is dropped; then answers 0.
    Block(channel::Receiver<()>),
    /// As [`Does::Block`], and the engine reports a long turn.
    BlockLong(channel::Receiver<()>),
    /// As [`Does::Block`], and the engine reports that it is stopping the worker with this outcome.
    BlockStopped(channel::Receiver<()>, Outcome),
    /// Throws.
    Throw,
    /// Panics in `begin`.
    Panic,
    /// Condemns the isolate with this outcome.
    Condemn(Outcome),
    /// Has the isolate condemned with this outcome once the sender at the other end sends or is dropped. Events that come meanwhile
    /// are not begun, and given back then.
    Condemning(channel::Receiver<()>, Outcome),
    /// Loses the worker, which does not begin the event.
    Lose,
    /// Runs a function on the worker's thread and answers with its result.
    Run(fn() -> u64),
    /// Spawns a local task that never ends, then answers 0.
    Spawn,
}

/// An event: the handler's behavior, and the channel for its answer.
#[derive(Debug)]
pub struct Call {
    does: Does,
    reply: Reply,
}

/// The answer to an event.
pub type Answer = Result<u64, Failure>;

/// Reply channel that sends a failure if it is dropped without an answer.
#[derive(Debug)]
struct Reply(Option<channel::Sender<Answer>>);

impl Reply {
    fn send(mut self, answer: Answer) {
        if let Some(to) = self.0.take() {
            let _ = to.try_send(answer);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        if let Some(to) = self.0.take() {
            let _ = to.try_send(Err(Failure::new(Outcome::WorkerLost, "the worker dropped the event")));
        }
    }
}

impl Call {
    /// Creates an event with this behavior, and the receiver of its answer.
    #[must_use]
    pub fn new(does: Does) -> (Self, channel::Receiver<Answer>) {
        let (to, reply) = channel::bounded(1);
        (
            Self {
                does,
                reply: Reply(Some(to)),
            },
            reply,
        )
    }

    /// Creates a [`Does::Echo`] event.
    #[must_use]
    pub fn echo(value: u64) -> (Self, channel::Receiver<Answer>) {
        Self::new(Does::Echo(value))
    }
}

impl Event for Call {
    fn fail(self, failure: Failure) {
        self.reply.send(Err(failure));
    }
}

impl Engine for FakeEngine {
    type Script = FakeScript;
    type Event = Call;
    type Thread = FakeThread;
    type Worker = FakeWorker;

    fn spawn_thread(&self, name: String, body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
        let counted = Counted::new(&self.threads);
        if self
            .threads_max
            .is_some_and(|max| self.threads.load(Ordering::SeqCst) > max)
        {
            return Err(std::io::Error::other("no more threads"));
        }
        let body = move || {
            body();
            drop(counted);
        };
        Builder::new().name(name).spawn(body)
    }

    fn start_thread(&self, _name: &str) -> Result<FakeThread, ThreadError> {
        Ok(FakeThread::default())
    }

    fn stops_code(script: &FakeScript) -> bool {
        script.stops_code
    }

    fn native_max(script: &FakeScript) -> Duration {
        script.native_max
    }

    fn events_max(script: &FakeScript) -> u64 {
        script.events_max
    }

    async fn boot(&self, _: &FakeThread, script: &Arc<FakeScript>, ctx: BootContext) -> Result<FakeWorker, BootError> {
        let before = script.boots.fetch_add(1, Ordering::SeqCst);
        match script.boot {
            Boot::Ready => {}
            Boot::After(time) => tokio::time::sleep(time).await,
            Boot::FailsTimes(times) if before >= times => {}
            Boot::FailsTimes(_) => return Err(BootError::new("not yet")),
            Boot::Fails(message) => return Err(BootError::new(message)),
            Boot::Hangs => std::future::pending().await,
            Boot::Blocks(ref until) => _ = until.recv(),
            Boot::Panics => panic!("a boot that panics"),
        }
        Ok(FakeWorker {
            number: ctx.worker.get(),
            notice: ctx.notice,
            alive: Counted::new(&script.alive),
            script: Arc::clone(script),
            running: HashMap::new(),
            done: Vec::new(),
            answered: Vec::new(),
            condemned: None,
            condemning: None,
            unbegun: BTreeMap::new(),
            returned: HashMap::new(),
            waker: None,
        })
    }
}

/// A member of a count, for as long as it lives.
#[derive(Debug)]
struct Counted(Arc<AtomicUsize>);

impl Counted {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

enum Running {
    Waits(channel::RecvFut<()>, Reply),
    Never(Reply),
    Stubborn(Reply),
}

/// A worker of a [`FakeScript`].
pub struct FakeWorker {
    number: u64,
    notice: WorkerNotice,
    script: Arc<FakeScript>,
    running: HashMap<SlotId, Running>,
    /// Last in, first out: the pool must not depend on the order.
    done: Vec<Done>,
    /// Reports of answered events that have not ended. Reported first.
    answered: Vec<Turn>,
    /// Reported after earlier ends.
    condemned: Option<Outcome>,
    /// It begins no event until it is condemned, with this outcome.
    condemning: Option<(channel::RecvFut<()>, Outcome)>,
    /// The events that came meanwhile, in the order of their slots, and those of them that it has reported.
    unbegun: BTreeMap<(u32, u32), Call>,
    returned: HashMap<SlotId, Call>,
    waker: Option<Waker>,
    #[expect(dead_code, reason = "counts while it lives")]
    alive: Counted,
}

/// An event that has ended and is still to be answered and reported.
struct Done {
    slot: SlotId,
    outcome: Outcome,
    reply: Reply,
    value: u64,
}

impl Drop for FakeWorker {
    fn drop(&mut self) {
        if let Some(until) = &self.script.drop_blocks {
            let _ = until.recv();
        }
    }
}

impl FakeWorker {
    fn ended(&mut self, slot: SlotId, outcome: Outcome, reply: Reply, value: u64) {
        self.done.push(Done {
            slot,
            outcome,
            reply,
            value,
        });
        self.wake();
    }

    fn wake(&mut self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }
}

impl Worker for FakeWorker {
    type Event = Call;

    fn begin(&mut self, slot: SlotId, Call { does, reply }: Call) {
        let is_lost = matches!(does, Does::Lose);
        if is_lost {
            self.condemned = Some(Outcome::WorkerLost);
        }
        if self.condemning.is_some() || is_lost {
            self.unbegun.insert((slot.index, slot.generation), Call { does, reply });
            return;
        }
        let running = match does {
            Does::Echo(value) => return self.ended(slot, Outcome::Ok, reply, value),
            Does::Version => return self.ended(slot, Outcome::Ok, reply, self.script.version),
            Does::WorkerId => return self.ended(slot, Outcome::Ok, reply, self.number),
            Does::Throw => return self.ended(slot, Outcome::Exception, reply, 0),
            Does::Run(run) => {
                let value = run();
                return self.ended(slot, Outcome::Ok, reply, value);
            }
            Does::Spin(time) => {
                let until = Instant::now() + time;
                while Instant::now() < until {
                    std::hint::spin_loop();
                }
                return self.ended(slot, Outcome::Ok, reply, 0);
            }
            Does::Block(until) => {
                let _ = until.recv();
                return self.ended(slot, Outcome::Ok, reply, 0);
            }
            Does::BlockLong(until) => {
                self.notice.long_turn();
                let _ = until.recv();
                return self.ended(slot, Outcome::Ok, reply, 0);
            }
            Does::BlockStopped(until, outcome) => {
                self.notice.stopping(Some(slot), outcome);
                let _ = until.recv();
                return self.ended(slot, Outcome::Ok, reply, 0);
            }
            Does::Spawn => {
                let counted = Counted::new(&self.script.leftovers);
                tokio::task::spawn_local(async move {
                    std::future::pending::<()>().await;
                    drop(counted);
                });
                return self.ended(slot, Outcome::Ok, reply, 0);
            }
            Does::Panic => panic!("an event that panics"),
            Does::Condemn(outcome) => {
                self.running.insert(slot, Running::Never(reply));
                self.condemned = Some(outcome);
                return self.wake();
            }
            Does::Condemning(until, outcome) => {
                self.condemning = Some((until.into_recv_async(), outcome));
                Running::Never(reply)
            }
            Does::Wait(until) => Running::Waits(until.into_recv_async(), reply),
            Does::GoOn(until) => {
                reply.send(Ok(0));
                self.answered.push(Turn::Answered { slot });
                Running::Waits(until.into_recv_async(), Reply(None))
            }
            Does::Stand(until) => {
                reply.send(Ok(0));
                self.answered.push(Turn::Session { slot });
                Running::Waits(until.into_recv_async(), Reply(None))
            }
            Does::Never | Does::Lose => Running::Never(reply),
            Does::Stubborn => Running::Stubborn(reply),
        };
        self.running.insert(slot, running);
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if let Some(answered) = self.answered.pop() {
            return Poll::Ready(answered);
        }
        if let Some(Done {
            slot,
            outcome,
            reply,
            value,
        }) = self.done.pop()
        {
            let failed = || Failure::new(outcome, "the handler failed");
            reply.send(if outcome == Outcome::Ok {
                Ok(value)
            } else {
                Err(failed())
            });
            return Poll::Ready(Turn::Ended { slot, outcome });
        }
        if let Some((until, outcome)) = &mut self.condemning
            && std::pin::Pin::new(until).poll(cx).is_ready()
        {
            self.condemned = Some(*outcome);
            self.condemning = None;
        }
        if let Some(outcome) = self.condemned {
            if let Some(((index, generation), call)) = self.unbegun.pop_first() {
                let slot = SlotId { index, generation };
                self.returned.insert(slot, call);
                let is_lost = outcome == Outcome::WorkerLost;
                return Poll::Ready(Turn::Returned { slot, is_lost });
            }
            return Poll::Ready(Turn::Condemned {
                outcome,
                reason: "it was asked to".to_owned(),
            });
        }
        let done = self.running.iter_mut().find_map(|(slot, running)| match running {
            Running::Waits(until, _) => std::pin::Pin::new(until).poll(cx).is_ready().then_some(*slot),
            _ => None,
        });
        if let Some(slot) = done
            && let Some(Running::Waits(_, reply)) = self.running.remove(&slot)
        {
            reply.send(Ok(0));
            return Poll::Ready(Turn::Ended {
                slot,
                outcome: Outcome::Ok,
            });
        }
        self.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn is_condemned(&self) -> bool {
        self.condemned.is_some()
    }

    fn cancel(&mut self, slot: SlotId, outcome: Outcome) {
        match self.running.remove(&slot) {
            Some(Running::Never(reply) | Running::Waits(_, reply)) => self.ended(slot, outcome, reply, 0),
            Some(stubborn) => drop(self.running.insert(slot, stubborn)),
            None => {}
        }
    }

    fn memory_bytes(&mut self) -> usize {
        self.script.memory_bytes
    }

    fn trim(&mut self, trim: Trim) {
        let count = match trim {
            Trim::Memory => &self.script.trims,
            Trim::Io => &self.script.io_ends,
        };
        count.fetch_add(1, Ordering::SeqCst);
    }

    fn take_back(&mut self, slot: SlotId) -> Option<Call> {
        self.returned.remove(&slot)
    }

    fn abandon(&mut self, failure: Failure) {
        for (_, running) in self.running.drain() {
            let (Running::Waits(_, reply) | Running::Never(reply) | Running::Stubborn(reply)) = running;
            reply.send(Err(failure.clone()));
        }
        // A panic occurred between their end and its report, so the pool and their callers count them as lost.
        self.done
            .drain(..)
            .for_each(|done| done.reply.send(Err(failure.clone())));
    }
}
