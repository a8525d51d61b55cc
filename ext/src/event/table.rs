//! The open events of a worker. An event is in the table from its acceptance to its end.

mod caller;
mod opening;

use std::cell::{Cell, OnceCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use deno_core::ResourceId;
use http::HeaderValue;
use tokio::sync::mpsc;

use super::body::Body;
use super::data::Data;
use super::fault::{Fault, FaultKind};
use super::keys::{EventKey, KeyMap, Keys};
use super::leftover::{Timers, UnderWay};
use super::meter::{CpuAccount, CpuMeter};
use super::request::RequestCf;
use super::room::Room;
use super::stage::{Ended, Stage};
use super::tail::Tail;
use super::task::TaskItem;
use crate::quotas::Spent;

pub use self::opening::Attachment;
pub(crate) use self::opening::{Opening, Waiting};

/// An error that belongs to no event: an uncaught error, or an unhandled rejection.
#[derive(Debug)]
pub struct Report {
    /// The error.
    pub fault: Fault,
    /// The event whose code threw it, if known.
    pub event: Option<EventKey>,
    /// `true` for an unhandled rejection.
    pub rejection: bool,
}

/// A caller that waits for a value, whose type is not known here.
pub trait ValueReply {
    /// Tells the caller that there will be no value.
    fn fail(self, fault: Fault);
}

/// Resources lent to a script for one event.
#[derive(Default)]
pub struct Borrowed {
    /// The resources of its streams.
    pub resources: Vec<ResourceId>,
    /// Rust functions, by number.
    pub functions: Vec<u32>,
    /// Its unfinished operations.
    pub(crate) under_way: UnderWay,
    /// Functions that the script lent to its host, by number.
    pub callbacks: Vec<u32>,
    /// CPU time used for it outside of its JavaScript. Made at its first use, which most events do without.
    pub(crate) cpu: OnceCell<CpuMeter>,
}

struct Entry<V> {
    waiting: Waiting<V>,
    request: Option<Box<http::Request<Body>>>,
    id: Option<HeaderValue>,
    cf: Option<RequestCf>,
    /// True if the request's body has not been taken.
    has_body: bool,
    /// The resources lent for the event.
    lent: Borrowed,
    /// The first failure, which determines the outcome even if the answer was sent before.
    failed: Option<FaultKind>,
    pass_through: bool,
    /// The stream of its response.
    tail: Option<Rc<Tail>>,
    /// The channel for a task's progress and partial results.
    items: Option<Items>,
    /// The content of a message, until its script reads it.
    data: Data,
    /// The origin of messages that its script publishes meanwhile.
    origin: Origin,
    /// The value that came with it, until an op takes it.
    #[cfg_attr(not(feature = "sql"), expect(dead_code, reason = "Durable Objects read it"))]
    attachment: Option<Attachment>,
    /// Its use of the quotas per event.
    spent: Spent,
    /// Log lines that were dropped before it was renewed.
    log_dropped: u64,
    /// Functions in its result: it stays open while the host holds them.
    kept_by: Vec<u32>,
    /// True if everything else is done.
    is_over: bool,
    /// The time after which its caller no longer waits.
    deadline: Option<Instant>,
}

/// The channel for a task's items, and the number of items waiting for room.
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
    /// The id of the last of them, if the event is that message.
    pub message: Option<u64>,
}

/// The open events of a worker. `V` is the channel for a value that a caller waits for.
pub struct OpenEvents<V> {
    /// Maximum number of reports kept between two turns. A script can reject a million promises in one.
    reports_max: usize,
    /// Quota use of code that belongs to no open event, since the last event began.
    outside: Spent,
    /// The accounts of the events' CPU time.
    cpu: Option<Arc<dyn CpuAccount>>,
    /// The keys of new events.
    pub names: Keys,
    entries: KeyMap<Entry<V>>,
    timers: Timers,
    /// Open events that have been answered, with their stages, to be reported.
    answered: VecDeque<(EventKey, Stage)>,
    ended: VecDeque<Ended>,
    /// The room in memory for bodies that are read whole.
    pub(crate) room: Room,
    reports: VecDeque<Report>,
    reports_dropped: u64,
}

impl<V: ValueReply> OpenEvents<V> {
    /// Creates an empty table that keeps this many reports between two turns.
    #[must_use]
    pub fn new(reports_max: usize) -> Self {
        Self {
            reports_max,
            outside: Spent::default(),
            cpu: None,
            names: Keys::default(),
            entries: KeyMap::default(),
            timers: Timers::default(),
            answered: VecDeque::new(),
            ended: VecDeque::new(),
            room: Room::default(),
            reports: VecDeque::new(),
            reports_dropped: 0,
        }
    }

    /// Charges CPU time that is used for events outside of their JavaScript to this account.
    pub fn charge_to(&mut self, account: Arc<dyn CpuAccount>) {
        self.cpu = Some(account);
    }

    /// The meter for CPU time used for an event outside of its JavaScript.
    pub(crate) fn cpu(&self, key: EventKey) -> CpuMeter {
        match self.entries.get(&key) {
            Some(entry) => {
                let make = || CpuMeter::new(self.cpu.clone(), key);
                entry.lent.cpu.get_or_init(make).clone()
            }
            None => CpuMeter::new(self.cpu.clone(), 0),
        }
    }

    /// Opens an event, and returns its key.
    pub(crate) fn insert(&mut self, opening: Opening<V>) -> EventKey {
        let key = self.names.next();
        let sender = opening.items;
        let entry = Entry {
            waiting: opening.waiting,
            request: opening.request,
            id: opening.id,
            cf: opening.cf,
            has_body: opening.has_body,
            lent: Borrowed::default(),
            failed: None,
            pass_through: false,
            tail: None,
            items: sender.map(|sender| Items {
                sender,
                unsent: Rc::default(),
            }),
            data: opening.data,
            origin: opening.origin,
            attachment: opening.attachment,
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

    /// Returns true if this event is open.
    pub fn is_open(&self, key: EventKey) -> bool {
        self.entries.contains_key(&key)
    }

    /// The keys of the open events whose callers wait for an answer that nothing from outside can cause.
    pub fn unanswered(&self) -> Vec<EventKey> {
        // An event that waits for a callback from the host has something to wait for.
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

    /// Takes the body of an event's request.
    pub(crate) fn take_body(&mut self, key: EventKey) -> Option<Body> {
        let entry = self.entries.get_mut(&key)?;
        if !std::mem::take(&mut entry.has_body) {
            return None;
        }
        Some(std::mem::take(entry.request.as_mut()?.body_mut()))
    }

    /// The resources lent to the script until the event ends. `None` if it has ended.
    pub fn lent(&mut self, key: EventKey) -> Option<&mut Borrowed> {
        Some(&mut self.entries.get_mut(&key)?.lent)
    }

    pub(crate) fn set_pass_through(&mut self, key: EventKey) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.pass_through = true;
        }
    }

    /// Answers with a response. Returns `false` if it is no longer awaited.
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

    /// Takes the channel for an event's value. Also ends a task's stream of items.
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

    /// Records a failure for the outcome, after the caller has received it.
    pub(crate) fn set_failed(&mut self, key: EventKey, kind: FaultKind) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.failed.get_or_insert(kind);
        }
    }

    /// The channel for a task's items. `None` if the event is not a task, or has been answered.
    pub(crate) fn items(&self, key: EventKey) -> Option<&Items> {
        self.entries.get(&key)?.items.as_ref()
    }

    /// Takes the content of an event's message.
    pub(crate) fn take_data(&mut self, key: EventKey) -> Option<Data> {
        Some(std::mem::take(&mut self.entries.get_mut(&key)?.data))
    }

    /// Takes the value that came with an event.
    #[cfg(feature = "sql")]
    pub(crate) fn take_attachment(&mut self, key: EventKey) -> Option<Attachment> {
        self.entries.get_mut(&key)?.attachment.take()
    }

    /// The origin of messages published while an event is handled; the default once it has ended.
    pub(crate) fn origin(&self, key: EventKey) -> Origin {
        self.entries.get(&key).map(|entry| entry.origin).unwrap_or_default()
    }

    /// An event's use of its quotas. Code that belongs to no event has its own account, which is reset with each event.
    pub(crate) fn spent(&mut self, key: EventKey) -> &mut Spent {
        self.entries
            .get_mut(&key)
            .map_or(&mut self.outside, |entry| &mut entry.spent)
    }

    /// Resets an event's quotas and CPU time, for the next message of its socket.
    pub(crate) fn renew(&mut self, key: EventKey) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        entry.log_dropped += std::mem::take(&mut entry.spent).log_dropped;
        entry.lent.cpu = OnceCell::new();
        if let Some(cpu) = &self.cpu {
            cpu.renew(key);
        }
    }

    /// Begins another event of an object, whose code runs as part of the object's own event. `alone`: it has no other.
    #[cfg(feature = "sql")]
    pub(crate) fn enter_object(&mut self, object: EventKey, event: EventKey, alone: bool) {
        self.renew(object);
        let depth = self.origin(event).depth;
        if let Some(entry) = self.entries.get_mut(&object) {
            entry.origin.depth = if alone { depth } else { depth.max(entry.origin.depth) };
        }
    }

    /// Answers with a failure unless there was an answer, and records it for the outcome.
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
            // The unread rest of its stream is cut off.
            Waiting::Nothing => {
                if let Some(tail) = &entry.tail {
                    tail.fail(fault);
                }
            }
        }
    }

    /// Records that an event was answered with a stream, with which it ends.
    pub(crate) fn streams(&mut self, key: EventKey, tail: &Rc<Tail>) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.lent.under_way.add(tail);
            entry.tail = Some(tail.clone());
            self.answered.push_back((key, Stage::Streaming));
        }
    }

    /// Records that an answered event continues in this stage.
    pub(crate) fn goes_on(&mut self, key: EventKey, stage: Stage) {
        if self.is_open(key) {
            self.answered.push_back((key, stage));
        }
    }

    /// Records that an event was answered with a WebSocket, with which it ends.
    pub(crate) fn holds_socket(&mut self, key: EventKey, tail: &Rc<Tail>) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.lent.under_way.add(tail);
            entry.tail = Some(tail.clone());
            self.answered.push_back((key, Stage::Session));
        }
    }

    /// The number of functions lent for an event so far.
    pub(crate) fn callbacks(&self, key: EventKey) -> usize {
        self.entries.get(&key).map_or(0, |entry| entry.lent.callbacks.len())
    }

    /// Records that the functions lent since then are part of the answer.
    pub(crate) fn answered_with(&mut self, key: EventKey, since: usize) {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.kept_by.extend(entry.lent.callbacks.iter().skip(since));
        }
    }

    /// Releases a lent function. Returns `true` if it was the last that kept its event open.
    pub(crate) fn release(&mut self, key: EventKey, callback: u32) -> bool {
        let Some(entry) = self.entries.get_mut(&key) else {
            return false;
        };
        entry.lent.callbacks.retain(|other| *other != callback);
        entry.kept_by.retain(|other| *other != callback);
        entry.is_over && entry.kept_by.is_empty()
    }

    /// Records that the script has finished an event. Returns `false` if functions in its answer keep it open.
    pub(crate) fn is_over(&mut self, key: EventKey) -> bool {
        self.entries.get_mut(&key).is_none_or(|entry| {
            entry.is_over = true;
            entry.kept_by.is_empty()
        })
    }

    /// Records that an event has been answered completely, and continues with its `waitUntil` promises.
    pub(crate) fn enter_wait_until(&mut self, key: EventKey) {
        self.goes_on(key, Stage::WaitUntil);
    }

    /// Returns true if an event continues after its answer and this has not been reported yet.
    pub fn is_entering_wait_until(&self, key: EventKey) -> bool {
        self.is_open(key) && self.answered.contains(&(key, Stage::WaitUntil))
    }

    /// The next event that continues after its answer, with its stage. Each stage is reported once.
    pub fn next_answered(&mut self) -> Option<(EventKey, Stage)> {
        while let Some((key, stage)) = self.answered.pop_front() {
            if self.is_open(key) {
                return Some((key, stage));
            }
        }
        None
    }

    /// The room for bodies, for an open event.
    pub(crate) fn room_for(&mut self, key: EventKey) -> Option<&mut Room> {
        self.is_open(key).then_some(&mut self.room)
    }

    /// Ends an event: its outcome is now known. Returns the resources lent for it, to be released.
    pub fn end(&mut self, key: EventKey) -> Option<Borrowed> {
        let entry = self.entries.remove(&key)?;
        self.timers.event_ended(key);
        self.room.ended(key);
        let result = match (entry.failed, entry.waiting) {
            (Some(kind), _) => Err(kind),
            (None, Waiting::Nothing) => Ok(()),
            // Ending an event without an answer is a bug of the JavaScript side: the caller sees its channel dropped.
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

    /// Records a timer set by an event's code.
    pub(crate) fn timer_set(&mut self, timer: i32, event: EventKey) {
        if self.is_open(event) {
            self.timers.set(timer, event);
        }
    }

    /// Records that a timer has fired for the last time, or was cleared.
    pub(crate) fn timer_gone(&mut self, timer: i32) {
        self.timers.gone(timer);
    }

    /// Takes the timers of ended events, which the JavaScript side has to clear.
    pub fn take_leftover_timers(&mut self) -> Vec<i32> {
        self.timers.take_leftover()
    }

    /// Takes the next ended event. Events end in the worker's own turns, so no wake-up is needed.
    pub fn next_ended(&mut self) -> Option<Ended> {
        self.ended.pop_front()
    }

    /// Records an error that belongs to no event.
    pub fn report(&mut self, report: Report) {
        if self.reports.len() < self.reports_max {
            self.reports.push_back(report);
        } else {
            self.reports_dropped += 1;
        }
    }

    /// Takes the reports since the last call, and the number of dropped ones.
    pub fn take_reports(&mut self) -> (VecDeque<Report>, u64) {
        (
            std::mem::take(&mut self.reports),
            std::mem::take(&mut self.reports_dropped),
        )
    }
}
