//! `isopod:fs` in commands: denied unless allowed, by the path after resolving links.

use std::os::unix::fs::symlink;

use crate::program::Serving;
use crate::program::{Ended, isopod};
use crate::project::Project;

const ALL: &str = "import * as fs from 'isopod:fs';";

/// Two folders, `in` and `out`, with one file each.
fn project() -> Project {
    Project::new(&[
        ("in/a.txt", "hello"),
        ("in/sub/b.txt", "b"),
        ("out/secret.txt", "secret"),
    ])
}

fn eval(options: &[&str], code: &str) -> Ended {
    let code = format!("{ALL}{code}");
    isopod(&[&["eval"], options, &[&code]].concat())
}

#[track_caller]
fn prints(options: &[&str], code: &str, output: &str) {
    let ended = eval(options, code);
    assert_eq!(
        (ended.stdout.as_str(), ended.code),
        (output, Some(0)),
        "{code}\n{}",
        ended.stderr
    );
}

#[test]
fn permissions_are_denied_by_default_with_a_remedy() {
    let project = project();
    let file = project.file("in/a.txt");
    let folder = project.file("in");
    for (code, option) in [
        (format!("await fs.readFile('{file}')"), "allow-read"),
        (format!("await fs.readable('{file}')"), "allow-read"),
        (format!("await fs.stat('{file}')"), "allow-read"),
        (format!("await fs.stat('{folder}/none')"), "allow-read"),
        (format!("for await (const e of fs.readDir('{folder}'));"), "allow-read"),
        (format!("await fs.writeTextFile('{file}', '')"), "allow-write"),
        (format!("await fs.writable('{file}')"), "allow-write"),
        (format!("await fs.mkdir('{folder}/new')"), "allow-write"),
        (format!("await fs.remove('{file}')"), "allow-write"),
        (format!("await fs.rename('{file}', '{file}.old')"), "allow-write"),
        (format!("await fs.copyFile('{file}', '{file}.new')"), "allow-read"),
    ] {
        let ended = eval(&[], &code);
        assert_eq!(ended.code, Some(1), "{code}");
        for part in ["PermissionDenied: ", "is not allowed", &format!("--{option}=")] {
            assert!(ended.stderr.contains(part), "{code}: no {part:?} in {}", ended.stderr);
        }
    }
    assert_eq!(std::fs::read_to_string(file).expect("the file"), "hello");
}

#[test]
fn read_and_write_permissions_are_separate() {
    let project = project();
    let file = project.file("in/a.txt");
    let name = |code: &str| format!("try {{ {code}; console.log('done') }} catch (e) {{ console.log(e.name) }}");
    let write = name(&format!("await fs.writeTextFile('{file}', 'x')"));
    let read = name(&format!("await fs.readTextFile('{file}')"));
    let rename = name(&format!("await fs.rename('{file}', '{file}.new')"));
    prints(&["--allow-read"], &write, "PermissionDenied\n");
    prints(&["--allow-write"], &read, "PermissionDenied\n");
    // A file that may not be read cannot be renamed into a readable folder.
    prints(&["--allow-write"], &rename, "PermissionDenied\n");
    prints(&["--allow-write"], &write, "done\n");
}

#[test]
fn only_named_paths_are_allowed_without_links_out() {
    let project = project();
    symlink("../out/secret.txt", project.path().join("in/file")).expect("a link");
    symlink(project.path().join("out"), project.path().join("in/folder")).expect("a link");
    symlink(project.path().join("out/new.txt"), project.path().join("in/nowhere")).expect("a link");
    symlink("a.txt", project.path().join("in/inside")).expect("a link");
    let folder = project.file("in");
    let (read, write) = (format!("--allow-read={folder}"), format!("--allow-write={folder}"));
    let options = [read.as_str(), write.as_str()];
    for path in ["a.txt", "sub/b.txt", "sub/../a.txt", "inside"] {
        prints(
            &options,
            &format!("console.log((await fs.stat('{folder}/{path}')).isFile)"),
            "true\n",
        );
    }
    for path in [
        "file",
        "folder/secret.txt",
        "folder",
        "../out/secret.txt",
        "sub/../../out/secret.txt",
        "nowhere",
    ] {
        for code in [
            format!("await fs.readFile('{folder}/{path}')"),
            format!("await fs.writeTextFile('{folder}/{path}', 'mine')"),
            format!("await fs.copyFile('{folder}/a.txt', '{folder}/{path}')"),
        ] {
            let ended = eval(&options, &code);
            assert_eq!(ended.code, Some(1), "{code}");
            assert!(ended.stderr.contains("PermissionDenied"), "{code}: {}", ended.stderr);
        }
    }
    // The link is in the folder; its target remains.
    prints(
        &options,
        &format!("console.log((await fs.lstat('{folder}/file')).isSymlink)"),
        "true\n",
    );
    prints(
        &options,
        &format!("await fs.remove('{folder}/file'); await fs.remove('{folder}/folder')"),
        "",
    );
    let secret = std::fs::read_to_string(project.file("out/secret.txt")).expect("the file");
    assert_eq!(secret, "secret");
    assert!(!project.path().join("out/new.txt").exists());
}

#[test]
fn several_paths_are_allowed_even_missing_ones() {
    let project = project();
    let (a, new) = (project.file("in/a.txt"), project.file("in/new.txt"));
    let option = format!("--allow-write={new},{a}");
    prints(
        &[&option],
        &format!("await fs.writeTextFile('{new}', 'n'); await fs.writeTextFile('{a}', 'a')"),
        "",
    );
    assert_eq!(std::fs::read_to_string(new).expect("the file"), "n");
    let ended = eval(
        &[&option],
        &format!("await fs.writeTextFile('{}', '')", project.file("in/new.txt2")),
    );
    assert_eq!(ended.code, Some(1), "{}", ended.stderr);
}

#[test]
fn files_are_written_read_listed_and_removed() {
    let project = project();
    let folder = project.file("in");
    let code = format!(
        "const at = (name) => '{folder}/' + name;
        await fs.writeTextFile(at('t'), 'one');
        await fs.writeTextFile(at('t'), ' two', {{ append: true }});
        console.log(await fs.readTextFile(at('t')), (await fs.stat(at('t'))).size);
        await fs.writeFile(at('t'), new Uint16Array([0x4241]));
        await fs.writeFile(at('u'), new Response('streamed').body);
        console.log(await fs.readTextFile(at('t')), await fs.readTextFile(new URL('file://' + at('u'))));
        console.log(await fs.readTextFile(new URL('file://host' + at('u'))).catch((error) => error.name));
        await fs.mkdir(at('x/y'), {{ recursive: true }});
        await fs.mkdir(at('x/y'), {{ recursive: true }});
        await fs.rename(at('t'), at('x/t'));
        await fs.copyFile(at('x/t'), at('x/y/v'));
        const names = []; for await (const e of fs.readDir(at('x'))) names.push(e.name + e.isDirectory);
        console.log(names.sort().join());
        await fs.remove(at('x'), {{ recursive: true }});
        const left = []; for await (const e of fs.readDir(at(''))) left.push(e.name);
        console.log(left.sort().join());
        const {{ modified }} = await fs.stat(at('u'));
        console.log(modified instanceof Date && Date.now() - modified < 60_000);"
    );
    let output = "one two 7\nAB streamed\nTypeError\nttrue\n".replace("ttrue", "tfalse,ytrue") + "a.txt,sub,u\ntrue\n";
    prints(&["--allow-read", "--allow-write"], &code, &output);
}

/// Names as in Deno's `Deno.errors`, codes as in POSIX (errno.h).
#[test]
fn errors_have_a_name_and_a_code() {
    let project = project();
    let folder = project.file("in");
    for (code, shown) in [
        ("fs.readFile(at('none'))", "NotFound ENOENT true"),
        ("fs.readFile(at('none/none'))", "NotFound ENOENT true"),
        ("fs.readFile(at(''))", "IsADirectory EISDIR true"),
        ("fs.readFile(at('a.txt/x'))", "NotADirectory ENOTDIR true"),
        ("fs.writeTextFile(at('sub'), '')", "IsADirectory EISDIR true"),
        (
            "fs.writeTextFile(at('a.txt'), '', { createNew: true })",
            "AlreadyExists EEXIST true",
        ),
        ("fs.mkdir(at('sub'))", "AlreadyExists EEXIST true"),
        ("fs.remove(at('sub'))", "DirectoryNotEmpty ENOTEMPTY true"),
        ("fs.readFile('a\\0b')", "InvalidPath EINVAL true"),
        ("fs.readFile(1)", "TypeError undefined false"),
        ("fs.readFile(new URL('https://a.b/c'))", "TypeError undefined false"),
        ("fs.writeFile(at('a.txt'), {})", "TypeError undefined false"),
    ] {
        let code = format!(
            "const at = (name) => '{folder}/' + name;
             try {{ await {code} }} catch (e) {{ console.log(e.name, e.code, e instanceof fs.FileError) }}"
        );
        prints(&["--allow-read", "--allow-write"], &code, &format!("{shown}\n"));
    }
    assert_eq!(
        std::fs::read_to_string(project.file("in/a.txt")).expect("the file"),
        "hello"
    );
}

#[test]
fn file_streams_use_bounded_memory() {
    let project = project();
    let big = project.file("in/big");
    let code = format!(
        "const out = (await fs.writable('{big}')).getWriter(), chunk = new Uint8Array(1 << 20).fill(7);
        for (let i = 0; i < 100; i++) await out.write(chunk);
        await out.close();
        let bytes = 0;
        for await (const part of await fs.readable('{big}')) bytes += part.length;
        await (await fs.readable('{big}')).pipeTo(await fs.writable('{big}.copy'));
        console.log(bytes, (await fs.stat('{big}.copy')).size);
        try {{ await fs.readFile('{big}') }} catch (e) {{ console.log(e.name) }}"
    );
    let output = "104857600 104857600\nRangeError\n";
    prints(&["--allow-read", "--allow-write", "--memory", "64MiB"], &code, output);
}

#[test]
fn a_served_worker_has_no_file_access() {
    let worker = "import { readTextFile } from 'isopod:fs';
        export default { async fetch() {
            try { return new Response(await readTextFile('worker.js')); } catch (e) { return new Response(e.name + e.message); }
        } };";
    let project = Project::new(&[("worker.js", worker)]);
    let serving = Serving::start(project.path());
    let body = serving.get("/").body;
    assert!(
        body.starts_with("NotSupported") && body.contains("isopod run"),
        "{body}"
    );
}
