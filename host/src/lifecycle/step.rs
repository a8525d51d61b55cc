//! One phase of one module: called on the host's runtime, watched from outside of it.

use std::future::ready;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tracing::Instrument;

use super::failure::{Reason, panic_message};
use super::report::{End, ModuleReport, PhaseReport};
use crate::bus::SystemEvent;
use crate::context::{Context, Settled};
use crate::module::{Module, Phase, PhaseResult};

/// Time for a dropped phase to end; only a phase that blocks its thread needs it.
const DROP_GRACE: Duration = Duration::from_millis(500);

/// A module with its context and the phases it has been through.
pub(super) struct Member {
    /// Held by the running phase. A phase that blocks its thread keeps it, so that no other runs at the same time.
    module: Arc<Mutex<Box<dyn Module>>>,
    ctx: Context,
    pub(super) report: ModuleReport,
}

impl Member {
    pub(super) fn new(module: Box<dyn Module>, ctx: Context) -> Self {
        Self {
            module: Arc::new(Mutex::new(module)),
            report: ModuleReport {
                name: Arc::clone(&ctx.inner().module),
                phases: Vec::new(),
            },
            ctx,
        }
    }

    /// Returns true if any phase ran.
    pub(super) fn begun(&self) -> bool {
        !self.report.phases.is_empty()
    }

    /// Runs a phase. A failure is recorded, and stops the host.
    pub(super) async fn step(&mut self, phase: Phase) {
        let begun = Instant::now();
        let result = self.watched(phase).await;
        if let Some(event) = result.as_ref().ok().and_then(|()| self.event_of(phase)) {
            self.ctx.bus().publish_system(&event);
        }
        self.record(phase, begun, result);
    }

    /// Ends the module's tasks.
    pub(super) async fn settle(&mut self) {
        let (begun, inner) = (Instant::now(), self.ctx.inner());
        let until = begun + inner.limits.of(Phase::Stop);
        let settled = inner.tasks.settle(until, inner.host.cut_is_over()).await;
        if !inner.tasks.any() {
            return;
        }
        let failure = inner.host.failure_of_tasks(&inner.module);
        match (failure, settled) {
            (Some(failure), _) => self.push(Phase::Run, begun, End::Failed(failure.reason.to_string())),
            (None, Settled::Finished) => self.push(Phase::Run, begun, End::Finished),
            (None, Settled::Cut) => self.record(Phase::Run, begun, Err(self.late(Phase::Stop))),
        }
    }

    /// Takes back the host's resources from the module.
    pub(super) async fn release(&self) {
        let inner = self.ctx.inner();
        inner.hub.remove_of(&inner.module);
        #[cfg(feature = "sql")]
        inner.db.close(inner.limits.of(Phase::Close)).await;
    }

    /// Drops the module, which may panic, and returns its report.
    pub(super) fn end(self) -> ModuleReport {
        let Self {
            module,
            ctx,
            mut report,
        } = self;
        if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(module))) {
            let reason = Reason::Panicked(panic_message(&*panic));
            report.phases.retain(|report| report.phase != Phase::Close);
            report.phases.push(PhaseReport {
                phase: Phase::Close,
                end: End::Failed(reason.to_string()),
                took: Duration::ZERO,
            });
            ctx.host().fail(&report.name, Phase::Close, reason);
        }
        report
    }

    async fn watched(&self, phase: Phase) -> Result<(), Reason> {
        let (module, ctx) = (Arc::clone(&self.module), self.ctx.clone());
        let inner = self.ctx.inner();
        let body = async move {
            let mut module = module.lock_owned().await;
            AssertUnwindSafe(call(&mut **module, phase, &ctx)).catch_unwind().await
        };
        let span = tracing::info_span!(parent: &inner.span, "phase", %phase);
        let mut task = inner.runtime.spawn(body.instrument(span));
        let joined = tokio::select! {
            biased;
            joined = &mut task => Some(joined),
            () = self.time_is_up(phase) => {
                task.abort();
                tokio::time::timeout(DROP_GRACE, task).await.ok()
            }
        };
        match joined {
            // A phase that ended while it was being dropped counts as well.
            Some(Ok(Ok(result))) => result.map_err(Reason::Error),
            Some(Ok(Err(panic))) => Err(Reason::Panicked(panic_message(&*panic))),
            Some(Err(error)) if error.is_panic() => Err(Reason::Panicked(panic_message(&*error.into_panic()))),
            Some(Err(_)) => Err(self.late(phase)),
            None => {
                tracing::error!(module = &*inner.module, %phase, "the phase blocks its thread and is abandoned");
                Err(self.late(phase))
            }
        }
    }

    /// Returns the bus event of a successful phase.
    fn event_of(&self, phase: Phase) -> Option<SystemEvent> {
        let module = Arc::clone(&self.report.name);
        match phase {
            Phase::Start => Some(SystemEvent::ModuleStarted { module }),
            Phase::Stop => Some(SystemEvent::ModuleStopped { module }),
            _ => None,
        }
    }

    async fn time_is_up(&self, phase: Phase) {
        let inner = self.ctx.inner();
        let upwards = Phase::UP.contains(&phase);
        let stopped_for_long = async {
            inner.host.stopping().await;
            tokio::time::sleep(inner.limits.after_stop()).await;
        };
        tokio::select! {
            () = tokio::time::sleep(inner.limits.of(phase)) => {}
            () = stopped_for_long, if upwards => {}
            () = inner.host.cut_is_over() => {}
        }
    }

    /// Returns the reason for a phase that did not end in time.
    fn late(&self, phase: Phase) -> Reason {
        let inner = self.ctx.inner();
        let stops = Phase::UP.contains(&phase) && inner.host.is_stopping();
        if stops || inner.host.cut_token().is_cancelled() {
            Reason::Cut
        } else {
            Reason::TimedOut(inner.limits.of(phase))
        }
    }

    fn record(&mut self, phase: Phase, begun: Instant, result: Result<(), Reason>) {
        let end = match &result {
            Ok(()) => End::Finished,
            Err(Reason::TimedOut(_) | Reason::Cut) => End::Cut,
            Err(reason) => End::Failed(reason.to_string()),
        };
        if let Err(reason) = result {
            self.ctx.host().fail(&self.report.name, phase, reason);
        }
        self.push(phase, begun, end);
    }

    fn push(&mut self, phase: Phase, begun: Instant, end: End) {
        let took = begun.elapsed();
        self.report.phases.push(PhaseReport { phase, end, took });
    }
}

fn call<'a>(module: &'a mut dyn Module, phase: Phase, ctx: &'a Context) -> BoxFuture<'a, PhaseResult> {
    match phase {
        Phase::Build => module.build(ctx),
        Phase::Configure => module.configure(ctx),
        Phase::Migrate => module.migrate(ctx),
        Phase::Start => module.start(ctx),
        Phase::Ready => module.ready(ctx),
        Phase::Run => Box::pin(ready(Ok(()))),
        Phase::Drain => module.drain(ctx),
        Phase::Stop => module.stop(ctx),
        Phase::Close => module.close(ctx),
    }
}
