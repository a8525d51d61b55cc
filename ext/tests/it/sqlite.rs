use std::rc::Rc;
use std::time::Duration;

use isopod_ext::bindings::Installed;
use isopod_ext::io::Io;
use isopod_ext::sql::SqlConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{io, run};

pub(crate) fn file(folder: &TempDir) -> SqlConfig {
    SqlConfig::new(format!("sqlite:{}", folder.path().join("db.sqlite").display()))
}

pub(crate) fn script(io: &Rc<Io>, config: &SqlConfig, body: &str) -> Value {
    let config = config.clone();
    run(
        io,
        move |state| Installed::put(state, "DB", config),
        &format!("const DB = new D1Database('DB'); {body}"),
    )
}

#[test]
fn results_have_the_shape_of_d1() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let got = script(
        &io,
        &file(&folder),
        r"
        await DB.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, score REAL, data BLOB); CREATE INDEX i ON t (name)');
        const insert = DB.prepare('INSERT INTO t (name, score, data) VALUES (?, ?, ?)');
        const run = await insert.bind('a', 1.5, new Uint8Array([1, 2, 255])).run();
        await insert.bind(true, null, new Uint8Array([0, 7, 8]).subarray(1).buffer).run();
        const all = await DB.prepare('SELECT * FROM t WHERE id = ?1 OR name = ?2').bind(1, '1').all();
        return {
            meta: [run.success, run.meta.changes, run.meta.last_row_id, run.meta.changed_db, typeof run.meta.duration, run.results],
            all: all.results,
            read: [all.meta.changes, all.meta.rows_read],
            first: await DB.prepare('SELECT name, score FROM t ORDER BY id').first(),
            column: await DB.prepare('SELECT name, score FROM t ORDER BY id').first('score'),
            none: await DB.prepare('SELECT 1 FROM t WHERE id = 99').first(),
            raw: await DB.prepare('SELECT id, name FROM t ORDER BY id').raw(),
            named: await DB.prepare('SELECT id AS a, id + 0.5 AS b FROM t ORDER BY id LIMIT 1').raw({ columnNames: true }),
            bound: await DB.prepare('SELECT ? AS a, ? AS b, ? AS c, typeof(?) AS d, typeof(?) AS e')
                .bind(new DataView(new Uint8Array([9, 8]).buffer, 1), [1, 2], NaN, 3, 2.5).first(),
            missing: await thrown(() => DB.prepare('SELECT 1 AS a').first('b')),
        };
    ",
    );
    assert_eq!(got["meta"], json!([true, 1, 1, true, "number", []]));
    assert_eq!(
        got["all"],
        json!([
            { "id": 1, "name": "a", "score": 1.5, "data": [1, 2, 255] },
            { "id": 2, "name": "1", "score": null, "data": [0, 7, 8] },
        ])
    );
    assert_eq!(got["read"], json!([0, 2]));
    assert_eq!(
        (&got["first"], &got["column"], &got["none"]),
        (&json!({ "name": "a", "score": 1.5 }), &json!(1.5), &Value::Null)
    );
    assert_eq!(got["raw"], json!([[1, "a"], [2, "1"]]));
    assert_eq!(got["named"], json!([["a", "b"], [1, 1.5]]));
    assert!(
        got["missing"]["message"]
            .as_str()
            .unwrap()
            .starts_with("D1_COLUMN_NOTFOUND: Column not found"),
        "{got}"
    );
}

#[test]
fn errors_have_the_shape_of_d1() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let got = script(
        &io,
        &file(&folder),
        r"
        await DB.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
        const sql = (text, ...values) => thrown(() => DB.prepare(text).bind(...values).run());
        await sql('INSERT INTO t VALUES (1)');
        return [
            await sql('SELECT * FROM nope'),
            await sql('SELECT nope FROM t'),
            await sql('SELECT nope(1)'),
            await sql('INSERT INTO t VALUES (1)'),
            await sql('SELECT ?', 1, 2),
            await sql('SELECT ?', undefined),
            await sql('SELECT ?', {}),
            await thrown(() => DB.exec('SELECT 1; NONSENSE')),
            await sql('BEGIN'),
            await sql('SELECT 1; SELECT 2'),
            await thrown(() => new D1Database('OTHER').prepare('SELECT 1').run()),
        ].map((error) => error.message);
    ",
    );
    for (got, expected) in got.as_array().unwrap().iter().zip([
        "D1_ERROR: no such table: nope: SQLITE_ERROR",
        "D1_ERROR: no such column: nope at offset 7: SQLITE_ERROR",
        "D1_ERROR: no such function: nope at offset 7: SQLITE_ERROR",
        "D1_ERROR: UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_PRIMARYKEY)",
        "D1_ERROR: Wrong number of parameter bindings for SQL query.",
        "D1_TYPE_ERROR: Type 'undefined' not supported for value 'undefined'",
        "D1_TYPE_ERROR: Type 'object' not supported for value '[object Object]'",
        "D1_EXEC_ERROR: near \"NONSENSE\": syntax error: SQLITE_ERROR",
        "D1_ERROR: to run statements in a transaction, use batch() instead of SQL BEGIN statements: SQLITE_ERROR",
        "D1_ERROR: A prepared SQL statement must contain only one statement.: SQLITE_ERROR",
        "D1_ERROR: this worker has no SQL binding named 'OTHER'",
    ]) {
        assert_eq!(got, expected);
    }
}

#[test]
fn a_batch_is_atomic() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let got = script(
        &io,
        &file(&folder),
        r"
        await DB.exec('CREATE TABLE t (id INTEGER PRIMARY KEY)');
        const insert = (id) => DB.prepare('INSERT INTO t VALUES (?)').bind(id);
        const done = await DB.batch([insert(1), insert(2), DB.prepare('SELECT count(*) AS n FROM t')]);
        const failed = await thrown(() => DB.batch([insert(3), insert(1)]));
        return [done.length, done[2].results[0].n, failed.message, await DB.prepare('SELECT count(*) AS n FROM t').first('n')];
    ",
    );
    assert_eq!(
        got,
        json!([
            3,
            2,
            "D1_ERROR: UNIQUE constraint failed: t.id: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_PRIMARYKEY)",
            2
        ])
    );
}

#[test]
fn limits_apply_while_rows_are_received() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let config = file(&folder)
        .rows_max(1000)
        .result_bytes_max(100_000)
        .timeout(Duration::from_millis(300))
        .max_connections(1);
    let got = script(
        &io,
        &config,
        r"
        const endless = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)';
        const sql = (text) => thrown(() => DB.prepare(text).all());
        return [
            (await sql(endless + ' SELECT x FROM c')).message,
            (await sql(endless + ' SELECT zeroblob(60000) FROM c')).message,
            (await sql(endless + ' SELECT count(*) FROM c')).message,
            (await thrown(() => DB.prepare('SELECT ' + '1,'.repeat(60000)).all())).message,
            // The only connection is free again.
            await DB.prepare('SELECT 1 AS one').first('one'),
        ];
    ",
    );
    for (at, limit) in ["rows_max", "result_bytes_max", "timeout", "statement_len_max"]
        .iter()
        .enumerate()
    {
        assert!(got[at].as_str().unwrap().contains(limit), "{got}");
    }
    assert_eq!(got[4], 1);
}

#[test]
fn files_out_of_reach_stay_out_of_reach() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let other = folder.path().join("other.sqlite");
    let got = script(&io, &file(&folder), &format!("
        const texts = ['ATTACH \\'{0}\\' AS o', 'VACUUM INTO \\'{0}\\'', 'SELECT load_extension(\\'{0}\\')', 'EXPLAIN ATTACH \\'{0}\\' AS o'];
        return Promise.all(texts.map(async (text) => (await thrown(() => DB.prepare(text).run()))?.message ?? 'ran'));
    ", other.display()));
    for message in got.as_array().unwrap() {
        assert!(message.as_str().unwrap().contains("not allowed in a worker"), "{got}");
    }
    assert!(!other.exists());
}

#[test]
fn a_memory_database_outlives_the_workers_of_its_thread() {
    let (io, config) = (io(), SqlConfig::new("sqlite::memory:"));
    script(
        &io,
        &config,
        "await DB.exec('CREATE TABLE t (a); INSERT INTO t VALUES (42)')",
    );
    assert_eq!(
        script(&io, &config, "return DB.prepare('SELECT a FROM t').first('a')"),
        42
    );
}

#[test]
fn threads_write_to_one_file_without_losing_a_row() {
    let folder = TempDir::new().unwrap();
    let config = file(&folder);
    deno_core::JsRuntime::init_platform(None);
    script(&io(), &config, "await DB.exec('CREATE TABLE t (a)')");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let io = io();
                script(
                    &io,
                    &config,
                    "
                    const insert = DB.prepare('INSERT INTO t VALUES (1)');
                    for (let i = 0; i < 10; i++) await DB.batch([DB.prepare('SELECT count(*) FROM t'), insert]);
                ",
                );
            });
        }
    });
    assert_eq!(
        script(
            &io(),
            &config,
            "return DB.prepare('SELECT count(*) AS n FROM t').first('n')"
        ),
        40
    );
}

/// As D1: <https://developers.cloudflare.com/d1/worker-api/return-object/>, and `D1Database` of workerd.
#[test]
fn the_odd_corners_of_results_are_as_d1_has_them() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let got = script(
        &io,
        &file(&folder),
        r"
        await DB.exec('CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)');
        const [made, inserted, indexed, again, read] = await DB.batch([
            DB.prepare('CREATE TABLE u (a)'),
            DB.prepare('INSERT INTO t VALUES (41, 1), (42, 2)'),
            DB.prepare('CREATE INDEX i ON t (name)'),
            DB.prepare('CREATE INDEX IF NOT EXISTS i ON t (name)'),
            DB.prepare('SELECT * FROM t'),
        ]);
        const meta = ({ meta: { changes, last_row_id, changed_db, size_after, rows_written } }) =>
            [changes, last_row_id, changed_db, size_after > 0, rows_written];
        const odd = await DB.prepare(`SELECT 1 AS __proto__, 2 AS constructor`).first();
        return {
            metas: [made, inserted, indexed, again, read].map(meta),
            lossy: await DB.prepare(`SELECT CAST(x'61ff62' AS TEXT) AS a, 1 AS b`).first(),
            proto: [Object.keys(odd), Object.entries(odd), Object.getPrototypeOf(odd) === Object.prototype],
            column: await DB.prepare('SELECT 7 AS __proto__').first('__proto__'),
            none: await DB.prepare('SELECT id, name FROM t WHERE 0').raw({ columnNames: true }),
            written: await DB.prepare('DELETE FROM t WHERE 0').raw({ columnNames: true }),
            twice: await DB.prepare('SELECT 1 AS a, 2 AS a').raw({ columnNames: true }),
        };
    ",
    );
    assert_eq!(
        got["metas"],
        json!([
            [0, 0, true, true, 0],
            [2, 42, true, true, 2],
            [0, 42, true, true, 0],
            [0, 42, false, true, 0],
            [0, 42, false, true, 0]
        ])
    );
    assert_eq!(got["lossy"], json!({ "a": "a\u{fffd}b", "b": 1 }));
    assert_eq!(
        got["proto"],
        json!([
            ["__proto__", "constructor"],
            [["__proto__", 1], ["constructor", 2]],
            true
        ])
    );
    assert_eq!(got["column"], 7);
    assert_eq!(got["none"], json!([["id", "name"]]));
    assert_eq!(got["written"], json!([[]]));
    assert_eq!(got["twice"], json!([["a", "a"], [1, 2]]));
}

/// <https://developers.cloudflare.com/d1/worker-api/d1-database/#withsession>
#[test]
fn a_session_has_bookmarks() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let got = script(
        &io,
        &file(&folder),
        r"
        const session = DB.withSession();
        const before = session.getBookmark();
        await session.batch([session.prepare('CREATE TABLE t (a)'), session.prepare('INSERT INTO t VALUES (?)').bind(5)]);
        const first = session.getBookmark();
        const read = await session.prepare('SELECT a FROM t WHERE a = ?').bind(5).first('a');
        const second = session.getBookmark();
        const next = DB.withSession(second);
        return [
            before, typeof first, first < second, read, next.getBookmark() === second,
            await next.prepare('SELECT a FROM t').first('a'), DB.withSession('first-primary').getBookmark(),
            'exec' in session,
        ];
    ",
    );
    assert_eq!(got, json!([null, "string", true, 5, true, 5, null, false]));
}

/// The END of a CASE does not end the trigger: <https://sqlite.org/c3ref/complete.html>.
#[test]
fn a_trigger_may_end_with_a_case() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let trigger = "CREATE TRIGGER NAME AFTER INSERT ON t BEGIN \
                   UPDATE t SET b = 1; SELECT CASE WHEN NEW.a > 9 THEN RAISE(ABORT, 'too large') END; END";
    let [by_exec, by_prepare, by_batch] = ["g", "h", "i"].map(|name| trigger.replace("NAME", name));
    let got = script(
        &io,
        &file(&folder),
        &format!(
            r"
        await DB.exec(`CREATE TABLE t (a, b); {by_exec}; INSERT INTO t VALUES (1, 0)`);
        await DB.prepare(`{by_prepare};`).run();
        await DB.batch([DB.prepare(`{by_batch}`)]);
        return [
            (await thrown(() => DB.prepare('INSERT INTO t VALUES (10, 0)').run())).message,
            await DB.prepare('SELECT count(*) AS n FROM sqlite_schema WHERE type = ?').bind('trigger').first('n'),
        ];
    "
        ),
    );
    assert_eq!(
        got,
        json!([
            "D1_ERROR: too large: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_TRIGGER)",
            3
        ])
    );
}

/// SQLite's authorizer, its defensive mode and its limits permit all of this.
#[test]
fn ordinary_sql_of_every_kind_runs() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let got = script(
        &io,
        &file(&folder).params_max(3),
        r#"
        const failed = [];
        const statements = [
            'CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT UNIQUE COLLATE NOCASE, b REAL DEFAULT 1.5 CHECK (b > 0), c AS (a || b) STORED)',
            'CREATE TABLE u (k TEXT PRIMARY KEY, t INTEGER REFERENCES t (id) ON DELETE CASCADE) WITHOUT ROWID, STRICT',
            `INSERT INTO t (a, b) VALUES ('x', 2), ('y', 3) ON CONFLICT (a) DO UPDATE SET b = excluded.b RETURNING id, a`,
            `INSERT OR REPLACE INTO u VALUES ('k', 1)`,
            `REPLACE INTO t (id, a) VALUES (9, 'z')`,
            `UPDATE t SET b = 4 FROM u WHERE u.t = t.id AND a = 'x'`,
            `CREATE TRIGGER g AFTER UPDATE OF b ON t WHEN NEW.b > 4 BEGIN INSERT INTO u VALUES (NEW.a, NEW.id); END`,
            `UPDATE t SET b = 5 WHERE a = 'y'`,
            'CREATE VIEW v AS SELECT a, count(*) OVER (PARTITION BY b ORDER BY id) AS n FROM t',
            'CREATE TRIGGER h INSTEAD OF INSERT ON v BEGIN INSERT INTO t (a) VALUES (NEW.a); END',
            `INSERT INTO v (a) VALUES ('by view')`,
            'SELECT * FROM v ORDER BY n DESC',
            'CREATE INDEX i ON t (lower(a)) WHERE b > 1',
            'REINDEX i', 'REINDEX', 'ANALYZE', 'ANALYZE t', 'PRAGMA optimize',
            'CREATE TABLE copied AS SELECT * FROM t',
            'ALTER TABLE copied RENAME TO renamed', 'ALTER TABLE renamed ADD COLUMN d TEXT',
            'ALTER TABLE renamed RENAME COLUMN d TO e', 'ALTER TABLE renamed DROP COLUMN e', 'DROP TABLE renamed',
            `CREATE VIRTUAL TABLE f USING fts5(a, b, tokenize = 'porter')`,
            `INSERT INTO f VALUES ('running quickly', 'b')`,
            `INSERT INTO f (f) VALUES ('optimize')`,
            `SELECT highlight(f, 0, '<', '>'), bm25(f), rank FROM f WHERE f MATCH 'run*' ORDER BY rank`,
            'CREATE VIRTUAL TABLE w USING fts5vocab(f, row)', 'SELECT * FROM w',
            'CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)', 'INSERT INTO r VALUES (1, 0, 1)', 'SELECT * FROM r WHERE x0 < 2',
            'DROP TABLE w', 'DROP TABLE f', 'DROP TABLE r',
            `WITH RECURSIVE c(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM c LIMIT 5) SELECT sum(x) FROM c`,
            `SELECT json_extract('{"a":[1,2]}', '$.a[#-1]'), '{"a":5}' ->> 'a', json_group_array(a) FROM t`,
            `SELECT key, value FROM json_each('[1,2]')`, `SELECT fullkey FROM json_tree('{"a":1}')`,
            `SELECT date('now', '+1 day'), strftime('%Y', 0, 'unixepoch'), printf('%05.2f', 3.14159), iif(1, 2, 3), format('%s', 'x')`,
            `SELECT a LIKE 'X%' ESCAPE '!', a GLOB '[xy]*', a IN (SELECT a FROM t), EXISTS (SELECT 1), CASE a WHEN 'x' THEN 1 ELSE 0 END FROM t`,
            `SELECT group_concat(DISTINCT a), total(b), avg(b), max(a) FILTER (WHERE b > 1), ntile(2) OVER () FROM t GROUP BY b HAVING count(*) > 0`,
            'SELECT * FROM t NATURAL LEFT JOIN u EXCEPT SELECT * FROM t NATURAL LEFT JOIN u WHERE 0',
            'EXPLAIN SELECT 1', 'EXPLAIN QUERY PLAN SELECT * FROM t',
            'PRAGMA table_info(t)', 'PRAGMA table_xinfo(t)', 'PRAGMA index_list(t)', 'PRAGMA foreign_key_list(u)', 'PRAGMA table_list',
            'PRAGMA foreign_key_check', 'PRAGMA quick_check', 'PRAGMA integrity_check', 'PRAGMA user_version = 3', 'PRAGMA user_version',
            'PRAGMA foreign_keys', 'PRAGMA journal_mode', 'PRAGMA defer_foreign_keys = true',
            `SELECT * FROM pragma_table_info('t')`, 'SELECT * FROM sqlite_schema', 'SELECT * FROM sqlite_sequence', 'SELECT sqlite_version()',
            `SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'`,
            `DELETE FROM t WHERE a = 'x' RETURNING *`, 'DROP TRIGGER g', 'DROP VIEW v', 'DROP INDEX i', 'DROP TABLE u', 'DROP TABLE t',
        ];
        for (const sql of statements) {
            const error = await thrown(() => DB.prepare(sql).all());
            if (error !== null) failed.push([sql, error.message]);
        }
        return failed;
    "#,
    );
    assert_eq!(got, json!([]));
}
