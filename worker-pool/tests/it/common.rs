//! Shared by the tests: a pool of fake workers, events with their answers, and waiting for conditions.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use isopod_pool::fake::{Answer, Call, Does, FakeEngine, FakeScript};
use isopod_pool::{Meta, Options, Outcome, PoolBuilder, RejectReason, Ticket};

pub(crate) type Pool = isopod_pool::Pool<FakeEngine>;

/// A wait that only a failing test reaches.
pub(crate) const LONG: Duration = Duration::from_secs(10);

/// A dispatched event.
pub(crate) struct Sent {
    pub(crate) ticket: Ticket,
    pub(crate) reply: flume::Receiver<Answer>,
}

impl Sent {
    pub(crate) fn answer(self) -> Result<u64, Outcome> {
        let answer = self.reply.recv_timeout(LONG).expect("every accepted event is answered");
        self.ticket.detach();
        answer.map_err(|failure| failure.outcome)
    }
}

pub(crate) fn builder(threads: usize) -> PoolBuilder<FakeEngine> {
    isopod_pool::Pool::builder(FakeEngine::new()).threads(threads)
}

pub(crate) fn pool(threads: usize) -> Pool {
    builder(threads).build().expect("threads")
}

/// Returns options for workers that take one event at a time.
pub(crate) fn one_at_a_time() -> Options {
    Options::default().concurrency(1)
}

pub(crate) fn deploy(pool: &Pool, name: &str, script: FakeScript, options: &Options) -> Arc<FakeScript> {
    let script = Arc::new(script);
    pool.deploy(name, Arc::clone(&script), options).expect("a running pool");
    script
}

pub(crate) fn try_send(pool: &Pool, name: &str, does: Does, meta: Meta) -> Result<Sent, RejectReason> {
    let (call, reply) = Call::new(does);
    let ticket = pool.dispatch(name, call, meta).map_err(|rejected| rejected.reason)?;
    Ok(Sent { ticket, reply })
}

pub(crate) fn send(pool: &Pool, name: &str, does: Does) -> Sent {
    try_send(pool, name, does, Meta::default()).expect("an event that is accepted")
}

pub(crate) fn call(pool: &Pool, name: &str, does: Does) -> Result<u64, Outcome> {
    send(pool, name, does).answer()
}

/// Dispatches an event that runs until the sender is dropped.
pub(crate) fn hold(pool: &Pool, name: &str) -> (flume::Sender<()>, Sent) {
    let (open, gate) = flume::bounded(1);
    (open, send(pool, name, Does::Wait(gate)))
}

/// Returns the `/proc` folders of this process's threads with this name prefix.
pub(crate) fn threads_named(prefix: &str) -> Vec<PathBuf> {
    let named = |task: &PathBuf| {
        // The thread may have ended.
        std::fs::read_to_string(task.join("comm")).is_ok_and(|name| name.starts_with(prefix))
    };
    let tasks = std::fs::read_dir("/proc/self/task").expect("Linux");
    tasks.flatten().map(|task| task.path()).filter(named).collect()
}

/// Waits for a condition. A failure names the caller's line.
#[track_caller]
pub(crate) fn until(condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < LONG, "the condition never came to hold");
        // tidy:allow(sleep): the polling interval of the condition.
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Returns the number of the script's workers that were retired for a reason.
pub(crate) fn retired(pool: &Pool, name: &str, reason: &str) -> u64 {
    pool.stats()
        .scripts
        .get(name)
        .map_or(0, |script| script.retired[reason])
}

/// Asserts that each accepted event has ended in exactly one outcome.
#[track_caller]
pub(crate) fn assert_settled(pool: &Pool) {
    until(|| pool.stats().open == 0);
    let stats = pool.stats();
    assert_eq!(
        (stats.open, stats.outcomes.values().sum::<u64>()),
        (0, stats.accepted),
        "{stats:?}"
    );
}
