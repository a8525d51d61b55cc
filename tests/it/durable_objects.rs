//! Durable Objects of the built program.

use serde_json::{Value as Json, json};

use crate::frames::{Frame, Socket};
use crate::process::until;
use crate::program::{Serving, isopod_in};
use crate::project::Project;

const CONFIGURATION: &str = r#"{ "name": "x", "main": "worker.js", "compatibility_date": "2025-06-01", "limits": { "cpu_ms": 300 },
    "durable_objects": { "bindings": [{ "name": "OBJECTS", "class_name": "Thing" }] },
    "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Thing"] }] }"#;

/// Calls a method of an object: `/METHOD?name=NAME&args=JSON`.
const WORKER: &str = r#"
    import { DurableObject } from "cloudflare:workers";
    let made = 0;
    export class Thing extends DurableObject {
        isReady = false;
        number = ++made;
        constructor(ctx, env) {
            super(ctx, env);
            ctx.blockConcurrencyWhile(async () => {
                await new Promise((done) => setTimeout(done, 10));
                this.isReady = true;
            });
        }
        about() { return [this.isReady, this.number, this.ctx.id.name, this.ctx.id.toString()]; }
        async add(n) {
            const sum = (await this.ctx.storage.get("sum") ?? 0) + n;
            await this.ctx.storage.put("sum", sum);
            return sum;
        }
        set(key, value) { return this.ctx.storage.put(key, value); }
        values(options) { return this.ctx.storage.list(options); }
        clear() { return this.ctx.storage.deleteAll(); }
        fail() { throw new RangeError("not today"); }
        abort() { this.ctx.storage.kv.put("lost", 1); this.ctx.abort("reset"); }
        endless() { for (;;); }
        exec(...statements) { return this.ctx.storage.sql.exec(...statements).toArray(); }
        cursor() {
            const { sql } = this.ctx.storage;
            sql.exec("CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t (v) VALUES ('a'), (x'01')");
            const cursor = sql.exec("SELECT * FROM t WHERE id >= ?", 1);
            const [first, second] = [...cursor];
            return [cursor.columnNames, first, second.v.byteLength, cursor.rowsRead, sql.exec("SELECT 1 AS n").one(),
                [...sql.exec("SELECT id FROM t").raw()], sql.databaseSize > 0];
        }
        async transactions() {
            const { storage } = this.ctx;
            const failed = (run) => { try { storage.transactionSync(run); } catch (error) { return error.message; } };
            const seen = [failed(() => { storage.kv.put("a", 1); throw new Error("back"); }), storage.kv.get("a") ?? null];
            storage.transactionSync(() => {
                storage.kv.put("a", 2);
                failed(() => { storage.kv.put("a", 3); throw new Error("inner"); });
            });
            seen.push(storage.kv.get("a"));
            await storage.transaction(async (txn) => { await txn.put("a", 4); await txn.put("b", 4); txn.rollback(); });
            seen.push(await storage.get("a"), (await storage.get(["a", "b"])).size);
            return seen;
        }
        async setAlarm(ms) { await this.ctx.storage.setAlarm(Date.now() + ms); return await this.ctx.storage.getAlarm() > 0; }
        async alarm(info) {
            const rang = (await this.ctx.storage.get("rang") ?? 0) + 1;
            await this.ctx.storage.put("rang", rang);
            if (rang <= await this.ctx.storage.get("failures")) throw new Error("not yet");
            await this.ctx.storage.put("last", { ...info, alarm: await this.ctx.storage.getAlarm() });
        }
        sockets() { return [this.ctx.getWebSockets().length, this.ctx.getWebSockets("b").length, this.ctx.storage.kv.get("closed") ?? null]; }
        webSocketMessage(socket, message) {
            const { tag } = socket.deserializeAttachment();
            for (const other of this.ctx.getWebSockets()) other.send(`${tag} ${this.ctx.getTags(other)} ${message} ${this.number}`);
        }
        webSocketClose(socket, code, reason) { this.ctx.storage.kv.put("closed", [code, reason]); }
        async fetch(request) {
            if (request.headers.get("upgrade") !== null) {
                const [client, server] = Object.values(new WebSocketPair());
                const tag = new URL(request.url).searchParams.get("tag");
                this.ctx.acceptWebSocket(server, [tag]);
                server.serializeAttachment({ tag });
                this.ctx.setWebSocketAutoResponse(new WebSocketRequestResponsePair("ping", "pong"));
                return new Response(null, { status: 101, webSocket: client });
            }
            return this.answer(request);
        }
        async answer(request) { return new Response(`${request.method} ${await request.text()} ${this.number}`, { status: 201 }); }
    }
    export default { async fetch(request, env, ctx) {
        const { pathname, searchParams } = new URL(request.url);
        const stub = (searchParams.has("exports") ? ctx.exports.Thing : env.OBJECTS).getByName(searchParams.get("name") ?? "a");
        const method = pathname.slice(1);
        const args = JSON.parse(searchParams.get("args") ?? "[]");
        if (method === "socket") return stub.fetch(request);
        if (method === "fetch") return stub.fetch("http://object/", { method: "PUT", body: "body" });
        try {
            if (method === "ids") return Response.json(ids(env.OBJECTS));
            const result = await stub[method](...args);
            return Response.json(result instanceof Map ? [...result] : result ?? null);
        } catch (error) {
            const { name, message, remote, retryable } = error;
            return Response.json({ name, message, remote, retryable }, { status: 400 });
        }
    } };
    function ids(namespace) {
        const id = namespace.idFromName("a");
        const refused = (run) => { try { run(); } catch (error) { return error.message; } };
        return [id.equals(namespace.idFromString(`${id}`)), namespace.get(id).id === id, namespace.getByName("a").name,
            `${namespace.newUniqueId()}`.length, namespace.newUniqueId().equals(namespace.newUniqueId()),
            refused(() => namespace.idFromString("12")), refused(() => namespace.idFromString("0".repeat(64)))];
    }"#;

fn project() -> Project {
    Project::new(&[("wrangler.json", CONFIGURATION), ("worker.js", WORKER)])
}

/// A path whose arguments are not encoded yet.
fn encoded(path: &str) -> String {
    let encoded = |c: char| match c {
        '/' | '?' | '&' | '=' | '%' | ',' | ':' => c.to_string(),
        c if c.is_ascii_alphanumeric() => c.to_string(),
        c => format!("%{:02X}", u32::from(c)),
    };
    path.chars().map(encoded).collect()
}

fn call(server: &Serving, path: &str) -> Json {
    let answer = server.get(&encoded(path));
    serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{path}: {answer:?}"))
}

#[test]
fn an_object_exists_once_for_its_name() {
    let project = project();
    let server = Serving::start(project.path());
    let about = call(&server, "/about?name=one");
    assert_eq!((&about[0], &about[2]), (&json!(true), &json!("one")));
    assert_eq!(call(&server, "/about?name=one"), about, "the same instance");
    assert_ne!(call(&server, "/about?name=two")[3], about[3]);
    let sums = std::thread::scope(|scope| {
        let calls: Vec<_> = (0..20)
            .map(|_| scope.spawn(|| call(&server, "/add?args=[1]").as_u64()))
            .collect();
        let mut sums: Vec<_> = calls.into_iter().map(|call| call.join().expect("an answer")).collect();
        sums.sort_unstable();
        sums
    });
    assert_eq!(sums, (1..=20).map(Some).collect::<Vec<_>>());
    let expected = [
        json!(true),
        json!(true),
        json!("a"),
        json!(64),
        json!(false),
        json!("Invalid Durable Object ID: must be 64 hex digits"),
        json!("Durable Object ID is not valid for this namespace."),
    ];
    assert_eq!(call(&server, "/ids"), json!(expected));
    let answer = server.get("/fetch?name=one");
    assert_eq!((answer.status, answer.body), (201, format!("PUT body {}", about[1])));
}

#[test]
fn stored_data_of_an_object_survives_a_restart() {
    let project = project();
    {
        let mut server = Serving::start(project.path());
        assert_eq!(call(&server, "/add?args=[7]"), json!(7));
        assert_eq!(call(&server, r#"/set?args=["k",{"deep":[1,null]}]"#), Json::Null);
        assert_eq!(call(&server, "/about?name=empty")[0], json!(true));
        server.signal("TERM");
        server.exit_code();
    }
    let files = || {
        let folder = std::fs::read_dir(project.path().join(".isopod/objects/x/Thing")).expect("its folder");
        folder
            .filter(|file| {
                file.as_ref()
                    .is_ok_and(|file| file.path().extension().is_some_and(|e| e == "sqlite"))
            })
            .count()
    };
    assert_eq!(files(), 1, "an object that has stored nothing leaves no file");
    let server = Serving::start(project.path());
    assert_eq!(call(&server, "/add?args=[1]"), json!(8));
    assert_eq!(
        call(&server, "/values"),
        json!([["k", { "deep": [1, null] }], ["sum", 8]])
    );
    assert_eq!(
        call(&server, r#"/values?args=[{"prefix":"k"}]"#),
        json!([["k", { "deep": [1, null] }]])
    );
    assert_eq!(
        call(&server, r#"/values?args=[{"reverse":true,"limit":1}]"#),
        json!([["sum", 8]])
    );
    assert_eq!(call(&server, "/clear"), Json::Null);
    assert_eq!(call(&server, "/values"), json!([]));
}

#[test]
fn statements_run_at_once_and_within_limits() {
    let project = project();
    let server = Serving::start(project.path());
    let expected = json!([["id", "v"], { "id": 1, "v": "a" }, 1, 2, { "n": 1 }, [[1], [2]], true]);
    assert_eq!(call(&server, "/cursor"), expected);
    assert_eq!(call(&server, "/transactions"), json!(["back", null, 2, 2, 1]));
    for (statement, expected) in [
        ("SELECT * FROM _cf_KV", "access to _cf_KV is not allowed"),
        ("ATTACH 'x' AS x", "ATTACH is not allowed"),
        ("BEGIN", "transaction"),
        ("SELECT ?", "Wrong number of parameter bindings"),
        ("SELECT load_extension('x')", "load_extension"),
        ("SELECT", "incomplete input"),
    ] {
        let args = json!([statement]).to_string().replace('?', "%3F").replace('=', "%3D");
        let error = call(&server, &format!("/exec?args={args}"));
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains(expected), "{statement}: {error}");
    }
}

#[test]
fn an_object_that_fails_begins_again() {
    let project = project();
    let server = Serving::start(project.path());
    let first = call(&server, "/about");
    let thrown = json!({ "name": "RangeError", "message": "not today", "remote": true });
    assert_eq!(call(&server, "/fail"), thrown);
    assert_eq!(
        call(&server, "/about"),
        first,
        "a method that throws leaves it as it is"
    );
    assert_eq!(call(&server, "/abort")["message"], json!("reset"));
    assert_ne!(call(&server, "/about")[1], first[1]);
    assert_eq!(
        call(&server, "/values"),
        json!([]),
        "what was not stored yet is lost with it"
    );
    assert_eq!(call(&server, "/add?args=[1]"), json!(1));
    let endless = "WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c) SELECT max(n) FROM c";
    for path in ["/endless", &format!("/exec?args={}", json!([endless]))] {
        assert_ne!(server.get(&encoded(path)).status, 200, "{path}");
        assert_eq!(call(&server, "/values"), json!([["sum", 1]]), "{path}");
    }
}

/// As in workerd with storage of its own, so that libraries take the same way.
#[test]
fn point_in_time_recovery_rejects_with_the_error_of_the_platform() {
    let worker = "import { DurableObject } from 'cloudflare:workers';
        export class Thing extends DurableObject {
            async bookmarks() {
                const { storage } = this.ctx;
                const told = [];
                for (const promise of [storage.getCurrentBookmark(), storage.getBookmarkForTime(Date.now()), storage.onNextSessionRestoreBookmark('')]) {
                    told.push(await promise.catch((error) => error.message));
                }
                return told;
            }
        }
        export default { fetch: async (request, env) => Response.json(await env.OBJECTS.getByName('a').bookmarks()) };";
    let project = Project::new(&[("wrangler.json", CONFIGURATION), ("worker.js", worker)]);
    let told: Vec<String> = serde_json::from_str(&Serving::start(project.path()).get("/").body).expect("JSON");
    let error = "This Durable Object's storage back-end does not implement point-in-time recovery.";
    assert_eq!(told, [error; 3]);
}

#[test]
fn an_alarm_is_retried_and_survives_a_restart() {
    let project = project();
    {
        let server = Serving::start(project.path());
        call(&server, r#"/set?name=bell&args=["failures",1]"#);
        assert_eq!(call(&server, "/setAlarm?name=bell&args=[50]"), json!(true));
        let last = || {
            let values = call(&server, r#"/values?name=bell&args=[{"prefix":"last"}]"#);
            (values != json!([])).then(|| values[0][1].clone())
        };
        let last = until("the alarm has succeeded", last);
        assert_eq!(
            (&last["retryCount"], &last["isRetry"], &last["alarm"]),
            (&json!(1), &json!(true), &Json::Null)
        );
        call(&server, r#"/set?name=later&args=["failures",0]"#);
        assert_eq!(call(&server, "/setAlarm?name=later&args=[1500]"), json!(true));
    }
    let server = Serving::start(project.path());
    until("the alarm rings in the next process", || {
        (call(&server, r#"/values?name=later&args=[{"prefix":"rang"}]"#) == json!([["rang", 1]])).then_some(())
    });
}

/// A project whose objects are evicted soon.
fn hasty() -> Project {
    let configuration =
        "main = 'worker.js'\n[[durable_objects]]\nbinding = 'OBJECTS'\nclass_name = 'Thing'\nidle = '100ms'\n";
    Project::new(&[("isopod.toml", configuration), ("worker.js", WORKER)])
}

#[test]
fn an_evicted_object_restarts_with_its_storage() {
    let project = hasty();
    let server = Serving::start(project.path());
    assert_eq!(call(&server, "/add?args=[1]"), json!(1));
    let first = call(&server, "/about");
    let worker = project.path().join(".isopod/objects");
    let folder = std::fs::read_dir(&worker)
        .expect("the folder of the worker")
        .next()
        .expect("one")
        .expect("it")
        .path();
    let log = folder
        .join("Thing")
        .join(format!("{}.sqlite-wal", first[3].as_str().expect("an id")));
    until("its file is closed", || (!log.exists()).then_some(()));
    assert_eq!(call(&server, "/add?args=[1]"), json!(2));
    assert_ne!(call(&server, "/about")[1], first[1]);
}

#[test]
fn sockets_stay_open_while_an_object_hibernates() {
    let project = hasty();
    let server = Serving::start(project.path());
    let mut sockets = ["a", "b"].map(|tag| Socket::open(server.address, &format!("/socket?name=room&tag={tag}")));
    sockets[0].send_text("ping");
    assert_eq!(sockets[0].read(), Frame::text("pong"), "without the object");
    let mut say = |text: &str| {
        sockets[0].send_text(text);
        sockets.each_mut().map(|socket| match socket.read() {
            Frame::Text(text) => text,
            other => panic!("{other:?}"),
        })
    };
    assert_eq!(say("hello"), ["a a hello 1", "a b hello 1"]);
    until("another instance gets the messages", || {
        (say("again")[1] == "a b again 2").then_some(())
    });
    assert_eq!(call(&server, "/sockets?name=room"), json!([2, 1, null]));
    sockets[1].close(3001, "bye");
    assert_eq!(sockets[1].read(), Frame::close(3001, "bye"));
    until("the object is told", || {
        (call(&server, "/sockets?name=room") == json!([1, 0, [3001, "bye"]])).then_some(())
    });
}

/// Two processes know of the alarm; the object and its file are in one of them.
#[test]
fn an_alarm_fires_once_across_processes() {
    let project = project();
    let mut first = Serving::start(project.path());
    let second = Serving::start(project.path());
    for (server, name) in [(&first, "bell"), (&second, "other")] {
        call(server, &format!(r#"/set?name={name}&args=["failures",0]"#));
    }
    let rang = |server: &Serving| call(server, r#"/values?name=bell&args=[{"prefix":"rang"}]"#);
    assert_eq!(call(&first, "/setAlarm?name=bell&args=[100]"), json!(true));
    until("it rings where the object is", || {
        (rang(&first) == json!([["rang", 1]])).then_some(())
    });
    assert_eq!(call(&first, "/setAlarm?name=bell&args=[1000]"), json!(true));
    first.signal("KILL");
    first.exit_code();
    until("it rings in the process that is left", || {
        (rang(&second) == json!([["rang", 2]])).then_some(())
    });
}

#[test]
fn the_exports_of_a_worker_lead_to_its_objects() {
    let project = project();
    let server = Serving::start(project.path());
    assert_eq!(call(&server, "/add?exports=1&args=[1]"), json!(1));
    assert_eq!(call(&server, "/add?args=[1]"), json!(2), "the same object");
}

/// An object that has told others of a write, and a witness that counts what it was told.
const TELLING: &str = r#"
    import { DurableObject } from "cloudflare:workers";
    export class Thing extends DurableObject {
        seen() { return this.ctx.storage.kv.get("seen") ?? 0; }
        see() { this.ctx.storage.kv.put("seen", this.seen() + 1); }
        fetch() { this.see(); return new Response(); }
        async tell(fails) {
            const { kv, sql, storage = this.ctx.storage } = this.ctx.storage;
            sql.exec("CREATE TABLE IF NOT EXISTS once (v UNIQUE)");
            kv.put("told", true);
            // Undoes everything that this turn has written.
            try { if (fails) sql.exec("INSERT OR ROLLBACK INTO once VALUES (1), (1)"); } catch {}
            const witness = this.env.OBJECTS.getByName("witness");
            await Promise.all([witness.see(), witness.fetch("http://witness/")]);
            // A transaction is not waited for: it would wait for this.
            await storage.transaction(async () => { kv.put("told", 2); await witness.see(); });
            return "told";
        }
    }
    export default { async fetch(request, env) {
        const { pathname, search } = new URL(request.url);
        const stub = env.OBJECTS.getByName(pathname.slice(1));
        try { return Response.json(search === "" ? await stub.seen() : await stub.tell(search === "?fails")); }
        catch (error) { return Response.json(error.message, { status: 400 }); }
    } };"#;

#[test]
fn the_output_of_an_object_waits_for_its_writes() {
    let project = Project::new(&[("wrangler.json", CONFIGURATION), ("worker.js", TELLING)]);
    let server = Serving::start(project.path());
    assert_eq!(server.get("/object?fails").status, 400);
    assert_eq!(call(&server, "/witness"), json!(0), "nothing of what is undone is told");
    assert_eq!(server.get("/object?tells").body, "\"told\"");
    assert_eq!(call(&server, "/witness"), json!(3));
}

#[test]
fn a_class_keeps_its_objects_when_it_is_renamed() {
    let project = project();
    assert_eq!(call(&Serving::start(project.path()), "/add?args=[1]"), json!(1));
    let renamed = CONFIGURATION
        .replace("\"class_name\": \"Thing\"", "\"class_name\": \"Item\"")
        .replace(
            "] }] }",
            "] }, { \"tag\": \"v2\", \"renamed_classes\": [{ \"from\": \"Thing\", \"to\": \"Item\" }] }] }",
        );
    project.write("wrangler.json", &renamed.replace("[{ \"from\"", "[{\"from\""));
    project.write("worker.js", &WORKER.replace("class Thing", "class Item"));
    assert_eq!(call(&Serving::start(project.path()), "/add?args=[1]"), json!(2));
}

#[test]
fn classes_that_are_transferred_are_refused() {
    let project = project();
    let transferred = r#""transferred_classes": [{ "from": "A", "from_script": "b", "to": "Thing" }]"#;
    project.write(
        "wrangler.json",
        &CONFIGURATION.replace(r#""new_sqlite_classes": ["Thing"]"#, transferred),
    );
    let ended = isopod_in(project.path(), &["check"], "");
    assert_ne!(ended.code, Some(0));
    assert!(
        ended.stderr.contains("migrations[0].transferred_classes"),
        "{}",
        ended.stderr
    );
}
