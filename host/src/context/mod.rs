//! A module's context: its view of the host.

mod instance;
mod tasks;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tracing::Span;

use crate::bus::Bus;
use crate::config::{self, ConfigError};
use crate::hub::Hub;
use crate::lifecycle::{HostHandle, PhaseLimits};
use crate::module::{BoxError, Phase};
use crate::supervise::Supervisor;

pub use instance::InstanceId;
pub(crate) use tasks::{Settled, Tasks};

/// A module's view of its host. Cloning it makes another handle of the same view; tasks take one along.
#[derive(Clone)]
pub struct Context {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) module: Arc<str>,
    pub(crate) instance: InstanceId,
    pub(crate) section: Option<Value>,
    pub(crate) hub: Hub,
    pub(crate) runtime: Handle,
    pub(crate) span: Span,
    pub(crate) host: HostHandle,
    pub(crate) bus: Bus,
    pub(crate) supervisor: Supervisor,
    pub(crate) limits: PhaseLimits,
    pub(crate) tasks: Tasks,
    #[cfg(feature = "sql")]
    pub(crate) db: crate::db::Slot,
}

impl Context {
    pub(crate) fn new(inner: Inner) -> Self {
        Self { inner: Arc::new(inner) }
    }

    pub(crate) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// The module's name.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.inner.module
    }

    /// Which run of the host this is.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.inner.instance
    }

    /// The module's configuration section as a value of its type. A section that is missing is an empty one.
    ///
    /// # Errors
    /// The section does not have the type's shape; the error names the field.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        config::parse(self.module(), self.section())
    }

    /// The module's configuration section as it came.
    #[must_use]
    pub fn section(&self) -> Option<&Value> {
        self.inner.section.as_ref()
    }

    /// The clients. What is registered through this handle is removed when the module is closed.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// The host's bus: messages between modules and workers, and what the system says of itself.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    /// The host's supervisor, for what may fail without the module failing. What it runs is ended between
    /// [`Phase::Stop`] of the last module and [`Phase::Close`] of the first.
    #[must_use]
    pub fn supervisor(&self) -> &Supervisor {
        &self.inner.supervisor
    }

    /// The module's database, opened on the host's runtime when it is first asked for; it connects when it is first used,
    /// and is closed after [`Phase::Close`].
    ///
    /// # Errors
    /// The host has no database for this module, or what says where it is is wrong.
    #[cfg(feature = "sql")]
    pub fn db(&self) -> Result<crate::db::Database, crate::db::DbError> {
        self.inner.db.open(self.module(), &self.inner.runtime)
    }

    /// Fires when the module has to end: after it was drained, before [`Phase::Stop`]. The tokens of the modules that it
    /// depends on fire later.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        self.inner.tasks.token()
    }

    /// The host's runtime.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// The span in which the module's phases and tasks run.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.inner.span
    }

    /// The host, to stop it.
    #[must_use]
    pub fn host(&self) -> &HostHandle {
        &self.inner.host
    }

    /// Returns the time limit of a phase of this module.
    #[must_use]
    pub fn limit(&self, phase: Phase) -> Duration {
        self.inner.limits.of(phase)
    }

    /// Runs a task of the module on the host's runtime. When [`Context::token`] fires it has to end: it is awaited before
    /// [`Phase::Stop`], and dropped if it takes longer than that phase may. Its error or panic is the module's
    /// failure, and stops the host.
    pub fn spawn<F, E>(&self, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        // Not the context itself: a task that never ends would keep it, and the context keeps the tasks.
        let (host, module) = (self.inner.host.clone(), Arc::clone(&self.inner.module));
        let fail = move |reason| host.fail(&module, Phase::Run, reason);
        self.inner
            .tasks
            .spawn(&self.inner.runtime, self.inner.span.clone(), future, fail);
    }

    /// [`Context::spawn`] for a task that need not be asked: it is dropped at its next `await` when
    /// [`Context::token`] fires.
    pub fn service<F>(&self, future: F)
    where
        F: Future<Output = Result<(), BoxError>> + Send + 'static,
    {
        let token = self.token().clone();
        self.spawn(async move { token.run_until_cancelled(future).await.unwrap_or(Ok(())) });
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context")
            .field("module", &self.inner.module)
            .field("instance", &self.inner.instance)
            .finish_non_exhaustive()
    }
}
