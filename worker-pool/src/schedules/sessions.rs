//! Sessions that are opened, used and dropped while their workers end.

use super::*;
use crate::{Policy, RejectReason, RetireReason, SessionLimits};

type Session = crate::Session<Call>;

fn open(pool: &Pool<FakeEngine>) -> Session {
    pool.open_session("s").expect("room for a session")
}

fn dispatch(session: &Session, does: Does) -> Result<(Ticket, channel::Receiver<Answer>), RejectReason> {
    let (call, reply) = Call::new(does);
    let ticket = session.dispatch(call, Meta::default());
    ticket.map(|ticket| (ticket, reply)).map_err(|rejected| rejected.reason)
}

fn worker(session: &Session) -> u64 {
    answer(dispatch(session, Does::WorkerId).expect("room")).expect("an answer")
}

/// Waits, as a holder does, until the session must end, and drops it.
fn lets_go(session: Session) -> thread::JoinHandle<RetireReason> {
    thread::spawn(move || future::block_on(session.closing()).reason)
}

#[test]
fn events_reach_one_worker_until_a_new_version_replaces_it() {
    under_schedules(500, || {
        let (pool, script) = pool(2, &Options::default().concurrency(1).spread_at(1));
        let session = open(&pool);
        let first = worker(&session);
        let deploys = {
            let pool = pool.clone();
            thread::spawn(move || _ = pool.deploy("s", Arc::new(FakeScript::new()), &Options::default()))
        };
        // No grace ends, because time does not pass.
        assert_eq!((worker(&session), worker(&session)), (first, first));
        assert_eq!(lets_go(session).join().expect("no panic"), RetireReason::Replaced);
        deploys.join().expect("no panic");
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_joined, 2);
        assert_settled(&pool);
        assert_eq!(script.alive(), 0);
    });
}

#[test]
fn openings_with_one_key_find_one_worker_while_others_drop_it() {
    under_schedules(500, || {
        let (pool, _) = pool(2, &Options::default().concurrency(1).spread_at(1));
        let opens = || {
            let pool = pool.clone();
            thread::spawn(move || {
                let session = pool.open_keyed_session("s", "k").expect("room");
                (session.id(), worker(&session))
            })
        };
        let (one, other) = (opens(), opens());
        let (one, other) = (one.join().expect("no panic"), other.join().expect("no panic"));
        assert!(one.0 != other.0 || one.1 == other.1, "{one:?} {other:?}");
        let stats = pool.stats();
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_joined, 2, "{stats:?}");
        assert_settled(&pool);
        assert_eq!(pool.stats().sessions, 0);
    });
}

#[test]
fn a_single_event_worker_ends_with_its_session() {
    under_schedules(500, || {
        let (pool, script) = pool(1, &Options::default().policy(Policy::PerRequest));
        let session = open(&pool);
        let (release, held) = channel::bounded(1);
        let held = dispatch(&session, Does::Wait(held)).expect("room");
        let other = thread::spawn({
            let session = session.clone();
            move || worker(&session)
        });
        let releases = thread::spawn(move || drop(release));
        drop(session);
        assert_eq!(answer(held), Ok(0));
        other.join().expect("no panic");
        releases.join().expect("no panic");
        // The next event needs the thread.
        assert_eq!(send(&pool, Does::Echo(7)).map(answer), Some(Ok(7)));
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_joined, 1);
        assert_settled(&pool);
        assert_eq!(script.alive(), 0);
    });
}

#[test]
fn a_full_session_wakes_waiters_when_it_has_room() {
    under_schedules(500, || {
        let options = Options::default().sessions(SessionLimits::default().events(1).events_per_worker(2));
        let (pool, _) = pool(1, &options);
        let (first, second) = (open(&pool), open(&pool));
        let busy = |session: Session| {
            thread::spawn(move || {
                for n in 0..2 {
                    loop {
                        match dispatch(&session, Does::Echo(n)) {
                            Ok(sent) => break sent.0.detach(),
                            Err(RejectReason::SessionFull { .. }) => future::block_on(session.ready()),
                            Err(reason) => panic!("{reason}"),
                        }
                    }
                }
            })
        };
        let (one, other) = (busy(first.clone()), busy(first));
        let third = busy(second);
        for thread in [one, other, third] {
            thread.join().expect("no panic");
        }
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_joined, 1);
        assert_settled(&pool);
    });
}

#[test]
fn a_drain_waits_for_the_holders_of_sessions() {
    under_schedules(500, || {
        let (pool, script) = pool(1, &Options::default());
        let (placed, unplaced) = (open(&pool), open(&pool));
        let (_release, until) = channel::bounded(1);
        let standing = dispatch(&placed, Does::Stand(until)).expect("room");
        assert_eq!(standing.1.recv().expect("an answer").ok(), Some(0));
        let late = thread::spawn({
            let pool = pool.clone();
            move || {
                pool.open_session("s")
                    .map(|session| dispatch(&session, Does::Echo(1)).map(answer))
            }
        });
        let holders = [lets_go(placed), lets_go(unplaced)];
        let drain = thread::spawn({
            let pool = pool.clone();
            move || pool.drain_blocking(Duration::MAX)
        });
        for holder in holders {
            assert_eq!(holder.join().expect("no panic"), RetireReason::Shutdown);
        }
        // Like the peer of a closed connection.
        drop(standing);
        let report = drain.join().expect("no panic");
        assert_eq!((report.cut, report.sessions_cut), (0, 0));
        if let Ok(Ok(answered)) = late.join().expect("no panic") {
            assert_eq!(answered, Ok(1));
        }
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_joined, 1);
        assert_settled(&pool);
        assert_eq!(script.alive(), 0);
    });
}

#[test]
fn the_sessions_of_an_abandoned_thread_end_once() {
    under_schedules(500, || {
        let pool = Pool::builder(FakeEngine::new())
            .linger(Duration::ZERO)
            .lost_grace(Duration::ZERO)
            .threads(1)
            .build()
            .expect("threads");
        pool.deploy("s", Arc::new(FakeScript::new()), &Options::default())
            .expect("a running pool");
        let session = open(&pool);
        let (release, gate) = channel::bounded(1);
        let (ticket, reply) = dispatch(&session, Does::BlockStopped(gate, Outcome::ExceededCpu)).expect("room");
        let releases = thread::spawn(move || drop(release));
        let behind = match dispatch(&session, Does::Echo(1)) {
            Ok((ticket, reply)) => future::block_on(either(ticket, reply)),
            Err(RejectReason::SessionGone { reason, .. }) => {
                assert_eq!(reason, RetireReason::Lost);
                Err(Outcome::WorkerLost)
            }
            Err(reason) => panic!("{reason}"),
        };
        assert!(matches!(behind, Ok(1) | Err(Outcome::WorkerLost)), "{behind:?}");
        let blocked = future::block_on(either(ticket, reply));
        let ends = matches!(blocked, Ok(0) | Err(Outcome::ExceededCpu | Outcome::WorkerLost));
        assert!(ends, "{blocked:?}");
        releases.join().expect("no panic");
        drop(session);
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_stuck, 0);
        assert_settled(&pool);
        assert_eq!(pool.stats().sessions, 0);
    });
}
