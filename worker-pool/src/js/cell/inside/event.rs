//! One event of a cell, between its stream and the worker.

use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use h2::SendStream;
use h2::server::SendResponse;
use http::Response;
use isopod_outcome::Outcome;
use isopod_runtime::handlers::{Fault, FaultKind};
use isopod_runtime::remote::function_of;
use isopod_runtime::written::{Answered, Owed, WrittenAnswer, WrittenItem, import_to, owe};
use tokio::sync::{Notify, mpsc};

use super::shared::Inside;
use super::waiting::Begin;
use super::worker::{Mail, TURNS_MAX};
use crate::engine::SlotId;
use crate::js::cell::bodies::{When, pull};
use crate::js::cell::wire::{Broken, Messages, Order, Report, encode, write};

/// Passes an event to the worker, and sends its items, its answer and its turns to the pool.
pub(super) async fn handle(
    inside: &Arc<Inside>,
    request: h2::RecvStream,
    respond: SendResponse<Bytes>,
) -> Result<(), Broken> {
    let mut incoming = Messages::new(request);
    let Some(Order::Begin {
        number,
        slot,
        event,
        stubs,
        long_turns,
        stop_in,
    }) = incoming.next::<Order>().await?
    else {
        return Err(Broken("an event begins first".to_owned()));
    };
    let slot = SlotId {
        index: slot.0,
        generation: slot.1,
    };
    let (owing, owed) = owe(&event);
    let from = Arc::clone(inside);
    // Runs on the worker's thread, so that nothing of the event is released before it begins.
    let make = move || {
        let line = &from.line;
        let stream = |body| Some(pull(line.other_side(), number, body, When::Read).0);
        let mut stubs: Vec<_> = line.borrow(stubs).into_iter().map(Some).collect();
        let stub = |number: u32| stubs.get_mut(number as usize)?.take();
        let function = |function| Some(function_of(number, function, &from.remote));
        import_to(owing, *event, stream, function, stub, line.value_bytes_max()).ok()
    };
    let (turns, turned) = mpsc::channel(TURNS_MAX);
    let begin = Begin {
        number,
        make: Box::new(make),
        stop_at: stop_in.and_then(|after| Instant::now().checked_add(after)),
        turns,
    };
    let mut reports = Reports { respond, to: None };
    if !inside.waiting.add(slot, long_turns, begin) {
        reports.send(&Report::Unbegun).await?;
        return reports.end();
    }
    if inside.mail.send(Mail::Begin(slot)).await.is_err() {
        return Err(Broken("the worker's thread has ended".to_owned()));
    }
    let event = Event { inside, number, slot };
    let told = event.tell(Owes::Items(owed), turned, incoming, reports).await;
    if told.is_err() {
        inside.line.offers().withdraw(number);
        inside.line.offers().take_back(number);
        event.leave().await;
    }
    told
}

/// An event that was passed to the worker.
struct Event<'a> {
    inside: &'a Inside,
    number: u64,
    slot: SlotId,
}

impl Event<'_> {
    /// Reports to the pool what becomes of the event, and forwards the pool's orders.
    async fn tell(
        &self,
        mut owes: Owes,
        mut turned: mpsc::Receiver<Report>,
        incoming: Messages,
        mut reports: Reports,
    ) -> Result<(), Broken> {
        let closed = Notify::new();
        let mut heeding = pin!(self.heed(incoming, &closed));
        let (mut is_heeded, mut is_answered, mut has_offered) = (false, false, false);
        let mut ended = None;
        while !is_answered || ended.is_none() {
            tokio::select! {
                biased;
                owed = owes.next(&closed), if !is_answered => match owed {
                    Some(Paid::Item(item)) => reports.send(&Report::Item(item)).await?,
                    Some(Paid::Answer(answered)) => {
                        is_answered = true;
                        let (answer, offered) = self.answer(*answered);
                        has_offered = offered;
                        let bytes = match encode(&answer) {
                            Ok(bytes) => bytes,
                            Err(Broken(error)) => {
                                ended = Some(Report::Ended { outcome: Outcome::Exception, memory_bytes: 0 });
                                encode(&self.too_large(error))?
                            }
                        };
                        reports.write(bytes).await?;
                    }
                    None => is_answered = true,
                },
                turn = turned.recv(), if ended.is_none() => match turn {
                    Some(Report::Unbegun) => {
                        reports.send(&Report::Unbegun).await?;
                        return reports.end();
                    }
                    Some(turn @ Report::Ended { .. }) => ended = Some(turn),
                    Some(turn) => reports.send(&turn).await?,
                    None => ended = Some(Report::Ended { outcome: Outcome::WorkerLost, memory_bytes: 0 }),
                },
                () = &mut heeding, if !is_heeded => is_heeded = true,
            }
        }
        if let Some(ended) = ended {
            reports.send(&ended).await?;
        }
        if has_offered {
            // The pool closes its side once it has requested all bodies. Otherwise, the end of this side is that of the stream, and
            // the pool need not send another message.
            if !is_heeded {
                heeding.await;
            }
            self.inside.line.offers().withdraw(self.number);
        }
        // A pool that has reset the stream has all of it as well.
        drop(reports.end());
        Ok(())
    }

    /// Offers the parts of an answer to the pool, and returns whether there are any.
    fn answer(&self, answered: Answered) -> (Report, bool) {
        let Answered {
            answer,
            bodies,
            stubs,
            socket,
        } = answered;
        let offers = self.inside.line.offers();
        let has_offered = !bodies.is_empty() || !stubs.is_empty() || socket.is_some();
        offers.add(self.number, bodies);
        offers.add_socket(self.number, socket);
        (
            Report::Answer(Box::new(answer), offers.lend(self.number, stubs)),
            has_offered,
        )
    }

    /// The answer in the place of one that is too large for a frame.
    fn too_large(&self, error: String) -> Report {
        self.inside.line.offers().take_back(self.number);
        let fault = Fault::new(FaultKind::Exception, error);
        Report::Answer(Box::new(WrittenAnswer::Failed((&fault).into())), Vec::new())
    }

    /// Forwards the orders of the event's caller. If the stream breaks off, the caller has left.
    async fn heed(&self, mut incoming: Messages, closed: &Notify) {
        let slot = self.slot;
        loop {
            let mail = match incoming.next::<Order>().await {
                Ok(Some(Order::StopIn(after))) => Instant::now().checked_add(after).map(|at| Mail::StopAt(slot, at)),
                Ok(Some(Order::Cancel(outcome))) => Some(Mail::Cancel(slot, outcome)),
                Ok(Some(Order::CloseItems)) => {
                    closed.notify_one();
                    None
                }
                Ok(Some(Order::Begin { .. }) | None) => return,
                Err(_) => return self.leave().await,
            };
            if let Some(mail) = mail {
                drop(self.inside.mail.send(mail).await);
            }
        }
    }

    /// Tells the worker that the caller has left.
    async fn leave(&self) {
        let cancel = Mail::Cancel(self.slot, Outcome::Canceled);
        drop(self.inside.mail.send(cancel).await);
    }
}

/// The messages to the pool. The first one begins the response, so that both are sent together.
struct Reports {
    respond: SendResponse<Bytes>,
    to: Option<SendStream<Bytes>>,
}

impl Reports {
    async fn send(&mut self, report: &Report) -> Result<(), Broken> {
        self.write(encode(report)?).await
    }

    async fn write(&mut self, bytes: Bytes) -> Result<(), Broken> {
        let to = match &mut self.to {
            Some(to) => to,
            None => self.to.insert(self.respond.send_response(Response::new(()), false)?),
        };
        write(to, bytes).await
    }

    fn end(self) -> Result<(), Broken> {
        match self.to {
            Some(mut to) => Ok(to.send_data(Bytes::new(), true)?),
            None => Ok(()),
        }
    }
}

/// The rest that the worker owes the caller of an event.
enum Owes {
    /// Items, and then the answer.
    Items(Owed),
    Answer(Pin<Box<dyn Future<Output = Option<Answered>> + Send>>),
    Nothing,
}

enum Paid {
    Item(WrittenItem),
    Answer(Box<Answered>),
}

impl Owes {
    /// Waits for the next item, or for the answer. `None`: the worker was lost. Cancel safe.
    async fn next(&mut self, closed: &Notify) -> Option<Paid> {
        if let Self::Items(owed) = self {
            let item = tokio::select! {
                item = owed.item() => item,
                () = closed.notified() => {
                    owed.close_items();
                    None
                }
            };
            if let Some(item) = item {
                return Some(Paid::Item(item));
            }
            if let Self::Items(owed) = std::mem::replace(self, Self::Nothing) {
                *self = Self::Answer(Box::pin(owed.answer()));
            }
        }
        let Self::Answer(answer) = self else { return None };
        let answered = answer.await;
        *self = Self::Nothing;
        answered.map(|answered| Paid::Answer(Box::new(answered)))
    }
}
