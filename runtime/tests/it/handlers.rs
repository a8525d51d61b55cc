//! Calling handlers, and their answers.

use std::sync::Arc;

use crate::common::{call, fetch, get, on_worker_thread, script};
use futures::FutureExt;
use isopod_runtime::handlers::{Body, FaultKind};
use isopod_runtime::{BootOptions, Compatibility, NodeCompat, Script, Worker};
use serde_json::json;

#[test]
fn a_fetch_handler_answers_with_its_response() {
    let hello =
        script("export default { fetch: () => new Response('hello', { status: 201, headers: { 'x-a': 'b' } }) }");
    let (head, body) = fetch(hello, get("/")).unwrap();
    assert_eq!((head.status.as_u16(), body.as_str()), (201, "hello"));
    assert_eq!(head.headers["x-a"], "b");
    assert_eq!(head.headers["content-type"], "text/plain;charset=UTF-8");
}

#[test]
fn the_request_shows_method_url_headers_and_body() {
    let echo = script(
        "export default { async fetch(request) {
            return Response.json([request.method, request.url, request.headers.get('x-in'), await request.text()]);
        } }",
    );
    let request = http::Request::post("http://example.com/a?b=c")
        .header("x-in", "1")
        .body(Body::from("sent"))
        .unwrap();
    let (_, body) = fetch(echo, request).unwrap();
    assert_eq!(body, r#"["POST","http://example.com/a?b=c","1","sent"]"#);
}

/// As the platform does for scripts in service-worker syntax, which have no argument with bindings.
#[test]
fn a_script_without_a_default_export_has_its_bindings_as_globals() {
    let listener = "const greeting = `${GREETING} ${URL.name}`;
        addEventListener('fetch', (event) => event.respondWith(new Response(`${greeting} ${LIMITS.items}`)));";
    let script = |source: &str| {
        Script::builder("bound")
            .source(source)
            .text("GREETING", "hello")
            .text("URL", "not the class")
            .json("LIMITS", json!({ "items": 3 }))
    };
    assert_eq!(fetch(script(listener), get("/")).unwrap().1, "hello URL 3");
    let module = "const seen = typeof GREETING; export default { fetch: () => new Response(seen) }";
    assert_eq!(fetch(script(module), get("/")).unwrap().1, "undefined");
}

#[test]
fn a_response_streams_chunk_by_chunk() {
    let stream = script(
        "export default { fetch: () => new Response(new ReadableStream({
            async start(controller) {
                for (let i = 0; i < 3; i++) {
                    await new Promise((resolve) => setTimeout(resolve, 1));
                    controller.enqueue(new TextEncoder().encode(`chunk ${i};`));
                }
                controller.close();
            } })) }",
    );
    assert_eq!(fetch(stream, get("/")).unwrap().1, "chunk 0;chunk 1;chunk 2;");
}

#[test]
fn a_request_body_streams_through_to_the_response() {
    let through = script("export default { fetch: (request) => new Response(request.body) }");
    let request = http::Request::post("http://example.com/")
        .body(Body::from("x".repeat(1 << 20)))
        .unwrap();
    assert_eq!(fetch(through, request).unwrap().1.len(), 1 << 20);
}

#[test]
fn an_exception_is_a_fault_with_its_class_and_stack() {
    let broken = script("export default { fetch() {\n  throw new RangeError('too far');\n} }");
    let fault = fetch(broken, get("/")).unwrap_err();
    assert_eq!(fault.kind, FaultKind::Exception);
    assert_eq!(fault.message, "RangeError: too far");
    assert_eq!(fault.thrown.expect("an error").class, "RangeError");
    assert!(fault.detail.unwrap().contains("main.js:2:9"));
}

#[test]
fn typescript_runs_and_its_stack_shows_the_lines_that_were_written() {
    let typed = Script::builder("typed").typescript(
        "interface Unused { a: number }\n\nenum Colour { Red = 'red' }\n\nexport default {\n  fetch(): Response {\n    \
         throw new Error(Colour.Red as string);\n  },\n};",
    );
    let fault = fetch(typed, get("/")).unwrap_err();
    assert_eq!(fault.message, "Error: red");
    let detail = fault.detail.unwrap();
    assert!(detail.contains("main.ts:7:"), "{detail}");
}

#[test]
fn answers_that_are_not_responses_are_refused_with_a_reason() {
    let wrong = script("export default { fetch: () => 'text' }");
    assert!(
        fetch(wrong, get("/"))
            .unwrap_err()
            .message
            .contains("must return a Response")
    );
}

#[test]
fn a_handler_that_can_never_answer_is_told_so_at_once() {
    let hung = script("export default { fetch: () => new Promise(() => {}) }");
    assert!(fetch(hung, get("/")).unwrap_err().message.contains("will never answer"));
}

#[test]
fn service_worker_scripts_answer_through_respond_with() {
    let old = script("addEventListener('fetch', (event) => event.respondWith(new Response(event.request.url)))");
    assert_eq!(fetch(old, get("/old")).unwrap().1, "http://example.com/old");
}

#[test]
fn classes_get_env_and_ctx() {
    let class = script(
        "import { WorkerEntrypoint } from 'cloudflare:workers';
         export default class extends WorkerEntrypoint {
            fetch(request) { this.ctx.waitUntil(Promise.resolve()); return new Response(this.env.GREETING); }
         }",
    );
    assert_eq!(fetch(class.text("GREETING", "hi"), get("/")).unwrap().1, "hi");
}

#[test]
fn exported_functions_are_called_with_values() {
    let add = script("export function add(a, b) { return { sum: a + b }; } export default {}");
    assert_eq!(call(add, "add", vec![json!(1), json!(2)]).unwrap(), json!({ "sum": 3 }));
    let missing = script("export const a = 1;");
    assert!(
        call(missing, "nothing", vec![])
            .unwrap_err()
            .message
            .contains("no function \"nothing\"")
    );
}

#[test]
fn user_code_does_not_see_deno_nor_the_way_in() {
    let source = "export function look() { return [typeof Deno, typeof __bootstrap, typeof __isopod, typeof process, \
         Object.keys(globalThis).filter((name) => /deno|isopod|bootstrap/i.test(name)).length]; }";
    for (node, process) in [(NodeCompat::Off, "undefined"), (NodeCompat::Full, "object")] {
        let look = script(source).compatibility(Compatibility::default().node(node));
        assert_eq!(
            call(look, "look", vec![]).unwrap(),
            json!(["undefined", "undefined", "undefined", process, 0])
        );
    }
}

#[test]
fn two_isolates_of_one_snapshot_differ_in_their_random_numbers() {
    let random = "export const random = () => [Math.random(), crypto.randomUUID()];";
    let first = call(script(random), "random", vec![]).unwrap();
    let second = call(script(random), "random", vec![]).unwrap();
    assert_ne!(first[0], second[0]);
    assert_ne!(first[1], second[1]);
}

#[test]
fn named_entry_points_answer_by_their_name() {
    let named = script("export class Admin { fetch() { return new Response('admin') } } export default {}");
    let answered = crate::common::answer(named, |reply| isopod_runtime::handlers::Event {
        entrypoint: Some("Admin".into()),
        ..crate::common::fetch_event(get("/"), reply)
    });
    assert_eq!(answered.unwrap().body().as_bytes().unwrap(), "admin");
}

#[test]
fn a_syntax_error_names_file_line_and_column_and_shows_the_code() {
    let fault = fetch(script("const a = 1;\nconst b = ;"), get("/")).unwrap_err();
    assert_eq!(fault.kind, FaultKind::BootFailed);
    let detail = fault.detail.unwrap();
    assert!(
        detail.contains("main.js:2:11") && detail.contains("2 | const b = ;"),
        "{detail}"
    );
}

#[test]
fn a_version_stays_what_it_was_when_its_file_changes() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("main.js");
    std::fs::write(&file, "export const version = () => 1;").unwrap();
    let script = std::sync::Arc::new(Script::builder("file").file(&file).build().unwrap());
    for _ in 0..2 {
        let version = crate::common::call_shared(&script, "version").unwrap();
        assert_eq!(version, json!(1));
        std::fs::write(&file, "export const version = () => 2;").unwrap();
    }
}

#[test]
fn a_worker_starts_in_a_task_that_has_used_up_its_budget() {
    on_worker_thread(|thread| async move {
        let script = Arc::new(script("export default {}").build().unwrap());
        let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
        // Tokio reports a channel as empty after a task has used up its budget.
        let received = (0..).map(|n| {
            sender.try_send(n).unwrap();
            receiver.recv().now_or_never()
        });
        assert!(received.take_while(Option::is_some).count() < 1000);
        Worker::boot(&thread, &script, BootOptions::default()).await.unwrap();
    });
}
