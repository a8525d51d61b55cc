//! The request to stop a host. It is made once, with one cause, from any thread.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use super::failure::{ModuleError, Reason};
use crate::bus::{Bus, SystemEvent};
use crate::module::Phase;

/// Time limit of a step after a cut, enough for quick clean-up.
const CUT_GRACE: Duration = Duration::from_millis(100);

/// The cause of a host's stop: the first one.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Cause {
    /// A signal of the operating system, by its name.
    Signal(&'static str),
    /// The token of [`Shutdown::token`](crate::Shutdown::token).
    Token,
    /// The future of [`Shutdown::future`](crate::Shutdown::future).
    Future,
    /// [`HostHandle::stop`], [`HostHandle::cut`] or [`Running::stop`](crate::Running::stop).
    Requested,
    /// The host's run future was dropped.
    Dropped,
    /// A module failed.
    Failed {
        /// The module.
        module: Arc<str>,
    },
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Signal(name) => write!(f, "received {name}"),
            Self::Token => f.write_str("its token fired"),
            Self::Future => f.write_str("its shutdown future completed"),
            Self::Requested => f.write_str("it was asked to stop"),
            Self::Dropped => f.write_str("its run future was dropped"),
            Self::Failed { module } => write!(f, "module `{module}` failed"),
        }
    }
}

/// A handle of a running host, for its modules and for other code. It stops the host, and tells when it stops.
#[derive(Clone, Debug, Default)]
pub struct HostHandle {
    stop: Arc<Stop>,
}

#[derive(Debug, Default)]
struct Stop {
    requested: CancellationToken,
    cut: CancellationToken,
    why: Mutex<Why>,
    /// The bus on which failures are published.
    bus: Option<Bus>,
}

#[derive(Debug, Default)]
struct Why {
    cause: Option<Cause>,
    /// The first failure of each phase of each module.
    failures: Vec<Arc<ModuleError>>,
}

impl HostHandle {
    pub(crate) fn new(bus: Bus) -> Self {
        let stop = Stop {
            bus: Some(bus),
            ..Stop::default()
        };
        Self { stop: Arc::new(stop) }
    }

    /// Stops the host: modules are drained and stopped, each within its limits. Returns at once.
    pub fn stop(&self) {
        self.stop_for(Cause::Requested);
    }

    /// Stops the host immediately: all tokens fire at once, and each remaining step has a tenth of a second.
    pub fn cut(&self) {
        self.stop_for(Cause::Requested);
        self.stop.cut.cancel();
    }

    /// Waits until the host begins to stop.
    pub async fn stopping(&self) {
        self.stop.requested.cancelled().await;
    }

    /// Returns true if the host has begun to stop.
    #[must_use]
    pub fn is_stopping(&self) -> bool {
        self.stop.requested.is_cancelled()
    }

    /// Returns true if the host was cut, by [`HostHandle::cut`] or a second signal.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.stop.cut.is_cancelled()
    }

    pub(crate) fn stop_for(&self, cause: Cause) {
        self.why().cause.get_or_insert(cause);
        self.stop.requested.cancel();
    }

    /// Records the failure of a module, which stops the host.
    pub(crate) fn fail(&self, module: &Arc<str>, phase: Phase, reason: Reason) {
        let failure = ModuleError {
            module: Arc::clone(module),
            phase,
            reason,
        };
        tracing::error!(module = &**module, %phase, "{failure}");
        let known = |other: &Arc<ModuleError>| other.module == *module && other.phase == phase;
        let event = SystemEvent::ModuleFailed {
            module: Arc::clone(module),
            error: failure.to_string(),
        };
        let mut why = self.why();
        let first = !why.failures.iter().any(known);
        if first {
            why.failures.push(Arc::new(failure));
        }
        why.cause.get_or_insert_with(|| Cause::Failed {
            module: Arc::clone(module),
        });
        drop(why);
        if let Some(bus) = self.stop.bus.as_ref().filter(|_| first) {
            bus.publish_system(&event);
        }
        self.stop.requested.cancel();
    }

    pub(crate) fn cause(&self) -> Option<Cause> {
        self.why().cause.clone()
    }

    /// The first failure of any module.
    pub(crate) fn first_failure(&self) -> Option<Arc<ModuleError>> {
        self.why().failures.first().cloned()
    }

    /// Returns the failure of a module's tasks.
    pub(crate) fn failure_of_tasks(&self, module: &str) -> Option<Arc<ModuleError>> {
        let mine = |failure: &&Arc<ModuleError>| &*failure.module == module && failure.phase == Phase::Run;
        self.why().failures.iter().find(mine).cloned()
    }

    /// Returns the token that fires when the host is cut.
    pub(crate) fn cut_token(&self) -> &CancellationToken {
        &self.stop.cut
    }

    /// Waits until the time limit of a step after a cut is over.
    pub(crate) async fn cut_is_over(&self) {
        self.stop.cut.cancelled().await;
        tokio::time::sleep(CUT_GRACE).await;
    }

    fn why(&self) -> std::sync::MutexGuard<'_, Why> {
        self.stop.why.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
