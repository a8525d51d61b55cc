//! Every accepted event ends in exactly one outcome, which its caller also gets, under any sequence of steps.

use std::collections::BTreeMap;
use std::sync::{Arc, Once};
use std::time::{Duration, Instant};

use crate::common::{LONG, builder, deploy, try_send, until};
use isopod_pool::fake::{Boot, Does, FakeScript};
use isopod_pool::{Meta, Options, Outcome, Policy, Recycle};
use proptest::prelude::*;

const SCRIPTS: [&str; 3] = ["a", "b", "c"];

#[derive(Clone, Debug)]
enum Step {
    Send {
        script: usize,
        kind: usize,
        deadline: Option<u64>,
    },
    /// Drops the ticket of an earlier event.
    Leave(usize),
    /// Releases a waiting event.
    Open,
    Deploy {
        script: usize,
        boot: usize,
        policy: usize,
        concurrency: usize,
        events: Option<u64>,
    },
    Undeploy(usize),
    Pause(u64),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..3usize, 0..9usize, prop::option::weighted(0.2, 1..8u64))
            .prop_map(|(script, kind, deadline)| Step::Send { script, kind, deadline }),
        3 => any::<usize>().prop_map(Step::Leave),
        1 => Just(Step::Open),
        3 => (0..3usize, 0..6usize, 0..4usize, 1..4usize, prop::option::of(1..4u64)).prop_map(
            |(script, boot, policy, concurrency, events)| Step::Deploy { script, boot, policy, concurrency, events }
        ),
        1 => (0..3usize).prop_map(Step::Undeploy),
        2 => (0..4u64).prop_map(Step::Pause),
    ]
}

fn does(kind: usize, gate: &flume::Receiver<()>) -> Does {
    match kind {
        0..=2 => Does::Echo(1),
        3 => Does::Wait(gate.clone()),
        4 => Does::Never,
        5 => Does::Throw,
        6 => Does::Panic,
        7 => Does::Condemn(Outcome::ExceededMemory),
        _ => Does::Spawn,
    }
}

fn boot(kind: usize) -> Boot {
    match kind {
        0..=2 => Boot::Ready,
        3 => Boot::After(Duration::from_millis(2)),
        4 => Boot::FailsTimes(1),
        _ => Boot::Hangs,
    }
}

/// Silences the expected panics, whose backtraces would take longer than the test.
fn quiet() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let loud = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if !std::thread::current()
                .name()
                .is_some_and(|name| name.starts_with("fake-"))
            {
                loud(info);
            }
        }));
    });
}

fn run(steps: Vec<Step>, limit: Option<u64>) -> Result<(), TestCaseError> {
    quiet();
    let pool = builder(2)
        .thread_name("fake")
        .wall_timeout(Duration::from_millis(15))
        .boot_timeout(Duration::from_millis(10))
        .queue_wait_max(Duration::from_millis(20))
        .queue_len_max(6)
        .displace_after(Duration::from_millis(1))
        .yield_after(Duration::from_millis(1))
        .cancel_grace(Duration::from_millis(5))
        .drop_drain(Duration::from_millis(5))
        .build()
        .expect("threads");
    let (mut gate_open, mut gate) = flume::bounded::<()>(1);
    let (mut sent, mut replies, mut scripts) = (Vec::new(), Vec::new(), Vec::new());
    for name in SCRIPTS {
        scripts.push(deploy(&pool, name, FakeScript::new(), &Options::default()));
    }
    for step in steps {
        match step {
            Step::Send { script, kind, deadline } => {
                let deadline = deadline.map(|ms| Instant::now() + Duration::from_millis(ms));
                if let Ok(event) = try_send(
                    &pool,
                    SCRIPTS[script],
                    does(kind, &gate),
                    Meta::default().deadline(deadline),
                ) {
                    replies.push(event.reply);
                    sent.push(event.ticket);
                }
            }
            Step::Leave(which) if !sent.is_empty() => drop(sent.swap_remove(which % sent.len())),
            Step::Leave(_) => {}
            Step::Open => {
                (gate_open, gate) = flume::bounded(1);
            }
            Step::Deploy {
                script,
                boot: kind,
                policy,
                concurrency,
                events,
            } => {
                let policy = [
                    Policy::PerWorker,
                    Policy::PerWorker,
                    Policy::PerRequest,
                    Policy::Oneshot,
                ][policy];
                let recycle = Recycle::default().events(events);
                let options = Options::default()
                    .policy(policy)
                    .concurrency(concurrency)
                    .recycle(recycle);
                scripts.push(deploy(
                    &pool,
                    SCRIPTS[script],
                    FakeScript::new().boot(boot(kind)),
                    &options,
                ));
            }
            Step::Undeploy(script) => drop(pool.undeploy(SCRIPTS[script])),
            // tidy:allow(sleep): one of the random steps lets time pass.
            Step::Pause(ms) => std::thread::sleep(Duration::from_millis(ms)),
        }
    }
    sent.into_iter().for_each(isopod_pool::Ticket::detach);
    let mut heard: BTreeMap<&str, u64> = Outcome::ALL.iter().map(|outcome| (outcome.as_str(), 0)).collect();
    let accepted = replies.len();
    // Events end by the pool's limits alone, or by the cut of a shutdown.
    let report = limit.map(|limit| pool.shutdown_blocking(Duration::from_millis(limit)));
    for reply in replies {
        let answer = reply
            .recv_timeout(LONG)
            .map_err(|_| TestCaseError::fail("an event was never answered"))?;
        let outcome = answer.map_or_else(|failure| failure.outcome, |_| Outcome::Ok);
        *heard.entry(outcome.as_str()).or_default() += 1;
        prop_assert!(reply.recv_timeout(LONG).is_err(), "an event was answered twice");
    }
    until(|| pool.stats().open == 0);
    // A dropped event is answered before it is counted.
    until(|| pool.stats().outcomes.values().sum::<u64>() == accepted as u64);
    let stats = pool.stats();
    prop_assert_eq!(stats.accepted, accepted as u64);
    prop_assert_eq!(stats.outcomes, heard);
    if let Some(report) = report {
        prop_assert_eq!((report.threads_joined, report.threads_stuck), (2, 0));
        prop_assert!(report.finished + report.cut <= accepted);
    }
    drop((pool, gate_open));
    for script in scripts {
        until(|| Arc::strong_count(&script) == 1);
        prop_assert_eq!((script.alive(), script.leftovers()), (0, 0));
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, max_shrink_iters: 40, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_accepted_event_ends_in_exactly_one_outcome(
        steps in prop::collection::vec(step(), 1..60), limit in prop::option::of(0..10u64),
    ) {
        run(steps, limit)?;
    }
}
