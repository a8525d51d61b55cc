//! A worker in a cell, as its thread of the pool sees it.

mod boot;
mod control;
mod event;

use std::cell::{Cell, RefCell};
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use h2::SendStream;
use isopod_outcome::{Failure, Outcome};
use isopod_runtime::Script;
use isopod_runtime::fetch::WrittenServers;
use isopod_runtime::handlers::{Event as JsEvent, Fault, FaultKind};
use isopod_runtime::remote::Crossing;
use isopod_runtime::written::{Exported, Recipient, WrittenAnswer, export_to};
use tokio::time::sleep;

use super::line::Line;
use super::process::{Launched, Life};
use super::serve::Served;
use super::wire::{Broken, EVENT, Order, STUBS_MAX, ToCell, encode, say};
use crate::engine::{SlotId, Trim, Turn};
use crate::js::fault::fault;

pub(in crate::js) use self::boot::{Conditions, boot};

/// A worker in a cell.
pub(in crate::js) struct CellWorker {
    script: Arc<Script>,
    state: Rc<State>,
    line: Line,
    control: SendStream<Bytes>,
    /// The places of this process's servers, as the cell knows them.
    servers: WrittenServers,
    /// The number of the next event.
    number: u64,
    /// When the code of the event that is begun next is to be ended.
    next_stop: Option<(SlotId, Instant)>,
    cancel_grace: Duration,
    /// Its process, for values of the host on their way there.
    crossing: Crossing,
    cell: Launched,
}

/// State that the tasks of a worker's streams share.
#[derive(Default)]
struct State {
    turns: RefCell<VecDeque<Turn>>,
    waker: RefCell<Option<Waker>>,
    open: RefCell<HashMap<SlotId, Rc<Open>>>,
    /// The event that was begun last.
    last: Cell<Option<SlotId>>,
    /// Its code runs without a break, and reads no orders.
    in_long_turn: Cell<bool>,
    /// It gets no more events, and those that it has are being answered.
    is_condemning: Cell<bool>,
    condemned: RefCell<Option<(Outcome, String)>>,
    memory_bytes: Cell<usize>,
    /// The reason for which its process is being killed.
    verdict: RefCell<Option<Verdict>>,
    value_bytes_max: usize,
    /// Number of long turns that it has told of.
    long_turns: Cell<u64>,
    /// Events that it has not begun, which the pool takes back.
    returned: RefCell<HashMap<SlotId, JsEvent>>,
    /// Answers of events because of which the worker is condemned.
    parting: RefCell<Vec<Parting>>,
}

/// The reason for which a process is killed.
#[derive(Clone)]
struct Verdict {
    /// The outcome of the events that it has begun.
    outcome: Outcome,
    reason: String,
    /// True if one event is to blame, which has ended: the others may be retried.
    is_for_one: bool,
}

/// An answer that is given when the worker is gone for the pool: the next event of its caller is not for it.
struct Parting {
    recipient: Recipient,
    answer: WrittenAnswer,
}

/// An open event.
struct Open {
    number: u64,
    /// The message that began it.
    begin: Bytes,
    recipient: RefCell<Option<Recipient>>,
    orders: RefCell<SendStream<Bytes>>,
    /// Set once it has failed.
    failed: Arc<OnceLock<Outcome>>,
    /// Set once it is canceled, and told to who waits for it.
    canceled: Cell<Option<Outcome>>,
    cancel: tokio::sync::Notify,
}

impl Open {
    /// Answers the caller, if it has not been answered.
    fn fail(&self, fault: Fault) {
        if let Some(recipient) = self.recipient.borrow_mut().take() {
            recipient.fail(fault);
        }
    }

    /// Waits until it is canceled, and says how.
    async fn canceled(&self) -> Outcome {
        loop {
            let told = self.cancel.notified();
            if let Some(outcome) = self.canceled.get() {
                return outcome;
            }
            told.await;
        }
    }

    fn order(&self, order: &Order) {
        // The stream of an event that has ended takes no more.
        drop(say(&mut self.orders.borrow_mut(), order));
    }
}

impl State {
    fn push(&self, turn: Turn) {
        self.turns.borrow_mut().push_back(turn);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    /// The first reason counts.
    fn condemn(&self, outcome: Outcome, reason: impl Into<String>) {
        for open in self.open.borrow().values() {
            // The first one counts here as well.
            let _ = open.failed.set(outcome);
        }
        self.condemned
            .borrow_mut()
            .get_or_insert_with(|| (outcome, reason.into()));
        self.wake();
    }

    /// Ends an event that was answered.
    fn end(&self, slot: SlotId, outcome: Outcome) {
        let ended = self.open.borrow_mut().remove(&slot);
        if let Some(open) = ended {
            if outcome != Outcome::Ok {
                // It was condemned, or is the first to say so.
                let _ = open.failed.set(outcome);
            }
            self.push(Turn::Ended { slot, outcome });
        }
    }

    /// Kills the process. Once it has ended, `listen` gives back what it has not begun, and ends the rest.
    async fn kill(&self, life: &Life, verdict: Verdict) {
        // It gets no more events.
        self.is_condemning.set(true);
        self.verdict.borrow_mut().get_or_insert_with(|| verdict.clone());
        life.kill();
        sleep(control::LOST_WITHIN).await;
        self.pronounce(verdict);
    }

    fn pronounce(&self, verdict: Verdict) {
        if verdict.is_for_one {
            self.spare_all_but(None);
        }
        self.condemn(verdict.outcome, verdict.reason);
    }

    /// Gives back the events that the process had not begun when it ended. Of a process that has not, nothing is known.
    fn give_back_unbegun(&self, life: &Life, served: &Served) {
        if !life.has_ended() {
            return;
        }
        let open: Vec<_> = self
            .open
            .borrow()
            .iter()
            .map(|(slot, open)| (*slot, Rc::clone(open)))
            .collect();
        for (slot, open) in open.iter().filter(|(_, open)| !life.may_have_begun(open.number)) {
            event::return_unbegun(self, *slot, open, served, true);
        }
    }

    /// Gives back an event that the cell has not begun; with `is_lost`, because it has ended.
    fn give_back(&self, slot: SlotId, event: JsEvent, is_lost: bool) {
        let mut open = self.open.borrow_mut();
        open.remove(&slot);
        if self.last.get() == Some(slot) {
            let last = open.iter().max_by_key(|(_, open)| open.number);
            self.last.set(last.map(|(slot, _)| *slot));
        }
        drop(open);
        self.returned.borrow_mut().insert(slot, event);
        self.push(Turn::Returned { slot, is_lost });
    }

    /// Tells the callers of events because of which the worker is condemned.
    fn part(&self) {
        for Parting { recipient, answer } in self.parting.take() {
            // A failure has no other shape than was asked for.
            drop(recipient.answer(answer, |_| None, |_| None, None, 0));
        }
    }

    /// Ends all events but the one to blame.
    fn spare_all_but(&self, blamed: Option<SlotId>) {
        let others: Vec<_> = self
            .open
            .borrow()
            .iter()
            .map(|(slot, open)| (*slot, Rc::clone(open)))
            .collect();
        for (slot, open) in others.into_iter().filter(|(slot, _)| Some(*slot) != blamed) {
            open.fail(Fault::new(
                FaultKind::WorkerLost,
                "the worker was lost because of another event: retry this one",
            ));
            self.end(slot, Outcome::WorkerLost);
        }
    }
}

impl CellWorker {
    pub(in crate::js) fn begin(&mut self, slot: SlotId, event: JsEvent) {
        let stop_at = self.next_stop.take().filter(|(of, _)| *of == slot).map(|(_, at)| at);
        let Ok(Exported {
            event,
            bodies,
            functions,
            stubs,
            recipient,
        }) = export_to(event, &self.crossing)
        else {
            return self.state.push(Turn::Ended {
                slot,
                outcome: Outcome::Exception,
            });
        };
        self.tell_servers();
        let number = self.number;
        self.number += 1;
        let offers = &self.cell.served.offers;
        if stubs.len() > STUBS_MAX {
            let message = format!("more than {STUBS_MAX} functions and objects are too many for a call");
            return self.refuse(slot, recipient, Fault::new(FaultKind::Exception, message));
        }
        // Also if the process ends before it begins the event.
        offers.keep(number);
        let begin = encode(&Order::Begin {
            number,
            slot: (slot.index, slot.generation),
            event: Box::new(event),
            stubs: offers.lend(number, stubs),
            long_turns: self.state.long_turns.get(),
            stop_in: stop_at.map(|at| at.saturating_duration_since(Instant::now())),
        });
        let begin = match begin {
            Ok(begin) => begin,
            Err(Broken(error)) => {
                offers.settle(number, false);
                return self.refuse(slot, recipient, Fault::new(FaultKind::Exception, error));
            }
        };
        offers.add(number, bodies);
        self.cell.served.add_functions(number, functions);
        let (response, orders) = match self.ask(begin.clone()) {
            Ok(asked) => asked,
            Err(error) => {
                // Nothing of the event has left this process.
                match event::again(&begin, recipient, &self.cell.served, number, self.state.value_bytes_max) {
                    Ok(event) => self.state.give_back(slot, event, true),
                    Err(fault) => self.state.push(Turn::Ended {
                        slot,
                        outcome: fault.into(),
                    }),
                }
                self.cell.served.withdraw(number);
                return self.closes(format!("the worker's process takes no events: {error}"));
            }
        };
        let open = Rc::new(Open {
            number,
            begin,
            recipient: RefCell::new(Some(recipient)),
            orders: RefCell::new(orders),
            failed: Arc::default(),
            canceled: Cell::new(None),
            cancel: tokio::sync::Notify::new(),
        });
        self.state.open.borrow_mut().insert(slot, Rc::clone(&open));
        self.state.last.set(Some(slot));
        tokio::task::spawn_local(event::carry(event::Carried {
            slot,
            open,
            state: Rc::clone(&self.state),
            response,
            line: self.line.clone(),
            served: Arc::clone(&self.cell.served),
            cancel_grace: self.cancel_grace,
            life: Arc::clone(&self.cell.life),
        }));
    }

    /// Takes no more events, because the connection has ended. `listen` reports how the process has, as soon as it knows.
    fn closes(&self, reason: String) {
        self.state.is_condemning.set(true);
        let state = Rc::clone(&self.state);
        tokio::task::spawn_local(async move {
            sleep(control::LOST_WITHIN).await;
            state.condemn(Outcome::WorkerLost, reason);
        });
    }

    /// Ends an event that the cell does not get.
    fn refuse(&self, slot: SlotId, recipient: Recipient, fault: Fault) {
        let outcome = fault.kind.into();
        recipient.fail(fault);
        self.state.push(Turn::Ended { slot, outcome });
    }

    fn ask(&self, begin: Bytes) -> Result<(h2::client::ResponseFuture, SendStream<Bytes>), Broken> {
        let request = http::Request::post(format!("http://cell{EVENT}")).body(());
        let request = request.map_err(|error| Broken(error.to_string()))?;
        let (response, mut orders) = self.line.requests().clone().send_request(request, false)?;
        orders.send_data(begin, false)?;
        Ok((response, orders))
    }

    /// Tells the cell where the servers of this process are, if that has changed.
    fn tell_servers(&mut self) {
        if self.script.fetch().servers.key().is_none() {
            return;
        }
        let servers = self.script.fetch().servers.written();
        if servers != self.servers {
            drop(say(&mut self.control, &ToCell::Servers(servers.clone())));
            self.servers = servers;
        }
    }

    fn open(&self, slot: SlotId) -> Option<Rc<Open>> {
        self.state.open.borrow().get(&slot).cloned()
    }

    pub(in crate::js) fn stop_at(&mut self, slot: SlotId, at: Instant) {
        match self.open(slot) {
            Some(open) => open.order(&Order::StopIn(at.saturating_duration_since(Instant::now()))),
            None => self.next_stop = Some((slot, at)),
        }
    }

    pub(in crate::js) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Turn> {
        if let Some(turn) = self.state.turns.borrow_mut().pop_front() {
            return Poll::Ready(turn);
        }
        let condemned = self.state.condemned.borrow().clone();
        if let Some((outcome, reason)) = condemned {
            return Poll::Ready(Turn::Condemned { outcome, reason });
        }
        *self.state.waker.borrow_mut() = Some(cx.waker().clone());
        Poll::Pending
    }

    pub(in crate::js) fn is_condemned(&self) -> bool {
        self.state.is_condemning.get() || self.state.condemned.borrow().is_some()
    }

    pub(in crate::js) fn is_in_long_turn(&self) -> bool {
        self.state.in_long_turn.get() && !self.is_condemned()
    }

    pub(in crate::js) fn cancel(&mut self, slot: SlotId, outcome: Outcome) {
        if let Some(open) = self.open(slot) {
            open.order(&Order::Cancel(outcome));
            open.canceled.set(Some(outcome));
            open.cancel.notify_waiters();
        }
    }

    pub(in crate::js) fn take_back(&mut self, slot: SlotId) -> Option<JsEvent> {
        self.state.returned.borrow_mut().remove(&slot)
    }

    pub(in crate::js) fn memory_bytes(&self) -> usize {
        self.state.memory_bytes.get()
    }

    pub(in crate::js) fn trim(&mut self, trim: Trim) {
        let trim = match trim {
            Trim::Memory => ToCell::TrimMemory,
            Trim::Io => ToCell::TrimIo,
        };
        drop(say(&mut self.control, &trim));
    }

    pub(in crate::js) fn abandon(&mut self, failure: &Failure) {
        let open = self.state.open.take();
        for open in open.into_values() {
            open.fail(fault(failure.clone()));
        }
        for event in self.state.returned.take().into_values() {
            event.fail(fault(failure.clone()));
        }
    }
}

impl Drop for CellWorker {
    fn drop(&mut self) {
        self.state.part();
        // A cell in order ends itself when its connection is closed.
        if self.is_condemned() {
            self.cell.life.kill();
        }
    }
}
