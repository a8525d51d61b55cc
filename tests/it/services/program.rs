//! Service bindings of the built program, as its configuration gives them to workers.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::process::until;
use crate::program::{Serving, isopod};
use crate::project::Project;

const FRONT: &str = "export default { fetch: (request, env) => env.API.fetch(request) };";

fn site(bindings: &str, front: &str, api: &str) -> Project {
    let configuration = format!(
        "threads = 2\nroutes = [{{ path = '/*', worker = 'front' }}]\n\
         [workers.front]\nmain = 'front.js'\n{bindings}\n[workers.api]\nmain = 'api.js'\n"
    );
    Project::new(&[("isopod.toml", &configuration), ("front.js", front), ("api.js", api)])
}

const API: &str = "services = [{ binding = 'API', service = 'api' }]";

#[test]
fn a_worker_without_a_route_answers_one_that_is_bound_to_it() {
    let api = "export default { async fetch(request) { console.log('asked');
        return Response.json([request.url, request.headers.get('x-request-id'), await request.text()]) } };";
    let server = Serving::start(site(API, FRONT, api).path());
    let answer = server.connect().post("/a?b", "text").expect("an answer");
    let id = answer.header("x-request-id").expect("an id").to_owned();
    let expected = serde_json::json!(["http://localhost/a?b", id, "text"]);
    assert_eq!(answer.body, expected.to_string());
    // The log names the request and the caller.
    until("the line is logged", || {
        let log = server.log();
        let line = log.lines().find(|line| line.contains("asked"))?;
        assert!(line.contains(&id) && line.contains("front"), "{line}");
        Some(())
    });
}

#[test]
fn an_error_of_the_service_is_logged_with_its_place_and_the_caller() {
    let api = "export default { fetch() {\n  throw new RangeError('not today') } };";
    let front = "export default { async fetch(request, env) {
        try { return await env.API.fetch(request) } catch (error) { return new Response(`${error}`) } } };";
    let server = Serving::start(site(API, front, api).path());
    assert_eq!(server.get("/").body, "RangeError: not today");
    until("the error is logged", || {
        let log = server.log();
        (log.contains("api.js:2:9") && log.contains("caller")).then_some(())
    });
}

#[test]
fn a_change_of_a_service_is_deployed_under_its_callers() {
    let worker = |text: &str| format!("export default {{ fetch: () => new Response('{text}') }};");
    let project = site(API, FRONT, &worker("one"));
    let server = Serving::start_with(project.path(), &["--watch"]);
    assert_eq!(server.get("/").body, "one");
    project.write("api.js", &worker("two"));
    until("the change is served", || (server.get("/").body == "two").then_some(()));
}

#[test]
fn a_client_that_leaves_in_mid_stream_ends_the_stream_of_the_service() {
    let api = "let open = 0;
        export default { async fetch(request) {
            if (new URL(request.url).pathname === '/open') return new Response(`${open}`);
            open++;
            return new Response(new ReadableStream({
                async pull(controller) {
                    await new Promise((resolve) => setTimeout(resolve, 5));
                    controller.enqueue(new TextEncoder().encode('a line\\n'));
                },
                cancel() { open--; },
            }));
        } };";
    let server = Serving::start(site(API, FRONT, api).path());
    {
        let mut connection = TcpStream::connect(server.address).expect("a listener that accepts");
        let request = b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n";
        connection.write_all(request).expect("a connection");
        let mut some = [0; 300];
        connection.read_exact(&mut some).expect("the beginning of a stream");
        assert_eq!(server.get("/open").body, "1");
    }
    until("the stream is canceled", || {
        (server.get("/open").body == "0").then_some(())
    });
}

#[test]
fn a_cycle_ends_at_the_depth_of_http() {
    let front = "export default { async fetch(request, env) {
        const depth = +(request.headers.get('x-depth') ?? 0);
        try { return await env.API.fetch(request.url, { headers: { 'x-depth': `${depth + 1}` } }) }
        catch (error) { return new Response(`${depth} ${error.message}`) } } };";
    let bindings = "services = [{ binding = 'API', service = 'front' }]";
    let project = site(bindings, front, FRONT);
    let text = std::fs::read_to_string(project.path().join("isopod.toml")).expect("a configuration");
    project.write("isopod.toml", &format!("{text}[ingress]\ndepth_max = 3\n"));
    let body = Serving::start(project.path()).get("/").body;
    assert!(
        body.starts_with("3 4 calls between workers lead to this one, and 3 may"),
        "{body}"
    );
}

#[test]
fn a_check_finds_missing_workers_and_entry_points() {
    let api = "export class Admin { fetch() {} }; export default { fetch() {} };";
    for (binding, code, parts) in [
        (
            "{ binding = 'API', service = 'api', entrypoint = 'Admin' }",
            0,
            ["front: ok", "api: ok"],
        ),
        (
            "{ binding = 'API', service = 'api', entrypoint = 'Admim' }",
            1,
            [
                "front: its service binding `API` has the entry point \"Admim\", which the worker \"api\" does not export",
                "did you mean \"Admin\"?",
            ],
        ),
        (
            "{ binding = 'API', service = 'apo' }",
            2,
            [
                "`workers.front.services[0].service` = \"apo\": no worker has this name",
                "did you mean \"api\"?",
            ],
        ),
    ] {
        let project = site(&format!("services = [{binding}]"), FRONT, api);
        let ended = isopod(&["check", project.path().to_str().expect("a path in UTF-8")]);
        let said = format!("{}{}", ended.stdout, ended.stderr);
        assert_eq!(ended.code, Some(code), "{said}");
        parts
            .iter()
            .for_each(|part| assert!(said.contains(part), "{part} in\n{said}"));
    }
}
