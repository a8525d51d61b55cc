//! Workers near the memory limit of the pool.

use crate::common::{Pool, assert_settled, builder, call, deploy, hold, retired, send, try_send, until};
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Meta, Options, Outcome, Priority, RejectReason};

const MIB: usize = 1 << 20;

fn weighs(mib: usize) -> FakeScript {
    FakeScript::new().memory_bytes(mib * MIB)
}

fn pool(threads: usize, mib: usize) -> Pool {
    builder(threads).memory_bytes_max(mib * MIB).build().expect("threads")
}

#[test]
fn the_longest_idle_workers_are_retired_until_there_is_room() {
    let pool = pool(4, 100);
    let names = ["a", "b", "c"];
    let scripts = names.map(|name| deploy(&pool, name, weighs(40), &Options::default()));
    for name in names {
        assert_eq!(call(&pool, name, Does::Echo(1)), Ok(1));
        // The answer arrives before its worker is idle.
        until(|| pool.stats().open == 0);
    }
    until(|| scripts[0].alive() == 0);
    assert_eq!(retired(&pool, "a", "pressure"), 1);
    assert_eq!((scripts[1].alive(), scripts[2].alive()), (1, 1));
    // The event is answered, and another worker is retired.
    assert_eq!(call(&pool, "a", Does::Echo(2)), Ok(2));
    until(|| scripts[1].alive() == 0);
    assert_eq!(pool.stats().scripts["c"].memory_bytes, 40 * MIB);
}

#[test]
fn near_the_memory_limit_no_worker_boots() {
    let pool = pool(4, 100);
    let heavy = deploy(&pool, "heavy", weighs(95), &Options::default());
    let light = deploy(&pool, "light", weighs(1), &Options::default());
    let (open, held) = hold(&pool, "heavy");
    until(|| pool.stats().scripts["heavy"].in_flight == 1);
    let waits = send(&pool, "light", Does::Echo(1));
    until(|| pool.stats().scripts["light"].queued == 1);
    assert_eq!(light.boots(), 0);
    drop(open);
    assert_eq!((held.answer(), waits.answer()), (Ok(0), Ok(1)));
    until(|| heavy.alive() == 0);
    assert_settled(&pool);
}

#[test]
fn at_the_memory_limit_only_high_priority_is_accepted() {
    let pool = pool(2, 100);
    deploy(&pool, "s", weighs(120), &Options::default());
    let (open, held) = hold(&pool, "s");
    until(|| pool.stats().scripts["s"].in_flight == 1);
    let refused = try_send(&pool, "s", Does::Echo(1), Meta::default())
        .err()
        .expect("no room");
    assert!(matches!(refused, RejectReason::MemoryFull { .. }), "{refused:?}");
    assert_eq!(refused.outcome(), Outcome::LoadShed);
    assert!(refused.retry_after().is_some());
    let urgent = Meta::default().priority(Priority::High);
    let urgent = try_send(&pool, "s", Does::Echo(2), urgent).expect("room");
    assert_eq!(urgent.answer(), Ok(2));
    drop(open);
    assert_eq!(held.answer(), Ok(0));
    // The idle worker is retired, and a fresh one answers.
    until(|| retired(&pool, "s", "pressure") == 1);
    assert_eq!(call(&pool, "s", Does::Echo(3)), Ok(3));
    assert_settled(&pool);
}
