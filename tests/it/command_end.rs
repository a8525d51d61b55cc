//! The end of a command: exit codes, reported errors, and what keeps it running.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;

use crate::program::{Ended, isopod, isopod_running, isopod_with_open_stdin};
use crate::project::Project;

fn eval(code: &str) -> Ended {
    isopod(&["eval", code])
}

#[track_caller]
fn ends_with(code: i32, script: &str) -> Ended {
    let ended = eval(script);
    assert_eq!(ended.code, Some(code), "{script}\n{}{}", ended.stdout, ended.stderr);
    ended
}

/// Code that imports from `isopod:process`.
fn with_process(code: &str) -> String {
    format!("import {{ exit, setExitCode, stderr, stdin, stdout }} from 'isopod:process'; {code}")
}

#[test]
fn exit_ends_the_script_anywhere() {
    for place in [
        "exit(3);",
        "setTimeout(() => exit(3), 1);",
        "setInterval(() => exit(3), 1); await new Promise(() => {});",
        "queueMicrotask(() => exit(3)); setTimeout(() => {}, 60_000);",
        "await 1; exit(3);",
        "Promise.reject(1).catch(() => exit(3));",
        "addEventListener('unhandledrejection', () => exit(3)); Promise.reject(1);",
        "addEventListener('error', () => exit(3)); setTimeout(() => { throw 1; }, 1);",
        "addEventListener('x', () => exit(3)); dispatchEvent(new Event('x')); console.log('no');",
        "new AbortController().signal.addEventListener('abort', () => {}); const c = new AbortController(); \
         c.signal.onabort = () => exit(3); c.abort();",
        "try { exit(3); } catch {} finally { console.log('no'); }",
        "new ReadableStream({ pull() { exit(3); } }).getReader().read();",
    ] {
        let ended = ends_with(3, &with_process(place));
        assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("", ""), "{place}");
    }
}

/// Node's rule for `process.exit`: an integer, or one as a string; the system keeps its low eight bits (POSIX,
/// `_exit`).
#[test]
fn the_exit_code_is_the_last_that_was_set_and_that_of_exit_goes_first() {
    for (script, code) in [
        ("setExitCode(11);", 11),
        ("setExitCode(11); exit();", 11),
        ("setExitCode(11); exit(0);", 0),
        ("exit('7');", 7),
        ("exit(256 + 9);", 9),
        ("exit(-1);", 255),
        ("exit(null);", 0),
        ("setExitCode(11); throw new Error('first');", 1),
    ] {
        ends_with(code, &with_process(script));
    }
    for wrong in ["exit('three')", "exit(1.5)", "exit(NaN)", "exit({})", "setExitCode('')"] {
        let ended = ends_with(1, &with_process(wrong));
        assert!(
            ended.stderr.contains("TypeError: an exit code must be a whole number"),
            "{wrong}: {}",
            ended.stderr
        );
    }
}

/// Deno's rule: `beforeunload` when nothing is pending, with `preventDefault()` to continue; `unload` at the end,
/// including after `exit()`. https://docs.deno.com/runtime/reference/lifecycle/
#[test]
fn listeners_for_beforeunload_and_unload_are_called_at_the_end() {
    let ended = ends_with(
        0,
        "let n = 0; addEventListener('beforeunload', (e) => {
            if (n++ < 2) { e.preventDefault(); setTimeout(() => console.log('more'), 1); }
        });
        onunload = () => console.log('end');",
    );
    assert_eq!(ended.stdout, "more\nmore\nend\n");
    let script = with_process("addEventListener('unload', () => { console.log('end'); exit(9); }); exit(2);");
    assert_eq!(ends_with(9, &script).stdout, "end\n");
    let ended = ends_with(1, "onunload = () => { throw new Error('late'); };");
    assert!(ended.stderr.contains("Uncaught Error: late"), "{}", ended.stderr);
}

#[test]
fn an_error_that_is_not_caught_ends_the_script_at_once_and_is_told_once() {
    for place in [
        "throw new Error('once');",
        "await 1; throw new Error('once');",
        "setTimeout(() => { throw new Error('once'); }, 1); await new Promise((go) => setTimeout(go, 60_000));",
        "queueMicrotask(() => { throw new Error('once'); });",
        "Promise.reject(new Error('once')); await new Promise((go) => setTimeout(go, 60_000));",
        "(async () => { await 1; throw new Error('once'); })(); setInterval(() => {}, 1000);",
        "await import('data:text/javascript,throw new Error(\"once\")').catch((e) => { throw new Error('once'); });",
        "addEventListener('x', () => { throw new Error('once'); }); dispatchEvent(new Event('x'));",
    ] {
        let ended = ends_with(1, place);
        assert_eq!(
            ended.stderr.matches("Error: once\n").count(),
            1,
            "{place}\n{}",
            ended.stderr
        );
    }
}

/// The output of `console.log(value)`.
#[test]
fn thrown_values_are_formatted_like_console_output() {
    for (thrown, shown) in [
        ("{ a: 1, b: [1, 2] }", "Uncaught { a: 1, b: [ 1, 2 ] }"),
        ("'text'", "Uncaught text"),
        ("undefined", "Uncaught undefined"),
        ("null", "Uncaught null"),
        ("10n", "Uncaught 10n"),
        ("Symbol('s')", "Uncaught Symbol(s)"),
        ("new Map([[1, 2]])", "Uncaught Map(1) { 1 => 2 }"),
        ("new Proxy({}, { get() { throw 1; } })", "Uncaught {}"),
        (
            "(({ proxy, revoke }) => (revoke(), proxy))(Proxy.revocable({}, {}))",
            "Uncaught (the thrown value cannot be displayed)",
        ),
        ("{ get a() { throw 1; } }", "Uncaught { a: [Getter] }"),
        (
            "Object.assign(new Error('e'), { code: 'E1', at: { line: 3 } })",
            "code: \"E1\",\n  at: { line: 3 }",
        ),
        ("new Error('e', { cause: { a: 1 } })", "[cause]: { a: 1 }"),
        (
            "new Error('e', { cause: new TypeError('why') })",
            "[cause]: TypeError: why",
        ),
        (
            "new class extends Error { get stack() { throw 1; } }('own')",
            "Uncaught Error: own",
        ),
    ] {
        let ended = ends_with(1, &format!("throw {thrown};"));
        assert!(ended.stderr.contains(shown), "{thrown}: {}", ended.stderr);
        let ended = ends_with(1, &format!("Promise.reject({thrown});"));
        let shown = shown.replace("Uncaught", "Uncaught (in promise)");
        assert!(ended.stderr.contains(&shown), "{thrown}: {}", ended.stderr);
    }
}

#[test]
fn an_aggregate_error_shows_its_errors() {
    let any = "await Promise.any([Promise.reject(new TypeError('one')), Promise.reject(new RangeError('two'))]);";
    for script in [
        any,
        "throw new AggregateError([new TypeError('one'), new RangeError('two')], 'many');",
    ] {
        let ended = ends_with(1, script);
        for part in ["AggregateError", "TypeError: one", "RangeError: two"] {
            assert!(ended.stderr.contains(part), "no {part} in {}", ended.stderr);
        }
    }
}

/// As `console.log` of the error, whose last frames are of the runtime in a timer and not at the top level.
#[test]
fn the_properties_of_an_error_are_in_braces_wherever_it_was_thrown() {
    let thrown = "throw Object.assign(new Error('e'), { code: 'E1' });";
    for script in [
        thrown.to_owned(),
        format!("setTimeout(() => {{ {thrown} }}, 1);"),
        format!("queueMicrotask(() => {{ {thrown} }});"),
        format!(
            "setTimeout(() => {{ try {{ {thrown} }} catch (cause) {{ throw new Error('f', {{ cause }}); }} }}, 1);"
        ),
    ] {
        let ended = ends_with(1, &script);
        let frame = ended.stderr.lines().position(|line| line.trim() == "code: \"E1\"");
        let before = frame.and_then(|at| ended.stderr.lines().nth(at.checked_sub(1)?));
        assert!(
            before.is_some_and(|line| line.trim_start().starts_with("at ") && line.ends_with(" {")),
            "{script}: {}",
            ended.stderr
        );
        assert!(!ended.stderr.contains("ext:"), "{script}: {}", ended.stderr);
    }
}

/// The script's own code has not run yet, so it cannot have caught an exception.
#[test]
fn an_error_of_loading_is_not_called_uncaught() {
    let project = Project::new(&[
        ("syntax.js", "const = 1;"),
        ("syntax.ts", "let a: = 1;"),
        ("export.js", "import { gone } from './lib.js';"),
        ("lib.js", ""),
        ("package.js", "import 'no-such-package';"),
        ("file.js", "import './gone.js';"),
        ("json.js", "import data from './bad.json' with { type: 'json' };"),
        ("bad.json", "{"),
        ("stuck.js", "await new Promise(() => {});"),
    ]);
    for name in [
        "syntax.js",
        "syntax.ts",
        "export.js",
        "package.js",
        "file.js",
        "json.js",
        "stuck.js",
    ] {
        let ended = isopod(&["run", &project.file(name)]);
        assert_eq!(ended.code, Some(1), "{name}");
        assert!(ended.stderr.starts_with("error: "), "{name}: {}", ended.stderr);
        assert!(!ended.stderr.contains("Uncaught"), "{name}: {}", ended.stderr);
        assert!(!ended.stderr.contains("[SyntaxError"), "{name}: {}", ended.stderr);
    }
}

#[test]
fn a_pending_read_of_standard_input_does_not_delay_the_exit() {
    let read = "const input = stdin().getReader(); await input.read(); ";
    for (rest, code) in [
        ("input.read(); exit(3);", 3),
        ("input.read(); setTimeout(() => exit(3), 1);", 3),
        ("input.read(); throw new Error('end');", 1),
        ("input.read();", 0),
        ("input.read(); await new Promise((go) => setTimeout(go, 1));", 0),
        ("await Promise.race([input.read(), 1]); await input.cancel();", 0),
    ] {
        let ended = isopod_with_open_stdin(&["eval", &with_process(&format!("{read}{rest}"))], "first");
        assert_eq!(ended.code, Some(code), "{rest}\n{}", ended.stderr);
    }
    for all in [
        "for await (const part of stdin()) break;",
        "for await (const part of stdin().pipeThrough(new TextDecoderStream())) break;",
    ] {
        let ended = isopod_with_open_stdin(&["eval", &with_process(all)], "first");
        assert_eq!(ended.code, Some(0), "{all}\n{}", ended.stderr);
    }
}

#[test]
fn a_read_of_standard_input_that_is_waited_for_keeps_the_script_alive() {
    let loops = "for (;;) { const { value, done } = await input.read(); if (done) break; console.log(value.length); }";
    for script in [
        format!("const input = stdin().getReader(); {loops}"),
        format!("const input = stdin().getReader(); (async () => {{ {loops} }})();"),
        "stdin().pipeTo(new WritableStream({ write: (part) => console.log(part.length) }));".to_owned(),
        "(async () => { for await (const part of stdin()) console.log(part.length); })();".to_owned(),
    ] {
        let mut child = isopod_running(&["eval", &with_process(&format!("console.log('begun'); {script}"))]);
        let mut input = child.stdin.take().expect("piped");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let mut line = || lines.next().and_then(Result::ok);
        assert_eq!(line().as_deref(), Some("begun"));
        for part in ["1", "22"] {
            input.write_all(part.as_bytes()).expect("a script that reads");
            assert_eq!(line(), Some(part.len().to_string()), "{script}");
        }
        drop(input);
        assert_eq!((line(), child.wait().expect("an end").code()), (None, Some(0)));
    }
}

#[test]
fn standard_output_and_standard_error_are_streams_in_order_with_console() {
    let ended = ends_with(
        0,
        &with_process(
            "const out = stdout.getWriter(); await out.write('a'); console.log('b');
             await out.write(new TextEncoder().encode('c')); await out.write(new Uint16Array([0x0a64]).buffer);
             out.releaseLock(); await new Response('e').body.pipeTo(stderr);",
        ),
    );
    assert_eq!((ended.stdout.as_str(), ended.stderr.as_str()), ("ab\ncd\n", "e"));
    let ended = ends_with(1, &with_process("await stdout.getWriter().write(1);"));
    assert!(ended.stderr.contains("TypeError: data must be"), "{}", ended.stderr);
}

/// 128 plus the number of SIGPIPE, as shells report a program ended by the signal.
#[test]
fn a_script_whose_output_is_no_longer_read_ends_quietly() {
    for write in ["console.log(i)", "await out.write(`${i}\\n`)"] {
        let script = with_process(&format!(
            "const out = stdout.getWriter(); for (let i = 0;; i++) {write};"
        ));
        let mut child = isopod_running(&["eval", &script]);
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        assert_eq!(lines.next().expect("a line").expect("text"), "0");
        drop(lines);
        let mut told = String::new();
        let mut stderr = child.stderr.take().expect("piped");
        stderr.read_to_string(&mut told).expect("output");
        assert_eq!(
            (child.wait().expect("an end").code(), told.as_str()),
            (Some(141), ""),
            "{write}"
        );
    }
}

#[test]
fn signals_end_an_endless_loop() {
    for (name, number) in [("INT", 2), ("TERM", 15)] {
        let mut child = isopod_running(&["eval", "console.log('begun'); for (;;);"]);
        let mut stdout = BufReader::new(child.stdout.take().expect("piped"));
        stdout.read_line(&mut String::new()).expect("a line");
        let pid = child.id().to_string();
        let sent = std::process::Command::new("kill").args(["-s", name, &pid]).status();
        assert!(sent.expect("the command kill").success());
        assert_eq!(child.wait().expect("an end").signal(), Some(number));
    }
}

#[test]
fn arguments_after_the_script_are_its_own() {
    let show = "import { args } from 'isopod:process'; console.log(JSON.stringify(args));";
    let project = Project::new(&[("show.js", show)]);
    let file = project.file("show.js");
    for (arguments, shown) in [
        (&["run", &file, "--", "a", "--b"][..], r#"["--","a","--b"]"#),
        (&["run", "--", &file, "a"], r#"["a"]"#),
        (
            &["run", &file, "a", "--", "--cpu", "1s", ""],
            r#"["a","--","--cpu","1s",""]"#,
        ),
        (&["run", "--cpu", "10s", &file, "--help"], r#"["--help"]"#),
    ] {
        let ended = isopod(arguments);
        assert_eq!(ended.stdout.trim_end(), shown, "{}", ended.stderr);
    }
    let ended = isopod(&["run", "--no-such-option", &file]);
    assert_eq!(ended.code, Some(2));
    assert!(
        ended.stderr.contains("unknown option --no-such-option"),
        "{}",
        ended.stderr
    );
}
