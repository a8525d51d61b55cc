//! Scripts that misbehave, met over HTTP: what their caller is told, that the process lives, and that workers beside them
//! go on answering.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use isopod_pool::js::{Limits, Pool, Script};
use isopod_pool::{Options, Outcome};

use crate::client::Answer;
use crate::process::until;
use crate::program::Serving;
use crate::project::{Project, fixture};

/// Asks for each misdeed on a server of its own while probes go to a worker beside it: all of them are answered, and
/// afterwards the misbehaved script answers again.
#[track_caller]
fn commit(misdeeds: &[&str]) -> Vec<Answer> {
    let mut server = Serving::start(fixture("hostile"));
    let done = AtomicBool::new(false);
    let (answers, probes) = std::thread::scope(|scope| {
        let probe = || {
            let (mut connection, mut answered) = (server.connect(), 0);
            while !done.load(Ordering::SeqCst) {
                assert_eq!(
                    connection.get("/beside").expect("an answer to a probe").verdict(),
                    (200, "ok")
                );
                answered += 1;
            }
            answered
        };
        let probes = [scope.spawn(probe), scope.spawn(probe)];
        let asked: Vec<_> = misdeeds
            .iter()
            .map(|path| scope.spawn(|| server.connect().get(path)))
            .collect();
        let answers: Vec<_> = asked.into_iter().map(|asked| asked.join()).collect();
        done.store(true, Ordering::SeqCst);
        (
            answers,
            probes.map(|probe| probe.join().expect("probes that are all answered")),
        )
    });
    let answers = answers
        .into_iter()
        .map(|answer| answer.expect("a thread").expect("an answer"))
        .collect();
    assert!(
        probes.iter().all(|answered: &usize| *answered > 0),
        "no probe was answered"
    );
    assert_eq!(server.get("/fine").body, "fine");
    assert!(server.lives());
    answers
}

#[track_caller]
fn all_end_as(misdeeds: &[&str], verdict: (u16, &str)) {
    for (misdeed, answer) in misdeeds.iter().zip(commit(misdeeds)) {
        assert_eq!(answer.verdict(), verdict, "{misdeed}: {}", answer.body);
    }
}

#[track_caller]
fn script_answers(misdeed: &str, text: &str) {
    let answers = commit(&[misdeed]);
    assert_eq!((answers[0].status, answers[0].body.as_str()), (200, text));
}

#[test]
fn an_endless_loop_is_a_504_soon_after_its_limit() {
    let server = Serving::start(fixture("hostile"));
    server.get("/fine");
    let start = Instant::now();
    assert_eq!(server.get("/loop").verdict(), (504, "exceeded_cpu"));
    // 200 ms of CPU time. On a machine that is shared the wall may well show more, though not the limit on wall time.
    assert!(start.elapsed() >= Duration::from_millis(200));
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    all_end_as(&["/loop"], (504, "exceeded_cpu"));
}

#[test]
fn a_loop_at_the_top_level_is_a_503_until_the_next_version() {
    let project = Project::new(&[
        ("isopod.toml", "main = 'worker.js'\n[limits]\nboot = '100ms'"),
        ("worker.js", "for (;;);"),
    ]);
    let server = Serving::start_with(project.path(), &["--watch"]);
    let answer = server.get("/");
    assert_eq!(answer.verdict(), (503, "boot_failed"));
    assert!(answer.body.contains("top-level code ran for"), "{}", answer.body);
    project.write("worker.js", "export default { fetch: () => new Response('mended') }");
    until("the next version answers", || {
        (server.get("/").body == "mended").then_some(())
    });
}

#[test]
fn endless_microtasks_are_a_504() {
    all_end_as(&["/microtasks"], (504, "exceeded_cpu"));
}

#[test]
fn endless_loops_in_callbacks_of_the_engine_are_a_504() {
    for misdeed in ["/sort", "/proxy", "/to-json"] {
        all_end_as(&[misdeed], (504, "exceeded_cpu"));
    }
}

#[test]
fn a_regular_expression_that_backtracks_is_a_504() {
    all_end_as(&["/regexp"], (504, "exceeded_cpu"));
}

#[test]
fn a_full_heap_is_a_500_and_the_process_lives() {
    let project = Project::copy_of("hostile");
    let settings = std::fs::read_to_string(project.file("isopod.toml")).expect("the fixture");
    // Filling a heap takes its time, and here it is not the time that is tested.
    project.write(
        "isopod.toml",
        &settings.replace("cpu = \"200ms\", wall = \"2s\"", "cpu = \"20s\", wall = \"30s\""),
    );
    let mut server = Serving::start(project.path());
    for misdeed in ["/heap-large", "/heap-small"] {
        let answer = server.get(misdeed);
        assert_eq!(answer.verdict(), (500, "exceeded_memory"), "{misdeed}: {}", answer.body);
        assert_eq!(server.get("/fine").body, "fine");
    }
    assert_eq!(server.get("/beside").status, 200);
    assert!(server.lives());
}

#[test]
fn webassembly_memory_cannot_grow_for_ever() {
    script_answers("/wasm-memory", "RangeError");
}

#[test]
fn deep_recursion_is_a_range_error() {
    script_answers("/recursion", "RangeError");
}

#[test]
fn deeply_nested_json_neither_crashes_nor_blocks() {
    let answers = commit(&["/patient/nested-json"]);
    assert_eq!(answers[0].status, 200, "{}", answers[0].body);
}

#[test]
fn a_million_rejections_are_one_500_and_a_bounded_log() {
    let mut server = Serving::start(fixture("hostile"));
    let answer = server.get("/patient/rejections");
    assert_eq!(answer.verdict(), (500, "exception"), "{}", answer.body);
    assert!(answer.body.contains("the one that counts"), "{}", answer.body);
    assert_eq!(server.get("/beside").status, 200);
    let lines = server.log().lines().count();
    assert!(lines < 1000, "{lines} lines of log");
    assert!(server.lives());
}

#[test]
fn a_response_that_can_never_come_is_a_500_at_once_and_one_that_is_late_a_504() {
    let server = Serving::start(fixture("hostile"));
    let never = server.get("/never");
    assert_eq!(never.verdict(), (500, "exception"));
    assert!(never.body.contains("will never answer"), "{}", never.body);
    assert_eq!(server.get("/late").verdict(), (504, "exceeded_wall"));
    assert_eq!(server.get("/fine").body, "fine");
}

#[test]
fn what_an_event_left_behind_is_not_the_answer_of_the_next() {
    let server = Serving::start(fixture("hostile"));
    for _ in 0..10 {
        assert_eq!(server.get("/trap").body, "trapped");
        assert_eq!(server.get("/fine").body, "fine");
    }
    let fresh: Vec<_> = (0..3).map(|_| server.get("/fresh").body).collect();
    assert_eq!(fresh, ["1", "1", "1"]);
}

#[test]
fn scripts_see_nothing_of_what_they_run_on() {
    script_answers("/deno", "undefined,undefined,undefined");
}

#[test]
fn an_event_that_is_awaiting_ends_at_its_deadline() {
    let pool = Pool::builder().threads(1).build().expect("a pool");
    let script = Script::builder("waits").source(
        "export const ready = () => true; export const wait = () => new Promise((resolve) => setTimeout(resolve, 60_000));",
    );
    let options = Options {
        wall_timeout: Some(Duration::from_millis(300)),
        ..Options::default()
    };
    pool.deploy("waits", script.build().expect("a script"), &options)
        .expect("a pool that runs");
    let call = |function| futures::executor::block_on(pool.call::<_, serde_json::Value>("waits", function, &()));
    call("ready").expect("an answer");
    let start = Instant::now();
    let failure = call("wait").expect_err("no answer");
    let took = start.elapsed();
    assert_eq!(failure.outcome, Outcome::ExceededWall);
    // Nothing burns CPU here, and yet the machine may be busy with other tests.
    assert!(
        took >= Duration::from_millis(300) && took < Duration::from_millis(600),
        "{took:?}"
    );
    call("ready").expect("the worker goes on");
}

#[test]
fn a_script_that_cannot_start_costs_three_starts_and_no_more() {
    let pool = Pool::builder().threads(1).build().expect("a pool");
    let limits = Limits {
        boot_cpu: Duration::from_millis(50),
        ..Limits::default()
    };
    let broken = Script::builder("broken")
        .source("throw new Error('always')")
        .limits(limits);
    pool.deploy("broken", broken.build().expect("a script"), &Options::default())
        .expect("a pool that runs");
    let failures: Vec<_> = (0..20)
        .map(|_| futures::executor::block_on(pool.call::<_, ()>("broken", "f", &())).expect_err("no worker"))
        .collect();
    assert!(
        failures.iter().all(|failure| failure.outcome == Outcome::BootFailed),
        "{failures:?}"
    );
    assert!(failures.last().expect("twenty").retry_after.is_some(), "{failures:?}");
    let stats = &pool.stats().scripts["broken"];
    // Within the test's second or two the breaker may already have let a probe through.
    assert!((3..=5).contains(&stats.boots_failed), "{} starts", stats.boots_failed);
}
