//! What events leave behind: work after the answer, half a change, built-ins that are not what they were; and what they
//! do in one call.

use crate::hostile::Arena;
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

/// The workers of the fixture `hostile`, whose script leaves something behind.
fn arena() -> (Arena, Project) {
    let project = Project::copy_of("hostile");
    project.write("worker.js", include_str!("../fixtures/leftovers.js"));
    (Arena::of(project.path()), project)
}

// row 16
#[test]
fn work_after_the_answer_is_finished_where_it_was_announced() {
    let (arena, _project) = arena();
    assert_eq!(arena.commit(&["/keeps"])[0].body, "answered");
    until("the announced work is done", || {
        (arena.get("/done").body == "kept").then_some(())
    });
    arena.recovers();
}

// row 16
#[test]
fn announced_work_has_a_limit_of_its_own_beyond_that_of_the_answer() {
    // The work takes longer than an answer may, and in the other project it never ends.
    let limits = |of: &str| format!("main = 'worker.js'\n[limits]\n{of}\n");
    let script = include_str!("../fixtures/leftovers.js");
    let project = Project::new(&[("isopod.toml", &limits("wall = '150ms'")), ("worker.js", script)]);
    let server = Serving::start(project.path());
    assert_eq!(server.get("/keeps").body, "answered");
    until("the announced work is done", || {
        (server.get("/done").body == "kept").then_some(())
    });
    let project = Project::new(&[("isopod.toml", &limits("wait_until = '150ms'")), ("worker.js", script)]);
    let server = Serving::start(project.path());
    assert_eq!(server.get("/keeps-on").verdict(), (200, "ok"));
    let too_long = "isopod_events_total{outcome=\"exceeded_wall\"}";
    until("the work is ended", || (server.metric(too_long) == 1).then_some(()));
    assert_eq!(server.metric_over_all("isopod_events_in_flight"), 0);
}

// row 18
#[test]
fn after_an_end_in_the_middle_of_a_change_a_clean_isolate_serves() {
    let (arena, _project) = arena();
    for _ in 0..3 {
        assert_eq!(arena.get("/mutated").body, "false");
        assert_eq!(arena.commit(&["/mutate"])[0].verdict(), (504, "exceeded_cpu"));
    }
    assert_eq!(arena.get("/mutated").body, "false");
    arena.recovers();
}

// row 19
#[test]
fn overridden_built_ins_lift_no_limit_and_are_gone_with_their_isolate() {
    let (arena, _project) = arena();
    for _ in 0..3 {
        assert_eq!(arena.commit(&["/override"])[0].verdict(), (504, "exceeded_cpu"));
        assert_eq!(arena.get("/overridden").body, "undefined");
    }
    assert!(!arena.server.log().contains("panicked"), "{}", arena.server.log());
    arena.recovers();
}

// row 7
#[test]
fn one_call_that_takes_too_much_ends_at_a_limit_or_as_an_error_of_the_script() {
    let (arena, _project) = arena();
    assert_eq!(arena.commit(&["/bigint"])[0].body, "RangeError");
    let answer = arena.commit(&["/huge-json"]).remove(0);
    let ends = [(500, "exceeded_memory"), (504, "exceeded_cpu"), (504, "exceeded_wall")];
    assert!(ends.contains(&answer.verdict()), "{answer:?}");
    arena.recovers();
}
