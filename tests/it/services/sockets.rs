//! WebSockets between a worker and the service that it asked.

use std::time::Duration;

use futures::executor::block_on;
use isopod::{Body, Limits, Meta};
use serde_json::json;

use super::{between, deploy, front, get, json_of, pool, script, text};
use crate::frames::{Frame, Socket};
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const ECHO: &str = r#"let last = "none";
export default {
    fetch(request) {
        if (new URL(request.url).pathname === "/last") return new Response(last);
        if (request.headers.get("Upgrade") !== "websocket") return new Response("no socket", { status: 426 });
        const { pathname } = new URL(request.url);
        const [client, server] = Object.values(new WebSocketPair());
        server.accept();
        server.addEventListener("message", ({ data }) => {
            if (data === "burn") for (;;);
            if (data === "close") server.close(4001, "as asked");
            else server.send(data);
        });
        server.addEventListener("close", ({ code, reason }) => console.log("the service saw", last = `${code}`, reason));
        if (pathname === "/flood") setTimeout(() => { for (let i = 0; i < 100; i++) server.send("x".repeat(1 << 20)); });
        return new Response(null, { status: 101, webSocket: client, headers: { "sec-websocket-protocol": "chat", "x-path": pathname } });
    },
};"#;

/// A caller that accepts the socket, sends these messages, and responds with the messages that it receives.
fn accepting(sends: &str) -> String {
    format!(
        "const response = await env.API.fetch('http://api/room', {{ headers: {{ Upgrade: 'websocket' }} }});
         const socket = response.webSocket, got = [response.status, response.statusText, response.headers.get('x-path'), socket.protocol];
         const closed = new Promise((resolve) => socket.addEventListener('close', resolve));
         socket.addEventListener('message', ({{ data }}) => got.push(typeof data === 'string' ? data : [...new Uint8Array(data)]));
         socket.accept();
         for (const message of [{sends}]) socket.send(message);
         const {{ code, reason, wasClean }} = await closed;
         return Response.json([...got, code, reason, wasClean])"
    )
}

const HEAD: [&str; 3] = ["Switching Protocols", "/room", "chat"];

#[test]
fn a_caller_accepts_the_socket_of_a_service() {
    let got = between(
        ECHO,
        &accepting("'hello', new Uint8Array([1, 2, 3]), '\u{e9}\u{1f600}', 'close'"),
    );
    let [reason, path, protocol] = HEAD;
    assert_eq!(
        got,
        json!([
            101,
            reason,
            path,
            protocol,
            "hello",
            [1, 2, 3],
            "\u{e9}\u{1f600}",
            4001,
            "as asked",
            true
        ])
    );
}

#[test]
fn a_client_talks_to_the_service_behind_a_worker_that_passes_its_request_on() {
    let configuration = "threads = 2\nroutes = [{ path = '/*', worker = 'front' }]\n\
         [workers.front]\nmain = 'front.js'\nservices = [{ binding = 'API', service = 'api' }]\n\
         [workers.api]\nmain = 'api.js'\n";
    let front = "export default { fetch: (request, env) => env.API.fetch(request) };";
    let project = Project::new(&[("isopod.toml", configuration), ("front.js", front), ("api.js", ECHO)]);
    let mut server = Serving::start(project.path());
    let (mut socket, answer) = Socket::open_with(server.address, "/room", "sec-websocket-protocol: chat\r\n");
    let headers = ["x-path", "sec-websocket-protocol"].map(|name| answer.header(name));
    assert_eq!((answer.status, headers), (101, [Some("/room"), Some("chat")]));
    socket.send_text("hello");
    assert_eq!(socket.read(), Frame::text("hello"));
    let bytes: Vec<u8> = (0..1 << 20).map(|i| i as u8).collect();
    socket.send_bytes(&bytes);
    assert_eq!(socket.read(), Frame::Binary(bytes));
    until("both workers are kept by a session", || {
        (server.metric_over_all("isopod_sessions") == 2).then_some(())
    });
    socket.close(3001, "bye");
    assert_eq!(socket.read(), Frame::close(3001, "bye"));
    until("the service is told", || {
        server.log().contains("the service saw 3001 bye").then_some(())
    });
    until("no session is left", || {
        (server.metric_over_all("isopod_sessions") == 0).then_some(())
    });
    // Without a socket, the answer is the service's.
    assert_eq!(server.get("/").status, 426);
    // A drain ends both sockets in order.
    let mut socket = Socket::open(server.address, "/room");
    socket.send_text("hello");
    assert_eq!(socket.read(), Frame::text("hello"));
    server.signal("INT");
    assert_eq!(socket.read(), Frame::close(1001, "the server is shutting down"));
    socket.close(1001, "");
    until("the server has ended", || (server.exit_code() == Some(0)).then_some(()));
}

#[test]
fn the_end_of_the_service_closes_the_socket_of_the_caller() {
    let pool = pool(3);
    let [reason, path, protocol] = HEAD;
    let limits = Limits::default().cpu(Duration::from_millis(200));
    deploy(&pool, "api", script("api", ECHO).limits(limits));
    // Lost: its code is ended at the limit of CPU time.
    deploy(&pool, "front", front(&pool, "api", &accepting("'hello', 'burn'")));
    let got = json_of(&pool, get("/"));
    assert_eq!(
        got,
        json!([101, reason, path, protocol, "hello", 1011, "the worker ended", true])
    );
    until("no session is left", || (pool.stats().sessions == 0).then_some(()));
    // Replaced by a new version.
    deploy(&pool, "front", front(&pool, "api", &accepting("'hello'")));
    let mut version = 0;
    let replaced = std::thread::scope(|scope| {
        let asked = scope.spawn(|| json_of(&pool, get("/")));
        until("the socket is open", || (pool.stats().sessions == 1).then_some(()));
        until("the service is replaced", || {
            version += 1;
            deploy(&pool, "api", script("api", &format!("{ECHO}\n// version {version}")));
            // A version that is replaced before it has booted serves no event.
            block_on(pool.warm("api")).expect("it boots");
            asked.is_finished().then_some(())
        });
        asked.join().expect("no panic")
    });
    let end = [json!(1012), json!("the worker is being replaced"), json!(true)];
    assert!(replaced.as_array().expect("a list").ends_with(&end), "{replaced}");
    until("no session is left", || (pool.stats().sessions == 0).then_some(()));
}

#[test]
fn the_end_of_a_caller_closes_the_socket_of_the_service() {
    let pool = pool(2);
    deploy(&pool, "api", script("api", ECHO));
    let ends = "const { webSocket } = await env.API.fetch('http://api/', { headers: { Upgrade: 'websocket' } });
        webSocket.accept();
        return new Response('1')";
    let does_not_read =
        "const { webSocket } = await env.API.fetch('http://api/flood', { headers: { Upgrade: 'websocket' } });
        ctx.waitUntil(new Promise((resolve) => setTimeout(resolve, 20_000)));
        return new Response('2')";
    for (body, code) in [(ends, "1001"), (does_not_read, "1006")] {
        deploy(&pool, "front", front(&pool, "api", body));
        json_of(&pool, get("/"));
        until(code, || {
            let last = http::Request::get("http://api/last")
                .body(Body::empty())
                .expect("a request");
            let last =
                block_on(async { text(pool.fetch("api", last, Meta::default()).await.expect("an answer")).await });
            (last == code).then_some(())
        });
    }
    until("no session is left", || (pool.stats().sessions == 0).then_some(()));
}

#[test]
fn sockets_that_were_not_asked_for_or_refused() {
    let got = between(
        "export default { fetch(request) {
             const path = new URL(request.url).pathname;
             if (path === '/socket') return new Response(null, { status: 101, webSocket: new WebSocketPair()[0] });
             return new Response(`${request.headers.get('upgrade')} ${request.headers.get('connection')}`, { status: 403 });
         } };",
        "const error = await thrown(() => env.API.fetch('http://api/socket'));
         const refused = await env.API.fetch('http://api/', { headers: { upgrade: 'WebSocket' } });
         const other = await env.API.fetch('http://api/', { headers: { upgrade: 'h2c' } });
         return Response.json([`${error}`, refused.status, refused.webSocket, await refused.text(), await other.text()])",
    );
    let error = "TypeError: the service responded with a WebSocket to a request that did not ask for one: send the header `Upgrade: websocket`";
    assert_eq!(got, json!([error, 403, null, "websocket Upgrade", "null null"]));
}
