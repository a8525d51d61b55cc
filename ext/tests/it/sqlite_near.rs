//! Short reads on the worker's own thread.

use std::rc::Rc;

use isopod_ext::bindings::Installed;
use isopod_ext::io::EventLoopIo;
use isopod_ext::sql::SqlConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{io, run};
use crate::sqlite::file;

/// `atOnce(promise)` resolves with whether a promise settles before the event loop goes on; `near()` makes the worker one that goes
/// on, and waits until it reads on its own thread.
const HELPERS: &str = r"
    const DB = new D1Database('DB');
    const atOnce = async (promise) => {
        let settled = false;
        promise.then(() => { settled = true; }, () => { settled = true; });
        for (let i = 0; i < 8; i++) await undefined;
        const now = settled;
        await promise.catch(() => {});
        return now;
    };
    // Another thread may be quick, but not each time.
    const waits = async (make) => {
        for (let i = 0; i < 40; i++) if (!await atOnce(make())) return true;
        return false;
    };
    // This thread may have to wait for a processor, and then leaves the next reads to another.
    const comes = async (make) => {
        for (let i = 0; i < 1000; i++) if (await atOnce(make())) return true;
        return false;
    };
    const near = async () => {
        for (let i = 0; i < 40; i++) await DB.prepare('SELECT 1').first();
        while (!await atOnce(DB.prepare('SELECT 2').first())) await new Promise((resolve) => setTimeout(resolve, 1));
    };
";

fn script(config: &SqlConfig, body: &str) -> Value {
    let config = config.clone();
    run(
        &io(),
        move |state| {
            state.put(Rc::new(EventLoopIo::new()));
            Installed::put(state, "DB", config);
        },
        &format!("{HELPERS} {body}"),
    )
}

#[test]
fn short_reads_are_done_at_once_and_see_what_was_written() {
    let folder = TempDir::new().unwrap();
    let got = script(
        &file(&folder),
        r"
        await DB.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, data BLOB)');
        await near();
        const stale = [];
        for (let id = 1; id <= 50; id++) {
            await DB.prepare('INSERT INTO t VALUES (?, ?, ?)').bind(id, `${id}`, new Uint8Array([id])).run();
            const name = await DB.prepare('SELECT name FROM t WHERE id = ?').bind(id).first('name');
            if (name !== `${id}`) stale.push(id);
        }
        const all = await DB.prepare('SELECT * FROM t WHERE id > ? ORDER BY id').bind(48).all();
        await DB.exec('ALTER TABLE t ADD COLUMN more');
        return {
            stale,
            now: await comes(() => DB.prepare('SELECT name FROM t WHERE id = ?').bind(7).first()),
            write: await waits(() => DB.prepare('DELETE FROM t WHERE id = 1').run()),
            returning: await waits(() => DB.prepare(`WITH c AS (SELECT 2 AS id) DELETE FROM t WHERE id = (SELECT id FROM c) RETURNING id`).all()),
            results: all.results,
            meta: [all.success, all.meta.changes, all.meta.last_row_id, all.meta.changed_db, all.meta.size_after > 0, all.meta.rows_read],
            columns: await DB.prepare('SELECT * FROM t WHERE id = 3').raw({ columnNames: true }),
            numbers: await DB.prepare('SELECT last_insert_rowid() AS a, changes() AS b, 1e300 AS c, NULL AS d').first(),
            lossy: await DB.prepare(`SELECT CAST(x'61ff62' AS TEXT) AS a`).first('a'),
        };
    ",
    );
    let expected = json!({
        "stale": [],
        "now": true,
        "write": true,
        "returning": true,
        "results": [{ "id": 49, "name": "49", "data": [49] }, { "id": 50, "name": "50", "data": [50] }],
        "meta": [true, 0, 0, false, true, 2],
        "columns": [["id", "name", "data", "more"], [3, "3", [3], null]],
        "numbers": { "a": 0, "b": 0, "c": 1e300, "d": null },
        "lossy": "a\u{fffd}b",
    });
    assert_eq!(got, expected);
}

/// They run on the thread of a connection, with the results and limits that they have there.
#[test]
fn long_and_large_reads_and_errors_are_not_done_at_once() {
    let folder = TempDir::new().unwrap();
    let got = script(
        &file(&folder).rows_max(5000).statement_len_max(20_000),
        r"
        await DB.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
        await near();
        const first = (sql, ...values) => DB.prepare(sql).bind(...values).first('n').catch((error) => error.message);
        const count = 'WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c LIMIT ?) SELECT ';
        const long = () => first(count + 'count(*) AS n FROM c', 100_000);
        const rows = async (limit) => (await DB.prepare(count + 'n FROM c').bind(limit).all()).results.length;
        return {
            long: [await waits(long), await long(), await waits(() => first(count + 'count(*) AS n FROM c', 3))],
            rows: [await comes(() => rows(50)), await rows(50), await waits(() => rows(150)), await rows(150)],
            bytes: [await waits(() => first('SELECT zeroblob(70000) AS n')), (await first('SELECT zeroblob(70000) AS n')).length],
            deep: (await first(`SELECT ${'('.repeat(6000)}1${')'.repeat(6000)} AS n`)),
            errors: [await first('SELECT nope AS n'), await first('SELECT ?', 1, 2), await first('SELECT 1; SELECT 2')],
            pragma: [await waits(() => DB.prepare('PRAGMA user_version').first()), await first('PRAGMA no_such AS n')],
            after: [await comes(() => first('SELECT 5 AS n')), await first('SELECT 5 AS n')],
        };
    ",
    );
    // A statement that was long is not tried again soon, not even if it would be short.
    assert_eq!(got["long"], json!([true, 100_000, true]), "{got}");
    assert_eq!(got["rows"], json!([true, 50, true, 150]));
    assert_eq!(got["bytes"], json!([true, 70_000]));
    assert_eq!(got["deep"], 1);
    assert_eq!(
        got["errors"],
        json!([
            "D1_ERROR: no such column: nope at offset 7: SQLITE_ERROR",
            "D1_ERROR: Wrong number of parameter bindings for SQL query.",
            "D1_ERROR: A prepared SQL statement must contain only one statement.: SQLITE_ERROR",
        ])
    );
    assert_eq!(got["pragma"][0], true);
    assert_eq!(got["after"], json!([true, 5]));
}

#[test]
fn a_loop_of_reads_gives_way() {
    let folder = TempDir::new().unwrap();
    let got = script(
        &file(&folder),
        r"
        await near();
        let ticks = 0;
        const tick = () => { ticks++; setTimeout(tick, 0); };
        tick();
        const before = Date.now();
        while (ticks < 3 && Date.now() < before + 30_000) await DB.prepare('SELECT 1').first();
        return ticks >= 3;
    ",
    );
    // Two may be due at once.
    assert_eq!(got, true);
}

#[test]
fn a_worker_of_few_calls_has_no_connection_of_its_own() {
    let folder = TempDir::new().unwrap();
    let got = script(
        &file(&folder),
        r"
        let now = 0;
        for (let i = 0; i < 20; i++) now += await atOnce(DB.prepare('SELECT 1').first());
        return now < 20;
    ",
    );
    assert_eq!(got, true);
}
