//! `isopod serve` with workers in processes of their own.

use std::time::Duration;

use crate::hostile::Arena;
use crate::process::{until, within};
use crate::program::{Serving, isopod};
use crate::project::Project;

const ALL: &[&str] = &["--isolation", "process"];

/// The processes that a server has started.
pub(crate) fn cells(server: &Serving) -> Vec<u32> {
    let threads = std::fs::read_dir(format!("/proc/{}/task", server.pid())).expect("a process that lives");
    let lists = threads.filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("children")).ok());
    let pids: Vec<Vec<u32>> = lists
        .map(|list| {
            list.split_whitespace()
                .map(|pid| pid.parse().expect("a number"))
                .collect()
        })
        .collect();
    pids.concat()
}

pub(crate) fn lives(pid: u32) -> bool {
    // One that has ended and was not waited for has no command line.
    std::fs::read(format!("/proc/{pid}/cmdline")).is_ok_and(|line| !line.is_empty())
}

#[test]
fn a_command_uses_the_bindings_of_the_server() {
    let configuration = "
        threads = 4
        routes = [{ path = '/*', worker = 'front' }]
        [pool]
        isolation = 'process'
        [workers.back]
        main = 'back.js'
        isolation = 'thread'
        kv_namespaces = [{ binding = 'KV', id = 'things' }]
        queues.consumers = [{ queue = 'q', max_batch_timeout = '5ms', poll = '50ms' }]
        [workers.front]
        main = 'front.js'
        vars = { TEXT = 'text', NUMBERS = [1, 2] }
        kv_namespaces = [{ binding = 'KV', id = 'things' }]
        databases = [{ binding = 'DB', url = 'sqlite:test.db' }]
        services = [{ binding = 'BACK', service = 'back' }]
        rate_limits = [{ binding = 'LIMITER', limit = 2, period = '60s' }]
        queues.producers = [{ binding = 'QUEUE', queue = 'q' }]
        r2_buckets = [{ binding = 'R2' }]
    ";
    let front = "const steps = {
            vars: (env) => [env.TEXT, env.NUMBERS],
            async kv(env) {
                await env.KV.put('a', 'x'.repeat(200000), { metadata: { by: 'front' } });
                const { value, metadata } = await env.KV.getWithMetadata('a');
                const keys = (await env.KV.list()).keys.map((key) => key.name);
                await env.KV.delete('a');
                return [value.length, metadata.by, keys, await env.KV.get('a')];
            },
            async sql(env) {
                await env.DB.exec('CREATE TABLE t (a)');
                await env.DB.prepare('INSERT INTO t VALUES (?)').bind(7).run();
                return (await env.DB.prepare('SELECT a FROM t').all()).results;
            },
            async service(env) {
                const response = await env.BACK.fetch('https://back/path', { method: 'POST', body: 'y'.repeat(300000) });
                const refused = await env.BACK.fetch('https://back/throw').catch((error) => `${error.name}: ${error.message}`);
                return [response.status, (await response.text()).length, refused];
            },
            async r2(env) {
                await env.R2.put('o', 'z'.repeat(200000), { httpMetadata: { contentType: 'text/x' } });
                const whole = await env.R2.get('o');
                const part = await env.R2.get('o', { range: { offset: 10, length: 5 } });
                const listed = (await env.R2.list()).objects.map(({ key, size }) => [key, size]);
                return [(await whole.text()).length, whole.httpMetadata.contentType, await part.text(), listed];
            },
            async exports(env, ctx) {
                const response = await ctx.exports.Named.fetch('https://own/named');
                return [response.status, await response.text()];
            },
            async limit(env) {
                const limited = [];
                for (let i = 0; i < 3; i++) limited.push((await env.LIMITER.limit({ key: 'k' })).success);
                return limited;
            },
            async queue(env) {
                await env.QUEUE.send({ sent: 'by front' });
                for (;;) {
                    const got = await env.KV.get('got');
                    if (got !== null) return got;
                    await new Promise((done) => setTimeout(done, 10));
                }
            },
        };
        export const Named = { fetch: (request) => new Response(request.url, { status: 202 }) };
        export default { async fetch(request, env, ctx) {
            return Response.json(await steps[new URL(request.url).pathname.slice(1)](env, ctx));
        } };";
    let back = "export default {
        async fetch(request, env) {
            if (request.url === 'https://back/throw') throw new RangeError('too far');
            return new Response(request.body, { status: 201 });
        },
        async queue(batch, env) { await env.KV.put('got', batch.messages[0].body.sent); },
    };";
    let project = Project::new(&[("isopod.toml", configuration), ("front.js", front), ("back.js", back)]);
    let server = Serving::start(project.path());
    for (step, wanted) in [
        ("vars", r#"["text",[1,2]]"#),
        ("kv", r#"[200000,"front",["a"],null]"#),
        ("sql", r#"[{"a":7}]"#),
        ("service", r#"[201,300000,"RangeError: too far"]"#),
        ("r2", r#"[200000,"text/x","zzzzz",[["o",200000]]]"#),
        ("exports", r#"[202,"https://own/named"]"#),
        ("limit", "[true,true,false]"),
        ("queue", r#""by front""#),
    ] {
        let answer = server.get(&format!("/{step}"));
        assert_eq!((answer.status, answer.body.as_str()), (200, wanted), "{step}");
    }
    // The one worker, and a spare.
    assert!(!cells(&server).is_empty());
}

#[test]
fn an_unknown_isolation_is_an_error() {
    let project = Project::new(&[
        ("isopod.toml", "main = 'worker.js'\nisolation = 'jail'"),
        ("worker.js", ""),
    ]);
    let path = project.path().to_str().expect("UTF-8");
    let ended = isopod(&["serve", path, "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("jail") && ended.stderr.contains("process"),
        "{}",
        ended.stderr
    );
}

#[test]
fn console_and_errors_are_in_the_servers_log() {
    let worker = "console.log('at the top');
        export default { fetch(request) { console.warn('in', new URL(request.url).pathname); throw new Error('thrown') } };";
    let project = Project::new(&[("isopod.toml", "main = 'worker.js'"), ("worker.js", worker)]);
    let server = Serving::start_with(project.path(), ALL);
    let answer = server.get("/here");
    assert_eq!(answer.verdict(), (500, "exception"));
    assert!(answer.body.contains("worker.js:2"), "{}", answer.body);
    until("the lines arrive", || {
        let log = server.log();
        let has = |text: &str| {
            log.lines()
                .any(|line| line.contains("isopod::console") && line.contains(text))
        };
        (has("at the top") && has("in /here")).then_some(())
    });
}

#[test]
fn a_change_of_a_module_is_deployed() {
    let project = Project::new(&[
        ("isopod.toml", "main = 'worker.js'"),
        (
            "worker.js",
            "import { text } from './text.js'; export default { fetch: () => new Response(text) };",
        ),
        ("text.js", "export const text = 'first';"),
    ]);
    let server = Serving::start_with(project.path(), &[ALL, &["--watch"]].concat());
    assert_eq!(server.get("/").body, "first");
    project.write("text.js", "export const text = 'second';");
    until("the next version answers", || {
        (server.get("/").body == "second").then_some(())
    });
}

// row 53
#[test]
fn busy_cells_end_with_a_killed_server() {
    let worker = "export default { fetch(request) {
            if (request.url.endsWith('/busy')) for (;;);
            return new Response('fine');
        } };";
    let project = Project::new(&[
        ("isopod.toml", "main = 'worker.js'\n[limits]\ncpu = '60s'\nwall = '60s'"),
        ("worker.js", worker),
    ]);
    let mut server = Serving::start_with(project.path(), ALL);
    assert_eq!(server.get("/").body, "fine");
    let mut busy = server.connect();
    // The answer never arrives.
    std::thread::spawn(move || drop(busy.get("/busy")));
    until("it is busy", || {
        (server.metric_over_all("isopod_events_in_flight") == 1).then_some(())
    });
    let cells = cells(&server);
    assert!(cells.len() >= 2, "a worker and a spare: {cells:?}");
    server.signal("KILL");
    server.exit_code();
    within(Duration::from_secs(1), "its cells end as well", || {
        cells.iter().all(|pid| !lives(*pid)).then_some(())
    });
    assert_eq!(Serving::start_with(project.path(), ALL).get("/").body, "fine");
}

/// The fixture with every worker in a process of its own.
fn hostile() -> Project {
    let project = Project::copy_of("hostile");
    let settings = std::fs::read_to_string(project.file("isopod.toml")).expect("the fixture");
    let settings = settings.replace("[log]", "[pool]\nisolation = \"process\"\n\n[log]");
    project.write("isopod.toml", &settings);
    project
}

// row 54
#[test]
fn endless_code_in_a_cell_is_a_504_and_its_neighbors_answer() {
    let project = hostile();
    let arena = Arena::of(project.path());
    for misdeed in ["/loop", "/microtasks", "/sort", "/proxy", "/to-json", "/regexp"] {
        let answer = arena.commit(&[misdeed]).remove(0);
        assert_eq!(answer.verdict(), (504, "exceeded_cpu"), "{misdeed}: {}", answer.body);
    }
    arena.recovers();
}

// row 54
#[test]
fn cells_survive_the_same_mishaps_as_threads() {
    let project = hostile();
    let arena = Arena::of(project.path());
    for (misdeed, wanted) in [
        ("/array-buffer", "RangeError"),
        ("/wasm-memory", "RangeError"),
        ("/recursion", "RangeError"),
        ("/deno", "undefined,undefined,undefined"),
    ] {
        assert_eq!(arena.commit(&[misdeed])[0].body, wanted, "{misdeed}");
    }
    let [never, late] = ["/never", "/late"].map(|path| arena.commit(&[path]).remove(0));
    assert_eq!(never.verdict(), (500, "exception"));
    assert_eq!(late.verdict(), (504, "exceeded_wall"));
    for _ in 0..3 {
        assert_eq!(arena.commit(&["/trap"])[0].body, "trapped");
        assert_eq!(arena.get("/fine").body, "fine");
    }
    arena.recovers();
}
