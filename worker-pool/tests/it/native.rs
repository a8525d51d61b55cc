//! Native tasks on worker threads are events, and their local tasks end with them.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::common::{LONG, assert_settled, builder, call, deploy, pool, until};
use futures::executor::block_on;
use isopod_pool::fake::{Call, Does, FakeScript};
use isopod_pool::{Meta, Options, Outcome, Policy, RejectReason};

/// A member of a count, for as long as it lives.
struct Alive(Arc<AtomicUsize>);

impl Alive {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Alive {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

fn shared() -> Options {
    Options::default().policy(Policy::PerWorker).workers_max(1)
}

#[test]
fn a_task_may_hold_non_send_values_across_awaits() {
    let pool = pool(1);
    let visits = |meta| {
        pool.native("visits", meta, async |thread| {
            let local = Rc::new(Cell::new(thread.visit()));
            tokio::task::yield_now().await;
            let moved = Rc::clone(&local);
            let spawned = tokio::task::spawn_local(async move { moved.set(moved.get() * 10) });
            spawned.await.expect("no panic");
            (local.get(), thread.visit())
        })
    };
    assert_eq!(block_on(visits(Meta::default())), Ok((10, 2)));
    // The thread's state persists, with another worker.
    assert_eq!(visits(Meta::default()).wait(), Ok((30, 4)));
    until(|| pool.stats().open == 0);
    assert_eq!(pool.stats().scripts["visits"].boots, 2);
    assert_settled(&pool);
}

#[test]
fn a_panic_ends_its_own_task_only() {
    let pool = pool(1);
    pool.deploy_native("shared", &shared()).expect("a running pool");
    let (open, gate) = flume::bounded::<()>(1);
    let beside = pool.native("shared", Meta::default(), async move |_| {
        let _ = gate.recv_async().await;
        7
    });
    for at_once in [true, false] {
        let panics = pool.native("shared", Meta::default(), async move |_| {
            if !at_once {
                tokio::task::yield_now().await;
            }
            panic!("on {}", "purpose");
        });
        let panicked: Result<(), _> = panics.wait();
        let failure = panicked.expect_err("a panic");
        assert_eq!(
            (failure.outcome, failure.message.as_str()),
            (Outcome::Exception, "the task panicked: on purpose")
        );
    }
    drop(open);
    assert_eq!(beside.wait(), Ok(7));
    let stats = pool.stats();
    assert_eq!((stats.threads.lost, stats.scripts["shared"].boots), (0, 1));
    assert_settled(&pool);
}

#[test]
fn a_task_is_dropped_at_its_deadline_or_wall_limit() {
    let pool = builder(1)
        .wall_timeout(Duration::from_millis(20))
        .build()
        .expect("threads");
    let alive = Arc::new(AtomicUsize::new(0));
    for deadline in [Some(Instant::now() + Duration::from_millis(20)), None] {
        let guard = Alive::new(&alive);
        let task = pool.native("hangs", Meta::default().deadline(deadline), async move |_| {
            std::future::pending::<()>().await;
            drop(guard);
        });
        assert_eq!(task.wait().expect_err("cut").outcome, Outcome::ExceededWall);
    }
    until(|| alive.load(Ordering::SeqCst) == 0);
    assert_settled(&pool);
    assert_eq!(pool.stats().outcomes["exceeded_wall"], 2);
}

#[test]
fn dropping_a_task_cancels_it_unless_detached() {
    let pool = pool(2);
    let alive = Arc::new(AtomicUsize::new(0));
    let hangs = || {
        let guard = Alive::new(&alive);
        pool.native("hangs", Meta::default(), async move |_| {
            std::future::pending::<()>().await;
            drop(guard);
        })
    };
    let (open, gate) = flume::bounded::<()>(1);
    let (done, seen) = flume::bounded(1);
    pool.native("goes on", Meta::default(), async move |_| {
        let _ = gate.recv_async().await;
        let _ = done.send(());
    })
    .detach()
    .expect("accepted");
    let task = hangs();
    until(|| pool.stats().threads.busy == 2);
    drop(task);
    until(|| alive.load(Ordering::SeqCst) == 0 && pool.stats().outcomes["canceled"] == 1);
    drop(open);
    assert_eq!(seen.recv_timeout(LONG), Ok(()));
    assert_settled(&pool);
    assert_eq!(pool.stats().outcomes["ok"], 1);
}

#[test]
fn tasks_left_behind_end_with_their_local_set() {
    let pool = pool(1);
    let alive = Arc::new(AtomicUsize::new(0));
    let guard = Alive::new(&alive);
    let task = pool.native("leaves", Meta::default(), async move |_| {
        tokio::task::spawn_local(async move {
            std::future::pending::<()>().await;
            drop(guard);
        });
        1
    });
    assert_eq!(task.wait(), Ok(1));
    until(|| alive.load(Ordering::SeqCst) == 0);
}

#[test]
fn tasks_under_a_shared_name_take_turns_on_one_thread() {
    let pool = pool(1);
    pool.deploy_native("shared", &shared()).expect("a running pool");
    let (to, from) = flume::bounded(1);
    let first = pool.native("shared", Meta::default(), async move |_| from.recv_async().await);
    let second = pool.native("shared", Meta::default(), async move |thread| to.send(thread.visit()));
    assert_eq!((second.wait(), first.wait()), (Ok(Ok(())), Ok(Ok(1))));
}

#[test]
fn concurrent_tasks_have_separate_runtimes() {
    let pool = pool(4);
    let tasks: Vec<_> = (0..64_u64)
        .map(|n| {
            pool.native("many", Meta::default(), async move |_| {
                // Needs the timer of a live runtime that the neighbors have not shut down.
                tokio::time::timeout(Duration::ZERO, std::future::pending::<()>())
                    .await
                    .map_or(n, |()| 0)
            })
        })
        .collect();
    let values = block_on(futures::future::try_join_all(tasks)).expect("all return");
    assert_eq!(values, (0..64).collect::<Vec<_>>());
    assert_settled(&pool);
}

#[test]
fn a_drain_waits_for_tasks_and_then_none_is_accepted() {
    let pool = pool(1);
    let (open, gate) = flume::bounded::<()>(1);
    let task = pool.native("t", Meta::default(), async move |_| gate.recv_async().await.is_err());
    until(|| pool.stats().threads.busy == 1);
    let draining = {
        let pool = pool.clone();
        std::thread::spawn(move || pool.drain_blocking(LONG))
    };
    let refused = || pool.native("t", Meta::default(), async |_| ()).detach();
    until(|| refused().is_err());
    assert_eq!(refused().expect_err("draining").outcome, Outcome::LoadShed);
    assert_eq!(refused().expect_err("draining").message, "the pool is shutting down");
    drop(open);
    assert_eq!(task.wait(), Ok(true));
    assert_eq!(draining.join().expect("no panic").cut, 0);
    assert_settled(&pool);
}

#[test]
fn a_name_takes_either_tasks_or_the_events_of_a_script() {
    let pool = pool(1);
    deploy(&pool, "script", FakeScript::new(), &Options::default());
    let failure = pool
        .native("script", Meta::default(), async |_| ())
        .wait()
        .expect_err("unsuited");
    assert!(failure.message.contains("separate names"), "{failure:?}");
    assert_eq!(pool.native("task", Meta::default(), async |_| 1).wait(), Ok(1));
    let refused = pool
        .dispatch("task", Call::echo(1).0, Meta::default())
        .expect_err("unsuited");
    assert_eq!(refused.reason, RejectReason::Unsuited { name: "task".into() });
    assert_eq!(call(&pool, "script", Does::Echo(2)), Ok(2));
    assert!(pool.undeploy("task"));
    until(|| !pool.stats().scripts.contains_key("task"));
    deploy(&pool, "task", FakeScript::new(), &Options::default());
    assert_eq!(call(&pool, "task", Does::Echo(3)), Ok(3));
}
