//! Kills of a process, and crashes of its servers, while clients write: what was acknowledged is there afterwards, and every message
//! comes.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::client::Connection;
use crate::nats::Nats;
use crate::postgres::Postgres;
use crate::process::within;
use crate::program::Serving;
use crate::project::Project;

/// Stores what it is told, and each message and tick that it gets.
const WORKER: &str = "export default {
    async fetch(request, env) {
        const url = new URL(request.url);
        const name = url.searchParams.get('name');
        switch (url.pathname) {
            case '/put': await env.KV.put(`put/${name}`, name); return new Response('stored');
            case '/send': await env.QUEUE.send(name); return new Response('sent');
            case '/batch': await env.QUEUE.sendBatch([...Array(5).keys()].map((at) => ({ body: `${name}.${at}` }))); return new Response('sent');
        }
        const keys = [];
        let cursor;
        do {
            const page = await env.KV.list({ prefix: name, cursor });
            keys.push(...page.keys.map((key) => key.name));
            cursor = page.cursor;
        } while (cursor !== undefined);
        return Response.json(keys);
    },
    async queue(batch, env) {
        await Promise.all(batch.messages.map(({ body }) => env.KV.put(`had/${body}`, '')));
    },
    async scheduled({ scheduledTime }, env) {
        await env.KV.put(`ran/${scheduledTime}/${crypto.randomUUID()}`, '');
    },
};";

/// The server that keeps the queues.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Queues {
    Nats,
    Postgres,
}

/// A folder of its own, as on another machine.
fn project(queues: &str, postgres: &Postgres) -> Project {
    let configuration = "main = 'worker.js'
        env_files = ['.env']
        kv_namespaces = [{ binding = 'KV' }]
        queues.producers = [{ binding = 'QUEUE', queue = 'q' }]
        queues.consumers = [{ queue = 'q', max_batch_timeout = '20ms', max_retries = 100, lease = '2s', poll = '1s' }]
        crons = ['* * * * * *']
        limits.wall = '2m'
        limits.storage_operations = 100000
        [storage]
        kv = '$STORE'
        crons = '$STORE'
        queues = '$QUEUES'";
    let env = format!("STORE={}\nQUEUES={queues}", postgres.url());
    Project::new(&[("isopod.toml", configuration), ("worker.js", WORKER), (".env", &env)])
}

fn keys(server: &Serving, prefix: &str) -> BTreeSet<String> {
    let answer = server.get(&format!("/keys?name={prefix}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    let keys: Vec<String> = serde_json::from_str(&answer.body).expect("JSON");
    keys.into_iter().collect()
}

/// Writes until the process is gone or told to stop. Returns the keys that are to be there.
fn write_on(process: SocketAddr, client: &str, stop: &AtomicBool) -> Vec<String> {
    let mut expected = Vec::new();
    let Ok(mut connection) = Connection::open(process) else {
        return expected;
    };
    for at in 0.. {
        let name = format!("{client}-{at}");
        let (path, keys) = match at % 3 {
            0 => ("put", vec![format!("put/{name}")]),
            1 => ("send", vec![format!("had/{name}")]),
            _ => ("batch", (0..5).map(|at| format!("had/{name}.{at}")).collect()),
        };
        match connection.get(&format!("/{path}?name={name}")) {
            Ok(answer) if answer.status == 200 => expected.extend(keys),
            Ok(answer) => panic!("{path} {name}: {answer:?}"),
            Err(_) => return expected,
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    expected
}

/// Kills one of two processes this many times, and restarts a server in two of three rounds.
fn nothing_acknowledged_is_lost(queues: Queues, rounds: u64) {
    let (nats, postgres) = (Nats::start(), Postgres::start());
    let url = match queues {
        Queues::Nats => nats.url(),
        Queues::Postgres => postgres.url(),
    };
    let projects = [(); 2].map(|()| project(&url, &postgres));
    let stays = Serving::start(projects[0].path());
    let mut total = 0;
    for round in 0..rounds {
        let mut goes = Serving::start(projects[1].path());
        let stop = AtomicBool::new(false);
        let addresses = [stays.address, goes.address];
        let expected: BTreeSet<String> = thread::scope(|scope| {
            let clients = (0..4).map(|client| {
                let (stop, address) = (&stop, addresses[client % 2]);
                scope.spawn(move || write_on(address, &format!("{round}-{client}"), stop))
            });
            let clients: Vec<_> = clients.collect();
            // tidy:allow(sleep): a moment that differs from round to round is what the test is about
            let pause = |step: u64| thread::sleep(Duration::from_millis(50 + (round * 97 + step * 61) % 250));
            pause(0);
            match (round % 3, queues) {
                (0, _) => {}
                (1, Queues::Nats) => {
                    nats.crash();
                    nats.run();
                }
                _ => {
                    postgres.crash();
                    postgres.run();
                }
            }
            pause(1);
            goes.signal("KILL");
            goes.exit_code();
            pause(2);
            stop.store(true, Ordering::Relaxed);
            clients
                .into_iter()
                .flat_map(|client| client.join().expect("a client"))
                .collect()
        });
        total += expected.len();
        let put = keys(&stays, &format!("put/{round}-"));
        let lost: Vec<_> = expected
            .iter()
            .filter(|key| key.starts_with("put/") && !put.contains(*key))
            .collect();
        assert!(lost.is_empty(), "round {round}: {lost:?}");
        // Those that the killed process had come again when their leases are over.
        let sent = || expected.iter().filter(|key| key.starts_with("had/"));
        within(Duration::from_secs(60), "every message has come", || {
            let had = keys(&stays, &format!("had/{round}-"));
            sent().all(|key| had.contains(key)).then_some(())
        });
    }
    let ran = keys(&stays, "ran/");
    let times: BTreeSet<_> = ran.iter().filter_map(|key| key.split('/').nth(1)).collect();
    assert_eq!(times.len(), ran.len(), "a tick ran twice: {ran:?}");
    assert!(total as u64 > rounds * 10, "only {total} writes in {rounds} rounds");
    eprintln!(
        "{rounds} rounds, {total} acknowledged writes and messages, {} ticks",
        ran.len()
    );
}

#[test]
fn nats_and_postgres_keep_what_they_acknowledged() {
    nothing_acknowledged_is_lost(Queues::Nats, 3);
}

#[test]
#[ignore = "nightly: takes minutes"]
fn nats_and_postgres_keep_what_they_acknowledged_200_times() {
    nothing_acknowledged_is_lost(Queues::Nats, 200);
}

#[test]
#[ignore = "nightly: takes minutes"]
fn queues_on_postgres_keep_what_they_acknowledged_200_times() {
    nothing_acknowledged_is_lost(Queues::Postgres, 200);
}
