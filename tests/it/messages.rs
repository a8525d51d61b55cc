//! HTTP messages of the built program: requests as scripts see them, and responses as clients do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::client::Connection;
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

/// Sends bytes, and reads until the server closes.
fn raw(server: &Serving, request: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(server.address).expect("a listener");
    stream
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    stream.write_all(request).expect("a server that reads");
    let mut response = Vec::new();
    stream.read_to_end(&mut response).expect("an answer to its end");
    response
}

fn serving(script: &str) -> (Project, Serving) {
    let project = Project::new(&[("worker.js", script)]);
    let server = Serving::start(project.file("worker.js"));
    (project, server)
}

/// RFC 9112, section 6.3.
#[test]
fn a_script_s_content_length_is_ignored() {
    let (_project, server) = serving(
        "export default { fetch(request) {
            const { pathname, searchParams } = new URL(request.url);
            const headers = { 'content-length': searchParams.get('length') ?? '3' };
            if (pathname === '/empty') return new Response(null, { headers });
            if (pathname === '/stream') return new Response(new Blob(['hello']).stream(), { headers });
            if (pathname === '/transformed') {
                const upper = new TransformStream({ transform(chunk, to) { to.enqueue(chunk); to.enqueue(chunk); } });
                return new Response(new Response('hello').body.pipeThrough(upper), { headers });
            }
            if (pathname === '/fixed') {
                const { readable, writable } = new FixedLengthStream(5);
                const writer = writable.getWriter();
                writer.write(new TextEncoder().encode('hello')).then(() => writer.close());
                return new Response(readable, { headers });
            }
            return new Response('hello', { headers });
        } };",
    );
    let mut connection = server.connect();
    for length in ["3", "5", "30", "five", "5, 5"] {
        for (path, body) in [
            ("/", "hello"),
            ("/empty", ""),
            ("/stream", "hello"),
            ("/transformed", "hellohello"),
            ("/fixed", "hello"),
        ] {
            let path = format!("{path}?length={}", length.replace(' ', "%20"));
            let answer = connection.get(&path).expect("an answer where the one before has ended");
            assert_eq!((answer.status, answer.body.as_str()), (200, body), "{path}");
            let own =
                (!path.starts_with("/stream") && !path.starts_with("/transformed")).then(|| body.len().to_string());
            if !path.starts_with("/stream") {
                assert_eq!(answer.header("content-length"), own.as_deref(), "{path}");
            }
        }
    }
}

/// RFC 9113, section 8.2.3, and the Fetch standard's isomorphic decode and encode.
#[test]
fn headers_are_bytes_and_cookies_are_one() {
    let (_project, server) = serving(
        "export default { fetch(request) {
            const seen = [...request.headers].filter(([name]) => name === 'cookie' || name.startsWith('x-'));
            return Response.json(seen.filter(([name]) => !/^x-(real|forwarded|request)/.test(name)),
                { headers: { 'x-back': request.headers.get('x-bytes'), location: '/caf\\u00e9' } });
        } };",
    );
    let request = b"GET / HTTP/1.1\r\nhost: a\r\ncookie: a=b\r\ncookie: c=d\r\nx-two: 1\r\nx-two: 2\r\n\
                    x-bytes: caf\xc3\xa9 \xff\r\nconnection: close\r\n\r\n";
    let response = raw(&server, request);
    let text = String::from_utf8_lossy(&response);
    let seen = "[[\"cookie\",\"a=b; c=d\"],[\"x-bytes\",\"caf\u{c3}\u{a9} \u{ff}\"],[\"x-two\",\"1, 2\"]]";
    assert!(text.ends_with(seen), "{text}");
    let has = |bytes: &[u8]| response.windows(bytes.len()).any(|window| window == bytes);
    assert!(has(b"x-back: caf\xc3\xa9 \xff\r\n"), "{text}");
    assert!(has(b"location: /caf\xe9\r\n"), "{text}");
}

/// https://url.spec.whatwg.org/#path-state
#[test]
fn a_script_sees_the_url_of_its_route() {
    let script =
        |name: &str| format!("export default {{ fetch: (request) => new Response('{name} ' + request.url) }};");
    let project = Project::new(&[
        (
            "isopod.toml",
            "routes = [{ path = '/a/*', worker = 'a' }, { path = '/b/*', worker = 'b' }]
             [workers.a]\nmain = 'a.js'\n[workers.b]\nmain = 'b.js'",
        ),
        ("a.js", &script("a")),
        ("b.js", &script("b")),
    ]);
    let server = Serving::start(project.path());
    for (path, body) in [
        ("/a/../b/x", "b http://localhost/b/x"),
        ("/a/%2e%2E/b/x?y=/../z", "b http://localhost/b/x?y=/../z"),
        ("/b/./../a/", "a http://localhost/a/"),
    ] {
        assert_eq!(server.get(path).body, body, "{path}");
    }
    let mut connection = server.connect();
    let answer = connection
        .send("GET / HTTP/1.1\r\nhost: h:99999\r\n\r\n")
        .expect("an answer");
    assert_eq!(answer.verdict(), (400, "refused"), "{}", answer.body);
}

#[test]
fn a_client_is_its_peer_unless_a_trusted_proxy_says_otherwise() {
    const WORKER: &str = "export default { fetch: (request) => Response.json([request.url,
        ...['cf-connecting-ip', 'x-real-ip', 'x-forwarded-for', 'x-forwarded-proto'].map((name) => request.headers.get(name)),
        request.cf, request.clone().cf.clientAcceptEncoding, new Request('http://a/').cf ?? null]) };";
    let request = "GET / HTTP/1.1\r\nhost: a\r\naccept-encoding: gzip\r\nx-forwarded-for: 203.0.113.7\r\n\
                   x-forwarded-proto: https\r\ncf-connecting-ip: 6.6.6.6\r\n\r\n";
    let asked = |settings: &str| {
        let project = Project::new(&[
            ("isopod.toml", &format!("main = 'worker.js'\n{settings}")),
            ("worker.js", WORKER),
        ]);
        let server = Serving::start(project.path());
        let body = server.connect().send(request).expect("an answer").body;
        let client = if settings.is_empty() {
            "client=127.0.0.1"
        } else {
            "client=203.0.113.7"
        };
        until("the access log names the client", || {
            server.log().contains(client).then_some(())
        });
        body
    };
    assert_eq!(
        asked(""),
        r#"["http://a/","127.0.0.1","127.0.0.1","127.0.0.1","http",{"httpProtocol":"HTTP/1.1","clientAcceptEncoding":"gzip"},"gzip",null]"#
    );
    assert_eq!(
        asked("[ingress]\ntrusted_proxies = ['127.0.0.0/8']"),
        r#"["https://a/","203.0.113.7","203.0.113.7","203.0.113.7","https",{"clientAcceptEncoding":"gzip"},"gzip",null]"#
    );
}

/// Answers one request with a description of it.
fn mirror() -> (std::net::SocketAddr, std::thread::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let head = std::thread::spawn(move || {
        let (stream, _) = listener.accept().expect("a request");
        let mut stream = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(stream.read_line(&mut head).expect("a head") > 0);
        }
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok";
        stream.get_mut().write_all(answer.as_bytes()).expect("a reader");
        head
    });
    (address, head)
}

#[test]
fn the_depth_of_a_request_is_not_revealed_and_cannot_be_forged() {
    let (address, head) = mirror();
    let project = Project::new(&[
        ("isopod.toml", "main = 'worker.js'\n[network]\nallow_private = true"),
        (
            "worker.js",
            &format!("export default {{ fetch: () => fetch('http://{address}/') }};"),
        ),
    ]);
    let server = Serving::start(project.path());
    let forged = "GET / HTTP/1.1\r\nhost: a\r\nx-isopod-depth: 99\r\n\r\n";
    let answer = server.connect().send(forged).expect("an answer");
    assert_eq!((answer.status, answer.body.as_str()), (200, "ok"));
    let head = head.join().expect("a request");
    assert!(!head.contains("isopod-"), "{head}");
}

#[test]
fn a_trigger_is_fired_by_a_post_with_the_listener_s_name_and_the_token() {
    let project = Project::new(&[
        (
            "isopod.toml",
            "main = 'worker.js'\nenv_files = ['.env']\n[admin]\nlisten = '127.0.0.1:0'\ntoken_from = 'ADMIN_TOKEN'",
        ),
        (".env", "ADMIN_TOKEN=s3cret"),
        (
            "worker.js",
            "let runs = 0;
            export default { scheduled() { runs += 1; }, fetch: () => new Response(String(runs)) };",
        ),
    ]);
    let server = Serving::start(project.path());
    let asked = |request: &str| {
        let mut admin = Connection::open(server.admin).expect("an admin listener");
        admin.send(&format!("{request}\r\n\r\n")).expect("an answer").status
    };
    let token = "authorization: Bearer s3cret";
    for (request, status) in [
        (
            "GET /__scheduled HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer s3cret",
            405,
        ),
        (
            "POST /__scheduled HTTP/1.1\r\nhost: localhost\r\ncontent-length: 0",
            401,
        ),
        (
            "POST /__scheduled HTTP/1.1\r\nhost: evil.example\r\nauthorization: Bearer s3cret",
            403,
        ),
        ("GET /metrics HTTP/1.1\r\nhost: localhost", 401),
        ("GET /readyz HTTP/1.1\r\nhost: localhost", 200),
    ] {
        assert_eq!(asked(request), status, "{request}");
    }
    assert_eq!(server.get("/").body, "0");
    assert_eq!(
        asked(&format!("POST /__scheduled HTTP/1.1\r\nhost: localhost\r\n{token}")),
        200
    );
    assert_eq!(server.get("/").body, "1");
}

#[test]
fn signals_reload_or_end_the_process_and_do_not_kill_it() {
    let project = Project::new(&[("worker.js", "export default { fetch: () => new Response('one') };")]);
    let mut server = Serving::start(project.file("worker.js"));
    for signal in ["USR1", "USR2"] {
        server.signal(signal);
        until("it is told", || {
            server
                .log()
                .contains(&format!("ignored signal SIG{signal}"))
                .then_some(())
        });
    }
    assert_eq!(server.get("/").body, "one");
    project.write("worker.js", "export default { fetch: () => new Response('two') };");
    server.signal("HUP");
    until("the change is served", || (server.get("/").body == "two").then_some(()));
    project.write("worker.js", "export default { fetch: () => new Response( };");
    server.signal("HUP");
    until("the mistake is told", || {
        server.log().contains("nothing was deployed").then_some(())
    });
    assert_eq!(server.get("/").body, "two");
    // An idle connection, which must not delay anything.
    let idle = TcpStream::connect(server.address).expect("a listener");
    let mut half = TcpStream::connect(server.address).expect("a listener");
    half.write_all(b"GET / HT").expect("a server that reads");
    let began = Instant::now();
    server.signal("QUIT");
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert!(
        server.log().contains("SIGQUIT") || server.log().contains("stopped:"),
        "{}",
        server.log()
    );
    drop((idle, half));
}
