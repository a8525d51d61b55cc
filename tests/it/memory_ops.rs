//! Strings and buffers for which platform functions would allocate a multiple outside the heap: there is room, or a
//! `RangeError` that names `limits.memory` (docs/security.md, "Memory"), and the process stays small.

use crate::process::resident_bytes_peak;
use crate::program::{Serving, isopod};
use crate::project::Project;

const MIB: u64 = 1 << 20;

const SCRIPT: &str = r#"
    // A rope of a few pieces, until something flattens it.
    const text = () => "x".repeat(4e8);
    const wide = () => "\u1234".repeat(2e8);
    const buffer = (bytes) => new Uint8Array(bytes);
    const tooLarge = {
        url: () => new URL("http://h/" + wide()),
        canParse: () => URL.canParse("http://h/" + text()),
        base: () => new URL("/", "http://h/" + text()),
        search: () => new URL("http://h/").search = text(),
        // One pair per ampersand takes far more memory than the text.
        parse: () => new URLSearchParams("a&".repeat(4e6)),
        pairs: () => new URLSearchParams(Array(60).fill(["a", "\u1234".repeat(1e6)])).toString(),
        form: () => new Response("a&".repeat(4e6), {
            headers: { "content-type": "application/x-www-form-urlencoded" },
        }).formData(),
        headers: () => new Headers({ a: text() }),
        encode: () => new TextEncoder().encode(text()),
        encodeInto: () => new TextEncoder().encodeInto(text(), buffer(10)),
        bodyStream: () => new Response(text()).body.getReader().read(),
        encoderStream: () => {
            const { readable, writable } = new TextEncoderStream();
            writable.getWriter().write(text()).catch(() => {});
            return readable.getReader().read();
        },
        decode: () => new TextDecoder().decode(buffer(40e6)),
        decodeOther: () => new TextDecoder("windows-1251").decode(buffer(20e6)),
        label: () => new TextDecoder(text()),
        atob: () => atob("AAAA".repeat(1e8)),
        btoa: () => btoa(text()),
        blob: () => new Blob([text()]),
        type: () => new Blob([], { type: text() }),
        bytes: () => new Response(text()).bytes(),
        cloneOfMap: () => structuredClone(new Map([[1, text()]])),
        cloneOfSet: () => structuredClone(new Set(Array.from({ length: 400 }, (_, i) => [i, "x".repeat(1e6)]))),
        cloneOfError: () => structuredClone(new Error(text())),
        cloneOfString: () => structuredClone(Object(text())),
        cloneOfBuffer: () => structuredClone(buffer(40e6)),
        digest: () => crypto.subtle.digest("SHA-256", buffer(40e6)),
        digestOfText: () => new crypto.DigestStream("SHA-256").getWriter().write(text()),
        jwk: () => crypto.subtle.importKey("jwk", { kty: "oct", k: "A".repeat(4e8) }, { name: "HMAC", hash: "SHA-256" }, true,
            ["sign"]),
        hmac: () => crypto.subtle.generateKey({ name: "HMAC", hash: "SHA-256", length: 2 ** 31 }, true, ["sign"]),
        salt: async () => {
            const key = await crypto.subtle.importKey("raw", buffer(8), "HKDF", false, ["deriveBits"]);
            const salt = buffer(20e6);
            return crypto.subtle.deriveBits({ name: "HKDF", hash: "SHA-256", salt, info: salt }, key, 256);
        },
        socketSend: () => {
            const [socket] = Object.values(new WebSocketPair());
            socket.accept();
            socket.send(text());
        },
        closeReason: () => {
            const [socket] = Object.values(new WebSocketPair());
            socket.accept();
            socket.close(1000, text());
        },
        pattern: () => new URLPattern({ pathname: "/*".repeat(5e5) }),
        match: () => new URLPattern({ pathname: "/*" }).test("http://h/" + text()),
    };
    const fits = {
        url: () => new URL("data:text/plain;base64," + "A".repeat(4e6)).href.length,
        pairs: () => [...new URLSearchParams("a=b&".repeat(50_000))].length,
        text: async () => (await new Response(new TextEncoder().encode("é".repeat(2e6))).text()).length,
        base64: () => atob(btoa("x".repeat(3e6))).length,
        clone: () => structuredClone(new Map([[1, "x".repeat(4e6)]])).get(1).length,
        digest: async () => (await crypto.subtle.digest("SHA-256", buffer(8e6))).byteLength,
    };
    const attempt = async (work) => {
        try {
            return await work();
        } catch (error) {
            return error.name + (error.message.includes("`limits.memory`") ? "" : `: ${error.message}`);
        }
    };
    const each = async (group) => {
        const found = {};
        for (const name in group) found[name] = await attempt(group[name]);
        return Response.json(found);
    };
    export default {
        async fetch(request) {
            const [, group, name] = new URL(request.url).pathname.split("/");
            if (group === "fits") return each(fits);
            return new Response(await attempt(tooLarge[name]));
        },
    };
"#;

fn serve(script: &str) -> (Serving, Project) {
    let config = "threads = 1\nmain = 'main.js'\nlimits = { memory = '64 MiB' }";
    let project = Project::new(&[("isopod.toml", config), ("main.js", script)]);
    (Serving::start(project.path()), project)
}

#[test]
fn memory_outside_of_the_heap_is_reserved_before_texts_and_buffers_are_copied() {
    let (server, _project) = serve(SCRIPT);
    let names = SCRIPT.split("const fits").next().unwrap_or_default().lines();
    let names = names.filter_map(|line| line.trim().split_once(": ").filter(|_| line.starts_with("        ")));
    let names: Vec<_> = names
        .map(|(name, _)| name)
        .filter(|name| name.bytes().all(|byte| byte.is_ascii_alphanumeric()))
        .collect();
    assert!(names.len() > 25, "{names:?}");
    for name in names {
        let answer = server.get(&format!("/large/{name}"));
        let expected = match name {
            "pattern" => "RangeError: a URLPattern has at most 16384 characters",
            "closeReason" => "TypeError: the close reason must not be longer than 123 bytes in UTF-8",
            _ => "RangeError",
        };
        assert_eq!((answer.status, &*answer.body), (200, expected), "{name}");
        let peak = resident_bytes_peak(server.pid());
        assert!(peak < 256 * MIB, "{name}: {} MiB", peak / MIB);
    }
    assert_eq!(server.metric("isopod_threads_lost_total"), 0);
}

#[test]
fn operations_within_the_limits_succeed() {
    let (server, _project) = serve(SCRIPT);
    let found: serde_json::Value = serde_json::from_str(&server.get("/fits").body).expect("JSON");
    let expected = serde_json::json!({
        "url": 4_000_023, "pairs": 50_000, "text": 2_000_000, "base64": 3_000_000, "clone": 4_000_000, "digest": 32,
    });
    assert_eq!(found, expected);
}

/// Logs the values of a script's cases one after another, and returns the responses. Memory that user code allocates
/// during inspection is on the heap, so its worker may be ended for it.
fn log_each(cases: &str) -> Serving {
    let script = LOGGING.replace("CASES", cases);
    let (server, _project) = serve(&script);
    let names: Vec<String> = serde_json::from_str(&server.get("/names").body).expect("JSON");
    for name in &names {
        let answer = server.get(&format!("/{name}"));
        let verdict = answer.verdict();
        assert!(
            [(200, "ok"), (500, "exceeded_memory")].contains(&verdict),
            "{name}: {verdict:?}"
        );
    }
    assert_eq!(server.get("/names").status, 200);
    assert_eq!(server.metric("isopod_threads_lost_total"), 0);
    server
}

const LOGGING: &str = r#"
    const custom = Symbol.for("Deno.customInspect");
    const large = "x".repeat(9e5);
    const long = "x".repeat(2 ** 29 - 24);
    const cases = { CASES };
    export default {
        fetch(request) {
            const name = new URL(request.url).pathname.slice(1);
            if (name === "names") return Response.json(Object.keys(cases));
            try {
                cases[name]();
            } catch (error) {
                return new Response(`${error}`);
            }
            return new Response("good");
        },
    };
"#;

/// deno's console ends the process if it writes more than V8's longest string, 2^29 - 24 characters.
#[test]
fn user_code_during_inspection_does_not_end_the_process() {
    log_each(
        r#"
        custom: () => console.log({ [custom]: () => long }, "and more"),
        toString: () => console.error("%s and more", { toString: () => long }),
        assert: () => console.assert(false, large, { [custom]: () => long }),
        trace: () => console.trace("%s and more", { toString: () => long }),
        "#,
    );
}

#[test]
fn values_that_would_be_too_long_for_the_log_are_not_written_out() {
    let server = log_each(
        r#"
        many: () => console.log("%s".repeat(1000), ...Array(1000).fill(large)),
        items: () => console.warn(Array(1000).fill(large)),
        nested: () => console.log({ a: [{ b: long }] }, new Map([["key", { c: long }]]), Object(long), Symbol(long)),
        name: () => console.log(Object.defineProperty(() => 1, "name", { value: long })),
        error: () => console.log(new AggregateError([new Error(long)], long)),
        dir: () => console.dir([[[[[[[large, large]]]]]]], { depth: Infinity, stylize: () => long }),
        rows: () => console.table(Array.from({ length: 3e5 }, (_, i) => [i === 7 ? "x".repeat(9999) : i])),
        endless: () => console.table({ *[Symbol.iterator]() { for (;;) yield 1; } }),
        groups: () => { for (let i = 0; i < 1e4; i++) console.group(); console.log("x\n".repeat(5e4)); },
        labels: () => { for (let i = 0; i < 5000; i++) console.count("x".repeat(1e5) + i); },
        "#,
    );
    let peak = resident_bytes_peak(server.pid());
    assert!(peak < 400 * MIB, "{} MiB", peak / MIB);
}

/// As deno's console prints them; <https://console.spec.whatwg.org/#table>.
#[test]
fn tables_and_groups_look_as_they_should() {
    let script = r#"
        console.table([{ a: 1, b: "x" }, { a: [1, 2], c: { d: { e: 1 } } }, 7]);
        console.table(new Map([["k", { a: 1 }]]));
        console.table([{ a: 1, b: 2 }], ["b"]);
        console.group("outer");
        console.log("a\nb", { c: 1 });
        console.groupEnd();
        console.assert(false, "%s!", "no");
        console.count();
        console.count();
        console.dir({ a: { b: { c: { d: { e: { f: 1 } } } } } }, { depth: 0 });
        console.log("%d of %s", "42", "x", { y: 1 });
    "#;
    let project = Project::new(&[("main.js", script)]);
    let ended = isopod(&["run", &project.file("main.js")]);
    let shown = ended.stdout;
    let expected = r#"┌───────┬──────────┬─────┬─────────────────┬────────┐
│ (idx) │ a        │ b   │ c               │ Values │
├───────┼──────────┼─────┼─────────────────┼────────┤
│     0 │ 1        │ "x" │                 │        │
│     1 │ [ 1, 2 ] │     │ { d: { e: 1 } } │        │
│     2 │          │     │                 │      7 │
└───────┴──────────┴─────┴─────────────────┴────────┘
"#;
    assert!(shown.starts_with(expected), "{shown}");
    for part in [
        "outer\n  a\n  b { c: 1 }\n",
        "default: 1\ndefault: 2\n",
        "{ a: [Object] }\n",
        "42 of x { y: 1 }\n",
    ] {
        assert!(shown.contains(part), "{shown}");
    }
    assert!(ended.stderr.contains("Assertion failed: no!"));
}
