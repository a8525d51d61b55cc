//! WebSockets within one worker, and the errors of their interface.

use crate::client::Connection;
use crate::frames::handshake;
use crate::program::Serving;
use crate::project::Project;

const SCRIPTED: &str = r#"
    const events = (socket, log, name) => {
        for (const type of ["open", "message", "close", "error"]) {
            socket.addEventListener(type, (event) => {
                const { data, code, reason, wasClean } = event;
                const what = type === "message" ? (typeof data === "string" ? data : `${new Uint8Array(data)}`) : type === "close" ? `${code} ${reason} ${wasClean}` : "";
                log.push(`${name} ${type} ${what}`.trim());
            });
        }
    };
    const closed = (socket) => new Promise((resolve) => socket.addEventListener("close", resolve));
    const thrown = (body) => {
        try { body(); return "nothing"; } catch (error) { return `${error.name}: ${error.message}`; }
    };
    export default {
        async fetch(request) {
            const log = [];
            switch (new URL(request.url).pathname) {
                case "/pair": {
                    const pair = new WebSocketPair();
                    const [one, other] = Object.values(pair);
                    events(one, log, "one");
                    events(other, log, "other");
                    one.accept();
                    one.send("early");
                    other.accept();
                    const bytes = new Uint8Array([1, 2, 3, 4]);
                    other.send(bytes.subarray(1, 3));
                    bytes.fill(9);
                    one.send("second");
                    log.push(`state ${one.readyState}`);
                    const done = Promise.all([closed(one), closed(other)]);
                    one.addEventListener("message", () => {
                        one.close(4000, "done");
                        log.push(`state ${one.readyState}`);
                        other.send("too late: the other end is closing");
                    });
                    await done;
                    log.push(`state ${one.readyState} ${other.readyState}`);
                    return Response.json(log);
                }
                case "/errors": {
                    const [one, other] = Object.values(new WebSocketPair());
                    log.push(thrown(() => one.send("x")));
                    one.accept();
                    for (const code of [999, 1005, 1006, 5000, "x"]) log.push(thrown(() => one.close(code)));
                    log.push(thrown(() => one.close(1000, "x".repeat(124))));
                    log.push(thrown(() => one.close(undefined, "why")));
                    log.push(thrown(() => one.send(new Blob(["x"]))));
                    one.close(1000);
                    log.push(thrown(() => one.send("x")));
                    log.push(thrown(() => new Response(null, { status: 101 })));
                    log.push(thrown(() => new Response(null, { status: 200, webSocket: other })));
                    log.push(thrown(() => new Response("body", { status: 101, webSocket: other })));
                    log.push(thrown(() => new Response(null, { status: 101, webSocket: {} })));
                    log.push(thrown(() => new Response(null, { status: 101, webSocket: other }).clone()));
                    log.push(thrown(() => structuredClone(other)));
                    log.push(thrown(() => WebSocketPair()));
                    return Response.json(log);
                }
                case "/accepted": {
                    const [one, other] = Object.values(new WebSocketPair());
                    other.accept();
                    return new Response(null, { status: 101, webSocket: other });
                }
                case "/constants":
                    return Response.json([WebSocket.OPEN, WebSocket.prototype.CLOSED, new WebSocketPair()[0].binaryType, `${new WebSocketPair()[0]}`]);
            }
        },
    };
"#;

#[test]
fn a_pair_within_a_worker() {
    let project = Project::new(&[("worker.js", SCRIPTED)]);
    let server = Serving::start(project.file("worker.js"));
    let log: Vec<String> = serde_json::from_str(&server.get("/pair").body).unwrap();
    let of = |name: &str| -> Vec<&str> {
        let lines = log.iter().filter_map(|line| line.strip_prefix(name));
        lines.map(str::trim).collect()
    };
    assert_eq!(of("one "), ["message 2,3", "close 4000 done true"], "{log:?}");
    assert_eq!(
        of("other "),
        ["message early", "message second", "close 4000 done true"],
        "{log:?}"
    );
    assert_eq!(of("state "), ["1", "2", "3 3"], "{log:?}");
    assert_eq!(
        server.get("/constants").body,
        r#"[1,3,"arraybuffer","[object WebSocket]"]"#
    );
}

#[test]
fn errors_in_scripts() {
    let project = Project::new(&[("worker.js", SCRIPTED)]);
    let server = Serving::start(project.file("worker.js"));
    let answer = server.get("/errors");
    let log: Vec<String> = serde_json::from_str(&answer.body).unwrap_or_else(|_| panic!("{answer:?}"));
    let expected = [
        "TypeError: call accept() on the WebSocket first",
        "TypeError: the close code must be",
        "TypeError: the close code must be",
        "TypeError: the close code must be",
        "TypeError: the close code must be",
        "TypeError: invalid close code: x",
        "TypeError: the close reason must not be longer than 123 bytes",
        "TypeError: a close reason needs a close code",
        "TypeError: cannot send a Blob",
        "TypeError: cannot send() on a WebSocket after close()",
        "RangeError: Failed to construct 'Response': status 101",
        "RangeError: Failed to construct 'Response': a webSocket needs status 101",
        "TypeError: Response with null body status cannot have body",
        "TypeError: Failed to construct 'Response': webSocket is not a WebSocket",
        "TypeError: Failed to execute 'clone' on 'Response'",
        "DataCloneError: ",
        "TypeError: Class constructor WebSocketPair cannot be invoked without 'new'",
    ];
    assert_eq!(log.len(), expected.len(), "{log:#?}");
    for (told, expected) in log.iter().zip(expected) {
        assert!(told.starts_with(expected), "{told:?}, not {expected:?}");
    }
    let mut client = Connection::open(server.address).unwrap();
    let answer = client.send(&handshake("/accepted", "")).unwrap();
    assert_eq!(answer.verdict(), (500, "exception"));
    assert!(answer.body.contains("after accept()"), "{}", answer.body);
}
