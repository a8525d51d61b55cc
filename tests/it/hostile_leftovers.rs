//! Effects that outlive an event: work after the response, half-finished changes, replaced built-ins; and long single calls.

use std::io::Write;

use crate::hostile::Arena;
use crate::origin::Origin;
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

/// The workers of the fixture `hostile`, with a script that leaves something behind.
fn arena() -> (Arena, Project) {
    let project = Project::copy_of("hostile");
    project.write("worker.js", include_str!("../fixtures/leftovers.js"));
    (Arena::of(project.path()), project)
}

// row 16
#[test]
fn wait_until_work_is_finished() {
    let (arena, _project) = arena();
    assert_eq!(arena.commit(&["/keeps"])[0].body, "answered");
    until("the announced work is done", || {
        (arena.get("/done").body == "kept").then_some(())
    });
    arena.recovers();
}

// row 16
#[test]
fn wait_until_work_finishes_after_the_client_disconnects() {
    let (arena, _project) = arena();
    let mut client = arena.server.connect();
    let request = "GET /outlives HTTP/1.1\r\nhost: localhost\r\n\r\n";
    client.stream.get_mut().write_all(request.as_bytes()).expect("sent");
    arena.sent(1);
    until("it has begun", || (arena.get("/done").body == "begun").then_some(()));
    drop(client);
    until("the announced work is done", || {
        (arena.get("/done").body == "begun,outlived").then_some(())
    });
    let canceled = "isopod_events_total{outcome=\"canceled\"}";
    until("it has ended", || (arena.server.metric(canceled) == 1).then_some(()));
    arena.recovers();
}

// row 16
#[test]
fn wait_until_work_has_its_own_limit() {
    // The work takes longer than a response may; in the second project, it never ends.
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

const LEAVES: &str = "
const seen = [];
let release;
const note = (what) => (error) => seen.push(`${what} ${error?.name ?? 'came'}`);
const kinds = {
    // Each step starts the next, forever.
    timers() { (function again() { note('timer')(); setTimeout(again, 1); })(); setInterval(note('interval'), 1); },
    async requests(url) {
        for (;;) await fetch(url).then(note('answer'), note('request'));
    },
    async body(url) {
        const response = await fetch(url);
        const reader = response.body.getReader();
        await reader.read();
        reader.read().then(note('chunk'), note('body'));
        reader.closed.catch(() => {});
    },
    pause: () => new Promise((resolve) => setTimeout(resolve, 50)),
    async digests() {
        for (;;) note('digest')(await crypto.subtle.digest('SHA-256', new Uint8Array(9)));
    },
    async rows(_, env) {
        for (;;) note('row')(await env.DB.prepare('SELECT 1').first());
    },
};
export default { async fetch(request, env) {
    const { pathname, searchParams } = new URL(request.url);
    const kind = pathname.slice(1);
    if (kind === 'seen') return Response.json(seen.splice(0));
    if (kind === 'release') return new Response(release());
    const left = kinds[kind](searchParams.get('url'), env);
    if (searchParams.has('first')) await left;
    if (searchParams.has('held')) await new Promise((resolve) => release = resolve);
    return new Response('answered');
} };";

// row 16
#[test]
fn work_without_wait_until_is_canceled() {
    let origin = Origin::start();
    let configuration = format!(
        "main = 'worker.js'\n[network]\nallow = ['{}']\n[[databases]]\nbinding = 'DB'\nurl = 'sqlite::memory:'\n",
        origin.address
    );
    let project = Project::new(&[("isopod.toml", &configuration), ("worker.js", LEAVES)]);
    let server = Serving::start(project.path());
    let seen = || serde_json::from_str::<Vec<String>>(&server.get("/seen").body).expect("JSON");
    let leave = |what: &str| assert_eq!(server.get(what).body, "answered");
    // Each would log every millisecond.
    let ends = |what: &str| {
        until(what, || {
            seen();
            leave("/pause?first");
            seen().is_empty().then_some(())
        });
    };

    for what in ["/timers", "/digests", "/rows"] {
        leave(what);
        ends(what);
    }

    // The others may end late.
    let told = |of: &str| {
        let all = until("it is told", || {
            Some(seen()).filter(|all| all.iter().any(|one| one.starts_with(of)))
        });
        all.into_iter().filter(|one| one.starts_with(of)).collect::<Vec<_>>()
    };
    // It is still running when the response is sent.
    std::thread::scope(|scope| {
        scope.spawn(|| leave(&format!("/requests?held&url=http://{}/silence", origin.address)));
        until("the request has come", || (origin.requests() == 1).then_some(()));
        server.get("/release");
    });
    until("the request is given up", || (origin.left() == 1).then_some(()));
    assert_eq!(told("request"), ["request AbortError"]);
    assert_eq!(origin.requests(), 1);

    leave(&format!("/body?first&url=http://{}/half", origin.address));
    until("the body is given up", || (origin.left() == 2).then_some(()));
    assert_eq!(told("body"), ["body AbortError"]);

    until("all have ended", || {
        (server.metric_over_all("isopod_events_in_flight") == 0).then_some(())
    });
    assert!(!server.log().contains("rror"), "{}", server.log());
}

const SQL: &str = r"
    const endless = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) AS n FROM c';
    export default { async fetch(request, env) {
        const { pathname } = new URL(request.url);
        const sql = pathname === '/endless' ? endless : 'SELECT 1 AS n';
        try {
            if (pathname === '/count') return Response.json(await env.DB.prepare('SELECT count(*) AS n FROM t').first());
            if (pathname === '/insert') {
                await env.DB.exec('CREATE TABLE IF NOT EXISTS t (a)');
                const insert = env.DB.prepare('INSERT INTO t VALUES (1)');
                return Response.json(await env.DB.batch([insert, env.DB.prepare(endless)]));
            }
            return Response.json(await env.DB.prepare(sql).first());
        } catch (error) {
            return new Response(error.message, { status: 500 });
        }
    } };";

#[test]
fn statements_end_with_the_clients_that_asked_for_them() {
    let configuration =
        "main = 'worker.js'\n[limits]\nwall = '60s'\n[[databases]]\nbinding = 'DB'\nurl = 'sqlite:app.db'\n";
    let project = Project::new(&[("isopod.toml", configuration), ("worker.js", SQL)]);
    let server = Serving::start(project.path());
    assert_eq!(server.get("/").body, "{\"n\":1}");
    let idle = || {
        until("all have ended", || {
            (server.metric_over_all("isopod_events_in_flight") == 0).then_some(())
        });
    };
    // An unfinished change is rolled back.
    let mut writer = server.connect();
    let request = "GET /insert HTTP/1.1\r\nhost: localhost\r\n\r\n";
    writer.stream.get_mut().write_all(request.as_bytes()).expect("sent");
    until("the table is there", || {
        (server.get("/count").body == "{\"n\":0}").then_some(())
    });
    drop(writer);
    idle();
    // As many as there are connections.
    let clients = [(); 4].map(|()| {
        let mut client = server.connect();
        let request = "GET /endless HTTP/1.1\r\nhost: localhost\r\n\r\n";
        client.stream.get_mut().write_all(request.as_bytes()).expect("sent");
        client
    });
    until("all of them are under way", || {
        (server.metric_over_all("isopod_events_in_flight") == 4).then_some(())
    });
    drop(clients);
    idle();
    // It would wait for thirty seconds, or forever.
    let began = std::time::Instant::now();
    assert_eq!(server.get("/").body, "{\"n\":1}");
    assert!(
        began.elapsed() < std::time::Duration::from_secs(20),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(server.get("/count").body, "{\"n\":0}");
}

#[test]
fn the_cpu_time_of_statements_is_held_to_that_of_their_event() {
    let configuration =
        "main = 'worker.js'\n[limits]\ncpu = '300ms'\n[[databases]]\nbinding = 'DB'\nurl = 'sqlite::memory:'\n";
    let project = Project::new(&[("isopod.toml", configuration), ("worker.js", SQL)]);
    let server = Serving::start(project.path());
    let answer = server.get("/endless");
    // The statement ends with an error that the script answers with, unless the event is ended first.
    if answer.verdict() != (504, "exceeded_cpu") {
        let told = "more than 300ms of CPU time in the database";
        assert!(answer.status == 500 && answer.body.contains(told), "{answer:?}");
    }
    until("its connection is free, and its worker or another answers", || {
        (server.get("/").body == "{\"n\":1}").then_some(())
    });
}

// row 18
#[test]
fn a_termination_mid_mutation_leaves_a_clean_isolate() {
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
fn one_huge_call_ends_at_a_limit_or_with_an_error() {
    let (arena, _project) = arena();
    assert_eq!(arena.commit(&["/bigint"])[0].body, "RangeError");
    let answer = arena.commit(&["/huge-json"]).remove(0);
    let ends = [(500, "exceeded_memory"), (504, "exceeded_cpu"), (504, "exceeded_wall")];
    assert!(ends.contains(&answer.verdict()), "{answer:?}");
    arena.recovers();
}

/// Its event has ended: no deadline is left to end it, and other events wait behind it. The wall limit ends the worker, or in a
/// cell that has not yet reported the end of the event, the grace period of canceled events.
#[test]
fn a_stream_that_loops_when_it_is_canceled_does_not_keep_its_thread() {
    let script = "export default {
        fetch: (request) => new Response(request.url.endsWith('/loop') && new ReadableStream({
            async pull(controller) {
                await new Promise((resolve) => setTimeout(resolve, 10));
                controller.enqueue(new Uint8Array(1));
            },
            cancel() { for (;;); },
        })),
    };";
    let limits = "main = 'worker.js'\nthreads = 1\n[limits]\ncpu = '10m'\nwall = '2s'\n[pool]\nlost_grace = '10m'\n";
    let project = Project::new(&[("isopod.toml", limits), ("worker.js", script)]);
    let server = Serving::start(project.path());
    let mut client = server.connect();
    let request = "GET /loop HTTP/1.1\r\nhost: localhost\r\n\r\n";
    client.stream.get_mut().write_all(request.as_bytes()).expect("sent");
    assert_eq!(client.read_head().expect("a head").status, 200);
    drop(client);
    until("the worker is ended", || {
        server.log().contains("condemned a worker").then_some(())
    });
    until("it serves again", || (server.get("/").status == 200).then_some(()));
}
