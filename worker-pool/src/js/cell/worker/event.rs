//! Carries one event's answer from its cell to its caller.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures::future::join_all;
use h2::client::ResponseFuture;
use isopod_outcome::Outcome;
use isopod_runtime::handlers::{Event as JsEvent, Fault, FaultKind};
use isopod_runtime::written::{AnswerError, Exported, Recipient, WrittenAnswer};
use tokio::sync::oneshot;
use tokio::time::sleep;

use super::control::TOLD_WITHIN;
use super::{Open, Parting, State, Verdict};
use crate::engine::{SlotId, Turn};
use crate::js::cell::bodies::{When, pull};
use crate::js::cell::line::Line;
use crate::js::cell::process::Life;
use crate::js::cell::serve::Served;
use crate::js::cell::wire::{Broken, Messages, Order, Report, take};

/// Maximum delay of the answer to the event that condemned its worker, while the worker has not gone.
const PARTED_WITHIN: Duration = Duration::from_millis(100);

/// An event that is being carried.
pub(super) struct Carried {
    pub(super) slot: SlotId,
    pub(super) open: Rc<Open>,
    pub(super) state: Rc<State>,
    pub(super) response: ResponseFuture,
    pub(super) line: Line,
    pub(super) served: Arc<Served>,
    pub(super) cancel_grace: Duration,
    pub(super) life: Arc<Life>,
}

/// The end of a cell's messages about an event.
enum End {
    Ended(Outcome),
    /// The event has not begun.
    Unbegun,
    /// The event was canceled, and the cell did not end it.
    Ignored(Outcome),
}

/// Carries the items and the answer of an event to its caller, and reports its end.
pub(super) async fn carry(carried: Carried) {
    let Carried { slot, open, state, .. } = &carried;
    let (slot, open, state) = (*slot, Rc::clone(open), Rc::clone(state));
    let (served, life, number) = (Arc::clone(&carried.served), Arc::clone(&carried.life), open.number);
    match carried.run().await {
        Ok(End::Ended(outcome)) => {
            // A cell reports this only after it has answered all events.
            open.fail(Fault::new(
                FaultKind::WorkerLost,
                "the worker's process ended the event without an answer",
            ));
            state.end(slot, outcome);
        }
        Ok(End::Unbegun) => return_unbegun(&state, slot, &open, &served, false),
        Ok(End::Ignored(outcome)) => {
            open.fail(Fault::new(
                outcome.into(),
                "the worker's process did not end the event in time",
            ));
            // The worker runs code of another event, which has limits of its own.
            if state.in_long_turn.get() && state.last.get() != Some(slot) {
                state.end(slot, outcome);
                served.withdraw(number);
                return;
            }
            state.end(slot, outcome);
            let verdict = Verdict {
                outcome: Outcome::WorkerLost,
                reason: "the worker did not end a canceled event in time".to_owned(),
                is_for_one: true,
            };
            state.kill(&life, verdict).await;
        }
        // If the cell has ended, `listen` reports how, and fails the event or gives it back.
        Err(error) => {
            tracing::debug!(%error, "the stream of an event broke off");
            sleep(TOLD_WITHIN).await;
            let verdict = Verdict {
                outcome: Outcome::WorkerLost,
                reason: format!("the worker's process broke off an event: {error}"),
                is_for_one: false,
            };
            state.kill(&life, verdict).await;
        }
    }
    served.withdraw(number);
}

/// Gives an event back that the cell has not begun and will not; with `is_lost`, because it has ended.
pub(super) fn return_unbegun(state: &State, slot: SlotId, open: &Open, served: &Served, is_lost: bool) {
    let recipient = open.recipient.borrow_mut().take();
    match recipient.map(|recipient| again(&open.begin, recipient, served, open.number, state.value_bytes_max)) {
        Some(Ok(event)) => state.give_back(slot, event, is_lost),
        Some(Err(fault)) => state.end(slot, fault.into()),
        // The event has failed already.
        None => state.end(slot, Outcome::WorkerLost),
    }
    served.withdraw(open.number);
}

/// Restores an event that a cell has not begun. An error is the kind of failure with which its caller was answered.
pub(super) fn again(
    begin: &[u8],
    recipient: Recipient,
    served: &Served,
    number: u64,
    bytes_max: usize,
) -> Result<JsEvent, FaultKind> {
    let written = take::<Order>(&mut BytesMut::from(begin));
    let (Ok(Some(Order::Begin { event, .. })), Some(recalled)) = (written, served.recall(number)) else {
        let message = "the worker's process gave the event back, and had taken some of it";
        recipient.fail(Fault::new(FaultKind::WorkerLost, message));
        return Err(FaultKind::WorkerLost);
    };
    let exported = Exported {
        event: *event,
        bodies: recalled.bodies,
        functions: recalled.functions,
        stubs: recalled.stubs,
        recipient,
    };
    exported.restore(bytes_max).map_err(|_| FaultKind::Exception)
}

impl Carried {
    async fn run(self) -> Result<End, Broken> {
        let open = Rc::clone(&self.open);
        let cancel_grace = self.cancel_grace;
        let ignored = async {
            let outcome = open.canceled().await;
            sleep(cancel_grace).await;
            outcome
        };
        tokio::select! {
            end = self.follow() => end,
            outcome = ignored => Ok(End::Ignored(outcome)),
        }
    }

    async fn follow(self) -> Result<End, Broken> {
        let mut incoming = Messages::new(self.response.await?.into_body());
        let mut bodies: Vec<oneshot::Receiver<()>> = Vec::new();
        let value_bytes_max = self.line.value_bytes_max();
        let mut is_refused = false;
        let mut is_streaming = false;
        let mut failed = None;
        let outcome = loop {
            let length = incoming.announced().await?.unwrap_or(0);
            // Until it is handed to the caller, or taken apart for one who takes it later.
            let held = self.line.transit().reply(length).await;
            match incoming.next::<Report>().await? {
                Some(Report::Item(item)) => {
                    drop(held);
                    // Not borrowed meanwhile, because the event may fail while its caller is slow.
                    let recipient = self.open.recipient.borrow_mut().take();
                    let Some(mut recipient) = recipient else { continue };
                    let taken = recipient.item(item, value_bytes_max).await;
                    *self.open.recipient.borrow_mut() = Some(recipient);
                    if !taken.map_err(|error| Broken(error.to_string()))? {
                        self.open.order(&Order::CloseItems);
                    }
                }
                // Sent with the end of the event, so that the next event of its caller does not reach the condemned worker.
                Some(Report::Answer(answer, _)) if condemns(&answer) => failed = Some(*answer),
                Some(Report::Answer(answer, stubs)) => {
                    // Stubs that are not used are released.
                    let mut stubs: Vec<_> = self.line.borrow(stubs).into_iter().map(Some).collect();
                    let recipient = self.open.recipient.borrow_mut().take();
                    let Some(recipient) = recipient else { continue };
                    let stream = |number| {
                        let (body, closed) = pull(self.line.other_side(), self.open.number, number, When::Now);
                        bodies.push(closed);
                        Some(body)
                    };
                    let socket = match *answer {
                        WrittenAnswer::Response { has_socket: true, .. } => {
                            self.line.socket(self.open.number, Arc::clone(&self.open.failed))
                        }
                        _ => None,
                    };
                    let socket = socket.map(|(socket, _)| socket);
                    let stub = |number: u32| stubs.get_mut(number as usize)?.take();
                    match recipient.answer(*answer, stream, stub, socket, value_bytes_max) {
                        Ok(()) => {}
                        Err(AnswerError::Frame(error)) => return Err(Broken(error.to_string())),
                        Err(_) => is_refused = true,
                    }
                }
                Some(Report::Session) => self.state.push(Turn::Session { slot: self.slot }),
                Some(Report::Unbegun) => {
                    drop(self.open.orders.borrow_mut().send_data(Bytes::new(), true));
                    return Ok(End::Unbegun);
                }
                Some(Report::Streaming) => {
                    is_streaming = true;
                    self.state.push(Turn::Streaming { slot: self.slot });
                }
                Some(Report::Answered) => self.state.push(Turn::Answered { slot: self.slot }),
                Some(Report::Ended { outcome, memory_bytes }) => {
                    self.state
                        .memory_bytes
                        .set(usize::try_from(memory_bytes).unwrap_or(usize::MAX));
                    break outcome;
                }
                None => return Err(Broken("it ended without its last message".to_owned())),
            }
        };
        if let Some(failed) = failed
            && let Some(recipient) = self.open.recipient.borrow_mut().take()
        {
            let answer = failed;
            self.state.parting.borrow_mut().push(Parting { recipient, answer });
            let state = Rc::clone(&self.state);
            tokio::task::spawn_local(async move {
                sleep(PARTED_WITHIN).await;
                state.part();
            });
        }
        // The worker and its process may be dropped once the event has ended, so the answer must have been read before.
        bodies.retain_mut(|closed| closed.try_recv() == Err(oneshot::error::TryRecvError::Empty));
        if !bodies.is_empty() {
            if !is_streaming {
                self.state.push(Turn::Streaming { slot: self.slot });
            }
            tokio::select! {
                _ = join_all(bodies) => {}
                _ = self.open.canceled() => {}
            }
        }
        drop(self.open.orders.borrow_mut().send_data(Bytes::new(), true));
        Ok(End::Ended(match (outcome, is_refused) {
            // The worker does not know that its caller could not read the answer.
            (Outcome::Ok, true) => Outcome::Exception,
            (outcome, _) => outcome,
        }))
    }
}

/// Returns whether a worker is condemned with such an answer.
fn condemns(answer: &WrittenAnswer) -> bool {
    let WrittenAnswer::Failed(fault) = answer else {
        return false;
    };
    matches!(
        Fault::from(fault.clone()).kind,
        FaultKind::ExceededCpu | FaultKind::ExceededMemory
    )
}
