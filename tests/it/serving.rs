//! `isopod serve` as a host: the order of startup and shutdown.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};

use crate::client::Connection;
use crate::process::until;
use crate::program::{Server, Serving, isopod};
use crate::project::Project;

const PUBLISHER: &str = "
export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    try { env.EVENTS.publish(pathname.slice(1), { from: pathname }); } catch (error) { return new Response(error.message); }
    return new Response('published');
  },
};";

const SUBSCRIBER: &str = "
const seen = [];
export default {
  message(message) { seen.push(message.topic + ' ' + message.data.from); },
  fetch: () => Response.json(seen),
};";

#[test]
fn a_used_port_is_reported_before_any_worker_starts() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("an address").to_string();
    let project = Project::new(&[(
        "worker.js",
        "console.error('it has started'); export default { fetch() {} }",
    )]);
    for place in ["--listen", "--admin"] {
        let ended = isopod(&[
            "serve",
            &project.file("worker.js"),
            "--listen",
            "127.0.0.1:0",
            place,
            &address,
        ]);
        assert_eq!(ended.code, Some(1));
        assert!(
            ended.stderr.contains(&address) && ended.stderr.starts_with("error: cannot "),
            "{}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("it has started"), "{}", ended.stderr);
    }
}

#[test]
fn probes_are_answered_while_workers_start_and_no_request_is_accepted() {
    let project = Project::new(&[(
        "worker.js",
        "await new Promise((done) => setTimeout(done, 2000)); export default { fetch: () => new Response('up') }",
    )]);
    let free = TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    let listen = free.expect("a port");
    let mut server = Server::start(project.file("worker.js"), &listen.to_string(), &[]);
    let admin = server.address_after("admin on http://");
    let probe = |path: &str| {
        let answer = Connection::open(admin).and_then(|mut admin| admin.get(path));
        match answer {
            Ok(answer) => (answer.status, answer.body),
            Err(error) => panic!("{path}: {error}; {}", server.log()),
        }
    };
    assert_eq!(probe("/readyz"), (503, "starting\n".to_owned()));
    assert_eq!(probe("/healthz").0, 200);
    assert!(Connection::open(listen).is_err(), "somebody was let in");
    until("it is ready", || (probe("/readyz").0 == 200).then_some(()));
    let answer = Connection::open(listen).and_then(|mut client| client.get("/"));
    assert_eq!(answer.expect("an answer").body, "up");
}

#[test]
fn a_process_that_is_asked_to_end_while_workers_start_does_not_wait_for_them() {
    let project = Project::new(&[(
        "worker.js",
        "await new Promise(() => setTimeout(() => {}, 9000)); export default {}",
    )]);
    let mut server = Server::start(project.file("worker.js"), "127.0.0.1:0", &[]);
    server.address_after("admin on http://");
    let begun = std::time::Instant::now();
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    assert!(
        server.log().contains("stopped before ready: received SIGTERM"),
        "{}",
        server.log()
    );
    assert!(
        begun.elapsed() < std::time::Duration::from_secs(8),
        "{:?}",
        begun.elapsed()
    );
}

fn bus() -> Project {
    Project::new(&[
        (
            "isopod.toml",
            "routes = [{ path = '/seen', worker = 'mail' }, { path = '/*', worker = 'shop' }]
             [workers.shop]
             main = 'shop.js'
             events = { publish = ['orders.*'] }
             [workers.mail]
             main = 'mail.js'
             events = { subscribe = ['orders.created', 'orders.paid'] }",
        ),
        ("shop.js", PUBLISHER),
        ("mail.js", SUBSCRIBER),
    ])
}

#[test]
fn published_messages_are_passed_to_other_workers() {
    let project = bus();
    let server = Serving::start(project.path());
    for topic in ["orders.created", "orders.lost", "orders.paid"] {
        assert_eq!(server.get(&format!("/{topic}")).body, "published");
    }
    let seen = until("both have come", || {
        let seen: Vec<String> = serde_json::from_str(&server.get("/seen").body).expect("JSON");
        (seen.len() >= 2).then_some(seen)
    });
    assert_eq!(seen, ["orders.created /orders.created", "orders.paid /orders.paid"]);
    let refused = server.get("/mail.sent").body;
    assert!(
        refused.contains("may not publish to `mail.sent`") && refused.contains("orders.*"),
        "{refused}"
    );
}

#[test]
fn a_subscription_survives_deployments() {
    let project = bus();
    let server = Serving::start_with(project.path(), &["--watch"]);
    project.write(
        "mail.js",
        &SUBSCRIBER.replace("message.topic", "'new ' + message.topic"),
    );
    until("the new version is told", || {
        server.get("/orders.paid");
        server.get("/seen").body.contains("new orders.paid").then_some(())
    });
    let settings = std::fs::read_to_string(project.file("isopod.toml")).expect("the file");
    project.write(
        "isopod.toml",
        &settings.replace("'orders.created', 'orders.paid'", "'orders.lost'"),
    );
    until("it is told what it now subscribes to", || {
        server.get("/orders.lost");
        server.get("/seen").body.contains("new orders.lost").then_some(())
    });
}

#[test]
fn system_events_are_logged_at_level_debug() {
    let project = Project::new(&[("worker.js", "export default { fetch: () => new Response('') }")]);
    let mut server = Serving::start_with(project.file("worker.js"), &["--log", "debug"]);
    server.get("/");
    server.signal("TERM");
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    for part in [
        "isopod.worker.ready",
        "isopod.module.started",
        "ingress: build",
        "threads joined",
    ] {
        assert!(server.log().contains(part), "no {part:?}");
    }
}

/// RFC 9110, section 10.1.1: a server that does not need a body answers without asking for it. (Small ones are read before the worker
/// begins.)
#[test]
fn a_client_is_asked_to_continue_when_the_script_reads_the_body() {
    let project = Project::new(&[
        (
            "worker.js",
            "export default { async fetch(request, env) {
                const { pathname } = new URL(request.url);
                if (pathname.startsWith('/service')) return env.SERVICE.fetch(request);
                return new Response(pathname.endsWith('/read') ? (await request.text()).length : 'not read');
            } };",
        ),
        (
            "isopod.toml",
            "routes = [{ path = '/*', worker = 'main' }]
            [workers.main]
            main = 'worker.js'
            services = [{ binding = 'SERVICE', service = 'service' }]
            [workers.service]
            main = 'service.js'",
        ),
        (
            "service.js",
            "export default { async fetch(request) {
                return new Response(request.url.endsWith('/read') ? (await request.text()).length : 'not read');
            } };",
        ),
    ]);
    let server = Serving::start(project.file("isopod.toml"));
    let line_of = |socket: &mut BufReader<TcpStream>| {
        let mut line = String::new();
        socket.read_line(&mut line).expect("a line");
        line
    };
    let (asked, answered) = ("HTTP/1.1 100 Continue\r\n", "HTTP/1.1 200 OK\r\n");
    for (path, first) in [
        ("/read", asked),
        ("/", answered),
        ("/service/read", asked),
        ("/service", answered),
    ] {
        let mut socket = BufReader::new(TcpStream::connect(server.address).expect("a listener that accepts"));
        let head = format!("POST {path} HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 200000\r\n\r\n");
        socket
            .get_mut()
            .write_all(head.as_bytes())
            .expect("a server that reads");
        assert_eq!(line_of(&mut socket), first, "{path}");
        if first == asked {
            socket
                .get_mut()
                .write_all(&[b'a'; 200_000])
                .expect("a server that reads");
            assert_eq!(line_of(&mut socket), "\r\n");
            assert_eq!(line_of(&mut socket), answered);
            while line_of(&mut socket) != "\r\n" {}
            let body = socket.fill_buf().expect("a body");
            assert_eq!(body, b"200000");
        }
    }
}
