//! Sessions and workers with the maximum number of events.

use super::*;

#[test]
fn a_full_session_returns_events_until_it_has_room() {
    let pool = pool(1);
    deploy(
        &pool,
        "s",
        FakeScript::new(),
        &limits(SessionLimits::default().events(2)),
    );
    let (session, other) = (open(&pool, "s"), open(&pool, "s"));
    let (release, until) = flume::bounded(1);
    let held = [send(&session, Does::Wait(until)), send(&session, Does::Never)];
    let (call, _reply) = Call::echo(7);
    let rejected = session.dispatch(call, Meta::default()).expect_err("full");
    assert!(
        matches!(rejected.reason, RejectReason::SessionFull { max: 2, .. }),
        "{rejected}"
    );
    assert_eq!(send(&other, Does::Echo(1)).answer(), Ok(1));
    std::thread::scope(|scope| {
        let ready = scope.spawn(|| pollster::block_on(session.ready()));
        drop(release);
        ready.join().expect("no panic");
    });
    let _sent = session.dispatch(rejected.event, Meta::default()).expect("room");
    drop(held);
}

#[test]
fn a_full_worker_accepts_events_again_at_half() {
    let pool = pool(1);
    let options = limits(SessionLimits::default().events_per_worker(4)).concurrency(1);
    deploy(&pool, "s", FakeScript::new(), &options);
    let (crowd, other) = (placed(&pool, "s"), placed(&pool, "s"));
    assert_settled(&pool);
    let held: Vec<_> = (0..4).map(|_| send(&crowd, Does::Never)).collect();
    let refused = try_send(&other, Does::Echo(1)).map(|_| ()).expect_err("crowded");
    assert!(matches!(refused, RejectReason::SessionFull { max: 4, .. }), "{refused}");
    std::thread::scope(|scope| {
        let ready = scope.spawn(|| pollster::block_on(other.ready()));
        drop(held);
        ready.join().expect("no panic");
    });
    assert_eq!(send(&other, Does::Echo(1)).answer(), Ok(1));
    assert_settled(&pool);
}

#[test]
fn waiting_for_room_ends_with_its_session() {
    let pool = pool(1);
    let script = deploy(
        &pool,
        "s",
        FakeScript::new(),
        &limits(SessionLimits::default().events(1)),
    );
    let session = open(&pool, "s");
    let held = send(&session, Does::Never);
    std::thread::scope(|scope| {
        let ready = scope.spawn(|| pollster::block_on(session.ready()));
        until(|| script.alive() == 1);
        let _ = call(&pool, "s", Does::Condemn(Outcome::ExceededMemory));
        ready.join().expect("no panic");
    });
    assert_eq!(held.answer(), Err(Outcome::ExceededMemory));
    assert_gone(&session, RetireReason::Condemned);
}
