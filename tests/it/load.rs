//! Many clients, large bodies, and the process ending meanwhile.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::process::{resident_bytes, resident_bytes_peak, until};
use crate::program::Serving;
use crate::project::{Project, fixture};

const MIB: u64 = 1 << 20;

#[test]
fn sixty_four_clients_of_sixteen_workers_get_the_answers_of_theirs() {
    let routes: String = (0..16)
        .map(|i| format!("{{ path = '/w{i}/*', worker = 'w{i}' }},"))
        .collect();
    let workers: String = (0..16)
        .map(|i| format!("[workers.w{i}]\nmain = 'worker.js'\nvars = {{ NAME = 'w{i}' }}\n"))
        .collect();
    let project = Project::new(&[
        (
            "isopod.toml",
            &format!("threads = 8\nroutes = [{routes}]\nlog = {{ access = false }}\n{workers}"),
        ),
        (
            "worker.js",
            "export default { fetch: (request, env) => new Response(`${env.NAME} ${new URL(request.url).pathname}`) }",
        ),
    ]);
    let server = Serving::start(project.path());
    std::thread::scope(|scope| {
        for client in 0..64 {
            let server = &server;
            scope.spawn(move || {
                let mut connection = server.connect();
                for request in 0..20 {
                    let worker = (client + request) % 16;
                    let answer = connection.get(&format!("/w{worker}/{client}")).expect("an answer");
                    assert_eq!(
                        (answer.status, answer.body),
                        (200, format!("w{worker} /w{worker}/{client}"))
                    );
                }
            });
        }
    });
    // An event ends shortly after its response is sent.
    let ended_well = || server.metric("isopod_events_total{outcome=\"ok\"}") == 64 * 20;
    until("all events ended well", || ended_well().then_some(()));
}

/// The byte at an offset of the body, such that lost and repeated chunks are noticed.
fn byte_at(place: usize) -> u8 {
    u8::try_from(place / 977 % 251).expect("less than 251")
}

#[test]
fn a_hundred_megabytes_stream_through_at_flat_memory() {
    const LENGTH: usize = 100_000_000;
    const PIECE: usize = 100_000;
    let server = Serving::start(fixture("echo"));
    server.connect().post("/", "warm").expect("an answer");
    let before = resident_bytes(server.pid());
    let mut reader = server.connect();
    let mut writer = reader.stream.get_ref().try_clone().expect("a second handle");
    let sender = std::thread::spawn(move || -> io::Result<()> {
        write!(
            writer,
            "POST / HTTP/1.1\r\nhost: localhost\r\ncontent-length: {LENGTH}\r\n\r\n"
        )?;
        for piece in 0..LENGTH / PIECE {
            let bytes: Vec<u8> = (piece * PIECE..(piece + 1) * PIECE).map(byte_at).collect();
            writer.write_all(&bytes)?;
        }
        Ok(())
    });
    let head = reader.read_head().expect("a head");
    assert_eq!(head.status, 200);
    let mut place = 0;
    reader
        .read_body(&head, |chunk| {
            assert!(
                chunk.iter().zip(place..).all(|(byte, at)| *byte == byte_at(at)),
                "wrong bytes after {place}"
            );
            place += chunk.len();
        })
        .expect("a body up to its end");
    assert_eq!(place, LENGTH);
    sender.join().expect("a sender").expect("all bytes sent");
    let grown = resident_bytes_peak(server.pid()).saturating_sub(before);
    drop(reader);
    let outcomes = |name| server.metric(&format!("isopod_events_total{{outcome=\"{name}\"}}"));
    until("both events end well", || (outcomes("ok") == 2).then_some(()));
    assert_eq!(outcomes("canceled"), 0);
    // Garbage on the heap adds to the data in flight; holding the body once would take 95 MiB.
    assert!(grown < 64 * MIB, "{} MiB more", grown / MIB);
}

/// Time for which a stopping server keeps an idle connection open. A client that a busy machine delays for longer finds its
/// connection closed, and its request was not accepted; of accepted ones the server reports how many it cut.
const IDLE_GRACE: Duration = Duration::from_millis(250);

/// Sends requests, this many per connection, until connections are refused.
fn ask_until_closed(server: &Serving, requests: usize, answered: &AtomicUsize) -> Result<(), String> {
    let path = "/load";
    loop {
        let mut last_used = Instant::now();
        // Refused: the listener is closed, and nothing was accepted.
        let Ok(mut connection) = Connection::open(server.address) else {
            return Ok(());
        };
        for _ in 0..requests {
            let written = connection.write(&format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"));
            let was_late = last_used.elapsed() >= IDLE_GRACE;
            last_used = Instant::now();
            let answer = match written.and_then(|()| connection.read_head()) {
                Err(_) if was_late => break,
                Err(error) => Err(error),
                Ok(head) => connection.read_rest(head),
            };
            match answer {
                Ok(answer) if answer.status == 200 && answer.body.trim_end() == path => {
                    answered.fetch_add(1, Ordering::SeqCst);
                    if answer.header("connection") == Some("close") {
                        break;
                    }
                }
                Ok(answer) => return Err(format!("{}: {}", answer.status, answer.body)),
                Err(error) => return Err(format!("an accepted request failed: {error}")),
            }
        }
    }
}

fn stops_without_a_failed_request(signal: &str) {
    let mut server = Serving::start(fixture("echo"));
    let answered = AtomicUsize::new(0);
    let failures: BTreeSet<String> = std::thread::scope(|scope| {
        // Half of them use a new connection for each request, so that some arrive while the listener closes.
        let (server, answered) = (&server, &answered);
        let clients: Vec<_> = (0..64)
            .map(|client| {
                let requests = if client % 2 == 0 { 1 } else { usize::MAX };
                scope.spawn(move || ask_until_closed(server, requests, answered))
            })
            .collect();
        until("the load is on", || {
            (answered.load(Ordering::SeqCst) > 100).then_some(())
        });
        server.signal(signal);
        clients
            .into_iter()
            .filter_map(|client| client.join().expect("a client").err())
            .collect()
    });
    assert_eq!(failures, BTreeSet::new());
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    assert!(server.log().contains(" 0 cut"), "{}", server.log());
}

// row 42
#[test]
fn sigterm_under_load_fails_no_accepted_request() {
    for _ in 0..3 {
        stops_without_a_failed_request("TERM");
    }
}

#[test]
fn ctrl_c_under_load_fails_no_accepted_request() {
    stops_without_a_failed_request("INT");
}

#[test]
fn a_second_ctrl_c_cuts() {
    let mut server = Serving::start(fixture("hostile"));
    let mut waiting = server.connect();
    let request = "GET /patient/leave HTTP/1.1\r\nhost: localhost\r\n\r\n";
    waiting
        .stream
        .get_mut()
        .write_all(request.as_bytes())
        .expect("an open connection");
    until("the handler runs", || {
        (server.metric("isopod_events_in_flight{worker=\"patient\"}") == 1).then_some(())
    });
    server.signal("INT");
    until("it drains", || {
        server.log().contains("press Ctrl-C again").then_some(())
    });
    assert!(server.lives());
    server.signal("INT");
    assert_eq!(server.exit_code(), Some(130));
}
