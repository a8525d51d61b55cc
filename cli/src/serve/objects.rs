//! Host module that evicts idle Durable Objects, fires their alarms, and brings calls to those of other processes.

use std::time::Duration;

use isopod::Pool;
use isopod::host::{Context, Module, PhaseResult, async_trait};
use tokio::task::JoinHandle;

use super::deploy::Deploy;

/// Time for the last bytes of answers to other processes.
const LAST_ANSWERS: Duration = Duration::from_secs(2);

#[derive(Default)]
pub(super) struct ObjectKeeper {
    task: Option<JoinHandle<()>>,
}

#[async_trait]
impl Module for ObjectKeeper {
    fn name(&self) -> &str {
        "objects"
    }

    fn depends_on(&self) -> Vec<String> {
        vec![Deploy::NAME.to_owned()]
    }

    async fn start(&mut self, ctx: &Context) -> PhaseResult {
        ctx.hub().get::<Pool>()?.objects().share(ctx.runtime());
        Ok(())
    }

    async fn ready(&mut self, ctx: &Context) -> PhaseResult {
        let objects = ctx.hub().get::<Pool>()?.objects().clone();
        self.task = Some(ctx.runtime().spawn(objects.run()));
        Ok(())
    }

    /// Objects that end in this process may live on in others, whose calls wait for that.
    async fn drain(&mut self, ctx: &Context) -> PhaseResult {
        ctx.hub().get::<Pool>()?.objects().unshare();
        Ok(())
    }

    /// Closed after the workers, whose objects end with their sessions.
    async fn stop(&mut self, ctx: &Context) -> PhaseResult {
        // The answers have been made, and only their last bytes may be on their way.
        let unshared = ctx.hub().get::<Pool>()?.objects().clone();
        let _ = tokio::time::timeout(LAST_ANSWERS, unshared.unshared()).await;
        if let Some(task) = self.task.take() {
            task.abort();
        }
        Ok(())
    }
}
