//! `connect()` of `cloudflare:sockets`, against real servers.
//! <https://developers.cloudflare.com/workers/runtime-apis/tcp-sockets/>

use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use deno_core::OpState;
use futures::FutureExt;
use futures::future::BoxFuture;
use isopod_ext::fetch::{ConnectionOptions, FetchConfig, OwnServers, ResolveHost, Resolver};
use isopod_ext::ledger::MemoryLedger;
use isopod_ext::quotas::{Quotas, Usage};
use serde_json::{Value, json};

use crate::common::postgres::Postgres;
use crate::common::{io, run};
use crate::fetch::{local, with};

/// A server that treats each connection in a thread of its own.
pub(crate) struct Peer {
    address: SocketAddr,
    accepted: Arc<AtomicUsize>,
}

impl Peer {
    pub(crate) fn start(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let accepted = Arc::new(AtomicUsize::new(0));
        let count = accepted.clone();
        thread::spawn(move || {
            for stream in listener.incoming() {
                count.fetch_add(1, Ordering::SeqCst);
                let (serve, stream) = (serve.clone(), stream.unwrap());
                stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
                thread::spawn(move || serve(stream));
            }
        });
        Self { address, accepted }
    }

    /// Sends back what it receives.
    fn echo() -> Self {
        Self::start(|stream| echo(&mut &stream))
    }

    pub(crate) fn script(&self, config: FetchConfig, body: &str) -> Value {
        self.script_with(with(config), body)
    }

    fn script_with(&self, prepare: impl FnOnce(&mut OpState), body: &str) -> Value {
        let prelude = "const encoder = new TextEncoder(), decoder = new TextDecoder();
            const text = async (stream) => {
                let all = '';
                for await (const chunk of stream) all += decoder.decode(chunk);
                return all;
            };
            const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));
            const within = (promise, ms) => Promise.race([promise, sleep(ms).then(() => 'pending')]);";
        let SocketAddr::V4(address) = self.address else {
            unreachable!()
        };
        let port = address.port();
        let body = format!("{prelude} const port = {port}; const address = `127.0.0.1:${{port}}`; {body}");
        run(&io(), prepare, &body)
    }
}

pub(crate) fn echo(stream: &mut (impl Read + Write)) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        stream.write_all(&buffer[..length]).unwrap();
        stream.flush().unwrap();
    }
}

#[test]
fn bytes_pass_both_ways_and_both_sides_end() {
    let peer = Peer::echo();
    let got = peer.script(
        local(),
        "const socket = connect({ hostname: 'localhost', port });
         const writer = socket.writable.getWriter();
         await writer.write(encoder.encode('one '));
         await writer.write(encoder.encode('two').buffer);
         await writer.write(new DataView(encoder.encode(' three').buffer));
         await writer.close();
         const { remoteAddress, localAddress } = await socket.opened;
         return { text: await text(socket.readable), closed: await socket.closed === undefined, again: await socket.close() === undefined,
             remote: remoteAddress === address, local: localAddress.startsWith('127.0.0.1:'), type: `${socket}`,
             secure: [socket.secureTransport, socket.upgraded] };",
    );
    assert_eq!(
        got,
        json!({ "text": "one two three", "closed": true, "again": true, "remote": true, "local": true,
            "type": "[object Socket]", "secure": ["off", false] })
    );
}

#[test]
fn close_flushes_written_data() {
    let (sender, received) = std::sync::mpsc::sync_channel(1);
    let peer = Peer::start(move |mut stream| {
        let mut all = Vec::new();
        stream.read_to_end(&mut all).unwrap();
        sender.send(all.len()).unwrap();
    });
    let got = peer.script(
        local(),
        "const socket = connect(address);
         const writer = socket.writable.getWriter();
         for (let i = 0; i < 8; i++) writer.write(new Uint8Array(1 << 18));
         const reading = socket.readable.getReader().read();
         await socket.close();
         return [(await reading).done, await thrown(() => writer.write(new Uint8Array(1)))];",
    );
    assert_eq!(received.recv().unwrap(), 8 << 18);
    assert_eq!((&got[0], &got[1]["name"]), (&json!(true), &json!("TypeError")));
}

#[test]
fn an_invalid_address_or_option_is_an_error_at_once() {
    let got = Peer::echo().script(
        local(),
        "const errors = [];
         for (const address of ['', 'host', 'a b:1', ':1', '[::1:1', 'host:0', 'host:65536', 'host:http', {}, { hostname: 'a' },
             { hostname: 'a', port: 1.5 }, { hostname: '', port: 1 }, { hostname: '10.0.0.300', port: 1 }, undefined]) {
             errors.push((await thrown(() => connect(address)))?.name ?? address);
         }
         errors.push((await thrown(() => connect(address, { secureTransport: 'yes' }))).message);
         const socket = connect(address);
         errors.push((await thrown(() => socket.writable.getWriter().write('text'))).name);
         return errors;",
    );
    let mut expected = vec![json!("TypeError"); 14];
    expected.push(json!(
        "secureTransport must be \"off\", \"on\" or \"starttls\", not \"yes\""
    ));
    expected.push(json!("TypeError"));
    assert_eq!(got, json!(expected));
}

struct Fixed(IpAddr);

impl ResolveHost for Fixed {
    fn resolve(&self, _name: &str) -> BoxFuture<'static, std::io::Result<Vec<IpAddr>>> {
        let address = self.0;
        async move { Ok(vec![address]) }.boxed()
    }
}

/// The same destinations as `fetch` refuses: literal addresses in every spelling, and names by what they resolve to.
#[test]
fn private_addresses_are_refused_before_a_packet_leaves() {
    let peer = Peer::echo();
    let resolver = Resolver::new(Fixed([127, 0, 0, 1].into()));
    let config = FetchConfig::default().connection(ConnectionOptions::default().resolver(resolver));
    let got = peer.script(
        config,
        "const messages = [];
         for (const hostname of ['127.0.0.1', '127.1', '2130706433', '0x7f000001', '0', '::1', '[::1]', '[::ffff:127.0.0.1]',
             '::ffff:7f00:1', '64:ff9b::7f00:1', 'localhost', 'LOCALHOST.', '169.254.169.254', 'rebind.example']) {
             const socket = connect({ hostname, port });
             const opened = await thrown(() => socket.opened);
             const closed = await thrown(() => socket.closed);
             const read = await thrown(() => socket.readable.getReader().read());
             const same = opened.message === closed.message && read.message === opened.message;
             messages.push(`${hostname} ${opened.name} ${same && opened.message.includes('not allowed')}`);
         }
         return messages.filter((message) => !message.endsWith(' TypeError true'));",
    );
    assert_eq!(got, json!([]));
    assert_eq!(peer.accepted.load(Ordering::SeqCst), 0);
}

/// A request through it would not say how many workers called each other.
#[test]
fn a_server_of_this_process_is_refused() {
    let peer = Peer::echo();
    let servers = OwnServers::new("key");
    servers.set_addresses(vec![peer.address]);
    let got = peer.script(
        local().servers(servers),
        "return [(await thrown(() => connect(address).opened)).message, (await thrown(() => connect(`localhost:${port}`).opened)).message];",
    );
    assert!(
        got[0].as_str().unwrap().contains("is a server of this process"),
        "{got}"
    );
    assert!(
        got[1].as_str().unwrap().contains("is a server of this process"),
        "{got}"
    );
    assert_eq!(peer.accepted.load(Ordering::SeqCst), 0);
}

#[test]
fn a_port_where_nothing_listens_is_an_error_of_the_connection() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    drop(listener);
    let got = Peer::echo().script(
        local(),
        &format!(
            "const socket = connect('127.0.0.1:{port}');
             const writer = socket.writable.getWriter();
             return [await thrown(() => socket.opened), await thrown(() => writer.write(new Uint8Array(1))), await thrown(() => socket.close())]
                 .map((error) => `${{error.name}} ${{error.message.includes('cannot connect to 127.0.0.1')}}`);"
        ),
    );
    assert_eq!(got, json!(["Error true", "Error true", "Error true"]));
}

/// `allowHalfOpen`: "the writable side of the TCP socket will automatically close on EOF" unless it is true.
#[test]
fn the_writable_side_stays_open_after_the_peer_has_ended_if_it_may() {
    let peer = Peer::start(|mut stream| {
        stream.write_all(b"bye").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).unwrap();
        // The server sends its next connection the bytes that arrived.
        if rest.starts_with(b"late") {
            panic!("told by the thread's end");
        }
    });
    let got = peer.script(
        local(),
        "const half = connect(address, { allowHalfOpen: true });
         const first = await text(half.readable);
         const writer = half.writable.getWriter();
         await writer.write(encoder.encode('more'));
         const before = await within(half.closed, 20);
         await writer.close();
         const after = await half.closed;
         const whole = connect(address);
         const second = await text(whole.readable);
         const closed = await whole.closed;
         return { first, before, after: after === undefined, second, closed: closed === undefined,
             write: (await thrown(() => whole.writable.getWriter().write(encoder.encode('late'))))?.message };",
    );
    assert_eq!(
        got,
        json!({ "first": "bye", "before": "pending", "after": true, "second": "bye", "closed": true, "write": "the socket is closed" })
    );
}

#[test]
fn a_writer_waits_for_a_peer_that_does_not_read() {
    let (go, gate) = std::sync::mpsc::sync_channel(1);
    let gate = Arc::new(Mutex::new(gate));
    let peer = Peer::start(move |mut stream| {
        let mut first = [1; 1];
        stream.read_exact(&mut first).unwrap();
        // One connection signals when the other is read.
        match first[0] {
            0 => gate.lock().unwrap().recv().unwrap(),
            _ => return go.send(()).unwrap(),
        }
        let mut count = 1;
        let mut buffer = vec![0; 1 << 20];
        while let Ok(length @ 1..) = stream.read(&mut buffer) {
            count += length;
        }
        stream.write_all(count.to_string().as_bytes()).unwrap();
    });
    let got = peer.script(
        local(),
        "const socket = connect(address, { allowHalfOpen: true });
         const writer = socket.writable.getWriter();
         let written = 0;
         const all = (async () => {
             for (let i = 0; i < 64; i++) { await writer.ready; writer.write(new Uint8Array(1 << 20)).then(() => written++); }
             await writer.close();
         })();
         await sleep(200);
         const stalled = written;
         await connect(address).writable.getWriter().write(new Uint8Array([1]));
         await all;
         return [stalled < 32, writer.desiredSize, await text(socket.readable)];",
    );
    assert_eq!(got, json!([true, 0, (64 << 20).to_string()]));
}

#[test]
fn a_peer_waits_for_a_reader_that_does_not_read() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = sent.clone();
    let peer = Peer::start(move |mut stream| {
        let chunk = vec![0; 1 << 16];
        while stream.write_all(&chunk).is_ok() {
            count.fetch_add(chunk.len(), Ordering::SeqCst);
        }
    });
    let got = peer.script(
        local(),
        "const socket = connect(address);
         await socket.opened;
         await sleep(200);
         const reader = socket.readable.getReader({ mode: 'byob' });
         const first = await reader.read(new Uint8Array(10));
         await sleep(200);
         await reader.cancel();
         await socket.close();
         return first.value.byteLength;",
    );
    assert_eq!(got, json!(10));
    // The buffers of both kernels, and at most 128 KiB here.
    assert!(sent.load(Ordering::SeqCst) < 16 << 20, "{sent:?}");
}

fn limited(quotas: Quotas) -> impl FnOnce(&mut OpState) {
    move |state| {
        with(local())(state);
        Usage::new(quotas, MemoryLedger::default()).install(state);
    }
}

#[test]
fn an_idle_tcp_connection_is_ended() {
    let (sender, ended) = std::sync::mpsc::sync_channel(1);
    let peer = Peer::start(move |mut stream| {
        let read = stream.read(&mut [0; 1]);
        sender
            .send(matches!(read, Ok(0)) || read.is_err_and(|error| error.kind() == ErrorKind::ConnectionReset))
            .unwrap();
    });
    let got = peer.script_with(
        limited(Quotas::default().connection_idle(Duration::from_millis(50))),
        "const socket = connect(address);
         const reading = thrown(() => socket.readable.getReader().read());
         return [(await thrown(() => socket.closed)).message, (await reading).message, (await thrown(() => socket.writable.getWriter().write(new Uint8Array(1)))).message];",
    );
    let message = "no bytes passed the connection for 50ms (`limits.connection_idle`)";
    assert_eq!(got, json!([message, message, message]));
    assert!(ended.recv().unwrap());
}

#[test]
fn open_connections_are_limited_and_closed_ones_make_room() {
    let got = Peer::echo().script_with(
        limited(Quotas::default().event_connections(2)),
        "const sockets = [1, 2, 3].map(() => connect(address));
         const errors = [];
         for (const socket of sockets) errors.push(await thrown(() => socket.opened) !== null);
         await sockets[0].close();
         errors.push(await thrown(() => connect(address).opened));
         return errors;",
    );
    assert_eq!(got, json!([false, false, true, null]));
}

/// The protocol of <https://www.postgresql.org/docs/current/protocol-flow.html>: startup, a query, its rows.
#[test]
fn a_query_is_answered_by_postgresql() {
    let server = Postgres::start();
    let got = Peer::echo().script(
        local(),
        &format!(
            "const socket = connect({{ hostname: '127.0.0.1', port: {} }});
             const writer = socket.writable.getWriter();
             const message = (type, body) => {{
                 const bytes = new Uint8Array(type.length + 4 + body.length);
                 bytes.set(encoder.encode(type));
                 new DataView(bytes.buffer).setUint32(type.length, body.length + 4);
                 bytes.set(body, type.length + 4);
                 return bytes;
             }};
             await writer.write(message('', encoder.encode('\\0\\x03\\0\\0user\\0app\\0database\\0postgres\\0\\0')));
             await writer.write(message('Q', encoder.encode('SELECT generate_series(1, 3) * 2\\0')));
             await writer.write(message('X', new Uint8Array(0)));
             let all = new Uint8Array(0);
             for await (const chunk of socket.readable) {{
                 const more = new Uint8Array(all.length + chunk.length);
                 more.set(all);
                 more.set(chunk, all.length);
                 all = more;
             }}
             const rows = [];
             for (let at = 0; at < all.length;) {{
                 const length = new DataView(all.buffer).getUint32(at + 1);
                 if (all[at] === 'D'.charCodeAt(0)) rows.push(decoder.decode(all.subarray(at + 11, at + 1 + length)));
                 at += 1 + length;
             }}
             await socket.closed;
             return rows;",
            server.port
        ),
    );
    assert_eq!(got, json!(["2", "4", "6"]));
}
