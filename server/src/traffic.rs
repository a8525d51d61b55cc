//! Detection of useless HTTP/2 traffic. Frames without content (`PING`, `SETTINGS`, empty `DATA`) and canceled requests cost
//! the client little and the server much, so received bytes are compared with the requests they carry.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

use crate::{config::Limits, cut::Cut};

/// Size of a frame's head.
const FRAME_BYTES: u64 = 9;
/// Bytes on the wire allowed per useful byte: small frames, window updates and pings are part of normal use.
const COST_MAX: u64 = 8;

#[derive(Default)]
pub(crate) struct Traffic {
    read: AtomicU64,
    useful: AtomicU64,
    /// Bodies being received.
    bodies: AtomicU64,
    requests: AtomicU32,
    cancelled: AtomicU32,
}

impl Traffic {
    /// Records received bytes of any kind.
    #[must_use]
    pub(crate) fn read(&self, bytes: usize, limits: &Limits) -> Option<Cut> {
        let bytes = bytes as u64;
        let read = self.read.fetch_add(bytes, Relaxed) + bytes;
        let free = self.useful.load(Relaxed).saturating_add(limits.h2_idle_bytes_max);
        // Data that waits for a worker is not useful yet, but is no flood: its window bounds it.
        let waiting = self.bodies.load(Relaxed).saturating_mul(limits.stream_window().into());
        (read > free.saturating_mul(COST_MAX).saturating_add(waiting)).then_some(Cut::Flood)
    }

    /// Records useful bytes of a head or body, in or out.
    pub(crate) fn used(&self, bytes: usize) {
        if bytes > 0 {
            self.useful.fetch_add(bytes as u64 + FRAME_BYTES, Relaxed);
        }
    }

    pub(crate) fn body_begun(&self) {
        self.bodies.fetch_add(1, Relaxed);
    }

    pub(crate) fn body_ended(&self) {
        self.bodies.fetch_sub(1, Relaxed);
    }

    pub(crate) fn requested(&self) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Records a request canceled before its answer was sent.
    #[must_use]
    pub(crate) fn cancelled(&self, limits: &Limits) -> Option<Cut> {
        let cancelled = self.cancelled.fetch_add(1, Relaxed) + 1;
        let most = cancelled > self.requests.load(Relaxed) / 2;
        (most && cancelled > limits.h2_cancels_max).then_some(Cut::Cancels)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unread_messages_of_a_worker_are_not_a_flood() {
        let limits = Limits {
            h2_idle_bytes_max: 1000,
            ..Limits::default()
        };
        let window = limits.stream_window() as usize;
        let traffic = Traffic::default();
        traffic.body_begun();
        assert_eq!(traffic.read(window, &limits), None);
        traffic.used(window);
        traffic.body_ended();
        assert_eq!(traffic.read(window, &limits), None);
        assert_eq!(Traffic::default().read(window, &limits), Some(Cut::Flood));
    }

    #[test]
    fn empty_frames_are_a_flood_and_small_ones_are_not() {
        let limits = Limits {
            h2_idle_bytes_max: 1000,
            ..Limits::default()
        };
        let pings = Traffic::default();
        let sent = (0..).take_while(|_| pings.read(17, &limits).is_none()).count();
        assert_eq!(sent, 8000 / 17);
        let drops = Traffic::default();
        for _ in 0..100_000 {
            assert_eq!(drops.read(FRAME_BYTES as usize + 1, &limits), None);
            drops.used(1);
        }
    }

    #[test]
    fn a_client_may_cancel_some_requests_but_not_most() {
        let limits = Limits {
            h2_cancels_max: 10,
            ..Limits::default()
        };
        let fickle = Traffic::default();
        let cut = (1..=11).map(|_| (fickle.requested(), fickle.cancelled(&limits)).1);
        let cut: Vec<_> = cut.collect();
        assert_eq!((&cut[..10], cut[10]), (&[None; 10][..], Some(Cut::Cancels)));
        let picky = Traffic::default();
        for _ in 0..100 {
            picky.requested();
            picky.requested();
            assert_eq!(picky.cancelled(&limits), None);
        }
    }
}
