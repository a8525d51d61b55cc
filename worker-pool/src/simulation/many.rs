//! A thousand scripts, of which a few are busy and most are rarely used.

use std::time::Duration;

use crate::options::Options;
use crate::simulation::mishaps::Mishap;
use crate::simulation::{Fate, Load, MS, Simulation, settings};

const SCRIPTS: u32 = 1000;
const SECOND: Duration = Duration::from_secs(1);

/// Returns a thousand scripts and their loads.
fn scripts(a_second: impl Fn(u32) -> u32, takes: Duration) -> (Vec<(&'static str, Options)>, Vec<Load>) {
    let name = |rank| &*Box::leak(format!("s{rank}").into_boxed_str());
    let names: Vec<&'static str> = (1..=SCRIPTS).map(name).collect();
    let loads = (1..=SCRIPTS)
        .zip(&names)
        .map(|(rank, name)| Load::new(name, a_second(rank), takes));
    let loads = loads.collect();
    (
        names.into_iter().map(|name| (name, Options::default())).collect(),
        loads,
    )
}

/// Returns the requests per second by rank, following Zipf's law from the given number for the first.
fn zipf(first: u32) -> impl Fn(u32) -> u32 {
    move |rank| first / rank
}

/// Simulates a pool with two initial threads, and at most this number.
fn simulation(threads_max: usize, scripts: &[(&'static str, Options)], loads: &[Load]) -> Simulation {
    let mut settings = settings(2);
    settings.size.threads_max = threads_max;
    let mut simulation = Simulation::with_settings(settings, scripts, loads);
    simulation.check_one_in = 1009;
    simulation
}

#[track_caller]
fn assert_all_good(fates: &[Fate]) {
    for (rank, fate) in fates.iter().enumerate() {
        assert_eq!(fate.good, fate.asked, "{rank}: {fate:?}");
    }
}

fn boots(fates: &[Fate]) -> u64 {
    fates.iter().map(|fate| fate.boots).sum()
}

#[test]
fn under_zipfs_law_frequent_scripts_stay_warm() {
    let (scripts, loads) = scripts(zipf(200), MS);
    // Threads for one script in eight.
    let fates = simulation(125, &scripts, &loads).play(5 * SECOND);
    assert_all_good(&fates);
    let asked: usize = fates.iter().map(|fate| fate.asked).sum();
    assert!(boots(&fates) * 4 < asked as u64, "{} boots for {asked}", boots(&fates));
    for (rank, fate) in fates[..20].iter().enumerate() {
        assert!(fate.boots <= 10, "{rank}: {fate:?}");
    }
    // Two hundred requests come at once at first, and boots take 3 ms, two at a time.
    let slowest = fates.iter().map(|fate| fate.slowest).max().expect("loads");
    assert!(slowest < 350 * MS, "{slowest:?}");
}

#[test]
fn with_enough_threads_each_script_boots_once() {
    let (scripts, loads) = scripts(zipf(200), MS);
    let fates = simulation(2000, &scripts, &loads).play(4 * SECOND);
    assert_all_good(&fates);
    let asked = fates.iter().filter(|fate| fate.asked > 0).count();
    // The busiest scripts now and then get a second worker, when their events overlap.
    assert!(boots(&fates) <= asked as u64 + 5, "{} boots of {asked}", boots(&fates));
}

#[test]
fn a_scan_of_idle_scripts_displaces_no_busy_one() {
    // Twenty scripts get a hundred requests per second each.
    let (scripts, loads) = scripts(|rank| if rank <= 20 { 100 } else { 0 }, MS);
    let mut simulation = simulation(60, &scripts, &loads);
    for rank in 20..SCRIPTS {
        let at = SECOND + 5 * MS * rank;
        simulation.plan(at, rank as usize, Mishap::Asks);
    }
    let fates = simulation.play(8 * SECOND);
    assert_all_good(&fates);
    for (rank, fate) in fates[..20].iter().enumerate() {
        assert!(fate.boots <= 2 && fate.slowest < 50 * MS, "{rank}: {fate:?}");
    }
    assert!(fates[20..].iter().all(|fate| fate.boots == 1));
}

#[test]
fn all_scripts_at_once_boot_two_at_a_time_in_the_order_of_their_requests() {
    let (scripts, loads) = scripts(|_| 0, MS);
    let mut simulation = simulation(2000, &scripts, &loads);
    // The callers of any more would have given up.
    for rank in 0..600u32 {
        simulation.plan(SECOND + Duration::from_micros(rank.into()), rank as usize, Mishap::Asks);
    }
    let fates = simulation.play(5 * SECOND);
    assert_all_good(&fates);
    for (fates, rank) in fates[..600].chunks(2).zip(1u32..) {
        let (least, most) = (3 * MS * rank, 3 * MS * (rank + 2));
        assert!(
            fates.iter().all(|fate| fate.slowest >= least && fate.slowest <= most),
            "{rank}: {fates:?}"
        );
    }
}

#[test]
fn overload_of_one_script_does_not_affect_others() {
    let (mut scripts, mut loads) = scripts(zipf(100), MS);
    scripts[0].1 = Options::default().concurrency(1);
    loads[0] = Load::new("s1", 2000, 5 * MS);
    let fates = simulation(1200, &scripts, &loads).play(3 * SECOND);
    let (flood, others) = fates.split_first().expect("loads");
    assert!(flood.refused > flood.asked / 2 && flood.good > 0, "{flood:?}");
    assert_all_good(others);
    let asked = others.iter().filter(|fate| fate.asked > 0).count();
    assert!(boots(others) <= asked as u64 + 5, "{} boots of {asked}", boots(others));
    let slowest = others.iter().map(|fate| fate.slowest).max().expect("loads");
    // A hundred requests come at once at first.
    assert!(slowest < 200 * MS, "{slowest:?}");
}

#[test]
fn waiting_requests_do_not_block_other_scripts() {
    const WAITING: usize = 100;
    let (scripts, mut loads) = scripts(|_| 0, MS);
    loads[..WAITING].iter_mut().for_each(|load| load.takes = 20 * SECOND);
    let mut simulation = simulation(2000, &scripts, &loads);
    for load in 0..WAITING * 2 {
        let together = if load < WAITING { 10 } else { 1 };
        let at = SECOND + 4 * MS * u32::try_from(load).expect("few");
        simulation.plan(at, load, Mishap::AskTogether(together));
    }
    let fates = simulation.play(10 * SECOND);
    assert_all_good(&fates);
    assert!(fates[WAITING..].iter().all(|fate| fate.slowest < 30 * MS));
}
