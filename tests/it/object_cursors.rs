//! Results of statements in Durable Objects, read as their reader advances.

use serde_json::{Value as Json, json};

use crate::program::Serving;
use crate::project::Project;

const WORKER: &str = r#"
    import { DurableObject } from "cloudflare:workers";
    export class Thing extends DurableObject {
        fill(rows) {
            this.ctx.storage.sql.exec(
                `CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT ?)
                INSERT INTO t SELECT n, hex(zeroblob(32768)) FROM c`, rows);
            return this.ctx.storage.sql.databaseSize;
        }
        iterate() {
            let [count, bytes] = [0, 0];
            for (const { v } of this.ctx.storage.sql.exec("SELECT * FROM t")) { count++; bytes += v.length; }
            return [count, bytes];
        }
        sorted() { return this.ctx.storage.sql.exec("SELECT * FROM t ORDER BY v").next().done; }
        few() { return this.ctx.storage.sql.exec("SELECT id FROM t WHERE id > ? ORDER BY id + 1", 1500).toArray().length; }
        many() {
            const cursors = Array.from({ length: 300 }, () => this.ctx.storage.sql.exec("SELECT id FROM t LIMIT 3"));
            const left = (cursor) => { try { return cursor.toArray().length; } catch (error) { return error.message; } };
            return [left(cursors[0]), left(cursors[299])];
        }
        async resting() {
            const cursor = this.ctx.storage.sql.exec("SELECT id FROM t");
            await new Promise((done) => setTimeout(done, 10));
            return cursor.next().value.id;
        }
    }
    export default { async fetch(request, env) {
        const { pathname, searchParams } = new URL(request.url);
        try { return Response.json(await env.OBJECTS.getByName("a")[pathname.slice(1)](Number(searchParams.get("n")))); }
        catch (error) { return Response.json(error.message, { status: 400 }); }
    } };"#;

/// A table of 100 MiB, for a worker with 32.
fn reads_a_table_larger_than_memory(isolation: &str) {
    let configuration = format!(
        "main = 'worker.js'\nisolation = '{isolation}'\n[limits]\nmemory = '32 MiB'\ncpu = '60s'\nwall = '90s'\n\
         [[durable_objects]]\nbinding = 'OBJECTS'\nclass_name = 'Thing'\n"
    );
    let project = Project::new(&[("isopod.toml", &configuration), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    let get = |path: &str| -> Json { serde_json::from_str(&server.get(path).body).expect("JSON") };
    assert!(get("/fill?n=1600").as_u64() > Some(100 << 20));
    assert_eq!(get("/iterate"), json!([1600, 1600 << 16]));
    // What SQLite would have to hold is read whole.
    assert!(get("/sorted").as_str().expect("an error").contains("result_bytes_max"));
    assert_eq!(get("/few"), json!(100));
    let many = get("/many");
    assert!(
        many[0].as_str().expect("an error").contains("more than 256 cursors"),
        "{many}"
    );
    assert_eq!(many[1], json!(3));
    assert_eq!(get("/resting"), json!(1));
}

#[test]
fn a_table_larger_than_memory_is_iterated() {
    reads_a_table_larger_than_memory("thread");
}

#[test]
fn a_table_larger_than_memory_is_iterated_in_a_sandbox() {
    reads_a_table_larger_than_memory("sandbox");
}
