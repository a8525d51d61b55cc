//! Full-text search of SQLite ends with the event it runs for: parsing a long query, and looking at the hits in a document, are
//! native code in which SQLite looks for no interrupt.

use std::time::{Duration, Instant};

use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const WORKER: &str = r#"
    import { DurableObject } from "cloudflare:workers";
    const words = (word, count) => `${word} `.repeat(count);
    const hostile = {
        implicit: ["SELECT count(*) FROM t WHERE t MATCH ?", words("a", 250_000)],
        and: ["SELECT count(*) FROM t WHERE t MATCH ?", words("a AND", 150_000) + "a"],
        or: ["SELECT count(*) FROM t WHERE t MATCH ?", words("a OR", 150_000) + "a"],
        column: ["SELECT count(*) FROM t WHERE t = ?", words("a", 250_000)],
        snippet: ["SELECT snippet(t, 0, '<', '>', '...', 64) FROM t WHERE t MATCH ?", "a"],
        highlight: ["SELECT length(highlight(t, 0, '<', '>')) FROM t WHERE t MATCH ?", "a"],
        phrases: ["SELECT snippet(t, 0, '<', '>', '...', 64) FROM t WHERE t MATCH ?", words("a OR", 30) + "a"],
        rank: ["SELECT rowid FROM t WHERE t MATCH ? ORDER BY rank", words("a OR", 2000) + "a"],
        // Commands that rewrite the index, and tables of its words.
        rebuild: ["INSERT INTO many(many) VALUES ('rebuild')"],
        remove: ["DELETE FROM many"],
        vocabulary: ["SELECT count(*) FROM vocabulary a, vocabulary b WHERE a.term > b.term"],
    };
    const rows = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 50000)";
    const fill = ["INSERT INTO t VALUES (?)", words("a", 250_000)];
    export class Thing extends DurableObject {
        run(statement, ...values) { return this.ctx.storage.sql.exec(statement, ...values).toArray().length; }
    }
    export default {
        async fetch(request, env) {
            const [, place, act] = new URL(request.url).pathname.split("/");
            const thing = env.THING.get(env.THING.idFromName("t"));
            const run = place === "object"
                ? (sql, ...values) => thing.run(sql, ...values)
                : async (sql, ...values) => (await env.DB.prepare(sql).bind(...values).all()).results.length;
            if (act === "fill") {
                await run("CREATE VIRTUAL TABLE t USING fts5(a)");
                await run(...fill);
                await run("CREATE VIRTUAL TABLE many USING fts5(a)");
                await run("CREATE VIRTUAL TABLE vocabulary USING fts5vocab(many, instance)");
                await run(`${rows} INSERT INTO many SELECT 'w' || i || ' x' || (i % 7) || ' ' || hex(i * 7919) FROM c`);
            }
            return new Response(String(await run(...(hostile[act] ?? ["SELECT 1 AS one"]))));
        },
    };"#;

fn serve(seconds: u32) -> (Serving, Project) {
    let configuration = format!(
        "main = 'worker.js'\nthreads = 2\nlimits = {{ wall = '{seconds}s', cpu = '{seconds}s' }}\n\
         [pool]\nlost_threads_max = 0\n\
         [[databases]]\nbinding = 'DB'\nurl = 'sqlite:app.db'\nmax_connections = 1\n\
         [[durable_objects]]\nbinding = 'THING'\nclass_name = 'Thing'\n"
    );
    let project = Project::new(&[("isopod.toml", &configuration), ("worker.js", WORKER)]);
    (Serving::start(project.path()), project)
}

/// The only connection, and the object's thread, are free when the event has ended.
#[test]
fn a_search_ends_with_its_event() {
    let (server, project) = serve(20);
    for place in ["database", "object"] {
        assert_eq!(server.get(&format!("/{place}/fill")).body, "1");
    }
    drop(server);
    let hostile = [
        "implicit",
        "and",
        "or",
        "column",
        "snippet",
        "highlight",
        "phrases",
        "rank",
        "rebuild",
        "vocabulary",
        // Leaves no words, if it is in time.
        "remove",
    ];
    project.write(
        "isopod.toml",
        &std::fs::read_to_string(project.file("isopod.toml"))
            .unwrap()
            .replace("20s", "1s"),
    );
    let server = Serving::start(project.path());
    for place in ["database", "object"] {
        for act in hostile {
            let asked = Instant::now();
            let answer = server.get(&format!("/{place}/{act}"));
            // A fast machine rewrites the index in time.
            let may_end = ["rebuild", "remove"].contains(&act);
            assert!(may_end || answer.status != 200, "{act} was to take too long");
            until("the next statement runs", || {
                (server.get(&format!("/{place}/next")).body == "1").then_some(())
            });
            assert!(
                asked.elapsed() < Duration::from_secs(15),
                "{act} of the {place} went on"
            );
        }
    }
    assert_eq!(server.metric("isopod_threads_lost_total"), 0);
}
