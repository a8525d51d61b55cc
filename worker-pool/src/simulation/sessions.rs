//! Sessions: their events reach one worker, their holders are notified in time, and idle ones block no other script.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;

use crate::engine::{SessionId, WorkerId};
use crate::job::EventId;
use crate::observe::RetireReason;
use crate::options::{Options, Policy, SessionLimits, Settings};
use crate::overload::Budget;
use crate::session::Notice;
use crate::simulation::{Load, MS, Simulation, Step, settings};
use crate::state::Departure;

const SECOND: Duration = Duration::from_secs(1);

/// An event in the life of sessions. Numbers select one of the existing sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Mishap {
    /// A session of this load's script is opened, with or without a key. Its holder drops it this number of milliseconds
    /// after its notice, or never.
    Opens { key: Option<u8>, lets_go: Option<u16> },
    /// A session of the load's script gets an event.
    Asks(u8),
    /// A session of the load's script gets a standing event.
    Stands(u8),
    /// The holder of a session of the load's script drops it.
    LetsGo(u8),
    /// The worker on the thread is condemned.
    Condemned,
    /// The pool is drained within this number of milliseconds.
    Drains(u16),
}

/// Sessions and their holders.
#[derive(Default)]
pub(super) struct Holders {
    holders: Vec<Holder>,
    /// Standing events.
    stand: HashSet<EventId>,
    /// True if the next event is a standing one.
    next_stands: bool,
    /// The session and key of each event.
    of: HashMap<EventId, (SessionId, Option<Arc<str>>)>,
    /// The worker that began the first event of a session.
    began: HashMap<SessionId, WorkerId>,
}

struct Holder {
    load: usize,
    session: SessionId,
    key: Option<Arc<str>>,
    notice: Arc<Notice>,
    lets_go: Option<u16>,
    told: bool,
    held: bool,
}

impl Holders {
    /// Records an event that was accepted for a session.
    pub(super) fn asked(&mut self, session: Option<SessionId>, event: Option<EventId>) {
        let (Some(session), Some(event)) = (session, event) else {
            return;
        };
        let holder = self.holders.iter().find(|holder| holder.session == session);
        self.of
            .insert(event, (session, holder.and_then(|holder| holder.key.clone())));
        if std::mem::take(&mut self.next_stands) {
            self.stand.insert(event);
        }
    }

    /// Selects the holder of a session of this load's script.
    fn of_load(&self, script: &str, loads: &[Load], which: u8) -> Option<usize> {
        let held = self.holders.iter().enumerate();
        let mut held: Vec<usize> = held
            .filter(|(_, holder)| holder.held && loads[holder.load].script == script)
            .map(|(index, _)| index)
            .collect();
        (!held.is_empty()).then(|| held.swap_remove(usize::from(which) % held.len()))
    }
}

impl Simulation {
    pub(super) fn happens_to_sessions(&mut self, load: usize, mishap: Mishap, thread: Option<usize>) {
        let script = self.loads[load].script;
        let of = |which| self.sessions.of_load(script, &self.loads, which);
        match mishap {
            Mishap::Opens { key, lets_go } => self.opens(load, key, lets_go),
            Mishap::Asks(which) => {
                if let Some(holder) = of(which) {
                    self.asks_for(load, Some(self.sessions.holders[holder].session));
                }
            }
            Mishap::Stands(which) => {
                if let Some(holder) = of(which) {
                    self.sessions.next_stands = true;
                    self.asks_for(load, Some(self.sessions.holders[holder].session));
                    self.sessions.next_stands = false;
                }
            }
            Mishap::LetsGo(which) => {
                if let Some(holder) = of(which) {
                    self.lets_go(holder);
                }
            }
            Mishap::Condemned => {
                let ready = |thread: &usize| self.ready.contains(&self.hosted[thread].worker.get());
                if let Some(thread) = thread.filter(ready) {
                    let worker = self.hosted[&thread].worker;
                    self.loses(thread);
                    self.with(|state, now, fx| state.let_go(thread, worker, RetireReason::Condemned, now, fx));
                    self.departs(thread, Departure::Retired(RetireReason::Condemned));
                }
            }
            Mishap::Drains(within) => {
                let within = Duration::from_millis(within.into());
                self.with(|state, now, fx| state.close(now + within, false, None, now, fx));
            }
        }
    }

    /// Opens a session and dispatches its first event.
    fn opens(&mut self, load: usize, key: Option<u8>, lets_go: Option<u16>) {
        let script = self.loads[load].script;
        let key = key.map(|key| key.to_string());
        let opened = self.with(|state, _, _| state.open_session(script, key.as_deref()));
        let Ok(opened) = opened else { return };
        self.sessions.holders.push(Holder {
            load,
            session: opened.id,
            key: opened.key,
            notice: opened.notice,
            lets_go,
            told: false,
            held: true,
        });
        self.asks_for(load, Some(opened.id));
    }

    pub(super) fn lets_go(&mut self, holder: usize) {
        let holder = &mut self.sessions.holders[holder];
        if std::mem::take(&mut holder.held) {
            let session = holder.session;
            self.with(|state, now, fx| state.release_session(session, now, fx));
        }
    }

    pub(super) fn all_let_go(&mut self) {
        (0..self.sessions.holders.len()).for_each(|holder| self.lets_go(holder));
    }

    /// Lets notified holders react.
    pub(super) fn hear_notices(&mut self) {
        let mut plans = Vec::new();
        for (index, holder) in self.sessions.holders.iter_mut().enumerate() {
            if holder.held && !holder.told && holder.notice.closing().is_some() {
                holder.told = true;
                plans.extend(holder.lets_go.map(|after| (index, after)));
            }
        }
        for (holder, after) in plans {
            self.at(self.now + MS * after.into(), Step::LetsGo(holder));
        }
    }

    /// Records that a worker begins an event of a session. Returns true for a standing event.
    pub(super) fn begins(&mut self, thread: usize, session: SessionId, event: EventId) -> bool {
        let worker = self.hosted[&thread].worker;
        let first = *self.sessions.began.entry(session).or_insert(worker);
        assert_eq!(first, worker, "a session has one worker");
        let script = Arc::clone(&self.hosted[&thread].version.name);
        if let Some((_, Some(key))) = self.sessions.of.get(&event) {
            let elsewhere = self.running.iter().find(|(other, (on, ..))| {
                let same = self
                    .sessions
                    .of
                    .get(other)
                    .is_some_and(|(_, other)| other.as_ref() == Some(key));
                let hosted = self.hosted.get(on);
                same && *on != thread && hosted.is_some_and(|hosted| hosted.version.name == script)
            });
            assert!(
                elsewhere.is_none(),
                "two workers at once have a session of {script} with the key {key}"
            );
        }
        self.sessions.stand.contains(&event)
            && self.with(|state, now, fx| {
                let stands = state.event_stands(thread, event);
                let _ = stands.then(|| state.pull(thread, now, fx));
                stands
            })
    }

    /// Cancels everything that runs on the thread.
    pub(super) fn cuts(&mut self, thread: usize) {
        let running: Vec<_> = self
            .running
            .iter()
            .filter(|(_, (on, ..))| *on == thread)
            .map(|(id, _)| *id)
            .collect();
        running.into_iter().for_each(|event| self.cancels(event));
    }
}

fn one(name: &'static str, takes: Duration) -> Load {
    Load::new(name, 0, takes)
}

const fn opens(lets_go: Option<u16>) -> super::Mishap {
    super::Mishap::Session(Mishap::Opens { key: None, lets_go })
}

#[test]
fn idle_sessions_yield_to_a_script_without_workers() {
    let names = ["a", "b", "c"].map(|name| (name, Options::default()));
    let loads = ["a", "b", "c"].map(|name| one(name, MS));
    let mut simulation = Simulation::new(2, &names, &loads);
    for socket in 0..100 {
        simulation.plan(MS * socket, (socket % 2) as usize, opens(Some(20)));
    }
    simulation.plan(SECOND, 2, super::Mishap::Asks);
    let fates = simulation.play(10 * SECOND);
    assert_eq!((fates[2].good, fates[0].good + fates[1].good), (1, 100), "{fates:?}");
    // It waits for the displacement, the holders, and a boot.
    assert!(fates[2].slowest < 150 * MS, "{fates:?}");
}

#[test]
fn held_sessions_delay_others_by_their_grace() {
    let options = Options::default().sessions(SessionLimits::default().grace(300 * MS));
    let names = [("a", options), ("b", Options::default())];
    let loads = ["a", "b"].map(|name| one(name, MS));
    let mut simulation = Simulation::new(1, &names, &loads);
    (0..10).for_each(|_| simulation.plan(Duration::ZERO, 0, opens(None)));
    simulation.plan(SECOND, 1, super::Mishap::Asks);
    let fates = simulation.play(10 * SECOND);
    assert_eq!(fates[1].good, 1, "{fates:?}");
    assert!(fates[1].slowest > 300 * MS && fates[1].slowest < 450 * MS, "{fates:?}");
}

#[test]
fn a_thousand_idle_sessions_do_not_block_other_scripts() {
    let names = ["sockets", "b", "c"].map(|name| (name, Options::default().workers_max(1)));
    let loads = ["sockets", "b", "c"].map(|name| one(name, MS));
    let mut simulation = Simulation::new(2, &names, &loads);
    (0..1000).for_each(|socket| simulation.plan(MS * socket / 10, 0, opens(Some(20))));
    for round in 0..40 {
        simulation.plan(SECOND + 50 * MS * round, 1 + round as usize % 2, super::Mishap::Asks);
    }
    let fates = simulation.play(10 * SECOND);
    assert_eq!((fates[1].good, fates[2].good), (20, 20), "{fates:?}");
    // The other thread suffices for them.
    assert!(fates[1].slowest.max(fates[2].slowest) < 50 * MS, "{fates:?}");
}

const NAMES: [&str; 4] = ["a", "b", "c", "d"];
const TAKES: [Duration; 3] = [MS, Duration::from_millis(20), Duration::from_millis(700)];

fn options() -> impl Strategy<Value = Options> {
    let limits = (
        1..6usize,
        1..4usize,
        1..4usize,
        1..8usize,
        prop_oneof![Just(10u64), Just(200), Just(3000)],
    );
    let limits = limits.prop_map(|(max, per_worker, events, events_per_worker, grace)| {
        SessionLimits::default()
            .max(max)
            .per_worker(per_worker)
            .events(events)
            .events_per_worker(events_per_worker)
            .grace(MS * u32::try_from(grace).unwrap_or(1))
    });
    let policy = prop_oneof![4 => Just(Policy::PerWorker), 2 => Just(Policy::PerRequest), 1 => Just(Policy::Oneshot)];
    let concurrency = prop_oneof![Just(1usize), Just(2), Just(8)];
    (limits, policy, concurrency, 1..4usize, 0..2usize, any::<bool>()).prop_map(
        |(limits, policy, concurrency, workers_max, workers_min, adapts)| {
            Options::default()
                .policy(policy)
                .concurrency(concurrency)
                .workers_max(workers_max)
                .workers_min(workers_min)
                .adapts(adapts)
                .sessions(limits)
        },
    )
}

fn mishap() -> impl Strategy<Value = (u64, usize, super::Mishap)> {
    let lets_go = prop_oneof![2 => Just(None), 1 => Just(Some(0u16)), 3 => (1..400u16).prop_map(Some)];
    let key = prop_oneof![1 => Just(None), 2 => (0..2u8).prop_map(Some)];
    let sessions = prop_oneof![
        20 => (key, lets_go).prop_map(|(key, lets_go)| Mishap::Opens { key, lets_go }),
        30 => any::<u8>().prop_map(Mishap::Asks),
        10 => any::<u8>().prop_map(Mishap::Stands),
        10 => any::<u8>().prop_map(Mishap::LetsGo),
        2 => Just(Mishap::Condemned),
    ];
    let what = prop_oneof![
        30 => sessions.prop_map(super::Mishap::Session),
        8 => Just(super::Mishap::Asks),
        3 => (2..20u8).prop_map(super::Mishap::AskTogether),
        1 => (0..4u8).prop_map(super::Mishap::BootsFail),
        2 => Just(super::Mishap::Deploys),
        1 => Just(super::Mishap::Undeploys),
        2 => Just(super::Mishap::Leaves),
        2 => Just(super::Mishap::Ages),
        2 => Just(super::Mishap::TurnIsLong),
        1 => Just(super::Mishap::Panics),
        2 => prop_oneof![Just(1u16), Just(40), Just(100)].prop_map(super::Mishap::Weighs),
    ];
    let pause = prop_oneof![4 => 0..2_000u64, 2 => 0..60_000u64, 1 => 0..2_000_000u64];
    (pause, 0..NAMES.len() * TAKES.len(), what)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn session_invariants_hold_through_mishaps(
        threads in 1..4usize, more in 0..2usize, memory: bool,
        options in prop::collection::vec(options(), NAMES.len()),
        mishaps in prop::collection::vec(mishap(), 1..80),
        drains in prop_oneof![Just(None), (0..2000u16).prop_map(Some)],
    ) {
        let mut settings = settings(threads);
        settings.size.threads_max = threads + more;
        settings.size.memory = memory.then_some(Budget::limit(100 << 20));
        play(settings, options, &mishaps, drains);
    }
}

/// Of two scripts with pinned workers that wait, the displaced one does not count as starving because it had waited for a
/// second worker.
#[test]
fn a_script_whose_worker_is_displaced_waits_from_then_on() {
    use super::Mishap as Other;
    let base = || Options::default().concurrency(1).workers_max(1).adapts(false);
    let limits = |grace| {
        let limits = SessionLimits::default().per_worker(1).events(1).events_per_worker(1);
        limits.max(2).grace(grace)
    };
    let options = [
        base().workers_min(1).sessions(limits(3 * SECOND)),
        base().sessions(limits(10 * MS).max(1)),
        base().sessions(limits(10 * MS).max(1)),
        base()
            .policy(Policy::PerRequest)
            .workers_min(1)
            .sessions(limits(10 * MS).max(1)),
    ];
    let opens = || opens(None);
    let mishaps = [
        (0, 11, Other::AskTogether(14)),
        (328_317, 3, opens()),
        (1_210_484, 0, Other::Session(Mishap::Asks(0))),
        (1_268_141, 0, Other::Leaves),
        (8459, 3, Other::Asks),
        (12_000, 3, opens()),
        (659_876, 3, opens()),
        (32_681, 0, opens()),
        (214, 6, opens()),
        (727, 5, Other::Deploys),
        (602, 4, Other::Deploys),
        (0, 0, opens()),
        (1_129_504, 9, opens()),
        (1_055_014, 2, Other::BootsFail(0)),
        (79_706, 5, opens()),
        (32_183, 9, Other::Asks),
        (493, 2, Other::Session(Mishap::LetsGo(5))),
        (0, 3, Other::Asks),
        (0, 3, Other::Ages),
        (703_101, 0, opens()),
    ];
    let mut settings = settings(3);
    settings.size.threads_max = 3;
    play(settings, options.to_vec(), &mishaps, None);
}

/// Checks every invariant after each step of these mishaps, each with its pause in microseconds.
fn play(settings: Settings, options: Vec<Options>, mishaps: &[(u64, usize, super::Mishap)], drains: Option<u16>) {
    let scripts: Vec<_> = NAMES.into_iter().zip(options).collect();
    let loads: Vec<_> = NAMES
        .iter()
        .flat_map(|name| TAKES.map(|takes| one(name, takes)))
        .collect();
    let mut simulation = Simulation::with_settings(settings, &scripts, &loads);
    let mut at = Duration::ZERO;
    for (pause, of, mishap) in mishaps {
        at += Duration::from_micros(*pause);
        simulation.plan(at, *of, *mishap);
    }
    if let Some(within) = drains {
        simulation.plan(at, 0, super::Mishap::Session(Mishap::Drains(within)));
    }
    simulation.play(at + SECOND);
}
