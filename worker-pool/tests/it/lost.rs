//! Workers that panic lose their running events, but no waiting ones, and leave nothing behind.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::common::{LONG, Pool, Sent, assert_settled, builder, call, deploy, pool, send, until};
use isopod_pool::fake::{Boot, Does, FakeScript};
use isopod_pool::{Options, Outcome, PoolEvent};

// row 23
#[test]
fn a_panic_loses_running_events_and_moves_queued_ones() {
    let respawned = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&respawned);
    let pool = builder(2)
        .on(move |event| {
            counted.fetch_add(
                usize::from(matches!(event, PoolEvent::ThreadRespawned { .. })),
                Ordering::SeqCst,
            );
        })
        .build()
        .expect("threads");
    let options = Options::default().concurrency(2).workers_max(1);
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    let held = send(&pool, "s", Does::Never);
    until(|| script.alive() == 1);
    let panics = send(&pool, "s", Does::Panic);
    let waits: Vec<_> = (0..5).map(|n| send(&pool, "s", Does::Echo(n))).collect();
    assert_eq!(
        (held.answer(), panics.answer()),
        (Err(Outcome::WorkerLost), Err(Outcome::WorkerLost))
    );
    let answers: Vec<_> = waits.into_iter().map(|sent| sent.answer()).collect();
    // Events behind the panic in the same mailbox have not begun, and return to the queue.
    assert_eq!(answers, (0..5).map(Ok).collect::<Vec<_>>());
    until(|| respawned.load(Ordering::SeqCst) == 1 && pool.stats().threads.alive == 2);
    assert_eq!(pool.stats().threads.lost, 1);
    assert_settled(&pool);
    assert_eq!(pool.shutdown_blocking(LONG).threads_stuck, 0);
}

// row 23
#[test]
fn a_panicking_boot_fails_its_events_and_its_thread_is_replaced() {
    let pool = pool(1);
    deploy(
        &pool,
        "broken",
        FakeScript::new().boot(Boot::Panics),
        &Options::default(),
    );
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, "broken", Does::Echo(1)), Err(Outcome::BootFailed));
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
}

#[test]
fn all_events_of_a_condemned_worker_get_its_outcome() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    let held = send(&pool, "s", Does::Never);
    let condemns = send(&pool, "s", Does::Condemn(Outcome::ExceededMemory));
    assert_eq!(
        (held.answer(), condemns.answer()),
        (Err(Outcome::ExceededMemory), Err(Outcome::ExceededMemory))
    );
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    assert_eq!((script.boots(), pool.stats().threads.lost), (2, 0));
}

#[test]
fn tasks_that_a_worker_left_behind_die_with_it() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    (0..3).for_each(|_| assert_eq!(call(&pool, "s", Does::Spawn), Ok(0)));
    assert_eq!((script.leftovers(), script.alive()), (3, 1));
    pool.undeploy("s");
    until(|| script.leftovers() == 0 && script.alive() == 0);
}

#[test]
fn a_worker_that_ignores_a_cancellation_is_dropped() {
    let pool = builder(1)
        .cancel_grace(Duration::from_millis(10))
        .build()
        .expect("threads");
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    let (stubborn, other) = (send(&pool, "s", Does::Stubborn), send(&pool, "s", Does::Never));
    until(|| script.alive() == 1);
    drop(stubborn.ticket);
    let answer = stubborn.reply.recv_timeout(LONG).expect("an answer");
    assert_eq!(answer.expect_err("lost").outcome, Outcome::WorkerLost);
    assert_eq!(other.answer(), Err(Outcome::WorkerLost));
    until(|| script.alive() == 0);
    assert_settled(&pool);
}

/// A worker that is to be condemned once the sender is dropped, and the event that has it condemned.
fn condemning(pool: &Pool) -> (flume::Sender<()>, Sent) {
    let (open, gate) = flume::bounded(1);
    (open, send(pool, "s", Does::Condemning(gate, Outcome::ExceededMemory)))
}

#[test]
fn a_condemned_worker_gives_back_unbegun_events() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    let (open, condemns) = condemning(&pool);
    let behind: Vec<_> = (0..5).map(|n| send(&pool, "s", Does::Echo(n))).collect();
    until(|| pool.stats().scripts["s"].in_flight == 6);
    drop(open);
    let answers: Vec<_> = behind.into_iter().map(Sent::answer).collect();
    assert_eq!(answers, (0..5).map(Ok).collect::<Vec<_>>());
    assert_eq!(condemns.answer(), Err(Outcome::ExceededMemory));
    assert_eq!((script.boots(), pool.stats().threads.lost), (2, 0));
    assert_settled(&pool);
}

#[test]
fn an_event_before_which_one_worker_after_another_is_lost_ends() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    let loses = send(&pool, "s", Does::Lose);
    assert_eq!(loses.answer(), Err(Outcome::WorkerLost));
    assert_eq!(script.boots(), 4);
    assert_eq!(send(&pool, "s", Does::Echo(1)).answer(), Ok(1));
    assert_settled(&pool);
}

#[test]
fn a_canceled_event_that_is_given_back_ends() {
    let pool = builder(1).cancel_grace(LONG).build().expect("threads");
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    let (open, condemns) = condemning(&pool);
    let behind = send(&pool, "s", Does::WorkerId);
    until(|| pool.stats().scripts["s"].in_flight == 2);
    drop(behind.ticket);
    drop(open);
    let answer = behind.reply.recv_timeout(LONG).expect("an answer");
    assert_eq!(answer.expect_err("canceled").outcome, Outcome::Canceled);
    assert_eq!(condemns.answer(), Err(Outcome::ExceededMemory));
    assert_eq!(pool.stats().scripts["s"].outcomes["canceled"], 1);
    until(|| script.alive() == 0);
    assert_settled(&pool);
}
