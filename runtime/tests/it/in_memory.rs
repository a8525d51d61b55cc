//! Bodies in memory: those of requests, which a script gets in one piece, and those of responses, which are sent in one piece.

use std::sync::Arc;

use futures::channel::oneshot;
use isopod_runtime::handlers::Body;
use isopod_runtime::{BootOptions, Worker};
use serde_json::{Value, json};

use crate::common::{drive, fetch, fetch_event, get, on_worker_thread, script};

fn read(body: impl Into<Body>, source: &str) -> Value {
    let script = script(&format!("export default {{ async fetch(request) {{ {source} }} }}"));
    let request = http::Request::post("http://example.com/").body(body.into()).unwrap();
    serde_json::from_str(&fetch(script, request).unwrap().1).unwrap()
}

#[test]
fn a_request_body_is_read_once() {
    let twice = "const again = request.text().catch((error) => error.name);
        return Response.json([used, got, request.bodyUsed, await again]);";
    for (how, got) in [
        ("await request.json()", json!({ "a": ["\u{e9}"] })),
        // A byte order mark is no part of the text.
        ("await request.text()", json!("{\"a\":[\"\u{e9}\"]}")),
        ("(await request.arrayBuffer()).byteLength", json!(15)),
        ("(await request.blob()).size", json!(15)),
        ("(await new Response(request.body).bytes()).length", json!(15)),
        ("(await new Request(request).bytes()).length", json!(15)),
    ] {
        let expected = json!([false, got, true, "TypeError"]);
        // Whether or not the body was asked for before.
        for used in ["request.bodyUsed", "false"] {
            let source = format!("const used = {used}; const got = {how}; {twice}");
            assert_eq!(read("\u{feff}{\"a\":[\"\u{e9}\"]}", &source), expected, "{how}");
        }
    }
}

#[test]
fn text_that_is_not_valid_is_replaced_or_refused() {
    let decoded = "return Response.json(await request.json());";
    assert_eq!(read(b"\"\xff\"".to_vec(), decoded), json!("\u{fffd}"));
    let refused = "return Response.json(await request.json().catch((error) => error.name));";
    assert_eq!(read("{", refused), "SyntaxError");
}

#[test]
fn clones_are_read_into_separate_buffers() {
    let source = "const copy = request.clone();
        new Uint8Array(await copy.arrayBuffer()).fill(0);
        const response = new Response(new Uint8Array([1, 2]));
        new Uint8Array(await response.clone().arrayBuffer()).fill(0);
        return Response.json([await request.text(), [...await response.bytes()]]);";
    assert_eq!(read("kept", source), json!(["kept", [1, 2]]));
}

/// Answers two requests in turn with one worker, and returns the bodies, or the faults.
fn two_answers(source: &str) -> [Result<String, String>; 2] {
    let script = Arc::new(script(source).build().unwrap());
    on_worker_thread(move |thread| async move {
        let mut worker = Worker::boot(&thread, &script, BootOptions::default()).await.unwrap();
        let mut answers = Vec::new();
        for path in ["/first", "/second"] {
            let (reply, mut answer) = oneshot::channel();
            worker.begin(fetch_event(get(path), reply));
            let answer = drive(&mut worker, || answer.try_recv().ok().flatten()).await;
            answers.push(match answer {
                Ok(response) => Ok(String::from_utf8_lossy(response.body().as_bytes().unwrap()).into_owned()),
                Err(fault) => Err(fault.message),
            });
        }
        answers.try_into().unwrap()
    })
}

#[test]
fn a_response_is_sent_once() {
    for made in [
        "new Response('sent')",
        "Response.json('sent')",
        "new Response(new Uint8Array(4))",
        "new Response('sent', { headers: { 'content-type': 'text/plain' } })",
        "new Response('sent', { status: 201 })",
    ] {
        for touched in ["", "kept.headers;", "kept.body;", "kept.clone();"] {
            let source = format!("const kept = {made}; {touched} export default {{ fetch: () => kept }}");
            let [first, second] = two_answers(&source);
            assert!(
                first.is_ok_and(|body| body.contains("sent") || body.len() == 4),
                "{source}"
            );
            assert!(
                second.is_err_and(|error| error.contains("already been used")),
                "{source}"
            );
        }
        let source = format!("const kept = {made}; export default {{ fetch: () => kept.clone() }}");
        assert!(two_answers(&source).iter().all(Result::is_ok), "{source}");
        let source = format!(
            "const kept = {made}; export default {{ async fetch(request) {{
                if (request.url.endsWith('first')) return kept;
                const again = await kept.text().catch((error) => error.name);
                return new Response(`${{kept.bodyUsed}} ${{again}}`);
            }} }}"
        );
        assert_eq!(two_answers(&source)[1].as_deref(), Ok("true TypeError"), "{source}");
    }
}

#[test]
fn a_response_has_the_type_it_was_given() {
    for (made, expected) in [
        ("new Response('a')", Some("text/plain;charset=UTF-8")),
        ("Response.json(1)", Some("application/json")),
        ("new Response(new Uint8Array(1))", None),
        (
            "new Response('a', { headers: { 'Content-Type': 'text/html' } })",
            Some("text/html"),
        ),
        (
            "new Response('a', { headers: { 'Content-Type': 'application/json' } })",
            Some("application/json"),
        ),
        (
            "new Response(new URLSearchParams('a=b'))",
            Some("application/x-www-form-urlencoded;charset=UTF-8"),
        ),
    ] {
        let source = format!("export default {{ fetch: () => {made} }}");
        let (head, _) = fetch(script(&source), get("/")).unwrap();
        let given = head.headers.get("content-type").map(|given| given.to_str().unwrap());
        assert_eq!(given, expected, "{made}");
        assert_eq!(head.headers.len(), usize::from(expected.is_some()), "{made}");
    }
    let late = "const made = new Response('a'); made.headers.set('x-late', '1'); made.headers.delete('content-type');
        export default { fetch: () => made }";
    let (head, _) = fetch(script(late), get("/")).unwrap();
    assert_eq!(
        (head.headers.len(), &head.headers["x-late"]),
        (1, &"1".parse().unwrap())
    );
}
