//! The Durable Objects that live in workers of the pool.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::channel::oneshot;
use isopod_outcome::{Failure, Outcome};
use isopod_runtime::handlers::{Event, EventKind, Fault, HandlerInput};
use isopod_runtime::objects::{
    Claimed, OBJECT_GONE, ObjectClaim, ObjectClass, ObjectId, ObjectStart, OnEnd, StoredObject, entry_point,
};
use isopod_runtime::values::{FromScript, Thrown, answer};
use serde::de::IgnoredAny;
use tokio::sync::watch;

use super::super::answer::value;
use super::super::cell::peer::Peer;
use super::super::engine::ScriptEngine;
use super::super::fault::failure;
use super::Shared;
use crate::{Meta, Session};

/// The script of an object, and its entry point there.
pub(super) type Key = (Arc<str>, Arc<str>);

/// An object that was started in a worker.
pub(super) struct Live {
    pub(super) key: Key,
    pub(super) session: Session<Event>,
    /// Time after which it is evicted.
    idle: Duration,
    stage: watch::Sender<Stage>,
    /// Time of its last call, or of its last refused eviction.
    used: Mutex<Instant>,
    /// The answer to its start.
    started: Mutex<oneshot::Receiver<Result<IgnoredAny, Fault>>>,
}

/// Time for another process to answer or to give up an object: its objects have 5 s to end.
pub(super) const PATIENCE: Duration = Duration::from_secs(8);
/// Time between two looks at a claim.
pub(super) const LOOK: Duration = Duration::from_millis(20);

/// The place where an object lives.
pub(super) enum Found {
    Here(Arc<Live>),
    /// In another process.
    There(Peer),
}

/// The reason why an object is not found in the table.
enum Missing {
    /// It is leaving, or its worker is gone.
    Ending(watch::Receiver<Stage>),
    /// The process that answers at this address has it.
    Elsewhere(String),
}

/// The stage of an object.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Open,
    /// It was asked to end; calls wait.
    Leaving,
    Ended,
}

impl Live {
    /// Dispatches an event to the object.
    pub(super) fn event(&self, kind: EventKind) -> Event {
        Event {
            entrypoint: Some(self.key.1.to_string()),
            kind,
        }
    }

    /// Sends an event of the host to the object, and waits for the answer.
    pub(super) async fn handle<I: HandlerInput, R: FromScript>(&self, input: I, meta: Meta) -> Result<R, Failure> {
        let (reply, answer) = answer::<R>();
        let event = self.event(EventKind::handler(input, reply));
        let ticket = self
            .session
            .dispatch(event, meta)
            .map_err(|rejected| Failure::from(rejected.reason))?;
        value(answer, ticket).await.map_err(|failure| self.explain(failure))
    }

    pub(super) fn has_ended(&self) -> bool {
        *self.stage.borrow() == Stage::Ended
    }

    /// Returns whether its worker must end.
    pub(super) fn must_go(&self) -> bool {
        self.session.closing().now_or_never().is_some()
    }

    pub(super) fn touch(&self) {
        *self.used.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
    }

    /// Returns whether it has been idle for its limit.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        let used = *self.used.lock().unwrap_or_else(PoisonError::into_inner);
        now.saturating_duration_since(used) >= self.idle
    }

    /// Changes its stage, unless it has ended or has that stage already. Returns whether the stage changed.
    pub(super) fn enter(&self, to: Stage) -> bool {
        self.stage.send_if_modified(|stage| {
            let changes = *stage != Stage::Ended && *stage != to;
            if changes {
                *stage = to;
            }
            changes
        })
    }

    /// Returns the failure of an event for its caller. An event that reached the worker after the object had ended, or that
    /// could not start, may be retried.
    pub(super) fn explain(&self, failed: Failure) -> Failure {
        let thrown = failed
            .source
            .as_deref()
            .and_then(|source| source.downcast_ref::<Thrown>());
        if thrown.is_none_or(|thrown| thrown.class != OBJECT_GONE) {
            return failed;
        }
        let mut started = self.started.lock().unwrap_or_else(PoisonError::into_inner);
        match started.try_recv() {
            Ok(Some(Err(fault))) => {
                let why = failure(fault);
                Failure::new(Outcome::WorkerLost, why.message)
            }
            _ => Failure::new(Outcome::WorkerLost, failed.message),
        }
    }
}

impl<E: ScriptEngine> Shared<E> {
    /// Returns the object, started if it does not live. Waits while it is leaving. `only_here`: an object of another process is an
    /// error.
    pub(super) async fn find(
        self: &Arc<Self>,
        class: &Arc<ObjectClass>,
        id: &ObjectId,
        only_here: bool,
    ) -> Result<Found, Failure> {
        let key: Key = (Arc::clone(&class.script), entry_point(class, id).into());
        let begun = Instant::now();
        loop {
            let mut stage = match self.look(&key, class, id)? {
                Ok(live) => return Ok(Found::Here(live)),
                Err(Missing::Ending(stage)) => stage,
                Err(Missing::Elsewhere(address)) => {
                    let Some(peers) = self.peers.get().filter(|_| !only_here) else {
                        return Err(elsewhere(id, "try again"));
                    };
                    match peers.connect(&class.folder, &address).await {
                        Ok(peer) => return Ok(Found::There(peer)),
                        Err(error) if begun.elapsed() >= PATIENCE => {
                            let why = format!("that process cannot be reached ({error}); end it, or try again");
                            return Err(elsewhere(id, &why));
                        }
                        // It has not said yet where it answers, it ends, or it was killed.
                        Err(_) => peers.pause(LOOK).await,
                    }
                    continue;
                }
            };
            let is_gone = *stage.borrow() != Stage::Leaving;
            // The sender is in the table.
            let _ = stage
                .wait_for(|stage| {
                    if is_gone {
                        *stage == Stage::Ended
                    } else {
                        *stage != Stage::Leaving
                    }
                })
                .await;
        }
    }

    /// Looks for the object in the table, and starts it if it lives nowhere.
    fn look(
        self: &Arc<Self>,
        key: &Key,
        class: &Arc<ObjectClass>,
        id: &ObjectId,
    ) -> Result<Result<Arc<Live>, Missing>, Failure> {
        let mut all = self.live();
        match all.get(key) {
            Some(live) if live.has_ended() => drop(all.remove(key)),
            Some(live) if live.session.is_gone() || *live.stage.borrow() == Stage::Leaving => {
                return Ok(Err(Missing::Ending(live.stage.subscribe())));
            }
            Some(live) => {
                live.touch();
                return Ok(Ok(Arc::clone(live)));
            }
            None => {}
        }
        let claim = match self.peers.get().map(|peers| (peers, peers.claim(self, class, id))) {
            None => None,
            Some((_, Ok(Claimed::Ours(claim)))) => Some(claim),
            Some((peers, Ok(Claimed::Theirs(address)))) if peers.is_own(&class.folder, &address) => {
                return Err(elsewhere(
                    id,
                    "a worker of this process has not ended yet; try again later",
                ));
            }
            Some((_, Ok(Claimed::Theirs(address)))) => return Ok(Err(Missing::Elsewhere(address))),
            Some((_, Err(error))) => {
                let folder = class.folder.display();
                let message = format!("the Durable Object {id} cannot be claimed in {folder}: {error}");
                return Err(Failure::new(Outcome::WorkerLost, message));
            }
        };
        let live = Arc::new(self.start(key, class, id, claim)?);
        all.insert(key.clone(), Arc::clone(&live));
        Ok(Ok(live))
    }

    fn start(
        &self,
        key: &Key,
        class: &Arc<ObjectClass>,
        id: &ObjectId,
        claim: Option<ObjectClaim>,
    ) -> Result<Live, Failure> {
        let session = self.pool.open_keyed_session(&class.script, &key.1)?;
        let (stage, _) = watch::channel(Stage::Open);
        let (ends, changed) = (stage.clone(), Arc::clone(&self.changed));
        let stored = StoredObject {
            folder: class.folder.to_path_buf(),
            id: id.clone(),
            bytes_max: class.bytes_max,
            alarms: Arc::new(self.alarms_of(class)),
            // Takes no lock, because it is called wherever an event is dropped.
            on_end: OnEnd::new(move || {
                // Others may have it from now on.
                drop(claim);
                ends.send_replace(Stage::Ended);
                changed.notify_one();
            }),
        };
        let (reply, started) = answer::<IgnoredAny>();
        let live = Live {
            key: key.clone(),
            session,
            idle: class.idle,
            stage,
            used: Mutex::new(Instant::now()),
            started: Mutex::new(started),
        };
        let event = live.event(EventKind::handler(ObjectStart::new(Arc::clone(class), stored), reply));
        let dispatched = live.session.dispatch(event, Meta::default());
        dispatched.map_err(|rejected| Failure::from(rejected.reason))?.detach();
        Ok(live)
    }

    /// Removes the objects that have ended, which frees their workers.
    pub(super) fn sweep(&self) {
        let ended: Vec<_> = self.live().extract_if(|_, live| live.has_ended()).collect();
        // Dropped without the lock.
        drop(ended);
    }
}

fn elsewhere(id: &ObjectId, why: &str) -> Failure {
    let message = format!("the Durable Object {id} runs elsewhere: {why}");
    Failure::new(Outcome::WorkerLost, message)
}
