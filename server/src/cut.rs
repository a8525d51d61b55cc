//! Connections cut because of client misbehavior, and their counts.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::metric::{Metric, MetricKind};

/// Reason for cutting a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Cut {
    /// A failed TLS handshake.
    Handshake,
    /// A head that did not arrive in time.
    SlowHead,
    /// A response left unread for too long.
    SlowReader,
    /// A client that did not close when told to.
    Lingering,
    /// Invalid or excessive HTTP.
    BadRequest,
    /// Invalid or excessive HTTP/2 frames.
    BadFrames,
    /// Too many frames without content.
    Flood,
    /// Too many canceled requests.
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

/// Numbers of cut connections by reason.
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
            "Connections closed because of client misbehavior, by reason.",
            MetricKind::Counter,
        );
        Cut::ALL.into_iter().zip(&self.0).fold(metric, |metric, (cut, count)| {
            metric.labelled("reason", cut.as_str(), count.load(Relaxed) as f64)
        })
    }
}
