//! The process's lifecycle state, shared by its modules, and the final summary.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use isopod::server::ShutdownReport;

/// Lifecycle state of the process.
#[derive(Debug)]
pub(super) struct Life {
    deadline: Duration,
    serving: OnceLock<()>,
    drains: OnceLock<Instant>,
    requests: OnceLock<ShutdownReport>,
    threads_joined: OnceLock<usize>,
}

impl Life {
    /// Creates the state with the time allowed for finishing accepted work.
    pub(super) const fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            serving: OnceLock::new(),
            drains: OnceLock::new(),
            requests: OnceLock::new(),
            threads_joined: OnceLock::new(),
        }
    }

    /// Returns the time for all modules together to finish accepted work.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Marks the process as serving.
    pub(super) fn serves(&self) {
        let _ = self.serving.set(());
    }

    pub(super) fn is_serving(&self) -> bool {
        self.serving.get().is_some()
    }

    /// Returns the time left until the deadline, which starts at the first call.
    pub(super) fn left(&self) -> Duration {
        let begun = self.drains.get_or_init(Instant::now);
        self.deadline.saturating_sub(begun.elapsed())
    }

    pub(super) fn requests_ended(&self, report: ShutdownReport) {
        let _ = self.requests.set(report);
    }

    pub(super) fn threads_joined(&self, threads: usize) {
        let _ = self.threads_joined.set(threads);
    }

    /// Returns the final log line.
    pub(super) fn summary(&self) -> String {
        let ShutdownReport { finished, cut, .. } = self.requests.get().copied().unwrap_or_default();
        let threads = self.threads_joined.get().copied().unwrap_or_default();
        format!("stopped: {finished} requests in flight finished, {cut} cut; {threads} threads joined")
    }
}
