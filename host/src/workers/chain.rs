//! Scripts that are woken by the results of others.

use std::sync::Arc;

use futures::future::BoxFuture;
use isopod_pool::js::TaskRequest;
use isopod_pool::{Failure, Outcome};
use serde::de::IgnoredAny;

use super::task::WorkerTasks;
use crate::bus::{Chain, ChainContext, ChainTarget, HandlerOptions, Pattern, Source};
use crate::supervise::BoxError;
use crate::tasks::{Announce, run_to_end};

/// A target that runs a script's `task` handler.
struct ScriptTarget {
    tasks: WorkerTasks,
    script: Arc<str>,
    retries: u32,
}

impl WorkerTasks {
    /// Creates a chain from results announced under `from`, such as `results.scan`, to a script's `task` handler; start it
    /// with [`Chain::start`]. The task's payload is the result's reference, and its `config` has `source` and `name`; the
    /// script reads the data on demand, through [`Results::binding`](crate::bus::Results::binding). Results it emits are
    /// announced in turn, one level deeper, as are messages it publishes: a cycle ends at the bus's `depth_max`, with an
    /// error that names it.
    ///
    /// `options` are those of the chain, except that its source is always the script.
    pub fn chain(&self, from: Pattern, script: impl Into<Arc<str>>, options: HandlerOptions) -> Chain {
        let script = script.into();
        let options = HandlerOptions {
            source: Source::worker(Arc::clone(&script)),
            ..options
        };
        let (tasks, retries) = (self.clone(), options.retries);
        let target = ScriptTarget { tasks, script, retries };
        Chain::new(from, options, target)
    }
}

impl ChainTarget for ScriptTarget {
    fn wake(&self, ctx: ChainContext) -> BoxFuture<'static, Result<(), BoxError>> {
        let (tasks, script, mut left) = (self.tasks.clone(), Arc::clone(&self.script), self.retries);
        Box::pin(async move {
            loop {
                let request = TaskRequest::new(ctx.result().clone())
                    .config("source", ctx.source().name())
                    .config("name", ctx.name())
                    // Messages that the task publishes are as deep as results that it emits.
                    .at_depth(ctx.depth().saturating_add(1));
                let results = ctx.clone();
                let announce: Announce = Box::new(move |name, payload| results.announce_shared(name, payload));
                let Err(error) = run_to_end(tasks.begin::<IgnoredAny>(&script, request, announce)).await else {
                    return Ok(());
                };
                let failure = error.downcast_ref::<Failure>();
                if left == 0 || failure.is_none_or(|failure| failure.outcome != Outcome::WorkerLost) {
                    return Err(error);
                }
                left -= 1;
            }
        })
    }
}
