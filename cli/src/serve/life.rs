//! Where the process is in its life, as far as its modules have to tell each other, and what there is to say at the end.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use isopod_server::ShutdownReport;

/// One for each process.
#[derive(Debug)]
pub(super) struct Life {
    deadline: Duration,
    serving: OnceLock<()>,
    drains: OnceLock<Instant>,
    requests: OnceLock<ShutdownReport>,
    threads_joined: OnceLock<usize>,
}

impl Life {
    /// Of a process that may take so long to finish what it has accepted.
    pub(super) const fn new(deadline: Duration) -> Self {
        Self {
            deadline,
            serving: OnceLock::new(),
            drains: OnceLock::new(),
            requests: OnceLock::new(),
            threads_joined: OnceLock::new(),
        }
    }

    /// How long all modules together may take to finish what is accepted.
    pub(super) const fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Requests are let in from now on.
    pub(super) fn serves(&self) {
        let _ = self.serving.set(());
    }

    pub(super) fn is_serving(&self) -> bool {
        self.serving.get().is_some()
    }

    /// What is left of the deadline, which begins when this is first asked for.
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

    /// The last line that is said.
    pub(super) fn summary(&self) -> String {
        let ShutdownReport { finished, cut } = self.requests.get().copied().unwrap_or_default();
        let threads = self.threads_joined.get().copied().unwrap_or_default();
        format!("stopped: {finished} requests under way finished, {cut} cut; {threads} threads joined")
    }
}
