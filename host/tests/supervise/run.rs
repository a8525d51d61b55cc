//! Tasks: each ends in a result or an error, and is counted once.

use std::error::Error;
use std::future::pending;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use isopod_host::bus::{Bus, Delivery, SubscribeOptions, SystemEvent};
use isopod_host::supervise::{BoxError, Panicked, RunError, RunOptions, SpawnError, Supervisor, TaskStats};
use isopod_pool::{BreakerOptions, BreakerState, Failure, Outcome};

use crate::{Dropped, builder};

fn fails() -> Result<(), io::Error> {
    Err(io::Error::other("the disk is full"))
}

async fn panics() -> Result<(), BoxError> {
    panic!("it was {}", "wet")
}

async fn until(supervisor: &Supervisor, holds: impl Fn(TaskStats) -> bool) {
    while !holds(supervisor.stats().total) {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_crash_is_isolated_and_keeps_its_cause() {
    let supervisor = builder().build();
    assert_eq!(
        supervisor
            .run("ok", async { Ok::<_, BoxError>(7) })
            .await
            .expect("ends well"),
        7
    );
    let error = supervisor.run("disk", async { fails() }).await.expect_err("crashes");
    assert_eq!(error.to_string(), "`disk` crashed: the disk is full");
    assert!(error.source().is_some_and(|cause| cause.is::<io::Error>()));
    let error = supervisor.run("wet", panics()).await.expect_err("panics");
    let panicked = error.source().and_then(|cause| cause.downcast_ref::<Panicked>());
    assert_eq!(panicked.map(|panic| &*panic.message), Some("it was wet"));
    let stats = supervisor.stats();
    assert_eq!(
        (stats.total.finished, stats.total.crashed, stats.total.active),
        (1, 2, 0)
    );
    assert_eq!(stats.names["disk"].crashed, 1);
    assert_eq!(
        serde_json::to_value(&stats).expect("JSON")["names"]["wet"]["crashed"],
        1
    );
}

#[tokio::test(start_paused = true)]
async fn a_hanging_task_times_out() {
    let supervisor = builder().build();
    let begun = tokio::time::Instant::now();
    let error = supervisor
        .run("slow", pending::<Result<(), BoxError>>())
        .await
        .expect_err("hangs");
    assert!(matches!(error, RunError::TimedOut { after, .. } if after == Duration::from_secs(5)));
    assert_eq!(begun.elapsed().as_secs(), 5);
    let options = RunOptions::default().timeout(Duration::from_millis(100));
    let error = supervisor
        .run_with(options, "slow", pending::<Result<(), BoxError>>())
        .await;
    assert!(matches!(error, Err(RunError::TimedOut { after, .. }) if after == options.timeout));
    assert_eq!(supervisor.stats().names["slow"].timed_out, 2);
}

#[test]
fn a_blocking_task_times_out() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_time()
        .build()
        .expect("a runtime");
    let supervisor = Supervisor::builder(runtime.handle().clone()).build();
    let (release, released) = flume::bounded::<()>(1);
    let options = RunOptions::default().timeout(Duration::from_millis(50));
    let blocked = supervisor.run_with(options, "blocks", async move {
        let _ = released.recv();
        Ok::<_, BoxError>(())
    });
    let error = futures::executor::block_on(blocked).expect_err("blocks");
    assert!(matches!(error, RunError::TimedOut { .. }), "{error}");
    drop(release);
}

#[tokio::test]
async fn dropping_the_future_cancels_the_task() {
    let supervisor = builder().build();
    let (to, dropped) = flume::bounded(1);
    let held = Dropped(to);
    let (begins, begun) = flume::bounded(1);
    let running = supervisor.run("long", async move {
        let _held = held;
        let _ = begins.send(());
        pending::<Result<(), BoxError>>().await
    });
    begun.recv_async().await.expect("begins");
    drop(running);
    dropped.recv_async().await.expect("dropped");
    until(&supervisor, |stats| stats.canceled == 1 && stats.active == 0).await;
}

#[tokio::test]
async fn outcomes_of_a_pool_become_errors_of_the_supervisor() {
    let supervisor = builder().build();
    let run = |outcome| {
        let failure = Failure::new(outcome, "no").with_detail("at line 3");
        supervisor.run("js", async move { Err::<(), _>(failure) })
    };
    assert!(matches!(
        run(Outcome::ExceededWall).await,
        Err(RunError::TimedOut { .. })
    ));
    assert!(matches!(run(Outcome::Canceled).await, Err(RunError::Canceled { .. })));
    let error = run(Outcome::Exception).await.expect_err("crashes");
    assert_eq!(
        error.failure().and_then(|failure| failure.detail.as_deref()),
        Some("at line 3")
    );
}

#[tokio::test]
async fn spawned_tasks_are_bounded_and_a_full_supervisor_returns_the_task() {
    let supervisor = builder().tasks_max(1).build();
    let (release, released) = flume::bounded::<()>(1);
    let waits = async move {
        let _ = released.recv_async().await;
        fails()
    };
    supervisor.spawn("worker", waits).expect("room");
    let error = supervisor
        .spawn("worker", async { Ok::<_, BoxError>(()) })
        .expect_err("full");
    assert!(matches!(error, SpawnError::Full { tasks_max: 1, .. }));
    drop(release);
    until(&supervisor, |stats| stats.crashed == 1).await;
    let mut task = error.into_task();
    while let Err(error) = supervisor.spawn("worker", task) {
        task = error.into_task();
        tokio::task::yield_now().await;
    }
    until(&supervisor, |stats| stats.finished == 1 && stats.active == 0).await;
}

#[tokio::test(start_paused = true)]
async fn many_tasks_run_under_one_deadline_and_each_result_is_in_its_place() {
    let supervisor = builder().concurrency(2).build();
    let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let tasks: Vec<_> = (0..6)
        .map(|number: u64| {
            let (running, most) = (Arc::clone(&running), Arc::clone(&most));
            async move {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                // The first take longest, so that they end in another order than they begin.
                tokio::time::sleep(Duration::from_millis(100 - 10 * number)).await;
                running.fetch_sub(1, Ordering::Relaxed);
                match number {
                    1 => Err("one"),
                    3 => panic!("three"),
                    number => Ok(number),
                }
            }
        })
        .collect();
    let results = supervisor.run_all("batch", tasks, Duration::from_secs(1)).await;
    let texts: Vec<_> = results
        .into_iter()
        .map(|result| result.map_or_else(|error| error.to_string(), |number| number.to_string()))
        .collect();
    let crashed = |what: &str| format!("`batch` crashed: {what}");
    assert_eq!(
        texts,
        ["0", &crashed("one"), "2", &crashed("panicked: three"), "4", "5"]
    );
    assert_eq!(most.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn at_the_deadline_unfinished_tasks_time_out() {
    let supervisor = builder().concurrency(2).build();
    let begun = Arc::new(AtomicUsize::new(0));
    let tasks: Vec<_> = [Some(1), None, None, Some(1)]
        .map(|seconds: Option<u64>| {
            let begun = Arc::clone(&begun);
            async move {
                begun.fetch_add(1, Ordering::Relaxed);
                match seconds {
                    Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
                    None => pending().await,
                }
                Ok::<_, BoxError>(())
            }
        })
        .into();
    let results = supervisor.run_all("batch", tasks, Duration::from_secs(10)).await;
    let done: Vec<_> = results.iter().map(Result::is_ok).collect();
    assert_eq!(
        (done, begun.load(Ordering::Relaxed)),
        (vec![true, false, false, false], 3)
    );
    let whole = |result: &Result<(), RunError>| matches!(result, Err(RunError::TimedOut { after, .. }) if after.as_secs() == 10);
    assert!(results[1..].iter().all(whole), "{results:?}");
}

#[tokio::test]
async fn a_guarded_name_is_refused_once_it_has_failed_too_often() {
    let options = BreakerOptions::default().failures(2);
    let supervisor = builder().guard("disk", options).build();
    for _ in 0..2 {
        assert!(matches!(
            supervisor.run("disk", async { fails() }).await,
            Err(RunError::Crashed { .. })
        ));
    }
    let refused = supervisor.run("disk", async { Ok::<_, BoxError>(()) }).await;
    assert!(matches!(refused, Err(RunError::Refused { retry_after, .. }) if !retry_after.is_zero()));
    let error = supervisor.spawn("disk", async { fails() }).expect_err("refused");
    assert!(matches!(error, SpawnError::Refused { .. }));
    let stats = supervisor.stats();
    assert_eq!(
        (stats.names["disk"].refused, stats.breakers["disk"]),
        (2, BreakerState::Open)
    );
    assert!(supervisor.run("other", async { Ok::<_, BoxError>(()) }).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_waits_for_tasks_and_then_cuts_them() {
    let supervisor = builder().build();
    let ends = supervisor.run("ends", async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        Ok::<_, BoxError>(())
    });
    supervisor
        .spawn("hangs", pending::<Result<(), BoxError>>())
        .expect("room");
    let report = supervisor.shutdown(Duration::from_secs(3)).await;
    assert_eq!((report.cut, report.stuck), (1, 0));
    assert!(ends.await.is_ok());
    assert!(supervisor.spawn("late", async { fails() }).is_err());
    assert!(matches!(
        supervisor.run("late", async { fails() }).await,
        Err(RunError::Canceled { .. })
    ));
    assert_eq!(supervisor.stats().total.active, 0);
}

#[tokio::test]
async fn ends_of_tasks_are_published_on_the_bus() {
    let bus = Bus::new();
    let mut events = bus
        .subscribe("isopod.task.*", SubscribeOptions::default())
        .expect("a subscription");
    let supervisor = builder().bus(bus).build();
    let _ = supervisor.run("good", async { Ok::<_, BoxError>(()) }).await;
    let _ = supervisor.run("bad", async { fails() }).await;
    let mut told = Vec::new();
    while let Some(Delivery::Message(message)) = events.try_recv() {
        told.extend(SystemEvent::of(&message));
    }
    let [
        SystemEvent::TaskCompleted { name, .. },
        SystemEvent::TaskFailed {
            name: failed, error, ..
        },
    ] = &told[..]
    else {
        panic!("one completed and one failed, not {told:?}")
    };
    assert_eq!((&**name, &**failed), ("good", "bad"));
    assert!(error.contains("the disk is full"));
}

#[test]
fn the_end_of_a_runtime_cancels_its_operations() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_time()
        .build()
        .expect("a runtime");
    let supervisor = Supervisor::builder(runtime.handle().clone()).build();
    let running = supervisor.run("orphan", pending::<Result<(), BoxError>>());
    let all = supervisor.run_all(
        "orphans",
        [pending::<Result<(), BoxError>>(), pending()],
        Duration::from_secs(60),
    );
    drop(runtime);
    let (one, all) = futures::executor::block_on(async { (running.await, all.await) });
    let canceled = |result: &Result<(), RunError>| matches!(result, Err(RunError::Canceled { .. }));
    assert!(canceled(&one) && all.len() == 2 && all.iter().all(canceled));
}
