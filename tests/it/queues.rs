//! Queues of the built program: producers, consumers and dead letters, and `isopod queue`.

use serde_json::{Value as Json, json};

use crate::process::until;
use crate::program::{Serving, isopod_in};
use crate::project::Project;
use crate::transcript;

/// Intended differences from workerd with miniflare's broker: the step, Isopod's result and the reason.
fn differences() -> Vec<(&'static str, Json, &'static str)> {
    let fails = |what: &str| json!({ "throws": format!("Error: Queue {what}") });
    let said = "workerd says `Unknown Internal Error` for what the broker answers, and this is the broker's answer";
    let precedence = "the broker decides about the whole batch; the platform's documentation says that a decision about a message \
                      goes before, and that what is acknowledged is not delivered again";
    let metrics = json!({ "backlogCount": "number", "backlogBytes": "number", "oldestMessageTimestamp": "object" });
    let backlog =
        "the backlog here includes the messages that are delayed or being handled, and so that which was sent";
    vec![
        ("send returns", metrics.clone(), backlog),
        ("sendBatch returns", metrics.clone(), backlog),
        ("a delay of 86,400", metrics.clone(), backlog),
        (
            "the batch",
            json!([
                "[object QueueController]",
                "QueueController",
                ["metadata", "queue", "messages"],
                ["ackAll", "constructor", "retryAll"],
                true,
                false,
                true,
                metrics,
                "function"
            ]),
            "the backlog, and `batch.messages` is one list, where workerd makes another each time",
        ),
        (
            "json of a function",
            json!({ "throws": "TypeError: Message body cannot be written as JSON: it is a function" }),
            "workerd sends nothing, which the broker cannot read",
        ),
        (
            "json of a symbol",
            json!({ "throws": "TypeError: Message body cannot be written as JSON: it is a symbol" }),
            "workerd sends nothing, which the broker cannot read",
        ),
        (
            "128,001 bytes",
            fails("send failed: message length of 128001 bytes exceeds limit of 128000"),
            said,
        ),
        (
            "128,001 bytes in a batch",
            fails(
                "sendBatch failed: message in batch has length 128001 bytes which exceeds single message size limit of 128000",
            ),
            said,
        ),
        (
            "a batch of 101",
            fails("sendBatch failed: batch message count exceeds limit of 100"),
            "an iterator is read no further",
        ),
        (
            "a batch of 300,000 bytes",
            fails("sendBatch failed: batch size of 300000 bytes exceeds limit of 256000"),
            said,
        ),
        (
            "a delay of 86,401",
            fails("send failed: message delay 86401 is invalid: it must be 0 to 86400 seconds"),
            said,
        ),
        (
            "a negative delay",
            fails("send failed: message delay -1 is invalid: it must be 0 to 86400 seconds"),
            said,
        ),
        (
            "a delay of 86,401 in a batch",
            fails("sendBatch failed: message delay 86401 is invalid: it must be 0 to 86400 seconds"),
            said,
        ),
        (
            "ack before a failure",
            json!([["main", "a1 b1 c1"], ["main", "b2 c2"]]),
            precedence,
        ),
        ("ackAll before a failure", json!([["main", "a1 b1 c1"]]), precedence),
        (
            "ack, then retryAll",
            json!([["main", "a1 b1 c1"], ["main", "b2 c2"]]),
            precedence,
        ),
    ]
}

/// Source: queues.json, the transcript of workerd 1.20260426.1 with miniflare 4's broker for the same worker.
#[test]
fn a_queue_behaves_as_on_workerd() {
    let project = Project::copy_of("bindings");
    project.write(
        "wrangler.json",
        r#"{ "name": "x", "main": "queues.js", "compatibility_date": "2026-04-01", "queues": {
            "producers": [{ "binding": "QUEUE", "queue": "main" }],
            "consumers": [
                { "queue": "main", "max_batch_size": 10, "max_batch_timeout": 0, "max_retries": 2, "dead_letter_queue": "dead" },
                { "queue": "dead", "max_batch_size": 10, "max_batch_timeout": 0 }] } }"#,
    );
    let server = Serving::start_with(project.path(), &["--threads", "1"]);
    let steps = transcript::compare(&server.get("/").body, "queues.json", &differences());
    assert!(steps > 80);
}

/// A consumer that counts messages, and is slow with texts that begin with `slow`.
const COUNTING: &str = "const seen = {};
    const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
    export default {
        async fetch(request, env) {
            const { searchParams } = new URL(request.url);
            const text = searchParams.get('send');
            const count = Number(searchParams.get('count') ?? 1);
            if (text !== null) await env.Q.sendBatch(Array.from({ length: count }, (_, i) => ({ body: `${text}${i}` })));
            return Response.json(seen);
        },
        async queue(batch, env) {
            for (const { body } of batch.messages) {
                if (body.startsWith('slow')) await sleep(1500);
                seen[body] = (seen[body] ?? 0) + 1;
            }
        },
    };";

fn counting(consumer: &str) -> Project {
    let configuration = format!(
        "main = 'worker.js'\nworkers_max = 1\n[[queues.producers]]\nbinding = 'Q'\nqueue = 'q'\n\
         [[queues.consumers]]\nqueue = 'q'\nmax_batch_timeout = '10ms'\n{consumer}"
    );
    Project::new(&[("isopod.toml", &configuration), ("worker.js", COUNTING)])
}

fn seen(server: &Serving) -> serde_json::Map<String, Json> {
    let seen: Json = serde_json::from_str(&server.get("/").body).expect("JSON");
    seen.as_object().expect("counts").clone()
}

#[test]
fn two_processes_share_a_queue_and_each_message_comes_to_one_of_them() {
    let project = counting("max_batch_size = 2\npoll = '50ms'");
    let (one, two) = (Serving::start(project.path()), Serving::start(project.path()));
    assert_eq!(one.get("/?send=m&count=100").status, 200);
    assert_eq!(two.get("/?send=n&count=100").status, 200);
    let both = until("all have come", || {
        let both = [seen(&one), seen(&two)];
        (both.iter().map(serde_json::Map::len).sum::<usize>() >= 200).then_some(both)
    });
    let counts = both.iter().flat_map(serde_json::Map::values);
    assert!(
        counts.clone().all(|count| *count == 1) && counts.count() == 200,
        "{both:?}"
    );
}

#[test]
fn the_messages_of_a_killed_process_come_to_another() {
    let project = counting("max_batch_size = 5\nlease = '300ms'\npoll = '50ms'");
    let mut one = Serving::start(project.path());
    assert_eq!(one.get("/?send=slow&count=2").status, 200);
    until("a batch is being handled", || {
        (one.metric("isopod_queue_batches_in_flight{queue=\"q\"}") == 1).then_some(())
    });
    one.signal("KILL");
    one.exit_code();
    let two = Serving::start(project.path());
    until("all have come", || (seen(&two).len() == 2).then_some(()));
}

#[test]
fn a_lease_is_renewed_for_as_long_as_a_batch_is_handled() {
    let project = counting("max_batch_size = 1\nlease = '200ms'\npoll = '50ms'");
    let server = Serving::start(project.path());
    assert_eq!(server.get("/?send=slow").status, 200);
    until("it is acknowledged", || {
        (server.metric("isopod_queue_messages_acknowledged_total{queue=\"q\"}") == 1).then_some(())
    });
    assert_eq!(
        seen(&server),
        json!({ "slow0": 1 }).as_object().expect("counts").clone()
    );
}

#[test]
fn a_shutdown_finishes_the_running_batch_only() {
    let project = counting("max_batch_size = 1\nmax_concurrency = 1");
    let mut server = Serving::start(project.path());
    assert_eq!(server.get("/?send=slow&count=2").status, 200);
    until("a batch is being handled", || {
        (server.metric("isopod_queue_batches_in_flight{queue=\"q\"}") == 1).then_some(())
    });
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    let server = Serving::start(project.path());
    until("the other comes", || (!seen(&server).is_empty()).then_some(()));
    assert_eq!(
        seen(&server),
        json!({ "slow1": 1 }).as_object().expect("counts").clone()
    );
}

#[test]
fn messages_wait_for_a_worker_that_cannot_start() {
    let project = counting("max_batch_size = 1\nmax_retries = 0");
    let server = Serving::start_with(project.path(), &["--watch"]);
    project.write("worker.js", "throw new Error('not now');");
    until("it is broken", || server.log().contains("not now").then_some(()));
    // Another process sends meanwhile.
    let sender = "export default { async fetch(request, env) { await env.Q.send('m0'); return new Response(); } }";
    let configuration =
        "main = 'worker.js'\nqueues.producers = [{ binding = 'Q', queue = 'q' }]\nqueues.directory = 'SHARED'";
    let configuration = configuration.replace("SHARED", &project.path().join(".isopod/queues").display().to_string());
    let other = Project::new(&[("isopod.toml", &configuration), ("worker.js", sender)]);
    assert_eq!(Serving::start(other.path()).get("/").status, 200);
    until("it was refused", || {
        (server.metric("isopod_queue_batches_refused_total{queue=\"q\"}") > 1).then_some(())
    });
    project.write("worker.js", COUNTING);
    let count = until("it comes", || seen_or_none(&server).filter(|seen| !seen.is_empty()));
    assert_eq!(count, json!({ "m0": 1 }).as_object().expect("counts").clone());
    assert_eq!(server.metric("isopod_queue_messages_dropped_total{queue=\"q\"}"), 0);
}

/// The counts, unless the worker cannot start.
fn seen_or_none(server: &Serving) -> Option<serde_json::Map<String, Json>> {
    let answer = server.get("/");
    (answer.status == 200).then(|| seen(server))
}

/// The command and the server use the file at the same time.
#[test]
fn the_command_sends_looks_and_moves_while_a_server_runs() {
    let worker = "export default {
        async fetch(request, env) { await env.Q.send(await request.text() || 'from the worker'); return new Response(); },
        async queue(batch) { if (batch.messages.some(({ body }) => body.fails)) throw new Error('it fails'); },
    };";
    let configuration = "main = 'worker.js'\nqueues.producers = [{ binding = 'Q', queue = 'q' }, { binding = 'LATER', queue = 'later' }]
        queues.consumers = [{ queue = 'q', max_batch_timeout = '5ms', max_retries = 0, poll = '50ms', dead_letter_queue = 'lost' }]";
    let project = Project::new(&[("isopod.toml", configuration), ("worker.js", worker)]);
    let server = Serving::start(project.path());
    let queue = |arguments: &[&str], stdin: &str| {
        let ended = isopod_in(project.path(), &[&["queue"], arguments].concat(), stdin);
        (ended.code, ended.stdout, ended.stderr)
    };
    let succeeds = |arguments: &[&str]| {
        let (code, stdout, stderr) = queue(arguments, "");
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}: {stdout}");
        stdout
    };
    let backlog = |name: &str| -> u64 {
        let all: Vec<Json> = serde_json::from_str(&succeeds(&["list", "--json"])).expect("JSON");
        let one = all.iter().find(|one| one["queue"] == name).expect("a queue");
        one["messages"].as_u64().expect("a number")
    };
    assert_eq!(backlog("lost"), 0, "it has no file yet");

    let sent = succeeds(&["send", "q", r#"{ "fails": true }"#]);
    until("it is a dead letter", || (backlog("lost") == 1).then_some(()));
    let peeked: Vec<Json> = serde_json::from_str(&succeeds(&["peek", "lost", "--json"])).expect("JSON");
    assert_eq!(peeked[0]["id"], sent.trim());
    assert_eq!(
        (&peeked[0]["body"], &peeked[0]["attempts"]),
        (&json!({ "fails": true }), &json!(0))
    );
    let table = succeeds(&["list"]);
    assert!(table.contains("main.Q") && table.contains("lost"), "{table}");

    assert_eq!(succeeds(&["redrive", "lost"]), "1 moved to q\n");
    until("it has failed again", || {
        (backlog("lost") == 1 && backlog("q") == 0).then_some(())
    });
    assert_eq!(
        succeeds(&["redrive", "lost", "--to", "later", "--json"]),
        "{\n  \"moved\": 1,\n  \"to\": \"later\"\n}\n"
    );
    let (code, _, _) = queue(
        &["send", "later", "--content-type", "text", "--delay", "60"],
        "from standard input",
    );
    assert_eq!(code, Some(0));
    let lines = succeeds(&["peek", "later"]);
    assert!(
        lines.contains("{\"fails\":true}") && lines.contains("due in") && lines.contains("from standard input"),
        "{lines}"
    );

    for (arguments, expected) in [
        (
            &["send", "q", "text"][..],
            "the body is not JSON; to send a string, add --content-type text",
        ),
        (
            &["send", "q", "1", "--delay", "86401"],
            "message delay 86401 is invalid",
        ),
        (
            &["peek", "none"],
            "there is no queue \"none\"; the configuration has later, lost, q",
        ),
        (&["redrive", "later"], "say where the messages go with --to QUEUE"),
        (
            &["purge", "later"],
            "this removes 2 messages of \"later\" for good; add --yes",
        ),
    ] {
        let (code, _, stderr) = queue(arguments, "");
        assert!(code == Some(1) && stderr.contains(expected), "{arguments:?}: {stderr}");
    }
    assert_eq!(succeeds(&["purge", "later", "--yes"]), "2 removed\n");
    assert_eq!(backlog("later"), 0);
    drop(server);
}
