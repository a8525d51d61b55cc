//! TLS on the connections of `cloudflare:sockets`.

use std::io::{Read, Write};
use std::sync::Arc;

use isopod_ext::fetch::{ConnectionOptions, FetchConfig};
use serde_json::json;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::common::server::CERTIFICATE;
use crate::fetch::local;
use crate::sockets::{Peer, echo};

fn tls() -> Arc<ServerConfig> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(
        include_bytes!("fixtures/localhost.key.der").to_vec(),
    ));
    let provider = Arc::new(tokio_rustls::rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![CertificateDer::from(CERTIFICATE.to_vec())], key);
    Arc::new(config.unwrap())
}

fn trusting() -> FetchConfig {
    local().connection(ConnectionOptions::default().extra_roots(vec![CERTIFICATE.to_vec()]))
}

#[test]
fn tls_is_used_from_the_start_and_its_certificate_is_checked() {
    let config = tls();
    let peer = Peer::start(move |stream| {
        let connection = ServerConnection::new(config.clone()).unwrap();
        echo(&mut StreamOwned::new(connection, stream));
    });
    let body = "const socket = connect({ hostname, port }, { secureTransport: 'on' });
        const error = await thrown(() => socket.opened);
        if (error !== null) return error.message;
        const writer = socket.writable.getWriter();
        await writer.write(encoder.encode('secret'));
        const { value } = await socket.readable.getReader().read();
        await writer.close();
        return [decoder.decode(value), socket.secureTransport, (await thrown(() => socket.startTls())).name];";
    let script = |config, hostname: &str| peer.script(config, &format!("const hostname = '{hostname}'; {body}"));
    assert_eq!(script(trusting(), "localhost"), json!(["secret", "on", "TypeError"]));
    for (config, hostname, cause) in [
        (local(), "localhost", "UnknownIssuer"),
        (trusting(), "127.0.0.1", "NotValidForName"),
    ] {
        let error = script(config, hostname);
        let error = error.as_str().unwrap();
        assert!(
            error.starts_with("the TLS handshake failed")
                && (error.contains(cause) || error.contains("not valid for name")),
            "{error}"
        );
    }
}

/// As databases and mail servers do it. Bytes that come before the handshake are not taken for bytes of the server.
#[test]
fn tls_is_started_where_both_agree_on_it() {
    let config = tls();
    let peer = Peer::start(move |mut stream| {
        let mut asked = [0; 5];
        stream.read_exact(&mut asked).unwrap();
        assert_eq!(&asked, b"start");
        stream.write_all(b"SINJECTED").unwrap();
        let connection = ServerConnection::new(config.clone()).unwrap();
        echo(&mut StreamOwned::new(connection, stream));
    });
    let got = peer.script(
        trusting(),
        "const plain = connect({ hostname: '127.0.0.1', port }, { secureTransport: 'starttls' });
         const writer = plain.writable.getWriter();
         await writer.write(encoder.encode('start'));
         const locked = (await thrown(() => plain.startTls())).message;
         writer.releaseLock();
         const reader = plain.readable.getReader({ mode: 'byob' });
         const { value: answer } = await reader.read(new Uint8Array(1));
         reader.releaseLock();
         const socket = plain.startTls({ expectedServerHostname: 'localhost' });
         const { remoteAddress } = await socket.opened;
         const secret = socket.writable.getWriter();
         await secret.write(encoder.encode('secret'));
         const { value } = await socket.readable.getReader().read();
         await secret.close();
         return { answer: decoder.decode(answer), value: decoder.decode(value), remote: remoteAddress === address,
             state: [socket.upgraded, socket.secureTransport, plain.secureTransport], locked,
             again: (await thrown(() => plain.startTls())).message, closed: await socket.closed === undefined };",
    );
    assert_eq!(
        got,
        json!({ "answer": "S", "value": "secret", "remote": true, "state": [true, "on", "starttls"],
            "locked": "startTls() needs unlocked streams: release the reader and the writer first",
            "again": "startTls() can be called once for a connection", "closed": true })
    );
}

#[test]
fn a_failed_handshake_ends_the_connection() {
    let peer = Peer::start(|mut stream| {
        stream.read_exact(&mut [0; 1]).unwrap();
        stream.write_all(b"no TLS here, and this is no handshake").unwrap();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest);
    });
    let got = peer.script(
        trusting(),
        "const plain = connect(address, { secureTransport: 'starttls' });
         await plain.opened;
         const socket = plain.startTls({ expectedServerHostname: 'localhost' });
         const name = connect(address, { secureTransport: 'starttls' }).startTls({ expectedServerHostname: 'a b' });
         return [(await thrown(() => socket.opened)).message, (await thrown(() => socket.closed)).message,
             (await thrown(() => socket.writable.getWriter().write(new Uint8Array(1)))).message, (await thrown(() => name.opened)).message];",
    );
    for error in &got.as_array().unwrap()[..3] {
        assert!(error.as_str().unwrap().starts_with("the TLS handshake failed"), "{got}");
    }
    assert_eq!(got[3], json!("'a b' cannot be the name of a server's certificate"));
}
