//! WebSockets that use up shared resources: idle ones in great number, floods of messages, and clients that do not read.

use std::time::{Duration, Instant};

use crate::frames::{Frame, Socket, frame};
use crate::process::until;
use crate::program::Serving;
use crate::project::Project;

const SOCKETS: &str = r#"
    export default {
        fetch(request) {
            const { pathname } = new URL(request.url);
            if (pathname === "/sockets/plain") return new Response("beside them");
            const { 0: client, 1: server } = new WebSocketPair();
            server.accept();
            if (pathname === "/sockets/work") {
                server.addEventListener("message", () => { for (const start = Date.now(); Date.now() - start < 2;); });
            } else if (pathname === "/sockets/pour") {
                const chunk = "x".repeat(32 << 10);
                const pours = setInterval(() => { for (let i = 0; i < 8; i++) server.send(chunk); }, 1);
                server.addEventListener("close", () => clearInterval(pours));
            } else {
                server.addEventListener("message", ({ data }) => server.send(data));
            }
            return new Response(null, { status: 101, webSocket: client });
        },
    };
"#;

/// The settings are those at the top level, and limits of the worker with the sockets.
fn serve(settings: &str, limits: &str) -> (Serving, Project) {
    let config = format!(
        "{settings}\nroutes = [{{ path = '/sockets/*', worker = 'sockets' }}, {{ path = '/*', worker = 'other' }}]\n\
         [workers.sockets]\nmain = 'sockets.js'\n[workers.sockets.limits]\nsockets = 2000\n{limits}\n\
         [workers.other]\nmain = 'other.js'\n"
    );
    let project = Project::new(&[
        ("isopod.toml", &config),
        ("sockets.js", SOCKETS),
        ("other.js", "export default { fetch: () => new Response('other') };"),
    ]);
    (Serving::start(project.path()), project)
}

fn open(server: &Serving, path: &str, count: usize) -> Vec<Socket> {
    (0..count).map(|_| Socket::open(server.address, path)).collect()
}

fn echoes(socket: &mut Socket, text: &str) {
    socket.send_text(text);
    assert_eq!(socket.read(), Frame::text(text));
}

#[test]
fn idle_sockets_yield_the_only_thread() {
    let (server, _project) = serve("threads = 1", "");
    let mut sockets = open(&server, "/sockets/echo", 50);
    sockets.iter_mut().for_each(|socket| echoes(socket, "hello"));
    assert_eq!(server.metric_over_all("isopod_sessions"), 50);
    let start = Instant::now();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| server.get("/").body);
        for socket in &mut sockets {
            assert_eq!(socket.read(), Frame::close(1012, "the worker is being replaced"));
            socket.close(1012, "");
        }
        assert_eq!(other.join().expect("no panic"), "other");
    });
    // The clients closed when asked to, so the grace period did not pass.
    assert!(start.elapsed() < Duration::from_secs(4), "{:?}", start.elapsed());
    drop(sockets);
    // Clients connect again.
    echoes(&mut Socket::open(server.address, "/sockets/echo"), "again");
}

#[test]
fn idle_sockets_stay_while_threads_suffice() {
    let (server, _project) = serve("", "");
    let mut sockets = open(&server, "/sockets/echo", 200);
    for _ in 0..20 {
        assert_eq!(server.get("/").body, "other");
        assert_eq!(server.get("/sockets/plain").body, "beside them");
    }
    sockets.iter_mut().for_each(|socket| echoes(socket, "still here"));
}

#[test]
fn a_flood_of_messages_blocks_no_worker() {
    let (server, _project) = serve("", "");
    let mut flood = Socket::open(server.address, "/sockets/work");
    let mut beside = Socket::open(server.address, "/sockets/echo");
    let stream = flood.connection.stream.get_ref().try_clone().expect("a second handle");
    let before = crate::process::resident_bytes(server.pid());
    let flooding = std::thread::spawn(move || {
        let messages = frame(0x82, &[7; 100]).repeat(1000);
        let start = Instant::now();
        let mut sent = 0;
        // Held back by the worker, as TCP does it.
        while start.elapsed() < Duration::from_secs(5) && flood.send_raw(&messages).is_ok() {
            sent += 1;
        }
        (flood, sent)
    });
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(3) {
        let asked = Instant::now();
        echoes(&mut beside, "beside a flood");
        assert_eq!(server.get("/sockets/plain").body, "beside them");
        assert_eq!(server.get("/").body, "other");
        assert!(asked.elapsed() < Duration::from_secs(2), "{:?}", asked.elapsed());
    }
    let grown = crate::process::resident_bytes(server.pid()).saturating_sub(before);
    assert!(grown < 100 << 20, "{grown} bytes more");
    stream.shutdown(std::net::Shutdown::Both).expect("an open connection");
    drop(flooding.join().expect("no panic"));
    echoes(&mut beside, "after it");
}

#[test]
fn clients_that_do_not_read_block_no_worker() {
    let (server, _project) = serve("", "socket_buffer = '1 MiB'");
    let mut beside = Socket::open(server.address, "/sockets/echo");
    let pours = open(&server, "/sockets/pour", 20);
    // They are disconnected one after the other; until then and after it, others are served.
    until("they are disconnected", || {
        echoes(&mut beside, "beside them");
        assert_eq!(server.get("/").body, "other");
        (server.metric_over_all("isopod_sessions") == 1).then_some(())
    });
    drop(pours);
}

#[test]
fn a_drain_with_a_thousand_sockets() {
    let (mut server, _project) = serve("", "");
    let mut sockets = open(&server, "/sockets/echo", 1000);
    echoes(&mut sockets[999], "the last");
    assert_eq!(server.metric_over_all("isopod_sessions"), 1000);
    server.signal("TERM");
    let start = Instant::now();
    for socket in &mut sockets {
        assert_eq!(socket.read(), Frame::close(1001, "the server is shutting down"));
        socket.close(1001, "");
    }
    sockets.iter_mut().for_each(Socket::expect_end);
    assert_eq!(server.exit_code(), Some(0), "{}", server.log());
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
}
