//! The phases of a connection and their time limits.

use std::{
    sync::{
        Arc, OnceLock,
        atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use crate::{clock::Alarm, cut::Cut, inbound::Framing, shared::Core, traffic::Traffic};

/// Time for a connection without a request after the drain: a request may be in flight or unread, and an HTTP/2 client has
/// to acknowledge the close.
const LEAVE_WITHIN: Duration = Duration::from_millis(500);

/// Marks that no framing is pending. Like the value for chunks, it is greater than any length that hyper accepts.
const NO_FRAMING: u64 = u64::MAX;
const CHUNKED: u64 = u64::MAX - 1;

/// Phase of a connection. Each has an alarm that ends it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Phase {
    /// Between requests: closed after the idle timeout.
    Idle,
    /// New, or in the middle of a request's headers: cut after the header timeout.
    Head,
    /// Answering: the requests have their own deadlines.
    Busy,
    /// Answering a client that does not read: cut after the write timeout.
    Stalled,
    /// Told to close: cut after the write timeout.
    Closing,
}

/// Action for the connection's task.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[must_use]
pub(crate) enum Expiry {
    /// Go on.
    No,
    /// Close gracefully.
    Close,
    /// Drop it: the peer is slow, gone or malicious.
    Cut(Cut),
}

/// The state shared by a connection's task, its byte stream and its requests.
pub(crate) struct Connection {
    phase: AtomicU8,
    /// Requests in flight, at most one on HTTP/1.
    in_flight: AtomicU32,
    /// True if the peer may be sending data that will not be read.
    unread: AtomicBool,
    is_h2: AtomicBool,
    /// True if reading has ended.
    ended: AtomicBool,
    /// True if a response ends with the connection.
    open_ended: AtomicBool,
    /// Framing of the body of the last HTTP/1 request read by hyper.
    framing: AtomicU64,
    /// True if an HTTP/1 request was begun and its response is not fully written.
    unanswered: AtomicBool,
    traffic: Traffic,
    /// Reason for the cut, if any.
    cut: OnceLock<Cut>,
    alarm: Alarm,
    /// The alarm of HTTP/1 requests, which are answered one at a time.
    pub(crate) request_alarm: Alarm,
    core: Arc<Core>,
}

impl Connection {
    pub(crate) fn open(core: &Arc<Core>) -> Arc<Self> {
        let clock = &core.clock;
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
            core: core.clone(),
        };
        connection.alarm.set(core.limits.header_timeout);
        Arc::new(connection)
    }

    /// The state shared with the other connections of the server.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.core
    }

    /// Creates an alarm for one of several concurrent requests.
    pub(crate) fn stream_alarm(&self) -> Alarm {
        self.core.clock.alarm()
    }

    pub(crate) fn speaks_h2(&self) {
        self.is_h2.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_h2(&self) -> bool {
        self.is_h2.load(Ordering::Relaxed)
    }

    /// Records that the HTTP layer is about to be dropped, which makes bodies being read incomplete.
    pub(crate) fn ends(&self) {
        self.ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }

    /// Sets whether a response ends with the connection, as for HTTP/1.0 clients.
    pub(crate) fn set_open_ended(&self, is_open_ended: bool) {
        self.open_ended.store(is_open_ended, Ordering::Release);
    }

    pub(crate) fn is_open_ended(&self) -> bool {
        self.open_ended.load(Ordering::Acquire)
    }

    /// Cuts the connection in any phase.
    pub(crate) fn cut(&self, cut: Cut) {
        // The first reason counts.
        let _ = self.cut.set(cut);
        self.alarm.wake();
    }

    /// Records received bytes. On HTTP/1 the first bytes after a pause start a head, whose time later bytes do not extend.
    /// On HTTP/2 they are compared with the use of the connection.
    pub(crate) fn bytes_read(&self, bytes: usize) {
        if self.is_h2() {
            if let Some(cut) = self.traffic.read(bytes, &self.core.limits) {
                self.cut(cut);
            }
        } else if self.phase() == Phase::Idle {
            self.enter(Phase::Head);
        }
    }

    /// Records useful bytes of a request or response.
    pub(crate) fn bytes_used(&self, bytes: usize) {
        if self.is_h2() {
            self.traffic.used(bytes);
        }
    }

    /// Records a request canceled by its client.
    pub(crate) fn request_cancelled(&self) {
        if self.is_h2()
            && let Some(cut) = self.traffic.cancelled(&self.core.limits)
        {
            self.cut(cut);
        }
    }

    /// Records that hyper has read the head of an HTTP/1 request, and the framing of its body: its `length`, or chunks.
    pub(crate) fn head_read(&self, length: Option<u64>) {
        self.framing.store(length.unwrap_or(CHUNKED), Ordering::Release);
    }

    /// Takes the framing of the request that was read.
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

    /// Records that all data was written. Returns whether that completed a response.
    pub(crate) fn flushed(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0 && self.unanswered.swap(false, Ordering::AcqRel)
    }

    /// Returns whether the connection has no request: it is idle, new, or in the middle of a head.
    pub(crate) fn is_unused(&self) -> bool {
        self.in_flight.load(Ordering::Acquire) == 0
    }

    /// Returns whether the first or a partly received head is awaited.
    pub(crate) fn awaits_head(&self) -> bool {
        self.phase() == Phase::Head
    }

    /// Shortens the wait for a head, if there is one.
    pub(crate) fn hurries(&self) {
        if self.awaits_head() {
            self.alarm.set(self.core.limits.header_timeout.min(LEAVE_WITHIN));
        }
    }

    /// Shortens the time of a closing HTTP/2 connection without requests.
    pub(crate) fn leaves_soon(&self) {
        self.enter(Phase::Closing);
        self.alarm.set(self.core.limits.write_timeout.min(LEAVE_WITHIN));
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

    /// Records that the peer's window is full.
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

    /// Records that a request's body is being received while its worker reads it.
    pub(crate) fn body_begun(&self) {
        self.traffic.body_begun();
    }

    pub(crate) fn body_ended(&self) {
        self.traffic.body_ended();
    }

    /// Records that part of a request's body will not be read.
    pub(crate) fn body_left_unread(&self) {
        self.unread.store(true, Ordering::Release);
        // The client may have sent up to a window of it in good faith.
        self.bytes_used(self.core.limits.stream_window() as usize);
    }

    pub(crate) fn has_unread_body(&self) -> bool {
        self.unread.load(Ordering::Acquire)
    }

    /// Returns the action if the alarm has gone off, and otherwise wakes the task when it does.
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

    /// Completes when a new connection takes too long until HTTP can begin.
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
            Phase::Idle => self.alarm.set(self.core.limits.idle_timeout),
            Phase::Head => self.alarm.set(self.core.limits.header_timeout),
            Phase::Busy => self.alarm.clear(),
            Phase::Stalled | Phase::Closing => self.alarm.set(self.core.limits.write_timeout),
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
