//! `caches` of served workers.

use serde_json::{Value as Json, json};

use crate::program::Serving;
use crate::project::Project;
use crate::transcript;

/// Intended differences from workerd: the step, Isopod's result and the reason.
fn differences() -> Vec<(&'static str, Json, &'static str)> {
    let no_url = json!({ "throws": "TypeError: Invalid URL: 'thing'" });
    let stored = |status: u16, text: &str, length: &str, more: Json| {
        let mut headers = json!({ "age": "number", "cache-control": "max-age=60", "cf-cache-status": "HIT" });
        if !length.is_empty() {
            headers["content-length"] = length.into();
        }
        if let Json::String(kind) = more {
            headers["content-type"] = kind.into();
        }
        let reason = if status == 204 { "No Content" } else { "OK" };
        json!({ "status": status, "statusText": reason, "headers": headers, "text": text })
    };
    let is_the_errors = "the text of the error is that of another library";
    let is_no_range = "a range that is not understood is ignored (RFC 9110, 14.2)";
    vec![
        (
            "204",
            stored(204, "", "", Json::Null),
            "workerd's local storage cannot read it",
        ),
        ("match of what is no URL", no_url.clone(), is_the_errors),
        ("put of what is no URL", no_url.clone(), is_the_errors),
        ("delete of what is no URL", no_url, is_the_errors),
        (
            "headers can be changed",
            json!("TypeError: Cannot change headers: headers are immutable"),
            is_the_errors,
        ),
        (
            "Set-Cookie with private=set-cookie",
            stored(200, "x", "1", json!("text/plain;charset=UTF-8")),
            "workerd's local storage leaves a comma",
        ),
        (
            "Range that is none",
            stored(200, "0123456789", "10", json!("text/plain")),
            is_no_range,
        ),
        (
            "several ranges",
            json!(200),
            "a server may send all of it (RFC 9110, 14.2)",
        ),
        (
            "Range of 404",
            json!(404),
            "a range is for what a GET with status 200 gives (RFC 9110, 14.2)",
        ),
    ]
}

/// Source: cache.json, the transcript of workerd 1.20260426.1 with miniflare 4's storage for the same worker.
#[test]
fn caches_behave_as_on_workerd() {
    let project = Project::copy_of("bindings");
    project.write("wrangler.json", r#"{ "name": "x", "main": "cache.js" }"#);
    let server = Serving::start(project.path());
    let steps = transcript::compare(&server.get("/").body, "cache.json", &differences());
    assert!(steps > 90);
}

/// `/WORKER/put/NAME?SIZE` stores a response, `/WORKER/get/NAME` reads it.
const WORKER: &str = "export default { async fetch(request) {
        const { pathname, search } = new URL(request.url);
        const [, , verb, name] = pathname.split('/');
        const url = `https://cache/${name}`;
        if (verb === 'get') return new Response((await (await caches.default.match(url))?.text())?.length ?? 'none');
        const body = new Uint8Array(+search.slice(1) || 5).fill(97);
        await caches.default.put(url, new Response(body, { headers: { 'cache-control': 'max-age=600' } }));
        return new Response('done');
    } };";

#[test]
fn a_worker_sees_its_own_responses_in_all_its_versions() {
    let configuration = "pool.cache = '2 MiB'\npool.cache_object = '1 MiB'\n\
        routes = [{ path = '/a/*', worker = 'a' }, { path = '/b/*', worker = 'b' }]\n\
        [workers.a]\nmain = 'a.js'\n[workers.b]\nmain = 'b.js'";
    let files = [("isopod.toml", configuration), ("a.js", WORKER), ("b.js", WORKER)];
    let project = Project::new(&files);
    let server = Serving::start(project.path());
    let ask = |path: &str| {
        let answer = server.get(path);
        assert_eq!(answer.status, 200, "{answer:?}");
        answer.body
    };
    assert_eq!(ask("/a/put/x"), "done");
    assert_eq!((ask("/a/get/x"), ask("/b/get/x")), ("5".to_owned(), "none".to_owned()));
    project.write("a.js", &WORKER.replace("'none'", "'nothing'"));
    server.signal("HUP");
    crate::process::until("another version", || (ask("/a/get/y") == "nothing").then_some(()));
    assert_eq!(ask("/a/get/x"), "5");

    assert_eq!(ask("/a/put/large?1048577"), "done");
    assert_eq!(ask("/a/get/large"), "nothing", "it is larger than what is stored");
    for at in 0..10 {
        ask(&format!("/b/put/{at}?500000"));
    }
    let kept = (0..10).filter(|at| ask(&format!("/b/get/{at}")) != "none").count();
    assert!((1..=4).contains(&kept), "{kept} of 10 MB in 2 MiB");
}
