//! Truncated bodies, and limits that apply until a body's last byte.
//!
//! A truncated body must be recognizable: RFC 9112, section 8 (a message whose chunked coding or length is not complete
//! is incomplete), RFC 9113, section 8.1 (END_STREAM ends a message, RST_STREAM does not).

use std::io::Write;
use std::time::Duration;

use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;

use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const SCRIPT: &str = r#"
    const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
    const text = new TextEncoder();
    const lines = (count, pause) => {
        let i = 0;
        return new ReadableStream({
            async pull(controller) {
                if (i++ === count) return controller.close();
                await sleep(pause);
                controller.enqueue(text.encode("a line\n"));
            },
        });
    };
    export default {
        async fetch(request) {
            const path = new URL(request.url).pathname.split("/").at(-1);
            switch (path) {
                case "burn":
                    for (;;);
                case "download":
                    return new Response(lines(1e6, 20));
                case "whole":
                    return new Response(lines(30, 50));
                case "echo":
                    return new Response(request.body);
                case "silent":
                    return new Response(new ReadableStream({ pull: () => new Promise(() => {}) }));
                case "compute":
                    return new Response(new ReadableStream({
                        async pull(controller) {
                            await sleep(0);
                            for (const start = Date.now(); Date.now() - start < 20;);
                            controller.enqueue(text.encode("a line\n"));
                        },
                    }));
                case "throw":
                    return new Response(new ReadableStream({
                        async pull(controller) {
                            await sleep(10);
                            throw new RangeError("no more of this");
                        },
                        start: (controller) => controller.enqueue(text.encode("a line\n")),
                    }));
                case "upload": {
                    let bytes = 0;
                    try {
                        for await (const chunk of request.body) bytes += chunk.length;
                        console.log(`upload ended after ${bytes}`);
                    } catch (error) {
                        console.log(`upload failed after ${bytes}: ${error.name}`);
                        throw error;
                    }
                    return new Response(`${bytes}`);
                }
                default:
                    return new Response("good");
            }
        },
    };
"#;

fn serve() -> (Serving, Project) {
    let project = Project::new(&[
        (
            "isopod.toml",
            "threads = 1
             routes = [
                 { path = '/stream/*', worker = 'stream' },
                 { path = '/request/*', worker = 'request' },
                 { path = '/*', worker = 'main' },
             ]
             [workers.main]
             main = 'main.js'
             limits = { cpu = '500ms', stream_idle = '500ms' }
             [workers.stream]
             main = 'main.js'
             limits = { wall = '300ms', stream = '1s' }
             [workers.request]
             main = 'main.js'
             policy = 'per_request'
             limits = { wall = '300ms' }",
        ),
        ("main.js", SCRIPT),
    ]);
    (Serving::start(project.path()), project)
}

/// The number of bytes received, and whether the body was complete.
type Read = (usize, bool);

fn read_h1(server: &Serving, path: &str) -> Read {
    let mut connection = server.connect();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n");
    connection
        .stream
        .get_mut()
        .write_all(request.as_bytes())
        .expect("a request");
    let head = connection.read_head().expect("a head");
    assert_eq!(head.status, 200);
    let mut bytes = 0;
    let read = connection.read_body(&head, |part| bytes += part.len());
    (bytes, read.is_ok())
}

/// The same over HTTP/2.
fn read_h2(server: &Serving, path: &str) -> Read {
    over_h2(server, async |mut client| {
        let request = http::Request::get(format!("http://localhost{path}")).body(()).unwrap();
        let (response, _) = client.send_request(request, true).unwrap();
        let response = response.await.expect("a head");
        assert_eq!(response.status(), 200);
        let (mut body, mut bytes) = (response.into_body(), 0);
        while let Some(chunk) = body.data().await {
            let Ok(chunk) = chunk else { return (bytes, false) };
            bytes += chunk.len();
            body.flow_control().release_capacity(chunk.len()).unwrap();
        }
        (bytes, true)
    })
}

pub(crate) fn over_h2<T>(server: &Serving, with: impl AsyncFnOnce(SendRequest<Bytes>) -> T) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let stream = TcpStream::connect(server.address)
            .await
            .expect("a listener that accepts");
        let (client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::select! {
            result = with(client) => result,
            ended = connection => panic!("the connection ended: {ended:?}"),
        }
    })
}

const READERS: [fn(&Serving, &str) -> Read; 2] = [read_h1, read_h2];

#[test]
fn a_download_beside_a_breach_is_cut_off_for_its_client_and_in_the_log() {
    for read in READERS {
        let (server, _project) = serve();
        let (bytes, whole) = std::thread::scope(|scope| {
            let download = scope.spawn(|| read(&server, "/download"));
            runs(&server, 1);
            assert_eq!(server.get("/burn").verdict(), (504, "exceeded_cpu"));
            download.join().expect("a client")
        });
        assert!(!whole, "{bytes} bytes looked whole");
        assert_eq!(server.logged_outcome("/download"), "worker_lost");
        assert_eq!(server.metric("isopod_http_requests_total{outcome=\"ok\"}"), 0);
        assert_eq!(server.metric("isopod_http_requests_total{outcome=\"worker_lost\"}"), 1);
    }
}

#[test]
fn a_stream_may_take_longer_than_its_event_may_wait_for_an_answer() {
    let (server, _project) = serve();
    for read in READERS {
        // More than a second, with a wall limit of 300 ms.
        assert_eq!(read(&server, "/request/whole"), (210, true));
    }
    assert_eq!(server.logged_outcome("/request/whole"), "ok");
}

#[test]
fn a_stream_ends_at_its_time_limit_with_an_error() {
    let (server, _project) = serve();
    for read in READERS {
        let (bytes, whole) = read(&server, "/stream/download");
        assert!(bytes > 0 && !whole, "{bytes}");
        assert_eq!(server.logged_outcome("/stream/download"), "exceeded_wall");
    }
    assert!(server.log().contains("`limits.stream`"));
    assert_eq!(server.get("/stream/").body, "good");
}

#[test]
fn a_silent_stream_ends_at_its_idle_limit() {
    let (server, _project) = serve();
    for read in READERS {
        assert_eq!(read(&server, "/silent"), (0, false));
        assert_eq!(server.logged_outcome("/silent"), "exceeded_wall");
    }
    assert!(server.log().contains("`limits.stream_idle`"));
}

#[test]
fn cpu_time_of_a_stream_is_charged_to_its_event() {
    let (server, _project) = serve();
    for read in READERS {
        let (bytes, whole) = read(&server, "/compute");
        assert!(!whole, "{bytes}");
        assert_eq!(server.logged_outcome("/compute"), "exceeded_cpu");
    }
}

#[test]
fn a_failure_in_a_stream_is_logged_with_its_worker_and_its_stack() {
    let (server, _project) = serve();
    for read in READERS {
        let (_, whole) = read(&server, "/throw");
        assert!(!whole);
        assert_eq!(server.logged_outcome("/throw"), "exception");
    }
    let log = server.log();
    assert!(log.contains("RangeError: no more of this\n    at Object.pull"), "{log}");
    assert!(log.contains("main.js:"), "{log}");
    assert!(log.contains("worker=\"main\" outcome=\"exception\""), "{log}");
}

/// Waits until this many events are running.
fn runs(server: &Serving, events: u64) {
    until("its worker has as many events", || {
        (server.metric("isopod_events_in_flight{worker=\"main\"}") == events).then_some(())
    });
}

/// Half a megabyte, more than the server reads before it asks a worker.
fn part() -> String {
    "x".repeat(500_000)
}

#[test]
fn a_cut_off_body_is_shorter_than_its_length() {
    let (server, _project) = serve();
    let mut connection = server.connect();
    let head = "POST /echo HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000000\r\n\r\n";
    let stream = connection.stream.get_mut();
    stream
        .write_all((head.to_owned() + &part()).as_bytes())
        .expect("half a request");
    let head = connection.read_head().expect("a head");
    assert_eq!(head.header("content-length"), Some("1000000"));
    assert_eq!(server.get("/burn").verdict(), (504, "exceeded_cpu"));
    let mut bytes = 0;
    let read = connection.read_body(&head, |part| bytes += part.len());
    assert!(read.is_err() && bytes < 1_000_000, "{bytes}");
    assert_eq!(server.logged_outcome("/echo"), "worker_lost");
}

#[test]
fn an_upload_that_breaks_off_is_an_error_to_the_script_that_reads_it() {
    let (server, _project) = serve();
    let heads = [
        "content-length: 1000000\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nf4240\r\n",
    ];
    for head in heads {
        let mut connection = server.connect();
        let request = format!("POST /upload HTTP/1.1\r\nhost: localhost\r\n{head}{}", part());
        connection
            .stream
            .get_mut()
            .write_all(request.as_bytes())
            .expect("half a request");
        runs(&server, 1);
        drop(connection);
        runs(&server, 0);
    }
    for reason in [h2::Reason::CANCEL, h2::Reason::NO_ERROR] {
        over_h2(&server, async |mut client| {
            let request = http::Request::post("http://localhost/upload").body(()).unwrap();
            let (response, mut body) = client.send_request(request, false).unwrap();
            body.send_data(Bytes::from(part()), false).unwrap();
            let reset = async {
                tokio::time::sleep(Duration::from_millis(300)).await;
                body.send_reset(reason);
            };
            let (answer, ()) = tokio::join!(response, reset);
            assert!(answer.is_err(), "{reason:?}: {answer:?}");
        });
        runs(&server, 0);
    }
    let said = until("the script was told of all of them", || {
        let log = server.log();
        let said: Vec<_> = log.lines().filter_map(|line| line.split_once(": upload ")).collect();
        let said: Vec<_> = said.iter().map(|(_, said)| (*said).to_owned()).collect();
        (said.len() >= 4).then_some(said)
    });
    assert!(said.iter().all(|said| said.starts_with("failed")), "{said:?}");
}

// row 44
#[test]
fn clients_that_do_not_read_do_not_block_other_workers() {
    let project = Project::new(&[
        (
            "isopod.toml",
            "routes = [{ path = '/large', worker = 'large' }, { path = '/*', worker = 'good' }]
             [workers.large]
             main = 'large.js'
             [workers.good]
             main = 'good.js'",
        ),
        (
            "large.js",
            "const chunk = new Uint8Array(1 << 16);
             const pull = (controller) => controller.enqueue(chunk.slice());
             export default { fetch: () => new Response(new ReadableStream({ pull })) }",
        ),
        ("good.js", "export default { fetch: () => new Response('good') }"),
    ]);
    let server = Serving::start(project.path());
    let clients: Vec<_> = (0..20)
        .map(|_| {
            let mut client = server.connect();
            let request = b"GET /large HTTP/1.1\r\nhost: localhost\r\n\r\n";
            client.stream.get_mut().write_all(request).expect("a request");
            client.read_head().expect("a head");
            client
        })
        .collect();
    assert_eq!(server.get("/").verdict(), (200, "ok"));
    drop(clients);
}
