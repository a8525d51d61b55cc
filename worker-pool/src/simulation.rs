//! The pool's decisions under load, played through in simulated time: the real state, with scripts that take as long as they are
//! said to. A minute of a pool that is asked for ten times what it can do takes a moment, and is the same each time.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::fake::{Answer, Call, FakeEngine, FakeScript};
use crate::job::{EventId, Tally};
use crate::native::{Code, WithNative, Work};
use crate::options::{Meta, Options, Priority, Settings};
use crate::outcome::Outcome;
use crate::state::{Assignment, Departure, Effects, Mail, Next, State};
use crate::stats::Counters;
use crate::sync::channel;
use crate::{Pool, RejectReason};

type E = WithNative<FakeEngine>;

const MS: Duration = Duration::from_millis(1);
/// How long a boot takes.
const BOOT: Duration = Duration::from_millis(3);
/// Whoever waits for longer than this has given up.
const PATIENCE: Duration = Duration::from_secs(1);

/// Who asks for what, how often, and how long that takes.
#[derive(Clone, Copy)]
struct Load {
    script: &'static str,
    a_second: u32,
    takes: Duration,
    priority: Priority,
}

impl Load {
    const fn new(script: &'static str, a_second: u32, takes: Duration) -> Self {
        Self {
            script,
            a_second,
            takes,
            priority: Priority::Normal,
        }
    }
}

/// What became of the events of one load.
#[derive(Debug, Default)]
struct Fate {
    asked: usize,
    /// Answered before their callers gave up.
    good: usize,
    late: usize,
    refused: usize,
    shed: usize,
    /// The longest time until a good answer, until a refusal of whatever kind.
    slowest: Duration,
    slowest_refusal: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Boots(usize, u64),
    Ends(usize, EventId),
    Comes(usize),
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
    /// Where the assignments of each thread come from.
    threads: HashMap<usize, channel::Receiver<Assignment<E>>>,
    /// The workers on them.
    hosted: HashMap<usize, Assignment<E>>,
    running: HashMap<EventId, (Work<FakeEngine>, Tally)>,
    waiting: BTreeMap<EventId, (usize, Instant, channel::Receiver<Answer>)>,
    chance: u64,
}

impl Simulation {
    fn new(threads: usize, scripts: &[(&'static str, Options)], loads: &[Load]) -> Self {
        let start = Instant::now();
        let settings = settings(threads);
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
            running: HashMap::new(),
            waiting: BTreeMap::new(),
            chance: 1,
        };
        simulation.at(start, Step::Looks);
        for (name, options) in scripts {
            let code = Arc::new(Code::Script(Arc::new(FakeScript::new())));
            simulation.with(|state, now, fx| _ = state.deploy((*name).into(), code, options, now, fx));
        }
        (0..loads.len()).for_each(|load| simulation.at(start, Step::Comes(load)));
        simulation
    }

    /// Plays so much time, and until all that was accepted has ended. Gives what became of each load.
    fn play(mut self, time: Duration) -> Vec<Fate> {
        let ends = self.start + time;
        while let Some(Reverse((at, _, step))) = self.steps.pop() {
            self.now = at;
            match step {
                Step::Comes(_) if at >= ends => {}
                Step::Comes(load) => self.comes(load),
                Step::Boots(thread, worker) => {
                    if self
                        .hosted
                        .get(&thread)
                        .is_some_and(|hosted| hosted.worker.get() == worker)
                    {
                        let next = self.with(|state, now, fx| state.ready(thread, now, fx));
                        self.follow(thread, next);
                    }
                }
                Step::Ends(thread, event) => self.ends(thread, event),
                Step::Looks => self.look(),
            }
            if at >= ends && self.running.is_empty() && self.waiting.is_empty() {
                break;
            }
        }
        assert!(self.running.is_empty() && self.waiting.is_empty(), "everything ends");
        self.fates
    }

    fn at(&mut self, at: Instant, step: Step) {
        self.order += 1;
        self.steps.push(Reverse((at, self.order, step)));
    }

    /// One critical section, what it left to be done, and all that follows from that at once.
    fn with<R>(&mut self, section: impl FnOnce(&mut State<E>, Instant, &mut Effects<E>) -> R) -> R {
        let mut fx = Effects::new();
        let result = section(&mut self.state, self.now, &mut fx);
        let mut looks = false;
        let fails = fx.fails();
        fx.perform(|| looks = true);
        if fails {
            self.hear();
        }
        if looks {
            self.at(self.now, Step::Looks);
        }
        self.settle();
        result
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
                        let id = job.id;
                        let Some((load, _, _)) = self.waiting.get(&id) else {
                            continue;
                        };
                        let takes = self.loads[*load].takes;
                        let (event, tally) = job.start().expect("an event");
                        // Dropped, it would answer.
                        self.running.insert(id, (event, tally));
                        self.at(self.now + takes, Step::Ends(thread, id));
                    }
                    Mail::Pull => {
                        let next = self.with(|state, now, fx| state.pull(thread, now, fx));
                        self.follow(thread, next);
                    }
                    Mail::Retire => {
                        let next = self.state.may_leave(thread);
                        self.follow(thread, next);
                    }
                    Mail::Cancel(_) | Mail::Cut => unreachable!("nobody leaves"),
                }
            }
        }
    }

    /// The answers of those that were failed.
    fn hear(&mut self) {
        let answered: Vec<_> = self
            .waiting
            .iter()
            .filter_map(|(id, (.., reply))| Some((*id, reply.try_recv().ok()?)))
            .collect();
        for (id, answer) in answered {
            let failure = answer.expect_err("only failures come this way");
            assert_eq!(failure.outcome, Outcome::LoadShed, "{failure}");
            assert!(failure.retry_after.is_some(), "it says when to try again");
            let (load, asked, _) = self.waiting.remove(&id).expect("it waits");
            let fate = &mut self.fates[load];
            fate.shed += 1;
            fate.slowest_refusal = fate.slowest_refusal.max(self.now - asked);
        }
    }

    fn follow(&mut self, thread: usize, next: Next) {
        let Next::Leave(reason) = next else { return };
        self.hosted.remove(&thread);
        let assignment = self.with(|state, now, fx| {
            state.depart(thread, Departure::Retired(reason), now, fx);
            state.after_departure(thread, now, fx)
        });
        if let Some(assignment) = assignment {
            let boots = Step::Boots(thread, assignment.worker.get());
            self.hosted.insert(thread, assignment);
            self.at(self.now + BOOT, boots);
        }
    }

    fn look(&mut self) {
        let todo = self.with(|state, now, fx| state.supervise(now, fx));
        for spawn in todo.spawn {
            self.threads.insert(spawn.thread, spawn.mailbox);
        }
        if let Some(next) = todo.next {
            self.at(next.max(self.now + MS), Step::Looks);
        }
        self.settle();
    }

    /// An event comes, and says when the next one will: at random, as callers do that know nothing of each other.
    fn comes(&mut self, load: usize) {
        let Load {
            script,
            a_second,
            priority,
            ..
        } = self.loads[load];
        self.chance = self
            .chance
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        #[allow(clippy::cast_precision_loss, reason = "chance needs no precision")]
        let chance = ((self.chance >> 11) as f64 / (1u64 << 53) as f64).max(1e-9);
        self.at(
            self.now + Duration::from_secs_f64(-chance.ln() / f64::from(a_second)),
            Step::Comes(load),
        );
        self.fates[load].asked += 1;
        let (call, reply) = Call::echo(0);
        let meta = Meta {
            priority,
            ..Meta::default()
        };
        let now = self.now;
        let mut fx = Effects::new();
        match self.state.accept(script, Work::Event(call), meta, now, &mut fx) {
            Ok(accepted) => drop(self.waiting.insert(accepted.event, (load, now, reply))),
            Err(rejected) => {
                let reason: RejectReason = rejected.reason;
                assert!(reason.retry_after().is_some(), "{reason}");
                self.fates[load].refused += 1;
            }
        }
        let mut looks = false;
        let fails = fx.fails();
        fx.perform(|| looks = true);
        if fails {
            self.hear();
        }
        if looks {
            self.at(now, Step::Looks);
        }
        self.settle();
    }

    fn ends(&mut self, thread: usize, event: EventId) {
        let (load, asked, _) = self.waiting.remove(&event).expect("its caller waits");
        let (_, tally) = self.running.remove(&event).expect("it runs");
        tally.finish(Outcome::Ok);
        let (took, fate) = (self.now - asked, &mut self.fates[load]);
        if took <= PATIENCE {
            fate.good += 1;
            fate.slowest = fate.slowest.max(took);
        } else {
            fate.late += 1;
        }
        let next = self.with(|state, now, fx| state.end(thread, &[event], None, now, fx));
        self.follow(thread, next);
    }
}

fn settings(threads: usize) -> Settings {
    Pool::builder(FakeEngine::new())
        .threads(threads)
        .settled()
        .expect("settings that fit")
}

fn one_at_a_time() -> Options {
    Options {
        concurrency: 1,
        ..Options::default()
    }
}

const MINUTE: Duration = Duration::from_secs(60);

// row 39
#[test]
fn ten_times_the_capacity_for_a_minute_leaves_nine_tenths_of_the_goodput_and_refuses_the_rest_quickly() {
    // Two workers of 5 ms an event: 400 a second.
    let fates = Simulation::new(2, &[("s", one_at_a_time())], &[Load::new("s", 4000, 5 * MS)]).play(MINUTE);
    let fate = &fates[0];
    assert!(fate.good >= 400 * 60 * 9 / 10, "{fate:?}");
    assert_eq!(fate.late, 0, "{fate:?}");
    // All but those of the first moments are refused at the door.
    assert!(fate.shed <= fate.refused / 20, "{fate:?}");
}

// row 40
#[test]
fn one_noisy_script_among_many_is_refused_and_the_others_are_not() {
    let quiet = ["q0", "q1", "q2", "q3", "q4", "q5", "q6", "q7"];
    let mut scripts = vec![("noisy", one_at_a_time())];
    scripts.extend(quiet.map(|name| (name, one_at_a_time())));
    let mut loads = vec![Load::new("noisy", 8000, 5 * MS)];
    loads.extend(quiet.map(|name| Load::new(name, 5, 5 * MS)));
    let fates = Simulation::new(4, &scripts, &loads).play(MINUTE / 4);
    assert!(fates[0].refused > fates[0].asked / 2, "{:?}", fates[0]);
    for fate in &fates[1..] {
        assert_eq!(
            (fate.good, fate.refused + fate.shed + fate.late),
            (fate.asked, 0),
            "{fate:?}"
        );
        assert!(fate.slowest <= 300 * MS, "{fate:?}");
    }
    // What the others leave is for whoever wants it; their idle workers are kept for a moment.
    assert!(fates[0].good >= 800 * 15 / 3, "{:?}", fates[0]);
}

#[test]
fn scripts_that_want_everything_get_threads_by_their_weight() {
    let heavy = Options {
        weight: 3,
        ..one_at_a_time()
    };
    let loads = [Load::new("light", 8000, 5 * MS), Load::new("heavy", 8000, 5 * MS)];
    let fates = Simulation::new(8, &[("light", one_at_a_time()), ("heavy", heavy)], &loads).play(MINUTE / 4);
    let (light, heavy) = (fates[0].good, fates[1].good);
    assert!(light + heavy >= 8 * 200 * 15 * 9 / 10, "{fates:?}");
    assert!(heavy >= light * 5 / 2 && heavy <= light * 7 / 2, "{fates:?}");
}

#[test]
fn what_matters_most_is_served_and_what_matters_least_is_shed_first() {
    let load = |a_second, priority| Load {
        priority,
        ..Load::new("s", a_second, 5 * MS)
    };
    let loads = [
        load(100, Priority::High),
        load(250, Priority::Normal),
        load(2000, Priority::Low),
    ];
    let fates = Simulation::new(2, &[("s", one_at_a_time())], &loads).play(MINUTE);
    let [high, normal, low] = &fates[..] else {
        unreachable!()
    };
    assert_eq!((high.good, high.refused + high.shed), (high.asked, 0), "{fates:?}");
    assert!(high.slowest <= 200 * MS, "{fates:?}");
    assert!(normal.good >= normal.asked * 9 / 10, "{fates:?}");
    assert!(low.refused + low.shed > low.asked * 8 / 10 && low.good > 0, "{fates:?}");
}

#[test]
fn few_that_wait_for_slow_work_are_no_overload() {
    // Two workers of a second an event, and never more than a dozen in line: they wait for seconds, and are served.
    let fates = Simulation::new(
        2,
        &[("s", one_at_a_time())],
        &[Load::new("s", 1, Duration::from_secs(1))],
    )
    .play(MINUTE);
    assert_eq!((fates[0].refused, fates[0].shed), (0, 0), "{fates:?}");
}
