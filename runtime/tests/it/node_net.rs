//! `node:net` and `node:tls` against real servers. The checks are in the folder `node`.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::thread;

use base64::Engine;
use isopod_runtime::fetch::{FetchConfig, NetPolicy};
use isopod_runtime::{ScriptBuilder, WorkerTemplate};
use serde_json::json;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::{call, script, twice_on};

const NET: &str = concat!(include_str!("web/checks.js"), include_str!("node/net.js"));
const TLS: &str = concat!(include_str!("web/checks.js"), include_str!("node/tls.js"));
const CERTIFICATE: &[u8] = include_bytes!("../../../ext/tests/it/fixtures/localhost.crt.der");
const KEY: &[u8] = include_bytes!("../../../ext/tests/it/fixtures/localhost.key.der");

/// A server that treats each connection in a thread of its own. Returns its port.
fn server(serve: impl Fn(TcpStream) + Clone + Send + 'static) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let serve = serve.clone();
            thread::spawn(move || serve(stream));
        }
    });
    port
}

/// Sends back what it receives. Errors are those of clients that leave.
fn echo(stream: &mut (impl Read + Write)) {
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        if stream.write_all(&buffer[..length]).is_err() || stream.flush().is_err() {
            return;
        }
    }
}

fn tls_server() -> u16 {
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(KEY.to_vec()));
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE.to_vec())], key)
        .unwrap();
    config.alpn_protocols = vec![b"echo".to_vec()];
    let config = Arc::new(config);
    server(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        let mut stream = StreamOwned::new(connection, stream);
        echo(&mut stream);
        stream.conn.send_close_notify();
        // The client may have left.
        let _ = stream.flush();
    })
}

fn pem(der: &[u8]) -> String {
    let text = base64::engine::general_purpose::STANDARD.encode(der);
    format!("-----BEGIN CERTIFICATE-----\n{text}\n-----END CERTIFICATE-----\n")
}

fn reaching(source: &str) -> ScriptBuilder {
    let policy = NetPolicy::default().allow_private(true);
    script(source).fetch(FetchConfig::default().policy(Arc::new(policy)))
}

#[test]
fn sockets_are_streams_over_connections() {
    let echoing = server(|mut stream| echo(&mut stream));
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let silent = server(|mut stream| while let Ok(1..) = stream.read(&mut [0]) {});
    let ports = vec![json!(echoing), json!(closed), json!(silent)];
    assert_eq!(call(reaching(NET), "clients", ports).unwrap(), json!([]));
}

#[test]
fn sockets_reach_what_the_guard_permits() {
    let port = server(|mut stream| echo(&mut stream));
    assert_eq!(call(script(NET), "guarded", vec![json!(port)]).unwrap(), json!([]));
}

#[test]
fn addresses_are_parsed_and_compared() {
    assert_eq!(call(script(NET), "names", vec![]).unwrap(), json!([]));
}

#[test]
fn tls_sockets_check_certificates() {
    let arguments = vec![json!(tls_server()), json!(pem(CERTIFICATE))];
    assert_eq!(call(reaching(TLS), "clients", arguments).unwrap(), json!([]));
}

#[test]
fn certificates_are_compared_with_names() {
    assert_eq!(call(script(TLS), "identities", vec![]).unwrap(), json!([]));
}

/// A socket that its event left open closes with it, silently, and later events cannot use it.
#[test]
fn a_socket_ends_with_its_event() {
    let port = server(|mut stream| echo(&mut stream));
    let source = format!(
        "import {{ connect }} from 'node:net';
         import {{ once }} from 'node:events';
         let socket, seen = [];
         export async function call() {{
            if (socket === undefined) {{
                socket = connect({port}, '127.0.0.1');
                socket.on('error', (error) => seen.push(error.message)).on('close', (hadError) => seen.push(hadError));
                socket.write('a');
                await once(socket, 'data');
                return 'open';
            }}
            while (seen.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
            return [seen, await new Promise((resolve) => socket.write('b', (error) => resolve(error.code)))];
         }}"
    );
    let given = twice_on(WorkerTemplate::default(), reaching(&source), "call");
    assert_eq!(given, [json!("open"), json!([[false], "ERR_STREAM_DESTROYED"])]);
}
