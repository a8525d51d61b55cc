use std::rc::Rc;
use std::time::Duration;

use isopod_ext::bindings::Installed;
use isopod_ext::io::Io;
use isopod_ext::sql::SqlConfig;
use serde_json::{Value, json};

use crate::common::postgres::Postgres;
use crate::common::{io, run};

fn config(server: &Postgres) -> SqlConfig {
    SqlConfig::new(server.url())
}

fn script(config: &SqlConfig, body: &str) -> Value {
    script_on(&io(), config, body)
}

fn script_on(io: &Rc<Io>, config: &SqlConfig, body: &str) -> Value {
    let config = config.clone();
    run(
        io,
        move |state| Installed::put(state, "DB", config),
        &format!("const DB = new D1Database('DB'); {body}"),
    )
}

#[test]
fn postgresql_answers_in_the_shape_of_d1() {
    let server = Postgres::start();
    let got = script(
        &config(&server),
        r"
        await DB.exec(`CREATE TABLE t (id int PRIMARY KEY, name text, score float8, big bigint, exact numeric(12,3), flag boolean,
            at timestamptz, day date, clock time, doc jsonb, key uuid, data bytea, small smallint); CREATE INDEX i ON t (name)`);
        const insert = DB.prepare('INSERT INTO t VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)');
        const run = await insert.bind(1, 'a?', 1.5, 9007199254740991, '-12345.678', true, '2024-02-29T12:34:56.789Z', '1969-12-31',
            '23:59:59.5', JSON.stringify({ a: [1] }), '00112233-4455-6677-8899-aabbccddeeff', new Uint8Array([1, 2, 255]), 7).run();
        await insert.bind(2, null, 2, 0, 0.5, false, null, null, null, null, null, null, null).run();
        const insertBoth = (id) => DB.prepare('INSERT INTO t (id) VALUES (?)').bind(id);
        const failed = await thrown(() => DB.batch([insertBoth(3), insertBoth(1)]));
        return {
            changes: [run.meta.changes, (await DB.prepare('SELECT 1').run()).meta.changes],
            row: await DB.prepare('SELECT * FROM t WHERE id = ?1 AND name = ?2').bind(1, 'a?').first(),
            second: await DB.prepare('SELECT exact, flag, score FROM t WHERE id = $1').bind(2).first(),
            key: await DB.prepare(`SELECT doc ?? 'a' AS has FROM t WHERE key = ?`).bind('00112233-4455-6677-8899-aabbccddeeff').first('has'),
            limit: (await DB.prepare('SELECT id FROM t ORDER BY id LIMIT ?').bind(1).all()).results,
            failed: failed.message,
            count: await DB.prepare('SELECT count(*) AS n FROM t').first('n'),
            refused: (await thrown(() => DB.prepare('COPY t TO PROGRAM \'true\'').run())).message,
            type: (await thrown(() => DB.prepare('SELECT ARRAY[1] AS list').all())).message,
            value: (await thrown(() => DB.prepare('SELECT id FROM t WHERE id = ?').bind('one').all())).message,
        };
    ",
    );
    assert_eq!(got["changes"], json!([1, 0]));
    assert_eq!(
        got["row"],
        json!({
            "id": 1, "name": "a?", "score": 1.5, "big": 9_007_199_254_740_991_u64, "exact": "-12345.678", "flag": 1,
            "at": "2024-02-29T12:34:56.789Z", "day": "1969-12-31", "clock": "23:59:59.5", "doc": "{\"a\": [1]}",
            "key": "00112233-4455-6677-8899-aabbccddeeff", "data": [1, 2, 255], "small": 7,
        })
    );
    assert_eq!(got["second"], json!({ "exact": "0.500", "flag": 0, "score": 2 }));
    assert_eq!((&got["key"], &got["limit"]), (&json!(1), &json!([{ "id": 1 }])));
    assert!(got["failed"].as_str().unwrap().ends_with("SQLSTATE 23505"), "{got}");
    assert_eq!(got["count"], 2);
    assert!(
        got["refused"].as_str().unwrap().contains("COPY is not allowed"),
        "{got}"
    );
    assert!(got["type"].as_str().unwrap().contains("list::text"), "{got}");
    assert!(
        got["value"]
            .as_str()
            .unwrap()
            .contains("invalid input syntax for type integer"),
        "{got}"
    );
}

#[test]
fn postgresql_ends_a_statement_at_the_timeout_and_a_row_flood_at_the_limit() {
    let server = Postgres::start();
    let config = config(&server)
        .timeout(Duration::from_millis(500))
        .rows_max(1000)
        .max_connections(1);
    let got = script(
        &config,
        "
        const slow = await thrown(() => DB.prepare('SELECT pg_sleep(60)').run());
        const flood = await thrown(() => DB.prepare('SELECT generate_series(1, 5000)').run());
        return [slow.message, flood.message, await DB.prepare('SELECT 1 AS one').first('one')];
    ",
    );
    assert!(got[0].as_str().unwrap().contains("(timeout)"), "{got}");
    assert!(got[1].as_str().unwrap().contains("(rows_max)"), "{got}");
    assert_eq!(got[2], 1);
}

/// <https://www.postgresql.org/docs/current/sql-discard.html> lists the state of a session.
#[test]
fn postgresql_keeps_nothing_for_the_next_call() {
    let server = Postgres::start();
    let config = config(&server).max_connections(1);
    let got = script(
        &config,
        r"
        const value = (sql) => DB.prepare(sql).first('v');
        await DB.exec(`CREATE ROLE other; CREATE SEQUENCE s; CREATE FUNCTION prepares() RETURNS int LANGUAGE plpgsql
            AS $$ BEGIN EXECUTE 'PREPARE left_over AS SELECT 1'; RETURN 1; END $$`);
        const process = await value('SELECT pg_backend_pid() AS v');
        await value(`SELECT set_config('search_path', 'x', false) AS v`);
        await value(`SELECT set_config('role', 'other', false) AS v`);
        await value(`SELECT pg_advisory_lock(7) AS v`);
        await value(`SELECT nextval('s') AS v`);
        const seeded = await value('SELECT random() AS v FROM setseed(0.5)');
        await value('SELECT setseed(0.5) AS v');
        const random = await value('SELECT random() AS v');
        await DB.prepare('SELECT 1 AS a INTO TEMPORARY kept').run();
        await DB.exec('CREATE TABLE pg_temp.kept_too (a int)');
        const failed = await thrown(() => DB.batch([DB.prepare('SELECT 1'), DB.prepare('SELECT nope')]));
        const clean = {
            path: await value(`SELECT current_setting('search_path') AS v`),
            role: await value('SELECT current_user AS v'),
            locks: await value(`SELECT count(*) AS v FROM pg_locks WHERE locktype = 'advisory'`),
            tables: await value(`SELECT count(*) AS v FROM pg_class WHERE relname LIKE 'kept%'`),
            sequence: (await thrown(() => value(`SELECT lastval() AS v`))).message,
            same: process === await value('SELECT pg_backend_pid() AS v'),
            zone: await value(`SELECT current_setting('TimeZone') AS v`),
            timeout: await value(`SELECT current_setting('statement_timeout') AS v`),
            random: random !== seeded,
        };
        await value('SELECT prepares() AS v');
        const prepared = await value(`SELECT count(*) AS v FROM pg_prepared_statements WHERE from_sql`);
        await DB.exec(`CREATE FUNCTION forgets() RETURNS int LANGUAGE plpgsql AS $$ BEGIN DEALLOCATE ALL; RETURN 1; END $$`);
        await value('SELECT forgets() AS v').catch(() => {});
        const after = [];
        for (let i = 0; i < 3; i++) after.push(await value('SELECT 5 AS v').catch((error) => error.message));
        return { clean, failed: failed !== null, prepared, after: after.at(-1) };
    ",
    );
    assert_eq!(
        got["clean"],
        json!({
            "path": "\"$user\", public", "role": "app", "locks": 0, "tables": 0, "same": true, "zone": "UTC", "timeout": "30s",
            "random": true,
            "sequence": "D1_ERROR: lastval is not yet defined in this session: SQLSTATE 55000",
        })
    );
    assert_eq!(
        (&got["failed"], &got["prepared"], &got["after"]),
        (&json!(true), &json!(0), &json!(5))
    );
}

#[test]
fn postgresql_ends_what_a_worker_left_behind() {
    let server = Postgres::start();
    let config = config(&server).timeout(Duration::from_secs(60));
    // Not awaited: the worker ends first.
    let io = io();
    script_on(
        &io,
        &config,
        "void DB.prepare('SELECT pg_sleep(50)').run(); await DB.prepare('SELECT pg_sleep(0.5)').run()",
    );
    let got = script_on(
        &io,
        &config,
        r"
        const sleeping = `SELECT count(*) AS n FROM pg_stat_activity WHERE query LIKE '%pg_sleep(50)%' AND pid <> pg_backend_pid()
            AND state = 'active'`;
        for (let tries = 0; tries < 100; tries++) {
            if (await DB.prepare(sleeping).first('n') === 0) return 'ended';
            await DB.prepare('SELECT pg_sleep(0.1)').run();
        }
        return 'runs on';
    ",
    );
    assert_eq!(got, "ended");
}

#[test]
fn postgresql_names_the_columns_of_no_rows_and_takes_functions_apart_from_their_bodies() {
    let server = Postgres::start();
    let got = script(
        &config(&server),
        r"
        await DB.exec(`CREATE TABLE t (id int, name text);
            CREATE FUNCTION one(a int) RETURNS int BEGIN ATOMIC SELECT CASE WHEN a > 0 THEN 2 END; SELECT 1; END;
            CREATE RULE r AS ON INSERT TO t DO ALSO (UPDATE t SET name = 'x'; SELECT 1); INSERT INTO t VALUES (1)`);
        return [
            await DB.prepare('SELECT id, name FROM t WHERE id = ?').bind(9).raw({ columnNames: true }),
            await DB.prepare('SELECT one(1) AS one').first('one'),
            await DB.prepare('SELECT 1 AS __proto__').first('__proto__'),
        ];
    ",
    );
    assert_eq!(got, json!([[["id", "name"]], 1, 1]));
}

/// Peak resident memory of this process.
fn peak() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").trim().parse::<u64>().unwrap() << 10
}

#[test]
fn postgresql_sends_no_row_that_is_larger_than_a_result_may_be() {
    let server = Postgres::start();
    let config = config(&server).max_connections(1).result_bytes_max(4 << 20);
    let io = io();
    let query = |sql: &str| {
        let body = format!(
            "try {{ return (await DB.prepare(`{sql}`).all()).results.map(({{ a }}) => a.length ?? a); }} catch (e) {{ return e.message; }}"
        );
        script_on(&io, &config, &body)
    };
    assert_eq!(query("SELECT repeat('x', 3000000) AS a"), json!([3_000_000]));
    let before = peak();
    let refused = query("SELECT repeat('x', 600000000) AS a");
    assert!(refused.as_str().unwrap().contains("result_bytes_max"), "{refused}");
    assert!(peak() < before + (64 << 20), "{} MiB", (peak() - before) >> 20);
    // Rows are counted one by one, and the connection is replaced.
    assert_eq!(
        query("SELECT repeat('x', 100000) AS a FROM generate_series(1, 30)")
            .as_array()
            .unwrap()
            .len(),
        30
    );
    assert_eq!(query("SELECT 1 AS a"), json!([1]));
}
