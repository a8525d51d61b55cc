//! A drain and a shutdown with sessions.

use super::*;

#[test]
fn a_drain_tells_sessions_first_and_waits_for_them() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let (session, unplaced) = (placed(&pool, "s"), open(&pool, "s"));
    assert_settled(&pool);
    let report = std::thread::scope(|scope| {
        let drain = scope.spawn(|| pool.drain_blocking(LONG));
        assert_eq!(closing(&session), RetireReason::Shutdown);
        assert_gone(&unplaced, RetireReason::Shutdown);
        assert!(matches!(pool.open_session("s"), Err(RejectReason::ShuttingDown)));
        assert_eq!(send(&session, Does::Echo(1)).answer(), Ok(1));
        assert!(!drain.is_finished());
        drop(session);
        drain.join().expect("no panic")
    });
    assert_eq!((report.finished, report.cut, report.sessions_cut), (1, 0, 0));
    assert_eq!(pool.shutdown_blocking(LONG).threads_joined, 1);
    assert_settled(&pool);
}

#[test]
fn a_shutdown_cuts_held_sessions() {
    let pool = pool(2);
    deploy(&pool, "s", FakeScript::new(), &one_at_a_time().spread_at(1));
    let open: Vec<_> = (0..10).map(|_| placed(&pool, "s")).collect();
    let (_release, standing) = stand(&open[0]);
    standing.reply.recv_timeout(LONG).expect("an answer").expect("zero");
    let report = pool.shutdown_blocking(SHORT);
    assert_eq!((report.cut, report.sessions_cut, report.threads_joined), (1, 10, 2));
    for session in &open {
        assert_gone(session, RetireReason::Shutdown);
    }
    standing.ticket.detach();
    assert_settled(&pool);
}

#[test]
fn a_session_does_not_keep_its_pool() {
    let pool = pool(1);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default());
    let session = placed(&pool, "s");
    drop(pool);
    assert_eq!(closing(&session), RetireReason::Shutdown);
    drop(session);
    until(|| script.alive() == 0 && Arc::strong_count(&script) == 1);
}
