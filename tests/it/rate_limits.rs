//! Rate limits of the built program, from its configuration.

use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const WORKER: &str = "export default { async fetch(request, env) {
        const url = new URL(request.url);
        try {
            const { success } = await env.LIMITER.limit(JSON.parse(decodeURIComponent(url.search.slice(1))));
            return new Response(success ? 'within' : 'over', { status: success ? 200 : 429 });
        } catch (error) { return new Response(`${error.name}: ${error.message}`, { status: 400 }); }
    } }";

fn ask(server: &Serving, options: &str) -> (u16, String) {
    let answer = server.get(&format!("/?{options}"));
    (answer.status, answer.body)
}

/// Each event has its own worker on any thread: they share the counts.
#[test]
fn calls_over_the_limit_of_a_key_are_not_successful() {
    let configuration = "main = 'worker.js'\npolicy = 'per_request'\nthreads = 2\n\
                         [[rate_limits]]\nbinding = 'LIMITER'\nlimit = 2\nperiod = '60s'\n";
    let project = Project::new(&[("isopod.toml", configuration), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    let statuses: Vec<u16> = ["a", "a", "b", "a", "b", "b"]
        .map(|key| ask(&server, &format!("{{%22key%22:%22{key}%22}}")).0)
        .into();
    assert_eq!(statuses, [200, 200, 200, 429, 200, 429]);
}

#[test]
fn a_key_that_is_no_string_or_too_long_is_an_error() {
    let configuration = r#"{ "name": "x", "main": "worker.js",
        "ratelimits": [{ "name": "LIMITER", "namespace_id": "1001", "simple": { "limit": 1, "period": 10 } }] }"#;
    let project = Project::new(&[("wrangler.json", configuration), ("worker.js", WORKER)]);
    let server = Serving::start(project.path());
    for options in ["null", "{}", "{%22key%22:7}"] {
        let (status, body) = ask(&server, options);
        assert!(
            status == 400 && body.starts_with("TypeError") && body.contains("'key' is not a string"),
            "{body}"
        );
    }
    let long = |length| ask(&server, &format!("{{%22key%22:%22{}%22}}", "k".repeat(length)));
    assert_eq!(long(2048).0, 200);
    let (status, body) = long(2049);
    assert!(
        status == 400 && body.contains("2049 characters, above the limit of 2048"),
        "{body}"
    );
}

/// A namespace is an identifier of the account and not of a version or a worker:
/// <https://developers.cloudflare.com/workers/runtime-apis/bindings/rate-limit/>.
#[test]
fn counts_survive_a_redeployment_and_are_those_of_the_namespace() {
    let configuration = |version: u32, limit: u32| {
        let limiter = |more: &str| format!("[{{ binding = 'LIMITER', limit = {limit}, period = '60s'{more} }}]");
        format!(
            "routes = [{{ path = '/own', worker = 'own' }}, {{ path = '/*', worker = 'shared' }}, {{ path = '/other', worker = 'other' }}]\n\
             [workers.own]\nmain = 'worker.js'\nvars = {{ VERSION = '{version}' }}\nrate_limits = {}\n\
             [workers.shared]\nmain = 'worker.js'\nvars = {{ VERSION = '{version}' }}\nrate_limits = {shared}\n\
             [workers.other]\nmain = 'worker.js'\nvars = {{ VERSION = '{version}' }}\nrate_limits = {shared}\n",
            limiter(""),
            shared = limiter(", namespace_id = '1001'"),
        )
    };
    let worker = "export default { async fetch(request, { LIMITER, VERSION }) {
        if (request.method === 'OPTIONS') return new Response(VERSION);
        return new Response(String((await LIMITER.limit({ key: 'k' })).success));
    } }";
    let project = Project::new(&[("isopod.toml", &configuration(1, 2)), ("worker.js", worker)]);
    let server = Serving::start_with(project.path(), &["--watch"]);
    let take = |path: &str| server.get(path).body;
    assert_eq!(
        ["/own", "/shared", "/other", "/shared"].map(take),
        ["true", "true", "true", "false"]
    );
    project.write("isopod.toml", &configuration(2, 3));
    for path in ["/own", "/shared", "/other"] {
        until("the next version answers", || {
            let asked = format!("OPTIONS {path} HTTP/1.1\r\nhost: x\r\n\r\n");
            let answer = server.connect().send(&asked).unwrap();
            (answer.body == "2").then_some(())
        });
    }
    // Two of three are taken in the shared namespace, one in the other.
    assert_eq!(["/shared", "/other"].map(take), ["true", "false"]);
    assert_eq!(["/own", "/own", "/own"].map(take), ["true", "true", "false"]);
}
