//! Placement of sessions on workers.

use super::*;

#[test]
fn all_events_of_a_session_reach_its_worker_however_busy_it_is() {
    let pool = pool(3);
    deploy(&pool, "s", FakeScript::new(), &one_at_a_time().spread_at(1));
    let session = open(&pool, "s");
    let (release, until) = flume::bounded(1);
    let first = send(&session, Does::Wait(until));
    let pinned = worker(&session);
    assert!((0..20).all(|_| worker(&session) == pinned));
    // Other events go elsewhere, because this worker has one.
    assert_ne!(call(&pool, "s", Does::WorkerId), Ok(pinned));
    drop(release);
    assert_eq!(first.answer(), Ok(0));
    drop(session);
    assert_settled(&pool);
}

#[test]
fn early_events_of_a_session_follow_the_first() {
    let pool = pool(2);
    deploy(&pool, "s", FakeScript::new(), &one_at_a_time().workers_max(2));
    let busy = [hold(&pool, "s"), hold(&pool, "s")];
    let session = open(&pool, "s");
    let waiting: Vec<_> = (0..5).map(|_| send(&session, Does::WorkerId)).collect();
    drop(busy);
    let workers: Vec<_> = waiting
        .into_iter()
        .map(|sent| sent.answer().expect("an answer"))
        .collect();
    assert!(workers.iter().all(|other| *other == workers[0]), "{workers:?}");
    assert_eq!(worker(&session), workers[0]);
}

#[test]
fn openings_with_one_key_at_the_same_time_give_one_worker() {
    let pool = pool(4);
    deploy(&pool, "s", FakeScript::new(), &one_at_a_time().spread_at(1));
    let workers = std::thread::scope(|scope| {
        let open = || {
            let session = pool.open_keyed_session("s", "room").expect("room");
            (worker(&session), session)
        };
        let threads: Vec<_> = (0..8).map(|_| scope.spawn(open)).collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("no panic"))
            .collect::<Vec<_>>()
    });
    assert!(workers.iter().all(|(worker, _)| *worker == workers[0].0));
    assert_eq!(sessions(&pool, "s"), 1);
    let other = pool.open_keyed_session("s", "other").expect("room");
    assert_ne!(other.id(), workers[0].1.id());
    assert_eq!((other.key(), workers[0].1.key()), (Some("other"), Some("room")));
    drop(workers);
    // A session lasts until the ends of its answered events are reported.
    until(|| sessions(&pool, "s") == 1);
}

#[test]
fn sessions_spread_over_existing_workers() {
    let pool = pool(4);
    let script = deploy(&pool, "s", FakeScript::new(), &Options::default().workers_min(2));
    until(|| pool.stats().scripts["s"].workers == 2);
    let next = |_| {
        // Load compares events before sessions, and an answered event counts until its end is reported.
        until(|| pool.stats().scripts["s"].in_flight == 0);
        placed(&pool, "s")
    };
    let sessions: Vec<_> = (0..10).map(next).collect();
    let first = worker(&sessions[0]);
    let on_first = sessions.iter().filter(|session| worker(session) == first).count();
    assert_eq!((on_first, script.boots()), (5, 2));
}

#[test]
fn a_worker_without_room_for_sessions_takes_other_events_and_another_takes_the_session() {
    let pool = pool(3);
    let options = limits(SessionLimits::default().per_worker(2)).workers_max(2);
    deploy(&pool, "s", FakeScript::new(), &options);
    let four: Vec<_> = (0..4).map(|_| placed(&pool, "s")).collect();
    let mut workers: Vec<_> = four.iter().map(worker).collect();
    workers.sort_unstable();
    assert!(workers[0] == workers[1] && workers[1] < workers[2] && workers[2] == workers[3]);
    assert_eq!(call(&pool, "s", Does::Echo(3)), Ok(3));
    let fifth = open(&pool, "s");
    let refused = try_send(&fifth, Does::Echo(1)).map(|_| ()).expect_err("no room");
    assert!(
        matches!(refused, RejectReason::SessionsFull { max: 2, .. }),
        "{refused}"
    );
    drop(four);
    assert_eq!(send(&fifth, Does::Echo(5)).answer(), Ok(5));
}

#[test]
fn the_sessions_of_a_script_are_limited() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &limits(SessionLimits::default().max(2)));
    let first = open(&pool, "s");
    let keyed = pool.open_keyed_session("s", "k").expect("room");
    let refused = pool.open_session("s").expect_err("no room");
    assert!(
        matches!(refused, RejectReason::SessionsFull { max: 2, .. }),
        "{refused}"
    );
    // Another handle does not count as another session.
    assert_eq!(
        pool.open_keyed_session("s", "k").expect("there already").id(),
        keyed.id()
    );
    drop(first);
    drop(pool.open_session("s").expect("room again"));
    assert!(matches!(
        pool.open_session("t"),
        Err(RejectReason::UnknownScript { .. })
    ));
}
