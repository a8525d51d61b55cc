//! Why workers cannot start, for the page that says so.
//!
//! A script that fails again and again is not tried for a while, and its requests are turned away without a worker: what
//! its last start said is kept here meanwhile.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use isopod_pool::js::PoolBuilder;
use isopod_pool::{Failure, Outcome, PoolEvent};

/// The code frame of each script's last start, where that failed. As many as there are scripts.
#[derive(Clone, Debug, Default)]
pub(super) struct BootFailures {
    details: Arc<Mutex<HashMap<Arc<str>, String>>>,
}

impl BootFailures {
    /// Has a pool tell of its workers' starts.
    pub(super) fn learn_from(&self, pool: PoolBuilder) -> PoolBuilder {
        let known = self.clone();
        pool.on(move |event| known.learn(event))
    }

    fn learn(&self, event: &PoolEvent) {
        let (script, detail) = match event {
            PoolEvent::BootFailed { script, failure, .. } => (script, failure.detail.clone()),
            PoolEvent::WorkerReady { script, .. } => (script, None),
            _ => return,
        };
        let mut details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        match detail {
            Some(detail) => details.insert(script.clone(), detail),
            None => details.remove(script),
        };
    }

    /// The failure of an event, with the detail that the pool left out because it tried no start for it.
    pub(super) fn explain(&self, worker: &str, failure: Failure) -> Failure {
        if failure.outcome != Outcome::BootFailed || failure.detail.is_some() {
            return failure;
        }
        let details = self.details.lock().unwrap_or_else(PoisonError::into_inner);
        match details.get(worker) {
            Some(detail) => failure.with_detail(detail.clone()),
            None => failure,
        }
    }
}
