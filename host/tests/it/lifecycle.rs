//! Startup, shutdown, and causes of shutdown.

use std::sync::Arc;
use std::time::Duration;

use isopod_host::{Cause, Context, End, Host, HostError, Module, Phase, PhaseResult, Reason, Shutdown, async_trait};
use proptest::prelude::*;

use crate::common::{Call, Does, Log, Probe};

#[test]
fn modules_go_up_phase_by_phase_in_order_and_down_in_reverse() {
    let log = Log::default();
    // Declared the wrong way round.
    let host = Host::builder()
        .module(Probe::new("b", &log).after("a"))
        .module(Probe::new("a", &log))
        .build();
    let running = host.unwrap().start_blocking().unwrap();
    assert_eq!(log.calls().len(), 10, "all phases of the way up");
    let report = running.stop_blocking().unwrap();
    let up = Phase::UP
        .map(|phase| [format!("{phase} a"), format!("{phase} b")])
        .concat();
    let down = Phase::DOWN
        .map(|phase| [format!("{phase} b"), format!("{phase} a")])
        .concat();
    assert_eq!(log.lines(), [up, down].concat());
    assert!(report.is_clean(), "{report}");
    assert_eq!(report.cause, Cause::Requested);
    assert_eq!(report.end("a", Phase::Run), Some(&End::Finished));
}

#[test]
fn a_module_that_fails_to_start_is_named_and_what_had_started_is_stopped() {
    let log = Log::default();
    let host = Host::builder()
        .module(Probe::new("a", &log))
        .module(Probe::new("b", &log).does(Phase::Start, Does::Fail))
        .module(Probe::new("c", &log))
        .build()
        .unwrap();
    let error = host.start_blocking().unwrap_err();
    assert_eq!(error.to_string(), "module `b` failed in phase `start`: b cannot start");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "b cannot start");
    let after = ["start b failed", "stop a", "close c", "close b", "close a"];
    assert!(log.lines().ends_with(&after.map(str::to_owned)), "{:?}", log.lines());
    assert_eq!(log.tasks(), 0, "also those of the module that failed");
    let cause = &error.report().unwrap().cause;
    assert_eq!(*cause, Cause::Failed { module: "b".into() });
}

#[test]
fn a_phase_that_takes_too_long_is_cut_even_if_it_blocks_its_thread() {
    struct Blocks(std::sync::mpsc::Receiver<()>);
    #[async_trait]
    impl Module for Blocks {
        fn name(&self) -> &str {
            "blocks"
        }
        async fn start(&mut self, _ctx: &Context) -> PhaseResult {
            let _ = self.0.recv();
            Ok(())
        }
    }
    let (release, blocked) = std::sync::mpsc::sync_channel(1);
    let limit = Duration::from_millis(50);
    let log = Log::default();
    let host = Host::builder()
        .module(Probe::new("a", &log))
        .module(Blocks(blocked))
        .limit(Phase::Start, limit)
        .limit(Phase::Close, limit)
        .build()
        .unwrap();
    let HostError::Module { failure, report } = host.start_blocking().unwrap_err() else {
        panic!("a failure");
    };
    assert!(
        matches!(failure.reason, Reason::TimedOut(of) if of == limit),
        "{failure}"
    );
    assert_eq!(
        report.end("blocks", Phase::Close),
        Some(&End::Cut),
        "its thread still has it"
    );
    assert!(log.lines().ends_with(&["stop a".to_owned(), "close a".to_owned()]));
    drop(release);
}

#[test]
fn a_task_that_fails_or_panics_stops_the_host() {
    struct Tasks(bool);
    #[async_trait]
    impl Module for Tasks {
        fn name(&self) -> &str {
            "tasks"
        }
        async fn ready(&mut self, ctx: &Context) -> PhaseResult {
            let panics = self.0;
            ctx.spawn(async move {
                assert!(!panics, "the roof is gone");
                Err("the disk is full")
            });
            Ok(())
        }
    }
    for (panics, why) in [(false, "the disk is full"), (true, "it panicked: the roof is gone")] {
        let log = Log::default();
        let host = Host::builder()
            .module(Probe::new("a", &log))
            .module(Tasks(panics))
            .build();
        let error = host.unwrap().run_blocking().unwrap_err();
        assert_eq!(
            error.to_string(),
            format!("module `tasks` failed in phase `run`: {why}")
        );
        assert_eq!(
            error.report().unwrap().end("tasks", Phase::Run),
            Some(&End::Failed(why.into()))
        );
        assert!(log.lines().ends_with(&["close a".to_owned()]));
    }
}

#[test]
fn a_task_that_does_not_end_is_dropped_at_the_limit() {
    struct Stubborn(Option<Arc<()>>);
    #[async_trait]
    impl Module for Stubborn {
        fn name(&self) -> &str {
            "stubborn"
        }
        async fn start(&mut self, ctx: &Context) -> PhaseResult {
            let held = self.0.take();
            ctx.spawn(async move {
                let _held = held;
                std::future::pending::<PhaseResult>().await
            });
            Ok(())
        }
    }
    let held = Arc::new(());
    let module = Stubborn(Some(Arc::clone(&held)));
    let host = Host::builder()
        .module(module)
        .limit(Phase::Stop, Duration::from_millis(20))
        .build();
    let error = host.unwrap().start_blocking().unwrap().stop_blocking().unwrap_err();
    let report = error.report().unwrap();
    assert_eq!(report.end("stubborn", Phase::Run), Some(&End::Cut));
    assert_eq!(
        report.end("stubborn", Phase::Stop),
        Some(&End::Finished),
        "the way down goes on"
    );
    assert_eq!(Arc::strong_count(&held), 1);
}

#[test]
fn a_panic_while_dropping_a_module_is_a_failure() {
    struct Owns(&'static str, Option<tokio::runtime::Runtime>);
    impl Module for Owns {
        fn name(&self) -> &str {
            self.0
        }
    }
    impl Drop for Owns {
        fn drop(&mut self) {
            assert!(self.1.is_some(), "it has lost its runtime");
        }
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    let host = Host::builder()
        .module(Owns("good", Some(runtime)))
        .module(Owns("bad", None))
        .build();
    let error = host.unwrap().start_blocking().unwrap().stop_blocking().unwrap_err();
    assert_eq!(
        error.to_string(),
        "module `bad` failed in phase `close`: it panicked: it has lost its runtime"
    );
    assert_eq!(error.report().unwrap().end("good", Phase::Close), Some(&End::Finished));
}

#[test]
fn any_future_stops_a_host_and_the_first_cause_counts() {
    let log = Log::default();
    let (send, sent) = flume::bounded::<()>(1);
    let when_sent = Shutdown::future(async move {
        let _ = sent.recv_async().await;
    });
    let never = Shutdown::future(std::future::pending());
    let host = Host::builder()
        .module(Probe::new("a", &log))
        .shutdown(never.or(when_sent))
        .build();
    let running = host.unwrap().start_blocking().unwrap();
    assert!(!running.handle().is_stopping());
    drop(send);
    assert_eq!(running.wait_blocking().unwrap().cause, Cause::Future);
}

#[test]
fn a_cut_starts_all_stops_without_waiting() {
    let log = Log::default();
    let host = Host::builder()
        .module(Probe::new("a", &log))
        .module(Probe::new("b", &log).does(Phase::Drain, Does::Hang))
        .limit(Phase::Drain, Duration::from_secs(3600))
        .build();
    let running = host.unwrap().start_blocking().unwrap();
    running.handle().cut();
    let error = running.wait_blocking().unwrap_err();
    assert_eq!(error.report().unwrap().end("b", Phase::Drain), Some(&End::Cut));
    let down = log.lines().split_off(10);
    assert_eq!(down.len(), 6, "{down:?}");
}

/// The behavior of a random module in each phase.
type Plan = Vec<(Vec<(usize, Does)>, Vec<usize>)>;

fn plans() -> impl Strategy<Value = Plan> {
    let does = prop_oneof![
        2 => Just(Does::Fail),
        2 => Just(Does::Panic),
        1 => Just(Does::Hang),
        2 => Just(Does::StopHost),
    ];
    let phases = Phase::UP.len() + Phase::DOWN.len();
    let faults = proptest::collection::vec((0..phases, does), 0..2);
    let depends_on = proptest::collection::vec(0_usize..8, 0..2);
    proptest::collection::vec((faults, depends_on), 1..6)
}

fn host_of(plan: &Plan, log: &Log, shutdown: Shutdown) -> Host {
    let phases = [&Phase::UP[..], &Phase::DOWN[..]].concat();
    // Long enough on a busy machine: only a hang reaches it.
    let limit = Duration::from_millis(250);
    let mut builder = phases
        .iter()
        .fold(Host::builder(), |builder, &phase| builder.limit(phase, limit));
    // Those that others depend on are declared last.
    for (index, (faults, depends_on)) in plan.iter().enumerate().rev() {
        let mut probe = Probe::new(&format!("m{index}"), log);
        for on in depends_on.iter().filter(|_| index > 0) {
            probe = probe.after(&format!("m{}", on % index));
        }
        for &(phase, does) in faults {
            probe = probe.does(phases[phase], does);
        }
        builder = builder.module(probe);
    }
    builder.shutdown(shutdown).build().unwrap()
}

fn position(calls: &[Call], module: &str, phase: Phase) -> Option<usize> {
    calls
        .iter()
        .position(|call| call.module == module && call.phase == phase)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn started_modules_are_stopped_once_in_reverse(
        plan in plans(),
        stop_at in proptest::option::of(0_usize..60),
    ) {
        let token = isopod_host::CancellationToken::new();
        let log = stop_at.map_or_else(Log::default, |at| Log::stopping_at(at, token.clone()));
        let host = host_of(&plan, &log, Shutdown::token(token));
        let ended = host.start_blocking().and_then(|running| running.stop_blocking());
        let calls = log.calls();

        let report = match &ended {
            Ok(report) => report,
            Err(error) => error.report().expect("no failure of the machine's"),
        };
        for (index, call) in calls.iter().enumerate() {
            // Once.
            prop_assert_eq!(position(&calls, &call.module, call.phase), Some(index));
            // The report says the same.
            let finished = report.end(&call.module, call.phase) == Some(&End::Finished);
            prop_assert_eq!(finished, call.finished, "{:?}\n{}", call, report);
            // Only started modules are stopped.
            if let Some(undone) = call.phase.undoes() {
                let begun = position(&calls, &call.module, undone);
                prop_assert!(begun.is_some_and(|begun| calls[begun].finished), "{:?} of {:?}", call, calls);
            }
        }
        // Phases are in order, shutdown after startup.
        prop_assert!(calls.is_sorted_by_key(|call| call.phase), "{:?}", calls);
        for (down, up) in Phase::DOWN.map(|down| (down, down.undoes().unwrap())) {
            // Everything started is stopped, in reverse.
            let of = |phase| calls.iter().filter(move |call| call.phase == phase);
            let started: Vec<_> = of(up).filter(|call| call.finished).map(|call| &call.module).collect();
            let stopped: Vec<_> = of(down).map(|call| &call.module).collect();
            let reversed: Vec<_> = started.into_iter().rev().collect();
            prop_assert_eq!(reversed, stopped, "{}", down);
        }
        // No module overtakes its dependencies.
        for (index, (_, depends_on)) in plan.iter().enumerate().filter(|(index, _)| *index > 0) {
            for on in depends_on.iter().map(|on| format!("m{}", on % index)) {
                for phase in Phase::UP {
                    if let Some(mine) = position(&calls, &format!("m{index}"), phase) {
                        prop_assert!(position(&calls, &on, phase).is_some_and(|its| its < mine));
                    }
                }
            }
        }
        // The first failure is reported; without failures there is no report.
        let first = calls.iter().find(|call| !call.finished);
        match (&ended, first) {
            (Ok(_) | Err(HostError::Stopped { .. }), None) => {}
            (Err(HostError::Module { failure, .. }), Some(call)) => {
                prop_assert_eq!((&*failure.module, failure.phase), (call.module.as_str(), call.phase));
            }
            other => prop_assert!(false, "{:?}", other),
        }
        prop_assert_eq!(log.tasks(), 0);
    }
}
