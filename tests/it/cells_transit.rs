//! Values in transit between `isopod serve` and workers in processes of their own.

use crate::process::resident_bytes_peak;
use crate::program::Serving;
use crate::project::Project;

const MIB: u64 = 1 << 20;

const WORKER: &str = r#"
    import { WorkerEntrypoint } from 'cloudflare:workers';
    const MIB = 1 << 20;
    const settled = (count, step) => Promise.all(Array.from({ length: count }, async (_, n) => {
        try {
            return await step(n);
        } catch (error) {
            return `${error.name}: ${error.message}`;
        }
    }));
    const steps = {
        // As one value after the other.
        fill: (env) => env.KV.put('large', new Uint8Array(20 * MIB)),
        async get(env) {
            const lengths = [];
            for (let n = 0; n < 3; n++) lengths.push((await env.KV.get('large', 'stream').then(length)));
            return lengths;
        },
        flood: (env) => settled(20, () => env.KV.get('large', 'stream').then(length)),
        puts: (env) => settled(12, async (n) => {
            await env.KV.put(`own ${n}`, new Uint8Array(3 * MIB));
            return (await env.KV.get(`own ${n}`, 'stream').then(length)) === 3 * MIB;
        }),
        calls: (env) => settled(20, async () => (await env.BACK.echo(new Uint8Array(500_000))).length),
        // Each question causes another one of this worker before it is answered.
        nested: (env) => settled(8, async (n) => {
            await env.KV.put(`nested ${n}`, new Uint8Array(MIB));
            const inner = async (bytes) => {
                await env.KV.put(`nested ${n}`, bytes);
                return (await env.KV.get(`nested ${n}`, 'arrayBuffer')).byteLength;
            };
            return env.BACK.call(new Uint8Array(400_000), inner);
        }),
        lists: (env) => settled(50, async () => (await env.KV.list()).keys.length > 0),
        sql: async (env) => {
            await env.DB.exec('CREATE TABLE IF NOT EXISTS t (a)');
            await env.DB.prepare('INSERT INTO t VALUES (?)').bind('x'.repeat(900_000)).run();
            return settled(20, async () => (await env.DB.prepare('SELECT a FROM t').all()).results[0].a.length);
        },
    };
    async function length(stream) {
        let length = 0;
        for await (const chunk of stream) length += chunk.length;
        return length;
    }
    export default { async fetch(request, env) {
        return Response.json((await steps[new URL(request.url).pathname.slice(1)](env)) ?? null);
    } };
    export class Back extends WorkerEntrypoint {
        echo(bytes) { return bytes; }
        async call(bytes, inner) { return [bytes.length, await inner(bytes)]; }
    }"#;

/// A project whose worker, in a process of its own, calls one in a thread.
fn project(isolation: &str, transit: &str) -> Project {
    let configuration = format!(
        "threads = 4
        routes = [{{ path = '/*', worker = 'front' }}]
        [pool]
        {transit}
        [workers.back]
        main = 'worker.js'
        [workers.front]
        main = 'worker.js'
        isolation = '{isolation}'
        limits = {{ wall = '100s' }}
        kv_namespaces = [{{ binding = 'KV', id = 'things' }}]
        databases = [{{ binding = 'DB', url = 'sqlite:test.db' }}]
        services = [{{ binding = 'BACK', service = 'back', entrypoint = 'Back' }}]"
    );
    Project::new(&[("isopod.toml", &configuration), ("worker.js", WORKER)])
}

fn ask(server: &Serving, step: &str) -> Vec<serde_json::Value> {
    let answer = server.get(&format!("/{step}"));
    assert_eq!(answer.status, 200, "{step}: {}", answer.body);
    serde_json::from_str(&answer.body).unwrap_or_default()
}

#[test]
fn concurrent_reads_of_large_values_take_bounded_memory_of_the_server() {
    let project = project("process", "");
    let server = Serving::start(project.path());
    ask(&server, "fill");
    assert_eq!(ask(&server, "get"), vec![20 * MIB; 3]);
    let before = resident_bytes_peak(server.pid());
    let results = ask(&server, "flood");
    let grown = resident_bytes_peak(server.pid()).saturating_sub(before) / MIB;
    // 20 values of 20 MiB. Those that the worker has no memory for are refused there, as in a thread.
    assert!(results.iter().any(|result| *result == 20 * MIB), "{results:?}");
    let is_expected = |result: &serde_json::Value| {
        *result == 20 * MIB || result.as_str().is_some_and(|text| text.contains("limits.native"))
    };
    assert!(results.iter().all(is_expected), "{results:?}");
    assert!(grown < 250, "{grown} MiB");
    assert_eq!(ask(&server, "get"), vec![20 * MIB; 3], "all the room was given back");
}

#[test]
fn with_little_room_values_wait_for_each_other_and_all_arrive() {
    for isolation in ["process", "sandbox"] {
        let project = project(isolation, "cell_transit = '1MiB'");
        let server = Serving::start(project.path());
        for _ in 0..2 {
            assert_eq!(ask(&server, "puts"), vec![true; 12], "{isolation}");
            assert_eq!(ask(&server, "lists"), vec![true; 50], "{isolation}");
            assert_eq!(ask(&server, "sql"), vec![900_000; 20], "{isolation}");
        }
    }
}

/// What a call brings is not waited for, because the call may cause others: beyond the room it is refused.
#[test]
fn with_little_room_calls_are_answered_or_refused_and_never_wait_for_each_other() {
    let project = project("process", "cell_transit = '1MiB'");
    let server = Serving::start(project.path());
    let mut answered = 0;
    for _ in 0..3 {
        for (step, answer) in [
            ("nested", serde_json::json!([400_000, 400_000])),
            ("calls", 500_000.into()),
        ] {
            for result in ask(&server, step) {
                let is_refused = result.as_str().is_some_and(|text| text.contains("`pool.cell_transit`"));
                assert!(result == answer || is_refused, "{step}: {result}");
                answered += usize::from(!is_refused);
            }
        }
        // Nothing is left of those before.
        assert_eq!(ask(&server, "puts"), vec![true; 12]);
    }
    assert!(answered > 10, "{answered}");
}
