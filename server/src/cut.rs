//! Connections that end because of what the client did, and how many have.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::metrics::{Metric, MetricKind};

/// Why a connection was ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    /// No TLS where TLS was to be.
    Handshake,
    /// A head that did not come in within its time, or nothing at all.
    SlowHead,
    /// A response left unread for too long.
    SlowReader,
    /// Asked to close, and did not.
    Lingering,
    /// What is not HTTP, or more of it than is taken.
    BadRequest,
    /// Frames that are not HTTP/2, or more of a kind than is taken.
    BadFrames,
    /// Frames that carry nothing.
    Flood,
    /// Requests that were sent to be cancelled.
    Cancels,
}

impl Cut {
    const ALL: [Self; 8] = [
        Self::Handshake,
        Self::SlowHead,
        Self::SlowReader,
        Self::Lingering,
        Self::BadRequest,
        Self::BadFrames,
        Self::Flood,
        Self::Cancels,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Handshake => "handshake",
            Self::SlowHead => "slow_head",
            Self::SlowReader => "slow_reader",
            Self::Lingering => "lingering",
            Self::BadRequest => "bad_request",
            Self::BadFrames => "bad_frames",
            Self::Flood => "flood",
            Self::Cancels => "cancels",
        }
    }
}

/// How many connections were cut, by reason.
#[derive(Default)]
pub(crate) struct Cuts([AtomicU64; Cut::ALL.len()]);

impl Cuts {
    pub(crate) fn count(&self, cut: Cut) {
        self.0[cut as usize].fetch_add(1, Relaxed);
    }

    #[allow(
        clippy::cast_precision_loss,
        reason = "figures are shown as floating point numbers by convention"
    )]
    pub(crate) fn metric(&self) -> Metric {
        let metric = Metric::new(
            "isopod_http_connections_cut_total",
            "Connections ended because of what the client did, by reason.",
            MetricKind::Counter,
        );
        Cut::ALL.into_iter().zip(&self.0).fold(metric, |metric, (cut, count)| {
            metric.labelled("reason", cut.as_str(), count.load(Relaxed) as f64)
        })
    }
}
