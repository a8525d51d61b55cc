//! Modules, their order, and their registration.

mod order;
mod phase;
mod register;

use async_trait::async_trait;

use crate::Context;

pub use order::{Node, OrderError, order};
pub use phase::{BoxError, Phase, PhaseResult};
pub use register::Registration;
pub(crate) use register::discovered;

/// One part of a process: an ingress, a scheduler, a pool, or a part of the embedder's own.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::{Context, Host, Module, PhaseResult, async_trait};
///
/// struct Greeter;
///
/// #[async_trait]
/// impl Module for Greeter {
///     fn name(&self) -> &str {
///         "greeter"
///     }
///
///     async fn start(&mut self, ctx: &Context) -> PhaseResult {
///         let me = ctx.instance().clone();
///         ctx.service(async move {
///             tracing::info!(%me, "hello");
///             Ok(())
///         });
///         Ok(())
///     }
/// }
///
/// let running = Host::builder().module(Greeter).build()?.start_blocking()?;
/// let report = running.stop_blocking()?;
/// assert!(report.is_clean());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// A phase is called at most once, after the same phase of the modules that this one depends on. The shutdown undoes
/// exactly the phases that finished: [`Module::drain`] is called if [`Module::ready`] finished, [`Module::stop`] if
/// [`Module::start`] did, [`Module::close`] if [`Module::build`] did. A phase that fails has to clean up after itself. A
/// phase that exceeds its limit is dropped at its next `await`.
///
/// Phases run on the host's runtime. A phase that blocks its thread is abandoned at its time limit, together with everything
/// that waits for it.
#[async_trait]
pub trait Module: Send + 'static {
    /// The module's name, unique in its host, which is also the name of its configuration section and of its database. 1 to 64
    /// ASCII letters, digits, `-`, `_` and `.`, not starting with `.`.
    fn name(&self) -> &str;

    /// The names of the modules that this one depends on. Default: none.
    fn depends_on(&self) -> Vec<String> {
        Vec::new()
    }

    /// [`Phase::Build`].
    ///
    /// # Errors
    /// Any error. As with each startup phase, the host then stops every started module.
    async fn build(&mut self, _ctx: &Context) -> PhaseResult {
        Ok(())
    }

    /// [`Phase::Configure`].
    ///
    /// # Errors
    /// See [`Module::build`].
    async fn configure(&mut self, _ctx: &Context) -> PhaseResult {
        Ok(())
    }

    /// [`Phase::Migrate`].
    ///
    /// # Errors
    /// See [`Module::build`].
    async fn migrate(&mut self, _ctx: &Context) -> PhaseResult {
        Ok(())
    }

    /// [`Phase::Start`].
    ///
    /// # Errors
    /// See [`Module::build`].
    async fn start(&mut self, _ctx: &Context) -> PhaseResult {
        Ok(())
    }

    /// [`Phase::Ready`].
    ///
    /// # Errors
    /// See [`Module::build`].
    async fn ready(&mut self, _ctx: &Context) -> PhaseResult {
        Ok(())
    }

    /// [`Phase::Drain`], which undoes [`Module::ready`].
    ///
    /// # Errors
    /// Any error. It is reported, and the shutdown continues.
    async fn drain(&mut self, _ctx: &Context) -> PhaseResult {
        Ok(())
    }

    /// [`Phase::Stop`], which undoes [`Module::start`].
    ///
    /// # Errors
    /// See [`Module::drain`].
    async fn stop(&mut self, _ctx: &Context) -> PhaseResult {
        Ok(())
    }

    /// [`Phase::Close`], which undoes [`Module::build`].
    ///
    /// # Errors
    /// See [`Module::drain`].
    async fn close(&mut self, _ctx: &Context) -> PhaseResult {
        Ok(())
    }
}
