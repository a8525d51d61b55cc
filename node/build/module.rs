//! From a module to a script, in the forms that the scripts of `vendor` use.
//!
//! A module with imports that is first needed while JavaScript runs cannot be loaded then: deno_core panics when an import is
//! not there yet. A script loads what it needs itself.

use std::fmt::Write;

const CORE: &str = "ext:core/mod.js";
const OWN: &str = "ext:deno_node/";

/// Scripts of modules by their names.
const NAMES: &[(&str, &str)] = &[
    ("node:_stream_duplex", "ext:deno_node/internal/streams/duplex_esm.js"),
    (
        "node:_stream_passthrough",
        "ext:deno_node/internal/streams/passthrough_esm.js",
    ),
    (
        "node:_stream_readable",
        "ext:deno_node/internal/streams/readable_esm.js",
    ),
    (
        "node:_stream_transform",
        "ext:deno_node/internal/streams/transform_esm.js",
    ),
    (
        "node:_stream_writable",
        "ext:deno_node/internal/streams/writable_esm.js",
    ),
    ("node:process", "ext:isopod_node/process.js"),
    // Those that import it are parts of it, and take nothing but `Duplex`.
    ("node:stream", "ext:deno_node/internal/streams/duplex_esm.js"),
    ("node:stream/promises", "ext:deno_node/stream/promises.js"),
];

/// The code that has the module's exports in an object.
fn loaded(specifier: &str) -> String {
    let named = NAMES
        .iter()
        .find(|(name, _)| *name == specifier)
        .map(|(_, script)| *script);
    match named.or_else(|| specifier.starts_with(OWN).then_some(specifier)) {
        _ if specifier == CORE => "__bootstrap".to_owned(),
        Some(script) => format!("__bootstrap.core.loadExtScript(\"{script}\")"),
        None => panic!("no script is known for the import of {specifier}"),
    }
}

/// `a, b as c` as pairs of names.
fn names(list: &str) -> Vec<(String, String)> {
    let items = list.split(',').map(str::trim).filter(|item| !item.is_empty());
    let pair = |item: &str| match item.split_once(" as ") {
        Some((one, other)) => (one.trim().to_owned(), other.trim().to_owned()),
        None => (item.to_owned(), item.to_owned()),
    };
    items.map(pair).collect()
}

fn braced(text: &str) -> Option<&str> {
    let (_, rest) = text.split_once('{')?;
    rest.split_once('}').map(|(inside, _)| inside)
}

/// `import … from "…";`
fn import(statement: &str) -> String {
    let (what, from) = statement
        .trim_start_matches("import")
        .rsplit_once(" from ")
        .unwrap_or_else(|| panic!("unknown form: {statement}"));
    let specifier = from.trim().trim_end_matches(';').trim_matches('"');
    let (what, module) = (what.trim(), loaded(specifier));
    if let Some(name) = what.strip_prefix("* as ") {
        return format!("const {name} = {module};\n");
    }
    match braced(what) {
        Some(list) => {
            let list: Vec<_> = names(list).iter().map(|(name, own)| format!("{name}: {own}")).collect();
            format!("const {{ {} }} = {module};\n", list.join(", "))
        }
        None => format!("const {what} = {module}.default;\n"),
    }
}

/// Returns true if a statement that begins with this line ends in it.
fn ends(statement: &str) -> bool {
    statement.trim_end().ends_with(';')
}

/// Converts a module. Its exports are the properties of the script's value.
pub(super) fn to_script(source: &str) -> String {
    let (mut code, mut exports) = (String::new(), String::new());
    let mut lines = source.lines();
    while let Some(line) = lines.next() {
        let is_list = line.starts_with("import ") || line.starts_with("export {");
        if is_list {
            let mut statement = line.to_owned();
            while !ends(&statement) {
                statement.push(' ');
                statement.push_str(lines.next().expect("a statement ends"));
            }
            match braced(&statement) {
                Some(list) if line.starts_with("export") => names(list).iter().for_each(|(own, name)| {
                    _ = writeln!(exports, "__exports.{name} = {own};");
                }),
                _ => code.push_str(&import(&statement)),
            }
            continue;
        }
        if let Some(rest) = line.strip_prefix("export default function ") {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
            _ = writeln!(exports, "__exports.default = {name};");
            _ = writeln!(code, "function {rest}");
        } else if let Some(rest) = line.strip_prefix("export default ") {
            _ = writeln!(code, "__exports.default = {rest}");
        } else if let Some(rest) = line
            .strip_prefix("export function ")
            .or(line.strip_prefix("export class "))
        {
            let name: String = rest.chars().take_while(|c| c.is_alphanumeric()).collect();
            _ = writeln!(exports, "__exports.{name} = {name};");
            _ = writeln!(code, "{}", line.trim_start_matches("export "));
        } else if let Some(rest) = line.strip_prefix("export const {") {
            let mut list = rest.to_owned();
            while !list.contains('}') {
                list.push('\n');
                list.push_str(lines.next().expect("a pattern ends"));
            }
            let inside = list.split_once('}').map_or("", |(inside, _)| inside);
            for (name, _) in names(inside) {
                _ = writeln!(exports, "__exports.{name} = {name};");
            }
            _ = writeln!(code, "const {{{list}");
        } else if let Some(rest) = line.strip_prefix("export const ") {
            let name = rest.split([' ', ':']).next().unwrap_or_default();
            _ = writeln!(exports, "__exports.{name} = {name};");
            _ = writeln!(code, "const {rest}");
        } else {
            assert!(!line.starts_with("export "), "unknown form: {line}");
            _ = writeln!(code, "{line}");
        }
    }
    format!("(function () {{\nconst __exports = {{}};\n{code}{exports}return __exports;\n}})()")
}
