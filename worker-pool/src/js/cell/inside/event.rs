//! One event of a cell, between its stream and the worker's thread.

use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use h2::server::SendResponse;
use http::Response;
use isopod_outcome::Outcome;
use isopod_runtime::handlers::{Fault, FaultKind};
use isopod_runtime::remote::function_of;
use isopod_runtime::written::{Answered, Owed, WrittenAnswer, import_to, owe};
use tokio::sync::{Notify, mpsc};

use super::shared::Inside;
use super::waiting::Begin;
use super::worker::{Mail, TURNS_MAX};
use crate::engine::SlotId;
use crate::js::cell::bodies::pull;
use crate::js::cell::wire::{Broken, Messages, Order, Report, encode, write};

/// Passes an event to the worker, and sends its items, its answer and its turns to the pool.
pub(super) async fn handle(
    inside: &Arc<Inside>,
    number: u64,
    request: h2::RecvStream,
    mut respond: SendResponse<Bytes>,
) -> Result<(), Broken> {
    let mut heard = Messages::new(request);
    let Some(Order::Begin {
        slot,
        event,
        stubs,
        long_turns,
        stop_in,
    }) = heard.next::<Order>().await?
    else {
        return Err(Broken("an event begins first".to_owned()));
    };
    let slot = SlotId {
        index: slot.0,
        generation: slot.1,
    };
    let mut to = respond.send_response(Response::new(()), false)?;
    let (owing, owed) = owe(&event);
    let from = Arc::clone(inside);
    // Runs on the worker's thread, so that nothing of the event is requested or released before it begins.
    let make = move || {
        let line = &from.line;
        let stream = |body| Some(pull(line.requests(), number, body).0);
        let mut stubs: Vec<_> = line.borrow(stubs).into_iter().map(Some).collect();
        let stub = |number: u32| stubs.get_mut(number as usize)?.take();
        let function = |function| Some(function_of(number, function, &from.remote));
        import_to(owing, *event, stream, function, stub, line.value_bytes_max()).ok()
    };
    let (turns, mut turned) = mpsc::channel(TURNS_MAX);
    let begin = Begin {
        number,
        make: Box::new(make),
        stop_at: stop_in.and_then(|after| Instant::now().checked_add(after)),
        turns,
    };
    if !inside.waiting.add(slot, long_turns, begin) {
        write(&mut to, encode(&Report::Unbegun)?).await?;
        return Ok(to.send_data(Bytes::new(), true)?);
    }
    if inside.mail.send(Mail::Begin(slot)).await.is_err() {
        return Err(Broken("the worker's thread has ended".to_owned()));
    }
    let closed = Arc::new(Notify::new());
    let handle = inside.line.handle();
    let heeding = handle.spawn(heed(heard, Arc::clone(inside), slot, Arc::clone(&closed)));
    let (reports, mut reported) = mpsc::channel(1);
    handle.spawn(answer(owed, reports, closed, Arc::clone(inside), number));
    let mut is_answered = false;
    let mut ended = None;
    while !is_answered || ended.is_none() {
        let report = tokio::select! {
            report = reported.recv(), if !is_answered => match report {
                Some(report) => report,
                None => {
                    is_answered = true;
                    continue;
                }
            },
            turn = turned.recv(), if ended.is_none() => match turn {
                Some(Report::Unbegun) => {
                    write(&mut to, encode(&Report::Unbegun)?).await?;
                    return Ok(to.send_data(Bytes::new(), true)?);
                }
                Some(turn @ Report::Ended { .. }) => {
                    ended = Some(turn);
                    continue;
                }
                Some(turn) => turn,
                None => {
                    let outcome = Outcome::WorkerLost;
                    ended = Some(Report::Ended { outcome, memory_bytes: 0 });
                    continue;
                }
            },
        };
        is_answered |= matches!(report, Report::Answer(..));
        let bytes = match encode(&report) {
            Ok(bytes) => bytes,
            Err(Broken(error)) => {
                // The answer is too large for a frame.
                inside.line.offers().take_back(number);
                let fault = Fault::new(FaultKind::Exception, error);
                ended = Some(Report::Ended {
                    outcome: Outcome::Exception,
                    memory_bytes: 0,
                });
                encode(&Report::Answer(
                    Box::new(WrittenAnswer::Failed((&fault).into())),
                    Vec::new(),
                ))?
            }
        };
        write(&mut to, bytes).await?;
    }
    if let Some(ended) = ended {
        write(&mut to, encode(&ended)?).await?;
    }
    // The pool closes its side once it has requested all bodies.
    drop(heeding.await);
    inside.line.offers().withdraw(number);
    drop(to.send_data(Bytes::new(), true));
    Ok(())
}

/// Reports the items of a task, and the answer.
async fn answer(mut owed: Owed, reports: mpsc::Sender<Report>, closed: Arc<Notify>, inside: Arc<Inside>, number: u64) {
    let mut is_closed = pin!(closed.notified());
    loop {
        let item = tokio::select! {
            item = owed.item() => item,
            () = &mut is_closed => {
                owed.close_items();
                break;
            }
        };
        let Some(item) = item else { break };
        if reports.send(Report::Item(item)).await.is_err() {
            return;
        }
    }
    let Some(Answered {
        answer,
        bodies,
        stubs,
        socket,
    }) = owed.answer().await
    else {
        return;
    };
    let offers = inside.line.offers();
    offers.add(number, bodies);
    offers.add_socket(number, socket);
    let stubs = offers.lend(number, stubs);
    if reports.send(Report::Answer(Box::new(answer), stubs)).await.is_err() {
        offers.withdraw(number);
        offers.take_back(number);
    }
}

/// Forwards the orders of an event's caller. If the stream breaks off, the caller has left.
async fn heed(mut heard: Messages, inside: Arc<Inside>, slot: SlotId, closed: Arc<Notify>) {
    loop {
        let mail = match heard.next::<Order>().await {
            Ok(Some(Order::StopIn(after))) => Instant::now().checked_add(after).map(|at| Mail::StopAt(slot, at)),
            Ok(Some(Order::Cancel(outcome))) => Some(Mail::Cancel(slot, outcome)),
            Ok(Some(Order::CloseItems)) => {
                closed.notify_one();
                None
            }
            Ok(Some(Order::Begin { .. }) | None) => return,
            Err(_) => {
                drop(inside.mail.send(Mail::Cancel(slot, Outcome::Canceled)).await);
                return;
            }
        };
        if let Some(mail) = mail {
            drop(inside.mail.send(mail).await);
        }
    }
}
