//! `node:process` in a command: https://nodejs.org/api/process.html

use crate::program::{Ended, isopod, isopod_in};
use crate::project::Project;

#[track_caller]
fn eval(code: &str) -> Ended {
    isopod(&[
        "eval",
        &format!("import process, {{ exit, argv, env }} from 'node:process'; {code}"),
    ])
}

#[test]
fn the_exit_code_is_the_one_of_the_process() {
    for (code, expected) in [
        ("process.exit(3);", 3),
        ("exit('7');", 7),
        ("process.exit(); ", 0),
        ("process.exitCode = 5;", 5),
        ("process.exitCode = 5; process.exit();", 5),
        ("process.exitCode = 5; process.exit(6);", 6),
        ("process.exitCode = 5; process.exitCode = undefined;", 0),
        ("setTimeout(() => process.exit(4)); await new Promise(() => {});", 4),
        ("globalThis.process.exit(9);", 9),
        ("process.exit('x');", 1),
    ] {
        let ended = eval(code);
        assert_eq!(ended.code, Some(expected), "{code}\n{}", ended.stderr);
    }
}

#[test]
fn listeners_of_exit_get_the_code_once() {
    for (code, expected) in [("process.exit(3);", 3), ("process.exitCode = 4;", 4), ("", 0)] {
        let ended = eval(&format!(
            "process.on('exit', (code) => process.stdout.write(`left with ${{code}}\\n`)); {code}"
        ));
        assert_eq!(ended.stdout, format!("left with {expected}\n"), "{}", ended.stderr);
        assert_eq!(ended.code, Some(expected));
    }
}

#[test]
fn arguments_variables_and_streams_are_those_of_the_command() {
    let script = "import process from 'node:process';
        let text = '';
        process.stdin.setEncoding('utf8');
        for await (const part of process.stdin) text += part;
        process.stdout.write(`${text}|`);
        process.stderr.write('to the other');
        process.stdout.write(JSON.stringify([process.argv[0], process.argv[1].endsWith('script.js'), ...process.argv.slice(2)]));
        process.stdout.write(JSON.stringify([process.env.TOLD, process.env.HOME]));";
    let project = Project::new(&[("script.js", script), (".env", "TOLD=by a file\n")]);
    let arguments = ["run", "--env-file", ".env", "script.js", "a", "--b"];
    let ended = isopod_in(project.path(), &arguments, "from outside");
    assert_eq!(
        ended.stdout, r#"from outside|["isopod",true,"a","--b"]["by a file",null]"#,
        "{}",
        ended.stderr
    );
    assert_eq!((ended.stderr.as_str(), ended.code), ("to the other", Some(0)));
}
