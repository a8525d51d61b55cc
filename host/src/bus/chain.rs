//! Chaining: one is woken by another's results, with who made them and what they are called, and reads them if it wants.

use std::fmt;
use std::sync::Arc;

use futures::future::BoxFuture;
use tokio::runtime::Handle;

use super::broker::Published;
use super::error::{PublishError, SubscribeError};
use super::handle::Bus;
use super::handler::{Handler, HandlerContext, HandlerOptions};
use super::message::{Message, Payload, Source};
use super::results::{AnnounceError, ResultError, ResultRef, Results};
use super::topic::Pattern;
use crate::supervise::BoxError;

/// Who is woken by results: a native module, or what hands them to a worker. Every function of a [`ChainContext`] that
/// returns a future is one.
pub trait ChainTarget: Send + Sync + 'static {
    /// Called for each result, one after the other.
    ///
    /// # Errors
    /// Whatever went wrong; it is logged and counted, and the next result comes all the same.
    fn wake(&self, ctx: ChainContext) -> BoxFuture<'static, Result<(), BoxError>>;
}

impl<F, Fut, E> ChainTarget for F
where
    F: Fn(ChainContext) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<(), E>> + Send + 'static,
    E: Into<BoxError>,
{
    fn wake(&self, ctx: ChainContext) -> BoxFuture<'static, Result<(), BoxError>> {
        let woken = self(ctx);
        Box::pin(async move { woken.await.map_err(Into::into) })
    }
}

/// From the results of some to one that is woken by them.
///
/// ```
/// # mod isopod { pub use isopod_host as host; }
/// use isopod::host::bus::{Bus, Chain, ChainContext, HandlerOptions, Results, Source};
///
/// let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
/// let (bus, results) = (Bus::new(), Results::new());
/// let count = |ctx: ChainContext| async move {
///     let length = ctx.read()?.len();
///     ctx.announce("length", serde_json::json!(length))?;
///     Ok::<_, Box<dyn std::error::Error + Send + Sync>>(())
/// };
/// let options = HandlerOptions { source: Source::native("count"), ..HandlerOptions::default() };
/// let chain = Chain::new("results.scan".parse()?, options, count).start(runtime.handle(), &bus, &results)?;
/// results.announce(&bus, Source::native("scan"), "text", serde_json::json!("abc"))?;
/// bus.close();
/// runtime.block_on(chain.finished());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a chain wakes nobody before it is started"]
pub struct Chain {
    from: Pattern,
    options: HandlerOptions,
    to: Arc<dyn ChainTarget>,
}

impl Chain {
    /// A chain from what is announced under `from`, such as `results.scan` or `results.*`, to a target. The source in the
    /// options is whom the target's own results are from.
    pub fn new(from: Pattern, options: HandlerOptions, to: impl ChainTarget) -> Self {
        Self {
            from,
            options,
            to: Arc::new(to),
        }
    }

    /// Wakes the target for each result from now on, on the runtime of `handle`. Dropping what is returned ends that.
    ///
    /// # Errors
    /// As [`Bus::subscribe`].
    pub fn start(self, handle: &Handle, bus: &Bus, results: &Results) -> Result<Handler, SubscribeError> {
        let subscription = bus.subscribe_all([self.from], self.options.subscribe)?;
        let (to, results) = (self.to, results.clone());
        Ok(bus.run(handle, subscription, self.options, move |handler| {
            let woken = match ResultRef::of(handler.message()) {
                Some(result) => Ok(to.wake(ChainContext {
                    handler,
                    results: results.clone(),
                    result,
                })),
                None => Err(NoResult),
            };
            async move { woken?.await }
        }))
    }
}

/// A message that a chain selects, but that announces nothing.
#[derive(Debug, thiserror::Error)]
#[error("the message announces no result; chain from the topics of results only, such as `results.scan`")]
struct NoResult;

/// What a target is woken with.
#[derive(Clone, Debug)]
pub struct ChainContext {
    handler: HandlerContext,
    results: Results,
    result: ResultRef,
}

impl ChainContext {
    /// Who made the result.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.result.source
    }

    /// What the result is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.result.name
    }

    /// The result's place in the store, to be read later or handed on.
    #[must_use]
    pub const fn result(&self) -> &ResultRef {
        &self.result
    }

    /// How many messages led to this one.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.handler.message().depth
    }

    /// Reads the result.
    ///
    /// # Errors
    /// It is gone.
    pub fn read(&self) -> Result<Arc<Payload>, ResultError> {
        self.results.read(&self.result)
    }

    /// Announces a result of this target, one deeper than the one it was woken by.
    ///
    /// # Errors
    /// As [`Results::announce`]; where targets wake each other in a circle, [`PublishError::TooDeep`].
    pub fn announce(&self, name: impl Into<Arc<str>>, payload: impl Into<Payload>) -> Result<ResultRef, AnnounceError> {
        self.handler.announce(&self.results, name, payload)
    }

    /// [`ChainContext::announce`] for what is shared already.
    #[cfg(feature = "v8")]
    pub(crate) fn announce_shared(&self, name: Arc<str>, payload: Arc<Payload>) -> Result<ResultRef, AnnounceError> {
        let publish = |message| self.handler.publish(message);
        self.results
            .announce_by(self.handler.source().clone(), name, payload, publish)
    }

    /// Publishes a message that the result led to.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub fn publish(&self, message: Message) -> Result<Published, PublishError> {
        self.handler.publish(message)
    }
}

impl HandlerContext {
    /// Announces a result of this handler, one deeper than the message at hand.
    ///
    /// # Errors
    /// As [`Results::announce`].
    pub fn announce(
        &self,
        results: &Results,
        name: impl Into<Arc<str>>,
        payload: impl Into<Payload>,
    ) -> Result<ResultRef, AnnounceError> {
        let publish = |message| self.publish(message);
        results.announce_by(self.source().clone(), name.into(), Arc::new(payload.into()), publish)
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chain")
            .field("from", &self.from)
            .field("to", &self.options.source)
            .finish_non_exhaustive()
    }
}
