//! `kill -9` while workers write: acknowledged writes survive.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::Connection;
use crate::program::Serving;
use crate::project::Project;

/// Clients that write at the same time, each its own keys one after another.
const CLIENTS: usize = 8;

/// A kind of storage, as a worker writes and reads it.
struct Kind {
    /// The configuration of the binding `S`.
    configuration: &'static str,
    /// A module that exports `write(storage, key, value)` and `read(storage, prefix, env)`, which returns an object from keys to
    /// values, and `handlers`, those of the worker besides `fetch`.
    script: &'static str,
}

const KV: Kind = Kind {
    configuration: "kv_namespaces = [{ binding = 'S' }]",
    script: "export const handlers = {};
        export const write = (kv, key, value) => kv.put(key, value);
        export async function read(kv, prefix) {
            const found = {};
            let cursor;
            do {
                const page = await kv.list({ prefix, cursor });
                for (let at = 0; at < page.keys.length; at += 100) {
                    const names = page.keys.slice(at, at + 100).map((key) => key.name);
                    for (const [name, value] of await kv.get(names)) found[name] = value;
                }
                cursor = page.cursor;
            } while (cursor !== undefined);
            return found;
        }",
};

/// The consumer stores messages, which are read once none waits. Messages that were being handled are delivered again.
const QUEUE: Kind = Kind {
    configuration: "kv_namespaces = [{ binding = 'KV' }]
        queues.producers = [{ binding = 'S', queue = 'q' }]
        queues.consumers = [
            { queue = 'q', max_batch_size = 100, max_batch_timeout = '5ms', max_retries = 100, lease = '500ms', poll = '100ms' },
        ]",
    script: "export const handlers = {
            async queue(batch, env) {
                await Promise.all(batch.messages.map(({ body }) => env.KV.put(body.key, body.value)));
            },
        };
        export const write = (queue, key, value) => queue.send({ key, value });
        export async function read(queue, prefix, env) {
            while ((await queue.metrics()).backlogCount > 0) await new Promise((done) => setTimeout(done, 20));
            const found = {};
            let cursor;
            do {
                const page = await env.KV.list({ prefix, cursor });
                for (let at = 0; at < page.keys.length; at += 100) {
                    const names = page.keys.slice(at, at + 100).map((key) => key.name);
                    for (const [name, value] of await env.KV.get(names)) found[name] = value;
                }
                cursor = page.cursor;
            } while (cursor !== undefined);
            return found;
        }",
};

const R2: Kind = Kind {
    configuration: "r2_buckets = [{ binding = 'S' }]
        limits.storage_operations = 100000",
    script: "export const handlers = {};
        export const write = (r2, key, value) => r2.put(key, value);
        export async function read(r2, prefix) {
            const found = {};
            let cursor;
            do {
                const page = await r2.list({ prefix, cursor });
                for (const { key } of page.objects) found[key] = await (await r2.get(key)).text();
                cursor = page.cursor;
            } while (cursor !== undefined);
            return found;
        }",
};

const D1: Kind = Kind {
    configuration: "databases = [{ binding = 'S', url = 'sqlite:data.db' }]",
    script: "export const handlers = {};
        const TABLES = 'CREATE TABLE IF NOT EXISTS entries (key TEXT PRIMARY KEY, value TEXT)';
        const KEYS = 'CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY)';
        // A batch is one transaction.
        export const write = (db, key, value) => db.batch([
            db.prepare(TABLES), db.prepare(KEYS),
            db.prepare('INSERT INTO keys VALUES (?)').bind(key),
            db.prepare('INSERT INTO entries VALUES (?, ?)').bind(key, value),
        ]);
        export async function read(db, prefix) {
            await db.batch([db.prepare(TABLES), db.prepare(KEYS)]);
            const of = (table) => db.prepare(`SELECT * FROM ${table} WHERE key >= ? AND key < ?`).bind(prefix, prefix + '~').all();
            const [entries, keys] = await Promise.all([of('entries'), of('keys')]);
            if (keys.results.length !== entries.results.length) throw new Error('a transaction is there in part');
            return Object.fromEntries(entries.results.map(({ key, value }) => [key, value]));
        }",
};

/// Four objects, each with the keys it was called with.
const OBJECTS: Kind = Kind {
    configuration: "durable_objects = [{ binding = 'S', class_name = 'Store' }]",
    script: "import { DurableObject } from 'cloudflare:workers';
        export class Store extends DurableObject {
            put(key, value) {
                const { kv, sql } = this.ctx.storage;
                // Two writes of one transaction.
                sql.exec('CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY)');
                sql.exec('INSERT INTO keys VALUES (?)', key);
                kv.put(key, value);
            }
            all(prefix) {
                const { kv, sql } = this.ctx.storage;
                const found = Object.fromEntries(kv.list({ prefix }));
                sql.exec('CREATE TABLE IF NOT EXISTS keys (key TEXT PRIMARY KEY)');
                const keys = sql.exec('SELECT key FROM keys WHERE key >= ? AND key < ?', prefix, prefix + '~').toArray();
                if (keys.length !== Object.keys(found).length) throw new Error('a transaction is there in part');
                return found;
            }
        }
        export const handlers = {};
        export const write = (objects, key, value) => objects.getByName(`store ${key.length % 4}`).put(key, value);
        export async function read(objects, prefix) {
            const found = {};
            for (let at = 0; at < 4; at++) Object.assign(found, await objects.getByName(`store ${at}`).all(prefix));
            return found;
        }",
};

const WORKER: &str = "import { handlers, read, write } from './storage.js';
    export * from './storage.js';
    // A value says its key, and is long enough for several pages of a file.
    const value = (key) => `${key};`.repeat(1 + key.length * 131 % 997);
    export default { ...handlers, async fetch(request, env) {
        const url = new URL(request.url);
        const key = url.searchParams.get('key');
        if (url.pathname === '/write') { await write(env.S, key, value(key)); return new Response('written'); }
        const found = await read(env.S, key, env);
        const wrong = Object.keys(found).filter((key) => found[key] !== value(key));
        return Response.json({ keys: Object.keys(found), wrong });
    } };";

impl Kind {
    fn project(&self) -> Project {
        let configuration = format!("main = 'worker.js'\nlimits.wall = '2m'\n{}", self.configuration);
        Project::new(&[
            ("isopod.toml", &configuration),
            ("worker.js", WORKER),
            ("storage.js", self.script),
        ])
    }
}

/// Writes until the server is killed. Returns the number of acknowledged writes.
fn write_on(server: std::net::SocketAddr, prefix: &str) -> usize {
    let Ok(mut connection) = Connection::open(server) else {
        return 0;
    };
    for at in 0.. {
        match connection.get(&format!("/write?key={prefix}-{at}")) {
            Ok(answer) if answer.status == 200 => {}
            Ok(answer) => panic!("{prefix}-{at}: {answer:?}"),
            Err(_) => return at,
        }
    }
    0
}

/// Kills the server this many times while clients write, and checks everything that was acknowledged after each.
fn nothing_acknowledged_is_lost(kind: &Kind, rounds: usize) {
    let project = kind.project();
    let mut total = 0;
    for round in 0..rounds {
        let mut server = Serving::start(project.path());
        let address = server.address;
        let begun = AtomicBool::new(false);
        let acknowledged: Vec<(String, usize)> = thread::scope(|scope| {
            let clients = (0..CLIENTS).map(|client| {
                let begun = &begun;
                scope.spawn(move || {
                    let prefix = format!("{round}-{client}");
                    begun.store(true, Ordering::Relaxed);
                    let count = write_on(address, &prefix);
                    (prefix, count)
                })
            });
            let clients: Vec<_> = clients.collect();
            // tidy:allow(sleep): a moment that differs from round to round is what the test is about
            thread::sleep(Duration::from_millis(150 + (round as u64 * 97) % 400));
            server.signal("KILL");
            server.exit_code();
            clients
                .into_iter()
                .map(|client| client.join().expect("a client"))
                .collect()
        });
        let server = Serving::start(project.path());
        for (prefix, count) in acknowledged {
            let answer = server.get(&format!("/read?key={prefix}-"));
            assert_eq!(answer.status, 200, "{answer:?}");
            let read: serde_json::Value = serde_json::from_str(&answer.body).expect("JSON");
            assert_eq!(read["wrong"], serde_json::json!([]), "torn values");
            let keys: Vec<_> = read["keys"]
                .as_array()
                .expect("keys")
                .iter()
                .map(|key| key.as_str())
                .collect();
            for at in 0..count {
                let key = format!("{prefix}-{at}");
                assert!(keys.contains(&Some(&key)), "round {round}: {key} of {count} is lost");
            }
            // One more may have been stored, and not acknowledged.
            assert!(keys.len() <= count + 1, "{} stored, {count} acknowledged", keys.len());
            total += count;
        }
    }
    assert!(total > rounds, "only {total} writes in {rounds} rounds");
    eprintln!("{rounds} rounds, {total} acknowledged writes");
}

#[test]
fn kv_keeps_what_it_acknowledged() {
    nothing_acknowledged_is_lost(&KV, 4);
}

#[test]
#[ignore = "nightly: takes minutes"]
fn kv_keeps_what_it_acknowledged_200_times() {
    nothing_acknowledged_is_lost(&KV, 200);
}

#[test]
fn a_queue_delivers_what_it_acknowledged() {
    nothing_acknowledged_is_lost(&QUEUE, 4);
}

#[test]
#[ignore = "nightly: takes minutes"]
fn a_queue_delivers_what_it_acknowledged_200_times() {
    nothing_acknowledged_is_lost(&QUEUE, 200);
}

#[test]
fn r2_keeps_what_it_acknowledged() {
    nothing_acknowledged_is_lost(&R2, 4);
}

#[test]
#[ignore = "nightly: takes minutes"]
fn r2_keeps_what_it_acknowledged_200_times() {
    nothing_acknowledged_is_lost(&R2, 200);
}

#[test]
fn d1_keeps_what_it_acknowledged() {
    nothing_acknowledged_is_lost(&D1, 4);
}

#[test]
#[ignore = "nightly: takes minutes"]
fn d1_keeps_what_it_acknowledged_200_times() {
    nothing_acknowledged_is_lost(&D1, 200);
}

#[test]
fn durable_objects_keep_what_they_acknowledged() {
    nothing_acknowledged_is_lost(&OBJECTS, 4);
}

#[test]
#[ignore = "nightly: takes minutes"]
fn durable_objects_keep_what_they_acknowledged_200_times() {
    nothing_acknowledged_is_lost(&OBJECTS, 200);
}

/// Stores each run of a tick under a key of its own.
const TICKS: &str = "export default {
        async scheduled({ scheduledTime }, env) { await env.KV.put(`ran/${scheduledTime}/${crypto.randomUUID()}`, ''); },
        async fetch(request, env) {
            const keys = [];
            let cursor;
            do {
                const page = await env.KV.list({ prefix: 'ran/', cursor });
                keys.push(...page.keys.map(({ name }) => name.split('/')[1]));
                cursor = page.cursor;
            } while (cursor !== undefined);
            return Response.json(keys);
        },
    };";

/// Kills one of two processes of a project, this many times, while a cron trigger fires each second.
fn no_tick_runs_twice(rounds: u64) {
    let project = Project::new(&[
        (
            "isopod.toml",
            "main = 'worker.js'\nkv_namespaces = [{ binding = 'KV' }]\ncrons = ['* * * * * *']",
        ),
        ("worker.js", TICKS),
    ]);
    let stays = Serving::start(project.path());
    for round in 0..rounds {
        let mut goes = Serving::start(project.path());
        // tidy:allow(sleep): a moment that differs from round to round is what the test is about
        thread::sleep(Duration::from_millis(700 + (round * 97) % 900));
        goes.signal("KILL");
        goes.exit_code();
    }
    let ran: Vec<String> = serde_json::from_str(&stays.get("/").body).expect("JSON");
    let times: std::collections::BTreeSet<_> = ran.iter().collect();
    assert_eq!(times.len(), ran.len(), "a tick ran twice: {ran:?}");
    assert!(ran.len() as u64 >= rounds / 2, "{} ticks in {rounds} rounds", ran.len());
}

#[test]
fn a_tick_does_not_run_twice_when_a_process_is_killed() {
    no_tick_runs_twice(4);
}

#[test]
#[ignore = "nightly: takes minutes"]
fn a_tick_does_not_run_twice_when_a_process_is_killed_200_times() {
    no_tick_runs_twice(200);
}
