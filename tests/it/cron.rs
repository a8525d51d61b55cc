//! Cron triggers of `isopod serve`: fired at their times, one run at a time, manually on request, and not during
//! shutdown.

use crate::client::{Answer, Connection};
use crate::process::until;
use crate::program::{Serving, isopod, isopod_in};
use crate::project::Project;

/// Counts started and finished runs, and can delay one.
const WORKER: &str = "
const runs = []; let ended = 0; let released = false;
export default {
  async scheduled(controller, env, ctx) {
    runs.push({ cron: controller.cron, time: controller.scheduledTime, late: Date.now() - controller.scheduledTime });
    if (controller.cron === 'fail') throw new Error('not this time');
    while (env.WAIT && !released) await new Promise((done) => setTimeout(done, 10));
    ended += 1;
  },
  fetch(request) {
    if (new URL(request.url).pathname === '/release') released = true;
    return Response.json({ runs, ended });
  },
};";

fn project(settings: &str) -> Project {
    Project::new(&[
        ("isopod.toml", &format!("main = 'worker.js'\n{settings}")),
        ("worker.js", WORKER),
    ])
}

fn state(server: &Serving) -> serde_json::Value {
    serde_json::from_str(&server.get("/").body).expect("JSON")
}

#[test]
fn a_trigger_fires_each_second_with_the_time_it_was_due() {
    let project = project("crons = ['* * * * * *', '0 0 1 1 *']");
    let server = Serving::start(project.path());
    let runs = until("three runs", || {
        let runs = state(&server)["runs"].as_array().cloned()?;
        (runs.len() >= 3).then_some(runs)
    });
    let times: Vec<u64> = runs
        .iter()
        .map(|run| run["time"].as_u64().expect("whole milliseconds"))
        .collect();
    assert!(runs.iter().all(|run| run["cron"] == "* * * * * *"), "{runs:?}");
    assert!(times.iter().all(|time| time % 1000 == 0), "{times:?}");
    assert!(times.windows(2).all(|pair| pair[0] < pair[1]), "{times:?}");
    assert!(
        runs.iter()
            .all(|run| run["late"].as_i64().is_some_and(|late| late >= 0)),
        "none is early: {runs:?}"
    );
    assert!(server.metric("isopod_events_total{outcome=\"ok\"}") >= 3);
}

#[test]
fn a_long_run_skips_later_triggers() {
    let project = project("crons = ['* * * * * *']\nvars = { WAIT = 'yes' }");
    let server = Serving::start(project.path());
    until("a run is skipped", || {
        server
            .log()
            .contains("skipped: the previous run has not ended")
            .then_some(())
    });
    let now = state(&server);
    assert_eq!(
        (now["runs"].as_array().map(Vec::len), &now["ended"]),
        (Some(1), &0.into())
    );
    server.get("/release");
    until("the run has ended, and others have come", || {
        (state(&server)["ended"].as_u64() > Some(1)).then_some(())
    });
}

#[test]
fn a_shutdown_finishes_a_running_trigger() {
    let slow = "export default { async scheduled() {
        await new Promise((done) => setTimeout(done, 1500)); console.log('the run is done'); } }";
    let project = Project::new(&[
        ("isopod.toml", "main = 'worker.js'\ncrons = ['* * * * * *']"),
        ("worker.js", slow),
    ]);
    let mut server = Serving::start(project.path());
    until("a run begins", || {
        (server.metric("isopod_events_in_flight{worker=\"main\"}") == 1).then_some(())
    });
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    assert!(server.log().contains("the run is done"), "{}", server.log());
}

fn by_hand(server: &Serving, query: &str) -> Answer {
    let mut admin = Connection::open(server.admin).expect("an admin listener");
    admin.post(&format!("/__scheduled{query}"), "").expect("an answer")
}

#[test]
fn triggers_can_be_run_on_the_admin_listener_only() {
    let project = project("crons = ['0 0 1 1 *']");
    let server = Serving::start(project.path());
    let answer = by_hand(&server, "?cron=*+*+*+*+*");
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok\n"));
    assert_eq!(by_hand(&server, "").status, 200);
    let runs = state(&server)["runs"].clone();
    assert_eq!(
        (&runs[0]["cron"], &runs[1]["cron"]),
        (&"* * * * *".into(), &"0 0 1 1 *".into())
    );
    let failed = by_hand(&server, "?cron=fail");
    assert_eq!(failed.status, 500);
    assert!(
        failed.body.starts_with("exception: ") && failed.body.contains("worker.js:6"),
        "{}",
        failed.body
    );
    let nobody = by_hand(&server, "?worker=other");
    assert_eq!(
        (nobody.status, nobody.body.as_str()),
        (404, "add `worker=` and one of: main\n")
    );
    server.get("/__scheduled?cron=public");
    assert_eq!(
        state(&server)["runs"].as_array().map(Vec::len),
        Some(3),
        "it was the worker's to answer"
    );
}

#[test]
fn triggers_follow_the_configuration() {
    let project = project("crons = ['0 0 1 1 *']");
    let server = Serving::start_with(project.path(), &["--watch"]);
    assert_eq!(state(&server)["runs"].as_array().map(Vec::len), Some(0));
    project.write("isopod.toml", "main = 'worker.js'\ncrons = ['*/1 * * * * *']");
    until("the new trigger fires", || {
        (state(&server)["runs"][0]["cron"] == "*/1 * * * * *").then_some(())
    });
}

#[test]
fn an_invalid_expression_is_reported_with_its_place() {
    let project = project("crons = ['* * * * *', '61 * * * *']");
    let ended = isopod(&["check", &project.file("isopod.toml")]);
    assert_eq!(ended.code, Some(2));
    for part in ["isopod.toml:2:23", "`crons[1]` = \"61 * * * *\"", "*/15 * * * *"] {
        assert!(ended.stderr.contains(part), "no {part:?} in:\n{}", ended.stderr);
    }
}

#[test]
fn a_tick_runs_once_in_all_processes_of_a_project() {
    let project = project("crons = ['* * * * * *']");
    let servers = [
        Serving::start(project.path()),
        Serving::start(project.path()),
        Serving::start(project.path()),
    ];
    let times = until("six ticks", || {
        let runs = servers
            .iter()
            .flat_map(|server| state(server)["runs"].as_array().cloned().unwrap_or_default());
        let times: Vec<u64> = runs
            .map(|run| run["time"].as_u64().expect("whole milliseconds"))
            .collect();
        (times.len() >= 6).then_some(times)
    });
    let different: std::collections::BTreeSet<_> = times.iter().collect();
    assert_eq!(different.len(), times.len(), "{times:?}");
}

#[test]
fn the_command_lists_triggers_and_runs_one() {
    let worker = "export default { async scheduled(controller, env, ctx) {
        if (controller.cron === 'fail') throw new Error('not this time');
        ctx.waitUntil(env.KV.put('ran', controller.cron)); } };";
    let project = Project::new(&[
        (
            "isopod.toml",
            "main = 'worker.js'\ncrons = ['0 0 1 1 *', '0 0 2 1 *']\nkv_namespaces = [{ binding = 'KV' }]",
        ),
        ("worker.js", worker),
    ]);
    let cron = |arguments: &[&str]| isopod_in(project.path(), &[&["cron"], arguments].concat(), "");
    let listed: serde_json::Value = serde_json::from_str(&cron(&["list", "--json"]).stdout).expect("JSON");
    assert_eq!(listed[1]["cron"], "0 0 2 1 *");
    assert!(
        listed[1]["next"]
            .as_str()
            .is_some_and(|next| next.ends_with("-01-02T00:00:00Z")),
        "{listed}"
    );
    let ended = cron(&["trigger", "--json"]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    let ran: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(
        (&ran["worker"], &ran["cron"]),
        (&"main".into(), &"0 0 1 1 *".into()),
        "{ran}"
    );
    let stored = isopod_in(project.path(), &["kv", "key", "get", "ran"], "");
    assert_eq!(stored.stdout, "0 0 1 1 *");
    let ended = cron(&["trigger", "fail"]);
    assert!(
        ended.code == Some(1) && ended.stderr.contains("not this time"),
        "{}",
        ended.stderr
    );
    let ended = cron(&["trigger", "--worker", "other"]);
    assert!(
        ended.code == Some(1)
            && ended
                .stderr
                .contains("there is no worker \"other\"; the configuration has main"),
        "{}",
        ended.stderr
    );
}
