//! Guests: futures that live on a worker's thread, and leave it whenever the worker goes or its thread is busy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::common::{LONG, Pool, builder, call, deploy, hold, pool, send, try_send, until};
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{Guest, Home, Meta, Options, Outcome, Policy, WorkerId};

/// What a test sees of a guest.
#[derive(Default)]
struct Seen {
    thread: Mutex<Option<String>>,
    waker: Mutex<Option<Waker>>,
    left: AtomicBool,
    panics: AtomicBool,
    ends: AtomicBool,
    dropped: AtomicBool,
}

impl Seen {
    fn is_on(&self, prefix: &str) -> bool {
        let thread = self.thread.lock().expect("no panic");
        thread.as_ref().is_some_and(|thread| thread.starts_with(prefix))
    }

    fn wake(&self) {
        self.waker.lock().expect("no panic").take().expect("polled").wake();
    }
}

struct Probe(Arc<Seen>);

impl Guest for Probe {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        assert!(!self.0.panics.load(Ordering::SeqCst), "a guest that panics");
        if self.0.ends.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        *self.0.thread.lock().expect("no panic") = std::thread::current().name().map(str::to_owned);
        *self.0.waker.lock().expect("no panic") = Some(cx.waker().clone());
        Poll::Pending
    }

    fn leave(self: Box<Self>) {
        self.0.left.store(true, Ordering::SeqCst);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

/// The home that the script's worker is.
fn home(pool: &Pool, name: &str) -> Home {
    // The first event waits for the boot.
    pool.warm_blocking(name).expect("a worker");
    let sent = send(pool, name, Does::Echo(1));
    let home = sent.ticket.home().cloned().expect("given to a worker at once");
    assert_eq!(sent.answer(), Ok(1));
    home
}

/// A guest that has been polled on the worker's thread.
fn guest(home: &Home) -> Arc<Seen> {
    let seen = Arc::new(Seen::default());
    assert!(home.lodge(Probe(Arc::clone(&seen))).is_ok());
    until(|| seen.is_on("isopod-"));
    seen
}

fn has_left(seen: &Seen) {
    until(|| seen.left.load(Ordering::SeqCst));
}

#[test]
fn a_guest_is_polled_on_the_workers_thread_until_it_ends() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let home = home(&pool, "s");
    let seen = guest(&home);
    seen.ends.store(true, Ordering::SeqCst);
    seen.wake();
    until(|| seen.dropped.load(Ordering::SeqCst));
    assert!(!seen.left.load(Ordering::SeqCst));
}

#[test]
fn the_event_of_a_guest_goes_to_its_worker_although_another_is_idle() {
    let pool = pool(2);
    let options = Options::default().workers_min(2).workers_max(2).spread_at(8);
    deploy(&pool, "s", FakeScript::new(), &options);
    until(|| pool.stats().scripts["s"].workers == 2);
    let number = |near: Option<WorkerId>| {
        let sent = try_send(&pool, "s", Does::WorkerId, Meta::default().near(near)).expect("room");
        sent.answer().expect("an answer")
    };
    let first = WorkerId::new(number(None));
    let holds: Vec<_> = (0..4).map(|_| hold_near(&pool, first)).collect();
    assert_eq!(number(Some(first)), first.get());
    assert_ne!(number(None), first.get());
    drop(holds);
    // A worker that is none of the script's decides nothing.
    assert!(number(Some(WorkerId::new(u64::MAX))) > 0);
}

fn hold_near(pool: &Pool, near: WorkerId) -> flume::Sender<()> {
    let (open, gate) = flume::bounded(1);
    let sent = try_send(pool, "s", Does::Wait(gate), Meta::default().near(near)).expect("room");
    sent.ticket.detach();
    open
}

#[test]
fn guests_leave_when_their_worker_departs_whatever_the_reason() {
    type Depart = fn(&Pool);
    let depart: [(&str, Depart); 5] = [
        ("undeployed", |pool| assert!(pool.undeploy("s"))),
        ("replaced", |pool| {
            deploy(pool, "s", FakeScript::new(), &Options::default());
        }),
        ("condemned", |pool| {
            let condemned = call(pool, "s", Does::Condemn(Outcome::ExceededCpu));
            assert_eq!(condemned, Err(Outcome::ExceededCpu));
        }),
        ("panicked", |pool| {
            assert_eq!(call(pool, "s", Does::Panic), Err(Outcome::WorkerLost));
        }),
        ("displaced", |pool| {
            deploy(pool, "other", FakeScript::new(), &Options::default());
            assert_eq!(call(pool, "other", Does::Echo(1)), Ok(1));
        }),
    ];
    for (reason, depart) in depart {
        let pool = pool(1);
        deploy(&pool, "s", FakeScript::new(), &Options::default());
        let home = home(&pool, "s");
        let seen = guest(&home);
        depart(&pool);
        has_left(&seen);
        assert!(!home.is_open(), "{reason}");
        assert!(home.lodge(Probe(Arc::default())).is_err(), "{reason}");
    }
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let seen = guest(&home(&pool, "s"));
    assert_eq!(pool.shutdown_blocking(LONG).threads_joined, 1);
    has_left(&seen);
}

#[test]
fn guests_leave_a_thread_in_a_long_turn_and_a_lost_one() {
    let pool = builder(1)
        .lost_grace(Duration::from_millis(20))
        .build()
        .expect("threads");
    let hurried = Options::default().wall_timeout(Duration::from_millis(400));
    deploy(&pool, "s", FakeScript::new(), &hurried);
    let at = home(&pool, "s");
    let seen = guest(&at);
    let (open, gate) = flume::bounded(1);
    let long = send(&pool, "s", Does::BlockLong(gate));
    has_left(&seen);
    assert!(!at.is_open());
    drop(open);
    assert_eq!(long.answer(), Ok(0));
    until(|| at.is_open());
    // An engine that notices nothing: the supervisor gives the thread up.
    let stays = guest(&at);
    let (open, gate) = flume::bounded(1);
    let lost = send(&pool, "s", Does::Block(gate));
    has_left(&stays);
    assert!(!at.is_open());
    drop((open, lost));
}

#[test]
fn a_worker_whose_turns_are_long_on_average_has_no_guests() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let home = home(&pool, "s");
    let seen = guest(&home);
    let spins = Duration::from_millis(3);
    until(|| {
        assert_eq!(call(&pool, "s", Does::Spin(spins)), Ok(0));
        !home.is_open()
    });
    has_left(&seen);
    until(|| {
        assert_eq!(call(&pool, "s", Does::Echo(0)), Ok(0));
        home.is_open()
    });
    guest(&home);
}

#[test]
fn a_guest_that_panics_is_dropped_alone() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let home = home(&pool, "s");
    let (panics, other) = (guest(&home), guest(&home));
    panics.panics.store(true, Ordering::SeqCst);
    panics.wake();
    until(|| panics.dropped.load(Ordering::SeqCst));
    assert_eq!(call(&pool, "s", Does::WorkerId), Ok(home.worker().get()));
    assert!(!other.left.load(Ordering::SeqCst) && !other.dropped.load(Ordering::SeqCst));
}

#[test]
fn a_worker_has_a_maximum_of_guests_and_each_that_ends_makes_room() {
    let pool = builder(1).guests_max(1).build().expect("threads");
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let home = home(&pool, "s");
    let seen = guest(&home);
    assert!(home.lodge(Probe(Arc::default())).is_err());
    seen.ends.store(true, Ordering::SeqCst);
    seen.wake();
    until(|| home.is_open());
    guest(&home);
}

#[test]
fn only_a_worker_that_takes_one_event_after_another_is_a_home() {
    let pool = pool(2);
    deploy(
        &pool,
        "s",
        FakeScript::new(),
        &Options::default().policy(Policy::PerRequest),
    );
    pool.warm_blocking("s").expect("a worker");
    let (open, sent) = hold(&pool, "s");
    assert!(sent.ticket.home().is_none());
    drop(open);
    assert_eq!(sent.answer(), Ok(0));
}
