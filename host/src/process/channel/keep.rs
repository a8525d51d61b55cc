//! Keeps a process running: spawns it, restarts it as the module's settings say, and ends it in order.

use std::collections::BTreeSet;
use std::os::unix::net::UnixStream as Channel;
use std::sync::{Arc, RwLock};
use std::time::Duration;

use isopod_module::protocol::{ITEM_COST, PROTOCOL, PROTOCOL_VARIABLE};
use isopod_module::shared::End;
use isopod_pool::{Failure, Outcome};
use serde_json::Value;
use tokio::net::UnixStream;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::end::SessionEnd;
use super::options::Channel as Options;
use super::place::Place;
use super::queue::Queue;
use super::request::{Desk, ModuleTasks};
use super::session::converse;
#[cfg(feature = "shared-memory")]
use super::shared::Offer;
use crate::bus::Results;
use crate::context::Context;
use crate::module::Phase;
use crate::process::{ChannelEnd, ProcessBackend, ProcessError, ProcessSpec};
use crate::supervise::{ChildSpec, ChildStop, Escalated, Group, GroupOptions, GroupReport};

/// Percentage of a drain's limit for tasks to finish.
const FINISH_SHARE: u32 = 40;
/// Percentage of a drain's limit for the process to exit by itself afterwards.
const STOP_SHARE: u32 = 40;
/// Time limit for a killed process to end.
const KILL_GRACE: Duration = Duration::from_secs(2);

/// A module with a channel to its process. Dropping it answers all waiting tasks.
pub(in crate::process) struct Connected {
    desk: Arc<Desk>,
    options: Options,
    running: Option<Running>,
}

/// A running group of one child.
struct Running {
    token: CancellationToken,
    place: Arc<Place>,
    ended: oneshot::Receiver<GroupReport>,
}

impl Connected {
    pub(in crate::process) fn new(ctx: &Context, options: Options) -> Self {
        let results = options.results.clone();
        let results = results.or_else(|| ctx.hub().try_get::<Results>().map(|results| (*results).clone()));
        let items = options.window_bytes / ITEM_COST + 2;
        let items_max = usize::try_from(items * u64::from(options.retries + 1)).unwrap_or(usize::MAX >> 4);
        Self {
            desk: Arc::new(Desk {
                module: ctx.module().into(),
                queue: Arc::new(Queue::new(options.queue_max)),
                bus: ctx.bus().clone(),
                results: results.unwrap_or_default(),
                deadline: options.deadline,
                window_bytes: options.window_bytes,
                items_max,
                tasks: RwLock::new(BTreeSet::new()),
            }),
            options,
            running: None,
        }
    }

    pub(in crate::process) fn tasks(&self) -> ModuleTasks {
        ModuleTasks::new(Arc::clone(&self.desk))
    }

    /// Starts the process, and waits until it has registered itself.
    pub(in crate::process) async fn start(
        &mut self,
        ctx: &Context,
        mut spec: ProcessSpec,
        config: Value,
        backend: Arc<dyn ProcessBackend>,
    ) -> Result<(), ProcessError> {
        spec.env
            .insert(PROTOCOL_VARIABLE.to_owned(), PROTOCOL.to_string().into());
        let (first, registered) = oneshot::channel();
        let place = Arc::new(Place::new(
            Arc::clone(&self.desk),
            self.options.clone(),
            ctx.instance().as_str().to_owned(),
            config,
            ctx.runtime().clone(),
            first,
        ));
        let stop_within = ctx.limit(Phase::Drain) * STOP_SHARE / 100;
        let keep = Arc::new(Keep {
            place: Arc::clone(&place),
            backend,
            spec,
            ctx: ctx.clone(),
            stop_within,
            #[cfg(feature = "shared-memory")]
            offer: offer_of(&self.options),
        });
        let options = GroupOptions::default()
            .name(ctx.module())
            .intensity(self.options.intensity);
        let group = ctx.supervisor().supervise(vec![keep.child()], options);
        let token = group.token().clone();
        // Dropped with this future, and if the process does not register itself; either kills the process.
        let group = match registered.await {
            Ok(Ok(())) => group,
            Ok(Err(SessionEnd::Spawn { binary, source })) => return Err(ProcessError::Spawn { binary, source }),
            Ok(Err(end)) => return Err(ProcessError::Channel(end.to_string())),
            Err(_) => return Err(ProcessError::Channel("the supervisor was shut down".to_owned())),
        };
        let (done, ended) = oneshot::channel();
        ctx.spawn(watch(group, Arc::clone(&place), ctx.token().clone(), done));
        self.running = Some(Running { token, place, ended });
        Ok(())
    }

    /// Finishes the tasks that were accepted, then ends the process.
    pub(in crate::process) async fn drain(&mut self, ctx: &Context) -> Result<(), ProcessError> {
        let Some(Running { token, place, ended }) = self.running.take() else {
            return Ok(());
        };
        let queue = &self.desk.queue;
        queue.drain();
        let limit = ctx.limit(Phase::Drain) * FINISH_SHARE / 100;
        if tokio::time::timeout(limit, queue.idle()).await.is_err() {
            tracing::warn!(?limit, "tasks of the module did not finish in time and are canceled");
        }
        place.end_chains();
        token.cancel();
        // If the watcher has ended, it has already reported the group's end.
        let report = ended.await.unwrap_or_default();
        match report.stopped.into_iter().map(|child| child.stop).next() {
            Some(ChildStop::Failed(error)) => Err(ProcessError::Channel(error)),
            Some(ChildStop::Aborted) => Err(ProcessError::Killed(ctx.limit(Phase::Drain) * STOP_SHARE / 100)),
            Some(ChildStop::Finished) | None => Ok(()),
        }
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        close(&self.desk, "the module has been stopped");
    }
}

fn close(desk: &Desk, reason: &str) {
    let message = format!("the module `{}` takes no tasks: {reason}", desk.module);
    desk.queue.close(&Failure::new(Outcome::WorkerLost, message));
}

/// Watches the group, and the deadlines of waiting tasks. Dropping the group kills the process.
async fn watch(
    group: Group,
    place: Arc<Place>,
    token: CancellationToken,
    done: oneshot::Sender<GroupReport>,
) -> Result<(), Escalated> {
    let ended = tokio::select! {
        ended = group => ended,
        () = place.desk.queue.watch_deadlines() => return Ok(()),
        // Before the drain this happens only if the host is cut.
        () = token.cancelled() => return Ok(()),
    };
    match ended {
        Ok(report) => {
            close(&place.desk, "its process has ended");
            // The drain may have been dropped.
            let _ = done.send(report);
            Ok(())
        }
        Err(escalated) => {
            close(&place.desk, &escalated.to_string());
            Err(escalated)
        }
    }
}

#[cfg(feature = "shared-memory")]
fn offer_of(options: &Options) -> Option<Offer> {
    let memory = options.shared_memory.clone();
    memory.map(|memory| Offer::new(memory, &options.limits))
}

/// Everything needed to start the process, any number of times.
struct Keep {
    place: Arc<Place>,
    backend: Arc<dyn ProcessBackend>,
    spec: ProcessSpec,
    ctx: Context,
    stop_within: Duration,
    #[cfg(feature = "shared-memory")]
    offer: Option<Offer>,
}

impl Keep {
    fn child(self: Arc<Self>) -> ChildSpec {
        let (options, within) = (&self.place.options, self.stop_within + KILL_GRACE);
        let (name, restart, backoff) = (Arc::clone(&self.place.desk.module), options.restart, options.backoff);
        ChildSpec::new(name, move |child| {
            let keep = Arc::clone(&self);
            async move {
                let end = keep.live(&child.token).await;
                keep.place.ended(end)
            }
        })
        .restart(restart)
        .backoff(backoff)
        .stop_within(within)
    }

    async fn live(&self, token: &CancellationToken) -> SessionEnd {
        // The process starts while its memory is reserved.
        let (shared, spawned) = tokio::join!(self.shared(), self.spawn());
        match spawned {
            Ok((mut process, stream)) => {
                converse(&self.place, &mut *process, (stream, shared), token, self.stop_within).await
            }
            Err(end) => end,
        }
    }

    /// Creates the memory that is offered to the next process.
    #[cfg(feature = "shared-memory")]
    async fn shared(&self) -> Option<End> {
        self.offer.as_ref()?.make(self.ctx.runtime()).await
    }

    #[cfg(not(feature = "shared-memory"))]
    fn shared(&self) -> std::future::Ready<Option<End>> {
        std::future::ready(None)
    }

    async fn spawn(&self) -> Result<(Box<dyn crate::process::Process>, UnixStream), SessionEnd> {
        let (host, end) = Channel::pair()?;
        host.set_nonblocking(true)?;
        let stream = UnixStream::from_std(host)?;
        let spec = ProcessSpec {
            channel: Some(ChannelEnd(Arc::new(end))),
            ..self.spec.clone()
        };
        // The spec is dropped here, so that the host keeps no copy of the process's end.
        let spawned = self.backend.spawn(&spec, &self.ctx).await;
        let process = spawned.map_err(|source| SessionEnd::Spawn {
            binary: spec.binary.display().to_string(),
            source,
        })?;
        Ok((process, stream))
    }
}
