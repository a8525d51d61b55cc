//! The pool under shuttle's schedules: threads switch at every lock, in another order in each run, and time does not pass. A
//! wake-up that is lost, or left to a timer, becomes a deadlock, which shuttle reports.
//!
//! `cargo nextest run -p isopod-pool --no-default-features --features shuttle --lib schedules`

mod sessions;

use std::future::{Future as _, poll_fn};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Poll, Waker};
use std::time::Duration;

use shuttle::scheduler::{PctScheduler, RandomScheduler};
use shuttle::sync::atomic::{AtomicBool, Ordering};
use shuttle::{Config, Runner, future, thread};

use crate::fake::{Answer, Call, Does, FakeEngine, FakeScript};
use crate::mailbox::{Mailbox, Park};
use crate::sync::channel;
use crate::{Meta, Options, Outcome, Pool, Recycle, Ticket};

/// Runs the body under this number of random schedules, and as many with few switches.
fn under_schedules(runs: usize, body: fn()) {
    let config = || {
        let mut config = Config::new();
        config.stack_size = 0x4_0000;
        config
    };
    Runner::new(RandomScheduler::new(runs), config()).run(body);
    Runner::new(PctScheduler::new(3, runs), config()).run(body);
}

fn pool(threads: usize, options: &Options) -> (Pool<FakeEngine>, Arc<FakeScript>) {
    let pool = Pool::builder(FakeEngine::new())
        .linger(Duration::ZERO)
        .threads(threads)
        .build()
        .expect("threads");
    let script = Arc::new(FakeScript::new());
    pool.deploy("s", Arc::clone(&script), options).expect("a running pool");
    (pool, script)
}

fn send(pool: &Pool<FakeEngine>, does: Does) -> Option<(Ticket, channel::Receiver<Answer>)> {
    send_to(pool, "s", does)
}

fn send_to(pool: &Pool<FakeEngine>, name: &str, does: Does) -> Option<(Ticket, channel::Receiver<Answer>)> {
    let (call, reply) = Call::new(does);
    let ticket = pool.dispatch(name, call, Meta::default()).ok()?;
    Some((ticket, reply))
}

fn answer((ticket, reply): (Ticket, channel::Receiver<Answer>)) -> Result<u64, Outcome> {
    let answer = reply.recv().expect("every accepted event is answered");
    ticket.detach();
    assert!(reply.recv().is_err(), "an event is answered once");
    answer.map_err(|failure| failure.outcome)
}

/// Asserts that every accepted event was counted under one outcome.
fn assert_settled(pool: &Pool<FakeEngine>) {
    let stats = pool.stats();
    assert_eq!(
        (stats.open, stats.outcomes.values().sum::<u64>()),
        (0, stats.accepted),
        "{stats:?}"
    );
}

#[test]
fn no_message_is_left_with_a_consumer_asleep() {
    under_schedules(5000, || {
        let mailbox = Arc::new(Mailbox::new(4));
        let senders: Vec<_> = (0..2)
            .map(|sender| {
                let mailbox = Arc::clone(&mailbox);
                thread::spawn(move || {
                    for n in 0..2 {
                        if let Some(sleeper) = mailbox.post(sender * 2 + n).expect("room for all") {
                            sleeper.wake();
                        }
                    }
                })
            })
            .collect();
        let mut got = Vec::new();
        future::block_on(poll_fn(|cx| {
            loop {
                got.extend(std::iter::from_fn(|| mailbox.take()));
                if got.len() == 4 {
                    return Poll::Ready(());
                }
                if mailbox.park(cx.waker()) == Park::Asleep {
                    return Poll::Pending;
                }
            }
        }));
        senders.into_iter().for_each(|sender| sender.join().expect("no panic"));
        assert!(
            got.iter().position(|n| *n == 0) < got.iter().position(|n| *n == 1),
            "{got:?}"
        );
        got.sort_unstable();
        assert_eq!(got, [0, 1, 2, 3]);
    });
}

#[test]
fn a_worker_that_is_woken_while_its_loop_goes_to_sleep_is_polled_again() {
    under_schedules(5000, || {
        let mailbox = Arc::new(Mailbox::<()>::new(1));
        let done = Arc::new(AtomicBool::new(false));
        let waking = {
            let (bell, done) = (Waker::from(Arc::clone(&mailbox)), Arc::clone(&done));
            thread::spawn(move || {
                bell.wake_by_ref();
                done.store(true, Ordering::SeqCst);
                bell.wake();
            })
        };
        future::block_on(poll_fn(|cx| {
            assert_eq!(mailbox.take(), None);
            // Here it polls its worker.
            if done.load(Ordering::SeqCst) {
                return Poll::Ready(());
            }
            if mailbox.park(cx.waker()) == Park::Rung {
                cx.waker().wake_by_ref();
            }
            Poll::Pending
        }));
        waking.join().expect("no panic");
    });
}

#[test]
fn a_cancellation_never_meets_the_next_event_in_the_same_slot() {
    under_schedules(1000, || {
        // Another event keeps running, so that ends are reported late and slots are reused before.
        let (pool, _) = pool(1, &Options::default());
        let (release, held) = channel::bounded(1);
        let held = send(&pool, Does::Wait(held)).expect("room");
        let (open, gate) = channel::bounded(1);
        let (ticket, reply) = send(&pool, Does::Wait(gate)).expect("room");
        let leaves = thread::spawn(move || drop(ticket));
        let ends = thread::spawn(move || drop(open));
        let next: Vec<_> = (1..3).map(|n| send(&pool, Does::Echo(n)).expect("room")).collect();
        let next: Vec<_> = next.into_iter().map(answer).collect();
        assert_eq!(next, [Ok(1), Ok(2)]);
        drop(release);
        assert_eq!(answer(held), Ok(0));
        let first = reply.recv().expect("an answer").map_err(|failure| failure.outcome);
        assert!(matches!(first, Ok(0) | Err(Outcome::Canceled)), "{first:?}");
        leaves.join().expect("no panic");
        ends.join().expect("no panic");
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_joined, 1);
        assert_settled(&pool);
    });
}

#[test]
fn a_shutdown_under_load_answers_every_accepted_event_and_joins_every_thread() {
    under_schedules(1000, || {
        let (pool, script) = pool(2, &Options::default());
        let callers: Vec<_> = (0..2)
            .map(|caller| {
                let pool = pool.clone();
                thread::spawn(move || {
                    let sent =
                        (0..2).filter_map(|n| send(&pool, if n == caller { Does::Never } else { Does::Echo(n) }));
                    let sent: Vec<_> = sent.collect();
                    sent.into_iter().map(answer).filter(Result::is_err).count()
                })
            })
            .collect();
        let patient = {
            let pool = pool.clone();
            thread::spawn(move || pool.drain_blocking(Duration::MAX))
        };
        let report = pool.shutdown_blocking(Duration::ZERO);
        let cut: usize = callers.into_iter().map(|caller| caller.join().expect("no panic")).sum();
        assert!(report.cut >= cut, "{report:?}, {cut} heard of it");
        assert_eq!((report.threads_joined, report.threads_stuck), (2, 0));
        patient.join().expect("no panic");
        assert_settled(&pool);
        assert_eq!(script.alive(), 0);
    });
}

#[test]
fn recycling_loses_no_event() {
    under_schedules(1000, || {
        let options = Options::default().concurrency(2).recycle(Recycle::default().events(2));
        let (pool, _) = pool(1, &options);
        let deploys = {
            let pool = pool.clone();
            thread::spawn(move || _ = pool.deploy("s", Arc::new(FakeScript::new()), &Options::default()))
        };
        let caller = {
            let pool = pool.clone();
            thread::spawn(move || send(&pool, Does::Echo(7)).map(answer))
        };
        let sent: Vec<_> = (0..3).map(|n| send(&pool, Does::Echo(n)).expect("room")).collect();
        let answers: Vec<_> = sent.into_iter().map(answer).collect();
        assert_eq!(answers, [Ok(0), Ok(1), Ok(2)]);
        assert_eq!(caller.join().expect("no panic"), Some(Ok(7)));
        deploys.join().expect("no panic");
        drop(pool);
    });
}

#[test]
fn two_scripts_share_the_thread_beside_a_worker_that_only_waits() {
    under_schedules(1000, || {
        // A busy worker may be asked to finish at once: time does not pass here.
        let pool = Pool::builder(FakeEngine::new())
            .linger(Duration::ZERO)
            .yield_after(Duration::ZERO)
            .threads(2)
            .build()
            .expect("threads");
        for name in ["a", "b", "c"] {
            pool.deploy(name, Arc::new(FakeScript::new()), &Options::default())
                .expect("a running pool");
        }
        let ask = |name, n| assert_eq!(send_to(&pool, name, Does::Echo(n)).map(answer), Some(Ok(n)));
        ask("b", 1);
        let (release, held) = channel::bounded(1);
        let held = send_to(&pool, "a", Does::Wait(held)).expect("room");
        // The waiting worker is asked to finish if this event arrives before the end of the other worker is known.
        ask("c", 2);
        ask("b", 3);
        drop(release);
        assert_eq!(answer(held), Ok(0));
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_joined, 2);
        assert_settled(&pool);
    });
}

#[test]
fn a_thread_returning_while_given_up_ends_each_event_once() {
    under_schedules(1000, || {
        let pool = Pool::builder(FakeEngine::new())
            .linger(Duration::ZERO)
            .lost_grace(Duration::ZERO)
            .threads(1)
            .build()
            .expect("threads");
        pool.deploy("s", Arc::new(FakeScript::new()), &Options::default())
            .expect("a running pool");
        let (open, gate) = channel::bounded(1);
        let (ticket, reply) = send(&pool, Does::BlockStopped(gate, Outcome::ExceededCpu)).expect("room");
        let opens = thread::spawn(move || drop(open));
        let behind = send(&pool, Does::Echo(1)).expect("room");
        // If the abandoned worker has it, it is lost with that worker or begun by the next.
        let behind = future::block_on(either(behind.0, behind.1));
        assert!(matches!(behind, Ok(1) | Err(Outcome::WorkerLost)), "{behind:?}");
        let blocked = future::block_on(either(ticket, reply));
        // Lost if the thread is given up before it begins the event: without a grace, each of its steps takes too long.
        let ends = matches!(blocked, Ok(0) | Err(Outcome::ExceededCpu | Outcome::WorkerLost));
        assert!(ends, "{blocked:?}");
        opens.join().expect("no panic");
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_stuck, 0);
        assert_settled(&pool);
    });
}

/// Waits for an answer, or for the loss of the event.
async fn either(ticket: Ticket, reply: channel::Receiver<Answer>) -> Result<u64, Outcome> {
    let mut reply = reply.into_recv_async();
    let answer = poll_fn(|cx| match Pin::new(&mut reply).poll(cx) {
        Poll::Ready(answer) => Poll::Ready(answer.expect("every accepted event is answered")),
        Poll::Pending => ticket.poll_lost(cx).map(Err),
    });
    let answer = answer.await;
    let answer = answer.map_err(|failure| ticket.lost().unwrap_or(failure));
    ticket.detach();
    answer.map_err(|failure| failure.outcome)
}

#[test]
fn events_behind_a_long_turn_do_not_wait_for_it() {
    under_schedules(1000, || {
        let (pool, _) = pool(2, &Options::default().concurrency(4));
        let (open, gate) = channel::bounded(1);
        let blocked = send(&pool, Does::BlockLong(gate)).expect("room");
        let senders: Vec<_> = (0..2)
            .map(|n| {
                let pool = pool.clone();
                thread::spawn(move || answer(send(&pool, Does::Echo(n)).expect("room")))
            })
            .collect();
        let answers: Vec<_> = senders
            .into_iter()
            .map(|sender| sender.join().expect("no panic"))
            .collect();
        assert_eq!(answers, [Ok(0), Ok(1)]);
        drop(open);
        assert_eq!(answer(blocked), Ok(0));
        assert_eq!(pool.shutdown_blocking(Duration::MAX).threads_joined, 2);
        assert_settled(&pool);
    });
}
