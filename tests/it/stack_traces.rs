//! Stack traces: created by native code outside of the isolate, from texts of the script.

use crate::process::resident_bytes_peak;
use crate::program::Serving;
use crate::project::Project;

const MIB: u64 = 1 << 20;

/// A name of 8 MB in each of some hundred frames. The longest string of V8 has 2^29 - 24 characters.
const SCRIPT: &str = r#"
    const LONGEST = 2 ** 29 - 24;
    const long = "n".repeat(8e6);
    const traces = {
        name() {
            const deep = { [long](depth) { return depth > 0 ? this[long](depth - 1) : new Error("e").stack; } };
            return deep[long](400);
        },
        method() {
            const deep = { [long]: function f(depth) { return depth > 0 ? f.call(this, depth - 1) : new Error("e").stack; } };
            return deep[long](400);
        },
        url() {
            const deep = (0, eval)(`(function f(depth) { return depth > 0 ? f(depth - 1) : new Error("e").stack; })
                //# sourceURL=${long}`);
            return deep(400);
        },
        thrown() {
            const deep = { [long](depth) { if (depth > 0) this[long](depth - 1); else throw new Error("thrown"); } };
            deep[long](400);
        },
        message: () => new Error("m".repeat(LONGEST)).stack,
        captured() {
            const object = { name: "n".repeat(LONGEST), message: "m".repeat(LONGEST) };
            Error.captureStackTrace(object);
            return object.stack;
        },
        changing() {
            let times = 0;
            const error = new Error("e");
            Object.defineProperty(error, "message", { get: () => times++ > 0 ? "m".repeat(LONGEST) : "short" });
            return error.stack;
        },
    };
    export default {
        fetch(request) {
            Error.stackTraceLimit = 1000;
            const trace = traces[new URL(request.url).pathname.slice(1)];
            return new Response(trace === undefined ? new Error("plain").stack : trace().slice(0, 200));
        },
    };
"#;

fn serve() -> (Serving, Project) {
    let project = Project::new(&[("isopod.toml", "main = 'main.js'"), ("main.js", SCRIPT)]);
    (Serving::start(project.path()), project)
}

#[test]
fn long_names_in_many_frames_are_not_written_out() {
    let (server, _project) = serve();
    server.get("/");
    let before = resident_bytes_peak(server.pid());
    for path in ["/name", "/method", "/url"] {
        assert_eq!(server.get(path).body, "Error: e", "{path}");
    }
    let answer = server.get("/thrown");
    assert_eq!(answer.status, 500);
    assert!(answer.body.contains("Error: thrown"), "{}", answer.body);
    // Written out, they would be 3.2 GB for each trace.
    assert!(resident_bytes_peak(server.pid()) < before + 600 * MIB);
}

#[test]
fn a_huge_error_text_does_not_end_the_process() {
    let (server, _project) = serve();
    for path in ["/message", "/captured"] {
        let body = server.get(path).body;
        assert!(
            body.ends_with("characters is too long for a stack trace"),
            "{path}: {body}"
        );
    }
    server.get("/changing");
    assert!(server.get("/").body.starts_with("Error: plain\n    at "));
}

/// https://tc39.es/ecma426/
#[test]
fn errors_of_a_bundle_show_the_source_that_its_map_brings_along() {
    // The first line comes from line 3 of src/in.ts; `throw` of another file is from no file that may be read.
    let map = |source: &str, content: &str| {
        format!(r#"{{"version":3,"sources":["{source}"],"sourcesContent":[{content}],"names":[],"mappings":"AAEA"}}"#)
    };
    let code = |name: &str| {
        format!("export const f = () => {{ throw new Error('{name}') }}\n//# sourceMappingURL={name}.map\n")
    };
    let project = Project::new(&[
        ("isopod.toml", "main = 'dist/main.js'\nenv_files = ['dist/secrets.map']"),
        ("dist/secrets.map", "TOKEN=hidden\nA=1\nB=2\n"),
        (
            "dist/main.js",
            "export default { async fetch(request) { (await import('.' + new URL(request.url).pathname)).f() } }",
        ),
        ("dist/bundle.js", &code("bundle.js")),
        (
            "dist/bundle.js.map",
            &map("../src/in.ts", r#""one\ntwo\nthrow new Oops()\n""#),
        ),
        ("dist/pointing.js", &code("pointing.js")),
        ("dist/pointing.js.map", &map("secrets.map", "null")),
        ("dist/reading.js", &code("secrets")),
    ]);
    let server = Serving::start(project.path());
    let page = server.get("/bundle.js").body;
    assert!(
        page.contains("src/in.ts:3:1") && page.contains("3 | throw new Oops()"),
        "{page}"
    );
    for path in ["/pointing.js", "/reading.js"] {
        let page = server.get(path).body;
        assert!(
            page.contains("Error: ") && !page.contains("hidden") && !page.contains("B=2"),
            "{path}: {page}"
        );
    }
    assert!(!server.log().contains("hidden"), "{}", server.log());
}
