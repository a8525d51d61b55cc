//! `isopod serve` with workers in sandboxes, whose I/O goes through the server's process.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use crate::cells::{cells, lives};
use crate::process::within;
use crate::program::{Serving, isopod};
use crate::project::Project;

/// Echoes its input to the end.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let (mut from, mut to) = (&stream, &stream);
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = from.read(&mut buffer) {
                    if to.write_all(&buffer[..length]).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

const INSIDE: &str = r#"
    import { connect } from 'cloudflare:sockets';
    import { text } from './lib/text.ts';
    import data from './data.json';
    const steps = {
        async modules() {
            const name = './lib/later.js';
            return [text, data.n, (await import('./lib/later.js')).later, await import(name + 'x').catch((e) => e.message.includes('later.jsx'))];
        },
        async fetch(origin) {
            const response = await fetch(origin + '/echo', { method: 'POST', body: 'y'.repeat(300_000), headers: { 'x-own': 'z' } });
            const text = await response.text();
            return [response.status, text.length, response.headers.get('x-own')];
        },
        async stream(origin) {
            let left = 40;
            const body = new ReadableStream({ pull(to) {
                if (left-- === 0) return to.close();
                to.enqueue(new Uint8Array(50_000));
            } });
            const response = await fetch(origin + '/echo', { method: 'POST', body });
            let length = 0;
            for await (const chunk of response.body) length += chunk.length;
            return length;
        },
        async coded(origin) {
            const response = await fetch(origin + '/coded');
            return [response.headers.get('content-encoding'), (await response.text()).length];
        },
        async cancel(origin) {
            const abort = new AbortController();
            setTimeout(() => abort.abort(), 20);
            return fetch(origin + '/never', { signal: abort.signal }).catch((error) => error.name);
        },
        async refused() {
            return fetch('http://192.0.2.1/').catch((error) => error.message.includes('denied'));
        },
        async missing() {
            return fetch('http://127.0.0.1:4/').catch((error) => `${error.name}: ${/refused/i.test(String(error.cause))}`);
        },
        async socket(origin) {
            const socket = new WebSocket(origin.replace('http', 'ws') + '/socket');
            const messages = [];
            await new Promise((done, fail) => {
                socket.onopen = () => { socket.send('one'); socket.send('x'.repeat(100_000)); };
                socket.onerror = fail;
                socket.onmessage = ({ data }) => {
                    if (messages.push(data.length) === 2) socket.close(1000, 'done');
                };
                socket.onclose = ({ code }) => { messages.push(code); done(); };
            });
            return messages;
        },
        async tcp(origin, env) {
            const socket = connect({ hostname: '127.0.0.1', port: Number(env.ECHO) });
            const writer = socket.writable.getWriter();
            const sent = writer.write(new Uint8Array(200_000)).then(() => writer.close());
            let length = 0;
            for await (const chunk of socket.readable) length += chunk.length;
            await sent;
            const { remoteAddress } = await socket.opened;
            return [length, remoteAddress.endsWith(env.ECHO)];
        },
        async nothing() {
            const socket = connect({ hostname: '127.0.0.1', port: 1 });
            return socket.opened.catch((error) => error.message.includes('127.0.0.1'));
        },
        async sql(origin, env) {
            await env.DB.exec('CREATE TABLE t (a, b, c)');
            await env.DB.prepare('INSERT INTO t VALUES (?, ?, ?)').bind(7, 'text', new Uint8Array([1, 2])).run();
            const { results, meta } = await env.DB.prepare('SELECT * FROM t').all();
            const wrong = await env.DB.prepare('SELECT * FROM none').all().catch((error) => error.message.includes('no such table'));
            return [results, meta.changes, wrong];
        },
        async kv(origin, env) {
            await env.KV.put('a', 'x'.repeat(200_000));
            return (await env.KV.get('a')).length;
        },
        async time() { return Intl.DateTimeFormat().resolvedOptions().timeZone; },
    };
    export default { async fetch(request, env) {
        const { pathname, search } = new URL(request.url);
        return Response.json(await steps[pathname.slice('/in/'.length)](`http://${search.slice(1)}`, env));
    } };"#;

const OUTSIDE: &str = "export default { async fetch(request) {
    const { pathname } = new URL(request.url);
    if (pathname === '/socket') {
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.onmessage = ({ data }) => server.send(data);
        return new Response(null, { status: 101, webSocket: client });
    }
    if (pathname === '/never') return new Promise((done) => setTimeout(done, 20_000));
    if (pathname === '/coded') {
        const body = new Response('z'.repeat(100_000)).body.pipeThrough(new CompressionStream('gzip'));
        return new Response(body, { headers: { 'content-encoding': 'gzip' }, encodeBody: 'manual' });
    }
    return new Response(request.body, { status: 201, headers: { 'x-own': request.headers.get('x-own') } });
} };";

fn project() -> Project {
    let configuration = format!(
        "threads = 4
        routes = [{{ path = '/in/*', worker = 'inside' }}, {{ path = '/*', worker = 'outside' }}]
        [network]
        allow_private = true
        deny = ['192.0.2.0/24']
        [workers.outside]
        main = 'outside.js'
        [workers.inside]
        main = 'inside.js'
        isolation = 'sandbox'
        vars = {{ ECHO = '{}' }}
        databases = [{{ binding = 'DB', url = 'sqlite:test.db' }}]
        kv_namespaces = [{{ binding = 'KV', id = 'things' }}]
        ",
        echo()
    );
    Project::new(&[
        ("isopod.toml", &configuration),
        ("inside.js", INSIDE),
        ("outside.js", OUTSIDE),
        ("lib/text.ts", "export const text: string = 'typed';"),
        ("lib/later.js", "export const later = 'later';"),
        ("data.json", "{\"n\": 7}"),
        ("tsconfig.json", "{}"),
    ])
}

#[test]
fn a_sandbox_reaches_the_network_through_the_server() {
    let project = project();
    let server = Serving::start(project.path());
    for (step, wanted) in [
        ("modules", r#"["typed",7,"later",true]"#),
        ("fetch", r#"[201,300000,"z"]"#),
        ("stream", "2000000"),
        ("coded", r#"["gzip",100000]"#),
        ("cancel", r#""AbortError""#),
        ("refused", "true"),
        ("missing", r#""TypeError: true""#),
        ("socket", "[3,100000,1000]"),
        ("tcp", "[200000,true]"),
        ("nothing", "true"),
        ("sql", r#"[[{"a":7,"b":"text","c":[1,2]}],0,true]"#),
        ("kv", "200000"),
    ] {
        let answer = server.get(&format!("/in/{step}?{}", server.address));
        assert_eq!((answer.status, answer.body.as_str()), (200, wanted), "{step}");
    }
}

#[test]
fn sandbox_mechanisms_are_reported() {
    let project = project();
    let server = Serving::start(project.path());
    assert!(server.log().contains("sandboxes are confined"), "{}", server.log());
    let readiness = crate::client::Connection::open(server.admin)
        .and_then(|mut admin| admin.get("/readyz"))
        .expect("an answer");
    assert_eq!(readiness.status, 200);
    let mut lines = readiness.body.lines();
    assert_eq!(lines.next(), Some("ready"));
    assert!(
        lines.next().is_some_and(|line| line.starts_with("sandbox: ")),
        "{}",
        readiness.body
    );
    assert_eq!(server.metric("isopod_sandbox_mechanism{mechanism=\"seccomp\"}"), 1);
}

#[test]
fn a_required_sandbox_needs_all_mechanisms() {
    let project = project();
    let settings = std::fs::read_to_string(project.file("isopod.toml")).expect("the settings");
    project.write(
        "isopod.toml",
        &settings.replace("[network]", "[pool]\nsandbox = 'required'\n[network]"),
    );
    let is_whole = {
        let other = self::project();
        let server = Serving::start(other.path());
        server.log().contains("sandboxes are confined by all")
    };
    if is_whole {
        assert_eq!(Serving::start(project.path()).get("/in/kv").body, "200000");
    } else {
        let path = project.path().to_str().expect("UTF-8");
        let ended = isopod(&["serve", path, "--listen", "127.0.0.1:0"]);
        assert_ne!(ended.code, Some(0));
        assert!(ended.stderr.contains("pool.sandbox"), "{}", ended.stderr);
    }
}

#[test]
fn endless_code_in_a_sandbox_ends_at_its_limit_and_the_next_request_is_answered() {
    let worker = "export default { fetch(request) {
            if (request.url.endsWith('/busy')) for (;;);
            if (request.url.endsWith('/search')) [].includes.call({ length: 2 ** 53 - 1 }, 1);
            return new Response('fine');
        } };";
    let settings = "main = 'worker.js'\nisolation = 'sandbox'\n[limits]\ncpu = '100ms'\n[pool]\nlost_grace = '200ms'";
    let project = Project::new(&[("isopod.toml", settings), ("worker.js", worker)]);
    let server = Serving::start(project.path());
    for path in ["/busy", "/search"] {
        assert_eq!(server.get(path).verdict(), (504, "exceeded_cpu"), "{path}");
        within(Duration::from_secs(5), "the next is answered", || {
            (server.get("/").body == "fine").then_some(())
        });
    }
}

/// A sandbox's statements run in the server's process, and count for the event as those of a thread.
#[test]
fn the_cpu_time_of_statements_counts_for_the_event_that_asked() {
    let worker = "const count = (to) => `WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c ${to}) SELECT max(n) FROM c`;
        export default { async fetch(request, env) {
            const { pathname } = new URL(request.url);
            try {
                if (pathname === '/one') await env.DB.prepare(count('')).first();
                // Each of them is below the limit.
                while (pathname === '/many') await env.DB.prepare(count('LIMIT 10000')).first();
            } catch (error) {
                // The event is ended while its code runs.
                if (/CPU time/.test(error.message)) for (;;);
            }
            return Response.json(await env.DB.prepare('SELECT 1 AS n').first());
        } };";
    for isolation in ["thread", "sandbox"] {
        let settings = format!(
            "main = 'worker.js'\nisolation = '{isolation}'\n[limits]\ncpu = '300ms'\nwall = '60s'\n[[databases]]\nbinding = 'DB'\n\
             url = 'sqlite:test.db'\n"
        );
        let project = Project::new(&[("isopod.toml", &settings), ("worker.js", worker)]);
        let server = Serving::start(project.path());
        for path in ["/one", "/many"] {
            assert_eq!(server.get(path).verdict(), (504, "exceeded_cpu"), "{path}, {isolation}");
            assert_eq!(server.get("/").body, "{\"n\":1}", "{path}, {isolation}");
        }
    }
}

// row 53
#[test]
fn sandboxes_end_with_a_killed_server() {
    let worker = "export default { fetch(request) {
            if (request.url.endsWith('/busy')) for (;;);
            return new Response('fine');
        } };";
    let settings = "main = 'worker.js'\nisolation = 'sandbox'\n[limits]\ncpu = '60s'\nwall = '60s'";
    let project = Project::new(&[("isopod.toml", settings), ("worker.js", worker)]);
    let mut server = Serving::start(project.path());
    assert_eq!(server.get("/").body, "fine");
    let mut busy = server.connect();
    // The answer never arrives.
    std::thread::spawn(move || drop(busy.get("/busy")));
    within(Duration::from_secs(10), "it is busy", || {
        (server.metric_over_all("isopod_events_in_flight") == 1).then_some(())
    });
    let cells = cells(&server);
    assert!(cells.len() >= 2, "a worker and a spare: {cells:?}");
    server.signal("KILL");
    server.exit_code();
    within(Duration::from_secs(1), "its sandboxes end as well", || {
        cells.iter().all(|pid| !lives(*pid)).then_some(())
    });
}

/// Stores each key twice, in one transaction.
const STORING: &str = "import { DurableObject } from 'cloudflare:workers';
    export class Store extends DurableObject {
        put(key) {
            const { kv, sql } = this.ctx.storage;
            sql.exec('CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY)');
            sql.exec('INSERT INTO keys VALUES (?)', key);
            kv.put(key, 'x'.repeat(5000));
        }
        all() {
            const { kv, sql } = this.ctx.storage;
            return [[...kv.list()].map(([key]) => key), [...sql.exec('SELECT key FROM keys ORDER BY key').raw()].flat()];
        }
    }
    export default { async fetch(request, env) {
        const { pathname, searchParams } = new URL(request.url);
        const stub = env.STORES.getByName(searchParams.get('name'));
        return Response.json((pathname === '/put' ? await stub.put(searchParams.get('key')) : await stub.all()) ?? null);
    } };";

#[test]
fn a_killed_sandbox_loses_no_acknowledged_write_of_its_objects() {
    let settings = "main = 'worker.js'
        isolation = 'sandbox'
        durable_objects = [{ binding = 'STORES', class_name = 'Store' }]
        limits.wall = '1m'";
    let project = Project::new(&[("isopod.toml", settings), ("worker.js", STORING)]);
    let server = Serving::start(project.path());
    let (is_done, count) = (AtomicBool::new(false), AtomicUsize::new(0));
    let acknowledged: Vec<Vec<String>> = std::thread::scope(|scope| {
        let clients = (0..4).map(|client| {
            let (server, is_done, count) = (&server, &is_done, &count);
            scope.spawn(move || {
                let mut stored = Vec::new();
                for at in 0.. {
                    if is_done.load(Ordering::Relaxed) {
                        break;
                    }
                    let key = format!("{at:06}");
                    // Those that were running when the process was killed fail.
                    if server.get(&format!("/put?name={client}&key={key}")).status == 200 {
                        stored.push(key);
                        count.fetch_add(1, Ordering::Relaxed);
                    }
                }
                stored
            })
        });
        let clients: Vec<_> = clients.collect();
        for round in 0..4 {
            let target = count.load(Ordering::Relaxed) + 25 + round * 7;
            within(Duration::from_secs(60), "writes are answered", || {
                (count.load(Ordering::Relaxed) >= target).then_some(())
            });
            for pid in cells(&server) {
                drop(
                    std::process::Command::new("kill")
                        .args(["-9", &pid.to_string()])
                        .status(),
                );
            }
        }
        is_done.store(true, Ordering::Relaxed);
        let stored = clients.into_iter().map(|client| client.join().expect("a client"));
        stored.collect()
    });
    for (client, keys) in acknowledged.iter().enumerate() {
        let answer = server.get(&format!("/all?name={client}"));
        assert_eq!(answer.status, 200, "{answer:?}");
        let [entries, rows]: [Vec<String>; 2] = serde_json::from_str(&answer.body).expect("lists");
        assert_eq!(entries, rows, "a transaction is there in part");
        let lost: Vec<_> = keys.iter().filter(|key| !entries.contains(key)).collect();
        assert!(lost.is_empty(), "{lost:?} of {}", keys.len());
        assert!(!keys.is_empty(), "of {client}");
    }
}
