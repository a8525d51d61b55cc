//! Module resolution of commands, and the effect of their project's `isopod.toml`.

use std::io::{BufRead, BufReader};

use crate::program::{isopod, isopod_in, isopod_running};
use crate::project::Project;

fn project() -> Project {
    Project::new(&[
        (
            "isopod.toml",
            "import_map = 'map.json'\nsecrets = ['NOT_SET']\n[vars]\nGREETING = 'hi'\n[jsx]\nimport_source = 'pkg'\n",
        ),
        ("map.json", r#"{ "imports": { "lib/": "./lib/" } }"#),
        ("other.json", r#"{ "imports": { "lib/": "./other/" } }"#),
        ("lib/a.ts", "export const a: string = 'lib';"),
        ("other/a.ts", "export const a: string = 'other';"),
        (
            "tools/main.ts",
            "import { a } from 'lib/a.ts'; import { env } from 'isopod:workers'; console.log(a, env.GREETING);",
        ),
        ("plain/main.js", "import { a } from '../lib/a.ts'; console.log(a);"),
        (
            "node_modules/pkg/package.json",
            r#"{ "name": "pkg", "type": "module", "exports": { ".": "./a.js", "./jsx-runtime": "./jsx.js" } }"#,
        ),
        ("node_modules/pkg/a.js", "export default 'pkg';"),
        (
            "node_modules/pkg/jsx.js",
            "export const jsx = (type, props) => `<${type}>${props.children}`; export const jsxs = jsx;",
        ),
    ])
}

#[test]
fn the_settings_of_the_nearest_isopod_toml_hold_wherever_the_command_is_started() {
    let project = project();
    let ended = isopod(&["run", &project.file("tools/main.ts")]);
    assert_eq!(ended.stdout, "lib hi\n", "{}", ended.stderr);
    let ended = isopod_in(&project.path().join("tools"), &["run", "main.ts"], "");
    assert_eq!(ended.stdout, "lib hi\n", "{}", ended.stderr);
}

#[test]
fn an_import_map_is_found_from_any_folder() {
    let project = project();
    for (folder, script) in [
        ("lib", "../tools/main.ts"),
        (".", "lib/../tools/main.ts"),
        ("tools", "./main.ts"),
    ] {
        let ended = isopod_in(&project.path().join(folder), &["run", script], "");
        assert_eq!(ended.stdout, "lib hi\n", "{}", ended.stderr);
    }
    let arguments = ["run", "--import-map", "../other.json", "../tools/main.ts"];
    let ended = isopod_in(&project.path().join("lib"), &arguments, "");
    assert_eq!(ended.stdout, "other hi\n", "{}", ended.stderr);
    let worker = "import { a } from 'lib/a.ts'; export default { fetch: () => new Response(a) };";
    std::fs::write(project.path().join("worker.ts"), worker).expect("a file");
    let configuration = "main = 'worker.ts'\nimport_map = 'map.json'\n";
    std::fs::write(project.path().join("isopod.toml"), configuration).expect("a file");
    let ended = isopod_in(&project.path().join("lib"), &["check", ".."], "");
    assert_eq!(ended.code, Some(0), "{}", ended.stderr);
}

#[test]
fn an_import_map_and_a_root_that_are_given_go_first() {
    let project = project();
    let (map, main) = (project.file("other.json"), project.file("tools/main.ts"));
    let ended = isopod(&["run", "--import-map", &map, &main]);
    assert_eq!(ended.stdout, "other hi\n", "{}", ended.stderr);
    let ended = isopod(&["run", "--root", &project.file("plain"), &project.file("plain/main.js")]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("outside the root"), "{}", ended.stderr);
    let ended = isopod(&["run", "--import-map", "none.json", &main]);
    assert_eq!(ended.code, Some(1));
    assert!(ended.stderr.contains("none.json"), "{}", ended.stderr);
}

#[test]
fn code_that_is_in_no_file_is_a_module_in_the_current_folder() {
    let project = project();
    let code = "import pkg from 'pkg'; import { a } from './lib/a.ts'; import { a as b } from 'lib/a.ts';
        const all: string[] = [pkg, a, b]; console.log(await Promise.resolve(all.join()));";
    for arguments in [&["eval", code][..], &["run", "-"]] {
        let ended = isopod_in(project.path(), arguments, code);
        assert_eq!(
            (ended.stdout.as_str(), ended.code),
            ("pkg,lib,lib\n", Some(0)),
            "{}",
            ended.stderr
        );
    }
    let unused = isopod_in(project.path(), &["eval", "import unused from './lib/a.ts';"], "");
    assert!(
        unused.stderr.contains("default"),
        "an import was left out: {}",
        unused.stderr
    );
    let jsx = "const view: string = <p>text</p>; console.log(view)";
    for arguments in [&["eval", jsx][..], &["run", "-"], &["eval", "--print", "<p>text</p>"]] {
        let ended = isopod_in(project.path(), arguments, jsx);
        assert_eq!(
            (ended.stdout.as_str(), ended.code),
            ("<p>text\n", Some(0)),
            "{}",
            ended.stderr
        );
    }
    let generic = "const same = <T>(value: T) => value; console.log(same(<number>1));";
    let ended = isopod_in(project.path(), &["eval", generic], "");
    assert_eq!(ended.stdout, "1\n", "{}", ended.stderr);
}

#[test]
fn deeply_nested_code_is_an_error() {
    for open in ["[", "(", "<p>", "a?b:", "!"] {
        let code = open.repeat(30_000);
        let ended = isopod_in(&std::env::temp_dir(), &["run", "-"], &code);
        assert_eq!(
            ended.code,
            Some(1),
            "{open}: {}",
            &ended.stderr[..ended.stderr.len().min(500)]
        );
        assert!(ended.stderr.starts_with("error: "), "{open}");
    }
}

#[test]
fn a_script_is_read_from_a_pipe_that_has_a_name() {
    let folder = Project::new(&[("lib.js", "export const text = 'piped';")]);
    let pipe = folder.path().join("pipe");
    let made = std::process::Command::new("mkfifo")
        .arg(&pipe)
        .status()
        .expect("the command mkfifo");
    assert!(made.success());
    let writer = {
        let pipe = pipe.clone();
        std::thread::spawn(move || std::fs::write(pipe, "import { text } from './lib.js'; console.log(text);"))
    };
    let ended = isopod_in(folder.path(), &["run", "pipe"], "");
    writer.join().expect("a writer").expect("a pipe that is read");
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("piped\n", ""));
}

#[test]
fn an_invalid_isopod_toml_is_reported_with_its_place() {
    let project = Project::new(&[("isopod.toml", "import_mpa = 'a.json'\n"), ("a.js", "")]);
    let ended = isopod(&["run", &project.file("a.js")]);
    assert_eq!(ended.code, Some(2));
    for part in ["isopod.toml:1", "import_mpa", "import_map"] {
        assert!(ended.stderr.contains(part), "no {part} in {}", ended.stderr);
    }
}

#[test]
fn a_watched_script_reruns_when_its_modules_change() {
    let project = Project::new(&[
        (
            "main.js",
            "import { text } from './text.js'; import { writeTextFile } from 'isopod:fs';
             await writeTextFile(new URL('out.json', import.meta.url), text); console.log(text);",
        ),
        ("text.js", "export const text = 'one';"),
    ]);
    let mut child = isopod_running(&["run", "--watch", "--allow-write", &project.file("main.js")]);
    let mut stdout = BufReader::new(child.stdout.take().expect("piped")).lines();
    let mut stderr = BufReader::new(child.stderr.take().expect("piped")).lines();
    let mut printed = || stdout.next().expect("a line").expect("text");
    let mut told = || stderr.next().expect("a line").expect("text");
    assert_eq!(
        (printed().as_str(), told().as_str()),
        ("one", "exited with 0; waiting for changes")
    );
    project.write("text.js", "export const text = ;");
    assert!(told().contains("text.js changed"));
    while told() != "exited with 1; waiting for changes" {}
    project.write("text.js", "export const text = 'two';");
    assert_eq!(printed(), "two");
    child.kill().expect("a process");
    child.wait().expect("an end");
}
