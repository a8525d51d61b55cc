//! Children: kept alive within limits, and stopped in reverse.

use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use isopod_host::supervise::{
    Backoff, BoxError, ChildContext, ChildSpec, ChildStop, GroupOptions, Intensity, Restart, Strategy,
};
use tokio::time::Instant;

use crate::builder;

/// The actions of children, in order.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<String>>>);

impl Log {
    fn say(&self, what: impl Into<String>) {
        self.0.lock().expect("no panic").push(what.into());
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().expect("no panic"))
    }

    async fn until(&self, count: usize) -> Vec<String> {
        while self.0.lock().expect("no panic").len() < count {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        self.take()
    }
}

/// Runs until its token fires, or crashes on a signal from `crash`.
fn child(name: &'static str, log: &Log, crash: Option<flume::Receiver<()>>) -> ChildSpec {
    let log = log.clone();
    ChildSpec::new(name, move |ctx: ChildContext| {
        let (log, crash) = (log.clone(), crash.clone());
        async move {
            log.say(format!("+{name}"));
            let crashed = async {
                match crash {
                    Some(crash) => drop(crash.recv_async().await),
                    None => pending().await,
                }
            };
            tokio::select! {
                () = ctx.token.cancelled() => {
                    log.say(format!("-{name}"));
                    Ok(())
                }
                () = crashed => Err("told to crash"),
            }
        }
    })
}

fn options(strategy: Strategy) -> GroupOptions {
    GroupOptions::default().strategy(strategy).seed(7)
}

#[tokio::test(start_paused = true)]
async fn a_crash_restarts_children_by_the_strategy() {
    for (strategy, wanted) in [
        (Strategy::OneForOne, vec!["+b"]),
        (Strategy::RestForOne, vec!["-c", "+b", "+c"]),
        (Strategy::OneForAll, vec!["-c", "-a", "+a", "+b", "+c"]),
    ] {
        let (supervisor, log) = (builder().build(), Log::default());
        let (crash, crashes) = flume::bounded(1);
        let specs = vec![
            child("a", &log, None),
            child("b", &log, Some(crashes)),
            child("c", &log, None),
        ];
        let group = supervisor.supervise(specs, options(strategy));
        assert_eq!(log.until(3).await, ["+a", "+b", "+c"]);
        crash.send(()).expect("b listens");
        assert_eq!(log.until(wanted.len()).await, wanted, "{strategy:?}");
        let report = group.stop().await.expect("in order");
        assert_eq!(log.take(), ["-c", "-b", "-a"]);
        assert_eq!((report.restarts, report.stopped.len()), (1, 3));
        let stats = supervisor.stats();
        assert_eq!(
            (stats.names["b"].restarts, stats.names["b"].crashed, stats.total.active),
            (1, 1, 0)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn restarts_back_off_until_the_group_gives_up() {
    let (supervisor, log) = (builder().build(), Log::default());
    let crashing = ChildSpec::new("crashing", |_| async { Err::<(), _>("bad start") })
        .backoff(Backoff::default().min(Duration::from_secs(1)).jitter(0.0));
    let begun = Instant::now();
    let mut options = options(Strategy::OneForOne);
    options.intensity = Intensity::default().restarts(3).within(Duration::from_secs(60));
    let group = supervisor.supervise(vec![child("a", &log, None), crashing, child("b", &log, None)], options);
    let escalated = group.await.expect_err("too many restarts");
    assert_eq!(begun.elapsed().as_secs(), 1 + 2 + 4);
    assert_eq!(&*escalated.child, "crashing");
    assert_eq!(
        escalated.cause.as_ref().map(ToString::to_string).as_deref(),
        Some("bad start")
    );
    let stopped: Vec<_> = escalated.report.stopped.iter().map(|child| &*child.name).collect();
    assert_eq!(stopped, ["b", "a"]);
    assert_eq!(log.take(), ["+a", "+b", "-b", "-a"]);
    let stats = supervisor.stats();
    assert_eq!(
        (stats.names["crashing"].crashed, stats.names["crashing"].restarts),
        (4, 3)
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_ends_with_its_last_child() {
    let (supervisor, log) = (builder().build(), Log::default());
    let crashes_once = |restart| {
        let log = log.clone();
        ChildSpec::new("child", move |ctx: ChildContext| {
            log.say(format!("{restart:?} {}", ctx.restarts));
            // The first start panics in the function itself, not in its future.
            assert!(ctx.restarts > 0, "first start");
            async { Ok::<_, BoxError>(()) }
        })
        .restart(restart)
    };
    let specs = vec![crashes_once(Restart::Transient), crashes_once(Restart::Temporary)];
    let report = supervisor
        .supervise(specs, options(Strategy::OneForOne))
        .await
        .expect("all done");
    assert_eq!(report.restarts, 1);
    assert_eq!(log.take(), ["Transient 0", "Temporary 0", "Transient 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_child_that_does_not_end_in_time_is_aborted_and_the_others_still_end_in_order() {
    let (supervisor, log) = (builder().build(), Log::default());
    let deaf = ChildSpec::new("deaf", |_| pending::<Result<(), BoxError>>()).stop_within(Duration::from_secs(2));
    let group = supervisor.supervise(vec![child("a", &log, None), deaf], options(Strategy::OneForOne));
    log.until(1).await;
    let begun = Instant::now();
    let report = group.stop().await.expect("in order");
    assert_eq!(begun.elapsed().as_secs(), 2);
    let stops: Vec<_> = report.stopped.iter().map(|child| (&*child.name, &child.stop)).collect();
    assert_eq!(stops, [("deaf", &ChildStop::Aborted), ("a", &ChildStop::Finished)]);
    assert_eq!(supervisor.stats().names["deaf"].canceled, 1);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_a_child_of_another_which_hears_of_its_end() {
    let (supervisor, log) = (builder().build(), Log::default());
    let inner = {
        let (supervisor, log) = (supervisor.clone(), log.clone());
        ChildSpec::new("inner", move |ctx: ChildContext| {
            log.say("+inner");
            let crashing = ChildSpec::new("crashing", |_| async { Err::<(), _>("always") });
            let options = GroupOptions::default()
                .name("inner")
                .intensity(Intensity::default().restarts(1).within(Duration::from_secs(60)))
                .token(ctx.token);
            let group = supervisor.supervise(vec![crashing], options);
            async move { group.await.map(drop) }
        })
    };
    let mut outer = options(Strategy::OneForOne);
    outer.intensity.restarts = 2;
    let escalated = supervisor.supervise(vec![inner], outer).await.expect_err("gives up");
    let cause = escalated.cause.expect("a cause").to_string();
    assert!(cause.contains("the group `inner` gave up: `crashing`"), "{cause}");
    assert_eq!(log.take().len(), 3);
    assert_eq!(supervisor.stats().names["crashing"].crashed, 6);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_of_the_supervisor_stops_its_groups_and_dropping_a_group_aborts_it() {
    let (supervisor, log) = (builder().build(), Log::default());
    let group = supervisor.supervise(
        vec![child("a", &log, None), child("b", &log, None)],
        options(Strategy::OneForAll),
    );
    let dropped = supervisor.supervise(vec![child("c", &log, None)], options(Strategy::OneForOne));
    log.until(3).await;
    drop(dropped);
    let report = supervisor.shutdown(Duration::from_secs(10)).await;
    assert_eq!((report.cut, report.stuck), (0, 0));
    assert_eq!(log.take(), ["-b", "-a"]);
    assert_eq!(group.await.expect("in order").stopped.len(), 2);
    assert_eq!(supervisor.stats().names["c"].canceled, 1);
}
