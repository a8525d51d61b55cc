//! Workers that must end notify their sessions.

use super::*;

#[test]
fn a_new_version_gets_the_next_session_while_the_old_one_says_goodbye() {
    let pool = pool(2);
    deploy(&pool, "s", FakeScript::new().version(1), &with_grace(LONG));
    let old = placed(&pool, "s");
    deploy(&pool, "s", FakeScript::new().version(2), &with_grace(LONG));
    assert_eq!(closing(&old), RetireReason::Replaced);
    let new = open(&pool, "s");
    assert_eq!(send(&new, Does::Version).answer(), Ok(2));
    assert_eq!(send(&old, Does::Version).answer(), Ok(1));
    drop(old);
    until(|| retired(&pool, "s", "replaced") == 1);
    assert!(!new.is_gone());
}

#[test]
fn after_its_grace_a_session_is_gone_and_its_events_are_canceled() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &with_grace(SHORT));
    let session = pool.open_keyed_session("s", "k").expect("room");
    let held = send(&session, Does::Never);
    // An event without a session finishes as usual.
    let (release, other) = hold(&pool, "s");
    until(|| script.alive() == 1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    assert_eq!(held.answer(), Err(Outcome::Canceled));
    assert_gone(&session, RetireReason::Replaced);
    assert_eq!(script.alive(), 1);
    drop(release);
    assert_eq!(other.answer(), Ok(0));
    until(|| script.alive() == 0);
    let next = pool.open_keyed_session("s", "k").expect("the key is free");
    assert_ne!(next.id(), session.id());
    assert_settled(&pool);
}

#[test]
fn a_recycled_worker_notifies_its_sessions() {
    let recycles = [
        (Recycle::default().age(SHORT), RetireReason::Age),
        (Recycle::default().memory_bytes(1000), RetireReason::Memory),
        (Recycle::default().events(3), RetireReason::Events),
    ];
    for (recycle, reason) in recycles {
        let pool = pool(1);
        let script = FakeScript::new().memory_bytes(2000);
        let script = deploy(&pool, "s", script, &with_grace(LONG).recycle(recycle));
        let session = placed(&pool, "s");
        if reason == RetireReason::Events {
            (0..2).for_each(|_| _ = worker(&session));
        }
        assert_eq!(super::closing(&session), reason);
        let pinned = worker(&session);
        assert_eq!((worker(&session), script.boots()), (pinned, 1));
        drop(session);
        until(|| script.alive() == 0);
        assert_eq!(retired(&pool, "s", reason.as_str()), 1);
    }
}

#[test]
fn an_undeployed_script_finishes_its_sessions() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &with_grace(LONG));
    let (session, unplaced) = (placed(&pool, "s"), open(&pool, "s"));
    assert!(pool.undeploy("s"));
    assert_eq!(closing(&session), RetireReason::Undeployed);
    assert_gone(&unplaced, RetireReason::Undeployed);
    assert_eq!(send(&session, Does::Echo(1)).answer(), Ok(1));
    drop(session);
    until(|| script.alive() == 0 && pool.stats().scripts.is_empty());
}

#[test]
fn nearly_full_memory_ends_idle_workers_before_sessions() {
    let pool = builder(3).memory_bytes_max(1000).build().expect("threads");
    let heavy = || FakeScript::new().memory_bytes(480);
    deploy(&pool, "s", heavy(), &with_grace(LONG));
    deploy(&pool, "idle", heavy(), &Options::default());
    assert_eq!(call(&pool, "idle", Does::Echo(1)), Ok(1));
    // The answer may come before the end of the event.
    until(|| pool.stats().threads.busy == 0);
    // The workers hold 960 of 1000 bytes then, so one must end.
    let session = placed(&pool, "s");
    until(|| retired(&pool, "idle", "pressure") == 1);
    assert_eq!(worker(&session), worker(&session));
    deploy(&pool, "t", heavy(), &with_grace(LONG));
    let second = placed(&pool, "t");
    // The longest idle one.
    let told = |session: &Session| session.closing().now_or_never().map(|closing| closing.reason);
    until(|| told(&session).or_else(|| told(&second)) == Some(RetireReason::Pressure));
    assert!(told(&session).is_none() || told(&second).is_none());
}
