//! Deployment of scripts, acceptance and refusal of events, and cancellation by callers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::attached::WorkerHandle;
use crate::breaker::{Admit, Breaker};
use crate::engine::{Engine, SessionId};
use crate::job::{EventId, Job, Tally};
use crate::line::Line;
use crate::observe::{PoolEvent, RetireReason};
use crate::options::{Limits, Meta, Options, Policy, Priority};
use crate::overload::{Delay, Pressure};
use crate::placement::{Grow, Placement, Seat};
use crate::reject::{RejectReason, Rejected};
use crate::state::grow::Ask;
use crate::state::queue::Queue;
use crate::state::{Closing, Effects, Mail, Phase, Script, State, Version};
use crate::stats::Counters;
use crate::sync::channel;
use crate::ticket::{Cancel, Ticket};
use crate::time::after;

/// The caller's side of an accepted event.
pub(crate) struct Accepted {
    pub(crate) event: EventId,
    pub(crate) script: Arc<str>,
    pub(crate) line: Arc<Line>,
    /// The worker, if it got the event at once and accepts attached tasks.
    pub(crate) worker: Option<WorkerHandle>,
}

impl Accepted {
    pub(crate) fn ticket(self, pool: Arc<dyn Cancel>) -> Ticket {
        Ticket::new(self.event, self.line, self.worker, pool, self.script)
    }
}

impl<E: Engine> State<E> {
    /// Deploys a script under a name, replacing the current version. Queued events go to the new version.
    pub(crate) fn deploy(
        &mut self,
        name: Arc<str>,
        script: Arc<E::Script>,
        options: &Options,
        now: Instant,
        fx: &mut Effects<E>,
    ) -> u64 {
        let number = self.next_version();
        let limits = Limits::new(options, &self.settings);
        let known = self.scripts.remove(&name);
        let counters = known.as_ref().map_or_else(
            || Counters::of_script(&self.totals),
            |known| Arc::clone(&known.current.counters),
        );
        let current = Arc::new(Version {
            name: Arc::clone(&name),
            number,
            script,
            limits,
            counters,
        });
        let replaced = known.as_ref().map(|known| known.current.number);
        let script = match known {
            Some(known) => Script {
                current,
                breaker: Breaker::new(self.settings.breaker),
                last_boot_failure: None,
                leaving: false,
                undeployed: false,
                ..known
            },
            None => Script {
                current,
                queue: Queue::new(
                    Delay::new(self.settings.queue_target, self.settings.queue_interval),
                    Arc::clone(&self.queued),
                ),
                breaker: Breaker::new(self.settings.breaker),
                last_boot_failure: None,
                warming: Vec::new(),
                waits_since: None,
                enlisted: false,
                leaving: false,
                undeployed: false,
                homes: Vec::new(),
                in_flight: 0,
            },
        };
        self.scripts.insert(Arc::clone(&name), script);
        if let Some(replaced) = replaced {
            self.retire_version(replaced, RetireReason::Replaced, fx);
        }
        self.grow(&name, now, fx);
        number
    }

    /// Undeploys a script, whose accepted events finish. Returns false if there is none of this name.
    pub(crate) fn undeploy(&mut self, name: &str, now: Instant, fx: &mut Effects<E>) -> bool {
        let Some(script) = self.scripts.get_mut(name) else {
            return false;
        };
        script.undeployed = true;
        fx.sessions_must_be_told();
        if std::mem::replace(&mut script.leaving, true) {
            self.lose_stranded(Some(name), now, fx);
            return false;
        }
        for waiter in script.warming.drain(..) {
            fx.answer(
                waiter,
                Err(Failure::new(Outcome::Canceled, "the script was undeployed")),
            );
        }
        let name = Arc::clone(&script.current.name);
        self.lose_stranded(Some(&name), now, fx);
        self.remove_if_done(&name, fx);
        true
    }

    /// Removes an undeployed script once its last event and its last session have ended.
    pub(super) fn remove_if_done(&mut self, name: &Arc<str>, fx: &mut Effects<E>) {
        let Some(script) = self.scripts.get(name) else { return };
        let has_sessions = self.sessions.count(name).placed > 0;
        if script.leaving && script.queue.is_empty() && script.in_flight == 0 && !has_sessions {
            let number = script.current.number;
            self.answer_warming(
                name,
                &Err(Failure::new(Outcome::Canceled, "the script was undeployed")),
                fx,
            );
            self.scripts.remove(name);
            self.retire_version(number, RetireReason::Undeployed, fx);
        }
    }

    fn retire_version(&mut self, number: u64, reason: RetireReason, fx: &mut Effects<E>) {
        for thread in &mut self.threads {
            if let Some(hosted) = thread.hosted.as_mut().filter(|hosted| hosted.version.number == number) {
                hosted.retire(reason, fx);
            }
        }
    }

    /// Answers `to` once the script has a worker, or failed to boot one.
    pub(crate) fn warm(
        &mut self,
        name: &str,
        to: channel::Sender<Result<(), Failure>>,
        now: Instant,
        fx: &mut Effects<E>,
    ) {
        let closing = self.closing.is_some();
        let Some(script) = self.scripts.get_mut(name).filter(|script| !script.leaving && !closing) else {
            let reason = if closing {
                RejectReason::ShuttingDown
            } else {
                RejectReason::UnknownScript { name: name.to_owned() }
            };
            return fx.answer(to, Err(reason.into()));
        };
        let version = Arc::clone(&script.current);
        let name = Arc::clone(&version.name);
        if let (Admit::After(wait), Some(failure)) = (script.breaker.admit(now), &script.last_boot_failure) {
            return fx.answer(to, Err(failure.clone().with_retry_after(wait)));
        }
        script.warming.push(to);
        if self.census(&version).ready > 0 {
            self.answer_warming(&name, &Ok(()), fx);
        } else {
            self.grow(&name, now, fx);
        }
    }

    pub(super) fn answer_warming(&mut self, name: &Arc<str>, result: &Result<(), Failure>, fx: &mut Effects<E>) {
        if let Some(script) = self.scripts.get_mut(name) {
            for waiter in script.warming.drain(..) {
                fx.answer(waiter, result.clone());
            }
        }
    }

    /// Accepts and places an event, or returns it.
    pub(crate) fn accept(
        &mut self,
        name: &str,
        event: E::Event,
        meta: Meta,
        now: Instant,
        fx: &mut Effects<E>,
    ) -> Result<Accepted, Rejected<E::Event>> {
        self.accept_for(None, name, event, meta, now, fx)
    }

    /// Variant of [`State::accept`] for the first event of a session, which determines the session's worker.
    pub(super) fn accept_for(
        &mut self,
        session: Option<SessionId>,
        name: &str,
        event: E::Event,
        meta: Meta,
        now: Instant,
        fx: &mut Effects<E>,
    ) -> Result<Accepted, Rejected<E::Event>> {
        self.relieve(fx);
        let placement = match self.decide(name, &event, session.is_some(), meta, now) {
            Ok(placement) => placement,
            Err(reason) => {
                self.refused(name);
                return Err(Rejected { event, reason });
            }
        };
        let Some(script) = self.scripts.get_mut(name) else {
            let reason = RejectReason::UnknownScript { name: name.to_owned() };
            return Err(Rejected { event, reason });
        };
        script.leaving |= script.current.limits.policy == Policy::Oneshot;
        let (owned_name, counters) = (Arc::clone(&script.current.name), Arc::clone(&script.current.counters));
        let (job, mut accepted) = self.admit(owned_name, counters, session, event, meta, now);
        let (id, Some(script)) = (job.id, self.scripts.get_mut(name)) else {
            return Ok(accepted);
        };
        match placement.seat {
            Seat::Worker(index) if let Some(hosted) = self.threads[index].hosted.as_mut() => {
                if hosted.version.limits.policy == Policy::PerWorker {
                    accepted.worker = Some(hosted.attached.handle());
                }
                let due = self.sessions.give(index, hosted, script, job, now, fx);
                self.look_by(after(due, self.settings.wall_grace.min(self.settings.lost_grace)), fx);
            }
            seat => {
                if seat == Seat::Shed
                    && let Some(job) = script.queue.make_room(meta.priority, meta.depth)
                {
                    // The latest event with a lower priority is shed.
                    let retry_after = script.queue.retry_after(self.settings.retry_after, id.get());
                    self.shed(
                        &accepted.script,
                        [job],
                        retry_after,
                        "an event of higher priority took its place",
                        fx,
                    );
                }
                let Some(script) = self.scripts.get_mut(name) else {
                    return Ok(accepted);
                };
                // The supervisor expires events that wait too long.
                let expires = job.expires(self.settings.queue_wait_max);
                script.queue.put(job);
                self.look_by(expires, fx);
            }
        }
        match placement.grow {
            Grow::Keep if !matches!(placement.seat, Seat::Worker(_)) => self.enlist(&accepted.script, now, fx),
            Grow::Keep => {}
            grow => self.boot_at(grow, &accepted.script, now, fx),
        }
        Ok(accepted)
    }

    /// Returns whether the event is accepted. During a drain, only events that accepted ones wait for are.
    fn takes(&self, meta: Meta) -> bool {
        let finishes = |closing: &Closing| meta.depth > 0 && self.open > 0 && !closing.is_cut();
        self.closing.as_ref().is_none_or(finishes)
    }

    /// Numbers and counts an accepted event.
    pub(super) fn admit(
        &mut self,
        name: Arc<str>,
        counters: Arc<Counters>,
        session: Option<SessionId>,
        event: E::Event,
        meta: Meta,
        now: Instant,
    ) -> (Job<E::Event>, Accepted) {
        self.events += 1;
        self.open += 1;
        if let Some(closing) = &mut self.closing {
            closing.accepted();
        }
        let id = EventId(self.events);
        if let Some(session) = session {
            self.sessions.begin(session, id);
        }
        let tally = Tally::accept(counters);
        let job = Job::new(id, session, event, now, meta, tally);
        let accepted = Accepted {
            event: id,
            script: name,
            line: Arc::clone(&job.line),
            worker: None,
        };
        (job, accepted)
    }

    /// Counts a refused event.
    pub(super) fn refused(&self, name: &str) {
        self.totals.refused();
        if let Some(script) = self.scripts.get(name) {
            script.current.counters.refused();
        }
    }

    fn decide(
        &mut self,
        name: &str,
        event: &E::Event,
        opens: bool,
        meta: Meta,
        now: Instant,
    ) -> Result<Placement, RejectReason> {
        if !self.takes(meta) {
            return Err(RejectReason::ShuttingDown);
        }
        let max = self.settings.depth_max;
        if meta.depth > max {
            let depth = meta.depth;
            return Err(RejectReason::TooDeep { depth, max });
        }
        if meta.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(RejectReason::DeadlinePassed);
        }
        let Some(script) = self.scripts.get(name).filter(|script| !script.leaving) else {
            return Err(RejectReason::UnknownScript { name: name.to_owned() });
        };
        if !E::suits(&script.current.script, event) {
            return Err(RejectReason::Unsuited { name: name.to_owned() });
        }
        let depth = meta.depth;
        let goes_first = meta.priority == Priority::High || depth > 0;
        let sheds = !goes_first && self.pressure() == Pressure::Shed;
        // The common case of an event whose caller is attached to a worker: it goes there without further decisions.
        let ask = Ask { depth, opens };
        if !sheds && let Some(placement) = meta.near.and_then(|near| self.placement_near(script, ask, near)) {
            return Ok(placement);
        }
        let version = Arc::clone(&script.current);
        let admit = script.breaker.admit(now);
        let placement = self.placement(&version, ask, meta.near, now);
        let census = self.census(&version);
        let own = census.ready + census.coming;
        let served = own > 0;
        if opens && own >= version.limits.workers_max && self.all_pinned(&version) {
            return Err(self.sessions_full(name, version.limits.sessions.per_worker));
        }
        if let Admit::After(retry_after) = admit
            && !served
        {
            let failure = self
                .scripts
                .get(name)
                .and_then(|script| script.last_boot_failure.clone());
            let failure = failure.unwrap_or_else(|| Failure::new(Outcome::BootFailed, "a boot is in progress"));
            return Err(RejectReason::BootBroken {
                name: name.to_owned(),
                retry_after,
                failure: Box::new(failure),
            });
        }
        if depth > 0 && !served && placement.grow == Grow::Keep && !self.frees_a_thread(depth) {
            return Err(RejectReason::ThreadsOccupied {
                name: name.to_owned(),
                retry_after: self.settings.retry_after,
            });
        }
        let Some(script) = self.scripts.get(name) else {
            return Err(RejectReason::UnknownScript { name: name.to_owned() });
        };
        if sheds {
            let chance = self.events.wrapping_add(self.totals.refused_count());
            return Err(RejectReason::MemoryFull {
                retry_after: script.queue.retry_after(self.settings.retry_after, chance),
            });
        }
        let stands = !goes_first && script.queue.is_overloaded_for(meta.priority, now);
        match placement.seat {
            Seat::Worker(_) => Ok(placement),
            Seat::Queue if !stands => Ok(placement),
            Seat::Shed if script.queue.has_below(meta.priority, depth) => Ok(placement),
            _ => {
                let chance = self.events.wrapping_add(self.totals.refused_count());
                let retry_after = script.queue.retry_after(self.settings.retry_after, chance);
                Err(RejectReason::no_room(
                    name,
                    stands,
                    self.at_fair_share(name),
                    retry_after,
                ))
            }
        }
    }

    /// Ends queued events that are shed.
    pub(super) fn shed(
        &mut self,
        name: &Arc<str>,
        jobs: impl IntoIterator<Item = Job<E::Event>>,
        retry_after: Duration,
        why: &str,
        fx: &mut Effects<E>,
    ) {
        let mut count = 0;
        for job in jobs {
            count += 1;
            fx.tell(PoolEvent::EventFailed {
                script: Arc::clone(name),
                outcome: Outcome::LoadShed,
            });
            fx.fail(job, Failure::new(Outcome::LoadShed, why).with_retry_after(retry_after));
        }
        self.ended(count, fx);
    }

    /// Cancels an event whose caller left. A queued event ends here, a running one is canceled by its worker.
    pub(crate) fn cancel(&mut self, name: &str, id: EventId, fx: &mut Effects<E>) {
        if let Some(script) = self.scripts.get_mut(name)
            && let Some(job) = script.queue.remove(id)
        {
            let name = Arc::clone(&script.current.name);
            fx.fail(job, Failure::new(Outcome::Canceled, "the caller disconnected"));
            self.ended(1, fx);
            return self.remove_if_done(&name, fx);
        }
        let homes = self.scripts.get(name).map_or(&[][..], |script| &script.homes);
        let mut hosted = homes.iter().filter_map(|home| self.threads[*home].hosted.as_ref());
        if let Some(hosted) = hosted.find(|hosted| hosted.held.contains(&id)) {
            fx.post(&hosted.mailbox, Mail::Cancel(id));
        }
    }

    /// Counts accepted events that have ended.
    pub(super) fn ended(&mut self, count: usize, fx: &mut Effects<E>) {
        self.open -= count;
        // Not for zero events: the supervisor also calls this, and would wake itself forever.
        if count > 0 && self.open == 0 && self.closing.is_some() {
            fx.wake_supervisor();
        }
    }

    /// Returns the time at which the worker on this thread became ready.
    pub(super) fn ready_since(&self, thread: usize) -> Option<Instant> {
        match self.threads[thread].hosted.as_ref()?.phase {
            Phase::Ready { since } => Some(since),
            _ => None,
        }
    }
}
