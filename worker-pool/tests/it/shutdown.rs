//! Drain and shutdown of a pool, and their reports.

use std::time::{Duration, Instant};

use crate::common::{LONG, assert_settled, builder, call, deploy, hold, one_at_a_time, pool, send, try_send, until};
use futures::executor::block_on;
use isopod_pool::fake::{Boot, Does, FakeScript};
use isopod_pool::{DeployError, Meta, Options, Outcome, RejectReason};

#[test]
fn a_drain_finishes_running_and_queued_events() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &one_at_a_time());
    let (open, held) = hold(&pool, "s");
    let queued = send(&pool, "s", Does::Echo(2));
    let draining = {
        let pool = pool.clone();
        std::thread::spawn(move || block_on(pool.drain(LONG)))
    };
    let late = std::cell::RefCell::new(Vec::new());
    until(|| match try_send(&pool, "s", Does::Echo(3), Meta::default()) {
        Ok(sent) => {
            late.borrow_mut().push(sent);
            false
        }
        Err(reason) => reason == RejectReason::ShuttingDown,
    });
    let refused = pool.deploy("t", std::sync::Arc::new(FakeScript::new()), &Options::default());
    assert_eq!(refused, Err(DeployError::ShuttingDown));
    drop(open);
    let report = draining.join().expect("no panic");
    assert_eq!(
        (report.finished, report.cut, report.threads_joined),
        (2 + late.borrow().len(), 0, 0)
    );
    assert_eq!((held.answer(), queued.answer()), (Ok(0), Ok(2)));
    late.into_inner()
        .into_iter()
        .for_each(|sent| assert_eq!(sent.answer(), Ok(3)));
    assert_eq!(script.alive(), 1);
    assert_eq!(pool.shutdown_blocking(LONG).threads_joined, 1);
    assert_eq!(script.alive(), 0);
}

#[test]
fn a_shutdown_cuts_and_counts_late_events() {
    let pool = pool(2);
    let options = Options::default().concurrency(2).workers_max(1);
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    let sent: Vec<_> = (0..5).map(|_| send(&pool, "s", Does::Never)).collect();
    until(|| script.alive() == 1);
    let report = pool.shutdown_blocking(Duration::from_millis(10));
    assert_eq!(
        (report.finished, report.cut, report.threads_joined, report.threads_stuck),
        (0, 5, 2, 0)
    );
    sent.into_iter()
        .for_each(|sent| assert_eq!(sent.answer(), Err(Outcome::Canceled)));
    assert_settled(&pool);
}

#[test]
fn a_stuck_thread_is_reported_and_not_awaited() {
    let pool = builder(2)
        .stop_grace(Duration::from_millis(20))
        .build()
        .expect("threads");
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let spins = send(&pool, "s", Does::Spin(Duration::from_millis(400)));
    until(|| pool.stats().threads.busy == 1);
    let start = Instant::now();
    let report = pool.shutdown_blocking(Duration::ZERO);
    assert_eq!((report.cut, report.threads_joined, report.threads_stuck), (1, 1, 1));
    assert!(start.elapsed() < Duration::from_millis(400));
    // The thread ends eventually and is joined then. The caller does not wait for that.
    let lost = block_on(std::future::poll_fn(|cx| spins.ticket.poll_lost(cx)));
    assert_eq!(lost.outcome, Outcome::Canceled);
    until(|| pool.stats().threads.alive == 0);
}

#[test]
fn a_second_shutdown_can_shorten_the_first() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let never = send(&pool, "s", Does::Never);
    let patient = {
        let pool = pool.clone();
        std::thread::spawn(move || pool.shutdown_blocking(Duration::MAX))
    };
    until(|| try_send(&pool, "s", Does::Echo(1), Meta::default()).is_err());
    let report = block_on(pool.shutdown(Duration::ZERO));
    assert_eq!((report.cut, report.threads_joined), (1, 1));
    assert_eq!(patient.join().expect("no panic"), report);
    assert_eq!(never.answer(), Err(Outcome::Canceled));
    assert_eq!(pool.shutdown_blocking(LONG), report);
    assert_eq!(block_on(pool.drain(LONG)).cut, 1);
}

#[test]
fn a_hanging_boot_does_not_delay_a_shutdown() {
    let pool = pool(1);
    let script = deploy(
        &pool,
        "s",
        FakeScript::new().boot(Boot::Hangs),
        &Options::default().workers_min(1),
    );
    until(|| script.boots() == 1);
    let report = pool.shutdown_blocking(LONG);
    assert_eq!((report.cut, report.threads_joined), (0, 1));
}

#[test]
fn a_cut_cancels_events_behind_a_panic() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, "s", Does::Echo(0)), Ok(0));
    until(|| pool.stats().open == 0);
    let spins = send(&pool, "s", Does::Spin(Duration::from_millis(50)));
    until(|| pool.stats().threads.busy == 1);
    let panics = send(&pool, "s", Does::Panic);
    let behind: Vec<_> = (0..3).map(|n| send(&pool, "s", Does::Echo(n))).collect();
    let report = pool.shutdown_blocking(Duration::ZERO);
    assert_eq!((report.cut, report.threads_stuck), (5, 0));
    // The worker may read the events one by one or together; each is answered either way.
    assert!(panics.answer().is_err());
    behind.into_iter().chain([spins]).for_each(|sent| _ = sent.answer());
    assert_settled(&pool);
}
