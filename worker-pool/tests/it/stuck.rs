//! Stuck threads are detected, their events ended, and the threads replaced up to a limit.

use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{LONG, Pool, Sent, assert_settled, builder, call, deploy, send, try_send, until};
use futures::executor::block_on;
use isopod_pool::fake::{Boot, Does, FakeScript};
use isopod_pool::{Failure, Meta, Options, Outcome, PoolEvent, Unhealthy};

const SHORT: Duration = Duration::from_millis(20);

/// Builds a pool with one initial thread and short limits for the loss of threads.
fn pool(lost_threads_max: usize) -> Pool {
    builder(1)
        .lost_grace(SHORT)
        .lost_threads_max(lost_threads_max)
        .stop_grace(SHORT)
        .build()
        .expect("threads")
}

/// Returns options with a short timeout that still lets an event begin on a busy machine, because only an event that has
/// begun blocks its thread.
fn hurried() -> Options {
    Options::default().wall_timeout(SHORT * 20)
}

/// Dispatches an event that blocks its thread until the sender is dropped.
fn block(pool: &Pool, name: &str) -> (flume::Sender<()>, Sent) {
    let (open, gate) = flume::bounded(1);
    (open, send(pool, name, Does::Block(gate)))
}

fn given_up(sent: &Sent) -> Failure {
    block_on(poll_fn(|cx| sent.ticket.poll_lost(cx)))
}

#[test]
fn a_stuck_thread_is_replaced_and_ends_when_it_returns() {
    let returned = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&returned);
    let pool = builder(1)
        .lost_grace(SHORT)
        .on(move |event| {
            counted.fetch_add(
                usize::from(matches!(event, PoolEvent::ThreadReturned { .. })),
                Ordering::SeqCst,
            );
        })
        .build()
        .expect("threads");
    let script = deploy(&pool, "s", FakeScript::new(), &hurried());
    let (open, blocked) = block(&pool, "s");
    assert_eq!(given_up(&blocked).outcome, Outcome::ExceededWall);
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    let threads = pool.stats().threads;
    assert_eq!((threads.lost, threads.stuck, threads.alive), (1, 1, 1));
    assert_eq!(pool.health(), Ok(()));
    assert_settled(&pool);
    drop(open);
    until(|| returned.load(Ordering::SeqCst) == 1 && pool.stats().threads.stuck == 0);
    // Its answer came too late, and its worker is gone.
    until(|| script.alive() == 1);
    assert_settled(&pool);
    assert_eq!(pool.stats().outcomes["exceeded_wall"], 1);
    assert_eq!(pool.shutdown_blocking(LONG).threads_stuck, 0);
}

#[test]
fn the_stopped_event_is_blamed_and_unbegun_ones_move() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let neighbour = send(&pool, "s", Does::Never);
    until(|| pool.stats().scripts["s"].in_flight == 1);
    let (open, gate) = flume::bounded(1);
    let blocked = send(&pool, "s", Does::BlockStopped(gate, Outcome::ExceededCpu));
    let waits: Vec<_> = (0..5).map(|n| send(&pool, "s", Does::Echo(n))).collect();
    assert_eq!(given_up(&blocked).outcome, Outcome::ExceededCpu);
    let lost = given_up(&neighbour);
    assert_eq!(lost.outcome, Outcome::WorkerLost);
    assert!(lost.retry_after.is_some(), "{lost:?}");
    let answers: Vec<_> = waits.into_iter().map(Sent::answer).collect();
    assert_eq!(answers, (0..5).map(Ok).collect::<Vec<_>>());
    assert_settled(&pool);
    drop(open);
    until(|| pool.stats().threads.stuck == 0);
    assert_settled(&pool);
}

#[test]
fn with_stopping_other_events_end_without_losing_the_thread() {
    let pool = builder(1)
        .lost_grace(SHORT)
        .wall_grace(Duration::from_millis(5))
        .build()
        .expect("threads");
    deploy(&pool, "s", FakeScript::new().stops_code(), &Options::default());
    let soon = || Meta::default().deadline(Instant::now() + SHORT);
    let waits = try_send(&pool, "s", Does::Never, soon()).expect("room");
    until(|| pool.stats().scripts["s"].in_flight == 1);
    // Its own limit, 30 s, has not passed.
    let (open, blocked) = block(&pool, "s");
    let unread = try_send(&pool, "s", Does::Echo(1), soon()).expect("room");
    let patient = send(&pool, "s", Does::Echo(2));
    assert_eq!(given_up(&waits).outcome, Outcome::ExceededWall);
    assert_eq!(unread.answer(), Err(Outcome::ExceededWall));
    assert!(blocked.reply.is_empty() && patient.reply.is_empty());
    drop(open);
    assert_eq!((blocked.answer(), patient.answer()), (Ok(0), Ok(2)));
    assert_settled(&pool);
    let stats = pool.stats();
    assert_eq!((stats.threads.lost, stats.outcomes["exceeded_wall"]), (0, 2));
}

#[test]
fn with_stopping_a_stuck_thread_is_still_lost() {
    let pool = builder(1)
        .lost_grace(SHORT)
        .wall_grace(Duration::from_millis(5))
        .build()
        .expect("threads");
    deploy(&pool, "s", FakeScript::new().stops_code(), &hurried());
    let (open, blocked) = block(&pool, "s");
    assert_eq!(given_up(&blocked).outcome, Outcome::ExceededWall);
    until(|| pool.stats().threads.lost == 1);
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    assert_settled(&pool);
    drop(open);
    until(|| pool.stats().threads.stuck == 0);
    assert_settled(&pool);
}

#[test]
fn a_worker_being_dropped_is_not_lost() {
    let pool = builder(2).lost_grace(SHORT).build().expect("threads");
    let (dropped, until_then) = flume::bounded::<()>(1);
    let options = Options::default().workers_max(1);
    deploy(&pool, "s", FakeScript::new().drop_blocks(until_then), &options);
    let (open, gate) = flume::bounded(1);
    let told = send(&pool, "s", Does::BlockStopped(gate, Outcome::ExceededCpu));
    until(|| pool.stats().scripts["s"].in_flight == 1);
    let condemned = send(&pool, "s", Does::Condemn(Outcome::ExceededCpu));
    let unbegun = send(&pool, "s", Does::Echo(1));
    drop(open);
    assert_eq!(told.answer(), Ok(0));
    assert_eq!(condemned.answer(), Err(Outcome::ExceededCpu));
    assert_eq!(unbegun.answer(), Ok(1));
    // Longer than the grace after the stop, because the worker is still being dropped.
    assert_eq!(call(&pool, "s", Does::Spin(SHORT * 2)), Ok(0));
    assert_eq!(pool.stats().threads.lost, 0);
    drop(dropped);
    assert_settled(&pool);
}

#[test]
fn a_thread_in_native_code_that_returns_is_not_lost() {
    let pool = builder(2).lost_grace(SHORT).build().expect("threads");
    deploy(&pool, "parses", FakeScript::new().native_max(LONG), &hurried());
    deploy(&pool, "s", FakeScript::new(), &hurried());
    let (parsed, parses) = block(&pool, "parses");
    // This one begins later, and its thread is lost.
    let (open, blocked) = block(&pool, "s");
    assert_eq!(given_up(&blocked).outcome, Outcome::ExceededWall);
    assert_eq!(pool.stats().threads.lost, 1);
    drop((parsed, open));
    until(|| pool.stats().scripts["parses"].in_flight == 0);
    drop(parses);
    assert_eq!(call(&pool, "parses", Does::Echo(1)), Ok(1));
    assert_eq!(pool.stats().threads.lost, 1);
}

#[test]
fn a_blocking_boot_loses_its_thread() {
    let pool = builder(1)
        .boot_timeout(SHORT)
        .lost_grace(SHORT)
        .build()
        .expect("threads");
    let (open, gate) = flume::bounded(1);
    let blocks = FakeScript::new().boot(Boot::Blocks(Arc::new(gate)));
    deploy(&pool, "blocks", blocks, &Options::default());
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, "blocks", Does::Echo(1)), Err(Outcome::BootFailed));
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    drop(open);
    until(|| pool.stats().threads.stuck == 0);
}

#[test]
fn above_the_maximum_of_lost_threads_the_pool_is_not_ready() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &hurried());
    let (first_open, first) = block(&pool, "s");
    assert_eq!(given_up(&first).outcome, Outcome::ExceededWall);
    let (second_open, second) = block(&pool, "s");
    assert_eq!(given_up(&second).outcome, Outcome::ExceededWall);
    let unhealthy = Unhealthy::ThreadsLost {
        stuck: 2,
        replaced_max: 1,
    };
    assert_eq!(pool.health(), Err(unhealthy));
    assert_eq!(pool.stats().threads.alive, 0);
    drop(first_open);
    until(|| pool.health().is_ok());
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    drop(second_open);
    until(|| pool.stats().threads.stuck == 0);
    assert_eq!(pool.stats().threads.alive, 1);
    assert_settled(&pool);
    assert_eq!(pool.shutdown_blocking(LONG).threads_stuck, 0);
}

#[test]
fn returning_lost_threads_leave_no_thread_behind() {
    let pool = builder(2)
        .thread_name("tide")
        .lost_grace(Duration::from_millis(5))
        .build()
        .expect("threads");
    let options = Options::default().wall_timeout(Duration::from_millis(5));
    deploy(&pool, "s", FakeScript::new(), &options);
    for _ in 0..20 {
        let (open, blocked) = block(&pool, "s");
        // On a busy machine the thread may be lost before the event begins, and the caller gets that failure.
        until(|| blocked.ticket.lost().is_some() || !blocked.reply.is_empty());
        drop(open);
        until(|| pool.stats().threads.stuck == 0);
    }
    until(|| crate::common::threads_named("tide").len() <= 3);
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    assert_eq!(pool.shutdown_blocking(LONG).threads_stuck, 0);
}

#[test]
fn a_shutdown_does_not_wait_for_a_stuck_thread() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let (open, blocked) = block(&pool, "s");
    until(|| pool.stats().scripts["s"].in_flight == 1);
    let report = pool.shutdown_blocking(Duration::ZERO);
    assert_eq!((report.cut, report.threads_stuck), (1, 1));
    assert_eq!(given_up(&blocked).outcome, Outcome::Canceled);
    assert_settled(&pool);
    drop(open);
    until(|| pool.shutdown_blocking(LONG).threads_stuck == 0);
}
