//! Misbehaviors, and the permitted results of each.

use super::{Scene, Wrong, describe};
use crate::client::{Answer, request};
use crate::plan::{BURNERS, Company};

type Verdict = (u16, &'static str);

const OK: Verdict = (200, "ok");
const EXCEPTION: Verdict = (500, "exception");
const CPU: Verdict = (504, "exceeded_cpu");
const WALL: Verdict = (504, "exceeded_wall");
const MEMORY: Verdict = (500, "exceeded_memory");
const LOST: Verdict = (502, "worker_lost");
const SHED: Verdict = (503, "load_shed");

/// Runs one, and checks its result.
pub(super) async fn commit(scene: &Scene<'_>, path: &str, company: Company) -> Result<(), Wrong> {
    let worker = match company {
        Company::Alone => "alone",
        Company::Crowd => "crowd",
    };
    let answer = scene.ask(request(worker, path, "", None), false).await?;
    check(&answer, may_end_as(path, company))
}

/// Calls an uninterruptible built-in function: the caller gets its response, and the thread is given up.
pub(super) async fn lose_thread(scene: &Scene<'_>) -> Result<(), Wrong> {
    let answer = scene.ask(request("endless", "/", "", None), true).await?;
    check(&answer, &[CPU, WALL, LOST])
}

fn check(answer: &Answer, allowed: &[Verdict]) -> Result<(), Wrong> {
    let verdict = (answer.head.status, answer.head.outcome());
    let fits = allowed.contains(&verdict);
    fits.then_some(())
        .ok_or_else(|| format!("one of {allowed:?} was expected, {}", describe(answer)))
}

/// Events that wait behind others may time out or be shed; those that share an isolate may end with it.
fn may_end_as(path: &str, company: Company) -> &'static [Verdict] {
    match (company, path) {
        (Company::Crowd, _) => &[OK, EXCEPTION, CPU, WALL, MEMORY, LOST, SHED],
        // Whichever limit is reached first.
        (Company::Alone, "/heap-large" | "/heap-small") => &[MEMORY, CPU, WALL, SHED],
        (Company::Alone, "/late") => &[WALL, SHED],
        (Company::Alone, "/never") => &[EXCEPTION, WALL, SHED],
        (Company::Alone, path) if BURNERS.contains(&path) => &[CPU, WALL, SHED],
        (Company::Alone, _) => &[OK, WALL, SHED],
    }
}
