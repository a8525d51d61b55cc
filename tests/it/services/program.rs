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

/// `wrangler dev -c front/wrangler.jsonc -c api/wrangler.jsonc`:
/// <https://developers.cloudflare.com/workers/local-development/multi-workers/>
#[test]
fn projects_with_wrangler_files_of_their_own_are_served_together() {
    let project = Project::new(&[
        (
            "front/wrangler.jsonc",
            r#"{ "name": "front", "main": "front.js", "kv_namespaces": [{ "binding": "KV", "id": "shared" }],
                "services": [{ "binding": "API", "service": "api" }, { "binding": "ADMIN", "service": "api", "entrypoint": "Admin" }],
                "queues": { "producers": [{ "binding": "JOBS", "queue": "jobs" }] },
                "durable_objects": { "bindings": [{ "name": "COUNTS", "class_name": "Count", "script_name": "api" }] },
                "d1_databases": [{ "binding": "DB", "database_name": "shared", "database_id": "x" }] }"#,
        ),
        (
            "front/front.js",
            "export default { async fetch(request, env) {
                const { pathname } = new URL(request.url);
                if (pathname === '/job') return new Response(await env.JOBS.send('done').then(() => 'sent'));
                if (pathname === '/kv') return new Response(await env.KV.get('job'));
                const count = await env.COUNTS.get(env.COUNTS.idFromName('a')).next();
                const { from } = await env.DB.prepare('SELECT name AS \"from\" FROM shared').first();
                return Response.json([await (await env.API.fetch(request)).text(), await env.ADMIN.secret(), count, from]);
            } };",
        ),
        (
            "api/wrangler.jsonc",
            r#"{ "name": "api", "main": "src/api.js", "vars": { "NAME": "the API" },
                "kv_namespaces": [{ "binding": "KV", "id": "shared" }],
                "queues": { "consumers": [{ "queue": "jobs", "max_batch_timeout": 0 }] },
                "durable_objects": { "bindings": [{ "name": "OWN", "class_name": "Count" }] },
                "migrations": [{ "tag": "1", "new_sqlite_classes": ["Old"] },
                    { "tag": "2", "renamed_classes": [{ "from": "Old", "to": "Count" }] }],
                "d1_databases": [{ "binding": "DB", "database_name": "shared", "database_id": "x" }] }"#,
        ),
        ("api/.dev.vars", "TOKEN=secret"),
        (
            "api/src/api.js",
            "import { DurableObject, WorkerEntrypoint } from 'cloudflare:workers';
             export class Admin extends WorkerEntrypoint { secret() { return this.env.TOKEN; } }
             export class Count extends DurableObject {
                 next() { return this.ctx.storage.kv.put('n', 1 + (this.ctx.storage.kv.get('n') ?? 0)) ?? this.ctx.storage.kv.get('n'); }
             }
             export default {
                 async fetch(request, env) {
                     await env.DB.exec(\"CREATE TABLE IF NOT EXISTS shared (name)\");
                     await env.OWN.get(env.OWN.idFromName('a')).next();
                     return new Response(env.NAME);
                 },
                 async queue(batch, env) { await env.KV.put('job', batch.messages[0].body); },
             };",
        ),
    ]);
    let d1 = |sql: &str| {
        let (front, api) = (project.file("front"), project.file("api"));
        let ended = isopod(&[
            "d1",
            "execute",
            "--project",
            &front,
            "--project",
            &api,
            "--worker",
            "front",
            "--command",
            sql,
        ]);
        assert_eq!(ended.code, Some(0), "{}", ended.stderr);
    };
    d1("CREATE TABLE shared (name); INSERT INTO shared VALUES ('one file')");
    let server = Serving::start_with(project.file("front"), &[&project.file("api")]);
    assert_eq!(server.get("/").body, r#"["the API","secret",1,"one file"]"#);
    assert_eq!(server.get("/").body, r#"["the API","secret",3,"one file"]"#);
    assert_eq!(server.get("/job").body, "sent");
    until("the further worker consumes the message", || {
        (server.get("/kv").body == "done").then_some(())
    });
    assert!(!project.path().join("api/.isopod").exists());

    let alone = isopod(&["check", &project.file("front")]);
    assert_eq!(alone.code, Some(2));
    let remedy = "named together: `isopod serve . ../api`";
    assert!(alone.stderr.contains(remedy), "{}", alone.stderr);
    let both = isopod(&["check", &project.file("front"), &project.file("api")]);
    assert_eq!(
        (both.code, &*both.stdout),
        (Some(0), "api: ok\nfront: ok\n"),
        "{}",
        both.stderr
    );
    let of_wrangler = project.path().join("front/wrangler.jsonc");
    let text = std::fs::read_to_string(&of_wrangler).expect("the file");
    let text = text.replacen(
        '{',
        r#"{ "env": { "staging": { "services": [{ "binding": "API", "service": "api" }] } }, "#,
        1,
    );
    project.write("front/wrangler.jsonc", &text);
    let staging = isopod(&[
        "check",
        &project.file("front"),
        &project.file("api"),
        "--env",
        "staging",
    ]);
    assert_eq!(
        (staging.code, &*staging.stdout),
        (Some(0), "api: ok\nfront-staging: ok\n"),
        "{}",
        staging.stderr
    );
    assert!(
        staging
            .stderr
            .contains("no environment `staging` here; the top level is used"),
        "{}",
        staging.stderr
    );
    project.write("site/index.html", "");
    let assets = isopod(&[
        "check",
        &project.file("front"),
        &project.file("api"),
        &project.file("site"),
    ]);
    assert_eq!(assets.code, Some(2));
    assert!(
        assets.stderr.contains("site has no worker, only assets"),
        "{}",
        assets.stderr
    );
    let twice = isopod(&["check", &project.file("api"), &project.file("api")]);
    assert_eq!(twice.code, Some(2));
    for said in [
        "two of the configurations have a worker named `api`",
        "the queue \"jobs\" has two consumers",
    ] {
        assert!(twice.stderr.contains(said), "{}", twice.stderr);
    }
}
