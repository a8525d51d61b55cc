//! `isopod d1`: SQL, migrations, export and import, also while a server runs.

use serde_json::{Value as Json, json};

use crate::program::{Ended, Serving, isopod_in};
use crate::project::Project;

const CONFIGURATION: &str = r#"{ "name": "shop", "main": "worker.js",
    "d1_databases": [{ "binding": "DB", "database_name": "orders", "migrations_table": "done" }] }"#;

const WORKER: &str = "export default { async fetch(request, env) {
        const session = env.DB.withSession('first-primary');
        const { results } = await session.prepare('SELECT * FROM items ORDER BY id').all();
        return Response.json([results, typeof session.getBookmark()]);
    } };";

fn project() -> Project {
    Project::new(&[
        ("wrangler.json", CONFIGURATION),
        ("worker.js", WORKER),
        (
            "migrations/0001_items.sql",
            "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT);\n",
        ),
        (
            "migrations/0002_first.sql",
            "INSERT INTO items (name) VALUES ('a; b');\n-- the end",
        ),
    ])
}

fn d1(project: &Project, arguments: &[&str], stdin: &str) -> Ended {
    isopod_in(project.path(), &[&["d1"], arguments].concat(), stdin)
}

fn succeeds(project: &Project, arguments: &[&str]) -> String {
    let ended = d1(project, arguments, "");
    assert_eq!(
        (ended.code, ended.stderr.as_str()),
        (Some(0), ""),
        "{arguments:?}: {}",
        ended.stdout
    );
    ended.stdout
}

fn json_of(text: &str) -> Json {
    serde_json::from_str(text).expect("JSON")
}

#[test]
fn migrations_are_applied_once_and_the_worker_sees_them() {
    let project = project();
    assert_eq!(
        succeeds(&project, &["migrations", "list"]),
        "0001_items.sql\n0002_first.sql\n"
    );
    assert!(!project.path().join(".isopod").exists(), "to look creates nothing");
    assert_eq!(
        json_of(&succeeds(&project, &["migrations", "apply", "--json"])),
        json!(["0001_items.sql", "0002_first.sql"])
    );
    let server = Serving::start(project.path());
    assert_eq!(
        json_of(&server.get("/").body),
        json!([[{ "id": 1, "name": "a; b" }], "string"])
    );

    let created = succeeds(&project, &["migrations", "create", "add prices!"]);
    assert!(created.ends_with("migrations/0003_add_prices.sql\n"), "{created}");
    project.write(
        "migrations/0003_add_prices.sql",
        "ALTER TABLE items ADD price REAL DEFAULT 1.5;",
    );
    assert_eq!(succeeds(&project, &["migrations", "apply"]), "0003_add_prices.sql\n");
    assert_eq!(
        json_of(&server.get("/").body),
        json!([[{ "id": 1, "name": "a; b", "price": 1.5 }], "string"])
    );
    assert_eq!(
        succeeds(&project, &["migrate"]),
        "orders: all 3 migrations are applied\n"
    );
    let listed = json_of(&succeeds(&project, &["migrations", "list", "--json"]));
    assert!(
        listed[2]["applied_at"].is_string() && listed[2]["name"] == "0003_add_prices.sql",
        "{listed}"
    );
    let recorded = json_of(&succeeds(
        &project,
        &["execute", "--command", "SELECT count(*) AS n FROM done", "--json"],
    ));
    assert_eq!(recorded[0]["results"], json!([{ "n": 3 }]));

    project.write(
        "migrations/0004_wrong.sql",
        "CREATE TABLE half (x); INSERT INTO missing VALUES (1);",
    );
    let ended = d1(&project, &["migrations", "apply"], "");
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("0004_wrong.sql failed and was undone")
            && ended.stderr.contains("no such table: missing"),
        "{}",
        ended.stderr
    );
    let ended = d1(&project, &["execute", "--command", "SELECT * FROM half"], "");
    assert!(ended.stderr.contains("no such table: half"), "{}", ended.stderr);
}

#[test]
fn statements_are_run_and_their_rows_printed_while_a_server_runs() {
    let project = project();
    succeeds(&project, &["migrations", "apply"]);
    let server = Serving::start(project.path());
    let ran = d1(
        &project,
        &["execute"],
        "INSERT INTO items (name) VALUES ('c'), ('d'); SELECT id, name FROM items;",
    );
    assert!(
        ran.stdout.starts_with("2 rows changed in ")
            && ran.stdout.contains("id  name\n1   a; b\n2   c\n3   d\n3 rows in "),
        "{}",
        ran.stdout
    );
    assert_eq!(json_of(&server.get("/").body)[0].as_array().map(Vec::len), Some(3));

    let exported = json_of(&succeeds(&project, &["export", "--output", "dump.sql", "--json"]));
    let dump = std::fs::read_to_string(project.path().join("dump.sql")).expect("a dump");
    let inserts = dump.lines().filter(|line| line.starts_with("INSERT INTO \"")).count();
    assert_eq!(
        (&exported["rows"], &exported["bytes"]),
        (&inserts.into(), &dump.len().into())
    );
    let copy = Project::new(&[
        ("wrangler.json", CONFIGURATION),
        ("worker.js", WORKER),
        ("dump.sql", &dump),
    ]);
    let imported = json_of(&succeeds(&copy, &["import", "dump.sql", "--json"]));
    assert!(imported["statements"].as_u64() > inserts.try_into().ok(), "{imported}");
    assert_eq!(succeeds(&copy, &["export"]), dump);
    let copied = Serving::start(copy.path());
    assert_eq!(copied.get("/").body, server.get("/").body);
    let imported = d1(&copy, &["import", "dump.sql"], "");
    assert!(
        imported.code == Some(1) && imported.stderr.contains("already exists"),
        "{}",
        imported.stderr
    );
}

#[test]
fn errors_have_a_remedy() {
    let several = Project::new(&[
        (
            "isopod.toml",
            "main = 'worker.js'\n[[databases]]\nbinding = 'A'\nurl = 'sqlite:a.db'\n[[databases]]\nbinding = 'B'\n\
          url = 'postgres://localhost/b'",
        ),
        ("worker.js", WORKER),
    ]);
    let none = Project::new(&[("isopod.toml", "main = 'worker.js'"), ("worker.js", WORKER)]);
    for (project, arguments, expected) in [
        (
            &several,
            &["migrations", "list"][..],
            "there are several databases: main.A, main.B; name one with --database",
        ),
        (
            &several,
            &["migrations", "list", "--database", "A"],
            "create the first migration with `isopod d1 migrations create NAME`",
        ),
        (
            &several,
            &["execute", "--command", "SELECT 1", "--database", "B"],
            "use its own tools, such as psql",
        ),
        (
            &several,
            &["execute", "--command", "SELECT 1", "--database", "C"],
            "there is no such database; the configuration has main.A, main.B",
        ),
        (
            &several,
            &["execute", "--command", "SELEC 1", "--database", "A"],
            "syntax error",
        ),
        (
            &none,
            &["export"],
            "the configuration has no database; add one to `databases`",
        ),
    ] {
        let ended = d1(project, arguments, "");
        assert!(
            ended.code == Some(1) && ended.stderr.contains(expected),
            "{arguments:?}: {}",
            ended.stderr
        );
    }
}

/// The header is that of <https://www.sqlite.org/fileformat2.html#the_database_header>.
#[test]
fn a_dump_is_a_sqlite_file_with_what_was_written() {
    let worker = "export default { async fetch(request, env) {
        await env.DB.exec(\"CREATE TABLE t (x); INSERT INTO t VALUES ('a needle')\");
        const dump = await env.DB.dump();
        const text = new TextDecoder('latin1').decode(dump);
        return Response.json([dump instanceof ArrayBuffer, text.slice(0, 15), dump.byteLength % 4096, text.includes('a needle')]);
    } };";
    let project = Project::new(&[("wrangler.json", CONFIGURATION), ("worker.js", worker)]);
    let server = Serving::start(project.path());
    assert_eq!(server.get("/").body, r#"[true,"SQLite format 3",0,true]"#);
}
