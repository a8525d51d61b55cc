//! WebSockets that scripts open, and those that end with their worker.

use crate::frames::{Frame, Socket};
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const PEER: &str = r#"
    export default {
        fetch(request) {
            if (request.headers.get("upgrade") !== "websocket") return new Response("no socket here", { status: 404 });
            const [client, server] = Object.values(new WebSocketPair());
            server.accept();
            server.addEventListener("close", ({ code, reason }) => console.log("peer closed", code, reason));
            server.addEventListener("message", ({ data }) => {
                if (data === "close") server.close(4001, "as you like");
                else server.send(data);
            });
            const headers = {};
            const offered = request.headers.get("sec-websocket-protocol");
            if (offered !== null) headers["sec-websocket-protocol"] = offered.split(", ").at(-1);
            if (request.headers.has("x-wrong")) headers["sec-websocket-protocol"] = "never-offered";
            return new Response(null, { status: 101, webSocket: client, headers });
        },
    };
"#;

const CLIENT: &str = r#"
    const next = (socket, type) => new Promise((resolve) => socket.addEventListener(type, resolve, { once: true }));
    export default {
        async fetch(request, env, ctx) {
            const { host, pathname } = new URL(request.url);
            const peer = `ws://${host}/peer`;
            const upgrade = { headers: { Upgrade: "websocket" } };
            switch (pathname) {
                case "/client/new": {
                    const socket = new WebSocket(peer, ["one", "two"]);
                    socket.binaryType = "arraybuffer";
                    const log = [socket.readyState, socket.url === peer];
                    await next(socket, "open");
                    log.push(socket.readyState, socket.protocol);
                    socket.send("hello");
                    log.push((await next(socket, "message")).data);
                    socket.send(new Uint8Array([1, 2]));
                    log.push([...new Uint8Array((await next(socket, "message")).data)]);
                    socket.send("close");
                    const { code, reason, wasClean } = await next(socket, "close");
                    return Response.json([...log, code, reason, wasClean, socket.readyState]);
                }
                case "/client/fetch": {
                    const response = await fetch(`http://${host}/peer`, upgrade);
                    const socket = response.webSocket;
                    socket.accept();
                    socket.send("over fetch");
                    const { data } = await next(socket, "message");
                    socket.close(1000, "thanks");
                    await next(socket, "close");
                    return Response.json([response.status, data, socket.readyState]);
                }
                case "/client/plain": {
                    const response = await fetch(`http://${host}/client/404`, upgrade);
                    return Response.json([response.status, response.webSocket, await response.text()]);
                }
                case "/client/proxy":
                    return fetch(`http://${host}/peer`, { headers: request.headers });
                case "/client/wrap": {
                    const { webSocket } = await fetch(`http://${host}/peer`, upgrade);
                    return new Response(null, { status: 101, webSocket });
                }
                case "/client/left": {
                    const socket = new WebSocket(peer);
                    await next(socket, "open");
                    return new Response("left open");
                }
                case "/client/refused": {
                    const log = [];
                    for (const [url, ...rest] of [[`ws://${host}/client/404`], ["ws://127.0.0.1:1/"], ["ws://10.0.0.1/"]]) {
                        const socket = new WebSocket(url, ...rest);
                        const [error, close] = await Promise.all([next(socket, "error"), next(socket, "close")]);
                        log.push([error.message, close.code, close.wasClean]);
                    }
                    const wrong = await fetch(`http://${host}/peer`, { headers: { Upgrade: "websocket", "x-wrong": "1" } }).catch(String);
                    log.push([wrong]);
                    for (const args of [["ftp://x/"], ["ws://x/#y"], ["nothing"], ["ws://x", ["a", "a"]], ["ws://x", "a b"]]) {
                        try { new WebSocket(...args); log.push(["opened"]); } catch (error) { log.push([error.name]); }
                    }
                    return Response.json(log);
                }
                default:
                    return new Response("not found", { status: 404 });
            }
        },
    };
"#;

fn serve(limits: &str) -> (Project, Serving) {
    let config = format!(
        "routes = [{{ path = '/peer', worker = 'peer' }}, {{ path = '/*', worker = 'client' }}]
         [network]
         allow = ['127.0.0.1']
         [workers.peer]
         main = 'peer.js'
         [workers.client]
         main = 'client.js'
         {limits}"
    );
    let project = Project::new(&[("peer.js", PEER), ("client.js", CLIENT), ("isopod.toml", &config)]);
    let server = Serving::start_with(project.path(), &["--threads", "2"]);
    (project, server)
}

#[track_caller]
fn logs(server: &Serving, line: &str) {
    until(line, || server.log().contains(line).then_some(()));
}

/// A request whose `Host` is the server's own address.
fn get(server: &Serving, path: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nhost: {}\r\n\r\n", server.address);
    server.connect().send(&request).unwrap().body
}

#[test]
fn the_constructor() {
    let (_project, server) = serve("");
    assert_eq!(
        get(&server, "/client/new"),
        r#"[0,true,1,"two","hello",[1,2],4001,"as you like",true,3]"#
    );
}

#[test]
fn fetch_with_upgrade() {
    let (_project, server) = serve("");
    assert_eq!(get(&server, "/client/fetch"), r#"[101,"over fetch",3]"#);
    logs(&server, "peer closed 1000 thanks");
    assert_eq!(get(&server, "/client/plain"), r#"[404,null,"not found"]"#);
}

#[test]
fn sockets_that_are_passed_on() {
    let (_project, server) = serve("");
    for path in ["/client/proxy", "/client/wrap"] {
        let host = format!("host: {}\r\n", server.address);
        let (mut socket, answer) = Socket::open_with(server.address, path, &host);
        assert_eq!(answer.status, 101, "{answer:?}");
        socket.send_text("through both");
        assert_eq!(socket.read(), Frame::text("through both"));
        socket.send_bytes(&[7; 300]);
        assert_eq!(socket.read(), Frame::Binary(vec![7; 300]));
        socket.close(4002, "enough");
        assert_eq!(socket.read(), Frame::close(4002, "enough"));
        logs(&server, "peer closed 4002 enough");
    }
}

#[test]
fn a_socket_ends_with_the_event_that_opened_it() {
    let (_project, server) = serve("");
    assert_eq!(get(&server, "/client/left"), "left open");
    logs(&server, "peer closed 1001");
}

#[test]
fn connections_that_fail_or_are_refused() {
    let (_project, server) = serve("");
    let log: Vec<Vec<serde_json::Value>> = serde_json::from_str(&get(&server, "/client/refused")).unwrap();
    let message = |place: usize| log[place][0].as_str().unwrap();
    assert!(message(0).contains("404"), "{log:?}");
    assert!(message(1).contains("refused"), "{log:?}");
    // The network guard, as of `fetch`.
    assert!(message(2).contains("10.0.0.1"), "{log:?}");
    for told in &log[..3] {
        assert_eq!(
            (told[1].as_u64(), told[2].as_bool()),
            (Some(1006), Some(false)),
            "{log:?}"
        );
    }
    assert!(message(3).contains("subprotocol that was not offered"), "{log:?}");
    for told in &log[4..] {
        assert_eq!(told, &["SyntaxError"], "{log:?}");
    }
    assert_eq!(log.len(), 9);
}

#[test]
fn a_limit_on_open_sockets() {
    let (_project, server) = serve("[workers.peer.limits]\nsockets = 2\n");
    let _one = Socket::open(server.address, "/peer");
    let _two = Socket::open(server.address, "/peer");
    let (_, answer) = Socket::open_with(server.address, "/peer", "");
    // On another worker there may be room.
    assert!(matches!(answer.status, 101 | 500), "{answer:?}");
    if answer.status == 500 {
        logs(&server, "limit of 2 open WebSockets");
    }
}

/// A worker that is replaced closes its sockets with 1012, which tells clients to connect again.
#[test]
fn a_new_version_of_the_worker() {
    let project = Project::new(&[("worker.js", PEER)]);
    let server = Serving::start_with(project.file("worker.js"), &["--watch"]);
    let mut socket = Socket::open(server.address, "/");
    socket.send_text("hello");
    assert_eq!(socket.read(), Frame::text("hello"));
    project.write(
        "worker.js",
        &PEER.replace("server.send(data)", "server.send(`new ${data}`)"),
    );
    assert_eq!(socket.read(), Frame::close(1012, "the worker is being replaced"));
    socket.close(1012, "");
    logs(&server, "peer closed 1012");
    until("the new version answers", || {
        let mut socket = Socket::open(server.address, "/");
        socket.send_text("hello");
        (socket.read() == Frame::text("new hello")).then_some(())
    });
}
