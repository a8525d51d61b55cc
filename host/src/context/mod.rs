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

/// A module's view of its host. Cloning it creates another handle of the same view, for example for tasks.
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

    /// Returns the module's name.
    #[must_use]
    pub fn module(&self) -> &str {
        &self.inner.module
    }

    /// Returns the identity of this run of the host.
    #[must_use]
    pub fn instance(&self) -> &InstanceId {
        &self.inner.instance
    }

    /// Returns the module's configuration section as a value of its type. A missing section counts as an empty one.
    ///
    /// # Errors
    /// The section does not fit the type; the error names the field.
    pub fn config<T: DeserializeOwned>(&self) -> Result<T, ConfigError> {
        config::parse(self.module(), self.section())
    }

    /// Returns the module's configuration section as JSON.
    #[must_use]
    pub fn section(&self) -> Option<&Value> {
        self.inner.section.as_ref()
    }

    /// Returns the registry of clients. Clients registered through this handle are removed when the module is closed.
    #[must_use]
    pub fn hub(&self) -> &Hub {
        &self.inner.hub
    }

    /// Returns the host's bus: messages between modules and workers, and system events.
    #[must_use]
    pub fn bus(&self) -> &Bus {
        &self.inner.bus
    }

    /// Returns the host's supervisor, for tasks whose failure is not the module's. Its tasks are ended between
    /// [`Phase::Stop`] of the last module and [`Phase::Close`] of the first.
    #[must_use]
    pub fn supervisor(&self) -> &Supervisor {
        &self.inner.supervisor
    }

    /// Returns the module's database, which is opened on the host's runtime at the first call, connects at its first use,
    /// and is closed after [`Phase::Close`].
    ///
    /// # Errors
    /// The host has no database for this module, or its location is invalid.
    #[cfg(feature = "sql")]
    pub fn db(&self) -> Result<crate::db::Database, crate::db::DbError> {
        self.inner.db.open(self.module(), &self.inner.runtime)
    }

    /// Returns the token that fires when the module has to end: after it was drained, before [`Phase::Stop`]. The tokens of
    /// the modules that it depends on fire later.
    #[must_use]
    pub fn token(&self) -> &CancellationToken {
        self.inner.tasks.token()
    }

    /// Returns the handle of the host's runtime.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.inner.runtime
    }

    /// Returns the span in which the module's phases and tasks run.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.inner.span
    }

    /// Returns the handle by which the host can be stopped.
    #[must_use]
    pub fn host(&self) -> &HostHandle {
        &self.inner.host
    }

    /// Returns the time limit of a phase of this module.
    #[must_use]
    pub fn limit(&self, phase: Phase) -> Duration {
        self.inner.limits.of(phase)
    }

    /// Runs a task of the module on the host's runtime. It has to end when [`Context::token`] fires: it is awaited before
    /// [`Phase::Stop`], and dropped at that phase's time limit. Its error or panic is the module's failure, and stops
    /// the host.
    pub fn spawn<F, E>(&self, future: F)
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        // Does not capture the context, which owns the tasks: a task that never ends would keep both alive.
        let (host, module) = (self.inner.host.clone(), Arc::clone(&self.inner.module));
        let fail = move |reason| host.fail(&module, Phase::Run, reason);
        self.inner
            .tasks
            .spawn(&self.inner.runtime, self.inner.span.clone(), future, fail);
    }

    /// [`Context::spawn`] for a task that needs no clean-up: it is dropped at its next `await` when
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
