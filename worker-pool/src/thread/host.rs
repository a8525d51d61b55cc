//! One worker from boot to drop, on its own runtime. Drop order: worker, `LocalSet`, runtime.

use std::future::{Future as _, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt as _;
use futures::future::{Either, select};
use isopod_outcome::{Failure, Outcome};
#[cfg(not(feature = "shuttle"))]
use tokio::task::LocalSet;

use crate::attached::DetachesAll;
use crate::engine::{BootContext, BootError, Engine, Noticed, Worker as _, WorkerId, WorkerNotice};
use crate::observe::RetireReason;
use crate::recorder::Series;
use crate::shared::Shared;
use crate::state::{Assignment, Departure};
use crate::sync::clock;
use crate::thread::event_loop::EventLoop;
use crate::time::after;

/// Time that blocking calls of a worker have to end when its runtime is dropped.
#[cfg(not(feature = "shuttle"))]
const BLOCKING_GRACE: std::time::Duration = std::time::Duration::from_millis(100);

/// Maximum number of threads for a worker's blocking calls, such as cryptography, started on demand. Tokio's default is 512.
#[cfg(not(feature = "shuttle"))]
const BLOCKING_THREADS_MAX: usize = 4;

pub(super) fn host<E: Engine>(
    shared: &Arc<Shared<E>>,
    thread: &E::Thread,
    index: usize,
    assignment: &Assignment<E>,
) -> Departure {
    match on_event_loop(live(shared, thread, index, assignment)) {
        Ok(departure) => departure,
        Err(error) => {
            let failure = Failure::new(Outcome::BootFailed, "cannot create the worker's event loop");
            Departure::BootFailed(failure.with_detail(error.to_string()))
        }
    }
}

/// Runs a future on a fresh runtime in a fresh `LocalSet`, which end with it.
#[cfg(not(feature = "shuttle"))]
fn on_event_loop<T>(live: impl Future<Output = T>) -> std::io::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .max_blocking_threads(BLOCKING_THREADS_MAX)
        .thread_name("isopod-crypto")
        .build()?;
    let local = LocalSet::new();
    let result = local.block_on(&runtime, live);
    {
        // Tasks the worker left behind are dropped inside their runtime.
        let _entered = runtime.enter();
        drop(local);
    }
    runtime.shutdown_timeout(BLOCKING_GRACE);
    Ok(result)
}

#[cfg(feature = "shuttle")]
fn on_event_loop<T>(live: impl Future<Output = T>) -> std::io::Result<T> {
    Ok(shuttle::future::block_on(live))
}

async fn live<E: Engine>(
    shared: &Arc<Shared<E>>,
    thread: &E::Thread,
    index: usize,
    assignment: &Assignment<E>,
) -> Departure {
    let started = clock::now();
    let mut worker = match boot(shared, thread, index, assignment, started).await {
        Ok(worker) => worker,
        Err(departure) => return departure,
    };
    let recorder = shared.with(|state, _| Arc::clone(&state.threads[index].recorder));
    let now = clock::now();
    recorder
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
        .record(Series::Boot, now.duration_since(started), now);
    assignment.attached.open();
    let detaches_all = DetachesAll(&assignment.attached);
    let ran = {
        let mut event_loop = EventLoop::new(shared, index, assignment, &mut worker, recorder);
        AssertUnwindSafe(event_loop.run()).catch_unwind().await
    };
    drop(detaches_all);
    match ran {
        Ok(departure) => {
            // The thread returned too late, and its events have ended.
            if matches!(departure, Departure::Retired(RetireReason::Lost)) {
                worker.abandon(Failure::new(Outcome::WorkerLost, "the worker was abandoned"));
            }
            let reason = match departure {
                Departure::Retired(reason) => reason,
                _ => RetireReason::Lost,
            };
            shared.with(|state, fx| state.let_go(index, assignment.worker, reason, clock::now(), fx));
            departure
        }
        Err(panic) => {
            let failure = Failure::new(Outcome::WorkerLost, "the worker's thread panicked");
            // A worker that panicked may do so again.
            let abandoned = catch_unwind(AssertUnwindSafe(|| worker.abandon(failure)));
            let dropped = catch_unwind(AssertUnwindSafe(|| drop(worker)));
            if abandoned.is_err() || dropped.is_err() {
                tracing::error!("a worker panicked again while it was dropped");
            }
            std::panic::resume_unwind(panic)
        }
    }
}

/// Boots a worker, until the deadline or the cancellation of the boot, which is the only mail before the worker is ready.
async fn boot<E: Engine>(
    shared: &Arc<Shared<E>>,
    thread: &E::Thread,
    index: usize,
    assignment: &Assignment<E>,
    started: Instant,
) -> Result<E::Worker, Departure> {
    let version = &assignment.version;
    let limit = version.limits.boot_timeout;
    let ctx = BootContext {
        worker: assignment.worker,
        script_name: Arc::clone(&version.name),
        version: version.number,
        concurrency: version.limits.concurrency,
        events_max: version.limits.events_max,
        deadline: Some(after(started, limit)),
        stop_at: Some(after(started, limit.saturating_add(shared.settings.wall_grace))),
        notice: worker_notice(shared, index, assignment.worker),
    };
    let mut boot = pin!(clock::timeout(limit, shared.engine.boot(thread, &version.script, ctx)));
    let mut computes = true;
    let boot = poll_fn(move |cx| {
        let polled = boot.as_mut().poll(cx);
        if polled.is_pending() && std::mem::take(&mut computes) {
            shared.with(|state, _| state.boot_waits(index));
        }
        polled
    });
    let unwanted = poll_fn(|cx| assignment.mail.poll_mail(cx));
    match select(boot, unwanted).await {
        Either::Left((Ok(Ok(worker)), _)) => Ok(worker),
        Either::Left((Ok(Err(BootError(failure))), _)) => Err(Departure::BootFailed(failure)),
        Either::Left((Err(_), _)) => {
            let message = format!("the worker was not ready within {limit:?}");
            Err(Departure::BootFailed(Failure::new(Outcome::BootFailed, message)))
        }
        Either::Right(_) => Err(Departure::BootAborted),
    }
}

/// Creates the channel for the engine's observations of this worker's thread.
fn worker_notice<E: Engine>(shared: &Arc<Shared<E>>, thread: usize, worker: WorkerId) -> WorkerNotice {
    // Weak, because the engine may keep the notice longer than the pool lives.
    let shared = Arc::downgrade(shared);
    WorkerNotice::new(move |noticed| {
        if let Some(shared) = shared.upgrade() {
            shared.with(|state, fx| match noticed {
                Noticed::LongTurn => state.turn_is_long(thread, worker, clock::now(), fx),
                Noticed::Stopping(stop) => state.told_to_stop(thread, worker, stop, clock::now(), fx),
            });
        }
    })
}
