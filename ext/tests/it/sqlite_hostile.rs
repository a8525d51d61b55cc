//! SQL that needs more stack, memory or time than is available, and its leftovers.

use std::time::{Duration, Instant};

use isopod_ext::sql::SqlConfig;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::io;
use crate::sqlite::{file, script};

/// The errors' messages of an async function of `DB` for each of these statements and values.
fn messages(config: &SqlConfig, body: &str) -> Vec<String> {
    let told = "const message = async (sql, ...values) =>
        (await thrown(() => DB.prepare(sql).bind(...values).run()))?.message ?? 'no error';";
    let got = script(&io(), config, &format!("{told} {body}"));
    serde_json::from_value(got).unwrap()
}

/// SQLite recurses once for each of these, and limits few of them: <https://sqlite.org/limits.html>.
#[test]
fn recursive_values_are_an_error_or_have_enough_stack() {
    let got = messages(
        &SqlConfig::new("sqlite::memory:"),
        r#"
        // [[[…]]] in binary JSON: <https://sqlite.org/jsonb.html>.
        const nested = (type, label, bytes) => {
            const parts = [];
            let length = 1;
            for (let total = 1; total < bytes;) {
                const inner = length + label.length;
                const head = inner < 12 ? [inner << 4 | type]
                    : inner < 256 ? [0xc0 | type, inner]
                    : inner < 65536 ? [0xd0 | type, inner >> 8, inner & 255]
                    : [0xe0 | type, inner >>> 24, inner >> 16 & 255, inner >> 8 & 255, inner & 255];
                parts.push([...head, ...label]);
                length = inner + head.length;
                total = length;
            }
            return new Uint8Array([...parts.reverse().flat(), 0]);
        };
        const arrays = nested(11, [], 1_900_000), objects = nested(12, [0x0a], 1_900_000);
        const long = 900_000;
        return [
            await message('SELECT ?1 LIKE ?2', 'a'.repeat(long), '%a'.repeat(long)),
            await message('SELECT ?1 GLOB ?2', 'a'.repeat(long), '*a'.repeat(long)),
            await message("SELECT json_set('{}', ?1, 1)", '$' + '.a'.repeat(long)),
            await message("SELECT json_insert('[]', ?1, 1)", '$' + '[0]'.repeat(long / 2)),
            await message("SELECT jsonb_set('{}', '$' || replace(hex(zeroblob(100000)), '0', '.a'), 1)"),
            await message('SELECT json(?1)', '['.repeat(long)),
            ...await Promise.all(['json(?1)', 'json_pretty(?1)', "json_set(?1, '$.a', 1)", 'json_array(?1)', 'json_group_array(?1)']
                .map((call) => message(`SELECT ${call}`, arrays))),
            await message("SELECT json_patch('{}', ?1)", objects),
            await message("SELECT * FROM json_tree(?1) LIMIT 1", arrays),
            await message("SELECT json_extract(?1, ?2)", arrays, '$' + '[0]'.repeat(600_000)),
            await message("SELECT ?1 -> ?2", arrays, '$' + '[0]'.repeat(600_000)),
            await message("SELECT json_remove(?1, ?2)", arrays, '$' + '[0]'.repeat(300_000)),
            await message("SELECT * FROM json_each(?1, ?2)", arrays, '$' + '[0]'.repeat(300_000)),
        ];
    "#,
    );
    let is = |at: usize, text: &str| assert!(got[at].contains(text), "{at}: {got:?}");
    is(0, "LIKE or GLOB pattern too complex");
    is(1, "LIKE or GLOB pattern too complex");
    (2..5).for_each(|at| is(at, "the JSON paths have more than 1000 parts"));
    is(5, "malformed JSON");
    is(7, "too big");
    is(11, "too big");
    // The others may use all of the stack, and no more.
    assert_eq!(got.len(), 17);
}

#[test]
fn recursive_sql_is_an_error_or_has_enough_stack() {
    let config = SqlConfig::new("sqlite::memory:")
        .timeout(Duration::from_secs(60))
        .cpu(Duration::from_secs(60));
    let got = messages(
        &config,
        r"
        const many = (times, open, middle, close) => open.repeat(times) + middle + close.repeat(times);
        const view = (name) => `CREATE VIEW ${name} AS SELECT 1` + ' UNION ALL SELECT 1'.repeat(399);
        const keys = (name) => `CREATE TABLE ${name} (${Array.from({ length: 1800 }, (_, i) => `c${i} REFERENCES p`).join(',')})`;
        // Each level of a view is a level of SQLite's stack, and so is each trigger of a chain.
        const chain = Array.from({ length: 200 }, (_, i) => `CREATE VIEW v${i + 1} AS SELECT a FROM v${i}`);
        const triggers = Array.from({ length: 90 }, (_, i) =>
            [`CREATE TABLE t${i + 1} (a)`, `CREATE TRIGGER g${i} AFTER INSERT ON t${i + 1} BEGIN INSERT INTO t${i} VALUES (1); END`]).flat();
        await DB.exec('CREATE TABLE v0 (a); CREATE TABLE t0 (a)');
        return [
            await message(many(6000, 'SELECT*FROM(', 'SELECT 1', ')')),
            await message(many(900, 'SELECT * FROM (', 'SELECT 1', ')')),
            await message('SELECT ' + many(45000, '(', '1', ')')),
            await message('SELECT ' + many(15000, 'abs(', '1', ')')),
            await message('SELECT 1' + ' UNION ALL SELECT 1'.repeat(900)),
            await message('SELECT ' + 'NOT '.repeat(24000) + '1'),
            await message(view('one')),
            await message(view('two')),
            await message(view('three')),
            await message('DROP VIEW one'),
            await message(view('three')),
            await message('DROP VIEW two'),
            await message(keys('four')),
            await message(keys('five')),
            await message(keys('six')),
            (await thrown(() => DB.batch(chain.map((sql) => DB.prepare(sql)))))?.message ?? 'no error',
            await message('SELECT * FROM v200'),
            (await thrown(() => DB.batch(triggers.map((sql) => DB.prepare(sql)))))?.message ?? 'no error',
            await message('INSERT INTO t90 VALUES (1)'),
            await DB.prepare('SELECT count(*) AS n FROM t0').first('n') + ' row',
        ];
    ",
    );
    let told = [
        "more than 1000 SELECTs in one statement",
        "no error",
        "no error",
        "Expression tree is too large",
        "too many terms in compound SELECT",
        "Expression tree is too large",
        "no error",
        "no error",
        "more than 1000 views, triggers and SELECTs in them",
        "no error",
        "no error",
        "no error",
        "no error",
        "no error",
        "more than 5000 foreign keys",
        "no error",
        "no error",
        "no error",
        "no error",
        "1 row",
    ];
    for (at, told) in told.iter().enumerate() {
        assert!(got[at].contains(told), "{at}: {} instead of {told}", got[at]);
    }
}

#[test]
fn memory_is_refused_before_it_is_taken() {
    let got = messages(
        &SqlConfig::new("sqlite::memory:"),
        r"
        const rows = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)';
        return [
            await message('SELECT hex(zeroblob(4e8))'),
            await message('SELECT randomblob(4e8)'),
            await message(`SELECT replace(hex(zeroblob(1000)), '0', hex(zeroblob(10000)))`),
            await message(`SELECT printf('%*d', 2000000000, 1)`),
            await message(`SELECT printf('%.2000000000f', 1)`),
            await message(`${rows} SELECT group_concat(hex(zeroblob(500000))) FROM (SELECT x FROM c LIMIT 1000)`),
            await message(`${rows} SELECT hex(zeroblob(900000)) FROM c`),
            await message(`${rows} SELECT NULL, NULL, NULL, NULL, NULL, NULL FROM c`),
        ];
    ",
    );
    for (at, told) in [
        "too big",
        "too big",
        "too big",
        "",
        "",
        "too big",
        "result_bytes_max",
        "rows_max",
    ]
    .iter()
    .enumerate()
    {
        assert!(got[at].contains(told), "{at}: {got:?}");
    }
}

#[test]
fn a_database_grows_to_its_limit_and_no_further() {
    let folder = TempDir::new().unwrap();
    let config = file(&folder).database_len_max(1_000_000);
    let got = messages(
        &config,
        r"
        await DB.exec('CREATE TABLE t (a)');
        const many = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c LIMIT 10000)';
        return [await message(`INSERT INTO t ${many} SELECT randomblob(1000) FROM c`), await message('SELECT 1')];
    ",
    );
    assert!(got[0].contains("database or disk is full: SQLITE_FULL"), "{got:?}");
    assert_eq!(got[1], "no error");
}

#[test]
fn events_end_at_the_cpu_limit() {
    let config = SqlConfig::new("sqlite::memory:").cpu(Duration::from_millis(200));
    let started = Instant::now();
    let got = messages(
        &config,
        r"
        const endless = 'WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c)';
        return [await message(endless + ' SELECT count(*) FROM c'), await message('SELECT 1')];
    ",
    );
    assert!(got[0].contains("more than 200ms of CPU time"), "{got:?}");
    assert_eq!(got[1], "no error");
    assert!(started.elapsed() < Duration::from_secs(20));
}

/// In SQLite, their time is proportional to the product of their arguments, without a way to interrupt them.
#[test]
fn functions_of_two_long_texts_take_linear_time() {
    let started = Instant::now();
    let got = script(
        &io(),
        &SqlConfig::new("sqlite::memory:"),
        r#"
        const a = 'a'.repeat(900_000);
        const first = (sql, ...values) => DB.prepare(sql).bind(...values).first('r');
        return [
            await first('SELECT instr(?1, ?2) AS r', a, 'a'.repeat(450_000) + 'b'),
            await first('SELECT length(replace(?1, ?2, ?3)) AS r', a, 'a'.repeat(450_000) + 'b', ''),
            await first('SELECT length(trim(?1, ?2)) AS r', a, Array.from({ length: 200_000 }, (_, i) => String.fromCharCode(200 + i % 40_000)).join('') + 'a'),
            await first('SELECT length(unhex(?1, ?2)) AS r', '-'.repeat(900_000) + '41', '+'.repeat(900_000) + '-'),
            // Their results are those of SQLite: <https://sqlite.org/lang_corefunc.html>.
            await DB.prepare(`SELECT instr('aéz', 'z') AS a, instr(x'6162', x'62') AS b, instr(123, 3) AS c, instr(NULL, 'a') AS d,
                replace('aXbX', 'X', '--') AS e, replace('abc', '', 'x') AS f, replace(1.5, '.', ',') AS g,
                trim('xyaxy', 'xy') AS h, ltrim('xya', 'yx') AS i, rtrim('axy', 'xy') AS j, trim(' a ') AS k,
                json_set('{"a":1}', '$.b', json('[1]'), '$.c', '[1]') AS l, json_patch('{"a":1,"b":2}', '{"a":null}') AS m,
                json_array(json_set('{}', '$.a', 1)) AS n, typeof(jsonb_set('{}', '$.a', 1)) AS o, json_insert('[1]', '$[#]', 2) AS p,
                hex(unhex('41-4a', '-')) AS q, unhex('4-1', '-') AS r, unhex('41g', '-') AS s, unhex('414', '') AS t,
                hex(unhex(4142, '')) AS u, unhex(NULL, '') AS v, hex(unhex('41 42', ' é')) AS w`).first(),
        ];
    "#,
    );
    assert_eq!(
        (&got[0], &got[1], &got[2], &got[3]),
        (&json!(0), &json!(900_000), &json!(0), &json!(1))
    );
    assert_eq!(
        got[4],
        json!({
            "a": 3, "b": 2, "c": 3, "d": null, "e": "a--b--", "f": "abc", "g": "1,5",
            "h": "a", "i": "a", "j": "a", "k": "a",
            "l": r#"{"a":1,"b":[1],"c":"[1]"}"#, "m": r#"{"b":2}"#, "n": r#"[{"a":1}]"#, "o": "blob", "p": "[1,2]",
            "q": "414A", "r": null, "s": null, "t": null, "u": "4142", "v": null, "w": "4142",
        })
    );
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}

#[test]
fn a_connection_keeps_no_state_between_calls() {
    let (io, folder) = (io(), TempDir::new().unwrap());
    let config = file(&folder).max_connections(1);
    let got = script(
        &io,
        &config,
        r"
        await DB.exec('CREATE TABLE t (id INTEGER PRIMARY KEY REFERENCES t (id))');
        await DB.prepare('INSERT INTO t VALUES (77)').run();
        const numbers = await DB.prepare('SELECT last_insert_rowid() AS id, changes() AS n').first();
        await DB.prepare('PRAGMA defer_foreign_keys = 1').run();
        const deferred = await DB.prepare('PRAGMA defer_foreign_keys').first('defer_foreign_keys');
        const failed = await thrown(() => DB.batch([DB.prepare('INSERT INTO t VALUES (78)'), DB.prepare('SELECT nope')]));
        return {
            numbers, deferred, failed: failed !== null,
            rows: (await DB.prepare('SELECT count(*) AS n FROM t').first('n')),
            tables: (await DB.prepare('PRAGMA table_list').all()).results.filter((table) => !table.name.startsWith('sqlite_')).map((table) => table.name),
            own: (await thrown(() => DB.prepare('INSERT INTO isopod_rowid VALUES (1)').run())).message,
        };
    ",
    );
    assert_eq!(got["numbers"], json!({ "id": 0, "n": 0 }));
    assert_eq!(
        (&got["deferred"], &got["failed"], &got["rows"]),
        (&json!(0), &json!(true), &json!(1))
    );
    assert_eq!(got["tables"], json!(["t"]));
    assert!(
        got["own"].as_str().unwrap().contains("isopod_rowid is not allowed"),
        "{got}"
    );
}

/// SQLite's authorizer covers what the check of tokens misses.
#[test]
fn the_authorizer_refuses_what_the_tokens_hide() {
    let got = messages(
        &SqlConfig::new("sqlite::memory:"),
        r"
        return [
            await message('CREATE TRIGGER g AFTER INSERT ON sqlite_schema BEGIN SELECT 1; END'),
            await message('SELECT * FROM pragma_database_list'),
            await message('CREATE VIRTUAL TABLE f USING fts4(a)'),
            await message('PRAGMA hard_heap_limit = 1'),
            await message('PRAGMA writable_schema = 1'),
        ];
    ",
    );
    assert!(got.iter().all(|message| message != "no error"), "{got:?}");
}

#[test]
fn statements_of_ended_workers_are_interrupted() {
    let folder = TempDir::new().unwrap();
    let io = io();
    let config = file(&folder).max_connections(1).timeout(Duration::from_secs(60));
    // Not awaited: the worker ends, and the statement with it.
    let endless = "WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c) SELECT count(*) FROM c";
    script(
        &io,
        &config,
        &format!("await DB.exec('CREATE TABLE t (a)'); void DB.prepare('{endless}').all(); await DB.exec.length"),
    );
    let started = Instant::now();
    let got: Value = script(&io, &config, "return DB.prepare('SELECT 1 AS one').first('one')");
    assert_eq!(got, 1);
    assert!(started.elapsed() < Duration::from_secs(20), "{:?}", started.elapsed());
}
