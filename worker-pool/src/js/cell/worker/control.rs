//! Messages of a cell about its worker as a whole, and its signs of life.

use std::future::pending;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use h2::{Ping, PingPong};
use isopod_outcome::Outcome;
use isopod_runtime::modules::ModulesLoaded;
use tokio::sync::oneshot;
use tokio::time::error::Elapsed;
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{State, Verdict};
use crate::engine::WorkerNotice;
use crate::js::cell::process::Life;
use crate::js::cell::serve::Served;
use crate::js::cell::wire::{FromCell, Messages};

/// Time limit for the system to report how a process ended after its connection has closed, or it was killed.
pub(super) const TOLD_WITHIN: Duration = Duration::from_millis(200);

/// Time after which a worker whose connection has ended, or whose process was killed, is given up in any case.
pub(super) const LOST_WITHIN: Duration = Duration::from_millis(600);

/// Time limit for the answers of a condemned worker.
const ANSWERED_WITHIN: Duration = Duration::from_millis(500);

/// Forwards the observations of a cell until it has ended. The cell's own watchdog terminates its code; if that has no effect for
/// `lost_grace`, the code cannot be interrupted, and the process is killed.
pub(super) async fn listen(
    mut incoming: Messages,
    state: Rc<State>,
    (life, served): (Arc<Life>, Arc<Served>),
    notice: WorkerNotice,
    modules: ModulesLoaded,
    lost_grace: Duration,
) {
    let mut stopping: Option<(Instant, Outcome)> = None;
    loop {
        let too_late = async {
            match stopping {
                Some((at, outcome)) => {
                    sleep_until(at).await;
                    outcome
                }
                None => pending().await,
            }
        };
        let message = tokio::select! {
            message = incoming.next::<FromCell>() => message,
            outcome = too_late => {
                // It gets no more events.
                state.is_condemning.set(true);
                life.kill();
                drop(timeout(TOLD_WITHIN, life.ended()).await);
                state.give_back_unbegun(&life, &served);
                state.spare_all_but(state.last.get());
                let reason = "the worker's code could not be interrupted: its process was killed";
                return state.condemn(outcome, reason);
            }
        };
        match message {
            Ok(Some(FromCell::LongTurn)) => {
                state.in_long_turn.set(true);
                state.long_turns.set(state.long_turns.get() + 1);
                notice.long_turn();
            }
            Ok(Some(FromCell::Stopping(outcome))) => stopping = Some((Instant::now() + lost_grace, outcome)),
            Ok(Some(FromCell::Returned)) => {
                stopping = None;
                state.in_long_turn.set(false);
                state.wake();
            }
            Ok(Some(FromCell::Loaded(urls))) => modules.add(&urls),
            Ok(Some(FromCell::Condemning)) => state.is_condemning.set(true),
            Ok(Some(FromCell::Condemned { outcome, reason })) => {
                state.is_condemning.set(true);
                // Answers may still be in transit.
                let answered = async {
                    while !state.open.borrow().is_empty() {
                        sleep(Duration::from_millis(1)).await;
                    }
                };
                drop(timeout(ANSWERED_WITHIN, answered).await);
                // All other events arrived too late to begin.
                state.spare_all_but(None);
                return state.condemn(outcome, reason);
            }
            Ok(Some(FromCell::Booted { .. } | FromCell::BootFailed(_))) => {
                life.kill();
                return state.condemn(Outcome::WorkerLost, "the worker's process says that it starts again");
            }
            Ok(None) | Err(_) => {
                // It gets no more events.
                state.is_condemning.set(true);
                let how = end_of(&life).await;
                state.give_back_unbegun(&life, &served);
                let verdict = state.verdict.take();
                if let Some(verdict) = verdict {
                    return state.pronounce(verdict);
                }
                return match life.is_too_large() {
                    true => {
                        state.spare_all_but(state.last.get());
                        let memory = life.memory_bytes() >> 20;
                        let reason = format!("the worker's process was killed: it had {memory} MiB of memory");
                        state.condemn(Outcome::ExceededMemory, reason);
                    }
                    false => state.condemn(Outcome::WorkerLost, format!("the worker's process ended ({how})")),
                };
            }
        }
    }
}

/// Waits for the end of a process whose connection has ended, and describes it.
async fn end_of(life: &Life) -> String {
    if let Ok(how) = timeout(TOLD_WITHIN, life.ended()).await {
        return how;
    }
    // It goes on without its connection. Once it has ended, it is known what it has not begun.
    life.kill();
    drop(timeout(TOLD_WITHIN, life.ended()).await);
    "it closed its connection".to_owned()
}

/// Pings the cell, whose main thread answers, not that of the worker. A process that does not answer is stopped, or gets no CPU
/// time.
pub(super) async fn heartbeat(
    pings: oneshot::Receiver<PingPong>,
    state: Rc<State>,
    life: Arc<Life>,
    silence_max: Duration,
) {
    let beats = async {
        let mut pings = timeout(silence_max, pings).await?;
        while let Ok(pings) = &mut pings
            // An error means that the connection has ended, which `listen` observes too.
            && timeout(silence_max, pings.ping(Ping::opaque())).await?.is_ok()
        {
            sleep(silence_max / 4).await;
        }
        Ok::<_, Elapsed>(())
    };
    if beats.await.is_err() {
        let reason = format!("the worker's process gave no sign of life for {silence_max:?}: it was killed");
        let verdict = Verdict {
            outcome: Outcome::ExceededWall,
            reason,
            is_for_one: false,
        };
        state.kill(&life, verdict).await;
    }
}
