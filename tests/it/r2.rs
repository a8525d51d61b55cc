//! R2 buckets of a served project, and the command `isopod r2`.

use std::io::Write as _;

use serde_json::{Value as Json, json};

use crate::program::{Serving, isopod_in};
use crate::project::{Project, fixture};
use crate::transcript;

const CONFIGURATION: &str =
    r#"{ "name": "x", "main": "r2.js", "r2_buckets": [{ "binding": "R2", "bucket_name": "things" }] }"#;

/// Intended differences from workerd: the step, Isopod's result and the reason.
fn differences() -> Vec<(&'static str, Json, &'static str)> {
    vec![
        (
            "storageClass",
            json!(["InfrequentAccess", "InfrequentAccess"]),
            "workerd's local storage does not keep it",
        ),
        (
            "an unknown storageClass",
            json!({ "throws": "Error: put: The specified storage class is not valid: it should be \"Standard\" or \"InfrequentAccess\". (10029)" }),
            "workerd's local storage does not read it",
        ),
        (
            "an upload with too much metadata",
            json!({ "throws": "Error: createMultipartUpload: Your metadata headers exceed the maximum allowed metadata size. (10012)" }),
            "workerd's local storage does not check it",
        ),
    ]
}

/// R2 has two classes of storage; workerd's local storage gives none.
fn with_class(value: &mut Json) {
    match value {
        Json::Object(members) => {
            for (name, member) in members {
                match name.as_str() {
                    "storageClass" if member == "" => *member = "Standard".into(),
                    _ => with_class(member),
                }
            }
        }
        Json::Array(members) => members.iter_mut().for_each(with_class),
        _ => {}
    }
}

/// Source: r2.json, the transcript of workerd 1.20260426.1 with miniflare 4's storage for the same worker.
#[test]
fn a_bucket_behaves_as_on_workerd() {
    let project = Project::copy_of("bindings");
    project.write("wrangler.json", CONFIGURATION);
    let server = Serving::start(project.path());
    let ours: Json = serde_json::from_str(&server.get("/").body).expect("a transcript");
    let theirs = std::fs::read(fixture("bindings").join("r2.json")).expect("workerd's transcript");
    let mut theirs: Json = serde_json::from_slice(&theirs).expect("JSON");
    with_class(&mut theirs);
    assert!(transcript::compare_with(&ours, theirs, &differences()) > 200);
}

/// A worker for large objects: `/put?N` stores N MiB, `/copy` copies them, `/get` returns them.
const LARGE: &str = "export default { async fetch(request, { R2 }) {
        const url = new URL(request.url);
        if (url.pathname === '/get') return new Response((await R2.get('copy')).body);
        if (url.pathname === '/copy') {
            const { size } = await R2.put('copy', (await R2.get('large')).body);
            return new Response(size);
        }
        const mib = +url.search.slice(1);
        const { readable, writable } = new FixedLengthStream(mib << 20);
        const stored = R2.put('large', readable);
        const writer = writable.getWriter();
        const chunk = new Uint8Array(1 << 20);
        for (let at = 0; at < mib; at++) await writer.write(chunk.fill(at));
        await writer.close();
        return new Response((await stored).size);
    } };";

/// Stores, copies and reads an object of this many MiB, in little memory.
fn an_object_is_streamed(mib: usize) {
    let configuration = "main = 'worker.js'\nr2_buckets = [{ binding = 'R2', object_bytes_max = '2 GiB' }]\n\
        [limits]\nwall = '10m'\nstream = '10m'\ncpu = '5m'";
    let project = Project::new(&[("isopod.toml", configuration), ("worker.js", LARGE)]);
    let server = Serving::start(project.path());
    assert_eq!(server.get("/put?1").body, (1 << 20).to_string());
    let before = crate::process::resident_bytes(server.pid());
    assert_eq!(server.get(&format!("/put?{mib}")).body, (mib << 20).to_string());
    assert_eq!(server.get("/copy").body, (mib << 20).to_string());
    let mut connection = server.connect();
    let request = b"GET /get HTTP/1.1\r\nhost: a\r\n\r\n";
    connection.stream.get_mut().write_all(request).expect("a connection");
    let head = connection.read_head().expect("a head");
    let (mut length, mut is_as_stored) = (0_usize, true);
    let read = connection.read_body(&head, |bytes| {
        for byte in bytes {
            is_as_stored &= usize::from(*byte) == (length >> 20) % 256;
            length += 1;
        }
    });
    read.expect("a whole body");
    assert!(is_as_stored && length == mib << 20, "{length}");
    let peak = crate::process::resident_bytes_peak(server.pid());
    eprintln!(
        "{mib} MiB: {} MiB resident before, {} at most",
        before >> 20,
        peak >> 20
    );
    // The script's own chunks of 1 MiB are collected when they are 64 MiB.
    assert!(peak < before + (96 << 20), "{} MiB, then {}", before >> 20, peak >> 20);
}

#[test]
fn large_objects_take_little_memory() {
    an_object_is_streamed(128);
}

#[test]
#[ignore = "nightly: writes 2 GiB"]
fn an_object_of_1_gib_takes_little_memory() {
    an_object_is_streamed(1024);
}

/// Runs `code` with `r2`, and answers with what it returns, or throws.
const WORKER: &str = "export default { async fetch(request, { R2 }) {
        try {
            return Response.json(await steps[new URL(request.url).search.slice(1)](R2));
        } catch (error) { return new Response(`${error.name}: ${error.message}`, { status: 400 }); }
    } };
    const steps = {
        async more(r2) { for (let i = 0; i < 1001; i++) await r2.head('a'); return 'done'; },
        async many(r2) {
            await r2.put('b', new Uint8Array(900_000));
            const all = await Promise.all(Array.from({ length: 4 }, () => r2.get('b')));
            return all.length;
        },
        async full(r2) { await r2.put('c', new Uint8Array(1 << 20)); },
        async put(r2) { await r2.put('served', 'by the worker', { customMetadata: { by: 'worker' } }); return 'done'; },
        async get(r2) {
            const it = await r2.get('told/a');
            return [await it.text(), it.httpMetadata.contentType, it.customMetadata];
        },
        async broken(r2) {
            await r2.put('broken', 'old');
            const stream = new ReadableStream({ pull(controller) { controller.error(new RangeError('no more')); } });
            const { readable, writable } = new FixedLengthStream(100);
            stream.pipeTo(writable).catch(() => {});
            const error = await r2.put('broken', readable).catch((error) => `${error}`);
            return [error, await (await r2.get('broken')).text()];
        },
    };";

const LIMITED: &str = "name = 'x'\nmain = 'worker.js'\n\
    r2_buckets = [{ binding = 'R2', bucket_name = 'things', transfers_max = 3, bytes_max = '1 MiB' }]";

fn ask(server: &Serving, step: &str) -> (u16, String) {
    let answer = server.get(&format!("/?{step}"));
    (answer.status, answer.body)
}

#[test]
fn limits_are_errors_with_their_numbers() {
    let project = Project::new(&[("isopod.toml", LIMITED), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    for (step, expected) in [
        (
            "more",
            "QuotaExceededError: Too many API requests by single worker invocation.",
        ),
        (
            "many",
            "Error: get: Reduce your concurrent request rate: 3 objects are being read already (`transfers_max`). (10058)",
        ),
        (
            "full",
            "Error: put: its limit of 1048576 bytes is reached (`bytes_max`) (10001)",
        ),
    ] {
        let (status, body) = ask(&server, step);
        assert!(status == 400 && body.starts_with(expected), "{step}: {body}");
    }
    let expected = r#"["RangeError: no more","old"]"#;
    assert_eq!(ask(&server, "broken"), (200, expected.to_owned()));
}

/// The command and the server use the folder at the same time.
#[test]
fn the_command_reads_and_writes_while_a_server_runs() {
    let project = Project::new(&[("isopod.toml", LIMITED), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    let r2 = |arguments: &[&str], stdin: &str| {
        let ended = isopod_in(project.path(), &[&["r2"], arguments].concat(), stdin);
        (ended.code, ended.stdout, ended.stderr)
    };
    let succeeds = |arguments: &[&str]| {
        let (code, stdout, stderr) = r2(arguments, "");
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{arguments:?}: {stdout}");
        stdout
    };
    let json = |arguments: &[&str]| -> Json { serde_json::from_str(&succeeds(arguments)).expect("JSON") };
    assert_eq!(ask(&server, "put").0, 200);
    assert_eq!(succeeds(&["object", "get", "served"]), "by the worker");
    let object = json(&["object", "head", "served", "--json"]);
    assert_eq!(
        (&object["size"], &object["customMetadata"]),
        (&json!(13), &json!({ "by": "worker" }))
    );
    assert!(succeeds(&["object", "head", "served"]).contains("by = worker"));

    project.write("told.txt", "by the command");
    let about = [
        "--content-type",
        "text/plain",
        "--metadata",
        "a=1",
        "--metadata",
        "b=x=y",
    ];
    let stored = json(&[&["object", "put", "told/a", "--path", "told.txt", "--json"][..], &about].concat());
    assert_eq!(stored["httpMetadata"], json!({ "content-type": "text/plain" }));
    let expected = r#"["by the command","text/plain",{"a":"1","b":"x=y"}]"#;
    assert_eq!(ask(&server, "get"), (200, expected.to_owned()));
    let (code, _, stderr) = r2(&["object", "put", "told/b"], "from standard input");
    assert_eq!((code, stderr.as_str()), (Some(0), ""));
    let got = json(&["object", "get", "told/b", "--path", "got.txt", "--json"]);
    assert_eq!(got["key"], json!("told/b"));
    assert_eq!(
        std::fs::read_to_string(project.path().join("got.txt")).expect("a file"),
        "from standard input"
    );

    let listed = succeeds(&["object", "list", "--delimiter", "/"]);
    let names: Vec<_> = listed
        .lines()
        .filter_map(|line| line.split_whitespace().last())
        .collect();
    assert_eq!(names, ["served", "told/"]);
    let listed = json(&["object", "list", "--prefix", "told/", "--json"]);
    assert_eq!(listed["objects"].as_array().map(Vec::len), Some(2));
    let buckets = json(&["bucket", "list", "--json"]);
    assert_eq!(
        (&buckets[0]["name"], &buckets[0]["objects"]),
        (&json!("things"), &json!(3))
    );
    assert!(
        succeeds(&["bucket", "info"]).contains("size     46 B of 1.0 MiB"),
        "{}",
        succeeds(&["bucket", "info"])
    );
    succeeds(&["object", "delete", "served", "told/a", "none"]);
    assert_eq!(json(&["bucket", "info", "--json"])["objects"], json!(1));

    for (arguments, expected) in [
        (&["object", "get", "served"][..], "there is no object \"served\""),
        (&["object", "put", "x", "--metadata", "a"], "\"a\" should be KEY=VALUE"),
        (&["object", "put", "x", "--path", "none"], "cannot store none"),
        (&["object", "get", "x", "--bucket", "B"], "the configuration has x.R2"),
    ] {
        let (code, _, stderr) = r2(arguments, "");
        assert!(code == Some(1) && stderr.contains(expected), "{arguments:?}: {stderr}");
    }
}

/// More than the command holds in memory.
#[test]
fn the_command_stores_a_stream_in_parts() {
    let configuration = "main = 'worker.js'\nr2_buckets = [{ binding = 'R2' }]";
    let project = Project::new(&[("isopod.toml", configuration), ("worker.js", WORKER)]);
    let input = "0123456789abcdef".repeat((17 << 20) / 16);
    let ended = isopod_in(project.path(), &["r2", "object", "put", "stream", "--json"], &input);
    assert_eq!((ended.code, ended.stderr.as_str()), (Some(0), ""));
    let stored: Json = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(stored["size"], json!(17 << 20));
    assert!(
        stored["etag"].as_str().is_some_and(|etag| etag.ends_with("-3")),
        "{stored}"
    );
    let ended = isopod_in(project.path(), &["r2", "object", "get", "stream"], "");
    assert!(ended.code == Some(0) && ended.stdout == input, "{}", ended.stdout.len());
}
