//! No event waits while a thread is available for it, through any mishaps of scripts, workers and threads.

use std::time::Duration;

use proptest::prelude::*;

use crate::breaker::BreakerOptions;
use crate::options::{Options, Policy};
use crate::overload::Budget;
use crate::simulation::{Load, MS, Mishap, Simulation, settings};

const SECOND: Duration = Duration::from_secs(1);

/// Dispatches events of each load in turn, at this interval.
fn in_turn(simulation: &mut Simulation, loads: &[usize], rounds: u32, every: Duration) {
    for round in 0..rounds {
        let load = loads[round as usize % loads.len()];
        simulation.plan(SECOND + every * round, load, Mishap::Asks);
    }
}

#[test]
fn two_scripts_in_turn_share_the_thread_beside_a_worker_that_only_waits() {
    let scripts = ["a", "b", "c"].map(|name| (name, Options::default()));
    let loads = [
        Load::new("a", 0, 30 * SECOND),
        Load::new("b", 0, MS),
        Load::new("c", 0, MS),
    ];
    // The next event arrives between the report of the previous one and a long idle time.
    for every in [1000, 1050, 4000, 4050, 4200, 60_000, 150_000].map(Duration::from_micros) {
        let mut simulation = Simulation::new(2, &scripts, &loads);
        simulation.plan(Duration::ZERO, 0, Mishap::Asks);
        simulation.plan(SECOND / 2, 0, Mishap::Asks);
        in_turn(&mut simulation, &[1, 2], 400, every);
        let fates = simulation.play(60 * SECOND);
        for fate in &fates {
            assert_eq!(
                (fate.good, fate.shed + fate.refused),
                (fate.asked, 0),
                "{every:?}: {fates:?}"
            );
        }
        assert!(
            fates[1].slowest.max(fates[2].slowest) < 50 * MS || every < 4 * MS,
            "{every:?}: {fates:?}"
        );
    }
}

#[test]
fn a_waiting_worker_does_not_exempt_a_busy_one_from_yielding() {
    let scripts = ["waits", "busy", "other"].map(|name| (name, Options::default()));
    let loads = [
        Load::new("waits", 0, 30 * SECOND),
        // Never idle, with frequent ends.
        Load::new("busy", 500, 20 * MS),
        Load::new("other", 0, MS),
    ];
    let mut simulation = Simulation::new(2, &scripts, &loads);
    simulation.plan(Duration::ZERO, 0, Mishap::Asks);
    // The worker should end, but takes half a minute.
    simulation.plan(SECOND / 2, 1, Mishap::Ages);
    in_turn(&mut simulation, &[2], 20, SECOND);
    let fates = simulation.play(25 * SECOND);
    assert_eq!((fates[2].good, fates[2].asked), (20, 20), "{fates:?}");
    assert!(fates[2].slowest < 300 * MS, "{fates:?}");
}

#[test]
fn a_yielding_worker_continues_when_no_script_waits() {
    let scripts = ["a", "b", "c"].map(|name| (name, Options::default()));
    let loads = [
        Load::new("a", 0, 30 * SECOND),
        Load::new("b", 0, 300 * MS),
        Load::new("c", 0, MS),
        Load::new("a", 0, MS),
    ];
    let mut simulation = Simulation::new(2, &scripts, &loads);
    simulation.plan(Duration::ZERO, 0, Mishap::Asks);
    simulation.plan(SECOND, 1, Mishap::Asks);
    // Both threads are taken, the second a moment ago. The first starts yielding, and continues once the second is free.
    simulation.plan(SECOND + 20 * MS, 2, Mishap::Asks);
    simulation.plan(SECOND + 400 * MS, 3, Mishap::Asks);
    let fates = simulation.play(5 * SECOND);
    assert_eq!(fates[3].good, 1, "{fates:?}");
    // It went to the existing worker; no thread had to be found.
    assert!(fates[3].slowest < 2 * MS, "{fates:?}");
}

const NAMES: [&str; 5] = ["a", "b", "c", "d", "e"];
const TAKES: [Duration; 4] = [
    MS,
    Duration::from_millis(20),
    Duration::from_millis(700),
    Duration::from_secs(20),
];

fn options() -> impl Strategy<Value = Options> {
    let concurrency = prop_oneof![Just(1usize), Just(2), Just(8), Just(64)];
    let policy = prop_oneof![4 => Just(Policy::PerWorker), 1 => Just(Policy::PerRequest)];
    let min = prop_oneof![4 => Just(0usize), 1 => Just(1)];
    (concurrency, 1..9usize, 1..4usize, min, policy, any::<bool>()).prop_map(
        |(concurrency, spread_at, workers_max, workers_min, policy, adapts)| {
            Options::default()
                .policy(policy)
                .concurrency(concurrency)
                .adapts(adapts)
                .workers_max(workers_max)
                .workers_min(workers_min)
                .spread_at(spread_at)
        },
    )
}

/// A mishap, and the time since the previous one.
fn mishap() -> impl Strategy<Value = (u64, usize, Mishap)> {
    let what = prop_oneof![
        30 => Just(Mishap::Asks),
        6 => (2..40u8).prop_map(Mishap::AskTogether),
        2 => (0..8u8).prop_map(Mishap::BootsFail),
        1 => Just(Mishap::Deploys),
        1 => Just(Mishap::Undeploys),
        3 => Just(Mishap::Leaves),
        2 => Just(Mishap::Ages),
        3 => Just(Mishap::TurnIsLong),
        1 => Just(Mishap::Panics),
        3 => prop_oneof![Just(1u16), Just(40), Just(100)].prop_map(Mishap::Weighs),
    ];
    let pause = prop_oneof![4 => 0..2_000u64, 2 => 0..60_000u64, 1 => 0..2_000_000u64];
    (pause, 0..NAMES.len() * TAKES.len(), what)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, max_shrink_iters: 20_000, ..ProptestConfig::default() })]

    #[test]
    fn no_event_waits_for_an_available_thread(
        threads in 1..4usize, more in 0..2usize, memory: bool,
        options in prop::collection::vec(options(), NAMES.len()),
        depths in prop::collection::vec(prop_oneof![3 => Just(0u32), 1 => 1..4u32], NAMES.len() * TAKES.len()),
        mishaps in prop::collection::vec(mishap(), 1..60),
    ) {
        let scripts: Vec<_> = NAMES.into_iter().zip(options).collect();
        let loads = NAMES.iter().flat_map(|name| TAKES.map(|takes| Load::new(name, 0, takes)));
        let loads: Vec<_> = loads.zip(depths).map(|(load, depth)| Load { depth, ..load }).collect();
        let mut settings = settings(threads);
        settings.size.threads_max = threads + more;
        settings.size.memory = memory.then_some(Budget::limit(100 << 20));
        settings.breaker = BreakerOptions::default().backoff_min(200 * MS);
        let mut simulation = Simulation::with_settings(settings, &scripts, &loads);
        let mut at = Duration::ZERO;
        for (pause, of, mishap) in mishaps {
            at += Duration::from_micros(pause);
            simulation.plan(at, of, mishap);
        }
        simulation.play(at + SECOND);
    }
}
