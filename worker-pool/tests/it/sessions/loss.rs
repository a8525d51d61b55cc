//! Workers with sessions that end at once.

use super::*;

#[test]
fn the_sessions_of_a_condemned_worker_are_gone() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let session = pool.open_keyed_session("s", "k").expect("room");
    let held = send(&session, Does::Never);
    let condemns = send(&session, Does::Condemn(Outcome::ExceededCpu));
    let condemned = Err(Outcome::ExceededCpu);
    assert_eq!((held.answer(), condemns.answer()), (condemned, condemned));
    assert_gone(&session, RetireReason::Condemned);
    let next = pool.open_keyed_session("s", "k").expect("the key is free");
    assert_eq!(send(&next, Does::Echo(1)).answer(), Ok(1));
    assert_settled(&pool);
}

#[test]
fn the_sessions_of_a_panicking_worker_are_gone() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let session = placed(&pool, "s");
    assert_eq!(send(&session, Does::Panic).answer(), Err(Outcome::WorkerLost));
    assert_gone(&session, RetireReason::Lost);
    assert_settled(&pool);
}

#[test]
fn a_lost_thread_takes_sessions_with_it() {
    let pool = builder(1).lost_grace(SHORT).build().expect("threads");
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let session = placed(&pool, "s");
    let (release, until) = flume::bounded(1);
    let stuck = send(&session, Does::BlockStopped(until, Outcome::ExceededCpu));
    assert_gone(&session, RetireReason::Lost);
    assert_eq!(
        stuck.ticket.lost().map(|failure| failure.outcome),
        Some(Outcome::ExceededCpu)
    );
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    drop((release, stuck));
    assert_settled(&pool);
}

#[test]
fn an_unbegun_session_is_placed_again() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    let (release, gate) = flume::bounded(1);
    let blocks = crate::common::send(&pool, "s", Does::Block(gate));
    until(|| script.alive() == 1);
    let condemns = crate::common::send(&pool, "s", Does::Condemn(Outcome::ExceededMemory));
    let session = open(&pool, "s");
    let behind: Vec<_> = (0..3).map(|n| send(&session, Does::Echo(n))).collect();
    drop(release);
    assert_eq!((blocks.answer(), condemns.answer().is_err()), (Ok(0), true));
    let answers: Vec<_> = behind.into_iter().map(Sent::answer).collect();
    assert_eq!(answers, [Ok(0), Ok(1), Ok(2)]);
    assert!(!session.is_gone());
    assert_eq!((script.boots(), sessions(&pool, "s")), (2, 1));
}
