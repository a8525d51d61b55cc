//! What a connection is doing, and how long it may go on doing it. All of its time limits are decided here.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crate::{
    clock::{Alarm, Clock},
    config::Limits,
    cut::Cut,
    inbound::Framing,
    traffic::Traffic,
};

/// How much of a body may be on its way: the window of an HTTP/2 stream.
pub(crate) const WINDOW_BYTES: usize = 1 << 20;
/// How long a client that has not asked for anything has, once the server has drained: what it sent may be on the way, or
/// here and not yet read; on HTTP/2 it has to agree to the connection's end.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// No request's framing is to be told. Greater than any length hyper takes, and so is what stands for chunks.
const NO_FRAMING: u64 = u64::MAX;
const CHUNKED: u64 = u64::MAX - 1;

/// Where a connection is. What ends a phase when its alarm goes off stands beside it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    /// Between requests: closed after the idle timeout.
    Idle,
    /// New, or in the middle of a request's headers: cut after the header timeout.
    Head,
    /// Answering: the requests have deadlines of their own.
    Busy,
    /// Answering to someone who does not read: cut after the write timeout.
    Stalled,
    /// Told to close: cut after the write timeout.
    Closing,
}

/// What the connection's task must do now.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Expiry {
    /// Go on.
    No,
    /// Close in the protocol's own polite way.
    Close,
    /// Drop it: the peer is slow on purpose, or gone, or up to no good.
    Cut(Cut),
}

/// The state shared by a connection's task, its byte stream and its requests.
pub(crate) struct Connection {
    phase: AtomicU8,
    /// Requests taken up and not yet answered to their end. At most one on HTTP/1.
    in_flight: AtomicU32,
    /// The peer may still be sending what nobody will read.
    unread: AtomicBool,
    is_h2: AtomicBool,
    /// Nothing is read from it any more.
    ended: AtomicBool,
    /// A response is on its way whose end is that of the connection.
    open_ended: AtomicBool,
    /// How the body of the HTTP/1 request that hyper has just read is framed.
    framing: AtomicU64,
    /// A request was taken up, and its response is not yet written to its end. Of HTTP/1.
    unanswered: AtomicBool,
    traffic: Traffic,
    /// Why it is to be cut, if it is.
    cut: OnceLock<Cut>,
    alarm: Alarm,
    /// HTTP/1 answers one request at a time: they take turns with one alarm.
    pub(crate) request_alarm: Alarm,
    clock: Arc<Clock>,
    limits: Arc<Limits>,
}

impl Connection {
    pub(crate) fn open(clock: &Arc<Clock>, limits: &Arc<Limits>) -> Arc<Self> {
        let connection = Self {
            phase: AtomicU8::new(Phase::Head as u8),
            in_flight: AtomicU32::new(0),
            unread: AtomicBool::new(false),
            is_h2: AtomicBool::new(false),
            ended: AtomicBool::new(false),
            open_ended: AtomicBool::new(false),
            framing: AtomicU64::new(NO_FRAMING),
            unanswered: AtomicBool::new(false),
            traffic: Traffic::default(),
            cut: OnceLock::new(),
            alarm: clock.alarm(),
            request_alarm: clock.alarm(),
            clock: clock.clone(),
            limits: limits.clone(),
        };
        connection.alarm.set(limits.header_timeout);
        Arc::new(connection)
    }

    /// A new alarm for one of many requests at once.
    pub(crate) fn stream_alarm(&self) -> Alarm {
        self.clock.alarm()
    }

    pub(crate) fn speaks_h2(&self) {
        self.is_h2.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_h2(&self) -> bool {
        self.is_h2.load(Ordering::Relaxed)
    }

    /// Told before what speaks HTTP over it is dropped: bodies that are read then were not read to their end.
    pub(crate) fn ends(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Whether a response is on its way whose end its client takes for that of the connection: to one of HTTP/1.0.
    pub(crate) fn set_open_ended(&self, is_open_ended: bool) {
        self.open_ended.store(is_open_ended, Ordering::Release);
    }

    pub(crate) fn is_open_ended(&self) -> bool {
        self.open_ended.load(Ordering::Acquire)
    }

    /// Ends it, whatever it is doing.
    pub(crate) fn cut(&self, cut: Cut) {
        // The first reason is the one that counts.
        let _ = self.cut.set(cut);
        self.alarm.wake();
    }

    /// Bytes came in. On HTTP/1 the first ones after a pause start a head, and later ones do not prolong it. On HTTP/2 they
    /// may be anything, and are held against what the connection is used for.
    pub(crate) fn bytes_read(&self, bytes: usize) {
        if self.is_h2() {
            if let Some(cut) = self.traffic.read(bytes, &self.limits) {
                self.cut(cut);
            }
        } else if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// Bytes of a request or of a response were of use to someone.
    pub(crate) fn bytes_used(&self, bytes: usize) {
        if self.is_h2() {
            self.traffic.used(bytes);
        }
    }

    /// A request's answer was not sent to its end because its client did not want it any more.
    pub(crate) fn request_cancelled(&self) {
        if self.is_h2()
            && let Some(cut) = self.traffic.cancelled(&self.limits)
        {
            self.cut(cut);
        }
    }

    /// hyper has read the head of a request on HTTP/1: its body, which comes next, is framed as hyper has understood it.
    /// `length` is the body's, where it does not come in chunks.
    pub(crate) fn head_read(&self, length: Option<u64>) {
        self.framing.store(length.unwrap_or(CHUNKED), Ordering::Release);
    }

    /// The framing of the request that has been read, once.
    pub(crate) fn take_framing(&self) -> Option<Framing> {
        match self.framing.swap(NO_FRAMING, Ordering::AcqRel) {
            NO_FRAMING => None,
            CHUNKED => Some(Framing::Chunked),
            length => Some(Framing::Length(length)),
        }
    }

    pub(crate) fn is_unanswered(&self) -> bool {
        self.unanswered.load(Ordering::Acquire)
    }

    /// All that there was to write is written. Returns whether that was the rest of a response.
    pub(crate) fn flushed(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0 && self.unanswered.swap(false, Ordering::AcqRel)
    }

    /// Whether nothing is asked for: it is idle, new, or in the middle of a head.
    pub(crate) fn is_unused(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0
    }

    /// Whether a head is waited for of which something has come, or the first one.
    pub(crate) fn awaits_head(&self) -> bool {
        self.phase() == Phase::Head
    }

    /// Waits for a head no longer than a moment, if it waits for one.
    pub(crate) fn hurries(&self) {
        if self.awaits_head() {
            self.alarm.set(self.limits.header_timeout.min(LEAVE_WITHIN));
        }
    }

    /// Has an HTTP/2 connection that was told to close, and has no requests, end soon whatever its client does.
    pub(crate) fn leaves_soon(&self) {
        self.enter(Phase::Closing);
        self.alarm.set(self.limits.write_timeout.min(LEAVE_WITHIN));
    }

    pub(crate) fn request_started(&self) {
        self.traffic.requested();
        self.unanswered.store(true, Ordering::Release);
        self.in_flight.fetch_add(1, Ordering::AcqRel);
        self.enter(Phase::Busy);
    }

    pub(crate) fn request_finished(&self) {
        self.request_alarm.clear();
        if self.in_flight.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.enter(Phase::Idle);
        }
    }

    /// The peer's window is full.
    pub(crate) fn write_blocked(&self) {
        if self.phase() == Phase::Busy {
            self.enter(Phase::Stalled);
        }
    }

    pub(crate) fn bytes_written(&self) {
        if self.phase() == Phase::Stalled {
            self.enter(Phase::Busy);
        }
    }

    /// The body of a request is received, as its worker reads it.
    pub(crate) fn body_begun(&self) {
        self.traffic.body_begun();
    }

    pub(crate) fn body_ended(&self) {
        self.traffic.body_ended();
    }

    /// Part of a request's body will never be read.
    pub(crate) fn body_left_unread(&self) {
        self.unread.store(true, Ordering::Release);
        // It was sent in good faith, up to what the window has room for.
        self.bytes_used(WINDOW_BYTES);
    }

    pub(crate) fn has_unread_body(&self) -> bool {
        self.unread.load(Ordering::Acquire)
    }

    /// Decides when the alarm goes off, and wakes the task when it does.
    pub(crate) fn poll_expired(&self, cx: &Context<'_>) -> Expiry {
        let is_due = self.alarm.poll_due(cx).is_ready();
        if let Some(cut) = self.cut.get() {
            return Expiry::Cut(*cut);
        }
        if !is_due {
            return Expiry::No;
        }
        match self.phase() {
            Phase::Head => Expiry::Cut(Cut::SlowHead),
            Phase::Stalled => Expiry::Cut(Cut::SlowReader),
            Phase::Closing => Expiry::Cut(Cut::Lingering),
            // On HTTP/2 a request may have started while another thread was ending the last one.
            Phase::Idle if self.in_flight.load(Ordering::Acquire) == 0 => {
                self.enter(Phase::Closing);
                Expiry::Close
            }
            Phase::Idle | Phase::Busy => {
                self.alarm.clear();
                Expiry::No
            }
        }
    }

    /// Done once a new connection took too long to get ready for HTTP.
    pub(crate) async fn opening_expired(&self) {
        std::future::poll_fn(|cx| match self.poll_expired(cx) {
            Expiry::No => Poll::Pending,
            Expiry::Close | Expiry::Cut(_) => Poll::Ready(()),
        })
        .await;
    }

    fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Release);
        match phase {
            Phase::Idle => self.alarm.set(self.limits.idle_timeout),
            Phase::Head => self.alarm.set(self.limits.header_timeout),
            Phase::Busy => self.alarm.clear(),
            Phase::Stalled | Phase::Closing => self.alarm.set(self.limits.write_timeout),
        }
    }

    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Idle,
            1 => Phase::Head,
            2 => Phase::Busy,
            3 => Phase::Stalled,
            _ => Phase::Closing,
        }
    }
}
