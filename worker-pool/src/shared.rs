//! State shared by the pool's handles and threads: the engine, the settings and the lock.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError, TryLockError};

use crate::engine::{Engine, SessionId};
use crate::job::EventId;
use crate::observe::{Observer, PoolEvent};
use crate::options::{Meta, Settings};
use crate::recorder::{Merged, Series};
use crate::reject::Rejected;
use crate::session::SessionHost;
use crate::state::{Effects, Phase, State};
use crate::stats::{Counters, PoolStats, ScriptStats};
use crate::sync::{Mutex, MutexGuard, channel, clock};
use crate::ticket::{Cancel, Ticket};

pub(crate) struct Shared<E: Engine> {
    pub(crate) engine: E,
    pub(crate) settings: Arc<Settings>,
    totals: Arc<Counters>,
    state: Mutex<State<E>>,
    /// Wakes the supervisor. Its capacity is one, because two wakes have the effect of one.
    wake: channel::Sender<()>,
    observers: Vec<Observer>,
    /// Events not yet sent to the observers, in order.
    news: Mutex<VecDeque<PoolEvent>>,
    /// Held while events are sent to the observers.
    telling: Mutex<()>,
}

impl<E: Engine> Shared<E> {
    pub(crate) fn new(engine: E, settings: Settings, observers: Vec<Observer>, wake: channel::Sender<()>) -> Self {
        let (settings, totals) = (Arc::new(settings), Arc::new(Counters::default()));
        let state = State::new(Arc::clone(&settings), Arc::clone(&totals), clock::now());
        Self {
            engine,
            settings,
            totals,
            state: Mutex::new(state),
            wake,
            observers,
            news: Mutex::default(),
            telling: Mutex::default(),
        }
    }

    /// Runs a critical section, then performs its effects.
    pub(crate) fn with<R>(&self, section: impl FnOnce(&mut State<E>, &mut Effects<E>) -> R) -> R {
        let (mut fx, mut has_news) = (Effects::new(), false);
        let result = {
            // No foreign code runs under the lock, so a poisoned state is still a consistent one.
            let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
            let result = section(&mut state, &mut fx);
            if state.is_unsettled() {
                state.settle(clock::now(), &mut fx);
            }
            if fx.has_news() {
                self.news().extend(fx.take_news());
                has_news = true;
            }
            result
        };
        // Observers are notified before callers are answered, because a caller's next action may cause the next event.
        if has_news {
            self.tell();
        }
        fx.perform(|| _ = self.wake.try_send(()));
        result
    }

    fn news(&self) -> MutexGuard<'_, VecDeque<PoolEvent>> {
        self.news.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends pending events to the observers in order. One thread at a time sends the events of all threads.
    fn tell(&self) {
        loop {
            let telling = match self.telling.try_lock() {
                Ok(telling) => telling,
                Err(TryLockError::Poisoned(telling)) => telling.into_inner(),
                Err(TryLockError::WouldBlock) => return,
            };
            while let Some(news) = self.next_news() {
                self.observe(&news);
            }
            drop(telling);
            // Events added since the last check were left to this thread.
            if self.news().is_empty() {
                return;
            }
        }
    }

    fn next_news(&self) -> Option<PoolEvent> {
        self.news().pop_front()
    }

    fn observe(&self, news: &PoolEvent) {
        tracing::debug!(?news, "pool");
        for observer in &self.observers {
            if catch_unwind(AssertUnwindSafe(|| observer(news))).is_err() {
                tracing::error!("an observer of the pool panicked");
            }
        }
    }

    pub(crate) fn stats(&self) -> PoolStats {
        let now = clock::now();
        let (mut stats, recorders) = self.with(|state, _| {
            let mut stats = PoolStats {
                open: state.open,
                sessions: state.sessions.open(),
                ..PoolStats::default()
            };
            stats.threads.alive = state.threads.iter().filter(|thread| thread.is_alive()).count();
            stats.threads.max = self.settings.size.threads_max;
            stats.threads.lost = state.threads_lost;
            stats.threads.stuck = state.stuck();
            stats.threads.respawned = state.threads_respawned;
            for (name, script) in &state.scripts {
                let (boots, boots_failed) = script.current.counters.boot_counts();
                let counters = &script.current.counters;
                let script = ScriptStats {
                    version: script.current.number,
                    in_flight: script.in_flight,
                    queued: script.queue.len(),
                    sessions: state.sessions.count(name).open,
                    accepted: counters.accepted_count(),
                    refused: counters.refused_count(),
                    outcomes: counters.outcome_counts(),
                    boots,
                    boots_failed,
                    retired: counters.retired_counts(),
                    ..ScriptStats::default()
                };
                stats.scripts.insert(name.to_string(), script);
            }
            for hosted in state.threads.iter().filter_map(|thread| thread.hosted.as_ref()) {
                stats.threads.busy += usize::from(!hosted.held.is_empty());
                if let Some(script) = stats.scripts.get_mut(&*hosted.version.name) {
                    script.memory_bytes += hosted.memory_bytes();
                    script.attached_tasks += hosted.attached.len();
                    match hosted.phase {
                        Phase::Booting => script.booting += 1,
                        _ => script.workers += 1,
                    }
                }
            }
            (
                stats,
                state
                    .threads
                    .iter()
                    .map(|thread| Arc::clone(&thread.recorder))
                    .collect::<Vec<_>>(),
            )
        });
        stats.accepted = self.totals.accepted_count();
        stats.refused = self.totals.refused_count();
        stats.outcomes = self.totals.outcome_counts();
        let mut merged = Merged::new();
        for recorder in recorders {
            merged.add(&mut recorder.lock().unwrap_or_else(PoisonError::into_inner), now);
        }
        stats.queue_wait = merged.timing(Series::QueueWait);
        stats.boot = merged.timing(Series::Boot);
        stats.execution = merged.timing(Series::Execution);
        stats
    }
}

impl<E: Engine> SessionHost<E::Event> for Shared<E> {
    fn dispatch(
        self: Arc<Self>,
        session: SessionId,
        event: E::Event,
        meta: Meta,
    ) -> Result<Ticket, Rejected<E::Event>> {
        let accepted = self.with(|state, fx| state.accept_to(session, event, meta, clock::now(), fx));
        Ok(accepted?.ticket(self))
    }

    fn has_room(&self, session: SessionId) -> bool {
        self.with(|state, _| state.session_has_room(session))
    }

    fn retain(&self, session: SessionId) {
        self.with(|state, _| state.retain_session(session));
    }

    fn release(&self, session: SessionId) {
        self.with(|state, fx| state.release_session(session, clock::now(), fx));
    }
}

impl<E: Engine> Cancel for Shared<E> {
    fn cancel(&self, script: &str, event: EventId) {
        self.with(|state, fx| state.cancel(script, event, fx));
    }
}
