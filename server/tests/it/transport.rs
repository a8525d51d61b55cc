use std::sync::Arc;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use isopod_server::{Listen, TlsFiles};
use rustls::pki_types::ServerName;
use tokio::{
    io::AsyncWriteExt,
    net::{TcpStream, UnixStream},
};

use crate::support::{address, config, read_all, start};

async fn echo_h2(stream: impl tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin + Send + 'static) -> Bytes {
    let io = TokioIo::new(stream);
    let (mut client, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let big = Bytes::from(vec![b'x'; 1 << 20]);
    let requests = (0..4).map(|_| {
        let request = Request::post("https://localhost/echo")
            .body(Full::new(big.clone()))
            .unwrap();
        let response = client.send_request(request);
        async { response.await.unwrap().into_body().collect().await.unwrap().to_bytes() }
    });
    let bodies = futures::future::join_all(requests.collect::<Vec<_>>()).await;
    assert!(bodies.iter().all(|body| *body == big));
    let request = Request::get("https://localhost/who")
        .body(Full::new(Bytes::new()))
        .unwrap();
    client
        .send_request(request)
        .await
        .unwrap()
        .into_body()
        .collect()
        .await
        .unwrap()
        .to_bytes()
}

#[tokio::test]
async fn clear_text_http2_is_detected_by_its_preface() {
    let (running, _) = start(config());
    let who = echo_h2(TcpStream::connect(address(&running)).await.unwrap()).await;
    assert!(who.starts_with(b"worker http://localhost/who "), "{who:?}");
}

/// Writes a new certificate into the files.
fn certify(files: &TlsFiles) -> rcgen::CertifiedKey<rcgen::KeyPair> {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    std::fs::write(&files.certificates, made.cert.pem()).unwrap();
    std::fs::write(&files.key, made.signing_key.serialize_pem()).unwrap();
    made
}

/// Returns the certificate that a server presents to a client that trusts this one.
async fn shown_to(
    running: &isopod_server::Running,
    trusted: &rcgen::CertifiedKey<rcgen::KeyPair>,
) -> std::io::Result<Vec<u8>> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add(trusted.cert.der().clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(address(running)).await?;
    let name = ServerName::try_from("localhost").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(client))
        .connect(name, stream)
        .await?;
    Ok(stream.get_ref().1.peer_certificates().unwrap()[0].to_vec())
}

#[tokio::test]
async fn certificates_are_read_again_and_a_broken_one_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let first = certify(&files);
    let listeners = vec![Listen::tcp("127.0.0.1:0".parse().unwrap()).with_tls(files.clone())];
    let (running, _) = start(config().listeners(listeners));
    let second = certify(&files);
    assert_eq!(shown_to(&running, &first).await.unwrap(), first.cert.der().to_vec());
    running.handle().reload_certificates().unwrap();
    assert_eq!(shown_to(&running, &second).await.unwrap(), second.cert.der().to_vec());
    std::fs::write(&files.certificates, "no certificate").unwrap();
    assert!(running.handle().reload_certificates().is_err());
    assert_eq!(shown_to(&running, &second).await.unwrap(), second.cert.der().to_vec());
}

#[tokio::test]
async fn tls_offers_http2_and_http1() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
    let made = certify(&files);
    let listeners = vec![Listen::tcp("127.0.0.1:0".parse().unwrap()).with_tls(files)];
    let (running, _) = start(config().listeners(listeners));

    let mut roots = rustls::RootCertStore::empty();
    roots.add(made.cert.der().clone()).unwrap();
    let connect = |protocol: &'static [u8]| {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let mut client = rustls::ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots.clone())
            .with_no_client_auth();
        client.alpn_protocols = vec![protocol.to_vec()];
        let connector = tokio_rustls::TlsConnector::from(Arc::new(client));
        let address = address(&running);
        async move {
            let stream = TcpStream::connect(address).await.unwrap();
            connector
                .connect(ServerName::try_from("localhost").unwrap(), stream)
                .await
                .unwrap()
        }
    };
    let who = echo_h2(connect(b"h2").await).await;
    assert!(who.starts_with(b"worker https://localhost/who "), "{who:?}");
    let mut stream = connect(b"http/1.1").await;
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(read_all(&mut stream).await.ends_with("hello"));
}

#[tokio::test]
async fn a_unix_socket_serves_takes_over_a_stale_file_and_is_removed_at_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("isopod.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).unwrap());
    assert!(path.exists(), "there is a stale file to take over");
    let (running, _) = start(config().listeners(vec![Listen::unix(&path)]));
    let mut stream = UnixStream::connect(&path).await.unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    assert!(read_all(&mut stream).await.ends_with("hello"));
    running.shutdown(std::time::Duration::from_secs(10)).await;
    assert!(!path.exists());
}

#[tokio::test]
async fn a_handshake_that_does_not_come_holds_no_end_up() {
    let folder = tempfile::tempdir().unwrap();
    let files = TlsFiles::new(folder.path().join("cert.pem"), folder.path().join("key.pem"));
    certify(&files);
    let listeners = vec![Listen::tcp("127.0.0.1:0".parse().unwrap()).with_tls(files)];
    let (running, _) = start(config().listeners(listeners));
    let silent = TcpStream::connect(address(&running)).await.unwrap();
    let mut half = TcpStream::connect(address(&running)).await.unwrap();
    // The header of a handshake record of 256 bytes, without its content.
    half.write_all(&[22, 3, 1, 1, 0]).await.unwrap();
    let began = std::time::Instant::now();
    running.shutdown(std::time::Duration::from_secs(30)).await;
    assert!(
        began.elapsed() < std::time::Duration::from_secs(5),
        "{:?}",
        began.elapsed()
    );
    drop((silent, half));
}
