//! The way up and the way down, and nothing else decides about either.

use std::time::{Duration, Instant};

use super::step::Member;
use super::stop::{Cause, HostHandle};
use crate::module::Phase;

/// How a host's life ended.
pub(super) struct Ended {
    pub(super) cause: Cause,
    pub(super) stopped_in: Duration,
}

/// Takes the modules, which are in order, through their lives. `ready` is called when all of them are.
pub(super) async fn drive(members: &mut [Member], host: &HostHandle, ready: impl FnOnce()) -> Ended {
    up(members, host).await;
    if !host.is_stopping() {
        tracing::info!(modules = members.len(), "ready");
        ready();
    }
    host.stopping().await;
    let cause = host.cause().unwrap_or(Cause::Asked);
    tracing::info!(%cause, "stopping");
    let begun = Instant::now();
    down(members).await;
    Ended {
        cause,
        stopped_in: begun.elapsed(),
    }
}

/// Phase by phase, module by module, until all are ready or the host is to stop; a failure stops it as well.
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

/// Undoes in reverse what finished, once. Tasks end and what the host gave is taken back wherever anything ran at all,
/// since a phase that failed may have come as far as that.
async fn down(members: &mut [Member]) {
    for phase in Phase::DOWN {
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
