//! The open events of one worker: each is in the table from the moment it is handed over until it has ended, once.

mod caller;

use std::cell::Cell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use deno_core::ResourceId;
use http::request::Parts;
use tokio::sync::mpsc;

use super::body::Body;
use super::data::Data;
use super::fault::{Fault, FaultKind};
use super::keys::{EventKey, Keys};
use super::leftover::{Timers, UnderWay};
use super::meter::{CpuAccount, CpuMeter};
use super::request::Reply;
use super::room::Room;
use super::stage::{Ended, Stage};
use super::tail::Tail;
use super::task::TaskItem;
use crate::quotas::Spent;

/// What a script did that no event can answer for: an uncaught error, or a rejection nobody handled.
#[derive(Debug)]
pub struct Report {
    /// The error.
    pub fault: Fault,
    /// The event whose code threw it, where that is known.
    pub event: Option<EventKey>,
    /// `true` for an unhandled rejection.
    pub rejection: bool,
}

/// A caller that waits for a value. What the value is made of is not known here.
pub trait ValueReply {
    /// Tells the caller that no value will come.
    fn fail(self, fault: Fault);
}

/// The answer that the caller of an event still waits for.
#[derive(Default)]
pub(crate) enum Waiting<V> {
    Response(Reply<http::Response<Body>>),
    Value(V),
    #[default]
    Nothing,
}

/// What a script was lent for the time of one event.
#[derive(Default)]
pub struct Lent {
    /// The resources behind its streams.
    pub resources: Vec<ResourceId>,
    /// Rust functions, by number.
    pub functions: Vec<u32>,
    /// What it began and is not done with.
    pub(crate) under_way: UnderWay,
    /// The other way: functions that the script lent to its host, by number.
    pub callbacks: Vec<u32>,
    /// CPU time that is used for it outside of its JavaScript.
    pub(crate) cpu: CpuMeter,
}

/// What is known of an event when it is opened.
pub(crate) struct Opening<V> {
    pub(crate) waiting: Waiting<V>,
    /// The head of a request.
    pub(crate) head: Option<Parts>,
    /// The body of a request.
    pub(crate) body: Option<Body>,
    /// Where a task's progress and partial results go.
    pub(crate) items: Option<mpsc::Sender<TaskItem>>,
    /// What a message carries.
    pub(crate) data: Data,
    /// What leads to the messages that its script publishes meanwhile.
    pub(crate) origin: Origin,
}

impl<V> Opening<V> {
    /// An event whose caller waits for this.
    pub(crate) fn new(waiting: Waiting<V>) -> Self {
        Self {
            waiting,
            head: None,
            body: None,
            items: None,
            data: Data::Empty,
            origin: Origin::default(),
        }
    }
}

struct Entry<V> {
    waiting: Waiting<V>,
    head: Option<Parts>,
    body: Option<Body>,
    /// What goes with the event.
    lent: Lent,
    /// The first failure; it decides the outcome even when the answer had been sent before.
    failed: Option<FaultKind>,
    pass_through: bool,
    /// The stream that it answered with.
    tail: Option<Rc<Tail>>,
    /// Where a task's progress and partial results go.
    items: Option<Items>,
    /// What a message carries, until its script asks for it.
    data: Data,
    /// What leads to the messages that its script publishes meanwhile.
    origin: Origin,
    /// What it has used of what is counted by the event.
    spent: Spent,
    /// Log lines that were dropped before it was renewed.
    log_dropped: u64,
    /// Functions that its answer holds: it stays open while the host has them.
    kept_by: Vec<u32>,
    /// All else is done.
    is_over: bool,
    /// When its caller no longer waits.
    deadline: Option<Instant>,
}

/// Where a task's progress and partial results go, and how many of them wait for room.
#[derive(Clone)]
pub(crate) struct Items {
    pub(crate) sender: mpsc::Sender<TaskItem>,
    pub(crate) unsent: Rc<Cell<usize>>,
}

/// The origin of the messages that a script publishes while it handles an event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The number of messages that led to it, each published while the one before was handled.
    pub depth: u32,
    /// The id of the last of them, where the event is that message.
    pub message: Option<u64>,
}

/// The open events of one worker. `V` is where the value goes that a caller waits for.
pub struct OpenEvents<V> {
    /// Reports kept between two turns. A script can reject a million promises in one.
    reports_max: usize,
    /// What is used outside of any event, or after it has ended, since the last event began.
    outside: Spent,
    /// Where the CPU time of events is kept.
    cpu: Option<Arc<dyn CpuAccount>>,
    /// What the next event is called.
    pub names: Keys,
    entries: HashMap<EventKey, Entry<V>>,
    timers: Timers,
    /// Answered, and not ended: how far they are, which has not been told yet.
    answered: VecDeque<(EventKey, Stage)>,
    ended: VecDeque<Ended>,
    /// The room in memory for bodies that are read whole.
    pub(crate) room: Room,
    reports: VecDeque<Report>,
    reports_dropped: u64,
}

impl<V: ValueReply> OpenEvents<V> {
    /// None yet. Of uncaught errors as many are kept between two turns.
    #[must_use]
    pub fn new(reports_max: usize) -> Self {
        Self {
            reports_max,
            outside: Spent::default(),
            cpu: None,
            names: Keys::default(),
            entries: HashMap::new(),
            timers: Timers::default(),
            answered: VecDeque::new(),
            ended: VecDeque::new(),
            room: Room::default(),
            reports: VecDeque::new(),
            reports_dropped: 0,
        }
    }

    /// Has CPU time that is used for events outside of their JavaScript charged to this account.
    pub fn charge_to(&mut self, account: Arc<dyn CpuAccount>) {
        self.cpu = Some(account);
    }

    /// The meter of CPU time that is used for an event outside of its JavaScript.
    pub(crate) fn cpu(&self, key: EventKey) -> CpuMeter {
        match self.entries.get(&key) {
            Some(entry) => entry.lent.cpu.clone(),
            None => CpuMeter::new(self.cpu.clone(), 0),
        }
    }

    /// Opens an event, and gives its key.
    pub(crate) fn insert(&mut self, opening: Opening<V>) -> EventKey {
        let key = self.names.next();
        let sender = opening.items;
        let entry = Entry {
            waiting: opening.waiting,
            head: opening.head,
            body: opening.body,
            lent: Lent {
                cpu: CpuMeter::new(self.cpu.clone(), key),
                ..Lent::default()
            },
            failed: None,
            pass_through: false,
            tail: None,
            items: sender.map(|sender| Items {
                sender,
                unsent: Rc::default(),
            }),
            data: opening.data,
            origin: opening.origin,
            spent: Spent::default(),
            log_dropped: 0,
            kept_by: Vec::new(),
            is_over: false,
            deadline: None,
        };
        self.outside = Spent::default();
        self.entries.insert(key, entry);
        key
    }

    /// How many events are open.
    pub fn open(&self) -> usize {
        self.entries.len()
    }

    /// Whether this event has not ended.
    pub fn is_open(&self, key: EventKey) -> bool {
        self.entries.contains_key(&key)
    }

    /// The keys of the open events whose caller waits for an answer that nothing outside can bring about.
    pub fn unanswered(&self) -> Vec<EventKey> {
        // What waits for its host to call a function has something to wait for.
        let waits = |entry: &Entry<V>| !matches!(entry.waiting, Waiting::Nothing) && entry.lent.callbacks.is_empty();
        self.entries
            .iter()
            .filter(|(_, entry)| waits(entry))
            .map(|(key, _)| *key)
            .collect()
    }

    /// The keys of all open events.
    pub fn keys(&self) -> Vec<EventKey> {
        self.entries.keys().copied().collect()
    }

    /// The body of an event's request; once.
    pub(crate) fn take_body(&mut self, key: EventKey) -> Option<Body> {
        self.entries.get_mut(&key)?.body.take()
    }

    /// What is lent to the script until the event ends. `None`: it has.
    pub fn lent(&mut self, key: EventKey) -> Option<&mut Lent> {
        Some(&mut self.entries.get_mut(&key)?.lent)
    }

    pub(crate) fn set_pass_through(&mut self, key: EventKey) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.pass_through = true;
        }
    }

    /// Answers with a response. `false` when nobody waits for it any more.
    pub(crate) fn respond(&mut self, key: EventKey, response: http::Response<Body>) -> bool {
        let Some(entry) = self.entries.get_mut(&key) else {
            return false;
        };
        match std::mem::take(&mut entry.waiting) {
            Waiting::Response(reply) => reply.send(Ok(response)).is_ok(),
            other => {
                entry.waiting = other;
                false
            }
        }
    }

    /// The place that waits for an event's value, once. With it, a task's stream of items comes to its end.
    pub(crate) fn take_answer(&mut self, key: EventKey) -> Option<V> {
        let entry = self.entries.get_mut(&key)?;
        entry.items = None;
        match std::mem::take(&mut entry.waiting) {
            Waiting::Value(answer) => Some(answer),
            other => {
                entry.waiting = other;
                None
            }
        }
    }

    /// Remembers a failure for the outcome where the caller has been told of it already.
    pub(crate) fn set_failed(&mut self, key: EventKey, kind: FaultKind) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.failed.get_or_insert(kind);
        }
    }

    /// Where a task's items go. `None`: it is no task, or it was answered.
    pub(crate) fn items(&self, key: EventKey) -> Option<&Items> {
        self.entries.get(&key)?.items.as_ref()
    }

    /// What an event's message carries; once.
    pub(crate) fn take_data(&mut self, key: EventKey) -> Option<Data> {
        Some(std::mem::take(&mut self.entries.get_mut(&key)?.data))
    }

    /// What leads to the messages that are published while an event is handled; nothing once it has ended.
    pub(crate) fn origin(&self, key: EventKey) -> Origin {
        self.entries.get(&key).map(|entry| entry.origin).unwrap_or_default()
    }

    /// What an event has used so far. What is used outside of any has an account of its own, renewed with each event.
    pub(crate) fn spent(&mut self, key: EventKey) -> &mut Spent {
        self.entries
            .get_mut(&key)
            .map_or(&mut self.outside, |entry| &mut entry.spent)
    }

    /// Gives an event its quotas and its CPU time afresh, for the next message of its socket.
    pub(crate) fn renew(&mut self, key: EventKey) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        entry.log_dropped += std::mem::take(&mut entry.spent).log_dropped;
        entry.lent.cpu = CpuMeter::new(self.cpu.clone(), key);
        if let Some(cpu) = &self.cpu {
            cpu.renew(key);
        }
    }

    /// Answers with a failure if no answer was given yet, and remembers it for the outcome.
    pub fn fail(&mut self, key: EventKey, mut fault: Fault) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        entry.failed.get_or_insert(fault.kind);
        entry.items = None;
        fault.pass_through = entry.pass_through;
        match std::mem::take(&mut entry.waiting) {
            Waiting::Response(reply) => drop(reply.send(Err(fault))),
            Waiting::Value(reply) => reply.fail(fault),
            // What has not been read of its stream is cut off.
            Waiting::Nothing => {
                if let Some(tail) = &entry.tail {
                    tail.fail(fault);
                }
            }
        }
    }

    /// An event was answered with a stream, which ends with it.
    pub(crate) fn streams(&mut self, key: EventKey, tail: &Rc<Tail>) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.lent.under_way.add(tail);
            entry.tail = Some(tail.clone());
            self.answered.push_back((key, Stage::Streaming));
        }
    }

    /// An event was answered with a WebSocket, which ends with it.
    pub(crate) fn holds_socket(&mut self, key: EventKey, tail: &Rc<Tail>) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.lent.under_way.add(tail);
            entry.tail = Some(tail.clone());
            self.answered.push_back((key, Stage::Session));
        }
    }

    /// Functions lent for an event so far.
    pub(crate) fn callbacks(&self, key: EventKey) -> usize {
        self.entries.get(&key).map_or(0, |entry| entry.lent.callbacks.len())
    }

    /// The functions lent since there were so many are part of the answer.
    pub(crate) fn answered_with(&mut self, key: EventKey, since: usize) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.kept_by.extend(entry.lent.callbacks.iter().skip(since));
        }
    }

    /// A lent function was let go of. `true`: it was the last that kept its event open.
    pub(crate) fn let_go(&mut self, key: EventKey, callback: u32) -> bool {
        let Some(entry) = self.entries.get_mut(&key) else {
            return false;
        };
        entry.lent.callbacks.retain(|other| *other != callback);
        entry.kept_by.retain(|other| *other != callback);
        entry.is_over && entry.kept_by.is_empty()
    }

    /// All that the script had to do for an event is done. `false`: functions in its answer keep it open.
    pub(crate) fn is_over(&mut self, key: EventKey) -> bool {
        self.entries.get_mut(&key).is_none_or(|entry| {
            entry.is_over = true;
            entry.kept_by.is_empty()
        })
    }

    /// An event has its whole answer, and goes on with what it put off.
    pub(crate) fn linger(&mut self, key: EventKey) {
        if self.is_open(key) {
            self.answered.push_back((key, Stage::Lingering));
        }
    }

    /// Whether an event goes on although it has been answered, which has not been told yet.
    pub fn begins_to_linger(&self, key: EventKey) -> bool {
        self.is_open(key) && self.answered.contains(&(key, Stage::Lingering))
    }

    /// The next event that goes on although it has been answered, and with what. Each stage is told once.
    pub fn next_answered(&mut self) -> Option<(EventKey, Stage)> {
        while let Some((key, stage)) = self.answered.pop_front() {
            if self.is_open(key) {
                return Some((key, stage));
            }
        }
        None
    }

    /// The room for bodies, for an event that is open.
    pub(crate) fn room_for(&mut self, key: EventKey) -> Option<&mut Room> {
        self.is_open(key).then_some(&mut self.room)
    }

    /// Ends an event: its outcome is now known. Gives what was lent for it, to be taken back.
    pub fn end(&mut self, key: EventKey) -> Option<Lent> {
        let entry = self.entries.remove(&key)?;
        self.timers.event_ended(key);
        self.room.ended(key);
        let result = match (entry.failed, entry.waiting) {
            (Some(kind), _) => Err(kind),
            (None, Waiting::Nothing) => Ok(()),
            // A script's side that ends an event without an answer has a bug: the caller sees its reply dropped.
            (None, _) => Err(FaultKind::WorkerLost),
        };
        let log_dropped = entry.log_dropped + entry.spent.log_dropped;
        self.ended.push_back(Ended {
            key,
            result,
            log_dropped,
        });
        Some(entry.lent)
    }

    /// A timer was set by the code of an event.
    pub(crate) fn timer_set(&mut self, timer: i32, event: EventKey) {
        if self.is_open(event) {
            self.timers.set(timer, event);
        }
    }

    /// A timer has fired for the last time, or was cleared.
    pub(crate) fn timer_gone(&mut self, timer: i32) {
        self.timers.gone(timer);
    }

    /// The timers that events left when they ended, which the script's side is to clear. Each is told once.
    pub fn take_leftover_timers(&mut self) -> Vec<i32> {
        self.timers.take_leftover()
    }

    /// The next event that has ended, if one has. Events end in the worker's own turns, so there is nobody to wake.
    pub fn next_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    /// Notes what no event can answer for.
    pub fn report(&mut self, report: Report) {
        if self.reports.len() < self.reports_max {
            self.reports.push_back(report);
        } else {
            self.reports_dropped += 1;
        }
    }

    /// The reports since the last call, and how many more there were than are kept.
    pub fn take_reports(&mut self) -> (VecDeque<Report>, u64) {
        (
            std::mem::take(&mut self.reports),
            std::mem::take(&mut self.reports_dropped),
        )
    }
}
