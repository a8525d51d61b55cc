//! Deadlines for the code of an event, or of a start; and how many events a worker can take.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::common::{drive, fetch_event, on_worker_thread, script};
use isopod_runtime::handlers::{Body, Event, EventKind, Fault, FaultKind};
use isopod_runtime::values::IntoArguments;
use isopod_runtime::{BootOptions, Compatibility, NodeCompat, Worker};

const BURN: &str = "const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));";

/// Starts calls of these functions, each with a deadline this long from now, and returns their results.
fn calls_until(source: &str, calls: &[(&'static str, Duration)]) -> Vec<Result<serde_json::Value, Fault>> {
    let script = Arc::new(script(source).build().unwrap());
    let calls = calls.to_vec();
    on_worker_thread(move |thread| async move {
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await.unwrap();
        let now = Instant::now();
        let mut answers = Vec::new();
        for (function, until) in calls {
            let (reply, answer) = isopod_runtime::values::answer();
            let kind = EventKind::Call {
                function: function.to_owned(),
                arguments: ().into_arguments(),
                reply,
            };
            let event = Event { entrypoint: None, kind };
            worker.begin_until(event, Some(now + until));
            answers.push((answer, None));
        }
        drive(&mut worker, || {
            for (answer, given) in &mut answers {
                *given = given.take().or_else(|| answer.try_recv().ok().flatten());
            }
            answers.iter().all(|(_, given)| given.is_some()).then_some(())
        })
        .await;
        answers.into_iter().map(|(_, given)| given.unwrap()).collect()
    })
}

const SOON: Duration = Duration::from_millis(100);

#[test]
fn a_loop_that_runs_past_its_deadline_is_ended_below_its_cpu_limit() {
    for body in [
        "for (;;) {}",
        "await null; for (;;) {}",
        "await sleep(10); for (;;) {}",
        "(function f() { Promise.resolve().then(f) })(); return new Promise(() => {});",
        "for (;;) await null;",
        "[3, 1, 2].sort(() => { for (;;) {} })",
        "/(a+)+b/.test('a'.repeat(40))",
        "await sleep(10); /(a+)+b/.test('a'.repeat(40))",
    ] {
        let start = Instant::now();
        let source = format!("{BURN} export async function spin() {{ {body} }}");
        let ended = calls_until(&source, &[("spin", SOON)]).remove(0);
        assert_eq!(ended.unwrap_err().kind, FaultKind::ExceededWall, "{body}");
        // Its CPU limit is 10 s.
        assert!(
            (SOON..Duration::from_secs(5)).contains(&start.elapsed()),
            "{body}: {:?}",
            start.elapsed()
        );
    }
}

#[test]
fn the_event_past_its_deadline_is_blamed() {
    let source = format!(
        "{BURN} export async function spin() {{ await sleep(10); for (;;) {{}} }}
         export async function wait() {{ await sleep(60_000); }}"
    );
    let far = Duration::from_secs(60);
    let kinds = |calls: &[_]| -> Vec<_> {
        let ended = calls_until(&source, calls).into_iter();
        ended
            .map(|ended| ended.unwrap_err())
            .map(|fault| (fault.kind, fault.retry_after.is_some()))
            .collect()
    };
    let (wall, lost) = ((FaultKind::ExceededWall, false), (FaultKind::WorkerLost, true));
    assert_eq!(kinds(&[("wait", far), ("spin", SOON)]), [lost, wall]);
    // The running event's code is not ended because another one waits.
    assert_eq!(kinds(&[("wait", SOON), ("spin", SOON * 4)]), [lost, wall]);
}

#[test]
fn top_level_code_that_runs_past_the_time_to_start_is_ended_below_its_cpu_limit() {
    for source in ["for (;;) {}", "await null; for (;;) {}"] {
        let script = Arc::new(script(source).build().unwrap());
        let start = Instant::now();
        let fault = on_worker_thread(move |thread| async move {
            let options = BootOptions {
                stop_at: Some(Instant::now() + SOON),
                ..BootOptions::default()
            };
            Worker::boot(&thread, &script, options).await.err().unwrap()
        });
        assert_eq!(fault.kind, FaultKind::BootFailed);
        assert!(fault.message.contains("time to start"), "{fault}");
        assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    }
}

#[test]
fn a_worker_takes_its_maximum_of_events() {
    let source = format!(
        "{BURN} export default {{ async fetch(request) {{
        await sleep(1);
        return new Response(`${{await request.text()}} ${{new URL(request.url).pathname}}`);
    }} }}"
    );
    let script = Arc::new(script(&source).build().unwrap());
    let answers = on_worker_thread(move |thread| async move {
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await.unwrap();
        worker.skip_events(Worker::EVENTS_MAX - 2);
        let mut answers = Vec::new();
        for n in 0..3 {
            let (reply, mut answer) = futures::channel::oneshot::channel();
            let body = Body::from("body");
            let request = http::Request::post(format!("http://localhost/{n}")).body(body).unwrap();
            let key = worker.begin(fetch_event(request, reply));
            assert!(key > Worker::EVENTS_MAX - 2 && i32::try_from(key).is_ok());
            let answer = drive(&mut worker, || answer.try_recv().ok().flatten()).await;
            answers.push(answer.map(|response| response.status()));
        }
        answers
    });
    let kinds: Vec<_> = answers
        .into_iter()
        .map(|answer| answer.map_err(|fault| fault.kind))
        .collect();
    assert_eq!(
        kinds,
        [
            Ok(http::StatusCode::OK),
            Ok(http::StatusCode::OK),
            Err(FaultKind::WorkerLost)
        ]
    );
}

#[test]
fn no_module_is_loaded_after_the_deadline_of_a_start() {
    for node in [NodeCompat::Off, NodeCompat::Full] {
        let script = script("export function one() { return 1 }").compatibility(Compatibility::default().node(node));
        let script = Arc::new(script.build().unwrap());
        let (late, next) = on_worker_thread(move |thread| async move {
            let options = |stop_at| BootOptions {
                stop_at,
                ..BootOptions::default()
            };
            let late = Worker::boot(&thread, &script, options(Some(Instant::now())))
                .await
                .map(drop);
            let far = Instant::now() + Duration::from_secs(60);
            let next = Worker::boot(&thread, &script, options(Some(far))).await.map(drop);
            (late, next)
        });
        let late = late.unwrap_err();
        assert_eq!(late.kind, FaultKind::BootFailed);
        assert!(late.message.contains("limits.boot"), "{}", late.message);
        assert!(next.is_ok(), "{next:?}");
    }
}
