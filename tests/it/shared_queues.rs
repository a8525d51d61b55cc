//! Processes that share the queues of a NATS server: one of them gets each message, which survives a killed process and a
//! crash of the server. Received messages are recorded on a PostgreSQL server.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value as Json;

use crate::client::Connection;
use crate::nats::Nats;
use crate::postgres::Postgres;
use crate::process::until;
use crate::program::{Serving, isopod_with};
use crate::project::Project;

/// Records each received message under a new key. A message that begins with `bad` is refused.
const WORKER: &str = "export default {
    async fetch(request, env) {
        const url = new URL(request.url);
        const name = url.searchParams.get('name');
        if (url.pathname === '/send') {
            const { metadata } = await env.QUEUE.send(name, { delaySeconds: Number(url.searchParams.get('delay') ?? 0) });
            return Response.json(metadata ?? {});
        }
        if (url.pathname === '/batch') {
            await env.QUEUE.sendBatch([...Array(10).keys()].map((at) => ({ body: `${name}.${at}` })));
            return new Response('sent');
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
        await Promise.all(batch.messages.map(async (message) => {
            await env.KV.put(`had/${message.body}/${message.attempts}-${crypto.randomUUID()}`, '');
            if (message.body.startsWith('bad')) message.retry({ delaySeconds: 1 });
        }));
    },
};";

/// A folder of its own, as on another machine.
fn project(nats: &Nats, postgres: &Postgres) -> Project {
    let configuration = "main = 'worker.js'
        env_files = ['.env']
        kv_namespaces = [{ binding = 'KV' }]
        queues.producers = [{ binding = 'QUEUE', queue = 'q' }]
        queues.consumers = [{ queue = 'q', max_batch_timeout = '20ms', max_retries = 2, lease = '3s', dead_letter_queue = 'dead' }]
        limits.wall = '2m'
        [storage]
        kv = '$STORE'
        queues = '$QUEUES'";
    let env = format!("STORE={}\nQUEUES={}", postgres.url(), nats.url());
    Project::new(&[("isopod.toml", configuration), ("worker.js", WORKER), (".env", &env)])
}

/// Returns the number of attempts at each message.
fn had(server: &Serving) -> BTreeMap<String, usize> {
    let answer = server.get("/keys?name=had/");
    assert_eq!(answer.status, 200, "{answer:?}");
    let keys: Vec<String> = serde_json::from_str(&answer.body).expect("JSON");
    let mut counts = BTreeMap::new();
    for key in keys {
        let name = key.split('/').nth(1).expect("a name");
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn one_process_gets_each_message_and_dead_letters_can_be_moved_back() {
    let (nats, postgres) = (Nats::start(), Postgres::start());
    let projects = [(); 2].map(|()| project(&nats, &postgres));
    let processes = [&projects[0], &projects[1]].map(|project| Serving::start(project.path()));
    for at in 0..10 {
        assert_eq!(processes[at % 2].get(&format!("/batch?name={at}")).status, 200);
    }
    assert_eq!(processes[0].get("/send?name=bad").status, 200);
    assert_eq!(processes[1].get("/send?name=late&delay=1").status, 200);
    let counts = until("all messages are had", || {
        let counts = had(&processes[0]);
        (counts.len() == 102 && counts["bad"] == 3).then_some(counts)
    });
    let others = counts.iter().filter(|(name, _)| *name != "bad");
    assert!(others.clone().all(|(_, count)| *count == 1), "{counts:?}");
    let by = processes
        .iter()
        .map(|process| process.metric("isopod_queue_messages_acknowledged_total{queue=\"q\"}"));
    assert_eq!(by.sum::<u64>(), 101);

    let folder = projects[0].path().to_str().expect("UTF-8");
    let run = |arguments: &[&str]| {
        let ended = isopod_with(&[arguments, &["--project", folder]].concat(), &[], "");
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.stdout
    };
    let json = |text: String| -> Json { serde_json::from_str(&text).expect("JSON") };
    let peeked = until("the message is a dead letter", || {
        let peeked = json(run(&["queue", "peek", "dead", "--json"]));
        (peeked.as_array().map(Vec::len) == Some(1)).then_some(peeked)
    });
    assert_eq!(peeked[0]["body"], "bad", "{peeked}");
    let list = json(run(&["queue", "list", "--json"]));
    assert!(list.to_string().contains("nats://127.0.0.1:"), "{list}");
    assert!(!list.to_string().contains("hidden"), "{list}");
    assert_eq!(json(run(&["queue", "redrive", "dead", "--json"]))["moved"], 1);
    until("it is had again", || (had(&processes[1])["bad"] == 6).then_some(()));
    assert!(
        !projects[0].path().join(".isopod").exists(),
        "nothing is on this machine"
    );
}

/// Sends until the process ends or is told to stop. Returns the acknowledged names.
fn send_to(process: SocketAddr, client: &str, stop: &AtomicBool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let Ok(mut connection) = Connection::open(process) else {
        return acknowledged;
    };
    for at in 0.. {
        let name = format!("{client}-{at}");
        match connection.get(&format!("/batch?name={name}")) {
            Ok(answer) if answer.status == 200 => acknowledged.extend((0..10).map(|at| format!("{name}.{at}"))),
            Ok(answer) => panic!("{name}: {answer:?}"),
            Err(_) => return acknowledged,
        }
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

#[test]
fn acknowledged_writes_survive_crashes() {
    let (nats, postgres) = (Nats::start(), Postgres::start());
    let projects = [(); 2].map(|()| project(&nats, &postgres));
    let one = Serving::start(projects[0].path());
    let two = Serving::start(projects[1].path());
    let (to_one, to_two) = (one.address, two.address);
    let stop = AtomicBool::new(false);
    let acknowledged: BTreeSet<String> = thread::scope(|scope| {
        let clients: Vec<_> = [to_one, to_two]
            .into_iter()
            .enumerate()
            .map(|(client, process)| {
                let stop = &stop;
                scope.spawn(move || send_to(process, &format!("c{client}"), stop))
            })
            .collect();
        let handled = |least: usize| {
            until("messages are handled", || (had(&two).len() >= least).then_some(()));
        };
        handled(50);
        nats.crash();
        nats.run();
        handled(had(&two).len() + 50);
        one.signal("KILL");
        handled(had(&two).len() + 50);
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .flat_map(|client| client.join().expect("a client"))
            .collect()
    });
    assert!(acknowledged.len() >= 150, "{}", acknowledged.len());
    // Those that the killed process had are delivered again when their leases are over.
    until("every message is had", || {
        let had = had(&two);
        acknowledged.iter().all(|name| had.contains_key(name)).then_some(())
    });
}
