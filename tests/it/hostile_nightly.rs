//! Hostile scenarios that take minutes: run by `cargo xtask test --nightly`, one at a time.

use std::time::Duration;

use isopod::{Options, Policy, Pool, Script};

use crate::hostile::{Arena, RECOVERY};
use crate::process::{eventually, resident_bytes};

const MIB: u64 = 1 << 20;

// row 27
#[test]
#[ignore = "nightly: takes minutes"]
fn ten_thousand_workers_leave_memory_flat() {
    let pool = Pool::builder().threads(2).build().expect("a pool");
    let source = "const kept = new Array(10_000).fill('x'); export const size = () => kept.length;";
    let script = Script::builder("fresh").source(source).build().expect("a script");
    let options = Options::default().policy(Policy::PerRequest);
    pool.deploy("fresh", script, &options).expect("a pool that runs");
    let run = |times: usize| {
        for _ in 0..times {
            let size: usize = futures::executor::block_on(pool.call("fresh", "size", &())).expect("an answer");
            assert_eq!(size, 10_000);
        }
        resident_bytes(std::process::id())
    };
    let warm = run(500);
    let later: Vec<_> = (0..10).map(|_| run(1000)).collect();
    let shown = later.iter().map(|bytes| format!("{} MiB", bytes / MIB));
    eprintln!("{} MiB warm, then {}", warm / MIB, shown.collect::<Vec<_>>().join(", "));
    assert!(later.iter().all(|bytes| *bytes < warm + 32 * MIB), "it grows");
    assert!(pool.stats().scripts["fresh"].boots >= 10_500);
}

/// The 99th percentile.
fn p99(times: &mut [Duration]) -> Duration {
    times.sort();
    times[times.len() * 99 / 100]
}

/// Good and bad rounds alternate, with this many probes of each of two clients in a round: a tenth of a second, in
/// which quick misbehaviors are repeated many times.
const ROUNDS: usize = 25;
const PROBES: usize = 400;

/// Repeats a misbehavior a hundred times, and compares its effect on the other worker and on memory with that of a
/// legitimate deed: a small one, or for misbehaviors that do little, one that does as much.
#[track_caller]
fn a_hundred_times(misdeed: &str, good_deed: &str) {
    let arena = Arena::start();
    let pid = arena.server.pid();
    // The other worker's heap grows to its own size first.
    arena.probe_beside(5000, good_deed);
    arena.commit(&[misdeed]);
    let before = resident_bytes(pid);
    let (mut good, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        // Alternating, so that other load on the machine affects both.
        good.extend(arena.probe_beside(PROBES, good_deed));
        beside.extend(arena.probe_beside(PROBES, misdeed));
    }
    // Ten at a time: those of one worker queue, and let the other worker go first.
    for _ in 0..10 {
        arena.commit(&[misdeed; 10]);
    }
    let grown = || resident_bytes(pid).saturating_sub(before) / MIB;
    eventually(RECOVERY, || (grown() <= 32).then_some(()));
    let (good, beside) = (p99(&mut good), p99(&mut beside));
    eprintln!(
        "{misdeed}: p99 {good:?} beside {good_deed}, {beside:?} beside it; {} MiB more",
        grown()
    );
    assert!(
        beside <= 2 * good,
        "{misdeed}: p99 {good:?} beside {good_deed}, {beside:?} beside it"
    );
    assert!(grown() <= 32, "{misdeed}: {} MiB more", grown());
    arena.recovers();
}

macro_rules! a_hundred_times {
    ($($test:ident: $misdeed:literal and $good:literal,)*) => {$(
        #[test]
        #[ignore = "nightly: takes minutes, and the machine for itself"]
        fn $test() {
            a_hundred_times($misdeed, $good);
        }
    )*};
}

a_hundred_times! {
    // row 1
    a_hundred_endless_loops_slow_no_other_worker: "/loop" and "/fine",
    // row 3
    a_hundred_microtask_loops_slow_no_other_worker: "/microtasks" and "/fine",
    // row 5
    a_hundred_backtracking_expressions_slow_no_other_worker: "/regexp" and "/fine",
    // row 8
    a_hundred_full_heaps_slow_no_other_worker: "/heap-large" and "/fine",
    // row 12
    a_hundred_recursions_slow_no_other_worker: "/recursion" and "/computes",
    // row 15
    a_hundred_hung_handlers_slow_no_other_worker: "/never" and "/fine",
    // row 17
    a_hundred_leftovers_slow_no_other_worker: "/trap" and "/fine",
}
