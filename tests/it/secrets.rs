//! Secrets appear in no log, error, page, statistic or report of the program.

use std::io::Write;
use std::net::{SocketAddr, TcpListener};

use crate::origin::Origin;
use crate::process::until;
use crate::program::{Server, Serving, isopod_with};
use crate::project::Project;

const SECRET: &str = "hunter2-of-the-token";
const PASSWORD: &str = "hunter2-of-the-database";
const OTHER: &str = "hunter2-of-nobody";

/// A listener in place of a database.
fn no_database() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        for mut stream in listener.incoming().map_while(Result::ok) {
            drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
        }
    });
    address
}

fn project(origin: &Origin, mode: &str) -> Project {
    let database = no_database();
    let configuration = format!(
        "mode = '{mode}'
         env_files = ['.env']
         routes = [
             {{ path = '/fails/*', worker = 'fails' }}, {{ path = '/other/*', worker = 'other' }}
         ]
         [log]\nlevel = 'trace'
         [workers.fails]\nmain = 'fails.js'\nsecrets = ['TOKEN']
         network = {{ allow = ['{}'] }}
         databases = [{{ binding = 'DB', url_from = 'DATABASE_URL' }}]
         [workers.other]\nmain = 'other.js'\nvars = {{ MINE = 'mine' }}",
        origin.address
    );
    Project::new(&[
        ("isopod.toml", &configuration),
        (
            ".env",
            &format!("TOKEN={SECRET}\nDATABASE_URL=postgres://app:{PASSWORD}@{database}/app\nUNNAMED={OTHER}\n"),
        ),
        (
            "fails.js",
            &format!(
                "export default {{ async fetch(request, env) {{
                    const {{ pathname }} = new URL(request.url);
                    const headers = {{ authorization: `Bearer ${{env.TOKEN}}`, cookie: env.TOKEN }};
                    if (pathname === '/fails/throws') throw new TypeError('as it does', {{ cause: new Error('inner') }});
                    if (pathname === '/fails/database') await env.DB.prepare('select 1').all();
                    if (pathname === '/fails/origin') return fetch('http://{}/there?token=' + env.TOKEN, {{ headers }});
                    if (pathname === '/fails/refused') await fetch('http://127.0.0.1:1/?token=' + env.TOKEN, {{ headers }});
                    if (pathname === '/fails/rejects') Promise.reject(new Error('left alone'));
                    return new Response('fine');
                }} }}",
                origin.address
            ),
        ),
        (
            "other.js",
            "import { env as imported } from 'isopod:workers';
             globalThis.process;
             export default { fetch: (request, env) => Response.json([Object.keys(env), Object.keys(imported), Object.keys(process.env)]) }",
        ),
    ])
}

#[track_caller]
fn shows_none(what: &str, text: &str) {
    for secret in [SECRET, PASSWORD, OTHER] {
        assert!(!text.contains(secret), "{what}: {text}");
    }
}

#[test]
fn secrets_do_not_appear_in_any_output() {
    for mode in ["development", "production"] {
        let origin = Origin::start();
        let project = project(&origin, mode);
        let mut server = Serving::start(project.path());
        for path in ["throws", "database", "refused", "rejects", "fine"] {
            let answer = server.get(&format!("/fails/{path}"));
            assert!(matches!(answer.status, 200 | 500), "{path}: {}", answer.status);
            shows_none(path, &answer.body);
        }
        assert_eq!(server.get("/fails/origin").status, 200);
        assert_eq!(origin.requests(), 1);
        shows_none("no route", &server.get("/nowhere").body);
        for path in ["/metrics", "/stats"] {
            let mut admin = crate::client::Connection::open(server.admin).expect("an admin listener");
            shows_none(path, &admin.get(path).expect("an answer").body);
        }
        server.signal("TERM");
        server.exit_code();
        let log = server.log();
        assert!(log.contains("as it does"), "it is logged at all: {log}");
        shows_none("the log", &log);
    }
}

#[test]
fn a_worker_has_only_its_own_env() {
    let origin = Origin::start();
    let project = project(&origin, "development");
    let server = Serving::start(project.path());
    assert_eq!(server.get("/other/").body, r#"[["MINE"],["MINE"],["NODE_ENV","MINE"]]"#);
}

#[test]
fn a_secret_is_in_no_report_of_a_check() {
    let origin = Origin::start();
    let project = project(&origin, "development");
    for arguments in [&["check"][..], &["check", "--json"]] {
        let path = project.file("isopod.toml");
        let ended = isopod_with(&[arguments, &[&path]].concat(), &[("UNNAMED", OTHER)], "");
        assert!(!(ended.stdout.is_empty() && ended.stderr.is_empty()), "a report");
        shows_none("standard output", &ended.stdout);
        shows_none("standard error", &ended.stderr);
    }
}

#[test]
fn errors_of_workers_that_cannot_start_contain_no_secret() {
    let origin = Origin::start();
    let project = project(&origin, "development");
    for broken in ["import './missing.js'", "throw new Error('at once')", "const a = ;"] {
        project.write("fails.js", &format!("{broken}; export default {{}};"));
        let mut server = Server::start(project.path(), "127.0.0.1:0", &[]);
        assert_eq!(server.exit_code(), Some(1));
        until("it says why", || server.log().contains("cannot start").then_some(()));
        shows_none("the log", &server.log());
    }
}
