//! Servers that are missing when a process starts, and come later; and such that refuse.

use serde_json::Value as Json;

use crate::client::Connection;
use crate::nats::Nats;
use crate::postgres::Postgres;
use crate::process::until;
use crate::program::{Serving, isopod_with};
use crate::project::Project;
use crate::seaweed::Seaweed;

/// Tells the error of what it does.
const WORKER: &str = "const seen = [];
    export default {
        async fetch(request, env) {
            const { pathname } = new URL(request.url);
            try {
                switch (pathname) {
                    case '/seen': return Response.json(seen);
                    case '/kv': await env.KV.put('a', 'stored'); return new Response(await env.KV.get('a'));
                    case '/send': await env.QUEUE.send('sent'); return new Response('sent');
                    case '/r2': await env.R2.put('a', 'kept'); return new Response(await (await env.R2.get('a')).text());
                    case '/publish': env.EVENTS.publish('orders.created', 'order'); return new Response('published');
                }
                return new Response('plain');
            } catch (error) {
                return new Response(error.message, { status: 599 });
            }
        },
        queue(batch) { for (const { body } of batch.messages) seen.push(body); },
        message({ data }) { seen.push(data); },
    };";

/// A worker with a binding of every kind that a server may keep.
fn project(postgres: &str, nats: &str, s3: &str) -> Project {
    let configuration = "name = 'shop'
        main = 'worker.js'
        env_files = ['.env']
        kv_namespaces = [{ binding = 'KV' }]
        r2_buckets = [{ binding = 'R2', bucket_name = 'files' }]
        queues.producers = [{ binding = 'QUEUE', queue = 'q' }]
        queues.consumers = [{ queue = 'q', max_batch_timeout = '20ms' }]
        events = { publish = ['orders.*'], subscribe = ['orders.*'] }
        crons = ['* * * * * *']
        [storage]
        kv = '$STORE'
        crons = '$STORE'
        queues = '$BUS'
        events = '$BUS'
        r2 = '$FILES'";
    let (id, secret) = Seaweed::CREDENTIALS;
    let env = format!(
        "STORE={postgres}\nBUS={nats}\nFILES=s3://company?endpoint={s3}\nAWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}"
    );
    Project::new(&[("isopod.toml", configuration), ("worker.js", WORKER), (".env", &env)])
}

fn readyz(server: &Serving) -> (u16, String) {
    let answer = Connection::open(server.admin).and_then(|mut admin| admin.get("/readyz"));
    let answer = answer.expect("an answer");
    (answer.status, answer.body)
}

fn seen(server: &Serving) -> Vec<Json> {
    serde_json::from_str(&server.get("/seen").body).expect("JSON")
}

#[test]
fn a_process_starts_without_its_servers_and_uses_them_when_they_come() {
    let (postgres, nats, mut s3) = (Postgres::start(), Nats::start(), Seaweed::stopped());
    postgres.crash();
    nats.crash();
    let project = project(&postgres.url(), &nats.url(), &s3.endpoint());
    let server = Serving::start(project.path());
    assert_eq!(server.get("/").body, "plain", "it answers what needs no server");

    let (status, told) = readyz(&server);
    assert_eq!(status, 503, "{told}");
    for part in [
        "(env.KV of shop, cron ticks)",
        "(env.QUEUE of shop, queue q of shop)",
        "(events)",
        "s3://company/files/ (env.R2 of shop)",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
    assert!(!told.contains("hidden"), "{told}");
    for (path, part) in [
        ("/kv", "PostgreSQL at 127.0.0.1:"),
        ("/send", "NATS at 127.0.0.1:"),
        ("/r2", "s3://company/files/"),
    ] {
        let answer = server.get(path);
        assert_eq!(answer.status, 599, "{answer:?}");
        assert!(answer.body.contains(part), "{answer:?}");
    }

    postgres.run();
    until("KV is there", || (server.get("/kv").body == "stored").then_some(()));
    nats.run();
    until("the queue is there", || {
        (server.get("/send").body == "sent").then_some(())
    });
    until("a message of the queue has come", || {
        seen(&server).contains(&Json::from("sent")).then_some(())
    });
    s3.run();
    until("the bucket is there", || {
        (server.get("/r2").body == "kept").then_some(())
    });
    until("it is ready", || {
        (readyz(&server) == (200, "ready\n".to_owned())).then_some(())
    });

    // One that is lost later is told of, and makes the process no less ready than others.
    nats.crash();
    let told = until("it is told", || {
        let (status, told) = readyz(&server);
        assert_eq!(status, 200, "{told}");
        told.contains("storage: nats://").then_some(told)
    });
    assert!(told.starts_with("ready\n") && !told.contains("postgres://"), "{told}");
    nats.run();
    until("it is back", || (readyz(&server).1 == "ready\n").then_some(()));
}

#[test]
fn the_bus_is_linked_when_its_server_comes() {
    let (postgres, nats, s3) = (Postgres::start(), Nats::start(), Seaweed::start());
    nats.crash();
    let projects = [(); 2].map(|()| project(&postgres.url(), &nats.url(), &s3.endpoint()));
    let [one, two] = projects.each_ref().map(|project| Serving::start(project.path()));
    assert_eq!(one.get("/publish").body, "published");
    until("its own worker has it", || (seen(&one) == ["order"]).then_some(()));
    nats.run();
    until("a message has come to the other", || {
        one.get("/publish");
        (!seen(&two).is_empty()).then_some(())
    });
}

#[test]
fn assets_of_a_bucket_are_served_when_it_comes() {
    let mut s3 = Seaweed::stopped();
    let (id, secret) = Seaweed::CREDENTIALS;
    let env = format!("AWS_ACCESS_KEY_ID={id}\nAWS_SECRET_ACCESS_KEY={secret}\n");
    let place = format!("s3://company/public?endpoint={}", s3.endpoint());
    let worker = "export default { fetch: (request, env) => env.ASSETS.fetch(new URL('/', request.url)) };";
    let configuration = format!(
        "name = 'site'\nmain = 'worker.js'\nenv_files = ['.env']
        r2_buckets = [{{ binding = 'FILES', storage = '{place}' }}]
        assets = {{ storage = '{place}', binding = 'ASSETS' }}"
    );
    let project = Project::new(&[
        ("isopod.toml", &configuration),
        ("worker.js", worker),
        (".env", &env),
        ("page", "<h1>Shop</h1>"),
    ]);
    let served = Serving::start(project.path());
    for path in ["/", "/any"] {
        let answer = served.get(path);
        assert_eq!(answer.status, 503, "{answer:?}");
        assert!(answer.header("retry-after").is_some(), "{answer:?}");
    }
    assert!(readyz(&served).1.contains("assets of site"), "{:?}", readyz(&served));
    s3.run();
    let (folder, page) = (project.path(), project.path().join("page"));
    let (folder, page) = (folder.to_str().expect("UTF-8"), page.to_str().expect("UTF-8"));
    let put = ["r2", "object", "put", "index.html", "--path", page, "--project", folder];
    // The service may not have started all of its parts.
    until("the page is there", || {
        (isopod_with(&put, &[], "").code == Some(0)).then_some(())
    });
    until("the site is served", || {
        (served.get("/").body == "<h1>Shop</h1>").then_some(())
    });
    assert_eq!(served.get("/any").body, "<h1>Shop</h1>", "the binding has them too");
}

#[test]
fn a_server_that_refuses_ends_the_start() {
    let (postgres, nats, s3) = (Postgres::start(), Nats::start(), Seaweed::start());
    let refused = |project: &Project, environment: &[(&str, &str)]| {
        let folder = project.path().to_str().expect("UTF-8");
        let ended = isopod_with(&["serve", folder, "--listen", "127.0.0.1:0"], environment, "");
        assert_eq!(ended.code, Some(1), "{ended:?}");
        assert!(
            !ended.stderr.contains("hidden") && !ended.stderr.contains("wrong"),
            "{ended:?}"
        );
        ended.stderr
    };
    let wrong = nats.url().replace("hidden", "wrong");
    let told = refused(&project(&postgres.url(), &wrong, &s3.endpoint()), &[]);
    assert!(
        told.contains("NATS at 127.0.0.1:") && told.contains("authorization violation"),
        "{told}"
    );
    let none = postgres.url().replace("/postgres?", "/none?");
    let told = refused(&project(&none, &nats.url(), &s3.endpoint()), &[]);
    assert!(
        told.contains("database \"none\" does not exist") && told.contains("env.KV of shop"),
        "{told}"
    );
    let whole = project(&postgres.url(), &nats.url(), &s3.endpoint());
    let told = refused(&whole, &[("AWS_SECRET_ACCESS_KEY", "not-it")]);
    assert!(
        told.contains("s3://company/files/") && told.contains("env.R2 of shop"),
        "{told}"
    );
}
