//! `isopod run` and `isopod eval`: scripts as commands.

use crate::program::{isopod, isopod_with};
use crate::project::Project;

#[test]
fn a_command_gets_only_allowed_variables() {
    let show =
        "import { args, env } from 'isopod:process'; console.log(JSON.stringify([args, Object.keys(env), env.A]));";
    let project = Project::new(&[("show.js", show)]);
    let file = project.file("show.js");
    let environment = [("A", "1"), ("B", "2")];
    let ended = isopod_with(&["run", &file, "one", "--two"], &environment, "");
    assert_eq!(
        (ended.stdout.as_str(), ended.code),
        ("[[\"one\",\"--two\"],[],null]\n", Some(0)),
        "{}",
        ended.stderr
    );
    let ended = isopod_with(&["run", "--allow-env=A", &file], &environment, "");
    assert_eq!(ended.stdout, "[[],[\"A\"],\"1\"]\n", "{}", ended.stderr);
}

#[test]
fn standard_input_is_a_stream() {
    let count = "import { stdin } from 'isopod:process';
        let text = '';
        for await (const part of stdin().pipeThrough(new TextDecoderStream())) text += part;
        console.log(text.length, text.slice(0, 5));";
    let project = Project::new(&[("count.js", count)]);
    let ended = isopod_with(&["run", &project.file("count.js")], &[], &"hello".repeat(50_000));
    assert_eq!(
        (ended.stdout.as_str(), ended.code),
        ("250000 hello\n", Some(0)),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_script_is_read_from_standard_input() {
    let ended = isopod_with(&["run", "-"], &[], "console.log(await Promise.resolve(40 + 2))");
    assert_eq!(
        (ended.stdout.as_str(), ended.code),
        ("42\n", Some(0)),
        "{}",
        ended.stderr
    );
}

#[test]
fn the_exit_code_is_the_scripts() {
    let exit = "import { exit } from 'isopod:process'; setTimeout(() => exit(7), 1); await new Promise(() => {
        setInterval(() => {}, 1000);
    });";
    let project = Project::new(&[
        ("later.js", exit),
        (
            "now.js",
            "import { exit } from 'isopod:process'; exit(3); console.log('no');",
        ),
    ]);
    assert_eq!(isopod(&["run", &project.file("later.js")]).code, Some(7));
    let now = isopod(&["run", &project.file("now.js")]);
    assert_eq!((now.code, now.stdout.as_str()), (Some(3), ""));
}

#[test]
fn an_uncaught_error_shows_the_lines_that_were_written() {
    let project = Project::new(&[
        ("main.ts", "import { fail } from './fail.ts';\n\nfail('no luck');\n"),
        (
            "fail.ts",
            "interface Unused {\n  a: string;\n}\n\nexport function fail(why: string): never {\n  throw new TypeError(why);\n}\n",
        ),
    ]);
    let ended = isopod(&["run", &project.file("main.ts")]);
    assert_eq!((ended.code, ended.stdout.as_str()), (Some(1), ""));
    assert!(ended.stderr.contains("Uncaught TypeError: no luck"), "{}", ended.stderr);
    assert!(
        ended.stderr.contains("fail.ts:6:9") && ended.stderr.contains("main.ts:3:1"),
        "{}",
        ended.stderr
    );
}

#[test]
fn an_unhandled_rejection_is_reported_once_with_exit_code_1() {
    let project = Project::new(&[(
        "reject.js",
        "Promise.reject(new Error('forgotten')); setTimeout(() => {}, 1);",
    )]);
    let ended = isopod(&["run", &project.file("reject.js")]);
    assert_eq!(ended.code, Some(1));
    assert_eq!(ended.stderr.matches("Uncaught").count(), 1, "{}", ended.stderr);
}

#[test]
fn eval_prints_an_expression_and_knows_types() {
    let ended = isopod(&["eval", "--print", "[1, 2, 3].map((n: number) => n * 2)"]);
    assert_eq!(
        (ended.stdout.as_str(), ended.code),
        ("[ 2, 4, 6 ]\n", Some(0)),
        "{}",
        ended.stderr
    );
}

#[test]
fn a_command_reaches_its_own_machine_only_with_permission() {
    let origin = crate::origin::Origin::start();
    let fetch = format!(
        "console.log(await (await fetch('http://{}/reached')).text())",
        origin.address
    );
    let refused = isopod(&["eval", &fetch]);
    assert_eq!((refused.code, origin.connections()), (Some(1), 0), "{}", refused.stderr);
    let allowed = isopod(&["eval", "--allow-private-network", &fetch]);
    assert_eq!(
        (allowed.stdout.as_str(), allowed.code),
        ("/reached\n", Some(0)),
        "{}",
        allowed.stderr
    );
}

#[test]
fn a_worker_run_as_a_command_gets_a_hint_and_a_command_gets_none() {
    let project = Project::new(&[
        ("worker.js", "export default { fetch: () => new Response('') };"),
        ("command.js", "export const half = (n) => n / 2;\nconsole.log(half(2));"),
    ]);
    let file = project.file("worker.js");
    let ended = isopod(&["run", &file]);
    assert_eq!((ended.stdout.as_str(), ended.code), ("", Some(0)));
    assert!(
        ended.stderr.contains(&format!("isopod serve {file}")),
        "{}",
        ended.stderr
    );
    let ended = isopod(&["run", &project.file("command.js")]);
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("1\n", ""));
}

#[test]
fn missing_folders_and_files_are_reported() {
    let project = Project::new(&[]);
    let folder = project.path().to_str().expect("a path in UTF-8");
    let ended = isopod(&["run", folder]);
    assert_eq!(ended.code, Some(1));
    assert!(
        ended.stderr.contains("is a folder") && ended.stderr.contains("isopod serve"),
        "{}",
        ended.stderr
    );
    let ended = isopod(&["run", &project.file("gone.js")]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("gone.js: No such file"), "{}", ended.stderr);
}
