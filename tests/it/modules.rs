//! What scripts can import, and what they are given, when they are served.

use std::io::Write;

use crate::program::Serving;
use crate::project::{Project, fixture};

/// `(module (func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add))`
const ADD: [u8; 41] = [
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 7, 1, 0x60, 2, 0x7f, 0x7f, 1, 0x7f, 3, 2, 1, 0, 7, 7, 1, 3, 0x61, 0x64, 0x64,
    0, 0, 10, 9, 1, 7, 0, 0x20, 0, 0x20, 1, 0x6a, 0x0b,
];

#[test]
fn typescript_in_several_files_is_served_and_its_errors_show_what_was_written() {
    let server = Serving::start(fixture("typescript"));
    assert_eq!(server.get("/").body, "circle of 2 cm");
    assert_eq!(server.get("/page").body, "<h1>shapes</h1>");
    let failed = server.get("/fail");
    assert_eq!(failed.verdict(), (500, "exception"));
    assert!(failed.body.contains("shapes.ts:9:"), "{}", failed.body);
    assert!(failed.body.contains("worker.ts:17:"), "{}", failed.body);
}

#[test]
fn in_production_an_error_tells_its_reader_nothing() {
    let server = Serving::start_with(fixture("typescript"), &["--production"]);
    let failed = server.get("/fail");
    assert_eq!(failed.status, 500);
    assert!(
        !failed.body.contains("shapes") && !failed.body.contains("TypeError"),
        "{}",
        failed.body
    );
    assert!(
        failed.body.contains(failed.header("x-request-id").expect("an id")),
        "{}",
        failed.body
    );
}

#[test]
fn json_text_and_webassembly_are_modules() {
    let main = "import data from './data.json' with { type: 'json' };
        import note from './note.txt';
        import add from './add.wasm';
        export default { async fetch() {
            const { exports } = await WebAssembly.instantiate(add);
            const lazy = await import('./lazy.js');
            return Response.json([data.list[1], note, exports.add(40, 2), lazy.default]);
        } }";
    let project = Project::new(&[
        ("worker.js", main),
        ("data.json", r#"{ "list": [1, 2] }"#),
        ("note.txt", "noted"),
        ("lazy.js", "export default 'lazy';"),
    ]);
    let mut wasm = std::fs::File::create(project.file("add.wasm")).expect("a file");
    wasm.write_all(&ADD).expect("a file to write to");
    let answer = Serving::start(project.file("worker.js")).get("/");
    assert_eq!(answer.body, r#"[2,"noted",42,"lazy"]"#);
}

#[test]
fn a_package_is_found_by_the_conditions_of_workers() {
    let project = Project::new(&[
        ("package.json", r#"{ "type": "module" }"#),
        (
            "src/worker.ts",
            "import { where } from 'tool/sub'; export default { fetch: () => new Response(where) };",
        ),
        (
            "node_modules/tool/package.json",
            r#"{ "name": "tool", "exports": { "./sub": { "node": "./node.cjs", "workerd": "./worker.mjs", "default": "./default.mjs" } } }"#,
        ),
        ("node_modules/tool/node.cjs", "module.exports = { where: 'node' };"),
        (
            "node_modules/tool/worker.mjs",
            "export { where } from './deep/where.js';",
        ),
        ("node_modules/tool/deep/package.json", r#"{ "type": "module" }"#),
        ("node_modules/tool/deep/where.js", "export const where = 'worker';"),
        ("node_modules/tool/default.mjs", "export const where = 'default';"),
    ]);
    assert_eq!(Serving::start(project.path()).get("/").body, "worker");
}

#[test]
fn a_database_keeps_what_was_written_from_one_process_to_the_next() {
    let project = Project::copy_of("sql");
    {
        let server = Serving::start(project.path());
        let added = server.connect().post("/", "one\ntwo").expect("an answer");
        assert_eq!(added.body, r#"{"added":2,"last":2}"#);
    }
    let listed = Serving::start(project.path()).get("/");
    assert_eq!(
        listed.body,
        r#"{"first":"one","results":[{"id":1,"text":"one"},{"id":2,"text":"two"}]}"#
    );
}
