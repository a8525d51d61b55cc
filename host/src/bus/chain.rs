//! Chaining: a target runs for each result of another source. It gets the result's source and name, and reads it on demand.

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

/// A target of results: a native module, or code that passes them to a worker. Implemented by functions of a
/// [`ChainContext`] that return a future.
pub trait ChainTarget: Send + Sync + 'static {
    /// Called for each result, one at a time.
    ///
    /// # Errors
    /// Any error; it is logged and counted, and the next result follows.
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

/// Runs a target on the results of others.
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
/// let options = HandlerOptions::default().source(Source::native("count"));
/// let chain = Chain::new("results.scan".parse()?, options, count).start(runtime.handle(), &bus, &results)?;
/// results.announce(&bus, Source::native("scan"), "text", serde_json::json!("abc"))?;
/// bus.close();
/// runtime.block_on(chain.finished());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use = "a chain does nothing until it is started"]
pub struct Chain {
    from: Pattern,
    options: HandlerOptions,
    to: Arc<dyn ChainTarget>,
}

impl Chain {
    /// Creates a chain from results announced under `from`, such as `results.scan` or `results.*`, to a target. The source
    /// in the options is that of the target's own results.
    pub fn new(from: Pattern, options: HandlerOptions, to: impl ChainTarget) -> Self {
        Self {
            from,
            options,
            to: Arc::new(to),
        }
    }

    /// Starts running the target for each result, on the runtime of `handle`. Dropping the returned handler stops it.
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

/// A message that matches a chain but announces no result.
#[derive(Debug, thiserror::Error)]
#[error("the message does not announce a result; chain only from result topics, such as `results.scan`")]
struct NoResult;

/// Context of a target.
#[derive(Clone, Debug)]
pub struct ChainContext {
    handler: HandlerContext,
    results: Results,
    result: ResultRef,
}

impl ChainContext {
    /// Returns the result's source.
    #[must_use]
    pub const fn source(&self) -> &Source {
        &self.result.source
    }

    /// Returns the result's name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.result.name
    }

    /// Returns the reference to the result, for reading later or passing on.
    #[must_use]
    pub const fn result(&self) -> &ResultRef {
        &self.result
    }

    /// Returns the depth of the message.
    #[must_use]
    pub fn depth(&self) -> u32 {
        self.handler.message().depth
    }

    /// Reads the result.
    ///
    /// # Errors
    /// The result has expired.
    pub fn read(&self) -> Result<Arc<Payload>, ResultError> {
        self.results.read(&self.result)
    }

    /// Announces a result of this target, one level deeper than the one that triggered it.
    ///
    /// # Errors
    /// As [`Results::announce`]; for a cycle of targets, [`PublishError::TooDeep`].
    pub fn announce(&self, name: impl Into<Arc<str>>, payload: impl Into<Payload>) -> Result<ResultRef, AnnounceError> {
        self.handler.announce(&self.results, name, payload)
    }

    /// [`ChainContext::announce`] for a shared payload.
    pub(crate) fn announce_shared(&self, name: Arc<str>, payload: Arc<Payload>) -> Result<ResultRef, AnnounceError> {
        let publish = |message| self.handler.publish(message);
        self.results
            .announce_by(self.handler.source().clone(), name, payload, publish)
    }

    /// Publishes a message caused by the result.
    ///
    /// # Errors
    /// As [`Bus::publish`].
    pub fn publish(&self, message: Message) -> Result<Published, PublishError> {
        self.handler.publish(message)
    }
}

impl HandlerContext {
    /// Announces a result of this handler, one level deeper than the current message.
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
