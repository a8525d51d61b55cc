//! Responses with a `Content-Encoding`: the label is true, and a response of `fetch` passes unchanged.
//!
//! RFC 9110, sections 8.4 and 12.5.3; <https://developers.cloudflare.com/workers/runtime-apis/response/> for
//! `encodeBody`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use async_compression::tokio::bufread::{BrotliDecoder, GzipDecoder, GzipEncoder, ZlibDecoder, ZstdDecoder};
use futures::executor::block_on;
use tokio::io::AsyncReadExt;

use crate::program::Serving;
use crate::project::Project;

const TEXT: &str = "a text that is sent and sent and sent and sent and sent";

macro_rules! coded {
    ($coder:ident, $bytes:expr) => {{
        let mut out = Vec::new();
        block_on($coder::new($bytes).read_to_end(&mut out)).expect("bytes that can be coded");
        out
    }};
}

/// Sends `TEXT` compressed; a header names the codings that the request accepted.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let packed = coded!(GzipEncoder, TEXT.as_bytes());
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            let mut head = String::new();
            while !head.ends_with("\r\n\r\n") {
                if !stream.read_line(&mut head).is_ok_and(|read| read > 0) {
                    break;
                }
            }
            let offered = head.lines().find_map(|line| line.strip_prefix("accept-encoding: "));
            let answer = format!(
                "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\netag: \"strong\"\r\nx-offered: {}\r\n\
                 connection: close\r\n\r\n",
                packed.len(),
                offered.unwrap_or_default(),
            );
            let socket = stream.get_mut();
            let body: &[u8] = if head.starts_with("HEAD") { b"" } else { &packed };
            drop(socket.write_all(&[answer.as_bytes(), body].concat()));
        }
    });
    address
}

struct Answer {
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn header(&self, name: &str) -> Option<&str> {
        self.head
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// Decodes the body by its label, after checking its length.
    #[track_caller]
    fn text(&self) -> String {
        if let Some(length) = self.header("content-length") {
            assert_eq!(length, self.body.len().to_string(), "{}", self.head);
        }
        let mut bytes = self.body.clone();
        for coding in self.header("content-encoding").unwrap_or_default().rsplit(',') {
            bytes = match coding.trim() {
                "gzip" => coded!(GzipDecoder, &bytes[..]),
                "br" => coded!(BrotliDecoder, &bytes[..]),
                "zstd" => coded!(ZstdDecoder, &bytes[..]),
                "deflate" => coded!(ZlibDecoder, &bytes[..]),
                _ => bytes,
            };
        }
        String::from_utf8(bytes).expect("a text")
    }
}

/// Sends an HTTP/1.0 request; HTTP/1.0 has no chunked coding, so the body is everything after the head.
fn ask(server: &Serving, request: &str) -> Answer {
    let mut socket = TcpStream::connect(server.address).expect("a listener that accepts");
    write!(socket, "{request}\r\n\r\n").expect("a server that reads");
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).expect("a whole answer");
    let end = answer
        .windows(4)
        .position(|bytes| bytes == b"\r\n\r\n")
        .expect("a head");
    Answer {
        head: String::from_utf8_lossy(&answer[..end]).to_ascii_lowercase(),
        body: answer.split_off(end + 4),
    }
}

fn serve(handler: &str) -> (Project, Serving) {
    let script = format!(
        "const origin = 'http://{}/', TEXT = '{TEXT}';
         export default {{ async fetch(request) {{ const path = new URL(request.url).pathname.slice(1); {handler} }} }}",
        origin()
    );
    let config = "main = 'main.js'\n[network]\nallow_private = true";
    let project = Project::new(&[("main.js", &script), ("isopod.toml", config)]);
    let server = Serving::start(project.path());
    (project, server)
}

#[test]
fn a_forwarded_response_is_unchanged() {
    let (_project, server) = serve(
        "const upstream = await fetch(origin, { method: request.method });
         return path === 'wrapped' ? new Response(upstream.body, upstream) : upstream;",
    );
    let packed = coded!(GzipEncoder, TEXT.as_bytes());
    for path in ["/", "/wrapped"] {
        for accepted in ["", "\r\naccept-encoding: gzip;q=0.1", "\r\naccept-encoding: *"] {
            let answer = ask(&server, &format!("GET {path} HTTP/1.0{accepted}"));
            assert_eq!(answer.header("content-encoding"), Some("gzip"), "{path} {accepted}");
            assert_eq!(answer.header("etag"), Some("\"strong\""));
            assert_eq!(
                (answer.text().as_str(), &answer.body),
                (TEXT, &packed),
                "{path} {accepted}"
            );
        }
    }
    let head = ask(&server, "HEAD / HTTP/1.0");
    assert_eq!(
        head.header("content-length"),
        Some(packed.len().to_string().as_str()),
        "{}",
        head.head
    );
    assert_eq!(head.header("content-encoding"), Some("gzip"));
}

#[test]
fn a_client_gets_no_coding_that_it_does_not_accept() {
    let (_project, server) =
        serve("return path === 'own' ? new Response(TEXT, { headers: { 'content-encoding': 'br' } }) : fetch(origin);");
    for path in ["/", "/own"] {
        for accepted in ["identity", "zstd, gzip;q=0", ""] {
            let answer = ask(&server, &format!("GET {path} HTTP/1.0\r\naccept-encoding: {accepted}"));
            assert_eq!(answer.header("content-encoding"), None, "{path} {accepted}");
            assert_eq!(answer.text(), TEXT);
        }
    }
    // `fetch` accepts what the client accepts.
    let offered = |accepted: &str| {
        let answer = ask(&server, &format!("GET / HTTP/1.0{accepted}"));
        answer.header("x-offered").map(str::to_owned)
    };
    assert_eq!(offered("\r\naccept-encoding: br, zstd").as_deref(), Some("br, zstd"));
    assert_eq!(offered("").as_deref(), Some("identity"));
}

#[test]
fn a_body_is_encoded_as_its_label_says() {
    let (_project, server) = serve(
        "const headers = { 'content-encoding': request.headers.get('x-coding'), 'content-length': '3' };
         const upstream = () => fetch(origin);
         switch (path) {
             case 'text': return new Response(TEXT, { headers });
             case 'bytes': return new Response(new TextEncoder().encode(TEXT), { headers });
             case 'blob': return new Response(new Blob([TEXT]), { headers });
             case 'stream': return new Response(new Blob([TEXT]).stream(), { headers });
             case 'json': return Response.json(1, { headers });
             case 'large': return new Response(TEXT.repeat(5000), { headers });
             case 'relabelled': return new Response((await upstream()).body, { headers });
             case 'transformed': { const up = await upstream(); return new Response(up.body.pipeThrough(new TransformStream()), up); }
             case 'read': { const up = await upstream(); return new Response(await up.text(), up); }
             case 'cloned': { const up = await upstream(); await up.clone().text(); return up; }
             case 'half': {
                 const up = await upstream();
                 const [a, b] = up.body.tee();
                 await a.getReader().read();
                 return new Response(b, up);
             }
             case 'empty': return new Response('', { headers });
         }",
    );
    for coding in ["gzip", "br", "zstd", "deflate", "GZIP, br", "identity"] {
        for path in [
            "text",
            "bytes",
            "blob",
            "stream",
            "json",
            "large",
            "relabelled",
            "transformed",
            "read",
            "cloned",
            "half",
            "empty",
        ] {
            let answer = ask(&server, &format!("GET /{path} HTTP/1.0\r\nx-coding: {coding}"));
            assert!(
                answer.head.starts_with("http/1.0 200"),
                "{path} {coding}: {}",
                answer.head
            );
            let expected = match path {
                "json" => "1".to_owned(),
                "large" => TEXT.repeat(5000),
                "empty" => String::new(),
                _ => TEXT.to_owned(),
            };
            assert!(answer.header("content-encoding").is_some(), "{path} {coding}");
            assert_eq!(answer.text(), expected, "{path} {coding}");
        }
    }
}

#[test]
fn a_body_that_is_encoded_already_is_left_alone() {
    let (_project, server) = serve(
        "const packed = new Blob([TEXT]).stream().pipeThrough(new CompressionStream('gzip'));
         const init = { encodeBody: 'manual', headers: { 'content-encoding': 'gzip' } };
         switch (path) {
             case 'bytes': return new Response(await new Response(packed).bytes(), init);
             case 'stream': return new Response(packed, init);
             case 'cloned': return new Response(packed, init).clone();
             case 'wrapped': { const inner = new Response(packed, init); return new Response(inner.body, inner); }
             case 'unknown': return new Response(TEXT, { headers: { 'content-encoding': 'aes128gcm' } });
             case 'wrong': return new Response(TEXT, { encodeBody: 'never' });
         }",
    );
    for path in ["bytes", "stream", "cloned", "wrapped", "unknown"] {
        assert_eq!(ask(&server, &format!("GET /{path} HTTP/1.0")).text(), TEXT, "{path}");
    }
    let unknown = ask(&server, "GET /unknown HTTP/1.0\r\naccept-encoding: br");
    assert_eq!(unknown.header("content-encoding"), Some("aes128gcm"));
    let wrong = ask(&server, "GET /wrong HTTP/1.0");
    assert!(wrong.head.starts_with("http/1.0 500"), "{}", wrong.head);
}

/// RFC 9110, section 8.6.
#[test]
fn a_response_has_the_length_of_its_body() {
    let (_project, server) = serve(
        "const form = new FormData();
         form.append('a', new File(['b'], 'c'));
         const made = {
             text: () => 'hello',
             bytes: () => new Uint8Array(5),
             view: () => new DataView(new ArrayBuffer(9), 4),
             blob: () => new Blob(['hel', 'lo']),
             file: () => new File(['hello'], 'f'),
             search: () => new URLSearchParams('a=b&c'),
             form: () => form,
             slice: () => new Blob(['- hello -']).slice(2, 7).stream(),
             tee: () => new Blob(['hello']).stream().tee()[1],
             body: () => new Response(new Blob(['hello'])).body,
             cloned: () => new Response(new Blob(['hello'])).clone().body,
             empty: () => '',
         };
         const headers = { 'content-length': '3' };
         return new Response(path === 'async' ? await (await fetch(origin)).blob() : made[path](), { headers });",
    );
    for path in [
        "text", "bytes", "view", "blob", "file", "search", "form", "slice", "tee", "body", "cloned", "empty", "async",
    ] {
        let answer = ask(&server, &format!("GET /{path} HTTP/1.0"));
        assert!(answer.head.starts_with("http/1.0 200"), "{path}: {}", answer.head);
        let length = answer.header("content-length").expect(path);
        assert_eq!(length, answer.body.len().to_string(), "{path}: {}", answer.head);
    }
}

/// RFC 9112, section 6.2: a sender that knows the length sends it.
#[test]
fn a_body_that_is_passed_on_keeps_its_length() {
    let (_project, server) = serve(
        "const self = 'http://' + request.headers.get('host') + '/told';
         const told = (request) => new Response(request.body, { headers: { 'x-length': request.headers.get('content-length') } });
         switch (path) {
             case 'told': return told(request);
             case 'request': return fetch(new Request(self, request));
             case 'again': return fetch(new Request(new Request(self, request), { headers: { a: 'b' } }));
             case 'init': return fetch(self, request);
             case 'cloned': { const copy = request.clone(); return fetch(new Request(self, copy)); }
             case 'wrapped': { const response = await fetch(self, request); return new Response(response.body, response); }
             case 'copied': { const response = await fetch(self, request); return response.clone(); }
         }",
    );
    for path in ["request", "again", "init", "cloned", "wrapped", "copied"] {
        let host = server.address;
        let request = format!("POST /{path} HTTP/1.1\r\nhost: {host}\r\ncontent-length: 5\r\n\r\nhello");
        let answer = server.connect().send(&request).expect("an answer");
        assert_eq!(answer.header("x-length"), Some("5"), "{path}");
        assert_eq!(
            (answer.header("content-length"), answer.body.as_str()),
            (Some("5"), "hello"),
            "{path}"
        );
    }
}

/// Server-sent events arrive when they are sent.
#[test]
fn an_encoded_stream_is_not_held_back() {
    let (_project, server) = serve(
        "const body = new ReadableStream({ start(controller) { controller.enqueue(new TextEncoder().encode('data: 1\\n\\n')); } });
         return new Response(body, { headers: { 'content-encoding': 'deflate' } });",
    );
    let mut socket = TcpStream::connect(server.address).expect("a listener that accepts");
    write!(socket, "GET / HTTP/1.0\r\n\r\n").expect("a server that reads");
    let decoding = async {
        let mut socket = BufReader::new(socket);
        let mut line = String::new();
        while line != "\r\n" {
            line.clear();
            socket.read_line(&mut line).expect("a head");
        }
        let mut packed = Vec::new();
        let mut text = Vec::new();
        while text != b"data: 1\n\n" {
            let more = socket.fill_buf().expect("more of the stream").to_vec();
            assert!(!more.is_empty(), "the stream ended with {packed:?}");
            socket.consume(more.len());
            packed.extend_from_slice(&more);
            text = vec![0; 9];
            let mut decoder = ZlibDecoder::new(&packed[..]);
            let read = decoder.read(&mut text).await.unwrap_or(0);
            text.truncate(read);
        }
    };
    block_on(decoding);
}
