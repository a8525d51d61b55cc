//! Prepares the scripts of `vendor`: gives them the surroundings of `src/js/shim.js`.

#[path = "build/module.rs"]
mod module;

use std::path::{Path, PathBuf};
use std::{env, fs};

/// The start of every specifier of these scripts.
const PREFIX: &str = "ext:deno_node/";

/// Scripts that use the global `process`, which a worker may not have.
const USE_PROCESS: &[&str] = &["zlib.js"];

/// Parts of scripts in the snapshot with others in their place: path, part, replacement.
///
/// A snapshot does not keep that a buffer cannot be transferred. So the first pool is made when there is something to put into it, and
/// `snapshot.js`, which does that too, drops its pool.
///
/// Reading the 294 classes of errors from a snapshot, and what they are made of, takes longer than all the rest of Node.js in it. So
/// they are loaded with the first error, and `inspect` when it is called.
const REPLACED: &[(&str, &str, &str)] = &[
    (
        "internal/buffer.mjs",
        "\ncreatePool();\n",
        "\n(internals.isopodDropPool = () => { poolSize = 0; poolOffset = 1; allocPool = allocBuffer = undefined; })();\n",
    ),
    (
        "internal/buffer.mjs",
        "const {\n  ERR_INVALID_ARG_TYPE,\n  ERR_INVALID_STATE,\n  genericNodeError,\n} = \
         core.loadExtScript(\"ext:deno_node/internal/errors.ts\");\n",
        "const __errors = () => core.loadExtScript(\"ext:deno_node/internal/errors.ts\");\n\
         const genericNodeError = (message, properties) => __errors().genericNodeError(message, properties);\n",
    ),
    (
        "internal/buffer.mjs",
        "new ERR_INVALID_ARG_TYPE(",
        "new (__errors().ERR_INVALID_ARG_TYPE)(",
    ),
    (
        "internal/buffer.mjs",
        "new ERR_INVALID_STATE(",
        "new (__errors().ERR_INVALID_STATE)(",
    ),
    (
        "internal/buffer.mjs",
        "const { inspect: utilInspect } = core.loadExtScript(\n  \"ext:deno_node/internal/util/inspect.mjs\",\n);\n",
        "const utilInspect = (value, options) =>\n  \
         core.loadExtScript(\"ext:deno_node/internal/util/inspect.mjs\").inspect(value, options);\n",
    ),
    (
        "internal/error_codes.ts",
        "const codes: Record<string, any> = {};\n",
        "const codes = { __proto__: new __bootstrap.primordials.Proxy({ __proto__: null }, {\n  \
           __proto__: null,\n  \
           get: (_, name) => {\n    \
             __bootstrap.core.loadExtScript(\"ext:deno_node/internal/errors.ts\");\n    \
             return __bootstrap.primordials.ObjectHasOwn(codes, name) ? codes[name] : undefined;\n  \
           },\n\
         }) };\n",
    ),
    (
        "internal/util.mjs",
        "const { ERR_UNKNOWN_SIGNAL } = core.loadExtScript(\n  \"ext:deno_node/internal/errors.ts\",\n);\n",
        "",
    ),
    (
        "internal/util.mjs",
        "new ERR_UNKNOWN_SIGNAL(",
        "new (core.loadExtScript(\"ext:deno_node/internal/errors.ts\").ERR_UNKNOWN_SIGNAL)(",
    ),
    (
        "internal/util.mjs",
        "const { os } = core.loadExtScript(\n  \"ext:deno_node/internal_binding/constants.ts\",\n);\n",
        "const os = {\n  __proto__: null,\n  get signals() {\n    \
           return core.loadExtScript(\"ext:deno_node/internal_binding/constants.ts\").os.signals;\n  },\n};\n",
    ),
];

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

/// Replaces the parts in [`REPLACED`].
fn replaced(name: &str, mut script: String) -> String {
    for (_, part, replacement) in REPLACED.iter().filter(|(path, ..)| *path == name) {
        assert!(script.contains(part), "{name} has {part}");
        script = script.replace(part, replacement);
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
