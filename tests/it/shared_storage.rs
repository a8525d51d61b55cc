//! Processes that share a PostgreSQL server: keys are seen by all, a message is had by one, a tick runs once. And such that share a
//! bucket of S3.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::Value as Json;

use crate::client::Connection;
use crate::postgres::Postgres;
use crate::process::until;
use crate::program::{Serving, isopod_with};
use crate::project::Project;
use crate::seaweed::Seaweed;

/// Writes down each message and tick that it gets, under a key that is new each time.
const WORKER: &str = "export default {
    async fetch(request, env) {
        const url = new URL(request.url);
        const name = url.searchParams.get('name');
        switch (url.pathname) {
            case '/put': await env.KV.put(name, 'stored'); return new Response('stored');
            case '/get': return new Response(await env.KV.get(name));
            case '/send': await env.QUEUE.send(name); return new Response('sent');
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
        const noted = batch.messages.map((message) => env.KV.put(`had/${message.body}/${crypto.randomUUID()}`, ''));
        await Promise.all(noted);
    },
    async scheduled(controller, env) {
        await env.KV.put(`ran/${controller.scheduledTime}/${crypto.randomUUID()}`, '');
    },
};";

/// A folder of its own, as on another machine.
fn project(server: &Postgres, settings: &str) -> Project {
    let configuration = format!(
        "main = 'worker.js'
        env_files = ['.env']
        kv_namespaces = [{{ binding = 'KV' }}]
        queues.producers = [{{ binding = 'QUEUE', queue = 'q' }}]
        queues.consumers = [{{ queue = 'q', max_batch_timeout = '20ms', max_retries = 100, lease = '2s', poll = '30s' }}]
        limits.wall = '2m'
        {settings}
        [storage]
        kv = '$STORE'
        queues = '$STORE'
        crons = '$STORE'"
    );
    let env = format!("STORE={}", server.url());
    Project::new(&[("isopod.toml", &configuration), ("worker.js", WORKER), (".env", &env)])
}

/// The keys that begin so.
fn keys(server: &Serving, prefix: &str) -> Vec<String> {
    let answer = server.get(&format!("/keys?name={prefix}"));
    assert_eq!(answer.status, 200, "{answer:?}");
    serde_json::from_str(&answer.body).expect("JSON")
}

/// How many keys `had/NAME/…` or `ran/NAME/…` there are for each name.
fn counts(keys: &[String]) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for key in keys {
        let name = key.split('/').nth(1).expect("a name");
        *counts.entry(name.to_owned()).or_default() += 1;
    }
    counts
}

#[test]
fn a_key_is_seen_by_all_and_a_message_and_a_tick_come_to_one() {
    let server = Postgres::start();
    let projects = [(); 2].map(|()| project(&server, "crons = ['* * * * * *']"));
    let processes = [&projects[0], &projects[1]].map(|project| Serving::start(project.path()));
    let [one, two] = &processes;
    assert_eq!(one.get("/put?name=a").body, "stored");
    assert_eq!(two.get("/get?name=a").body, "stored");

    let names: BTreeSet<String> = (0..60).map(|at| at.to_string()).collect();
    for name in &names {
        let to = &processes[name.len() % 2];
        assert_eq!(to.get(&format!("/send?name={name}")).status, 200);
    }
    // Far sooner than the poll interval: the consumers hear of messages.
    until("all messages are had", || {
        (counts(&keys(one, "had/")).len() == names.len()).then_some(())
    });
    let had = counts(&keys(two, "had/"));
    assert_eq!(had.keys().cloned().collect::<BTreeSet<_>>(), names);
    assert!(had.values().all(|count| *count == 1), "{had:?}");

    let ran = until("four ticks", || {
        let ran = counts(&keys(two, "ran/"));
        (ran.len() >= 4).then_some(ran)
    });
    assert!(ran.values().all(|count| *count == 1), "{ran:?}");
    let took_part = processes
        .iter()
        .map(|process| process.metric("isopod_queue_messages_acknowledged_total{queue=\"q\"}"));
    assert_eq!(took_part.sum::<u64>(), 60);
}

/// Puts and sends until the process is gone or told to stop. Returns the names that were acknowledged.
fn write_on(process: SocketAddr, client: &str, stop: &AtomicBool) -> Vec<String> {
    let mut acknowledged = Vec::new();
    let Ok(mut connection) = Connection::open(process) else {
        return acknowledged;
    };
    for at in 0.. {
        let name = format!("{client}-{at}");
        for what in ["put", "send"] {
            match connection.get(&format!("/{what}?name={name}")) {
                Ok(answer) if answer.status == 200 => {}
                Ok(answer) => panic!("{what} {name}: {answer:?}"),
                Err(_) => return acknowledged,
            }
        }
        acknowledged.push(name);
        if stop.load(Ordering::Relaxed) {
            break;
        }
    }
    acknowledged
}

#[test]
fn acknowledged_data_survives_crashes() {
    let server = Postgres::start();
    let projects = [(); 2].map(|()| project(&server, ""));
    let one = Serving::start(projects[0].path());
    let two = Serving::start(projects[1].path());
    let (to_one, to_two) = (one.address, two.address);
    let stop = AtomicBool::new(false);
    let acknowledged: Vec<Vec<String>> = thread::scope(|scope| {
        let clients = (0..4).map(|client| {
            let process = if client % 2 == 0 { to_one } else { to_two };
            let stop = &stop;
            scope.spawn(move || write_on(process, &format!("c{client}"), stop))
        });
        let clients: Vec<_> = clients.collect();
        let written = |least: usize| {
            until("clients write", || (keys(&two, "c").len() >= least).then_some(()));
        };
        written(20);
        server.crash();
        server.run();
        let before = keys(&two, "c").len();
        written(before + 20);
        one.signal("KILL");
        let before = keys(&two, "c").len();
        written(before + 10);
        stop.store(true, Ordering::Relaxed);
        clients
            .into_iter()
            .map(|client| client.join().expect("a client"))
            .collect()
    });
    let acknowledged: BTreeSet<String> = acknowledged.into_iter().flatten().collect();
    assert!(acknowledged.len() >= 50, "{}", acknowledged.len());
    let stored: BTreeSet<String> = keys(&two, "c").into_iter().collect();
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{lost:?}");
    // Those that the killed process had come again when their leases are over.
    until("every message is had", || {
        let had = counts(&keys(&two, "had/"));
        acknowledged.iter().all(|name| had.contains_key(name)).then_some(())
    });
}

#[test]
fn commands_and_wrangler_projects_use_the_server_that_the_environment_names() {
    let server = Postgres::start();
    let wrangler = r#"{ "name": "x", "main": "a.js", "compatibility_date": "2026-04-01",
        "kv_namespaces": [{ "binding": "KV", "id": "shared" }],
        "queues": { "producers": [{ "binding": "Q", "queue": "orders" }] } }"#;
    let project = Project::new(&[("wrangler.json", wrangler), ("a.js", "export default { fetch() {} };")]);
    let (folder, url) = (project.path().to_str().expect("UTF-8"), server.url());
    let run = |arguments: &[&str]| {
        let arguments = [arguments, &["--project", folder]].concat();
        let environment = [("ISOPOD_STORAGE_KV", &*url), ("ISOPOD_STORAGE_QUEUES", &*url)];
        let ended = isopod_with(&arguments, &environment, "");
        assert_eq!(ended.code, Some(0), "{arguments:?}: {ended:?}");
        ended.stdout
    };
    run(&["kv", "key", "put", "a", "1"]);
    assert_eq!(run(&["kv", "key", "get", "a"]), "1");
    assert_eq!(run(&["kv", "key", "list"]), "a\n");
    run(&["queue", "send", "orders", "{}"]);
    let peeked: Json = serde_json::from_str(&run(&["queue", "peek", "orders", "--json"])).expect("JSON");
    assert_eq!(peeked.as_array().map(Vec::len), Some(1), "{peeked}");
    let queues: Json = serde_json::from_str(&run(&["queue", "list", "--json"])).expect("JSON");
    assert_eq!(queues[0]["messages"], 1, "{queues}");
    assert!(!project.path().join(".isopod").exists(), "nothing is on this machine");

    let gone = [("ISOPOD_STORAGE_KV", "postgres://app:hidden@127.0.0.1:1/x")];
    let ended = isopod_with(&["kv", "key", "list", "--project", folder], &gone, "");
    assert_eq!(ended.code, Some(1), "{ended:?}");
    assert!(
        ended.stderr.contains("PostgreSQL at 127.0.0.1:1/x") && !ended.stderr.contains("hidden"),
        "{ended:?}"
    );
}

/// Puts, gets and lists objects; what is put comes from the request's body.
const BUCKET_WORKER: &str = "export default {
    async fetch(request, { R2 }) {
        const url = new URL(request.url);
        const key = url.searchParams.get('key');
        switch (url.pathname) {
            case '/put': {
                const size = Number(url.searchParams.get('size'));
                const { readable, writable } = new FixedLengthStream(size);
                const writer = writable.getWriter();
                const piece = new Uint8Array(65536).fill(7);
                const written = (async () => {
                    for (let left = size; left > 0; left -= piece.length) await writer.write(piece.subarray(0, left));
                    await writer.close();
                })();
                const put = await R2.put(key, readable, { customMetadata: { by: 'Ada' } });
                await written;
                return Response.json({ size: put.size });
            }
            case '/once': return Response.json(await R2.put(key, 'x', { onlyIf: { etagDoesNotMatch: '*' } }) !== null);
            case '/get': {
                const found = await R2.get(key);
                let size = 0;
                for await (const piece of found.body) size += piece.length;
                return Response.json({ size, by: found.customMetadata.by });
            }
        }
        const { objects, delimitedPrefixes } = await R2.list({ delimiter: '/' });
        return Response.json({ keys: objects.map((object) => object.key), delimitedPrefixes });
    },
};";

#[test]
fn an_object_is_seen_by_all_processes_that_share_a_bucket() {
    let server = Seaweed::start();
    let (id, secret) = Seaweed::CREDENTIALS;
    let configuration = format!(
        "main = 'worker.js'
        env_files = ['.env']
        r2_buckets = [{{ binding = 'R2', bucket_name = 'uploads' }}]
        storage.r2 = 's3://company/shop?endpoint={}'",
        server.endpoint()
    );
    let env = format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}");
    let projects = [(); 2].map(|()| {
        Project::new(&[
            ("isopod.toml", &configuration),
            ("worker.js", BUCKET_WORKER),
            (".env", &env),
        ])
    });
    let mut one = Serving::start(projects[0].path());
    let two = Serving::start(projects[1].path());
    let json = |text: String| -> Json { serde_json::from_str(&text).expect("JSON") };
    // One that is passed on in parts.
    let size = (20 << 20) + 5;
    assert_eq!(json(one.get(&format!("/put?key=large&size={size}")).body)["size"], size);
    let found = json(two.get("/get?key=large").body);
    assert_eq!((&found["size"], &found["by"]), (&size.into(), &"Ada".into()));
    assert_eq!(one.get("/once?key=folder/a").body, "true");
    assert_eq!(two.get("/once?key=folder/a").body, "false");
    one.signal("KILL");
    one.exit_code();
    let list = json(two.get("/list").body);
    assert_eq!(
        list,
        serde_json::json!({ "keys": ["large"], "delimitedPrefixes": ["folder/"] })
    );

    // The command works on the same.
    let folder = projects[1].path().to_str().expect("UTF-8");
    let ended = isopod_with(&["r2", "object", "get", "folder/a", "--project", folder], &[], "");
    assert_eq!((ended.code, &*ended.stdout), (Some(0), "x"), "{ended:?}");
    let ended = isopod_with(&["r2", "bucket", "info", "--project", folder], &[], "");
    assert!(ended.stdout.contains("s3://company/shop/uploads/"), "{ended:?}");
    assert!(
        !projects[1].path().join(".isopod").exists(),
        "nothing is on this machine"
    );
}
