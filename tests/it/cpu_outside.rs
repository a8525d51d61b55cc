//! CPU time spent for an event outside of its own code counts towards `limits.cpu` (docs/security.md, "Limits").

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};

use crate::program::Serving;
use crate::project::{Project, fixture};

/// Starts a server that answers every request with 512 MiB of zeros, as 848 bytes of brotli.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let packed = std::fs::read(fixture("zeros-512m.br")).expect("a fixture");
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
                line.clear();
            }
            let head = format!(
                "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-encoding: br\r\ncontent-length: {}\r\n\r\n",
                packed.len()
            );
            drop(stream.get_mut().write_all(&[head.as_bytes(), &packed].concat()));
        }
    });
    address
}

fn serve(script: &str) -> (Serving, Project) {
    let config = "threads = 1
        main = 'main.js'
        limits = { cpu = '400ms', wall = '30s' }
        [network]
        allow_private = true";
    let project = Project::new(&[("isopod.toml", config), ("main.js", script), ("data.txt", "data")]);
    (Serving::start(project.path()), project)
}

/// Reads a response to its end. Returns the number of bytes, and whether it was complete.
fn read(server: &Serving, path: &str) -> (usize, bool) {
    let mut connection = server.connect();
    let request = format!("GET {path} HTTP/1.1\r\nhost: localhost\r\naccept-encoding: zstd, gzip\r\n\r\n");
    let stream = connection.stream.get_mut();
    stream.write_all(request.as_bytes()).expect("a request");
    let head = connection.read_head().expect("a head");
    assert_eq!(head.status, 200);
    let mut bytes = 0;
    let read = connection.read_body(&head, |part| bytes += part.len());
    (bytes, read.is_ok())
}

#[test]
fn encoding_a_streamed_body_is_its_event_s_cpu_time() {
    // Two layers of encoding take far more time than the script, which returns the same bytes repeatedly.
    let (server, _project) = serve(
        r#"
        const chunk = crypto.getRandomValues(new Uint8Array(65536));
        let chunks = 0;
        export default {
            fetch(request) {
                if (request.url.endsWith("/chunks")) return new Response(`${chunks}`);
                const body = new ReadableStream({
                    pull(controller) {
                        // Ends only here.
                        if (chunks++ === 5000) return controller.close();
                        controller.enqueue(chunk.slice());
                    },
                });
                return new Response(body, { headers: { "content-encoding": "gzip, zstd" } });
            },
        };
        "#,
    );
    let (bytes, whole) = read(&server, "/encoded");
    assert!(!whole, "{bytes}");
    assert_eq!(server.logged_outcome("/encoded"), "exceeded_cpu");
    let chunks: u32 = server.get("/chunks").body.parse().expect("a number");
    // 5,000 take more than 10 s. A new worker has produced none.
    assert!(chunks < 2000, "{chunks}");
}

#[test]
fn encoding_a_body_in_memory_is_its_event_s_cpu_time() {
    let (server, _project) = serve(
        r#"
        const body = crypto.getRandomValues(new Uint8Array(65536));
        const large = new Uint8Array(20e6);
        for (let at = 0; at + 65536 < large.length; at += 65536) large.set(body, at);
        export default {
            fetch: () => new Response(large, { headers: { "content-encoding": "gzip, gzip, gzip, zstd" } }),
        };
        "#,
    );
    let (bytes, whole) = read(&server, "/large");
    assert!(!whole, "{bytes}");
    assert_eq!(server.logged_outcome("/large"), "exceeded_cpu");
}

#[test]
fn decoding_a_response_is_its_event_s_cpu_time() {
    let script = format!(
        "export default {{ async fetch() {{ return new Response((await fetch('http://{}/')).body); }} }};",
        origin()
    );
    let config = "threads = 1
        main = 'main.js'
        limits = { cpu = '60ms' }
        [network]
        allow_private = true";
    let project = Project::new(&[("isopod.toml", config), ("main.js", &script)]);
    let server = Serving::start(project.path());
    let (bytes, whole) = read(&server, "/decoded");
    // Decoded bodies are cut at 256 MiB in any case, as an exception.
    assert!(bytes < 256 << 20 && !whole, "{bytes}");
    assert_eq!(server.logged_outcome("/decoded"), "exceeded_cpu");
}

#[test]
fn parsing_is_charged_to_the_importing_event() {
    // Each import() of a data URL searches the module for its name, on a thread with a large stack.
    let script = format!(
        r#"
        export default {{
            async fetch() {{
                for (;;) await import("./data.txt", {{ with: {{ type: "text" }} }});
            }},
        }};
        const table = [{}];
        "#,
        "[1, 2, 3], ".repeat(20_000)
    );
    let (server, _project) = serve(&script);
    assert_eq!(server.get("/").verdict(), (504, "exceeded_cpu"));
}
