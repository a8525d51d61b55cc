//! Prepares the scripts of `vendor`: gives them the surroundings of `src/js/shim.js`.

#[path = "build/module.rs"]
mod module;

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The start of every specifier of these scripts.
const PREFIX: &str = "ext:deno_node/";

/// Scripts that use the global `process`, which a worker may not have.
const USE_PROCESS: &[&str] = &["zlib.js"];

/// Lines of scripts in the snapshot with others in their place: path, line, replacement.
///
/// A snapshot does not keep that a buffer cannot be transferred. So the first pool is made when there is something to put into it.
const REPLACED: &[(&str, &str, &str)] = &[("internal/buffer.mjs", "createPool();", "poolSize = 0; poolOffset = 1;")];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=build");
    println!("cargo:rerun-if-changed=vendor");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    let mut files = Vec::new();
    list(Path::new("vendor"), &mut files);
    files.sort();
    let mut table = String::new();
    for (number, path) in files.iter().enumerate() {
        let name = path
            .strip_prefix("vendor")
            .expect("listed there")
            .to_string_lossy()
            .replace('\\', "/");
        let source = fs::read_to_string(path).expect("the scripts are readable");
        let script = match is_module(&source) {
            true => module::to_script(&source),
            false => source,
        };
        let script = replaced(&name, script);
        let code = ascii(&in_surroundings(&script, USE_PROCESS.contains(&name.as_str())));
        let file = out.join(format!("script_{number}.js"));
        fs::write(&file, code).expect("OUT_DIR is writable");
        table.push_str(&format!(
            "    (\"{PREFIX}{name}\", {:?}),\n",
            file.display().to_string()
        ));
    }
    let text =
        format!("/// Scripts: specifiers and files.\npub(super) const SCRIPTS: &[(&str, &str)] = &[\n{table}];\n");
    fs::write(out.join("vendored.rs"), text).expect("OUT_DIR is writable");
}

fn list(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("the folder is readable") {
        let path = entry.expect("the folder is readable").path();
        let is_script = path
            .extension()
            .is_some_and(|extension| ["js", "mjs", "ts"].iter().any(|known| extension == *known));
        if path.is_dir() {
            list(&path, files);
        } else if is_script {
            files.push(path);
        }
    }
}

/// Returns true for an ES module; every other script is one function call, whose value is the script's.
fn is_module(code: &str) -> bool {
    !code.lines().any(|line| line == "(function () {")
}

fn in_surroundings(code: &str, uses_process: bool) -> String {
    let call = code.trim_end().trim_end_matches(';');
    let process = if uses_process { ", process" } else { "" };
    let surroundings = "__bootstrap.core.loadExtScript(\"ext:isopod_node/shim.js\")";
    format!("(({{ bootstrap: __bootstrap, Deno{process} }}) => (\n{call}\n))({surroundings});\n")
}

/// Replaces the lines of [`REPLACED`].
fn replaced(name: &str, mut script: String) -> String {
    for (_, line, replacement) in REPLACED.iter().filter(|(path, ..)| *path == name) {
        let line = format!("\n{line}\n");
        assert_eq!(script.matches(&line).count(), 1, "{name} has one line {line}");
        script = script.replace(&line, &format!("\n{replacement}\n"));
    }
    script
}

/// Escapes what is not ASCII, as deno_core requires it of its scripts. It stands in literals and comments only.
fn ascii(code: &str) -> String {
    let mut units = [0; 2];
    let mut escaped = String::with_capacity(code.len());
    for c in code.chars() {
        match c.is_ascii() {
            true => escaped.push(c),
            false => escaped.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    escaped
}
