//! Scripts that are woken by the results of others.

use std::sync::Arc;

use futures::future::BoxFuture;
use isopod_pool::js::TaskRequest;
use serde::de::IgnoredAny;

use super::task::WorkerTasks;
use crate::bus::{Chain, ChainContext, ChainTarget, HandlerOptions, Pattern, Source};
use crate::supervise::BoxError;
use crate::tasks::{Announce, run_to_end};

/// A target that runs a script's `task` handler.
struct ScriptTarget {
    tasks: WorkerTasks,
    script: Arc<str>,
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
        let tasks = self.clone();
        Chain::new(from, options, ScriptTarget { tasks, script })
    }
}

impl ChainTarget for ScriptTarget {
    fn wake(&self, ctx: ChainContext) -> BoxFuture<'static, Result<(), BoxError>> {
        let request = TaskRequest::new(ctx.result().clone())
            .config("source", ctx.source().name())
            .config("name", ctx.name())
            // Messages that the task publishes are as deep as results that it emits.
            .at_depth(ctx.depth().saturating_add(1));
        let announce: Announce = Box::new(move |name, payload| ctx.announce_shared(name, payload));
        Box::pin(run_to_end(self.tasks.begin::<IgnoredAny>(
            &self.script,
            request,
            announce,
        )))
    }
}
