//! Tasks attached to a worker run on its thread, and are detached when the worker ends or its thread is busy.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::common::{LONG, Pool, builder, call, deploy, hold, pool, send, try_send, until};
use isopod_pool::fake::{Does, FakeScript};
use isopod_pool::{AttachedTask, Meta, Options, Outcome, Policy, WorkerHandle, WorkerId};

/// The observations of an attached task.
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

impl AttachedTask for Probe {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        assert!(!self.0.panics.load(Ordering::SeqCst), "a task that panics");
        if self.0.ends.load(Ordering::SeqCst) {
            return Poll::Ready(());
        }
        *self.0.thread.lock().expect("no panic") = std::thread::current().name().map(str::to_owned);
        *self.0.waker.lock().expect("no panic") = Some(cx.waker().clone());
        Poll::Pending
    }

    fn detach(self: Box<Self>) {
        self.0.left.store(true, Ordering::SeqCst);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.0.dropped.store(true, Ordering::SeqCst);
    }
}

/// Returns the script's worker.
fn worker_of(pool: &Pool, name: &str) -> WorkerHandle {
    // The first event waits for the boot.
    pool.warm_blocking(name).expect("a worker");
    let sent = send(pool, name, Does::Echo(1));
    let worker = sent.ticket.worker().cloned().expect("given to a worker at once");
    assert_eq!(sent.answer(), Ok(1));
    worker
}

/// Attaches a task, and waits until it was polled on the worker's thread.
fn attached(worker: &WorkerHandle) -> Arc<Seen> {
    let seen = Arc::new(Seen::default());
    assert!(worker.attach(Probe(Arc::clone(&seen))).is_ok());
    until(|| seen.is_on("isopod-"));
    seen
}

fn has_left(seen: &Seen) {
    until(|| seen.left.load(Ordering::SeqCst));
}

#[test]
fn an_attached_task_is_polled_on_the_workers_thread_until_it_ends() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let worker = worker_of(&pool, "s");
    let seen = attached(&worker);
    seen.ends.store(true, Ordering::SeqCst);
    seen.wake();
    until(|| seen.dropped.load(Ordering::SeqCst));
    assert!(!seen.left.load(Ordering::SeqCst));
}

#[test]
fn the_event_of_an_attached_task_goes_to_its_worker_although_another_is_idle() {
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
    // Another script's worker has no influence.
    assert!(number(Some(WorkerId::new(u64::MAX))) > 0);
}

fn hold_near(pool: &Pool, near: WorkerId) -> flume::Sender<()> {
    let (open, gate) = flume::bounded(1);
    let sent = try_send(pool, "s", Does::Wait(gate), Meta::default().near(near)).expect("room");
    sent.ticket.detach();
    open
}

#[test]
fn tasks_are_detached_when_their_worker_departs() {
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
        let worker = worker_of(&pool, "s");
        let seen = attached(&worker);
        depart(&pool);
        has_left(&seen);
        assert!(!worker.is_open(), "{reason}");
        assert!(worker.attach(Probe(Arc::default())).is_err(), "{reason}");
    }
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let seen = attached(&worker_of(&pool, "s"));
    assert_eq!(pool.shutdown_blocking(LONG).threads_joined, 1);
    has_left(&seen);
}

#[test]
fn tasks_are_detached_in_a_long_turn_and_from_a_lost_thread() {
    let pool = builder(1)
        .lost_grace(Duration::from_millis(20))
        .build()
        .expect("threads");
    let hurried = Options::default().wall_timeout(Duration::from_millis(400));
    deploy(&pool, "s", FakeScript::new(), &hurried);
    let at = worker_of(&pool, "s");
    let seen = attached(&at);
    let (open, gate) = flume::bounded(1);
    let long = send(&pool, "s", Does::BlockLong(gate));
    has_left(&seen);
    assert!(!at.is_open());
    drop(open);
    assert_eq!(long.answer(), Ok(0));
    until(|| at.is_open());
    // The engine reports nothing, and the supervisor gives the thread up.
    let stays = attached(&at);
    let (open, gate) = flume::bounded(1);
    let lost = send(&pool, "s", Does::Block(gate));
    has_left(&stays);
    assert!(!at.is_open());
    drop((open, lost));
}

#[test]
fn a_worker_whose_turns_are_long_on_average_accepts_no_tasks() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let worker = worker_of(&pool, "s");
    let seen = attached(&worker);
    let spins = Duration::from_millis(3);
    until(|| {
        assert_eq!(call(&pool, "s", Does::Spin(spins)), Ok(0));
        !worker.is_open()
    });
    has_left(&seen);
    until(|| {
        assert_eq!(call(&pool, "s", Does::Echo(0)), Ok(0));
        worker.is_open()
    });
    attached(&worker);
}

#[test]
fn a_task_that_panics_is_dropped_alone() {
    let pool = pool(1);
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let worker = worker_of(&pool, "s");
    let (panics, other) = (attached(&worker), attached(&worker));
    panics.panics.store(true, Ordering::SeqCst);
    panics.wake();
    until(|| panics.dropped.load(Ordering::SeqCst));
    assert_eq!(call(&pool, "s", Does::WorkerId), Ok(worker.id().get()));
    assert!(!other.left.load(Ordering::SeqCst) && !other.dropped.load(Ordering::SeqCst));
}

#[test]
fn the_number_of_attached_tasks_is_bounded() {
    let pool = builder(1).attached_tasks_max(1).build().expect("threads");
    deploy(&pool, "s", FakeScript::new(), &Options::default());
    let worker = worker_of(&pool, "s");
    let seen = attached(&worker);
    assert!(worker.attach(Probe(Arc::default())).is_err());
    seen.ends.store(true, Ordering::SeqCst);
    seen.wake();
    until(|| worker.is_open());
    attached(&worker);
}

#[test]
fn only_a_worker_that_takes_one_event_after_another_accepts_tasks() {
    let pool = pool(2);
    deploy(
        &pool,
        "s",
        FakeScript::new(),
        &Options::default().policy(Policy::PerRequest),
    );
    pool.warm_blocking("s").expect("a worker");
    let (open, sent) = hold(&pool, "s");
    assert!(sent.ticket.worker().is_none());
    drop(open);
    assert_eq!(sent.answer(), Ok(0));
}
