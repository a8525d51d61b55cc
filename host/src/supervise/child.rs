//! Supervised children.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio_util::sync::CancellationToken;

use super::error::{BoxError, Panicked};
use super::restart::{Backoff, Restart};

type Factory = Box<dyn FnMut(ChildContext) -> BoxFuture<'static, Result<(), BoxError>> + Send>;

/// The specification of a child: its name, the function that creates it, and its restart settings.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::supervise::{ChildSpec, Restart};
///
/// let spec = ChildSpec::new("poller", |ctx| async move {
///     ctx.token.cancelled().await;
///     Ok::<(), std::io::Error>(())
/// })
/// .restart(Restart::Transient);
/// # let _ = spec;
/// ```
#[must_use = "a child is started by `Supervisor::supervise`"]
pub struct ChildSpec {
    pub(super) name: Arc<str>,
    pub(super) restart: Restart,
    pub(super) backoff: Backoff,
    pub(super) stop_within: Duration,
    factory: Factory,
}

/// Context of a child.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ChildContext {
    /// Its name.
    pub name: Arc<str>,
    /// Number of restarts so far.
    pub restarts: u64,
    /// Fires when the child has to end.
    pub token: CancellationToken,
}

impl ChildSpec {
    /// Creates a child that this function creates each time it is started.
    pub fn new<Fut, E>(name: impl Into<Arc<str>>, mut factory: impl FnMut(ChildContext) -> Fut + Send + 'static) -> Self
    where
        Fut: Future<Output = Result<(), E>> + Send + 'static,
        E: Into<BoxError>,
    {
        Self {
            name: name.into(),
            restart: Restart::default(),
            backoff: Backoff::default(),
            stop_within: Duration::from_secs(5),
            factory: Box::new(move |ctx| {
                let child = factory(ctx);
                Box::pin(async move { child.await.map_err(Into::into) })
            }),
        }
    }

    /// Sets when it is restarted. Default: [`Restart::Permanent`].
    pub const fn restart(mut self, restart: Restart) -> Self {
        self.restart = restart;
        self
    }

    /// Sets the wait before a restart. Default: [`Backoff::default`].
    pub const fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets the time limit for it to end after its token fires, before it is aborted. Default: 5 s.
    pub const fn stop_within(mut self, stop_within: Duration) -> Self {
        self.stop_within = stop_within;
        self
    }

    /// Creates the child. If the function panics, the child crashes at once.
    pub(super) fn make(&mut self, ctx: ChildContext) -> BoxFuture<'static, Result<(), BoxError>> {
        catch_unwind(AssertUnwindSafe(|| (self.factory)(ctx))).unwrap_or_else(|panic| {
            let panic = Panicked::new(panic);
            Box::pin(async move { Err(panic.into()) })
        })
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("name", &self.name)
            .field("restart", &self.restart)
            .finish_non_exhaustive()
    }
}
