//! Scripts that need the threads of workers with sessions.

use super::*;

#[test]
fn a_script_gets_the_thread_of_released_sessions() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &with_grace(LONG));
    deploy(&pool, "t", FakeScript::new(), &Options::default());
    let session = placed(&pool, "s");
    let waits = crate::common::send(&pool, "t", Does::Echo(1));
    assert_eq!(closing(&session), RetireReason::Displaced);
    assert_eq!(worker(&session), worker(&session));
    drop(session);
    assert_eq!(waits.answer(), Ok(1));
}

#[test]
fn a_holder_that_does_not_let_go_keeps_others_waiting_for_its_grace_at_most() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &with_grace(SHORT));
    deploy(&pool, "t", FakeScript::new(), &Options::default());
    let session = placed(&pool, "s");
    let (_release, standing) = stand(&session);
    assert_eq!(call(&pool, "t", Does::Echo(1)), Ok(1));
    assert_gone(&session, RetireReason::Displaced);
    standing.ticket.detach();
    assert_settled(&pool);
}

#[test]
fn workers_without_sessions_are_ended_first() {
    let pool = pool(2);
    deploy(&pool, "s", FakeScript::new(), &with_grace(LONG));
    for name in ["t", "u"] {
        deploy(&pool, name, FakeScript::new(), &Options::default());
    }
    let session = placed(&pool, "s");
    for round in 0..10 {
        assert_eq!(call(&pool, ["t", "u"][round % 2], Does::Echo(1)), Ok(1));
    }
    let pinned = worker(&session);
    assert_eq!((worker(&session), retired(&pool, "s", "displaced")), (pinned, 0));
}
