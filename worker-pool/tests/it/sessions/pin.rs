//! A worker that stays for its sessions.

use super::*;

#[test]
fn a_worker_with_a_session_is_not_idle() {
    let pool = builder(1).idle_timeout(SHORT).build().expect("threads");
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let session = placed(&pool, "s");
    let pinned = worker(&session);
    // Longer than the timeout, as measured by a timer of the same length.
    let waited = Instant::now();
    until(|| waited.elapsed() > SHORT * 3);
    assert_eq!(worker(&session), pinned);
    drop(session);
    until(|| retired(&pool, "s", "idle") == 1);
}

#[test]
fn a_single_event_worker_stays_for_its_session() {
    let pool = pool(2);
    let options = Options::default().policy(Policy::PerRequest);
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    let session = placed(&pool, "s");
    let pinned = worker(&session);
    // Other events go elsewhere.
    assert_ne!(call(&pool, "s", Does::WorkerId), Ok(pinned));
    let (release, first) = hold_session(&session);
    assert_eq!(worker(&session), pinned);
    drop((release, session));
    assert_eq!(first.answer(), Ok(0));
    until(|| script.alive() == 0);
    assert_eq!(retired(&pool, "s", "policy"), 2);
}

fn hold_session(session: &Session) -> (flume::Sender<()>, Sent) {
    let (release, until) = flume::bounded(1);
    (release, send(session, Does::Wait(until)))
}

#[test]
fn a_oneshot_script_stays_until_its_session_ends() {
    let pool = pool(1);
    let options = Options::default().policy(Policy::Oneshot);
    let script = deploy(&pool, "s", FakeScript::new(), &options);
    let session = placed(&pool, "s");
    assert_eq!(send(&session, Does::Echo(2)).answer(), Ok(2));
    assert!(!session.is_gone() && pool.stats().scripts.contains_key("s"));
    drop(session);
    until(|| script.alive() == 0 && pool.stats().scripts.is_empty());
}

#[test]
fn an_event_outlives_the_last_handle_and_keeps_the_key() {
    let pool = pool(2);
    deploy(&pool, "s", FakeScript::new(), &one_at_a_time());
    let session = pool.open_keyed_session("s", "k").expect("room");
    let (release, sent) = hold_session(&session);
    let pinned = worker(&session);
    drop(session);
    let again = pool.open_keyed_session("s", "k").expect("still there");
    assert_eq!(worker(&again), pinned);
    drop((again, release));
    assert_eq!(sent.answer(), Ok(0));
    until(|| sessions(&pool, "s") == 0);
}
