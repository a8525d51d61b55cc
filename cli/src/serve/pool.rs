//! The settings of the pool, and the host module with it.

use std::sync::Arc;
use std::time::Duration;

use isopod::host::{Phase, PoolModule};
use isopod::{Cells, OsScheduling, Pool, PoolBuilder, PoolEvent};

use super::life::Life;
use crate::config::{self, Config};

/// The name of the pool's module.
pub(super) const NAME: &str = "pool";

/// Minimum time for finishing accepted work, even if requests have used up the deadline.
pub(super) const DRAIN_MIN: Duration = Duration::from_secs(1);
/// Time for joining threads; workers are idle by then.
const CLOSE: Duration = Duration::from_secs(1);

/// Returns the host module with the pool. Its workers are deployed by [`Deploy`](super::deploy::Deploy).
pub(super) fn module(
    config: &Arc<Config>,
    life: &Arc<Life>,
    observer: impl Fn(&PoolEvent) + Send + Sync + 'static,
) -> PoolModule<Pool> {
    let (config, draining, closed) = (Arc::clone(config), Arc::clone(life), Arc::clone(life));
    PoolModule::with(NAME, move |ctx| {
        pool_builder(&config).on(ctx.bus().observer()).on(observer).build()
    })
    .drain_within(move || draining.left().max(DRAIN_MIN))
    .close_within(CLOSE)
    .on_end(move |phase, report| {
        if phase == Phase::Close {
            closed.threads_joined(report.threads_joined);
        } else {
            // Cut events have been counted by the server, or logged one by one.
            tracing::debug!(target: "isopod", ?report, "pool drained");
        }
    })
}

/// This program, with the environment variables for locale and time zone.
fn cells() -> Cells {
    let names = ["TZ", "LANG", "LC_ALL"];
    let variables = names
        .into_iter()
        .filter_map(|name| Some((name, std::env::var_os(name)?)));
    variables.fold(Cells::this_program(), |cells, (name, value)| cells.env(name, value))
}

pub(crate) fn pool_builder(config: &Config) -> PoolBuilder {
    let builder = Pool::builder();
    let builder = match config.threads {
        Some(threads) => builder.threads(threads),
        None => builder,
    };
    let settings = &config.pool;
    let mut builder = builder
        .os_scheduling(match settings.os_scheduling {
            config::OsScheduling::Tuned => OsScheduling::Tuned,
            config::OsScheduling::Untouched => OsScheduling::Untouched,
        })
        .cells(
            cells()
                .sandbox_required(settings.sandbox == config::Sandbox::Required)
                .transit_bytes_max(usize::try_from(settings.cell_transit).unwrap_or(usize::MAX)),
        )
        .attached_tasks_max(settings.connections_per_worker)
        .lost_grace(settings.lost_grace)
        .wall_grace(settings.wall_grace)
        .queue_target(settings.queue_target)
        .queue_interval(settings.queue_interval)
        .depth_max(config.ingress.depth_max);
    if let Some(threads) = settings.lost_threads_max {
        builder = builder.lost_threads_max(threads);
    }
    if let Some(workers) = settings.workers_max {
        builder = builder.workers_max(workers);
    }
    if let Some(bytes) = settings.memory.and_then(|bytes| usize::try_from(bytes).ok()) {
        builder = builder.memory_bytes_max(bytes);
    }
    if let Some(events) = settings.queue {
        builder = builder.queue_total_max(events);
    }
    builder
}
