//! Limits of CommonJS modules: what a script may read, and graphs of any size and shape.

use std::fmt::Write;

use isopod_runtime::handlers::FaultKind;
use serde_json::json;

use crate::common::call;
use crate::commonjs::Project;

#[test]
fn require_reaches_no_more_than_import() {
    let outside = tempfile::tempdir().unwrap();
    std::fs::write(outside.path().join("secret.js"), "module.exports = 'secret'").unwrap();
    let project = Project::new(&[
        ("main.mjs", "import a from './a.cjs'; export const look = (paths) => a(paths);"),
        (
            "a.cjs",
            "const literal = (() => { try { return require('../outside.js') } catch (e) { return 'refused' } })();
             module.exports = (paths) => [literal, ...paths.map((path) => {
               try { return require(path) } catch (e) { return e.message.includes('secret of the test') ? 'LEAK' : 'refused' }
             })];",
        ),
        (".env", "secret of the test"),
        (".hidden.js", "module.exports = 'secret of the test'"),
        ("key.pem", "secret of the test"),
        ("noext", "secret of the test"),
    ]);
    let secret = outside.path().join("secret.js").display().to_string();
    let paths = json!([
        secret.clone(),
        format!("file://{secret}"),
        "./.env",
        "./.hidden.js",
        "./key.pem",
        "./noext",
        "node:fs",
        "https://example.com/x.js",
        "data:text/javascript,1",
        "../../../../../../etc/passwd",
        "isopod-internal:commonjs",
        "ext:core/ops",
        "x".repeat(70_000),
    ]);
    let count = paths.as_array().unwrap().len();
    let seen = call(project.script("main.mjs"), "look", vec![paths]).unwrap();
    assert_eq!(seen, json!(vec!["refused"; count + 1]));
}

/// A chain of modules is a chain of calls, which ends as any recursion does.
#[test]
fn a_deep_graph_is_an_error_and_not_a_crash() {
    let project = Project::new(&[("main.mjs", "import a from './0.cjs'; export const look = () => a;")]);
    const DEPTH: usize = 3_000;
    for at in 0..DEPTH {
        project.write(
            &format!("{at}.cjs"),
            &format!("module.exports = 1 + require('./{}.cjs')", at + 1),
        );
    }
    project.write(&format!("{DEPTH}.cjs"), "module.exports = 0");
    let fault = call(project.script("main.mjs"), "look", vec![]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::BootFailed);
    assert!(
        fault.to_string().contains("Maximum call stack size exceeded"),
        "{fault}"
    );
}

/// A module that re-exports everything, in a cycle, once for each module.
#[test]
fn a_wide_cyclic_graph_loads() {
    let mut all = String::new();
    let project = Project::new(&[(
        "main.mjs",
        "import a, { n7 } from './all.cjs'; export const look = () => [n7, Object.keys(a).length];",
    )]);
    for at in 0..300 {
        project.write(
            &format!("{at}.cjs"),
            &format!("exports.n{at} = {at}; exports.all = () => require('./all.cjs'); exports.next = () => require('./{}.cjs')", (at + 1) % 300),
        );
        write!(all, "__exportStar(require('./{at}.cjs'), exports);").unwrap();
    }
    all.push_str("function __exportStar(from, to) { for (const key in from) to[key] = from[key] }");
    project.write("all.cjs", &all);
    assert_eq!(
        call(project.script("main.mjs"), "look", vec![]).unwrap(),
        json!([7, 302])
    );
}

#[test]
fn modules_and_bytes_are_counted() {
    let files = [
        ("main.mjs", "import a from './a.cjs'; export const look = () => a;"),
        (
            "a.cjs",
            "try { require('./b.cjs'); require('./data.json') } catch {} module.exports = 'loaded'",
        ),
        ("b.cjs", "exports.b = require('./c.cjs')"),
        ("c.cjs", "exports.c = 1"),
        ("data.json", "[1]"),
    ];
    let project = Project::new(&files);
    let with = |modules_max, commonjs_bytes_max| {
        let script = project.script("main.mjs").modules(move |mut options| {
            options.limits.modules_max = modules_max;
            options.limits.commonjs_bytes_max = commonjs_bytes_max;
            options
        });
        call(script, "look", vec![]).map_err(|fault| fault.to_string())
    };
    assert_eq!(with(5, 1000), Ok(json!("loaded")));
    let error = with(4, 1000).unwrap_err();
    assert!(error.contains("more than 4 modules"), "{error}");
    let error = with(5, 100).unwrap_err();
    assert!(error.contains("more than 100 bytes"), "{error}");
}

/// Code runs when it is required, under the limits of the start.
#[test]
fn code_of_modules_is_under_the_cpu_limit() {
    let project = Project::new(&[
        ("main.mjs", "import a from './a.cjs'; export const look = () => a;"),
        ("a.cjs", "for (;;);"),
    ]);
    let mut limits = isopod_runtime::Limits::default();
    limits.boot_cpu = std::time::Duration::from_millis(100);
    let fault = call(project.script("main.mjs").limits(limits), "look", vec![]).unwrap_err();
    assert!(fault.to_string().contains("CPU limit"), "{fault}");
}

/// Functions of sloppy code know their callers, unless those are strict: the runtime's own are.
#[test]
fn sloppy_code_cannot_reach_the_runtime_s_functions() {
    let project = Project::new(&[
        ("main.mjs", "import a from './a.cjs'; export const look = () => a;"),
        (
            "a.cjs",
            "const callers = [];
             function note() { callers.push(note.caller, arguments.callee.caller); }
             note();
             require('./b.cjs').call = 1;
             [1].forEach(note);
             structuredClone({ get a() { return note() } });
             new ReadableStream({ start: note });
             new EventTarget().addEventListener('x', { get handleEvent() { note() } });
             const target = new EventTarget(); target.addEventListener('x', note); target.dispatchEvent(new Event('x'));
             new Headers({ get a() { note(); return 'b' } });
             const seen = callers.map((caller) => caller === null ? null : caller.toString().slice(0, 40));
             Error.prepareStackTrace = (_, sites) => sites.map((site) => [site.getFunction(), site.getThis()]);
             const held = new Error().stack;
             delete Error.prepareStackTrace;
             const isForeign = (f) => typeof f === 'function' && f.toString().includes(['native', 'code'].join(' '));
             module.exports = [seen.filter((text) => text !== null && !text.startsWith('get ') && !text.includes('exports')),
               Array.isArray(held) && held.flat().some(isForeign)];",
        ),
        ("b.cjs", "module.exports = {}"),
    ]);
    let seen = call(project.script("main.mjs"), "look", vec![]).unwrap();
    assert_eq!(seen, json!([[], false]));
}

/// V8 aborts the process when native code throws too far below the end of the stack.
#[test]
fn modules_are_compiled_until_the_stack_ends() {
    let files: Vec<_> = (0..50)
        .map(|at| (format!("m/{at}.cjs"), format!("module.exports = {at}")))
        .collect();
    let broken: Vec<_> = (0..50)
        .map(|at| (format!("broken/{at}.cjs"), format!("{}{at}", "(".repeat(3_000))))
        .collect();
    let project = Project::new(&[
        (
            "main.mjs",
            "import a from './a.cjs'; export const look = () => a();",
        ),
        (
            "a.cjs",
            "module.exports = () => {
               let loaded = 0, names = {};
               const attempt = (name) => {
                 try { require(name); loaded++ } catch (error) { names[error.name] = true }
               };
               const dive = (left) => {
                 try { left = dive(left) } catch {}
                 if (left % 20 === 0) { try { attempt(`./m/${Math.abs(left / 20 % 50)}.cjs`); attempt(`./broken/${Math.abs(left / 20 % 10)}.cjs`) } catch {} }
                 return left - 1;
               };
               dive(1000);
               return [loaded > 0, Object.keys(names).sort()];
             }",
        ),
    ]);
    for (path, content) in files.iter().chain(&broken) {
        project.write(path, content);
    }
    let seen = call(project.script("main.mjs"), "look", vec![]).unwrap();
    assert_eq!(seen, json!([true, ["RangeError"]]));
}
