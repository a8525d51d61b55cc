//! WebSockets of workers: the built program, and clients that write frames by hand.

use std::time::{Duration, Instant};

use bytes::Bytes;

use crate::client::Connection;
use crate::cut_bodies::over_h2;
use crate::frames::{Frame, Socket, frame, handshake};
use crate::process::{PATIENCE, until};
use crate::program::Serving;
use crate::project::Project;

const ECHO: &str = r#"
    export default {
        fetch(request) {
            const { pathname, searchParams } = new URL(request.url);
            if (pathname === "/plain") return new Response("plain");
            const { 0: client, 1: server } = new WebSocketPair();
            server.accept();
            server.addEventListener("close", ({ code, reason, wasClean }) => console.log("closed", code, reason, wasClean));
            server.addEventListener("error", ({ message }) => console.log("failed", message));
            const send = (text) => server.send(text);
            switch (pathname) {
                case "/echo":
                    server.addEventListener("message", ({ data }) => server.send(data));
                    break;
                case "/kinds":
                    server.addEventListener("message", ({ data }) => send(`${Object.prototype.toString.call(data)} ${data.byteLength}`));
                    break;
                case "/close":
                    server.addEventListener("message", ({ data }) => server.close(3000 + data.length, data));
                    break;
                case "/loop":
                    server.addEventListener("message", () => { for (;;); });
                    break;
                case "/burn":
                    server.addEventListener("message", () => {
                        for (const start = Date.now(); Date.now() - start < 150;);
                        send("burned");
                    });
                    break;
                case "/ticks": {
                    let count = 0;
                    const timer = setInterval(() => {
                        send(`tick ${++count}`);
                        if (count === 3) { clearInterval(timer); server.close(); }
                    }, 20);
                    break;
                }
                case "/later":
                    server.addEventListener("message", async ({ data }) => {
                        await new Promise((resolve) => setTimeout(resolve, 30));
                        send(`later ${data}`);
                    });
                    break;
                case "/flood": {
                    const chunk = "x".repeat(64 << 10);
                    const flood = setInterval(() => { for (let i = 0; i < 20; i++) server.send(chunk); }, 1);
                    server.addEventListener("close", () => clearInterval(flood));
                    break;
                }
                case "/slow":
                    server.addEventListener("message", () => {
                        for (const start = Date.now(); Date.now() - start < 5;);
                    });
                    break;
                case "/chat":
                    return new Response(null, { status: 101, webSocket: client, headers: { "sec-websocket-protocol": "chat", "x-own": "1" } });
            }
            return new Response(null, { status: 101, webSocket: client });
        },
    };
"#;

fn serve(limits: &str) -> (Project, Serving) {
    let config = format!("[workers.echo]\nmain = 'worker.js'\n{limits}");
    let project = Project::new(&[("worker.js", ECHO), ("isopod.toml", &config)]);
    let server = Serving::start(project.path());
    (project, server)
}

#[track_caller]
fn logs(server: &Serving, line: &str) {
    until(line, || server.log().contains(line).then_some(()));
}

#[test]
fn text_binary_and_pings() {
    let (_project, server) = serve("");
    let mut socket = Socket::open(server.address, "/echo");
    for text in ["hello", "", "é\u{1f600}"] {
        socket.send_text(text);
        assert_eq!(socket.read(), Frame::text(text));
    }
    for len in [0, 1, 125, 126, 65_535, 65_536, 1 << 20] {
        let bytes: Vec<u8> = (0..len).map(|i| i as u8).collect();
        socket.send_bytes(&bytes);
        assert_eq!(socket.read(), Frame::Binary(bytes));
    }
    socket.ping(b"are you there");
    assert_eq!(socket.read(), Frame::Pong(b"are you there".to_vec()));
    // A message in fragments, with a ping between them (RFC 6455, section 5.4).
    let fragments = [frame(0x01, b"frag"), frame(0x89, b"p"), frame(0x80, b"ments")].concat();
    socket.send_raw(&fragments).unwrap();
    assert_eq!(socket.read(), Frame::Pong(b"p".to_vec()));
    assert_eq!(socket.read(), Frame::text("fragments"));

    let mut socket = Socket::open(server.address, "/kinds");
    socket.send_bytes(b"four");
    assert_eq!(socket.read(), Frame::text("[object ArrayBuffer] 4"));
}

#[test]
fn close_by_the_client() {
    let (_project, server) = serve("");
    for (code, reason) in [(1000, ""), (1001, "away"), (3001, "bye"), (4999, "ü")] {
        let mut socket = Socket::open(server.address, "/echo");
        socket.close(code, reason);
        assert_eq!(socket.read(), Frame::close(code, reason));
        socket.expect_end();
        logs(&server, &format!("closed {code} {reason} true"));
        logs(&server, &format!("close_code={code}"));
    }
    let mut socket = Socket::open(server.address, "/echo");
    socket.send_raw(&frame(0x88, b"")).unwrap();
    assert_eq!(socket.read(), Frame::close(1005, ""));
    logs(&server, "closed 1005  true");
    // Without a close frame.
    drop(Socket::open(server.address, "/echo"));
    logs(&server, "closed 1006  false");
    logs(&server, "outcome=\"canceled\"");
}

#[test]
fn close_by_the_worker() {
    let (_project, server) = serve("");
    let mut socket = Socket::open(server.address, "/close");
    socket.send_text("enough");
    assert_eq!(socket.read(), Frame::close(3006, "enough"));
    // Until it answers, what it sends is discarded.
    socket.send_text("ignored");
    socket.close(3006, "enough");
    socket.expect_end();
    logs(&server, "closed 3006 enough true");
}

#[test]
fn handshakes_that_are_refused() {
    let (_project, server) = serve("");
    let mut client = Connection::open(server.address).unwrap();
    let ask = |client: &mut Connection, change: (&str, &str)| {
        client
            .send(&handshake("/echo", "").replace(change.0, change.1))
            .unwrap()
    };
    let answer = ask(&mut client, ("version: 13", "version: 8"));
    assert_eq!(answer.status, 426, "{answer:?}");
    assert_eq!(answer.header("sec-websocket-version"), Some("13"));
    for change in [("sec-websocket-key", "x-key"), ("jZQ==", "jZQ="), ("key: dG", "key: ")] {
        let mut client = Connection::open(server.address).unwrap();
        let answer = ask(&mut client, change);
        assert_eq!(answer.status, 400, "{change:?}: {answer:?}");
    }
    // A worker that does not accept it answers like any other.
    let mut client = Connection::open(server.address).unwrap();
    let answer = client.send(&handshake("/plain", "")).unwrap();
    assert_eq!((answer.status, answer.body.as_str()), (200, "plain"));
    // A worker that accepts what is no handshake has a bug.
    let answer = server.get("/echo");
    assert_eq!(answer.verdict(), (500, "exception"));
    assert!(answer.body.contains("did not ask for one"), "{}", answer.body);
}

#[test]
fn the_response_head_of_the_worker() {
    let (_project, server) = serve("");
    let (_socket, answer) = Socket::open_with(server.address, "/chat", "sec-websocket-protocol: chat, superchat\r\n");
    assert_eq!(answer.status, 101);
    for (name, value) in [
        ("upgrade", "websocket"),
        ("sec-websocket-protocol", "chat"),
        ("x-own", "1"),
    ] {
        assert_eq!(answer.header(name), Some(value), "{answer:?}");
    }
    assert_eq!(answer.header("sec-websocket-extensions"), None);
    assert_eq!(answer.header("content-length"), None);
}

#[test]
fn broken_frames() {
    let (_project, server) = serve("");
    let unmasked = [0x81, 1, b'a'];
    for (what, bytes, code) in [
        ("not masked", unmasked.to_vec(), 1002),
        ("reserved bit", frame(0xc1, b"a"), 1002),
        ("unknown opcode", frame(0x83, b"a"), 1002),
        ("continuation of nothing", frame(0x80, b"a"), 1002),
        ("large control frame", frame(0x89, &[0; 126]), 1002),
        ("not UTF-8", frame(0x81, &[0xff, 0xfe]), 1007),
        ("too large", frame(0x82, &vec![0; (1 << 20) + 1]), 1009),
    ] {
        let mut socket = Socket::open(server.address, "/echo");
        // The server may have closed it before all is sent.
        drop(socket.send_raw(&bytes));
        match socket.read() {
            Frame::Close(got, _) => assert_eq!(got, code, "{what}"),
            other => panic!("{what}: {other:?}"),
        }
    }
    let mut socket = Socket::open(server.address, "/echo");
    socket.send_text("still here");
    assert_eq!(socket.read(), Frame::text("still here"));
    logs(&server, "failed ");
}

#[test]
fn fragments_of_a_message_that_is_too_large() {
    let (_project, server) = serve("");
    let mut socket = Socket::open(server.address, "/echo");
    let part = vec![b'x'; 400 << 10];
    for first in [0x01, 0x00, 0x00] {
        drop(socket.send_raw(&frame(first, &part)));
    }
    assert!(matches!(socket.read(), Frame::Close(1009, _)));
}

/// The code of the `fetch` handler and of listeners runs as long as the socket is open.
#[test]
fn timers_and_promises_of_a_socket() {
    let (_project, server) = serve("");
    let mut socket = Socket::open(server.address, "/ticks");
    for count in 1..=3 {
        assert_eq!(socket.read(), Frame::text(&format!("tick {count}")));
    }
    assert_eq!(socket.read(), Frame::close(1005, ""));
    let mut socket = Socket::open(server.address, "/later");
    for text in ["a", "b"] {
        socket.send_text(text);
    }
    assert_eq!(socket.read(), Frame::text("later a"));
    assert_eq!(socket.read(), Frame::text("later b"));
}

#[test]
fn an_endless_loop_ends_its_worker_only() {
    let (_project, server) = serve("[workers.echo.limits]\ncpu = '200ms'\n");
    let mut beside = Socket::open(server.address, "/echo");
    beside.send_text("hello");
    assert_eq!(beside.read(), Frame::text("hello"));
    let mut socket = Socket::open(server.address, "/loop");
    socket.send_text("go");
    assert_eq!(socket.read(), Frame::close(1011, "the worker ended"));
    socket.close(1011, "");
    logs(&server, "outcome=\"exceeded_cpu\"");
    // A socket on the same worker is closed too.
    beside.send_text("and you");
    let told = beside.read();
    assert!(
        told == Frame::text("and you") || told == Frame::close(1011, "the worker ended"),
        "{told:?}"
    );
    let mut socket = Socket::open(server.address, "/echo");
    socket.send_text("next");
    assert_eq!(socket.read(), Frame::text("next"));
}

#[test]
fn each_message_has_the_cpu_limit_of_an_event() {
    let (_project, server) = serve("[workers.echo.limits]\ncpu = '400ms'\n");
    let mut socket = Socket::open(server.address, "/burn");
    for _ in 0..6 {
        socket.send_text("go");
        assert_eq!(socket.read(), Frame::text("burned"));
    }
}

/// The wall times of events end with the handshake.
#[test]
fn a_socket_outlives_the_limits_of_events() {
    let (_project, server) = serve("[workers.echo.limits]\nwall = '300ms'\nstream = '300ms'\nwait_until = '300ms'\n");
    let mut socket = Socket::open(server.address, "/burn");
    for _ in 0..3 {
        // tidy:allow(sleep): the time that passes is what is tested
        std::thread::sleep(Duration::from_millis(500));
        socket.send_text("go");
        assert_eq!(socket.read(), Frame::text("burned"));
    }
}

#[test]
fn a_drain_says_1001() {
    let (_project, mut server) = serve("");
    let mut socket = Socket::open(server.address, "/echo");
    socket.send_text("hello");
    assert_eq!(socket.read(), Frame::text("hello"));
    server.signal("TERM");
    assert_eq!(socket.read(), Frame::close(1001, "the server is shutting down"));
    socket.close(1001, "");
    socket.expect_end();
    let begun = Instant::now();
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
    logs(&server, "closed 1001  true");
}

#[test]
fn a_client_that_does_not_read_is_disconnected() {
    let (_project, server) = serve("");
    let socket = Socket::open(server.address, "/flood");
    logs(&server, "failed the peer reads too slowly");
    logs(&server, "closed 1006  false");
    drop(socket);
}

/// A worker that is slow to take messages slows down the client: the server does not hold what it sends.
#[test]
fn a_slow_worker_holds_back_its_client() {
    let (_project, server) = serve("");
    let mut socket = Socket::open(server.address, "/slow");
    let bytes = frame(0x82, &vec![0; 256 << 10]);
    let stream = socket.connection.stream.get_ref();
    stream.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let begun = Instant::now();
    let mut sent = 0;
    while socket.send_raw(&bytes).is_ok() && begun.elapsed() < PATIENCE {
        sent += bytes.len();
        // Two seconds at 200 messages a second would be 100 MiB.
        if begun.elapsed() > Duration::from_secs(2) {
            break;
        }
    }
    assert!(sent < 150 << 20, "{sent} bytes in {:?}", begun.elapsed());
}

/// RFC 8441: an extended CONNECT on a stream of HTTP/2, beside other requests of the connection.
#[test]
fn over_http_2() {
    let (_project, server) = serve("");
    over_h2(&server, async |client| {
        let mut client = client.ready().await.unwrap();
        let plain = || http::Request::get("http://localhost/plain").body(()).unwrap();
        let connect = |path: &str, version: &str| {
            let request = http::Request::builder()
                .method("CONNECT")
                .uri(format!("http://localhost{path}"));
            let request = request.header("sec-websocket-version", version);
            let request = request.extension(h2::ext::Protocol::from_static("websocket"));
            request.body(()).unwrap()
        };
        // With its answer come the settings of the server.
        let (answer, _) = client.send_request(plain(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        let (answer, _) = client.send_request(connect("/echo", "8"), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 426);
        let (answer, mut send) = client.send_request(connect("/chat", "13"), false).unwrap();
        let answer = answer.await.unwrap();
        assert_eq!(answer.status(), 200);
        assert_eq!(answer.headers().get("sec-websocket-protocol").unwrap(), "chat");
        assert!(!answer.headers().contains_key("upgrade"));
        send.send_reset(h2::Reason::CANCEL);

        let (answer, mut send) = client.send_request(connect("/echo", "13"), false).unwrap();
        let mut body = answer.await.unwrap().into_body();
        send.send_data(Bytes::from(frame(0x81, b"over a stream")), false)
            .unwrap();
        let mut received = Vec::new();
        while received.len() < 15 {
            let data = body.data().await.unwrap().unwrap();
            body.flow_control().release_capacity(data.len()).unwrap();
            received.extend(data);
        }
        assert_eq!(received, [&[0x81, 13][..], b"over a stream"].concat());
        let (answer, _) = client.send_request(plain(), true).unwrap();
        assert_eq!(answer.await.unwrap().status(), 200);
        let close = frame(0x88, &1000_u16.to_be_bytes());
        send.send_data(Bytes::from(close), false).unwrap();
        assert_eq!(body.data().await.unwrap().unwrap(), [0x88, 2, 0x03, 0xe8][..]);
        let rest = body.data().await.map(|data| data.unwrap());
        assert!(
            rest.is_none_or(|data| data.is_empty()),
            "the stream ends after the handshake"
        );
    });
    logs(&server, "closed 1000  true");
    logs(&server, "closed 1006  false");
}
