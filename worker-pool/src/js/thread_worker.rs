//! A worker of `isopod-runtime` on a thread of the pool, as the pool's [`Worker`].

use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use isopod_outcome::{Failure, Outcome};
use isopod_runtime::fetcher::Loopback;
use isopod_runtime::handlers::{Event as JsEvent, EventKey, Fault, KeyMap};
use isopod_runtime::{BootOptions, Noticed, OnNotice, Script, WorkerThread};

use super::fault::{failure, fault};
use crate::engine::{BootContext, BootError, SlotId, Trim, Turn, Worker};

/// A worker of `isopod-runtime`, with the slots of its events.
pub(super) struct ThreadWorker {
    worker: isopod_runtime::Worker,
    /// The events by the index of their slot.
    events: Vec<Option<Begun>>,
    slots: KeyMap<SlotId>,
    /// Stop time of the event that begins next.
    next_stop: Option<(SlotId, Instant)>,
}

/// An event in a slot.
#[derive(Clone, Copy)]
struct Begun {
    slot: SlotId,
    /// Its key in the worker.
    key: EventKey,
    /// It was answered with a stream.
    is_streaming: bool,
}

impl ThreadWorker {
    /// Starts a worker.
    pub(super) async fn boot(
        thread: &WorkerThread,
        script: &Arc<Script>,
        ctx: BootContext,
        loopback: Option<Loopback>,
    ) -> Result<Self, BootError> {
        let notice = ctx.notice;
        let options = BootOptions {
            worker: ctx.worker.get(),
            stop_at: ctx.stop_at,
            // If its thread gets stuck, the pool detects it.
            on_notice: Some(OnNotice::new(move |noticed| match noticed {
                Noticed::LongTurn => notice.long_turn(),
                Noticed::Stopping(limit) => notice.stopping(None, limit.into()),
            })),
            loopback,
            is_single_use: ctx.events_max == Some(1),
        };
        let worker = isopod_runtime::Worker::boot(thread, script, options).await;
        worker.map(Self::new).map_err(|fault| BootError(failure(fault)))
    }

    fn new(worker: isopod_runtime::Worker) -> Self {
        Self {
            worker,
            events: Vec::new(),
            slots: KeyMap::default(),
            next_stop: None,
        }
    }

    fn begun(&mut self, slot: SlotId) -> Option<&mut Begun> {
        let begun = self.events.get_mut(slot.index())?.as_mut();
        begun.filter(|begun| begun.slot == slot)
    }
}

impl Worker for ThreadWorker {
    type Event = JsEvent;

    fn begin(&mut self, slot: SlotId, event: JsEvent) {
        let stop_at = self.next_stop.take().filter(|(of, _)| *of == slot).map(|(_, at)| at);
        let key = self.worker.begin_until(event, stop_at);
        if self.events.len() <= slot.index() {
            self.events.resize(slot.index() + 1, None);
        }
        self.events[slot.index()] = Some(Begun {
            slot,
            key,
            is_streaming: false,
        });
        self.slots.insert(key, slot);
    }

    fn stop_at(&mut self, slot: SlotId, at: Instant) {
        match self.begun(slot).map(|begun| begun.key) {
            Some(key) => self.worker.stop_at(key, at),
            None => self.next_stop = Some((slot, at)),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        loop {
            match self.worker.poll(cx) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(isopod_runtime::Turn::Condemned(fault)) => {
                    return Poll::Ready(Turn::Condemned {
                        outcome: fault.kind.into(),
                        reason: fault.message,
                    });
                }
                Poll::Ready(isopod_runtime::Turn::Session { event }) => {
                    let Some(slot) = self.slots.get(&event) else {
                        continue;
                    };
                    return Poll::Ready(Turn::Session { slot: *slot });
                }
                Poll::Ready(isopod_runtime::Turn::Streaming { event }) => {
                    let Some(slot) = self.slots.get(&event).copied() else {
                        continue;
                    };
                    if let Some(begun) = self.begun(slot) {
                        begun.is_streaming = true;
                    }
                    return Poll::Ready(Turn::Streaming { slot });
                }
                Poll::Ready(isopod_runtime::Turn::Answered { event }) => {
                    let Some(slot) = self.slots.get(&event) else {
                        continue;
                    };
                    return Poll::Ready(Turn::Answered { slot: *slot });
                }
                Poll::Ready(isopod_runtime::Turn::Ended { event, result }) => {
                    let Some(slot) = self.slots.remove(&event) else {
                        continue;
                    };
                    if self.begun(slot).is_some() {
                        self.events[slot.index()] = None;
                    }
                    let outcome = result.err().map_or(Outcome::Ok, Outcome::from);
                    return Poll::Ready(Turn::Ended { slot, outcome });
                }
            }
        }
    }

    fn is_condemned(&self) -> bool {
        self.worker.is_condemned()
    }

    fn cancel(&mut self, slot: SlotId, outcome: Outcome) {
        let Some(begun) = self.begun(slot).copied() else { return };
        let message = match outcome {
            Outcome::ExceededWall if begun.is_streaming => {
                "the response's stream did not end within its limit (`limits.stream`)"
            }
            Outcome::ExceededWall => "the handler did not answer within its wall-clock limit",
            _ => "the caller disconnected, or the pool is shutting down",
        };
        self.worker.cancel(begun.key, Fault::new(outcome.into(), message));
    }

    fn memory_bytes(&mut self) -> usize {
        self.worker.memory_bytes()
    }

    fn trim(&mut self, trim: Trim) {
        match trim {
            Trim::Memory => self.worker.collect_garbage(),
            Trim::Io => self.worker.stop_io(),
        }
    }

    fn abandon(&mut self, failure: Failure) {
        self.worker.abandon(&fault(failure));
    }
}
