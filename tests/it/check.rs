//! `isopod check` on projects that cannot start, and the exit codes of commands.

use crate::program::{Ended, isopod};
use crate::project::Project;

#[track_caller]
fn check(files: &[(&str, &str)]) -> Ended {
    let project = Project::new(files);
    isopod(&["check", project.path().to_str().expect("a path in UTF-8")])
}

#[track_caller]
fn says(ended: &Ended, parts: &[&str]) {
    let text = format!("{}{}", ended.stdout, ended.stderr);
    parts
        .iter()
        .for_each(|part| assert!(text.contains(part), "no {part:?} in:\n{text}"));
}

#[test]
fn a_valid_project_is_ok() {
    let ended = check(&[(
        "worker.ts",
        "export default { fetch: (): Response => new Response('ok') }",
    )]);
    assert_eq!(
        (ended.stdout.as_str(), ended.code),
        ("main: ok\n", Some(0)),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_syntax_error_shows_its_place_in_a_frame() {
    let ended = check(&[("worker.js", "const a = 1;\nconst b = ;\nexport default {};\n")]);
    assert_eq!(ended.code, Some(1));
    says(&ended, &["worker.js:2:11", "const b = ;", "^"]);
}

#[test]
fn a_missing_export_is_named_with_the_module_that_lacks_it() {
    let ended = check(&[
        ("worker.js", "import { gone } from './lib.js';\ngone();"),
        ("lib.js", "export const here = 1;"),
    ]);
    assert_eq!(ended.code, Some(1));
    says(&ended, &["gone", "lib.js", "worker.js:1"]);
}

#[test]
fn an_exception_in_top_level_code_shows_its_line() {
    let ended = check(&[("worker.ts", "type A = string;\n\nthrow new Error('not today');\n")]);
    assert_eq!(ended.code, Some(1));
    says(&ended, &["Error: not today", "worker.ts:3:7"]);
}

#[test]
fn a_worker_without_handlers_is_an_error() {
    for source in [
        "console.log('a command');",
        "export default {};",
        "export const size = () => 1;",
    ] {
        let ended = check(&[("worker.js", source)]);
        assert_eq!(ended.code, Some(1), "{source}");
        says(
            &ended,
            &[
                "fetch(), scheduled() or queue()",
                "export default { fetch",
                "isopod check --script",
            ],
        );
    }
    let project = Project::new(&[("command.js", "console.log('a command');")]);
    let ended = isopod(&["check", "--script", &project.file("command.js")]);
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn a_handler_is_found_in_whatever_form_it_has() {
    for source in [
        "export default { scheduled() {} };",
        "export default class { fetch() {} }",
        "export default class { fetch = () => new Response('') }",
        "class App { fetch() {} }\nexport default new App();",
        "const app = () => {};\napp.fetch = () => new Response('');\nexport { app as default };",
        "addEventListener('fetch', (event) => event.respondWith(new Response('')));",
    ] {
        let ended = check(&[("worker.js", source)]);
        assert_eq!(ended.code, Some(0), "{source}\n{}{}", ended.stdout, ended.stderr);
    }
}

#[test]
fn as_json_each_worker_has_its_own_result() {
    let project = Project::new(&[
        (
            "isopod.toml",
            "routes = [{ path = '/a', worker = 'good' }, { path = '/b', worker = 'bad' }]\n\
             [workers.good]\nmain = 'good.js'\n[workers.bad]\nmain = 'bad.js'",
        ),
        ("good.js", "export default { fetch: () => new Response('good') };"),
        ("bad.js", "throw new Error('bad');"),
    ]);
    let ended = isopod(&["check", "--json", &project.file("isopod.toml")]);
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
    let result: serde_json::Value = serde_json::from_str(&ended.stdout).expect("JSON");
    assert_eq!(result["good"], serde_json::json!({ "ok": true, "error": null }));
    assert_eq!(result["bad"]["ok"], false);
    assert!(
        result["bad"]["error"].as_str().expect("a text").contains("Error: bad"),
        "{result}"
    );
}

#[test]
fn an_unknown_key_is_an_error_with_a_suggestion() {
    let files = [
        ("isopod.toml", "main = 'worker.js'\n[limits]\nmemry = '64 MiB'"),
        ("worker.js", ""),
    ];
    let ended = check(&files);
    assert_eq!(ended.code, Some(2));
    says(&ended, &["isopod.toml", "memry", "`memory`", "3"]);
}

#[test]
fn errors_of_missing_packages_have_a_remedy() {
    let missing = check(&[("worker.js", "import 'left-pad';")]);
    assert_eq!(missing.code, Some(1));
    says(
        &missing,
        &["\"left-pad\" is not installed", "npm install left-pad", "worker.js"],
    );
    let commonjs = check(&[
        ("worker.js", "import old from 'old';"),
        ("package.json", "{}"),
        (
            "node_modules/old/package.json",
            r#"{ "name": "old", "main": "index.js" }"#,
        ),
        ("node_modules/old/index.js", "\nmodule.exports = require('left-pad');"),
    ]);
    assert_eq!(commonjs.code, Some(1));
    says(
        &commonjs,
        &[
            "Cannot find module 'left-pad'",
            "npm install left-pad",
            "old/index.js:2:18",
        ],
    );
}

#[test]
fn serve_exits_with_1_if_a_worker_cannot_start() {
    let project = Project::new(&[("worker.js", "throw new Error('no start');")]);
    let ended = isopod(&["serve", &project.file("worker.js"), "--listen", "127.0.0.1:0"]);
    assert_eq!(ended.code, Some(1));
    says(&ended, &["no start", "worker.js:1:7"]);
}

#[test]
fn an_invalid_port_or_number_of_threads_is_an_error_with_an_example() {
    let project = Project::new(&[("worker.js", "export default { fetch: () => new Response('') };")]);
    let file = project.file("worker.js");
    let ended = isopod(&["serve", &file, "--threads", "many"]);
    assert_eq!(ended.code, Some(2));
    says(
        &ended,
        &["'many'", "--threads", "from 0 (as many as workers need) to 10000"],
    );
    let ended = isopod(&["serve", &file, "--listen", "99999"]);
    assert_eq!(ended.code, Some(2));
    says(&ended, &["'99999'", "\"8787\" on 127.0.0.1", "unix:/path"]);
}
