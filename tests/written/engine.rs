//! An engine whose workers run in this process, and to which events and answers cross in written form, as they would to workers
//! in processes of their own.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};
use std::thread::JoinHandle;
use std::time::Instant;

use futures::FutureExt as _;
use futures::channel::oneshot;
use isopod::engine::written::{Answered, Exported, Frame, FrameError, Owed, Recipient, export, import};
use isopod::engine::{
    BootContext, BootError, Engine, Fault, FaultKind, JsEngine, JsWorker, ScriptEvent as Event, SlotId, ThreadError,
    Trim, Turn, Worker,
};
use isopod::{Failure, Outcome, Script};
use tokio::runtime::Runtime;

use crate::wires::{passed, taken, wires};

/// What the parts of a value may count where it is read.
const VALUE_BYTES_MAX: usize = 32 << 20;

/// What crosses is carried here: on neither the caller's runtime nor the worker's.
pub(crate) fn links() -> &'static Runtime {
    static LINKS: OnceLock<Runtime> = OnceLock::new();
    LINKS.get_or_init(|| {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        runtime.worker_threads(2).build().expect("a runtime")
    })
}

pub(crate) struct WrittenEngine(pub(crate) JsEngine);

impl Engine for WrittenEngine {
    type Script = Script;
    type Event = Event;
    type Thread = <JsEngine as Engine>::Thread;
    type Worker = WrittenWorker;

    fn spawn_thread(&self, name: String, body: Box<dyn FnOnce() + Send>) -> std::io::Result<JoinHandle<()>> {
        self.0.spawn_thread(name, body)
    }

    fn start_thread(&self, name: &str) -> Result<Self::Thread, ThreadError> {
        self.0.start_thread(name)
    }

    fn stops_code(script: &Script) -> bool {
        JsEngine::stops_code(script)
    }

    fn events_max(script: &Script) -> u64 {
        JsEngine::events_max(script)
    }

    async fn boot(
        &self,
        thread: &Self::Thread,
        script: &Arc<Script>,
        ctx: BootContext,
    ) -> Result<WrittenWorker, BootError> {
        let worker = self.0.boot(thread, script, ctx).await?;
        Ok(WrittenWorker {
            worker,
            delivered: HashMap::new(),
            ended: Vec::new(),
            condemned: None,
        })
    }
}

pub(crate) struct WrittenWorker {
    worker: JsWorker,
    delivered: HashMap<SlotId, oneshot::Receiver<Delivered>>,
    /// Events that have ended, and whose answers are on their way.
    ended: Vec<(SlotId, Outcome, Option<oneshot::Receiver<Delivered>>)>,
    condemned: Option<Turn>,
}

/// What became of an answer where the caller is.
#[derive(Clone, Copy)]
enum Delivered {
    Taken,
    /// It was of another shape than the caller asked for: the event failed.
    Refused,
}

impl WrittenWorker {
    /// Passes an event on in written form. `None`: it could not be, and the caller has been told.
    fn pass(&mut self, slot: SlotId, event: Event) -> Option<Event> {
        let Exported {
            event,
            bodies,
            functions,
            stubs,
            recipient,
        } = export(event).ok()?;
        let imported = passed(Frame::Event(event)).and_then(|frame| match frame {
            Frame::Event(event) => {
                let function = |number| functions.get(number as usize).cloned();
                import(event, wires(bodies), function, taken(stubs), VALUE_BYTES_MAX)
            }
            other => panic!("an event became {other:?}"),
        });
        let (event, owed) = match imported {
            Ok(imported) => imported,
            Err(error) => {
                recipient.fail(Fault::new(FaultKind::Exception, error.to_string()));
                return None;
            }
        };
        let (to, delivered) = oneshot::channel();
        self.delivered.insert(slot, delivered);
        links().spawn(async move {
            if let Some(delivered) = carry(owed, recipient).await {
                let _ = to.send(delivered);
            }
        });
        Some(event)
    }
}

/// Carries the items and the answer of an event to its caller. `None`: there was no answer.
async fn carry(mut owed: Owed, mut recipient: Recipient) -> Option<Delivered> {
    while let Some(item) = owed.item().await {
        let taken = match passed(Frame::Item(item)) {
            Ok(Frame::Item(item)) => recipient.item(item, VALUE_BYTES_MAX).await,
            Ok(other) => panic!("an item became {other:?}"),
            Err(error) => Err(error),
        };
        if taken != Ok(true) {
            owed.close_items();
        }
    }
    let Answered {
        answer,
        bodies,
        stubs,
        socket,
    } = owed.answer().await?;
    match passed(Frame::Answer(answer)) {
        Ok(Frame::Answer(answer)) => {
            match recipient.answer(answer, wires(bodies), taken(stubs), socket, VALUE_BYTES_MAX) {
                Ok(()) => Some(Delivered::Taken),
                Err(_) => Some(Delivered::Refused),
            }
        }
        Ok(other) => panic!("an answer became {other:?}"),
        Err(error @ FrameError::TooLarge(_)) => {
            recipient.fail(Fault::new(FaultKind::Exception, error.to_string()));
            Some(Delivered::Refused)
        }
        Err(error) => panic!("an answer is decoded as it was: {error}"),
    }
}

impl Worker for WrittenWorker {
    type Event = Event;

    fn begin(&mut self, slot: SlotId, event: Event) {
        match self.pass(slot, event) {
            Some(event) => self.worker.begin(slot, event),
            None => self.ended.push((slot, Outcome::Exception, None)),
        }
    }

    fn stop_at(&mut self, slot: SlotId, at: Instant) {
        self.worker.stop_at(slot, at);
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            let told = |delivered: &mut Option<oneshot::Receiver<Delivered>>, cx: &mut Context<'_>| match delivered {
                None => Poll::Ready(Delivered::Taken),
                Some(delivered) => delivered.poll_unpin(cx).map(|told| told.unwrap_or(Delivered::Taken)),
            };
            for at in 0..self.ended.len() {
                if let Poll::Ready(delivered) = told(&mut self.ended[at].2, cx) {
                    let (slot, outcome, _) = self.ended.swap_remove(at);
                    // What its caller could not take, the worker cannot know of.
                    let outcome = match (outcome, delivered) {
                        (Outcome::Ok, Delivered::Refused) => Outcome::Exception,
                        (outcome, _) => outcome,
                    };
                    return Poll::Ready(Turn::Ended { slot, outcome });
                }
            }
            if let Some(condemned) = self.condemned.clone().filter(|_| self.ended.is_empty()) {
                return Poll::Ready(condemned);
            }
            match self.worker.poll(cx) {
                Poll::Ready(Turn::Ended { slot, outcome }) => {
                    let delivered = self.delivered.remove(&slot);
                    self.ended.push((slot, outcome, delivered));
                }
                Poll::Ready(condemned @ Turn::Condemned { .. }) if !self.ended.is_empty() => {
                    self.condemned = Some(condemned);
                    return Poll::Pending;
                }
                turn => return turn,
            }
        }
    }

    fn is_condemned(&self) -> bool {
        self.worker.is_condemned()
    }

    fn cancel(&mut self, slot: SlotId, outcome: Outcome) {
        self.worker.cancel(slot, outcome);
    }

    fn memory_bytes(&mut self) -> usize {
        self.worker.memory_bytes()
    }

    fn trim(&mut self, trim: Trim) {
        self.worker.trim(trim);
    }

    fn abandon(&mut self, failure: Failure) {
        self.worker.abandon(failure);
    }
}
