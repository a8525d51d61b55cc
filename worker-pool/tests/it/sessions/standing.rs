//! Standing events.

use super::*;

#[test]
fn an_event_lasts_as_long_as_its_session_and_is_no_load() {
    let pool = pool(1);
    let options = one_at_a_time()
        .wall_timeout(SHORT * 15)
        .wait_until_timeout(SHORT * 15)
        .stream_timeout(SHORT * 15)
        .sessions(SessionLimits::default().events(1));
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    let open: Vec<_> = (0..100).map(|_| open(&pool, "s")).collect();
    let stands: Vec<_> = open.iter().map(stand).collect();
    let began = Instant::now();
    for (_, sent) in &stands {
        assert_eq!(sent.reply.recv_timeout(LONG).expect("an answer").ok(), Some(0));
    }
    until(|| began.elapsed() > SHORT * 40);
    assert_eq!(call(&pool, "s", Does::Echo(1)), Ok(1));
    assert!(
        open.iter()
            .all(|session| send(session, Does::Echo(1)).answer() == Ok(1))
    );
    // The answer arrives before its event has ended.
    until(|| pool.stats().open == 100);
    assert_eq!(script.boots(), 1);
    let (releases, sent): (Vec<_>, Vec<_>) = stands.into_iter().unzip();
    sent.into_iter().for_each(|sent| sent.ticket.detach());
    drop(releases);
    assert_settled(&pool);
    assert_eq!(pool.stats().outcomes["ok"], 201);
}

#[test]
fn after_its_session_the_wait_until_limit_applies() {
    let pool = pool(1);
    deploy(
        &pool,
        "s",
        FakeScript::new(),
        &Options::default().wait_until_timeout(SHORT),
    );
    let session = open(&pool, "s");
    let (_release, sent) = stand(&session);
    assert_eq!(worker(&session), worker(&session));
    sent.ticket.detach();
    drop(session);
    until(|| pool.stats().outcomes["exceeded_wall"] == 1);
    until(|| sessions(&pool, "s") == 0);
    assert_settled(&pool);
}

#[test]
fn it_is_canceled_when_its_caller_leaves() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let session = open(&pool, "s");
    let (_release, sent) = stand(&session);
    sent.reply.recv_timeout(LONG).expect("an answer").expect("zero");
    drop(sent);
    until(|| pool.stats().outcomes["canceled"] == 1);
    assert!(!session.is_gone());
}

#[test]
fn without_a_session_a_standing_event_is_wait_until_work() {
    let pool = pool(1);
    deploy(
        &pool,
        "s",
        FakeScript::new(),
        &Options::default().wait_until_timeout(SHORT),
    );
    let (_release, until) = flume::bounded(1);
    crate::common::send(&pool, "s", Does::Stand(until)).ticket.detach();
    crate::common::until(|| pool.stats().outcomes["exceeded_wall"] == 1);
}
