//! Concurrency of a worker, and the queue for further events.

use std::cell::RefCell;
use std::time::Duration;

use crate::common::{LONG, assert_settled, call, deploy, hold, one_at_a_time, pool, send, until};
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Options, Pool};

fn script_stats(pool: &Pool<isopod_pool::fake::FakeEngine>) -> (usize, usize) {
    let stats = pool.stats();
    (stats.scripts["s"].in_flight, stats.scripts["s"].queued)
}

#[test]
fn a_worker_interleaves_as_many_events_as_its_script_allows_and_the_others_wait() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default().concurrency(3));
    let (open, gate) = flume::bounded(1);
    let sent: Vec<_> = (0..5).map(|_| send(&pool, "s", Does::Wait(gate.clone()))).collect();
    until(|| script_stats(&pool) == (3, 2));
    drop(open);
    sent.into_iter().for_each(|sent| assert_eq!(sent.answer(), Ok(0)));
    until(|| pool.stats().open == 0);
    assert_eq!(script.boots(), 1);
    assert_settled(&pool);
}

#[test]
fn a_waiting_event_does_not_delay_others_of_its_worker() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let (open, waiting) = hold(&pool, "s");
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    assert!(waiting.reply.is_empty());
    drop(open);
    assert_eq!(waiting.answer(), Ok(0));
}

#[test]
fn a_script_under_load_spreads_over_the_threads() {
    let pool = pool(3);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default().spread_at(2));
    let (open, gate) = flume::bounded(1);
    let sent = RefCell::new(Vec::new());
    // While a worker boots, warm workers take events, so a later event requests the third worker.
    until(|| {
        sent.borrow_mut().push(send(&pool, "s", Does::Wait(gate.clone())));
        script.alive() == 3
    });
    drop(open);
    sent.into_inner()
        .into_iter()
        .for_each(|sent| assert_eq!(sent.answer(), Ok(0)));
}

#[test]
fn more_scripts_than_threads_are_all_served() {
    let pool = pool(2);
    let names: Vec<_> = (0..9).map(|n| format!("s{n}")).collect();
    names
        .iter()
        .for_each(|name| drop(deploy(&pool, name, FakeScript::new(), &Options::default())));
    for round in 0..5 {
        let sent: Vec<_> = names.iter().map(|name| send(&pool, name, Does::Echo(round))).collect();
        sent.into_iter().for_each(|sent| assert_eq!(sent.answer(), Ok(round)));
    }
    assert_eq!(pool.shutdown_blocking(LONG).threads_joined, 2);
    assert_settled(&pool);
}

#[test]
fn a_concurrency_of_one_isolates_events_from_computation() {
    let pool = pool(2);
    let script = deploy(&pool, "s", FakeScript::new(), &one_at_a_time());
    let computes = send(&pool, "s", Does::Spin(Duration::from_secs(1)));
    until(|| pool.stats().scripts["s"].in_flight == 1);
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    assert!(computes.reply.is_empty(), "it computes still");
    assert_eq!((computes.answer(), script.boots()), (Ok(0), 2));
}

#[test]
fn two_overlapping_events_spread_a_script_with_spread_at_1() {
    let pool = pool(2);
    let options = Options::default().spread_at(1);
    deploy(&pool, "s", FakeScript::new(), &options);
    let (open, held) = hold(&pool, "s");
    until(|| pool.stats().scripts["s"].in_flight == 1);
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    // The second event went to the warm worker, and a third need not.
    until(|| pool.stats().scripts["s"].workers == 2);
    let first = call(&pool, "s", Does::WorkerId);
    assert_eq!(first, Ok(2));
    drop(open);
    assert_eq!(held.answer(), Ok(0));
}
