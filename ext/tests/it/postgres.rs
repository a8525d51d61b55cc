use std::collections::HashMap;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use isopod_ext::sql::{SqlBindings, SqlConfig};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::common::{io, run};

/// A PostgreSQL server of the test's own, from the machine's packages.
struct Postgres {
    folder: TempDir,
    programs: PathBuf,
    port: u16,
}

impl Postgres {
    fn start() -> Self {
        let programs = std::fs::read_dir("/usr/lib/postgresql")
            .ok()
            .and_then(|versions| {
                versions
                    .flatten()
                    .map(|version| version.path().join("bin"))
                    .find(|bin| bin.join("initdb").exists())
            })
            .expect("PostgreSQL is not installed; `cargo xtask test` installs what the tests need");
        let folder = TempDir::new().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let server = Self { folder, programs, port };
        if is_root() {
            assert!(
                Command::new("chown")
                    .arg("postgres")
                    .arg(server.folder.path())
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let data = server.data();
        server.command(
            "initdb",
            &[
                "-D",
                &data,
                "-U",
                "app",
                "-A",
                "trust",
                "--no-sync",
                "-E",
                "UTF8",
                "--locale=C",
            ],
        );
        let options = format!(
            "-p {port} -k {} -c listen_addresses=127.0.0.1 -c fsync=off",
            server.folder.path().display()
        );
        let log = server.folder.path().join("log").display().to_string();
        server.command("pg_ctl", &["-D", &data, "-o", &options, "-l", &log, "-w", "start"]);
        server
    }

    fn data(&self) -> String {
        self.folder.path().join("data").display().to_string()
    }

    /// The server refuses to run as root, as which containers often do.
    fn command(&self, program: &str, arguments: &[&str]) {
        let program: &Path = &self.programs.join(program);
        let mut command = if is_root() {
            let mut command = Command::new("runuser");
            command.args(["-u", "postgres", "--"]).arg(program);
            command
        } else {
            Command::new(program)
        };
        let status = command
            .args(arguments)
            .current_dir(self.folder.path())
            .stdout(Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{} {arguments:?}", program.display());
    }

    fn config(&self) -> SqlConfig {
        SqlConfig::new(format!(
            "postgres://app@127.0.0.1:{}/postgres?sslmode=disable",
            self.port
        ))
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.command("pg_ctl", &["-D", &self.data(), "-m", "immediate", "-w", "stop"]);
    }
}

fn is_root() -> bool {
    Command::new("id").arg("-u").output().unwrap().stdout == b"0\n"
}

fn script(config: &SqlConfig, body: &str) -> Value {
    let bindings = SqlBindings(HashMap::from([("DB".to_owned(), config.clone())]));
    run(
        &io(),
        move |state| state.put(bindings),
        &format!("const DB = new D1Database('DB'); {body}"),
    )
}

#[test]
fn postgresql_answers_in_the_shape_of_d1() {
    let server = Postgres::start();
    let got = script(
        &server.config(),
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
    let config = SqlConfig {
        timeout: Duration::from_millis(500),
        rows_max: 1000,
        max_connections: 1,
        ..server.config()
    };
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
