//! Lists of keys in the storage of Durable Objects.

use serde_json::{Value as Json, json};

use crate::program::Serving;
use crate::project::Project;

const WORKER: &str = r#"
    import { DurableObject } from "cloudflare:workers";
    export class Thing extends DurableObject {
        async lists(size) {
            const { storage } = this.ctx;
            const keys = Array.from({ length: 8 }, (_, at) => `k${at}`);
            await storage.put({ ...Object.fromEntries(keys.map((key, at) => [key, new Uint8Array(size).fill(at)])), none: undefined });
            const found = await storage.get([...keys, "none", "k1"]);
            const refused = async (entries) => storage.put(entries).catch((error) => error.name);
            return [
                [...found].map(([key, value]) => [key, value.length, value[0]]),
                await refused({ before: 1, wrong: () => {} }),
                await refused(Object.fromEntries(Array.from({ length: 129 }, (_, at) => [at, at]))),
                await storage.delete(["k0", "none", "k1", "k0"]), await storage.delete([]), (await storage.get([])).size,
                [...(await storage.list()).keys()],
            ];
        }
    }
    export default { async fetch(request, env) {
        const size = Number(new URL(request.url).pathname.slice(1));
        return Response.json(await env.OBJECTS.getByName(`${size}`).lists(size));
    } };"#;

/// Large values are read in several answers, and stored in several requests.
#[test]
fn lists_of_keys_are_stored_read_and_deleted_as_a_whole() {
    let configuration = json!({
        "name": "x", "main": "worker.js", "compatibility_date": "2025-06-01",
        "durable_objects": { "bindings": [{ "name": "OBJECTS", "class_name": "Thing" }] },
        "migrations": [{ "tag": "v1", "new_sqlite_classes": ["Thing"] }],
    });
    let project = Project::new(&[("wrangler.json", &configuration.to_string()), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    for size in [3, 1_500_000] {
        let found: Vec<Json> = (0..8).map(|at| json!([format!("k{at}"), size, at])).collect();
        let left = ["k2", "k3", "k4", "k5", "k6", "k7"];
        let expected = json!([found, "DataCloneError", "RangeError", 2, 0, 0, left]);
        let answer = server.get(&format!("/{size}"));
        assert_eq!(
            serde_json::from_str::<Json>(&answer.body).ok(),
            Some(expected),
            "{answer:?}"
        );
    }
}
