//! The decision whether a script gets another worker, and on which thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Waker;
use std::time::Instant;

use crate::attached::AttachedTasks;
use crate::breaker::Admit;
use crate::engine::{Engine, WorkerId};
use crate::mailbox::Mailbox;
use crate::observe::{PoolEvent, RetireReason};
use crate::placement::{
    Displacing, Grow, Near, Placement, Places, Seat, ThreadView, View, may_grow, place, place_nested, room,
};
use crate::state::memory::Gauge;
use crate::state::queue::LINE_MIN;
use crate::state::slots::Table;
use crate::state::{Assignment, Effects, Hosted, Life, Phase, Pins, Script, State, Version};
use crate::time::after;

/// Numbers of workers of a version.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Census {
    pub(super) ready: usize,
    /// Booting, or waiting for a thread to boot on.
    pub(super) coming: usize,
}

/// An event to be placed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ask {
    /// Its depth of calls between workers.
    pub(super) depth: u32,
    /// True if it is the first event of a session.
    pub(super) opens: bool,
}

impl<E: Engine> State<E> {
    pub(super) fn census(&self, version: &Version<E>) -> Census {
        let mut census = Census::default();
        let Some(script) = self.scripts.get(&version.name) else {
            return census;
        };
        for thread in script.homes.iter().map(|home| &self.threads[*home]) {
            match &thread.hosted {
                Some(hosted) if hosted.version.number == version.number => match hosted.phase {
                    Phase::Ready { .. } => census.ready += 1,
                    Phase::Booting => census.coming += 1,
                    Phase::Retiring(_) => {}
                },
                _ if thread
                    .reserved
                    .as_ref()
                    .is_some_and(|(_, number)| *number == version.number) =>
                {
                    census.coming += 1;
                }
                _ => {}
            }
        }
        census
    }

    /// Places an event with the worker `near`, to which its caller is attached, unless that worker is busy. The script then
    /// needs no other worker.
    pub(super) fn placement_near(&self, script: &Script<E>, ask: Ask, near: WorkerId) -> Option<Placement> {
        let (thread, near) = self.near(script, ask, near)?;
        (near.in_flight < script.current.limits.spread_at).then_some(Placement {
            seat: Seat::Worker(thread),
            grow: Grow::Keep,
        })
    }

    /// Places an event of this version, whose caller is attached to the worker `near`, which is busy or has no room.
    pub(super) fn placement(
        &mut self,
        version: &Version<E>,
        ask: Ask,
        near: Option<WorkerId>,
        now: Instant,
    ) -> Placement {
        let found = near.and_then(|near| self.near(self.scripts.get(&version.name)?, ask, near));
        let Some((thread, near)) = found else {
            return self.placement_anywhere(version, ask, now);
        };
        let seat = Seat::Worker(thread);
        // The script may get another worker in any case.
        let elsewhere = self.placement_anywhere(version, ask, now);
        let other = match elsewhere.seat {
            Seat::Worker(other) => self.threads[other].hosted.as_ref().map(|hosted| hosted.near(ask.depth)),
            Seat::Queue | Seat::Shed => None,
        };
        match other.is_none_or(|other| near.keeps(&other)) {
            true => Placement { seat, ..elsewhere },
            false => elsewhere,
        }
    }

    /// Finds the worker `near` an event of the script's current version, if it has room.
    fn near(&self, script: &Script<E>, ask: Ask, near: WorkerId) -> Option<(usize, Near)> {
        let is_near = |hosted: &&Hosted<E>| hosted.id == near && hosted.version.number == script.current.number;
        let mut found = script.homes.iter().filter_map(|home| {
            let thread = &self.threads[*home];
            let hosted = thread.hosted.as_ref().filter(is_near)?;
            (thread.is_alive() && !ask.opens && hosted.has_room(ask.depth)).then_some((*home, hosted))
        });
        let (thread, hosted) = found.next()?;
        Some((thread, hosted.near(ask.depth)))
    }

    fn placement_anywhere(&mut self, version: &Version<E>, ask: Ask, now: Instant) -> Placement {
        let homes = self.scripts.get(&version.name).map(|script| script.homes.clone());
        let homes = homes.unwrap_or_default();
        let view = self.view_of(version, Some(&homes), ask, now);
        if may_grow(&view) {
            let extra = self.extra_threads(version, ask.depth);
            return place_nested(&self.view(version, ask, now), extra);
        }
        // The common case: only its own workers matter.
        let mut placement = place(&view);
        if let Seat::Worker(index) = &mut placement.seat {
            *index = homes[*index];
        }
        placement
    }

    /// Returns a view of all threads for the asking version.
    pub(super) fn view(&mut self, asking: &Version<E>, ask: Ask, now: Instant) -> View<'_> {
        self.view_of(asking, None, ask, now)
    }

    /// Returns a view of the given threads, or of all, for the asking version.
    fn view_of(&mut self, asking: &Version<E>, threads: Option<&[usize]>, ask: Ask, now: Instant) -> View<'_> {
        let mut views = std::mem::take(&mut self.views);
        views.clear();
        let view = |thread: usize| self.thread_view(thread, Some(asking), ask, now);
        match threads {
            Some(some) => views.extend(some.iter().copied().map(view)),
            None => views.extend((0..self.threads.len()).map(view)),
        }
        self.views = views;
        let at_once = self.extra_threads(asking, ask.depth) > 0;
        let may_boot =
            self.may_boot(asking, now) && (at_once || self.boots.has_room(self.settings.size.boots_max, now));
        let threads_max = self.places_max();
        let script = self.scripts.get(&asking.name);
        // A script may queue as many events as it leaves places free.
        let free = self
            .settings
            .queue_total_max
            .saturating_sub(self.queued.load(Ordering::Relaxed));
        View {
            threads: &self.views,
            threads_max,
            concurrency: asking.limits.concurrency,
            spread_at: asking.limits.spread_at,
            workers_max: asking.limits.workers_max,
            queued: script.map_or(0, |script| script.queue.len()),
            queue_len_max: asking.limits.queue_len_max.min(free.max(LINE_MIN)),
            may_boot,
            displace_after: self.settings.displace_after,
        }
    }

    /// Returns a view of the thread for the asking version, or for a script without a worker.
    fn thread_view(&self, thread: usize, asking: Option<&Version<E>>, ask: Ask, now: Instant) -> ThreadView {
        let thread = &self.threads[thread];
        let Ask { depth, opens } = ask;
        let is_barred = thread.is_extra && depth == 0;
        let is_asking = |number| asking.is_some_and(|asking| asking.number == number);
        match &thread.hosted {
            _ if thread.life != Life::Alive || thread.mailbox.is_none() => ThreadView::Taken,
            Some(hosted) if is_asking(hosted.version.number) && !matches!(hosted.phase, Phase::Retiring(_)) => {
                match hosted.phase {
                    Phase::Ready { .. } => ThreadView::Warm {
                        // A worker without room counts as full, regardless of its script's concurrency.
                        in_flight: if hosted.has_room(depth) && (!opens || hosted.pins.has_room(&hosted.version.limits))
                        {
                            hosted.load(depth)
                        } else {
                            hosted.load(depth).max(hosted.version.limits.concurrency)
                        },
                        sessions: hosted.pins.len(),
                    },
                    _ => ThreadView::Coming,
                }
            }
            _ if thread.reserved.is_some() => match &thread.reserved {
                Some((_, number)) if is_asking(*number) => ThreadView::Coming,
                _ => ThreadView::Taken,
            },
            Some(hosted) if hosted.is_idle() && !is_barred => ThreadView::Idle {
                idle_for: now.saturating_duration_since(hosted.idle_since),
                kept: self.is_kept(hosted),
            },
            Some(_) => ThreadView::Taken,
            None if is_barred => ThreadView::Taken,
            None => ThreadView::Vacant,
        }
    }

    /// Returns the places for a worker of a script that has none.
    pub(super) fn places(&mut self, now: Instant) -> Places {
        let mut views = std::mem::take(&mut self.views);
        views.clear();
        views.extend((0..self.threads.len()).map(|thread| self.thread_view(thread, None, Ask::default(), now)));
        let places = Places::of(&views, self.places_max(), self.settings.displace_after);
        self.views = views;
        places
    }

    /// Returns whether its script keeps this ready worker warm.
    pub(super) fn is_kept(&self, hosted: &Hosted<E>) -> bool {
        let min = hosted.version.limits.workers_min;
        min > 0 && self.census(&hosted.version).ready <= min
    }

    /// Returns whether a worker of this version may boot on some thread.
    fn may_boot(&self, version: &Version<E>, now: Instant) -> bool {
        let script = self.scripts.get(&version.name);
        script.is_some_and(|script| script.breaker.admit(now) == Admit::Yes) && self.has_memory()
    }

    /// Returns the number of extra threads for an event of this depth whose script has no worker: one for each nested call,
    /// because the callers may occupy all other threads.
    pub(super) fn extra_threads(&self, version: &Version<E>, depth: u32) -> usize {
        let census = self.census(version);
        let is_served = census.ready + census.coming > 0;
        match is_served || self.stuck() > self.settings.lost_threads_max {
            true => 0,
            false => depth as usize,
        }
    }

    /// Returns whether a thread will become free for a nested event without waiting for the event's callers: the thread's
    /// worker is ending, and holds at most events of at least this depth.
    pub(super) fn frees_a_thread(&self, depth: u32) -> bool {
        let is_going = |hosted: &Hosted<E>| matches!(hosted.phase, Phase::Retiring(_)) && hosted.is_free();
        let is_as_deep = |hosted: &Hosted<E>| hosted.load(depth) > 0 && hosted.load(depth) == hosted.held.len();
        let unreserved = self.threads.iter().filter(|thread| thread.reserved.is_none());
        let mut hosted = unreserved.filter_map(|thread| thread.hosted.as_ref());
        self.has_memory() && hosted.any(|hosted| is_going(hosted) || is_as_deep(hosted))
    }

    /// Returns whether every thread hosts a worker, and no thread may be added.
    pub(super) fn is_full(&self) -> bool {
        self.threads.len() >= self.places_max() && !self.threads.iter().any(super::Thread::is_vacant)
    }

    /// Returns the script's need for another worker, even if it may not have one now.
    pub(super) fn lacks(&self, name: &str) -> Option<Displacing> {
        let script = self.scripts.get(name)?;
        let limits = &script.current.limits;
        let census = self.census(&script.current);
        let own = census.ready + census.coming;
        let backlog = script.queue.len() > census.coming * limits.spread_at;
        if backlog || (own == 0 && !script.warming.is_empty()) {
            return Some(Displacing::Allowed);
        }
        let keep = own < limits.workers_min && !script.leaving && self.closing.is_none();
        keep.then_some(Displacing::Forbidden)
    }

    /// Returns the script's need for another worker that it may have, regardless of the limit on concurrent boots.
    pub(super) fn wants(&self, name: &str, now: Instant) -> Option<Displacing> {
        let lacks = self.lacks(name)?;
        let script = self.scripts.get(name)?;
        let census = self.census(&script.current);
        let has_all = census.ready + census.coming >= script.current.limits.workers_max;
        let may_boot = script.breaker.admit(now) == Admit::Yes && self.has_memory();
        (may_boot && !has_all).then_some(lacks)
    }

    /// Boots workers for the script while threads are available. If it needs more, it waits.
    pub(super) fn grow(&mut self, name: &Arc<str>, now: Instant, fx: &mut Effects<E>) {
        while let Some(displacing) = self.wants(name, now) {
            let Some(version) = self.scripts.get(name).map(|script| Arc::clone(&script.current)) else {
                return;
            };
            match room(&self.view(&version, Ask::default(), now), displacing) {
                Grow::Keep => break,
                grow => self.boot_at(grow, name, now, fx),
            }
        }
        self.enlist(name, now, fx);
    }

    /// Returns whether every worker of this version is full of sessions, and none is booting.
    pub(super) fn all_pinned(&self, version: &Version<E>) -> bool {
        let homes = self.scripts.get(&version.name).map_or(&[][..], |script| &script.homes);
        let hosted = homes.iter().filter_map(|home| self.threads[*home].hosted.as_ref());
        let mut ready = hosted
            .filter(|hosted| hosted.version.number == version.number && matches!(hosted.phase, Phase::Ready { .. }));
        self.census(version).coming == 0 && ready.all(|hosted| !hosted.pins.has_room(&version.limits))
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
                self.rehome(thread, name);
                self.boots.begin(thread, now);
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

    /// Assigns a new worker of the script to the thread.
    fn assignment(&mut self, thread: usize, name: &str, now: Instant, fx: &mut Effects<E>) -> Option<Assignment<E>> {
        let script = self.scripts.get_mut(name)?;
        script.breaker.begin();
        self.boots.begin(thread, now);
        self.workers += 1;
        let (worker, version) = (WorkerId(self.workers), Arc::clone(&script.current));
        let mail = Arc::new(Mailbox::new(version.limits.mailbox_len(self.settings.depth_max)));
        let table = Arc::new(Table::default());
        let memory = Arc::new(Gauge::new(&self.memory));
        let room = Arc::new(AtomicUsize::new(version.limits.concurrency));
        let bell = Waker::from(Arc::clone(&mail));
        let attached = Arc::new(AttachedTasks::new(worker, self.settings.attached_tasks_max, bell));
        self.threads[thread].hosted = Some(Hosted {
            id: worker,
            version: Arc::clone(&version),
            phase: Phase::Booting,
            held: Vec::with_capacity(version.limits.concurrency.min(64)),
            nested: Vec::new(),
            mailbox: Arc::clone(&mail),
            given: 0,
            idle_since: now,
            ready_at: now,
            yields: None,
            nudged: false,
            in_long_turn: false,
            table: Arc::clone(&table),
            memory: Arc::clone(&memory),
            room: Arc::clone(&room),
            boot_ends: after(now, version.limits.boot_timeout),
            told: None,
            overdue: None,
            pins: Pins::default(),
            attached: Arc::clone(&attached),
        });
        self.rehome(thread, name);
        self.look_by(after(now, version.limits.boot_timeout), fx);
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
            attached,
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
        if let Some((name, _)) = &reserved {
            self.rehome(thread, name);
            self.boots.end(thread);
        }
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
        if !self.boots.has_room(self.settings.size.boots_max, now) {
            return None;
        }
        let name = self.next_in_turn(self.threads[thread].is_extra, now)?;
        self.leave_line(&name);
        let assignment = self.assignment(thread, &name, now, fx);
        // The script may need more threads, but after the other scripts.
        let _ = self.line_up(&name);
        assignment
    }
}
