//! Node.js modules as scripts see them. The checks are in the folder `node`, with references to Node.js's documentation.

use isopod_runtime::{Compatibility, NodeCompat};
use serde_json::json;

use crate::common::{call, script};

macro_rules! checks {
    ($($test:ident: $file:literal, $function:literal;)*) => {$(
        #[test]
        fn $test() {
            let source = concat!(include_str!("web/checks.js"), include_str!(concat!("node/", $file)));
            assert_eq!(call(script(source), $function, vec![]).unwrap(), json!([]));
        }
    )*};
}

checks! {
    buffers_hold_text_and_numbers: "buffer.js", "buffers";
    events_reach_their_listeners: "events.js", "emitters";
    values_are_formatted_and_compared: "util.js", "utilities";
    assertions_tell_what_differs: "util.js", "assertions";
    paths_and_urls_are_parsed: "names.js", "paths";
    queries_and_urls_are_parsed: "names.js", "urls";
    streams_are_piped: "stream.js", "streams";
    streams_are_consumed: "stream.js", "consumers";
    timers_are_objects: "timers.js", "timers";
    ticks_come_before_microtasks: "timers.js", "order";
    a_process_shows_the_worker: "process.js", "members";
    modules_have_both_names: "process.js", "modules";
    files_are_written_and_read: "fs.js", "files";
    folders_hold_files_and_links: "fs.js", "folders";
    a_worker_has_its_modules_devices_and_a_temporary_folder: "fs.js", "system";
    file_operations_call_back: "fs.js", "callbacks";
    file_handles_are_promised: "fs.js", "handles";
    files_are_streamed: "fs.js", "streams";
    modules_without_use_can_be_imported: "absent.js", "absent";
}

fn with(node: NodeCompat, source: &str) -> isopod_runtime::ScriptBuilder {
    script(source).compatibility(Compatibility::default().node(node))
}

#[test]
fn globals_follow_from_compatibility() {
    let look = "export const look = () => [typeof Buffer, typeof process, typeof global, typeof setImmediate];";
    let none = json!(["undefined", "undefined", "undefined", "undefined"]);
    let all = json!(["function", "object", "object", "function"]);
    for (node, expected) in [
        (NodeCompat::Off, &none),
        (NodeCompat::AsyncLocalStorage, &none),
        (NodeCompat::Prefixed, &none),
        (NodeCompat::Full, &all),
    ] {
        assert_eq!(call(with(node, look), "look", vec![]).unwrap(), *expected, "{node:?}");
    }
}

/// A script that does not use Node.js has no additional globals.
#[test]
fn a_script_without_node_has_no_trace_of_it() {
    let look = script(
        "export const look = () => Reflect.ownKeys(globalThis).filter((key) => /^B.ffer$|^p.ocess$|^g.obal$|mmediate$/.test(String(key)));",
    );
    assert_eq!(call(look, "look", vec![]).unwrap(), json!([]));
}

/// deno_core changes its functions when a worker loads its first script.
#[test]
fn functions_of_the_runtime_stay_hidden_when_scripts_of_node_are_loaded() {
    let source = "
        import { Buffer } from 'node:buffer';
        const names = () => [Crypto, CryptoKey].flatMap(Object.getOwnPropertyNames);
        const before = [names(), Buffer.from('a').length];
        export const look = () => [...before, typeof process.stdout.write, names()];";
    let plain = ["length", "name", "prototype"].repeat(2);
    let given = call(script(source), "look", vec![]).unwrap();
    assert_eq!(given, json!([plain, 1, "function", plain]));
}

/// The scripts of errors and of `inspect` are loaded when they are needed.
#[test]
fn a_script_with_buffers_alone_has_their_errors_and_representation() {
    let source = "export const look = () => {
        const failed = (act) => { try { act(); } catch (error) { return [error.name, error.code, error instanceof TypeError]; } };
        return [
            failed(() => Buffer.from(1)),
            failed(() => Buffer.compare(Buffer.from('a'), 1)),
            failed(() => Buffer.from('a').readInt8(1)),
            Buffer.from('ab')[Symbol.for('nodejs.util.inspect.custom')](1, {}),
        ];
    };";
    let given = call(script(source), "look", vec![]).unwrap();
    let of_type = json!(["TypeError", "ERR_INVALID_ARG_TYPE", true]);
    let expected = json!([
        of_type,
        of_type,
        ["RangeError", "ERR_OUT_OF_RANGE", false],
        "<Buffer 61 62>"
    ]);
    assert_eq!(given, expected);
}

#[test]
fn the_environment_is_the_text_bindings_alone() {
    let source = "export const look = () => ({ ...process.env });";
    let bound = |process_env| {
        let compatibility = Compatibility::default().process_env(process_env);
        let look = script(source)
            .text("A", "a")
            .secret("S", "s")
            .json("J", json!({ "x": 1 }));
        call(look.compatibility(compatibility), "look", vec![]).unwrap()
    };
    assert_eq!(bound(true), json!({ "NODE_ENV": "development", "A": "a", "S": "s" }));
    assert_eq!(bound(false), json!({ "NODE_ENV": "development" }));
}

/// A callback that a stream or a tick keeps is called as part of the event that runs it, so that one event cannot use
/// another's time and quotas: timers of an ended event are refused.
#[test]
fn a_kept_callback_does_not_run_as_another_event() {
    let source = "
        import { finished, PassThrough } from 'node:stream';
        let stream, seen = [];
        export async function call() {
            if (stream === undefined) {
                stream = new PassThrough();
                finished(stream, () => seen.push(Number(setTimeout(() => {}, 0)) > 0));
                return 'kept';
            }
            stream.destroy();
            await new Promise((resolve) => setTimeout(resolve, 5));
            return seen;
        }";
    let template = isopod_runtime::WorkerTemplate::default();
    let given = crate::common::twice_on(template, script(source), "call");
    assert_eq!(given, [json!("kept"), json!([true])]);
}

/// deno_core aborts the process if a module that is first loaded by a handler imports another.
#[test]
fn modules_can_be_loaded_by_a_handler() {
    let look = "export function look(name) {
        const found = process.getBuiltinModule(name);
        return Object.keys(found).length > 0;
    }";
    for name in [
        "assert/strict",
        "crypto",
        "dns",
        "dns/promises",
        "http",
        "https",
        "net",
        "path",
        "stream",
        "stream/promises",
        "tls",
        "util/types",
        "zlib",
    ] {
        assert_eq!(
            call(script(look), "look", vec![json!(name)]).unwrap(),
            json!(true),
            "{name}"
        );
    }
    let late = "export async function look() {
        process.stdout.write('to the log');
        const web = process.getBuiltinModule('stream').Readable.toWeb(process.stdin);
        const { done } = await web.getReader().read();
        const duplex = process.getBuiltinModule('stream').Duplex.from(['a']);
        let glob;
        try { process.getBuiltinModule('path').matchesGlob('a', 'b'); } catch (error) { glob = error.message; }
        return [done, duplex.readable, glob.includes('not available')];
    }";
    assert_eq!(call(script(late), "look", vec![]).unwrap(), json!([true, true, true]));
}

#[test]
fn ops_are_unreachable_from_modules() {
    let names = "assert async_hooks buffer console constants diagnostics_channel events module os path perf_hooks process \
                 punycode querystring stream stream/promises stream/consumers stream/web string_decoder timers \
                 timers/promises url util util/types crypto zlib fs fs/promises net tls http \
                 https dns dns/promises";
    let names: Vec<_> = names.split_whitespace().collect();
    let imports: String = names
        .iter()
        .enumerate()
        .map(|(n, name)| format!("import * as m{n} from 'node:{name}';\n"))
        .collect();
    let walks: String = (0..names.len())
        .map(|n| format!("walk(m{n}, '{}');\n", names[n]))
        .collect();
    let look = script(&format!(
        "{imports}
         {walk}
         export async function look() {{
            {walks}
            walk(globalThis, 'globalThis');
            walk(Buffer.from('a'), 'buffer');
            walk(new m14.PassThrough(), 'stream');
            walk(setTimeout(() => {{}}, 0), 'timer');
            walk(m24.createHash('md5'), 'hash');
            walk(m24.createSecretKey(Buffer.alloc(4)), 'key');
            walk(m24.generateKeyPairSync('ed25519'), 'keys');
            walk(m24.createCipheriv('aes-128-ctr', Buffer.alloc(16), Buffer.alloc(16)), 'cipher');
            walk(m25.createGzip(), 'gzip');
            walk(m26.statSync('/tmp'), 'stats');
            walk(m26.opendirSync('/'), 'folder');
            walk(await m27.open('/dev/null'), 'handle');
            walk(m26.createReadStream('/dev/null'), 'file');
            try {{ m26.readFileSync('/none') }} catch (error) {{ walk(error, 'error') }}
            walk(new m28.Socket(), 'socket');
            walk(new m29.TLSSocket(), 'tls');
            walk(m30.createServer(), 'server');
            walk(new m30.ServerResponse({{}}), 'response');
            walk(m30.request('http://localhost').on('error', () => {{}}), 'request');
            try {{ Buffer.alloc('a') }} catch (error) {{ walk(error, 'error') }}
            return {{ bad, enough: walked > 2000 }};
         }}",
        walk = crate::reach::WALK
    ));
    assert_eq!(
        call(look, "look", vec![]).unwrap(),
        json!({ "bad": [], "enough": true })
    );
}

/// Memory is requested before a text is created, because V8 aborts the process without it.
#[test]
fn texts_of_large_buffers_stay_within_the_memory_limit() {
    let look = script(
        "export function look() {
            const big = Buffer.alloc(40 << 20, 'é');
            const kept = [];
            const tried = {};
            for (const encoding of ['utf8', 'latin1', 'ascii', 'utf16le', 'base64', 'hex']) {
                try { for (let i = 0; i < 50; i++) kept.push(big.toString(encoding)); } catch (error) { tried[encoding] = error.constructor.name }
            }
            return Object.keys(tried);
        }",
    )
    .limits(isopod_runtime::Limits::default().memory_bytes(128 << 20));
    match call(look, "look", vec![]) {
        Ok(refused) => assert_eq!(refused, json!(["utf8", "latin1", "ascii", "utf16le", "base64", "hex"])),
        Err(fault) => assert_eq!(
            fault.kind,
            isopod_runtime::handlers::FaultKind::ExceededMemory,
            "{}",
            fault.message
        ),
    }
}

/// <https://developers.cloudflare.com/workers/runtime-apis/nodejs/fs/>: files that an event writes are visible to it alone.
#[test]
fn each_event_has_files_of_its_own() {
    let source = "
        import fs from 'node:fs';
        fs.writeFileSync('/tmp/of-top-level', 'a');
        let kept, runs = 0;
        export async function call() {
            const seen = [fs.readdirSync('/tmp'), kept && (() => { try { fs.fstatSync(kept); } catch (error) { return error.code; } })()];
            kept = fs.openSync(`/tmp/${++runs}`, 'w');
            await new Promise((resolve) => setTimeout(resolve, 1));
            return [...seen, fs.readdirSync('/tmp'), fs.fstatSync(kept).size];
        }";
    let template = isopod_runtime::WorkerTemplate::default();
    let given = crate::common::twice_on(template, script(source), "call");
    assert_eq!(given, [json!([[], null, ["1"], 0]), json!([[], "EBADF", ["2"], 0])]);
}

/// Files of an event are released with it, and a write beyond the memory limit is an error that it can handle.
#[test]
fn files_count_for_the_memory_limit() {
    let source = "
        import fs from 'node:fs';
        export async function call() {
            const part = new Uint8Array(4 << 20);
            let count = 0;
            try {
                for (;; count++) fs.writeFileSync(`/tmp/${count}`, part);
            } catch (error) {
                return [error.code, count > 4];
            }
        }";
    let script = script(source).limits(isopod_runtime::Limits::default().memory_bytes(96 << 20));
    let given = crate::common::twice_on(isopod_runtime::WorkerTemplate::default(), script, "call");
    let full = json!(["ENOSPC", true]);
    assert_eq!(given, [full.clone(), full]);
}

/// Modules are shown as they were written, under their paths from the folder of the main module.
#[test]
fn the_bundle_has_modules_of_all_kinds() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    file(
        "src/main.ts",
        "import fs from 'node:fs';
        import text from './data/a b.txt' with { type: 'text' };
        import json from './data/config.json';
        import common from './common.cjs';
        import '../above.js';
        export const look = (): unknown => {
            const read = (name: string) => fs.readFileSync(`/bundle/${name}`, 'utf8');
            const names = fs.readdirSync('/bundle', { recursive: true });
            return [names, read('data/a b.txt') === text, JSON.parse(read('data/config.json')).a === json.a, read('common.cjs'), read('main.ts').includes(': unknown'), common];
        };",
    );
    file("src/data/a b.txt", "text");
    file("src/data/config.json", "{ \"a\": 1 }");
    file("src/common.cjs", "module.exports = 'common';");
    file("src/other.txt", "not imported");
    file("above.js", "");
    let script = isopod_runtime::Script::builder("test")
        .root(folder.path())
        .file(folder.path().join("src/main.ts"));
    let names = json!(["common.cjs", "data", "main.ts", "data/a b.txt", "data/config.json"]);
    assert_eq!(
        call(script, "look", vec![]).unwrap(),
        json!([names, true, true, "module.exports = 'common';", true, "common"])
    );
}
