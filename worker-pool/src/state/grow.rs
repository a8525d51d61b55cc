//! A script wants a worker: which thread, and what if there is none.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use crate::breaker::Admit;
use crate::engine::{Engine, WorkerId};
use crate::mailbox::Mailbox;
use crate::observe::{PoolEvent, RetireReason};
use crate::placement::{Displacing, Grow, ThreadView, View, room};
use crate::state::queue::LINE_MIN;
use crate::state::slots::Table;
use crate::state::{Assignment, Effects, Hosted, Life, Phase, Pins, Script, State, Version};
use crate::time::after;

/// Numbers of workers of a version.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Census {
    pub(super) ready: usize,
    /// Booting, or to be booted once a thread is free.
    pub(super) coming: usize,
}

impl<E: Engine> State<E> {
    pub(super) fn census(&self, version: u64) -> Census {
        let mut census = Census::default();
        for thread in &self.threads {
            match &thread.hosted {
                Some(hosted) if hosted.version.number == version => match hosted.phase {
                    Phase::Ready { .. } => census.ready += 1,
                    Phase::Booting => census.coming += 1,
                    Phase::Retiring(_) => {}
                },
                _ if thread.reserved.as_ref().is_some_and(|(_, number)| *number == version) => census.coming += 1,
                _ => {}
            }
        }
        census
    }

    /// The threads as the asking version sees them; `opens` says that it asks for the first event of a session.
    pub(super) fn view(&mut self, asking: &Version<E>, opens: bool, now: Instant) -> View<'_> {
        let mut views = std::mem::take(&mut self.views);
        views.clear();
        views.extend(self.threads.iter().map(|thread| match &thread.hosted {
            _ if thread.life != Life::Alive || thread.mailbox.is_none() => ThreadView::Taken,
            Some(hosted) if hosted.version.number == asking.number && !matches!(hosted.phase, Phase::Retiring(_)) => {
                match hosted.phase {
                    Phase::Ready { .. } => ThreadView::Warm {
                        // With no more room it counts as full, whatever its script allows.
                        in_flight: if hosted.has_room() && (!opens || hosted.pins.has_room(&asking.limits)) {
                            hosted.load()
                        } else {
                            hosted.load().max(asking.limits.concurrency)
                        },
                        sessions: hosted.pins.len(),
                    },
                    _ => ThreadView::Coming,
                }
            }
            _ if thread.reserved.is_some() => match &thread.reserved {
                Some((_, number)) if *number == asking.number => ThreadView::Coming,
                _ => ThreadView::Taken,
            },
            Some(hosted) if hosted.is_idle() => {
                let min = hosted.version.limits.workers_min;
                let kept = min > 0 && self.census(hosted.version.number).ready <= min;
                ThreadView::Idle {
                    idle_for: now.saturating_duration_since(hosted.idle_since),
                    kept,
                }
            }
            Some(_) => ThreadView::Taken,
            None => ThreadView::Vacant,
        }));
        self.views = views;
        let has_memory = self.has_memory();
        let script = self.scripts.get(&asking.name);
        // As much as it leaves for others.
        let free = self
            .settings
            .queue_total_max
            .saturating_sub(self.queued.load(Ordering::Relaxed));
        View {
            threads: &self.views,
            threads_max: self.places_max(),
            concurrency: asking.limits.concurrency,
            spread_at: asking.limits.spread_at,
            workers_max: asking.limits.workers_max,
            queued: script.map_or(0, |script| script.queue.len()),
            queue_len_max: asking.limits.queue_len_max.min(free.max(LINE_MIN)),
            may_boot: script.is_some_and(|script| script.breaker.admit(now) == Admit::Yes) && has_memory,
            displace_after: self.settings.displace_after,
        }
    }

    /// Returns whether the script needs another worker, even if it may not have one now.
    pub(super) fn lacks(&self, name: &str) -> Option<Displacing> {
        let script = self.scripts.get(name)?;
        let limits = &script.current.limits;
        let census = self.census(script.current.number);
        let own = census.ready + census.coming;
        let backlog = script.queue.len() > census.coming * limits.spread_at;
        if backlog || (own == 0 && !script.warming.is_empty()) {
            return Some(Displacing::Allowed);
        }
        let keep = own < limits.workers_min && !script.leaving && self.closing.is_none();
        keep.then_some(Displacing::Forbidden)
    }

    /// Returns whether the script needs another worker and may boot one.
    pub(super) fn wants(&self, name: &str, now: Instant) -> Option<Displacing> {
        let lacks = self.lacks(name)?;
        let script = self.scripts.get(name)?;
        let census = self.census(script.current.number);
        let has_all = census.ready + census.coming >= script.current.limits.workers_max;
        let may_boot = script.breaker.admit(now) == Admit::Yes && self.has_memory();
        (may_boot && !has_all).then_some(lacks)
    }

    /// Boots what the script wants, as far as there are threads; for the rest it waits its turn.
    pub(super) fn grow(&mut self, name: &Arc<str>, now: Instant, fx: &mut Effects<E>) {
        while let Some(displacing) = self.wants(name, now) {
            let Some(version) = self.scripts.get(name).map(|script| Arc::clone(&script.current)) else {
                return;
            };
            match room(&self.view(&version, false, now), displacing) {
                Grow::Keep => break,
                grow => self.boot_at(grow, name, now, fx),
            }
        }
        self.enlist(name, now, fx);
    }

    /// Returns whether this busy worker should start yielding to a script without any worker. One with sessions does so as a
    /// last resort only: see [`State::displace_sessions`].
    pub(super) fn may_yield(&self, thread: usize, now: Instant) -> bool {
        let Some(since) = self.ready_since(thread) else {
            return false;
        };
        let hosted = self.threads[thread].hosted.as_ref();
        now.saturating_duration_since(since) >= self.settings.yield_after
            && hosted.is_some_and(|hosted| hosted.pins.is_empty() && self.owes_a_thread(&hosted.version.name, now))
    }

    /// Returns whether every worker of this version has as many sessions as it may have, and none is coming.
    pub(super) fn all_pinned(&self, version: &Version<E>) -> bool {
        let hosted = self.threads.iter().filter_map(|thread| thread.hosted.as_ref());
        let mut ready = hosted
            .filter(|hosted| hosted.version.number == version.number && matches!(hosted.phase, Phase::Ready { .. }));
        self.census(version.number).coming == 0 && ready.all(|hosted| !hosted.pins.has_room(&version.limits))
    }

    /// Returns whether more scripts without any worker are waiting than threads are being freed.
    pub(super) fn is_starved(&self, now: Instant) -> bool {
        !self.waiting.is_empty() && self.starving(now).count() > self.being_freed(now)
    }

    /// Returns since when each of the scripts without any worker has waited for a thread.
    pub(super) fn starving_since(&self, now: Instant) -> impl Iterator<Item = Instant> {
        self.starving(now).filter_map(|script| script.waits_since)
    }

    fn starving(&self, now: Instant) -> impl Iterator<Item = &Script<E>> {
        self.waiting.iter().filter_map(move |name| {
            let script = self.scripts.get(name)?;
            let census = self.census(script.current.number);
            let starves = census.ready + census.coming == 0 && self.wants(name, now) == Some(Displacing::Allowed);
            starves.then_some(script)
        })
    }

    pub(super) fn boot_at(&mut self, grow: Grow, name: &Arc<str>, now: Instant, fx: &mut Effects<E>) {
        let thread = match grow {
            Grow::Keep => return,
            Grow::Vacant(thread) => thread,
            Grow::NewThread => {
                fx.wake_supervisor();
                self.add_thread(now)
            }
            Grow::Displace(thread) => {
                let Some(script) = self.scripts.get(name) else { return };
                self.threads[thread].reserved = Some((Arc::clone(name), script.current.number));
                if let Some(hosted) = self.threads[thread].hosted.as_mut() {
                    hosted.retire(RetireReason::Displaced, fx);
                }
                return;
            }
        };
        if let Some(assignment) = self.assignment(thread, name, now, fx)
            && let Some(mailbox) = &self.threads[thread].mailbox
        {
            fx.assign(mailbox, assignment);
        }
    }

    /// Makes the thread the host of a new worker of the script.
    fn assignment(&mut self, thread: usize, name: &str, now: Instant, fx: &mut Effects<E>) -> Option<Assignment<E>> {
        let script = self.scripts.get_mut(name)?;
        script.breaker.begin();
        self.workers += 1;
        let (worker, version) = (WorkerId(self.workers), Arc::clone(&script.current));
        let mail = Arc::new(Mailbox::new(version.limits.mailbox_len()));
        let table = Arc::new(Table::default());
        let memory = Arc::default();
        let room = Arc::new(AtomicUsize::new(version.limits.concurrency));
        self.threads[thread].hosted = Some(Hosted {
            id: worker,
            version: Arc::clone(&version),
            phase: Phase::Booting,
            held: Vec::with_capacity(version.limits.concurrency.min(64)),
            mailbox: Arc::clone(&mail),
            given: 0,
            idle_since: now,
            ready_at: now,
            yields: None,
            nudged: false,
            table: Arc::clone(&table),
            memory: Arc::clone(&memory),
            room: Arc::clone(&room),
            boot_ends: after(now, self.settings.boot_timeout),
            told: None,
            pins: Pins::default(),
        });
        self.look_by(
            after(now, self.settings.boot_timeout.saturating_add(self.settings.lost_grace)),
            fx,
        );
        let (script, number) = (Arc::clone(&version.name), version.number);
        fx.tell(PoolEvent::WorkerStarted {
            worker,
            script,
            version: number,
        });
        Some(Assignment {
            worker,
            version,
            mail,
            table,
            memory,
            room,
        })
    }

    /// Returns the next assignment of a vacant thread: the script that displaced its worker, else the one that has waited
    /// longest.
    pub(super) fn next_assignment(
        &mut self,
        thread: usize,
        now: Instant,
        fx: &mut Effects<E>,
    ) -> Option<Assignment<E>> {
        let reserved = self.threads[thread].reserved.take();
        if !self.threads[thread].is_vacant() {
            return None;
        }
        if let Some((name, number)) = reserved
            && self
                .scripts
                .get(&name)
                .is_some_and(|script| script.current.number == number)
            && self.wants(&name, now).is_some()
        {
            return self.assignment(thread, &name, now, fx);
        }
        let name = self.next_in_turn(now)?;
        self.leave_line(&name);
        let assignment = self.assignment(thread, &name, now, fx);
        // It may want more than one, but the others have their turn first.
        let _ = self.line_up(&name);
        assignment
    }
}
