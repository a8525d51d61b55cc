//! Time limits and full queues bound every wait.

use std::time::{Duration, Instant};

use crate::common::{LONG, assert_settled, builder, call, deploy, hold, one_at_a_time, pool, send, try_send, until};
use futures::executor::block_on;
use isopod_pool::fake::{Boot, Does, FakeScript};
use isopod_pool::{Meta, Options, Outcome, RejectReason};

fn soon(millis: u64) -> Meta {
    Meta::default().deadline(Instant::now() + Duration::from_millis(millis))
}

#[test]
fn a_wall_timeout_wakes_a_waiting_worker() {
    let pool = pool(1);
    let wall_timeout = Some(Duration::from_millis(20));
    let script = deploy(
        &pool,
        "s",
        FakeScript::new(),
        &Options::default().wall_timeout(wall_timeout),
    );
    block_on(pool.warm("s")).expect("a worker");
    let start = Instant::now();
    assert_eq!(call(&pool, "s", Does::Never), Err(Outcome::ExceededWall));
    assert!(
        (Duration::from_millis(20)..Duration::from_secs(2)).contains(&start.elapsed()),
        "{:?}",
        start.elapsed()
    );
    // The worker stays.
    assert_eq!((call(&pool, "s", Does::Echo(1)), script.boots()), (Ok(1), 1));
}

#[test]
fn work_after_an_answer_has_its_own_time_limit() {
    let pool = pool(1);
    let (wall, after_answer) = (Some(Duration::from_millis(20)), Some(LONG));
    let options = |wall_timeout, wait_until_timeout| {
        Options::default()
            .wall_timeout(wall_timeout)
            .wait_until_timeout(wait_until_timeout)
    };
    deploy(&pool, "patient", FakeScript::new(), &options(wall, after_answer));
    let (let_go, until_then) = flume::bounded(1);
    assert_eq!(call(&pool, "patient", Does::GoOn(until_then)), Ok(0));
    // Other events beside it reach the limit that no longer applies to it.
    for _ in 0..3 {
        assert_eq!(call(&pool, "patient", Does::Never), Err(Outcome::ExceededWall));
    }
    assert_eq!(pool.stats().outcomes["ok"], 0);
    drop(let_go);
    until(|| pool.stats().outcomes["ok"] == 1);
    deploy(&pool, "strict", FakeScript::new(), &options(after_answer, wall));
    let (_held, until_then) = flume::bounded(1);
    assert_eq!(call(&pool, "strict", Does::GoOn(until_then)), Ok(0));
    until(|| pool.stats().outcomes["exceeded_wall"] == 4);
    assert_settled(&pool);
}

#[test]
fn the_earlier_of_deadline_and_limit_applies() {
    let pool = pool(1);
    deploy(
        &pool,
        "s",
        FakeScript::new(),
        &Options::default().wall_timeout(Duration::MAX),
    );
    let late = send(&pool, "s", Does::Never);
    let early = try_send(&pool, "s", Does::Never, soon(10)).expect("room");
    assert_eq!(early.answer(), Err(Outcome::ExceededWall));
    assert!(late.reply.is_empty());
    let passed = Meta::default().deadline(Instant::now());
    assert_eq!(
        try_send(&pool, "s", Does::Echo(1), passed).err(),
        Some(RejectReason::DeadlinePassed)
    );
}

#[test]
fn late_events_are_shed_or_exceed_their_deadline() {
    let pool = builder(1)
        .queue_wait_max(Duration::from_millis(40))
        .build()
        .expect("threads");
    let script = deploy(&pool, "s", FakeScript::new(), &one_at_a_time());
    let (open, held) = hold(&pool, "s");
    until(|| script.alive() == 1 && pool.stats().scripts["s"].queued == 0);
    let patient = send(&pool, "s", Does::Echo(1));
    let hurried = try_send(&pool, "s", Does::Echo(2), soon(5)).expect("room");
    assert_eq!(hurried.answer(), Err(Outcome::ExceededWall));
    assert_eq!(patient.answer(), Err(Outcome::LoadShed));
    drop(open);
    assert_eq!(held.answer(), Ok(0));
}

#[test]
fn a_hanging_boot_ends_at_its_timeout() {
    let pool = builder(1)
        .boot_timeout(Duration::from_millis(20))
        .build()
        .expect("threads");
    deploy(&pool, "s", FakeScript::new().boot(Boot::Hangs), &Options::default());
    assert_eq!(call(&pool, "s", Does::Echo(1)), Err(Outcome::BootFailed));
}

#[test]
fn a_script_may_have_less_time_to_start_than_others() {
    let pool = pool(1);
    let options = Options::default().boot_timeout(Duration::from_millis(20));
    deploy(&pool, "s", FakeScript::new().boot(Boot::Hangs), &options);
    assert_eq!(call(&pool, "s", Does::Echo(1)), Err(Outcome::BootFailed));
}

#[test]
fn a_disconnected_caller_frees_its_place_or_slot() {
    let pool = pool(1);
    let options = Options::default().concurrency(1).queue_len_max(1);
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    let held = send(&pool, "s", Does::Never);
    until(|| script.alive() == 1 && pool.stats().scripts["s"].queued == 0);
    let queued = send(&pool, "s", Does::Echo(1));
    let full = try_send(&pool, "s", Does::Echo(2), Meta::default()).err();
    assert!(matches!(full, Some(RejectReason::QueueFull { .. })), "{full:?}");
    drop(queued.ticket);
    let gone = queued
        .reply
        .recv_timeout(LONG)
        .expect("an answer")
        .expect_err("canceled");
    assert_eq!(gone.outcome, Outcome::Canceled);
    let next = send(&pool, "s", Does::Echo(3));
    drop(held.ticket);
    assert_eq!(next.answer(), Ok(3));
    until(|| pool.stats().open == 0);
    assert_settled(&pool);
    assert_eq!(pool.stats().outcomes["canceled"], 2);
}
