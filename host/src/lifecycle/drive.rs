//! Startup and shutdown, and all decisions about them.

use std::time::{Duration, Instant};

use super::step::Member;
use super::stop::{Cause, HostHandle};
use crate::bus::{Bus, SystemEvent};
use crate::module::Phase;
use crate::supervise::Supervisor;

/// Extra time for the end of supervised tasks, whose runtime may be blocked.
const SUPERVISOR_GRACE: Duration = Duration::from_secs(2);

/// State shared by all modules of a host. It ends with them.
pub(super) struct Ground {
    pub(super) bus: Bus,
    pub(super) supervisor: Supervisor,
    /// Time for supervised tasks to end.
    pub(super) stop_limit: Duration,
}

/// Result of a host's run.
pub(super) struct Ended {
    pub(super) cause: Cause,
    pub(super) stopped_in: Duration,
}

/// Runs the ordered modules through all phases. `ready` is called when all of them are ready.
pub(super) async fn drive(members: &mut [Member], host: &HostHandle, ground: &Ground, ready: impl FnOnce()) -> Ended {
    up(members, host).await;
    if !host.is_stopping() {
        tracing::info!(modules = members.len(), "ready");
        ready();
    }
    host.stopping().await;
    let cause = host.cause().unwrap_or(Cause::Requested);
    tracing::info!(%cause, "stopping");
    let begun = Instant::now();
    ground.bus.publish_system(&SystemEvent::Draining);
    down(members, host, ground).await;
    ground.bus.publish_system(&SystemEvent::Shutdown);
    Ended {
        cause,
        stopped_in: begun.elapsed(),
    }
}

/// Starts the modules phase by phase, module by module, until all are ready or the host has to stop. A failure stops it too.
async fn up(members: &mut [Member], host: &HostHandle) {
    for phase in Phase::UP {
        for member in &mut *members {
            if host.is_stopping() {
                return;
            }
            member.step(phase).await;
        }
    }
}

/// Undoes the finished phases in reverse, once. For every module of which a phase ran, even one that failed, tasks are ended
/// and the host's resources are taken back.
async fn down(members: &mut [Member], host: &HostHandle, ground: &Ground) {
    for phase in Phase::DOWN {
        // Supervised tasks end after the modules have stopped, while the clients that they use still exist.
        if phase == Phase::Close {
            ground.end_tasks(host).await;
        }
        for member in members.iter_mut().rev().filter(|member| member.begun()) {
            if phase == Phase::Stop {
                member.settle().await;
            }
            if phase.undoes().is_some_and(|undone| member.report.finished(undone)) {
                member.step(phase).await;
            }
            if phase == Phase::Close {
                member.release().await;
            }
        }
    }
}

impl Ground {
    async fn end_tasks(&self, host: &HostHandle) {
        let ended = tokio::select! {
            biased;
            ended = tokio::time::timeout(self.stop_limit + SUPERVISOR_GRACE, self.supervisor.shutdown(self.stop_limit)) => ended,
            () = host.cut_is_over() => tokio::time::timeout(SUPERVISOR_GRACE, self.supervisor.shutdown(Duration::ZERO)).await,
        };
        match ended {
            Ok(report) if report.cut == 0 && report.stuck == 0 => {}
            Ok(report) => tracing::warn!(
                cut = report.cut,
                stuck = report.stuck,
                "supervised tasks did not end in time"
            ),
            Err(_) => tracing::error!("the modules' runtime is blocked: supervised tasks are abandoned"),
        }
    }
}
