//! Hyperdrive, secrets of a secrets store, version metadata and Analytics Engine in the built program.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::program::{Serving, isopod};
use crate::project::Project;
use crate::transcript;

fn serve(wrangler: &str, worker: &str, more: &[(&str, &str)]) -> (Project, Serving) {
    let mut files = vec![("wrangler.json", wrangler), ("worker.js", worker)];
    files.extend(more);
    let project = Project::new(&files);
    let server = Serving::start(project.path());
    (project, server)
}

fn get(server: &Serving) -> String {
    let answer = server.get("/");
    assert_eq!(answer.status, 200, "{}", answer.body);
    answer.body
}

/// Source: small.json, the transcript of workerd 1.20260426.1 with miniflare 4 for the same worker.
#[test]
fn small_bindings_behave_as_on_workerd() {
    let project = Project::copy_of("bindings");
    let wrangler = r#"{ "name": "x", "main": "small.js", "compatibility_date": "2026-04-01",
        "secrets_store_secrets": [{ "binding": "SECRET", "store_id": "store", "secret_name": "KEY" }],
        "hyperdrive": [{ "binding": "DB", "id": "0123", "localConnectionString": "postgres://me:p%40ss@127.0.0.1:5432/shop" }],
        "version_metadata": { "binding": "VERSION" },
        "analytics_engine_datasets": [{ "binding": "CLICKS", "dataset": "clicks" }],
        "ratelimits": [{ "name": "LIMIT", "namespace_id": "1", "simple": { "limit": 2, "period": 60 } }],
        "services": [{ "binding": "OTHER", "service": "x", "entrypoint": "Other", "props": { "a": 1 } }] }"#;
    project.write("wrangler.json", wrangler);
    project.write(".dev.vars", "KEY=s3cret");
    let server = Serving::start(project.path());
    let no_key =
        "TypeError: Failed to execute 'limit' on 'RateLimit': 'key' is not a string; call limit({ key: \"...\" })";
    let thrown = |message: &str| json!({ "throws": message, "remote": null });
    let differences = [
        (
            "limit: no key",
            thrown(no_key),
            "a forgotten key would limit all clients together",
        ),
        ("limit: nothing", thrown(no_key), "as without a key"),
        (
            "limit: an unknown option",
            json!({ "success": true }),
            "unknown options are ignored, as elsewhere",
        ),
        (
            "service: nothing",
            thrown("TypeError: Failed to execute 'fetch' on 'Fetcher': 1 argument required, but only 0 present"),
            "arguments are counted first, as in Web IDL",
        ),
        (
            "service: no URL",
            thrown("TypeError: Invalid URL: '/path'"),
            "URLs are quoted in all errors",
        ),
    ];
    let steps = transcript::compare(&get(&server), "small.json", &differences);
    assert!(steps > 20);
}

/// The parts are those of <https://developers.cloudflare.com/hyperdrive/reference/supported-databases-and-features/>, and the
/// address of the database is permitted to sockets, though it is a loopback address. Nothing else there is.
#[test]
fn hyperdrive_gives_the_parts_of_the_url_and_a_socket_to_the_database() {
    let database = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = database.local_addr().unwrap().port();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let other = other.local_addr().unwrap().port();
    let answering = std::thread::spawn(move || {
        let (mut client, _) = database.accept().unwrap();
        let mut request = [0; 4];
        client.read_exact(&mut request).unwrap();
        client.write_all(&request.map(|byte| byte + 1)).unwrap();
    });
    let wrangler = format!(
        r#"{{ "name": "x", "main": "worker.js", "compatibility_date": "2026-01-01",
            "hyperdrive": [{{ "binding": "DB", "id": "0123", "localConnectionString": "postgres://me:p%40ss@127.0.0.1:{port}/shop?sslmode=disable" }}] }}"#
    );
    let worker = format!(
        r#"import {{ connect }} from "cloudflare:sockets";
        const refused = async (work) => {{ try {{ await work(); return "permitted"; }} catch (error) {{ return /not permitted|forbid|refused|denied|loopback|private/i.test(error.message) ? "refused" : error.message; }} }};
        export default {{ async fetch(request, env) {{
            const {{ host, port, user, password, database, connectionString }} = env.DB;
            const socket = env.DB.connect();
            const writer = socket.writable.getWriter();
            await writer.write(new Uint8Array([1, 2, 3, 4]));
            const {{ value }} = await socket.readable.getReader().read();
            const elsewhere = await refused(() => connect({{ hostname: "127.0.0.1", port: {other} }}).opened);
            const fetched = await refused(() => fetch("http://127.0.0.1:{port}/"));
            return Response.json([host, port === {port}, user, password, database,
                connectionString.startsWith("postgres://me:"), [...value], elsewhere, fetched]);
        }} }}"#
    );
    let (_project, server) = serve(&wrangler, &worker, &[]);
    assert_eq!(
        get(&server),
        r#"["127.0.0.1",true,"me","p@ss","shop",true,[2,3,4,5],"refused","refused"]"#
    );
    answering.join().unwrap();
}

/// As `wrangler dev` does, the variable of a binding takes precedence over the file.
#[test]
fn a_hyperdrive_binding_takes_its_url_from_a_variable() {
    let wrangler = r#"{ "name": "x", "main": "worker.js", "hyperdrive": [{ "binding": "DB", "id": "0123" }] }"#;
    let worker = "export default { fetch: (request, env) => new Response(env.DB.host + ':' + env.DB.port) }";
    let variable = "CLOUDFLARE_HYPERDRIVE_LOCAL_CONNECTION_STRING_DB=mysql://me@db.internal/shop";
    let (_project, server) = serve(wrangler, worker, &[(".env", variable)]);
    assert_eq!(get(&server), "db.internal:3306");
}

#[test]
fn a_secret_of_a_secrets_store_is_read_with_get() {
    let wrangler = r#"{ "name": "x", "main": "worker.js", "secrets_store_secrets": [
        { "binding": "API_KEY", "store_id": "0123", "secret_name": "API_KEY" },
        { "binding": "OTHER", "store_id": "0123", "secret_name": "NOT_SET" }] }"#;
    let worker = r#"export default { async fetch(request, env) {
        const missing = await env.OTHER.get().catch((error) => error.message);
        return Response.json([await env.API_KEY.get(), typeof env.API_KEY, missing.includes('"NOT_SET" not found')]);
    } }"#;
    let (_project, server) = serve(wrangler, worker, &[(".dev.vars", "API_KEY=s3cret")]);
    assert_eq!(get(&server), r#"["s3cret","object",true]"#);
}

#[test]
fn version_metadata_has_an_id_a_tag_and_the_time_of_deployment() {
    let wrangler = r#"{ "name": "x", "main": "worker.js", "version_metadata": { "binding": "VERSION" } }"#;
    let worker = r#"export default { fetch(request, env) {
        const { id, tag, timestamp } = env.VERSION;
        const age = Date.now() - new Date(timestamp);
        return Response.json([/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(id), tag, age >= 0 && age < 600_000]);
    } }"#;
    let (_project, server) = serve(wrangler, worker, &[]);
    assert_eq!(get(&server), r#"[true,"",true]"#);
}

/// A dataset's file can be bound as a database, which is how a worker queries it.
#[test]
fn data_points_become_rows_that_sql_can_read() {
    let configuration = "main = 'worker.js'\n[[analytics_engine_datasets]]\nbinding = 'CLICKS'\ndataset = 'clicks'\n\
                         [[databases]]\nbinding = 'DB'\nurl = 'sqlite:.isopod/analytics/clicks.sqlite'\n";
    let worker = r#"export default { async fetch(request, env) {
        if (new URL(request.url).pathname === "/write") {
            for (let i = 1; i <= 3; i++) {
                env.CLICKS.writeDataPoint({ indexes: ["shop"], blobs: ["home", new TextEncoder().encode("de"), null], doubles: [i, i / 2] });
            }
            const wrong = [];
            for (const point of [{ blobs: Array(21).fill("") }, { indexes: ["a", "b"] }, { indexes: ["x".repeat(97)] }, { blobs: 7 }]) {
                try { env.CLICKS.writeDataPoint(point); } catch (error) { wrong.push(error.name); }
            }
            return Response.json(wrong);
        }
        const sql = "SELECT dataset, index1, blob1, blob2, blob3, sum(double1 * _sample_interval) AS total, sum(double2) AS half FROM data_points";
        return Response.json(await env.DB.prepare(sql).first());
    } }"#;
    let project = Project::new(&[("isopod.toml", configuration), ("worker.js", worker)]);
    let server = Serving::start(project.path());
    let answer = server.get("/write");
    assert_eq!(answer.body, r#"["TypeError","TypeError","TypeError","TypeError"]"#);
    let expected = r#"{"dataset":"clicks","index1":"shop","blob1":"home","blob2":"de","blob3":"","total":6,"half":3}"#;
    let began = Instant::now();
    loop {
        let body = server.get("/").body;
        if body == expected {
            break;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{body}");
    }
}

#[test]
fn mistakes_are_reported_when_the_configuration_is_read() {
    for (text, parts) in [
        (
            "[[hyperdrive]]\nbinding = 'DB'\nurl = 'https://user:hunter2@db/'",
            ["`hyperdrive[0].url`", "its scheme should be `postgres`"],
        ),
        (
            "[[hyperdrive]]\nbinding = 'DB'",
            ["`hyperdrive[0].url`", "DATABASE_URL"],
        ),
        (
            "[[hyperdrive]]\nbinding = 'DB'\nurl_from = 'NOT_THERE'",
            ["`hyperdrive[0].url_from`", "NOT_THERE"],
        ),
        (
            "[[analytics_engine_datasets]]\nbinding = 'A'\ndataset = '../a'",
            ["analytics_engine_datasets[0].dataset", "plain name"],
        ),
    ] {
        let text = format!("main = 'worker.js'\n{text}\n");
        let project = Project::new(&[("isopod.toml", &text), ("worker.js", "")]);
        let ended = isopod(&["check", project.path().to_str().unwrap()]);
        assert_ne!(ended.code, Some(0));
        let told = format!("{}{}", ended.stdout, ended.stderr);
        for part in parts {
            assert!(told.contains(part), "{part}: {told}");
        }
        assert!(!told.contains("hunter2"), "{told}");
    }
}
