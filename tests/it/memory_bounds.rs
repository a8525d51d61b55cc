//! Memory is reserved before it is allocated: the process stays small, whatever clients send to a worker.

use std::io::{self, Write};

use bytes::Bytes;

use crate::client::Answer;
use crate::cut_bodies::over_h2;
use crate::process::resident_bytes_peak;
use crate::program::Serving;
use crate::project::{Project, fixture};

const MIB: u64 = 1 << 20;

const SCRIPT: &str = r#"
    export default {
        async fetch(request) {
            const decompressed = async () => {
                const { readable, writable } = new DecompressionStream("brotli");
                const writer = writable.getWriter();
                writer.write(await request.bytes()).catch(() => {});
                writer.close().catch(() => {});
                return readable;
            };
            switch (new URL(request.url).pathname) {
                case "/read":
                    return new Response(`${(await request.arrayBuffer()).byteLength}`);
                case "/kept": {
                    let bytes = 0;
                    const pieces = [];
                    try {
                        for await (const piece of await decompressed()) {
                            pieces.push(piece);
                            bytes += piece.length;
                        }
                        return new Response("all of it");
                    } catch (error) {
                        return new Response(`${error.name} after ${bytes > 0 ? "some" : "none"}`);
                    }
                }
                case "/unread": {
                    const reader = (await decompressed()).getReader();
                    await reader.read();
                    await new Promise((resolve) => setTimeout(resolve, 200));
                    return new Response("one piece of it");
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
             main = 'main.js'
             limits = { memory = '64 MiB' }",
        ),
        ("main.js", SCRIPT),
    ]);
    (Serving::start(project.path()), project)
}

fn post(server: &Serving, path: &str, head: &str, body: &[u8]) -> io::Result<Answer> {
    let mut connection = server.connect();
    let request = format!("POST {path} HTTP/1.1\r\nhost: localhost\r\n{head}\r\n");
    let stream = connection.stream.get_mut();
    stream.write_all(request.as_bytes()).expect("a head");
    // A body need not be sent to its end if the response came first.
    drop(stream.write_all(body));
    connection.read_answer()
}

fn whole(server: &Serving, path: &str, body: &[u8]) -> Answer {
    post(server, path, &format!("content-length: {}\r\n", body.len()), body).expect("an answer")
}

// 512 MiB of zeros in 848 bytes, the output of `brotli -q 5 -w 22`.
fn bomb() -> Vec<u8> {
    std::fs::read(fixture("zeros-512m.br")).expect("a fixture")
}

#[test]
fn decompressed_output_is_counted_as_it_is_produced() {
    let (server, _project) = serve();
    let answer = whole(&server, "/kept", &bomb());
    assert_eq!((answer.status, &*answer.body), (200, "RangeError after some"));
    let answer = whole(&server, "/unread", &bomb());
    assert_eq!((answer.status, &*answer.body), (200, "one piece of it"));
    let peak = resident_bytes_peak(server.pid());
    assert!(peak < 256 * MIB, "{} MiB", peak / MIB);
}

#[test]
fn uploads_that_do_not_fit_together_are_read_one_after_the_other() {
    let (server, _project) = serve();
    let upload = vec![b'x'; 24 << 20];
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..12)
            .map(|_| scope.spawn(|| whole(&server, "/read", &upload)))
            .collect();
        for client in clients {
            let answer = client.join().expect("a client");
            assert_eq!((answer.status, &*answer.body), (200, "25165824"));
        }
    });
    let peak = resident_bytes_peak(server.pid());
    assert!(peak < 256 * MIB, "{} MiB", peak / MIB);
}

#[test]
fn an_upload_that_never_fits_is_an_error_before_it_is_read() {
    let (server, _project) = serve();
    // No body is sent.
    let answer = post(&server, "/read", "content-length: 100000000\r\n", b"").expect("an answer");
    assert_eq!(answer.verdict(), (500, "exception"));
    assert!(answer.body.contains("RangeError"), "{}", answer.body);
    assert!(answer.body.contains("`limits.memory`"), "{}", answer.body);
    assert_eq!(server.get("/").body, "good");
}

#[test]
fn uploads_of_unknown_length_do_not_deadlock() {
    let (server, _project) = serve();
    let chunk = vec![b'x'; 1 << 20];
    let upload: Vec<u8> = (0..20)
        .flat_map(|_| [b"100000\r\n", &*chunk, b"\r\n"].concat())
        .chain(*b"0\r\n\r\n")
        .collect();
    let answers: Vec<_> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..8)
            .map(|_| scope.spawn(|| post(&server, "/read", "transfer-encoding: chunked\r\n", &upload)))
            .collect();
        clients
            .into_iter()
            // A rejected client may see only that its connection was closed.
            .filter_map(|client| client.join().expect("a client").ok())
            .collect()
    });
    let read = answers.iter().filter(|answer| answer.body == "20971520").count();
    assert!(read > 0, "{answers:?}");
    assert!(answers.iter().all(|answer| answer.status != 504), "{answers:?}");
    let peak = resident_bytes_peak(server.pid());
    assert!(peak < 256 * MIB, "{} MiB", peak / MIB);
}

#[test]
fn repetitive_texts_are_not_flattened_without_room() {
    let project = Project::new(&[
        (
            "isopod.toml",
            "threads = 1
             main = 'main.js'
             limits = { memory = '64 MiB' }",
        ),
        (
            "main.js",
            r#"
            const text = () => "x".repeat(4e8);
            const doings = {
                "/log": () => console.log(text()),
                "/nested": () => console.log({ first: text(), rest: [{ second: text() }] }),
                "/throw": () => { throw new Error(text()); },
                "/clone": () => structuredClone(Array(5000).fill("x".repeat(1e6))),
                "/btoa": () => btoa(text()),
                "/encode": () => new TextEncoder().encode(text()),
            };
            export default {
                fetch(request) {
                    const { pathname } = new URL(request.url);
                    if (pathname === "/answer") return new Response(text());
                    doings[pathname]?.();
                    return new Response("good");
                },
            };
            "#,
        ),
    ]);
    let server = Serving::start(project.path());
    for path in ["/log", "/nested"] {
        assert_eq!(server.get(path).verdict(), (200, "ok"), "{path}");
    }
    let log = server.log();
    assert!(log.contains("400000000 characters: too long for the log"), "{log}");
    for path in ["/throw", "/clone", "/btoa", "/encode", "/answer"] {
        assert_eq!(server.get(path).verdict(), (500, "exception"), "{path}");
    }
    assert_eq!(server.get("/").body, "good");
    let peak = resident_bytes_peak(server.pid());
    assert!(peak < 256 * MIB, "{} MiB", peak / MIB);
    assert_eq!(server.metric("isopod_threads_lost_total"), 0);
}

/// On one connection, whose flow-control window the bodies share.
#[test]
fn uploads_over_http2_that_do_not_fit_together_are_read_one_after_the_other() {
    static UPLOAD: [u8; 12 << 20] = [b'x'; 12 << 20];
    let (server, _project) = serve();
    let answers = over_h2(&server, async |mut client| {
        let mut uploads = Vec::new();
        for _ in 0..24 {
            client = client.ready().await.expect("a connection");
            let request = http::Request::post("http://localhost/read")
                .header("content-length", UPLOAD.len())
                .body(())
                .expect("a request");
            let (response, mut body) = client.send_request(request, false).expect("a stream");
            body.send_data(Bytes::from_static(&UPLOAD), true).expect("a body");
            uploads.push(async move { response.await.expect("an answer").status().as_u16() });
        }
        futures::future::join_all(uploads).await
    });
    assert_eq!(answers, [200; 24]);
    let peak = resident_bytes_peak(server.pid());
    assert!(peak < 256 * MIB, "{} MiB", peak / MIB);
}
