//! Connections that live on the threads of workers, over the whole program.

use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const SCRIPT: &str = "const spin = (time) => { const end = Date.now() + time; while (Date.now() < end); };
     export default { async fetch(request) {
         const { pathname } = new URL(request.url);
         if (pathname === '/spin') spin(3000);
         if (pathname === '/endless') for (;;);
         return new Response(request.body ?? pathname);
     } }";

fn server(limits: &str) -> Serving {
    let project = Project::new(&[
        (
            "isopod.toml",
            &format!(
                "[workers.s]\nmain = 's.js'\n{limits}\n[workers.other]\nmain = 'other.js'\n[[routes]]\npath = '/*'\n\
                 worker = 's'\n[[routes]]\npath = '/other'\nworker = 'other'\n"
            ),
        ),
        ("s.js", SCRIPT),
        ("other.js", "export default { fetch: () => new Response('other') }"),
    ]);
    Serving::start(project.path())
}

fn attached(server: &Serving) -> u64 {
    server.metric("isopod_attached_connections{worker=\"s\"}")
}

/// Connections on the threads of the workers of `s`.
fn moved<const N: usize>(server: &Serving) -> [Connection; N] {
    let before = attached(server);
    let mut connections = std::array::from_fn(|_| server.connect());
    until("the connections move", || {
        for connection in &mut connections {
            assert_eq!(connection.get("/").expect("an answer").body, "/");
        }
        (attached(server) == before + N as u64).then_some(())
    });
    connections
}

#[test]
fn a_busy_worker_does_not_delay_connections_of_its_thread() {
    let server = server("");
    let [mut burns, mut other] = moved(&server);
    let begun = Instant::now();
    let burning = std::thread::spawn(move || {
        burns
            .get("/spin")
            .map(|answer| (answer.verdict() == (200, "ok"), burns))
    });
    // Both leave, if they lived on that thread.
    until("the worker spins", || (attached(&server) < 2).then_some(()));
    assert_eq!(other.get("/other").expect("an answer").body, "other");
    let took = begun.elapsed();
    assert!(
        took < Duration::from_millis(2500),
        "{took:?}: it waited for the end of the turn"
    );
    let (is_ok, mut burns) = burning.join().expect("no panic").expect("the answer of the long turn");
    assert!(is_ok);
    assert_eq!(burns.get("/after").expect("an answer").body, "/after");
}

#[test]
fn a_connection_outlives_the_worker_on_whose_thread_it_lives() {
    let server = server("limits = { cpu = '200ms' }");
    let [mut first, mut second] = moved(&server);
    for _ in 0..3 {
        assert_eq!(
            first.get("/endless").expect("an answer").verdict(),
            (504, "exceeded_cpu")
        );
        for connection in [&mut first, &mut second] {
            let answer = until("a new worker answers", || {
                let answer = connection.get("/again").expect("the connection is not reset");
                (answer.status != 503 && answer.status != 502).then_some(answer)
            });
            assert_eq!(answer.body, "/again");
        }
    }
}

#[test]
fn large_bodies_pass_through_a_connection_on_the_thread_of_its_worker() {
    let server = server("");
    let [mut connection] = moved(&server);
    for size in [1 << 10, 1 << 16, 8 << 20] {
        let body = "0123456789abcdef".repeat(size / 16);
        assert!(
            connection.post("/", &body).expect("an answer").body == body,
            "{size} bytes"
        );
    }
}
