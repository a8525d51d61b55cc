//! Full queues: refused and shed events, and their retry-after hints. `src/simulation` covers sustained load.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::time::Duration;

use crate::common::{Pool, Sent, assert_settled, builder, deploy, hold, send, try_send, until};
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Meta, Options, Outcome, Priority, RejectReason};

fn one_at_a_time() -> Options {
    Options::default().concurrency(1)
}

fn at(priority: Priority) -> Meta {
    Meta::default().priority(priority)
}

fn queued(pool: &Pool, name: &str) -> usize {
    pool.stats().scripts[name].queued
}

#[test]
fn high_priority_goes_first_and_replaces_the_lowest() {
    let pool = builder(1).build().expect("threads");
    let options = one_at_a_time().queue_len_max(3);
    deploy(&pool, "s", FakeScript::new(), &options);
    let (open, held) = hold(&pool, "s");
    until(|| pool.stats().scripts["s"].in_flight == 1);
    let try_at = |n, priority| try_send(&pool, "s", Does::Echo(n), at(priority));
    let first_low = try_at(1, Priority::Low).expect("room");
    let last_low = try_at(2, Priority::Low).expect("room");
    let normal = try_at(3, Priority::Normal).expect("room");
    let high = try_at(4, Priority::High).expect("room that another makes");
    assert_eq!(last_low.answer(), Err(Outcome::LoadShed));
    let refused = try_at(5, Priority::Low).err();
    assert!(matches!(refused, Some(RejectReason::QueueFull { .. })), "{refused:?}");
    assert_eq!(queued(&pool, "s"), 3);
    drop(open);
    assert_eq!(held.answer(), Ok(0));
    assert_eq!(
        (high.answer(), normal.answer(), first_low.answer()),
        (Ok(4), Ok(3), Ok(1))
    );
    assert_settled(&pool);
}

#[test]
fn a_script_at_its_maximum_of_workers_has_used_its_share() {
    let pool = builder(2).retry_after(Duration::from_secs(3)).build().expect("threads");
    let options = one_at_a_time().workers_max(1).queue_len_max(1);
    deploy(&pool, "s", FakeScript::new(), &options);
    let (open, held) = hold(&pool, "s");
    until(|| pool.stats().scripts["s"].in_flight == 1);
    let queued = send(&pool, "s", Does::Echo(1));
    let refused = try_send(&pool, "s", Does::Echo(2), Meta::default())
        .err()
        .expect("no room");
    assert!(matches!(refused, RejectReason::ShareExhausted { .. }), "{refused:?}");
    let after = refused.retry_after().expect("it says when");
    assert!(
        (Duration::from_millis(1500)..Duration::from_millis(4500)).contains(&after),
        "{after:?}"
    );
    drop(open);
    assert_eq!((held.answer(), queued.answer()), (Ok(0), Ok(1)));
}

#[test]
fn adaptive_concurrency_of_computing_workers_becomes_one() {
    // No event is shed, even if events wait for long on a busy machine.
    let pool = builder(1).queue_target(Duration::MAX).build().expect("threads");
    let options = Options::default().adapts(true);
    deploy(&pool, "s", FakeScript::new(), &options);
    let spin = || send(&pool, "s", Does::Spin(Duration::from_millis(2)));
    let sent: RefCell<VecDeque<_>> = RefCell::new((0..40).map(|_| spin()).collect());
    until(|| {
        // Several events per check, because this thread may wake more slowly than the worker computes, and would let it idle.
        for _ in 0..20 {
            let first = sent.borrow_mut().pop_front().map(Sent::answer);
            assert_eq!(first, Some(Ok(0)));
            sent.borrow_mut().push_back(spin());
        }
        let stats = &pool.stats().scripts["s"];
        stats.in_flight <= 1 && stats.queued > 10
    });
    sent.into_inner()
        .into_iter()
        .for_each(|sent| assert_eq!(sent.answer(), Ok(0)));
}

#[test]
fn one_script_cannot_fill_the_queue_of_the_pool() {
    let pool = builder(1).queue_total_max(60).build().expect("threads");
    deploy(&pool, "noisy", FakeScript::new(), &one_at_a_time());
    deploy(&pool, "quiet", FakeScript::new(), &one_at_a_time());
    let (open, held) = hold(&pool, "noisy");
    until(|| pool.stats().scripts["noisy"].in_flight == 1);
    let fill = |name: &str| -> Vec<_> {
        std::iter::from_fn(|| try_send(&pool, name, Does::Echo(1), Meta::default()).ok()).collect()
    };
    let noisy = fill("noisy");
    let quiet = fill("quiet");
    assert_eq!((noisy.len(), quiet.len()), (30, 16));
    drop(open);
    assert_eq!(held.answer(), Ok(0));
    noisy
        .into_iter()
        .chain(quiet)
        .for_each(|sent| assert_eq!(sent.answer(), Ok(1)));
    assert_settled(&pool);
}
