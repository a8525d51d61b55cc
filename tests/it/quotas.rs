//! Configured quotas of workers: timers, requests, log lines.

use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

#[test]
fn the_configuration_says_what_an_event_may_use_and_the_error_names_its_key() {
    let project = Project::new(&[
        (
            "isopod.toml",
            "main = 'worker.js'\n[limits]\ntimers = 3\nmessage = '1 KiB'\nlog_lines = 2",
        ),
        (
            "worker.js",
            "export default { fetch(request) {
                try { for (let i = 0; i < 1e6; i++) { setTimeout(() => {}, 1); console.log(`line ${i}`); } }
                catch (error) { return new Response(`${error.name}: ${error.message}`); }
            } }",
        ),
    ]);
    let server = Serving::start(project.path());
    let answer = server.get("/");
    assert_eq!(answer.verdict(), (200, "ok"));
    assert!(
        answer
            .body
            .starts_with("QuotaExceededError: the worker has reached its limit of 3 timers")
            && answer.body.contains("`limits.timers`"),
        "{}",
        answer.body
    );
    until("the end of the event is logged", || {
        server.log().contains("dropped 1 log lines of an event").then_some(())
    });
    let log = server.log();
    assert!(log.contains("line 1") && !log.contains("line 2"), "{log}");
    assert!(log.contains("further output is dropped"), "{log}");
}

#[test]
fn a_worker_that_fetches_itself_ends_with_508() {
    let project = Project::new(&[
        (
            "isopod.toml",
            "main = 'worker.js'\nthreads = 1\n[network]\nallow_private = true\n[ingress]\ndepth_max = 4",
        ),
        (
            "worker.js",
            "let calls = 0; let seen = 0;
            export default { async fetch(request) {
                if (new URL(request.url).pathname === '/count') return Response.json([calls, seen]);
                calls += 1;
                if (request.headers.has('x-isopod-depth')) seen += 1;
                return fetch(request.url, { headers: { 'x-isopod-depth': '0' } });
            } }",
        ),
    ]);
    let server = Serving::start(project.path());
    let host = server.address.to_string();
    let mut connection = server.connect();
    let answer = connection.send(&format!("GET / HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    assert_eq!(answer.expect("an answer").status, 508);
    assert_eq!(server.get("/count").body, "[5,0]");
}
