//! The pool's decisions under load, in simulated time: the real state, with scripts of given durations. A minute of tenfold
//! overload takes a moment, and always gives the same result.
//!
//! Invariant at all times: no event waits while there is room for it.

mod many;
mod mishaps;
mod overload;
mod sessions;
mod waiting;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_outcome::{Failure, Outcome};

use crate::engine::SessionId;
use crate::fake::{Answer, Call, FakeEngine, FakeScript};
use crate::job::{EventId, Tally};
use crate::native::{Code, WithNative, Work};
use crate::options::{Meta, Options, Priority, Settings};
use crate::state::{Assignment, Departure, Effects, Mail, Next, State};
use crate::stats::Counters;
use crate::sync::channel;
use crate::{Pool, RejectReason};

use self::mishaps::Mishap;

type E = WithNative<FakeEngine>;

const MS: Duration = Duration::from_millis(1);
/// Duration of a boot.
const BOOT: Duration = Duration::from_millis(3);
/// Delay between the answer and the end of an event.
const REPORT: Duration = Duration::from_micros(100);
/// Maximum delay of the supervisor.
const LATE: Duration = Duration::from_millis(3);
/// Time after which a caller gives up.
const PATIENCE: Duration = Duration::from_secs(1);

/// A load: its events, their rate and duration.
#[derive(Clone, Copy)]
struct Load {
    script: &'static str,
    a_second: u32,
    takes: Duration,
    priority: Priority,
    depth: u32,
}

impl Load {
    const fn new(script: &'static str, a_second: u32, takes: Duration) -> Self {
        Self {
            script,
            a_second,
            takes,
            priority: Priority::Normal,
            depth: 0,
        }
    }
}

/// Results of the events of a load.
#[derive(Debug, Default)]
struct Fate {
    asked: usize,
    /// Number of events answered before their callers gave up.
    good: usize,
    late: usize,
    refused: usize,
    shed: usize,
    /// Number of events that ended otherwise: canceled, failed boot, lost thread.
    failed: usize,
    /// The longest times until a good answer, and until a refusal.
    slowest: Duration,
    slowest_refusal: Duration,
    /// Number of workers of its script that became ready.
    boots: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Boots(usize, u64),
    Ends(usize, EventId),
    Reports(usize, u64, EventId),
    Comes(usize),
    Happens(usize, Mishap),
    LetsGo(usize),
    Looks,
}

struct Simulation {
    state: State<E>,
    start: Instant,
    now: Instant,
    steps: BinaryHeap<Reverse<(Instant, u64, Step)>>,
    order: u64,
    loads: Vec<Load>,
    fates: Vec<Fate>,
    /// Channel for assignments of each thread.
    threads: HashMap<usize, channel::Receiver<Assignment<E>>>,
    /// The worker on each thread.
    hosted: HashMap<usize, Assignment<E>>,
    /// The workers that have booted.
    ready: HashSet<u64>,
    running: HashMap<EventId, (usize, Work<FakeEngine>, Tally)>,
    scripts: Vec<(&'static str, Options)>,
    boots_fail: HashMap<&'static str, u8>,
    waiting: BTreeMap<EventId, (usize, Instant, channel::Receiver<Answer>)>,
    chance: u64,
    sessions: sessions::Holders,
    /// Interval between checked steps, because a check of a thousand scripts takes long.
    check_one_in: u64,
    sections: u64,
    /// Time of the supervisor's next check.
    looks_at: Option<Instant>,
}

impl Simulation {
    fn new(threads: usize, scripts: &[(&'static str, Options)], loads: &[Load]) -> Self {
        Self::with_settings(settings(threads), scripts, loads)
    }

    fn with_settings(settings: Settings, scripts: &[(&'static str, Options)], loads: &[Load]) -> Self {
        let start = Instant::now();
        let mut simulation = Self {
            state: State::new(Arc::new(settings), Arc::new(Counters::default()), start),
            start,
            now: start,
            steps: BinaryHeap::new(),
            order: 0,
            loads: loads.to_vec(),
            fates: loads.iter().map(|_| Fate::default()).collect(),
            threads: HashMap::new(),
            hosted: HashMap::new(),
            ready: HashSet::new(),
            running: HashMap::new(),
            scripts: scripts.to_vec(),
            boots_fail: HashMap::new(),
            waiting: BTreeMap::new(),
            chance: 1,
            sessions: sessions::Holders::default(),
            check_one_in: 1,
            sections: 0,
            looks_at: None,
        };
        simulation.look_at(start);
        (0..scripts.len()).for_each(|script| simulation.deploy(script));
        let often = (0..loads.len()).filter(|load| loads[*load].a_second > 0);
        often.for_each(|load| simulation.at(start, Step::Comes(load)));
        simulation
    }

    fn deploy(&mut self, script: usize) {
        let (name, options) = self.scripts[script].clone();
        let code = Arc::new(Code::Script(Arc::new(FakeScript::new())));
        self.with(|state, now, fx| _ = state.deploy(name.into(), code, &options, now, fx));
    }

    /// Plans a mishap at a time after the start.
    fn plan(&mut self, after: Duration, of: usize, mishap: Mishap) {
        self.at(self.start + after, Step::Happens(of, mishap));
    }

    /// Simulates this time, and then the end of all accepted events. Returns the results of each load.
    fn play(mut self, time: Duration) -> Vec<Fate> {
        let ends = self.start + time;
        while let Some(Reverse((at, _, step))) = self.steps.pop() {
            // Changes by time alone are handled without delay.
            if let Some(before) = at.checked_sub(LATE).filter(|before| *before > self.now) {
                self.check(before);
            }
            self.now = at;
            if at >= ends {
                self.all_let_go();
            }
            match step {
                Step::Comes(_) if at >= ends => {}
                Step::Comes(load) => self.comes(load),
                Step::Boots(thread, worker) => {
                    if self
                        .hosted
                        .get(&thread)
                        .is_some_and(|hosted| hosted.worker.get() == worker)
                    {
                        self.boots(thread);
                    }
                }
                Step::Ends(thread, event) => self.ends(thread, event),
                Step::Reports(thread, worker, event) => self.reports(thread, worker, event),
                Step::Happens(..) if at >= ends => {}
                Step::Happens(of, mishap) => self.happens(of, mishap),
                Step::LetsGo(holder) => self.lets_go(holder),
                // Superseded by an earlier check.
                Step::Looks if self.looks_at != Some(at) => {}
                Step::Looks => self.look(),
            }
            if at >= ends && self.running.is_empty() && self.waiting.is_empty() {
                break;
            }
        }
        assert!(self.running.is_empty() && self.waiting.is_empty(), "everything ends");
        for (load, fate) in self.loads.iter().zip(&mut self.fates) {
            let script = self.state.scripts.get(load.script);
            fate.boots = script.map_or(0, |script| script.current.counters.boot_counts().0);
        }
        self.fates
    }

    fn at(&mut self, at: Instant, step: Step) {
        self.order += 1;
        self.steps.push(Reverse((at, self.order, step)));
    }

    /// Runs a critical section, performs its effects, and their immediate consequences.
    fn with<R>(&mut self, section: impl FnOnce(&mut State<E>, Instant, &mut Effects<E>) -> R) -> R {
        let mut fx = Effects::new();
        let result = section(&mut self.state, self.now, &mut fx);
        self.finish(fx);
        result
    }

    fn finish(&mut self, mut fx: Effects<E>) {
        if self.state.is_unsettled() {
            self.state.settle(self.now, &mut fx);
        }
        self.check(self.now);
        let mut looks = false;
        let fails = fx.fails();
        fx.perform(|| looks = true);
        if fails {
            self.hear();
        }
        if looks {
            self.look_at(self.now);
        }
        self.settle();
        self.hear_notices();
    }

    fn check(&mut self, now: Instant) {
        self.sections += 1;
        if !self.sections.is_multiple_of(self.check_one_in) {
            return;
        }
        let found = self.state.waits_in_vain(now);
        if let Some(found) = found.or_else(|| self.state.sessions_unsound(now)) {
            panic!("after {:?}: {found}", now - self.start);
        }
    }

    /// Takes up assignments and mail.
    fn settle(&mut self) {
        for (thread, mailbox) in &self.threads {
            if let Ok(assignment) = mailbox.try_recv() {
                self.order += 1;
                let boots = Step::Boots(*thread, assignment.worker.get());
                self.steps.push(Reverse((self.now + BOOT, self.order, boots)));
                self.hosted.insert(*thread, assignment);
            }
        }
        let threads: Vec<usize> = self.hosted.keys().copied().collect();
        for thread in threads {
            while let Some(mail) = self.hosted.get(&thread).and_then(|hosted| hosted.mail.take()) {
                match mail {
                    Mail::Event(job) => {
                        let (id, session) = (job.id, job.session);
                        let Some((load, _, _)) = self.waiting.get(&id) else {
                            continue;
                        };
                        let takes = self.loads[*load].takes;
                        let (event, tally) = job.start().expect("an event");
                        // Kept, because dropping it would answer.
                        self.running.insert(id, (thread, event, tally));
                        if !session.is_some_and(|session| self.begins(thread, session, id)) {
                            self.at(self.now + takes, Step::Ends(thread, id));
                        }
                    }
                    Mail::Dismiss(id) => self.at(self.now + MS, Step::Ends(thread, id)),
                    Mail::Pull => {
                        let next = self.with(|state, now, fx| state.pull(thread, now, fx));
                        self.follow(thread, next);
                    }
                    Mail::Retire => {
                        let next = self.state.may_leave(thread);
                        self.follow(thread, next);
                    }
                    Mail::Cancel(id) => self.cancels(id),
                    Mail::Cut => self.cuts(thread),
                }
            }
        }
    }

    fn cancels(&mut self, id: EventId) {
        if let Some((thread, _, tally)) = self.running.remove(&id) {
            tally.finish(Outcome::Canceled);
            let (load, ..) = self.waiting.remove(&id).expect("it runs");
            self.fates[load].failed += 1;
            self.report(thread, id);
        }
    }

    /// Reads the answers of failed events.
    fn hear(&mut self) {
        let answered: Vec<_> = self
            .waiting
            .iter()
            .filter_map(|(id, (.., reply))| Some((*id, reply.try_recv().ok()?)))
            .collect();
        for (id, answer) in answered {
            let failure = answer.expect_err("only failures come this way");
            let (load, asked, _) = self.waiting.remove(&id).expect("it waits");
            let fate = &mut self.fates[load];
            if failure.outcome == Outcome::LoadShed {
                assert!(failure.retry_after.is_some(), "it says when to try again");
                fate.shed += 1;
                fate.slowest_refusal = fate.slowest_refusal.max(self.now - asked);
            } else {
                fate.failed += 1;
            }
        }
    }

    fn follow(&mut self, thread: usize, next: Next) {
        let Next::Leave(reason) = next else { return };
        self.departs(thread, Departure::Retired(reason));
    }

    fn departs(&mut self, thread: usize, departure: Departure) {
        self.hosted.remove(&thread);
        let assignment = self.with(|state, now, fx| {
            state.depart(thread, departure, now, fx);
            state.after_departure(thread, now, fx)
        });
        if let Some(assignment) = assignment {
            let boots = Step::Boots(thread, assignment.worker.get());
            self.hosted.insert(thread, assignment);
            self.at(self.now + BOOT, boots);
        }
    }

    /// Schedules the supervisor's check at this time, unless an earlier one is scheduled.
    fn look_at(&mut self, at: Instant) {
        if self.looks_at.is_none_or(|looks_at| at < looks_at) {
            self.looks_at = Some(at);
            self.at(at, Step::Looks);
        }
    }

    fn look(&mut self) {
        self.looks_at = None;
        let todo = self.with(|state, now, fx| state.supervise(now, fx));
        for spawn in todo.spawn {
            self.threads.insert(spawn.thread, spawn.mailbox);
        }
        if let Some(next) = todo.next {
            self.look_at(next.max(self.now + MS));
        }
        self.settle();
    }

    fn boots(&mut self, thread: usize) {
        let name = Arc::clone(&self.hosted[&thread].version.name);
        if let Some(left) = self.boots_fail.get_mut(&*name).filter(|left| **left > 0) {
            *left -= 1;
            let failure = Failure::new(Outcome::BootFailed, "it was to fail");
            return self.departs(thread, Departure::BootFailed(failure));
        }
        self.ready.insert(self.hosted[&thread].worker.get());
        let next = self.with(|state, now, fx| state.ready(thread, now, fx));
        self.follow(thread, next);
    }

    /// Dispatches an event and schedules the next one at a random time, as for independent callers.
    fn comes(&mut self, load: usize) {
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        #[allow(clippy::cast_precision_loss, reason = "chance needs no precision")]
        let chance = ((self.chance >> 11) as f64 / (1u64 << 53) as f64).max(1e-9);
        let a_second = f64::from(self.loads[load].a_second);
        let pause = Duration::from_secs_f64(-chance.ln() / a_second);
        self.at(self.now + pause, Step::Comes(load));
        self.asks(load);
    }

    fn asks(&mut self, load: usize) {
        self.asks_for(load, None);
    }

    /// Dispatches an event of this load, to a session or to any worker.
    fn asks_for(&mut self, load: usize, session: Option<SessionId>) -> Option<EventId> {
        let Load {
            script,
            priority,
            depth,
            ..
        } = self.loads[load];
        self.fates[load].asked += 1;
        let (call, reply) = Call::echo(0);
        let meta = Meta::default().priority(priority).depth(depth);
        let (work, now, mut fx) = (Work::Event(call), self.now, Effects::new());
        let accepted = match session {
            Some(session) => self.state.accept_to(session, work, meta, now, &mut fx),
            None => self.state.accept(script, work, meta, now, &mut fx),
        };
        let accepted = match accepted {
            Ok(accepted) => {
                self.waiting.insert(accepted.event, (load, now, reply));
                Some(accepted.event)
            }
            Err(rejected) => {
                let reason: RejectReason = rejected.reason;
                let by_load = !matches!(
                    reason,
                    RejectReason::UnknownScript { .. }
                        | RejectReason::ShuttingDown
                        | RejectReason::SessionGone { .. }
                        | RejectReason::SessionFull { .. }
                );
                assert!(!by_load || reason.retry_after().is_some(), "{reason}");
                self.fates[load].refused += 1;
                None
            }
        };
        self.sessions.asked(session, accepted);
        self.finish(fx);
        accepted
    }

    fn ends(&mut self, thread: usize, event: EventId) {
        // It may have been canceled, or lost with its thread.
        let Some((_, _, tally)) = self.running.remove(&event) else {
            return;
        };
        let (load, asked, _) = self.waiting.remove(&event).expect("its caller waits");
        tally.finish(Outcome::Ok);
        let (took, fate) = (self.now - asked, &mut self.fates[load]);
        if took <= PATIENCE.max(self.loads[load].takes * 2) {
            fate.good += 1;
            fate.slowest = fate.slowest.max(took);
        } else {
            fate.late += 1;
        }
        self.report(thread, event);
    }

    /// Reports an ended event after a delay, in which its caller may send the next one.
    fn report(&mut self, thread: usize, event: EventId) {
        let worker = self.hosted[&thread].worker.get();
        self.at(self.now + REPORT, Step::Reports(thread, worker, event));
    }

    fn reports(&mut self, thread: usize, worker: u64, event: EventId) {
        if self
            .hosted
            .get(&thread)
            .is_some_and(|hosted| hosted.worker.get() == worker)
        {
            let next = self.with(|state, now, fx| state.end(thread, &[event], None, now, fx));
            self.follow(thread, next);
        }
    }
}

fn settings(threads: usize) -> Settings {
    let mut settings = Pool::builder(FakeEngine::new())
        .threads(threads)
        .settled()
        .expect("settings that fit");
    // The same on every machine.
    settings.size.boots_max = 2;
    settings.size.memory = None;
    settings
}
