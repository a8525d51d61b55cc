//! Prepares the scripts of `vendor`: gives them the surroundings of `src/js/shim.js`.

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The start of every specifier of these scripts.
const PREFIX: &str = "ext:deno_node/";

/// Modules with another specifier.
const NAMES: &[(&str, &str)] = &[
    ("assert/strict.ts", "node:assert/strict"),
    ("buffer.ts", "node:buffer"),
    ("internal/streams/duplex_esm.js", "node:_stream_duplex"),
    ("internal/streams/passthrough_esm.js", "node:_stream_passthrough"),
    ("internal/streams/readable_esm.js", "node:_stream_readable"),
    ("internal/streams/transform_esm.js", "node:_stream_transform"),
    ("internal/streams/writable_esm.js", "node:_stream_writable"),
    ("path.ts", "node:path"),
    ("path/posix.ts", "node:path/posix"),
    ("path/win32.ts", "node:path/win32"),
    ("stream.ts", "node:stream"),
    ("stream/promises.js", "node:stream/promises"),
    ("util/types.ts", "node:util/types"),
];

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=vendor");
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    let mut files = Vec::new();
    list(Path::new("vendor"), &mut files);
    files.sort();
    let mut tables = [String::new(), String::new()];
    for (number, path) in files.iter().enumerate() {
        let name = path
            .strip_prefix("vendor")
            .expect("listed there")
            .to_string_lossy()
            .replace('\\', "/");
        let source = fs::read_to_string(path).expect("the scripts are readable");
        let is_module = is_module(&source);
        let code = ascii(&if is_module {
            in_module(&source)
        } else {
            in_script(&source)
        });
        let file = out.join(format!("script_{number}.js"));
        fs::write(&file, code).expect("OUT_DIR is writable");
        let named = NAMES.iter().find(|(file, _)| *file == name);
        let specifier = named.map_or_else(|| format!("{PREFIX}{name}"), |(_, specifier)| (*specifier).to_owned());
        tables[usize::from(is_module)].push_str(&format!("    ({specifier:?}, {:?}),\n", file.display().to_string()));
    }
    let [scripts, modules] = tables;
    let text = format!(
        "/// Scripts: specifiers and files.\npub(super) const SCRIPTS: &[(&str, &str)] = &[\n{scripts}];\n\
         /// Modules: specifiers and files.\npub(super) const MODULES: &[(&str, &str)] = &[\n{modules}];\n"
    );
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

fn in_script(code: &str) -> String {
    let call = code.trim_end().trim_end_matches(';');
    let surroundings = "__bootstrap.core.loadExtScript(\"ext:isopod_node/shim.js\")";
    format!("(({{ bootstrap: __bootstrap, Deno }}) => (\n{call}\n))({surroundings});\n")
}

fn in_module(code: &str) -> String {
    code.replace("\"ext:core/mod.js\"", "\"ext:isopod_node/core.js\"")
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
