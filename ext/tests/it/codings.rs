//! Encoded responses of `fetch`.

use std::io::Write;

use async_compression::tokio::bufread::{BrotliEncoder, GzipEncoder};
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;

use crate::common::raw::{Raw, late_bodies};
use crate::common::{io, run};
use crate::fetch::{local, with};

macro_rules! encoded {
    ($encoder:ident, $text:expr) => {{
        let encoding = async {
            let mut out = Vec::new();
            $encoder::new($text).read_to_end(&mut out).await.unwrap();
            out
        };
        futures::executor::block_on(encoding)
    }};
}

fn answer(head: &str, body: &[u8]) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 {head}\r\nconnection: close\r\n\r\n").into_bytes();
    answer.write_all(body).unwrap();
    answer
}

fn fetched(answer: Vec<u8>, init: &str) -> Value {
    let raw = Raw::answering(vec![answer]);
    let url = raw.url();
    run(
        &io(),
        with(local()),
        &format!(
            "const response = await fetch('{url}', {init});
             const text = await response.text().catch((error) => error.name);
             return [response.status, response.headers.get('content-encoding'), text];"
        ),
    )
}

/// RFC 9110, sections 5.3 and 8.4.
#[test]
fn layers_are_decoded_over_all_lines_of_the_label() {
    let gzip = encoded!(GzipEncoder, &b"hello"[..]);
    let both = encoded!(BrotliEncoder, &gzip[..]);
    for label in ["gzip, br", "X-GZip,identity ,, BR", "gzip\r\ncontent-encoding: br"] {
        let got = fetched(answer(&format!("200 OK\r\ncontent-encoding: {label}"), &both), "{}");
        assert_eq!(got[2], "hello", "{label}");
    }
    // Unknown: unchanged.
    let got = fetched(answer("200 OK\r\ncontent-encoding: gzip, aes128gcm", b"whatever"), "{}");
    assert_eq!(got, json!([200, "gzip, aes128gcm", "whatever"]));
}

/// Whichever way the message declares an empty body (RFC 9110, section 6.4.1; RFC 9112, section 6.3).
#[test]
fn an_empty_body_is_empty_in_every_coding() {
    for coding in ["gzip", "br", "zstd", "deflate", "gzip, br"] {
        let label = format!("content-encoding: {coding}");
        for (head, body, init) in [
            ("200 OK\r\ncontent-length: 0", "", "{}"),
            ("200 OK\r\ntransfer-encoding: chunked", "0\r\n\r\n", "{}"),
            ("200 OK", "", "{}"),
            ("200 OK\r\ncontent-length: 99", "", "{ method: 'HEAD' }"),
            ("200 OK\r\ntransfer-encoding: chunked", "", "{ method: 'HEAD' }"),
            ("204 No Content", "", "{}"),
            ("304 Not Modified\r\ncontent-length: 99", "", "{}"),
        ] {
            let got = fetched(answer(&format!("{head}\r\n{label}"), body.as_bytes()), init);
            assert_eq!((&got[1], &got[2]), (&json!(coding), &json!("")), "{head} {init}");
        }
    }
}

/// Fetch Standard, "HTTP-network-or-cache fetch": a request with `Range` asks for no encoding. An encoded response is a
/// part that cannot be decoded (RFC 9110, section 14).
#[test]
fn a_range_response_is_passed_on_unchanged() {
    let raw = Raw::answering(vec![answer(
        "206 Partial Content\r\ncontent-encoding: gzip\r\ncontent-range: bytes 3-6/9",
        b"part",
    )]);
    let url = raw.url();
    let got = run(
        &io(),
        with(local()),
        &format!("return await (await fetch('{url}', {{ headers: {{ range: 'bytes=3-6' }} }})).text();"),
    );
    assert_eq!(got, "part");
    assert!(raw.request().0.contains("accept-encoding: identity"));
}

#[test]
fn a_truncated_body_is_an_error() {
    let gzip = encoded!(GzipEncoder, &b"hello"[..]);
    let half = &gzip[..gzip.len() - 4];
    let head = format!("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}", half.len());
    assert_eq!(fetched(answer(&head, half), "{}")[2], "TypeError");
}

/// A response body that a request forwards with its label is not decoded.
#[test]
fn an_encoded_body_is_uploaded_as_it_came() {
    let text = "hello".repeat(100);
    let gzip = encoded!(GzipEncoder, text.as_bytes());
    let head = format!("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}", gzip.len());
    let ok = answer("200 OK\r\ncontent-length: 0", b"");
    for (headers, length) in [
        (
            "{ 'content-encoding': 'gzip' }",
            format!("content-length: {}", gzip.len()),
        ),
        ("{}", "transfer-encoding: chunked".to_owned()),
    ] {
        let raw = Raw::answering(vec![answer(&head, &gzip), ok.clone()]);
        let url = raw.url();
        run(
            &io(),
            with(local()),
            &format!(
                "const {{ body }} = await fetch('{url}');
                 await fetch('{url}', {{ method: 'PUT', body, headers: {headers} }});"
            ),
        );
        raw.request();
        let (head, _) = raw.request();
        assert!(head.contains(&length), "{head}");
    }
}

/// `encodeResponseBody` of @cloudflare/workers-types.
#[test]
fn a_response_stays_encoded_on_request() {
    let gzip = encoded!(GzipEncoder, &b"hello"[..]);
    let head = format!("200 OK\r\ncontent-encoding: gzip\r\ncontent-length: {}", gzip.len());
    let raw = Raw::answering(vec![answer(&head, &gzip); 3]);
    let url = raw.url();
    let got = run(
        &io(),
        with(local()),
        &format!(
            "const init = {{ encodeResponseBody: 'manual' }};
             const request = new Request('{url}', init);
             const bytes = async (...args) => [...await (await fetch(...args)).bytes()];
             const wrong = await thrown(() => new Request('{url}', {{ encodeResponseBody: 'no' }}));
             return [await bytes('{url}', init), await bytes(request.clone()), await bytes(new Request(request)), wrong.name];"
        ),
    );
    assert_eq!(got, json!([gzip, gzip, gzip, "TypeError"]));
}

/// Fetch Standard, "location URL"; URL Standard: non-ASCII characters are percent-encoded as UTF-8.
#[test]
fn a_location_in_utf_8_is_followed() {
    for (location, path) in [
        ("/ü?ä#ö", "get /%c3%bc?%c3%a4 http/1.1"),
        ("caf%C3%A9/漢", "get /caf%c3%a9/%e6%bc%a2 http/1.1"),
    ] {
        let raw = Raw::answering(vec![
            answer(&format!("302 Found\r\nlocation: {location}\r\ncontent-length: 0"), b""),
            answer("200 OK\r\ncontent-length: 2", b"ok"),
        ]);
        let got = run(
            &io(),
            with(local()),
            &format!("return await (await fetch('{}')).text();", raw.url()),
        );
        assert_eq!(got, "ok");
        raw.request();
        assert!(raw.request().0.starts_with(path));
    }
    // Unchanged for scripts that follow redirects themselves.
    let raw = Raw::answering(vec![answer("302 Found\r\nlocation: /ü\r\ncontent-length: 0", b"")]);
    let got = run(
        &io(),
        with(local()),
        &format!(
            "return (await fetch('{}', {{ redirect: 'manual' }})).headers.get('location');",
            raw.url()
        ),
    );
    assert_eq!(got, "/\u{c3}\u{bc}");
}

/// Subresource Integrity, "Do bytes match metadataList?"; Fetch Standard, "main fetch".
#[test]
fn a_response_that_does_not_match_its_integrity_is_refused() {
    const HELLO: &str = "sha256-LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=";
    let hello = || answer("200 OK\r\ncontent-length: 5", b"hello");
    let init = format!("{{ integrity: '{HELLO}' }}");
    assert_eq!(fetched(hello(), &init)[2], "hello");
    let refused = |answer: Vec<u8>, init: &str| {
        let url = Raw::answering(vec![answer]).url();
        run(
            &io(),
            with(local()),
            &format!("return await thrown(() => fetch({url:?}, {init}));"),
        )
    };
    assert_eq!(refused(hello(), "{ integrity: 'sha384-AAAA' }")["name"], "TypeError");
    assert_eq!(refused(answer("204 No Content", b""), &init)["name"], "TypeError");
    let url = Raw::answering(vec![hello()]).url();
    let got = run(
        &io(),
        with(local()),
        &format!("return await thrown(() => fetch(new Request({url:?}, {{ integrity: 'sha512-AAAA' }})));"),
    );
    assert!(got["message"].as_str().unwrap().contains("integrity"), "{got}");
}

/// RFC 9112, section 6.3: these responses have no body, whatever their headers say. One sent nevertheless is not the
/// answer to the next request.
#[test]
fn an_unexpected_response_body_corrupts_no_other_request() {
    let ask = |head: &'static str, methods: [&str; 2]| {
        let [first, second] = methods;
        run(
            &io(),
            with(local()),
            &format!(
                "const ask = async (method) => (await fetch('{}', {{ method }})).status;
                 return [await ask('{first}'), await ask('{second}'), await ask('{second}')];",
                late_bodies(head)
            ),
        )
    };
    assert_eq!(
        ask("204 No Content\r\ncontent-length: 5", ["GET", "POST"]),
        json!([204, 204, 204])
    );
    assert_eq!(
        ask("204 No Content\r\ntransfer-encoding: chunked", ["POST", "PATCH"]),
        json!([204, 204, 204])
    );
    assert_eq!(
        ask("304 Not Modified\r\ncontent-length: 5", ["GET", "CHICKEN"]),
        json!([304, 304, 304])
    );
    // Nothing announces this one; a request that may be repeated is.
    assert_eq!(ask("204 No Content", ["GET", "GET"]), json!([204, 204, 204]));
    assert_eq!(
        ask("200 OK\r\ncontent-length: 5", ["HEAD", "HEAD"]),
        json!([200, 200, 200])
    );
}

#[test]
fn an_answer_that_is_not_a_response_is_reported() {
    let url = Raw::answering(vec![b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()]).url();
    let got = run(
        &io(),
        with(local()),
        &format!("return await thrown(() => fetch({url:?}, {{ method: 'POST' }}));"),
    );
    assert!(got["cause"].as_str().unwrap().contains("valid HTTP response"), "{got}");
}
