//! Static assets of the built program: beside a worker, without one, and in `env`.

use crate::client::Answer;
use crate::program::Serving;
use crate::project::Project;

const WORKER: &str = "export default { async fetch(request, env) {
        const url = new URL(request.url);
        if (url.pathname === '/bound') {
            const response = await env.ASSETS.fetch(new URL(url.searchParams.get('path'), url), { redirect: 'manual' });
            const { status, headers } = response;
            return Response.json([status, headers.get('content-type'), headers.get('location'), await response.text()]);
        }
        return new Response(`worker ${url.pathname}`);
    } };";

const FILES: &[(&str, &str)] = &[
    ("worker.js", WORKER),
    ("public/index.html", "<h1>home</h1>"),
    ("public/about.html", "about"),
    ("public/app.js", "let a;"),
    ("public/.env", "KEY=1"),
    ("public/_headers", "/*\n  X-From: assets"),
    ("public/_redirects", "/old /about 301"),
];

fn project(name: &str, configuration: &str) -> Project {
    let project = Project::new(FILES);
    project.write(name, configuration);
    project
}

fn seen(answer: &Answer) -> (u16, &str) {
    (answer.status, answer.body.as_str())
}

#[test]
fn a_worker_answers_requests_without_an_asset() {
    let configuration = r#"{ "name": "x", "main": "worker.js", "compatibility_date": "2026-01-01",
        "assets": { "directory": "public", "binding": "ASSETS", "not_found_handling": "single-page-application",
            "run_worker_first": ["/api/*"] } }"#;
    let project = project("wrangler.json", configuration);
    let server = Serving::start(project.path());
    let home = server.get("/");
    assert_eq!(seen(&home), (200, "<h1>home</h1>"));
    assert_eq!(home.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(home.header("x-from"), Some("assets"));
    assert_eq!(home.header("cache-control"), Some("public, max-age=0, must-revalidate"));
    let etag = home.header("etag").expect("a validator").to_owned();
    let request = format!("GET / HTTP/1.1\r\nhost: localhost\r\nif-none-match: {etag}\r\n\r\n");
    let again = server.connect().send(&request).expect("an answer");
    assert_eq!(seen(&again), (304, ""));
    let redirect = server.get("/about.html?x=1");
    assert_eq!(
        (redirect.status, redirect.header("location")),
        (307, Some("/about?x=1"))
    );
    let old = server.get("/old");
    assert_eq!((old.status, old.header("location")), (301, Some("/about")));
    assert_eq!(seen(&server.get("/api/users")), (200, "worker /api/users"));
    assert_eq!(seen(&server.get("/deep/link")), (200, "<h1>home</h1>"));
    assert_eq!(server.connect().post("/about", "x").expect("an answer").status, 405);
}

#[test]
fn a_worker_has_its_assets_in_env() {
    let configuration =
        "main = 'worker.js'\nassets = { directory = 'public', binding = 'ASSETS', run_worker_first = true }";
    let project = project("isopod.toml", configuration);
    let server = Serving::start(project.path());
    assert_eq!(seen(&server.get("/")), (200, "worker /"));
    for (path, expected) in [
        ("/app.js", r#"[200,"text/javascript; charset=utf-8",null,"let a;"]"#),
        ("/about.html", r#"[307,null,"/about",""]"#),
        ("/.env", r#"[404,null,null,""]"#),
    ] {
        assert_eq!(
            seen(&server.get(&format!("/bound?path={path}"))),
            (200, expected),
            "{path}"
        );
    }
}

/// Without rules, a path without an asset is the worker's, except for a navigation.
#[test]
fn a_navigation_prefers_assets_from_a_compatibility_date_on() {
    let navigate = "GET /none HTTP/1.1\r\nhost: localhost\r\nsec-fetch-mode: navigate\r\n\r\n";
    for (date, body) in [("2025-03-31", "worker /none"), ("2025-04-01", "<h1>home</h1>")] {
        let configuration = format!(
            r#"{{ "name": "x", "main": "worker.js", "compatibility_date": "{date}",
                "assets": {{ "directory": "public", "not_found_handling": "single-page-application" }} }}"#
        );
        let project = project("wrangler.json", &configuration);
        let server = Serving::start(project.path());
        assert_eq!(seen(&server.get("/none")), (200, "worker /none"));
        let answer = server.connect().send(navigate).expect("an answer");
        assert_eq!(seen(&answer), (200, body), "{date}");
    }
}

#[test]
fn assets_need_no_worker() {
    for (name, configuration) in [
        (
            "wrangler.json",
            r#"{ "name": "x", "assets": { "directory": "public", "html_handling": "none" } }"#,
        ),
        (
            "isopod.toml",
            "assets = { directory = 'public', html_handling = 'none' }",
        ),
    ] {
        let project = project(name, configuration);
        let server = Serving::start(project.path());
        assert_eq!(seen(&server.get("/about.html")), (200, "about"), "{name}");
        assert_eq!(server.get("/about").status, 404, "{name}");
        assert_eq!(server.get("/.env").status, 404, "{name}");
        assert!(server.log().contains("files of "), "{}", server.log());
    }
    // A folder without a configuration has the defaults.
    let folder = Project::new(&[("index.html", "home"), ("about.html", "about")]);
    let server = Serving::start(folder.path());
    assert_eq!(seen(&server.get("/about")), (200, "about"));
    assert_eq!(server.get("/none").status, 404);
}

#[test]
fn workers_of_one_file_have_assets_of_their_own() {
    let configuration = "routes = [{ path = '/one/*', worker = 'one' }, { path = '/*', worker = 'two' }]\n\
        [workers.one]\nmain = 'worker.js'\nassets = { directory = 'first' }\n[workers.two]\nmain = 'worker.js'\n";
    let project = project("isopod.toml", configuration);
    project.write("first/one/x.txt", "of one");
    let server = Serving::start(project.path());
    assert_eq!(seen(&server.get("/one/x.txt")), (200, "of one"));
    assert_eq!(seen(&server.get("/one/y.txt")), (200, "worker /one/y.txt"));
    assert_eq!(seen(&server.get("/x.txt")), (200, "worker /x.txt"));
}
