//! Nested events on a pool whose threads are all occupied by their callers.

use std::time::Duration;

use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Meta, Options, Policy, RejectReason};

use crate::common::{LONG, Pool, Sent, assert_settled, builder, deploy, one_at_a_time, pool, send, try_send, until};

fn try_nested(pool: &Pool, name: &str, depth: u32, does: Does) -> Result<Sent, RejectReason> {
    try_send(pool, name, does, Meta::default().depth(depth))
}

fn nested(pool: &Pool, name: &str, depth: u32, does: Does) -> Sent {
    try_nested(pool, name, depth, does).expect("an event that is accepted")
}

/// Dispatches an event and waits for its begin. It runs until the sender is dropped.
fn hold(pool: &Pool, name: &str, depth: u32) -> (flume::Sender<()>, Sent) {
    let begun = || pool.stats().scripts[name].in_flight;
    let before = begun();
    let (open, gate) = flume::bounded(1);
    let sent = nested(pool, name, depth, Does::Wait(gate));
    until(|| begun() > before);
    (open, sent)
}

fn release(pool: &Pool, held: Vec<(flume::Sender<()>, Sent)>) {
    for (gate, sent) in held {
        drop(gate);
        assert_eq!(sent.answer(), Ok(0));
    }
    assert_settled(pool);
}

#[test]
fn a_chain_longer_than_the_number_of_threads_is_answered() {
    let pool = pool(1);
    let names = ["a", "b", "c", "d", "e"];
    for name in names {
        deploy(&pool, name, FakeScript::new(), &one_at_a_time());
    }
    let held: Vec<_> = (0..4).map(|depth| hold(&pool, names[depth as usize], depth)).collect();
    assert_eq!(nested(&pool, "e", 4, Does::Echo(7)).answer(), Ok(7));
    assert_eq!(pool.stats().threads.alive, 5, "one for each call");
    release(&pool, held);
}

#[test]
fn a_worker_that_calls_itself_has_room_for_each_depth() {
    for policy in [Policy::PerWorker, Policy::PerRequest] {
        let pool = pool(1);
        let options = one_at_a_time().policy(policy).workers_max(1);
        deploy(&pool, "a", FakeScript::new(), &options);
        let held: Vec<_> = (0..3).map(|depth| hold(&pool, "a", depth)).collect();
        let waits = send(&pool, "a", Does::Echo(1));
        assert_eq!(nested(&pool, "a", 3, Does::Echo(7)).answer(), Ok(7));
        assert_eq!(pool.stats().scripts["a"].queued, 1, "one from outside waits for room");
        release(&pool, held);
        assert_eq!(waits.answer(), Ok(1));
    }
}

#[test]
fn nested_events_come_first_the_deepest_before_others() {
    let pool = pool(1);
    deploy(&pool, "a", FakeScript::new(), &one_at_a_time());
    let held = vec![hold(&pool, "a", 0), hold(&pool, "a", 1), hold(&pool, "a", 2)];
    let order = [(0, 1), (1, 2), (2, 3), (1, 4), (2, 5)];
    let (tell, told) = flume::bounded(order.len());
    let waiting: Vec<_> = order
        .map(|(depth, number)| (number, nested(&pool, "a", depth, Does::Echo(number))))
        .into();
    std::thread::scope(|scope| {
        for (number, sent) in waiting {
            let tell = tell.clone();
            scope.spawn(move || {
                sent.answer().expect("an answer");
                tell.send(number).expect("a receiver");
            });
        }
        assert_eq!(pool.stats().scripts["a"].queued, 5);
        let mut held = held;
        let next = || told.recv_timeout(LONG).expect("an answer");
        // The place of the deepest event goes to an event of the same depth; shallower ones wait.
        drop(held.pop());
        let mut deepest = [next(), next()];
        deepest.sort_unstable();
        assert_eq!(deepest, [3, 5]);
        drop(held.pop());
        let mut above = [next(), next()];
        above.sort_unstable();
        assert_eq!(above, [2, 4]);
        drop(held);
        assert_eq!(next(), 1);
    });
    assert_settled(&pool);
}

#[test]
fn an_extra_thread_is_for_nested_events_only() {
    let pool = pool(1);
    let scripts = ["a", "b", "c"].map(|name| deploy(&pool, name, FakeScript::new(), &Options::default()));
    let held = vec![hold(&pool, "a", 0)];
    assert_eq!(nested(&pool, "b", 1, Does::Echo(7)).answer(), Ok(7));
    until(|| pool.stats().threads.busy == 1);
    // The idle worker on the extra thread is not displaced for an event from outside, which waits for the ordinary thread.
    let outside = send(&pool, "c", Does::Echo(1));
    assert_eq!(nested(&pool, "b", 1, Does::Echo(8)).answer(), Ok(8));
    assert_eq!((scripts[1].boots(), pool.stats().scripts["c"].queued), (1, 1));
    release(&pool, held);
    assert_eq!(outside.answer(), Ok(1));
    assert_settled(&pool);
}

#[test]
fn a_nested_event_does_not_wait_for_its_callers() {
    let pool = pool(1);
    for name in ["a", "b", "c"] {
        deploy(&pool, name, FakeScript::new(), &Options::default());
    }
    let caller = hold(&pool, "a", 0);
    let callee = hold(&pool, "b", 1);
    // The extra thread holds only events of this depth, which will end.
    let waits = nested(&pool, "c", 1, Does::Echo(7));
    until(|| pool.stats().scripts["c"].queued == 1);
    drop(callee.0);
    assert_eq!((callee.1.answer(), waits.answer()), (Ok(0), Ok(7)));
    until(|| pool.stats().scripts["c"].in_flight == 0);
    // If the worker holds an event from outside, which may wait for this one, it is refused at once.
    let callee = hold(&pool, "c", 1);
    let outside = hold(&pool, "c", 0);
    let refused = try_nested(&pool, "b", 1, Does::Echo(7))
        .err()
        .expect("no thread is left");
    assert!(matches!(refused, RejectReason::ThreadsOccupied { .. }), "{refused}");
    assert!(refused.retry_after().is_some_and(|after| after > Duration::ZERO));
    release(&pool, vec![callee, outside, caller]);
}

#[test]
fn a_drain_accepts_nested_events() {
    let pool = pool(1);
    for name in ["a", "b"] {
        deploy(&pool, name, FakeScript::new(), &Options::default());
    }
    let held = hold(&pool, "a", 0);
    let draining = {
        let pool = pool.clone();
        std::thread::spawn(move || pool.drain_blocking(LONG))
    };
    until(|| pool.health().is_err());
    assert_eq!(
        try_send(&pool, "b", Does::Echo(1), Meta::default()).err(),
        Some(RejectReason::ShuttingDown)
    );
    assert_eq!(nested(&pool, "b", 1, Does::Echo(7)).answer(), Ok(7));
    drop(held.0);
    assert_eq!(held.1.answer(), Ok(0));
    let report = draining.join().expect("a report");
    assert_eq!(report.cut, 0);
    assert_eq!(
        try_nested(&pool, "b", 1, Does::Echo(1)).err(),
        Some(RejectReason::ShuttingDown)
    );
}

#[test]
fn an_event_that_is_too_deep_is_refused() {
    let pool = builder(1).depth_max(2).build().expect("threads");
    deploy(&pool, "a", FakeScript::new(), &Options::default());
    assert_eq!(nested(&pool, "a", 2, Does::Echo(7)).answer(), Ok(7));
    let refused = try_nested(&pool, "a", 3, Does::Echo(7)).err();
    assert_eq!(refused, Some(RejectReason::TooDeep { depth: 3, max: 2 }));
}
