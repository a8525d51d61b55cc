//! KV namespaces of the built program, from its configuration, and `isopod kv`.

use serde_json::{Value as Json, json};

use crate::program::{Serving, isopod_in};
use crate::project::Project;
use crate::transcript;

const CONFIGURATION: &str =
    r#"{ "name": "x", "main": "worker.js", "kv_namespaces": [{ "binding": "KV", "id": "things" }] }"#;

/// Runs `code` with `kv`, and responds with its result or exception.
const WORKER: &str = "export default { async fetch(request, env) {
        const code = decodeURIComponent(new URL(request.url).search.slice(1));
        try {
            return Response.json(await steps[code](env.KV));
        } catch (error) { return new Response(`${error.name}: ${error.message}`, { status: 400 }); }
    } };
    const steps = {
        async thousand(kv) { for (let i = 0; i < 1000; i++) await kv.get('a'); return 'done'; },
        async more(kv) { for (let i = 0; i < 1001; i++) await kv.get('a'); return 'done'; },
        async big(kv) { await kv.put('big', new Uint8Array(25 << 20)); return 'done'; },
        async flood(kv) {
            const settled = await Promise.allSettled(Array.from({ length: 900 }, () => kv.get('big', 'arrayBuffer')));
            return settled.map(({ reason }) => reason?.name ?? 'ok');
        },
        async forms(kv) {
            await kv.put('json', '{\"a\":[1,\"é\"]}');
            await kv.put('bytes', new Uint8Array([0xef, 0xbb, 0xbf, 0x61, 0xff, 0x62]));
            const form = async (key, type) => {
                try {
                    const value = await kv.get(key, type);
                    if (value instanceof ArrayBuffer) return [...new Uint8Array(value)];
                    return value instanceof ReadableStream ? [...await new Response(value).bytes()] : value;
                } catch (error) { return error.name; }
            };
            const all = async () => [
                await form('json', 'json'), await form('json'), await form('bytes', { type: 'text' }), await form('bytes', 'json'),
                await form('bytes', 'arrayBuffer'), await form('bytes', 'stream'), await form('bytes', 'other'), await form('none', 'json'),
            ];
            // The first by another thread, later ones by this one.
            const found = new Set();
            for (let i = 0; i < 40; i++) {
                found.add(JSON.stringify(await all()));
                await new Promise((resolve) => setTimeout(resolve, 1));
            }
            return [...found].map((one) => JSON.parse(one));
        },
        async later(kv) { kv.put('later', 'x'); return kv.get('later'); },
        list: async (kv) => (await kv.list()).keys,
        put: async (kv) => { await kv.put('served', 'by the worker', { metadata: { by: 'worker' } }); return 'done'; },
        get: (kv) => kv.getWithMetadata('told'),
    };";

fn ask(server: &Serving, step: &str) -> (u16, String) {
    let answer = server.get(&format!("/?{step}"));
    (answer.status, answer.body)
}

/// Intended differences from workerd: the step, Isopod's result and the reason.
fn differences() -> Vec<(&'static str, Json, &'static str)> {
    vec![
        (
            "metadata that is a function",
            json!({ "throws": "TypeError: KV put() accepts only metadata that JSON.stringify() can write." }),
            "workerd passes `undefined` on as JSON, which the storage cannot read",
        ),
        (
            "a stream that fails",
            json!(["RangeError: no more", "before"]),
            "workerd's local storage keeps the part that was sent",
        ),
        (
            "a method without its object",
            json!({ "throws": "TypeError: Cannot read properties of undefined (reading '#name')" }),
            "the text is V8's",
        ),
        (
            "the key \"\\u0000\"",
            json!(["\u{0}", "value of \u{0}", null]),
            "workerd's local storage cannot list it",
        ),
        (
            "the key \"\\ud800\"",
            json!(["\u{fffd}", "value of \u{fffd}", null]),
            "half of a surrogate pair is no text, and becomes U+FFFD as in other interfaces of the web platform",
        ),
    ]
}

/// Source: kv.json, the transcript of workerd 1.20260426.1 with miniflare 4's storage for the same worker.
#[test]
fn a_namespace_behaves_as_on_workerd() {
    let project = Project::copy_of("bindings");
    project.write("wrangler.json", &CONFIGURATION.replace("worker.js", "kv.js"));
    let server = Serving::start(project.path());
    let steps = transcript::compare(&server.get("/").body, "kv.json", &differences());
    assert!(steps > 100);
}

#[test]
fn a_value_has_the_same_forms_whichever_thread_reads_it() {
    let project = Project::new(&[("wrangler.json", CONFIGURATION), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    let bytes = json!([0xef, 0xbb, 0xbf, 0x61, 0xff, 0x62]);
    let expected = json!([[
        { "a": [1, "é"] }, "{\"a\":[1,\"é\"]}", "\u{feff}a\u{fffd}b", "SyntaxError", bytes, bytes, "TypeError", null
    ]]);
    let (status, body) = ask(&server, "forms");
    assert_eq!((status, serde_json::from_str::<Json>(&body).unwrap()), (200, expected));
}

/// Source: https://developers.cloudflare.com/kv/platform/limits/, 1,000 operations for each invocation.
#[test]
fn an_event_has_a_thousand_operations() {
    let project = Project::new(&[("wrangler.json", CONFIGURATION), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    assert_eq!(ask(&server, "thousand"), (200, "\"done\"".to_owned()));
    let (status, body) = ask(&server, "more");
    let expected = "QuotaExceededError: Too many API requests by single worker invocation.";
    assert!(status == 400 && body.starts_with(expected), "{body}");
    assert_eq!(ask(&server, "thousand").0, 200, "the next event has its own");
}

#[test]
fn values_in_memory_are_bounded_by_the_worker_and_not_by_what_it_asks_for() {
    let project = Project::new(&[("wrangler.json", CONFIGURATION), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    assert_eq!(ask(&server, "big").0, 200);
    let (status, body) = ask(&server, "flood");
    assert_eq!(status, 200, "{body}");
    let results: Vec<String> = serde_json::from_str(&body).expect("a list");
    let refused = results.iter().filter(|name| *name != "ok").count();
    assert!(
        refused > 800 && refused < 900,
        "{refused} of {} were refused",
        results.len()
    );
    assert!(
        results
            .iter()
            .all(|name| ["ok", "QuotaExceededError", "RangeError"].contains(&name.as_str())),
        "{results:?}"
    );
    let resident = crate::process::resident_bytes(server.pid());
    assert!(resident < 700 << 20, "{} MiB", resident >> 20);
}

/// The command and the server use the file at the same time.
#[test]
fn the_command_reads_and_writes_while_a_server_runs() {
    let project = Project::new(&[("wrangler.json", CONFIGURATION), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    let kv = |arguments: &[&str], stdin: &str| {
        let ended = isopod_in(project.path(), &[&["kv"], arguments].concat(), stdin);
        (ended.code, ended.stdout, ended.stderr)
    };
    let succeeds = |arguments: &[&str]| {
        let (code, stdout, stderr) = kv(arguments, "");
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}: {stdout}");
        stdout
    };
    assert_eq!(ask(&server, "put").0, 200);
    assert_eq!(succeeds(&["key", "get", "served"]), "by the worker");
    let entry: Json = serde_json::from_str(&succeeds(&["key", "get", "served", "--json"])).expect("JSON");
    assert_eq!(
        entry,
        json!({ "key": "served", "value": "by the worker", "metadata": { "by": "worker" } })
    );
    let put = succeeds(&[
        "key",
        "put",
        "told",
        "by the command",
        "--metadata",
        r#"{"a":1}"#,
        "--json",
    ]);
    let put: Json = serde_json::from_str(&put).expect("JSON");
    assert_eq!(put, json!({ "key": "told", "bytes": 14, "metadata": { "a": 1 } }));
    let expected = r#"{"value":"by the command","metadata":{"a":1},"cacheStatus":null}"#;
    assert_eq!(ask(&server, "get"), (200, expected.to_owned()));
    let (code, _, _) = kv(&["key", "put", "piped", "--ttl", "3600"], "from standard input");
    assert_eq!(code, Some(0));
    assert_eq!(succeeds(&["key", "get", "piped"]), "from standard input");
    assert_eq!(
        succeeds(&["key", "list", "--prefix", "s"]),
        "served  {\"by\":\"worker\"}\n"
    );
    let listed: Vec<Json> = serde_json::from_str(&succeeds(&["key", "list", "--json"])).expect("JSON");
    let names: Vec<_> = listed.iter().map(|key| key["name"].as_str().expect("a name")).collect();
    assert_eq!(names, ["piped", "served", "told"]);
    assert!(listed[0]["expiration"].as_u64().is_some());

    let entries: Vec<Json> = (0..2500)
        .map(|at| json!({ "key": format!("b{at:04}"), "value": at.to_string() }))
        .collect();
    project.write("put.json", &Json::from(entries).to_string());
    assert_eq!(succeeds(&["bulk", "put", "put.json"]), "2500 stored\n");
    assert_eq!(succeeds(&["key", "list", "--prefix", "b"]).lines().count(), 2500);
    project.write("keys.json", r#"["b0007", { "name": "none" }]"#);
    let got: Json = serde_json::from_str(&succeeds(&["bulk", "get", "keys.json"])).expect("JSON");
    assert_eq!(got, json!({ "b0007": { "value": "7" }, "none": null }));
    let removed: Json = serde_json::from_str(&succeeds(&["bulk", "delete", "keys.json", "--json"])).expect("JSON");
    assert_eq!(removed, json!({ "removed": 2 }));
    assert_eq!(succeeds(&["key", "delete", "told"]), "");

    for (arguments, expected) in [
        (&["key", "get", "told"][..], "the key \"told\" has no value"),
        (
            &["key", "put", "a", "x", "--ttl", "59"],
            "Expiration TTL must be at least 60.",
        ),
        (&["key", "put", "..", "x"], "Illegal key name \"..\"."),
        (&["key", "get", "a", "--binding", "B"], "the configuration has x.KV"),
    ] {
        let (code, _, stderr) = kv(arguments, "");
        assert!(code == Some(1) && stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}
