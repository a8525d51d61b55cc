//! Recycling of workers, and workers that are kept warm.

use std::time::Duration;

use crate::common::{assert_settled, builder, call, deploy, hold, pool, retired, send, until};
use futures::executor::block_on;
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Options, Policy, Recycle};

fn recycled(recycle: Recycle) -> Options {
    Options::default().recycle(recycle)
}

#[test]
fn a_worker_is_replaced_after_as_many_events_as_it_may_handle() {
    let pool = pool(1);
    let options = recycled(Recycle::default().events(5));
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    (0..20).for_each(|n| assert_eq!(call(&pool, "s", Does::Echo(n)), Ok(n)));
    until(|| retired(&pool, "s", "events") == 4);
    assert_eq!(script.boots(), 4);
}

#[test]
fn an_old_worker_is_retired_when_idle_or_after_its_last_event() {
    let pool = pool(1);
    let options = recycled(Recycle::default().age(Duration::from_millis(10)));
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    block_on(pool.warm("s")).expect("a worker");
    until(|| script.alive() == 0);
    let (open, held) = hold(&pool, "s");
    until(|| script.alive() == 1);
    // The worker is too old now, and still answers. tidy:allow(sleep): age is time.
    std::thread::sleep(Duration::from_millis(20));
    assert!(held.reply.is_empty() && script.alive() == 1);
    drop(open);
    assert_eq!(held.answer(), Ok(0));
    until(|| retired(&pool, "s", "age") == 2);
}

#[test]
fn a_worker_above_its_memory_is_recycled() {
    let pool = pool(1);
    let options = recycled(Recycle::default().memory_bytes(1000));
    let heavy = deploy(&pool, "heavy", FakeScript::new().memory_bytes(1001), &options);
    let light = deploy(&pool, "light", FakeScript::new().memory_bytes(1000), &options);
    for name in ["heavy", "light"] {
        for n in 0..3 {
            assert_eq!(call(&pool, name, Does::Echo(n)), Ok(n));
            // The answer arrives before the worker is weighed.
            until(|| pool.stats().open == 0);
        }
    }
    assert_eq!((heavy.boots(), light.boots()), (3, 1));
    assert_eq!(
        (retired(&pool, "heavy", "memory"), retired(&pool, "light", "memory")),
        (3, 0)
    );
}

#[test]
fn an_idle_worker_goes_unless_its_script_keeps_it() {
    let pool = builder(3)
        .idle_timeout(Duration::from_millis(10))
        .build()
        .expect("threads");
    let kept = deploy(&pool, "kept", FakeScript::new(), &Options::default().workers_min(2));
    let idle = deploy(&pool, "idle", FakeScript::new(), &Options::default());
    until(|| kept.alive() == 2);
    assert_eq!(call(&pool, "idle", Does::Echo(1)), Ok(1));
    until(|| idle.alive() == 0 && retired(&pool, "idle", "idle") == 1);
    assert_eq!((kept.alive(), kept.boots()), (2, 2));
}

#[test]
fn recycled_warm_workers_boot_again() {
    let pool = pool(2);
    let recycle = Recycle::default().events(2);
    let script = deploy(
        &pool,
        "s",
        FakeScript::new(),
        &Options::default().workers_min(1).recycle(recycle),
    );
    (0..6).for_each(|n| assert_eq!(call(&pool, "s", Does::Echo(n)), Ok(n)));
    until(|| retired(&pool, "s", "events") >= 3 && script.alive() >= 1);
}

#[test]
fn per_request_gives_every_event_a_worker_of_its_own() {
    let pool = pool(2);
    let options = Options::default().policy(Policy::PerRequest).concurrency(64);
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    let sent: Vec<_> = (0..20).map(|_| send(&pool, "s", Does::WorkerId)).collect();
    let mut workers: Vec<_> = sent.into_iter().map(|sent| sent.answer().expect("a number")).collect();
    workers.sort_unstable();
    workers.dedup();
    assert_eq!((workers.len(), script.boots()), (20, 20));
    until(|| retired(&pool, "s", "policy") == 20 && script.alive() == 0);
}

#[test]
fn a_oneshot_script_is_undeployed_after_one_event() {
    let pool = pool(1);
    let options = Options::default().policy(Policy::Oneshot).workers_min(1);
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    let (open, only) = hold(&pool, "s");
    assert!(crate::common::try_send(&pool, "s", Does::Echo(2), isopod_pool::Meta::default()).is_err());
    drop(open);
    assert_eq!(only.answer(), Ok(0));
    until(|| pool.stats().scripts.is_empty() && script.alive() == 0);
    assert_eq!(script.boots(), 1);
}

#[test]
fn a_worker_at_its_maximum_of_events_loses_none() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new().events_max(3), &Options::default());
    let sent: Vec<_> = (0..8).map(|n| send(&pool, "s", Does::Echo(n))).collect();
    let answers: Vec<_> = sent.into_iter().map(|sent| sent.answer()).collect();
    assert_eq!(answers, (0..8).map(Ok).collect::<Vec<_>>());
    until(|| script.boots() == 3);
    assert_eq!(retired(&pool, "s", "events"), 2);
    assert_settled(&pool);
}
