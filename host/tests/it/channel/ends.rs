//! Processes that break the protocol.

use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::executor::block_on;
use isopod_host::process::{Channel, ModuleRequest};
use isopod_host::supervise::{Intensity, Restart};
use isopod_host::{Host, TaskResponse};
use isopod_pool::Outcome;
use serde_json::json;

use super::{channel, child, start};

/// Starts a host with a process that does not register itself. Returns the error.
fn refused(does: &str, channel: Channel) -> String {
    let host = Host::builder().module(child(does).channel(channel)).build().unwrap();
    host.start_blocking().unwrap_err().to_string()
}

// row 47
#[test]
fn an_invalid_registration_fails_its_module() {
    let error = refused("garbage", channel());
    assert!(error.contains("module `child` failed in phase `ready`"), "{error}");
    // What the test program itself prints first goes to standard output.
    assert!(error.contains("first byte is 71"), "{error}");
    let error = refused("silence", channel().hello_within(Duration::from_millis(200)));
    assert!(error.contains("did not register itself within 200ms"), "{error}");
    let error = refused("wrong", channel());
    assert!(error.contains("it chains `missing`"), "{error}");
}

#[test]
fn a_task_whose_process_exits_is_answered_and_the_next_process_serves() {
    let host = start(child("work").channel(channel()));
    let mut told = host.system("isopod.module.*");
    let failure = host.run("exit", json!(7)).unwrap_err();
    assert_eq!(failure.outcome, Outcome::WorkerLost);
    assert!(failure.message.contains("exit status: 7"), "{failure}");
    let (code, signal, reason) = told.exit();
    assert_eq!((code, signal), (Some(7), None), "{reason}");
    assert_eq!(host.run("add", json!([1, 2])), Ok(json!(3)));
    host.stop();
}

#[test]
fn a_retriable_task_is_restarted_and_reported() {
    let host = start(child("work").channel(channel().retries(1)));
    let task = host.tasks.run(ModuleRequest::new("exit").payload(json!(7)));
    let responses: Vec<_> = block_on(task.collect());
    assert!(
        matches!(&responses[..], [TaskResponse::Retried { attempt: 1 }, TaskResponse::End(Ok(attempt))] if attempt.as_json() == Some(&json!(1))),
        "{responses:?}"
    );
    host.stop();
}

#[test]
fn a_module_that_ends_too_often_stops_the_host() {
    let host = start(child("work").channel(channel().intensity(Intensity::default().restarts(1_usize))));
    for _ in 0..2 {
        assert_eq!(host.run("exit", json!(1)).unwrap_err().outcome, Outcome::WorkerLost);
    }
    let error = host.running.wait_blocking().unwrap_err().to_string();
    assert!(error.contains("gave up") && error.contains("`child`"), "{error}");
    // Nothing hangs afterwards.
    let failure = block_on(host.tasks.run(ModuleRequest::new("add")).finish()).unwrap_err();
    assert_eq!(failure.outcome, Outcome::WorkerLost);
}

#[test]
fn the_tasks_of_an_unrestarted_process_are_answered() {
    let host = start(child("work").channel(channel().restart(Restart::Temporary)));
    assert_eq!(host.run("exit", json!(1)).unwrap_err().outcome, Outcome::WorkerLost);
    let failure = host.run("add", json!([1, 2])).unwrap_err();
    assert_eq!(failure.outcome, Outcome::WorkerLost, "{failure}");
    host.stop();
}

// row 46
#[test]
fn a_stopped_process_is_noticed_and_replaced() {
    let host = start(child("work").channel(channel().silence_max(Duration::from_millis(300))));
    let pid = host.run("pid", json!(null)).unwrap().as_i64().unwrap();
    let mut told = host.system("isopod.module.exited");
    let pid = rustix::process::Pid::from_raw(i32::try_from(pid).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::STOP).unwrap();
    let (_, signal, reason) = told.exit();
    assert_eq!(signal, Some(9));
    assert!(reason.contains("did not answer for 300ms"), "{reason}");
    assert_eq!(host.run("add", json!([1, 2])), Ok(json!(3)));
    host.stop();
}

// row 47
#[test]
fn a_process_that_does_not_read_is_killed() {
    let host = start(child("flood").channel(channel().silence_max(Duration::from_millis(300))));
    let mut told = host.system("isopod.module.exited");
    let (_, signal, reason) = told.exit();
    assert_eq!(signal, Some(9));
    assert!(reason.contains("did not answer"), "{reason}");
    drop(host.running.stop_blocking());
}

#[test]
fn a_task_is_canceled_at_its_deadline_and_when_it_is_dropped() {
    let host = start(child("work").channel(channel()));
    let request = ModuleRequest::new("hang").deadline(Duration::from_millis(200));
    let failure = block_on(host.tasks.run(request).finish()).unwrap_err();
    assert_eq!(failure.outcome, Outcome::ExceededWall);
    // More than the process takes at once: each frees its place when it is dropped.
    for _ in 0..10 {
        let mut task = host.tasks.run(ModuleRequest::new("hang"));
        assert!(matches!(block_on(task.next()), Some(TaskResponse::Progress(_))));
    }
    assert_eq!(host.run("add", json!([1, 2])), Ok(json!(3)));
    host.stop();
}

// row 48
#[test]
fn a_task_that_ignores_its_cancellation_ends_its_process() {
    let host = start(child("work").channel(channel().cancel_grace(Duration::from_millis(300))));
    let mut told = host.system("isopod.module.exited");
    let request = ModuleRequest::new("spin").deadline(Duration::from_millis(100));
    assert_eq!(
        block_on(host.tasks.run(request).finish()).unwrap_err().outcome,
        Outcome::ExceededWall
    );
    let (_, _, reason) = told.exit();
    assert!(reason.contains("did not end task"), "{reason}");
    assert_eq!(host.run("add", json!([1, 2])), Ok(json!(3)));
    host.stop();
}

#[test]
fn waiting_tasks_have_their_deadline_while_there_is_no_process() {
    let backoff = isopod_host::supervise::Backoff::default()
        .min(Duration::from_secs(600))
        .max(Duration::from_secs(600));
    let host = start(child("work").channel(channel().backoff(backoff)));
    let mut told = host.system("isopod.module.exited");
    assert_eq!(host.run("exit", json!(1)).unwrap_err().outcome, Outcome::WorkerLost);
    told.exit();
    let begun = Instant::now();
    let request = ModuleRequest::new("add")
        .payload(json!([1, 2]))
        .deadline(Duration::from_millis(100));
    let failure = block_on(host.tasks.run(request).finish()).unwrap_err();
    assert_eq!(failure.outcome, Outcome::ExceededWall);
    assert!(begun.elapsed() < Duration::from_secs(60));
    host.stop();
}

#[test]
fn a_full_queue_returns_the_work() {
    let host = start(child("work").channel(channel().queue_max(2).tasks_max(1)));
    let mut first = host.tasks.run(ModuleRequest::new("hang"));
    assert!(matches!(block_on(first.next()), Some(TaskResponse::Progress(_))));
    let waiting: Vec<_> = (0..2).map(|_| host.tasks.run(ModuleRequest::new("hang"))).collect();
    let failure = host.run("add", json!([1, 2])).unwrap_err();
    assert_eq!(failure.outcome, Outcome::LoadShed, "{failure}");
    drop((first, waiting));
    assert_eq!(host.run("add", json!([1, 2])), Ok(json!(3)));
    host.stop();
}
