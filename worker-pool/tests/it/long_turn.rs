//! Long turns: the events behind one go to other workers, if a thread is available.

use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Options, Outcome};

use crate::common::{LONG, Pool, Sent, assert_settled, builder, call, deploy, hold, pool, send, until};

/// Dispatches an event whose code blocks its worker until the sender is dropped, which the engine reports as a long turn.
fn block(pool: &Pool) -> (flume::Sender<()>, Sent) {
    let (open, gate) = flume::bounded(1);
    (open, send(pool, "s", Does::BlockLong(gate)))
}

#[test]
fn events_behind_a_long_turn_are_served_by_another_worker() {
    let pool = builder(2).build().expect("threads");
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    let (open, blocked) = block(&pool);
    // Some events arrive before the engine's report, some after it.
    let behind: Vec<_> = (0..5).map(|n| send(&pool, "s", Does::Echo(n))).collect();
    let answers: Vec<_> = behind.into_iter().map(Sent::answer).collect();
    assert_eq!(answers, (0..5).map(Ok).collect::<Vec<_>>());
    assert_eq!((blocked.reply.is_empty(), script.boots()), (true, 2));
    drop(open);
    assert_eq!(blocked.answer(), Ok(0));
    assert_settled(&pool);
}

#[test]
fn a_worker_whose_long_turn_has_ended_serves_again() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default().workers_max(1));
    let (open, blocked) = block(&pool);
    let behind = send(&pool, "s", Does::Echo(1));
    until(|| pool.stats().scripts["s"].queued == 1);
    drop(open);
    assert_eq!((blocked.answer(), behind.answer()), (Ok(0), Ok(1)));
    assert_eq!((call(&pool, "s", Does::Echo(2)), script.boots()), (Ok(2), 1));
    assert_settled(&pool);
}

// A late report must not make an idle worker refuse events.
#[test]
fn a_late_long_turn_notice_is_harmless() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default().workers_max(1));
    for n in 0..100 {
        let (open, gate) = flume::bounded(1);
        drop(open);
        let brief = send(&pool, "s", Does::BlockLong(gate));
        assert_eq!((call(&pool, "s", Does::Echo(n)), brief.answer()), (Ok(n), Ok(0)));
    }
    assert_eq!(script.boots(), 1);
    assert_settled(&pool);
}

#[test]
fn begun_events_stay_with_their_worker() {
    let pool = builder(2).build().expect("threads");
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let (done, waits) = hold(&pool, "s");
    until(|| pool.stats().scripts["s"].in_flight == 1);
    let (open, blocked) = block(&pool);
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    drop(done);
    assert!(waits.reply.recv_timeout(LONG / 200).is_err());
    drop(open);
    assert_eq!((waits.answer(), blocked.answer()), (Ok(0), Ok(0)));
    assert_settled(&pool);
}

#[test]
fn an_event_that_went_back_to_the_queue_can_be_canceled_there() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default().workers_max(1));
    let (open, blocked) = block(&pool);
    let behind = send(&pool, "s", Does::Echo(1));
    until(|| pool.stats().scripts["s"].queued == 1);
    drop(behind.ticket);
    let answer = behind.reply.recv_timeout(LONG).expect("an answer");
    assert_eq!(answer.expect_err("canceled").outcome, Outcome::Canceled);
    drop(open);
    assert_eq!(blocked.answer(), Ok(0));
    assert_settled(&pool);
}
