//! Clients and signals at inconvenient moments.

use std::io::{Read, Write};
use std::time::{Duration, Instant};

use crate::hostile::Arena;
use crate::process::{PATIENCE, until};
use crate::program::Serving;
use crate::project::Project;

/// A server with short limits, and a worker that counts its requests.
fn strict() -> (Project, Serving) {
    let project = Project::new(&[
        (
            "isopod.toml",
            "main = 'worker.js'\n[ingress]\nheader_timeout = '300ms'\nbody_bytes_max = '16 KiB'\nheaders_max = 100",
        ),
        (
            "worker.js",
            "let seen = 0; export default { async fetch(request) {
                if (request.method === 'GET') return new Response(String(seen));
                seen += 1;
                return new Response(String((await request.text()).length));
            } }",
        ),
    ]);
    let server = Serving::start(project.path());
    (project, server)
}

/// The pool has had no event, and the worker answers the next.
#[track_caller]
fn no_worker_was_used(server: &Serving) {
    assert_eq!(server.metric_over_all("isopod_events_total"), 0);
    assert_eq!(server.metric_over_all("isopod_events_in_flight"), 0);
    assert_eq!(server.get("/").body, "0");
}

// row 34
#[test]
fn a_silent_connection_is_closed() {
    let (_project, server) = strict();
    let start = Instant::now();
    let mut silent = server.connect();
    assert_eq!(silent.stream.read(&mut [0; 64]).expect("an orderly end"), 0);
    assert!(
        start.elapsed() >= Duration::from_millis(300) && start.elapsed() < PATIENCE / 2,
        "{:?}",
        start.elapsed()
    );
    no_worker_was_used(&server);
}

// row 34
#[test]
fn trickling_headers_time_out() {
    let (_project, server) = strict();
    let mut slow = server.connect();
    slow.stream
        .get_mut()
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nx: ")
        .expect("an open connection");
    slow.stream
        .get_ref()
        .set_read_timeout(Some(Duration::from_millis(50)))
        .expect("a timeout");
    let start = Instant::now();
    // Sends one byte whenever nothing was readable for 50 ms, until the server disconnects.
    until("the server hangs up", || match slow.stream.read(&mut [0; 1024]) {
        Ok(0) => Some(()),
        Ok(_) => None,
        Err(error)
            if matches!(
                error.kind(),
                std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut
            ) =>
        {
            slow.stream.get_mut().write_all(b"x").is_err().then_some(())
        }
        Err(_) => Some(()),
    });
    assert!(start.elapsed() < PATIENCE / 2, "{:?}", start.elapsed());
    no_worker_was_used(&server);
}

// row 35
#[test]
fn too_many_or_too_large_headers_are_a_431() {
    let (_project, server) = strict();
    let ask = |headers: &str| {
        let request = format!("POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0\r\n{headers}\r\n");
        server.connect().send(&request).expect("an answer")
    };
    let many: String = (0..101).map(|i| format!("x-{i}: 1\r\n")).collect();
    assert_eq!(ask(&many).verdict(), (431, "refused"));
    let giant = format!("x: {}\r\n", "y".repeat(20_000));
    assert_eq!(ask(&giant).status, 431);
    no_worker_was_used(&server);
}

// row 36
#[test]
fn a_chunked_body_over_the_cap_is_a_413_and_no_worker_sees_it() {
    let (_project, server) = strict();
    let mut connection = server.connect();
    let head = "POST / HTTP/1.1\r\nhost: localhost\r\ntransfer-encoding: chunked\r\n\r\n";
    connection
        .stream
        .get_mut()
        .write_all(head.as_bytes())
        .expect("an open connection");
    let chunk = format!("2000\r\n{}\r\n", "x".repeat(0x2000));
    for _ in 0..3 {
        connection
            .stream
            .get_mut()
            .write_all(chunk.as_bytes())
            .expect("an open connection");
    }
    assert_eq!(connection.read_answer().expect("an answer").verdict(), (413, "refused"));
    no_worker_was_used(&server);
    assert_eq!(server.connect().post("/", "fits").expect("an answer").body, "4");
}

// row 41
#[test]
fn a_client_that_leaves_fires_the_signal_and_frees_the_slot() {
    let arena = Arena::start();
    let server = &arena.server;
    let mut leaving = server.connect();
    let request = "GET /patient/leave HTTP/1.1\r\nhost: localhost\r\n\r\n";
    arena.sent(1);
    leaving
        .stream
        .get_mut()
        .write_all(request.as_bytes())
        .expect("an open connection");
    let in_flight = || server.metric("isopod_events_in_flight{worker=\"patient\"}");
    until("the handler runs", || (in_flight() == 1).then_some(()));
    drop(leaving);
    until("the slot is free", || (in_flight() == 0).then_some(()));
    assert_eq!(arena.get("/patient/left").body, "1");
    assert_eq!(server.metric("isopod_events_total{outcome=\"canceled\"}"), 1);
    arena.recovers();
}
