//! Decides what a script uses of Node.js: a worker without Node.js modules starts faster and is smaller.

use std::collections::HashSet;

use deno_core::url::Url;

use super::loads_too_long;
use crate::image::NodeUse;
use crate::limits::has_to_stop;
use crate::modules::{ModuleCode, ModuleKind, PROVIDED, RequestedType, file_of, is_node};
use crate::{NodeCompat, Script};

/// Globals of Node.js. A module that has one of these words may use it.
const GLOBALS: &[&str] = &["Buffer", "process", "global", "setImmediate", "clearImmediate"];

/// Modules that have nothing but globals and what they are made of.
const OF_GLOBALS: &[&str] = &["buffer", "process", "timers"];

/// Finds the Node.js modules that the script imports, and the names of its globals. Follows literal imports
/// and reads these modules, as loading them does. Errors are left to loading, except that the start takes too long.
pub(crate) fn uses_node(script: &Script) -> Result<NodeUse, String> {
    let mut used = NodeUse::None;
    if script.compatibility.node < NodeCompat::Prefixed {
        return Ok(used);
    }
    let mut largest: Option<(Url, usize)> = None;
    let has_globals = script.compatibility.node == NodeCompat::Full;
    let mut seen = HashSet::from([script.entry.clone()]);
    let mut left = vec![script.entry.clone()];
    while let Some(url) = left.pop() {
        if has_to_stop() {
            return Err(loads_too_long(largest.as_ref().map(|(url, bytes)| (url, *bytes))));
        }
        if is_node(&url) {
            // This module is in every worker.
            if url.path() == "async_hooks" {
                continue;
            }
            if !OF_GLOBALS.contains(&url.path()) {
                return Ok(NodeUse::Modules);
            }
            used = NodeUse::Globals;
            continue;
        }
        let file = file_of(&url);
        let commonjs = match script.loader.commonjs(&file) {
            Err(error) if error.is_for_lack_of_time() => return Err(error.to_string()),
            commonjs => commonjs.ok().flatten(),
        };
        if let Some(module) = commonjs {
            let mut named = false;
            let imports = script
                .loader
                .visit_graph(&file, module, |module| named |= names_global(&module.code));
            if let Err(error) = &imports
                && error.is_for_lack_of_time()
            {
                return Err(error.to_string());
            }
            if has_globals && named {
                used = NodeUse::Globals;
            }
            let imports = imports.into_iter().flatten().filter_map(|url| Url::parse(&url).ok());
            left.extend(imports.filter(|found| seen.insert(found.clone())));
            continue;
        }
        let read = || script.loader.load(&url, RequestedType::Unspecified, None);
        let module = script.module_cache.get_or_read(&url, RequestedType::Unspecified, read);
        let module = match module {
            Ok(module) => module,
            Err(error) if error.is_for_lack_of_time() => return Err(error.to_string()),
            Err(_) => continue,
        };
        let bytes = module.code.len();
        if largest.as_ref().is_none_or(|(_, largest)| *largest < bytes) {
            largest = Some((url.clone(), bytes));
        }
        let (ModuleKind::JavaScript, ModuleCode::Text(code)) = (module.kind, &module.code) else {
            continue;
        };
        if code.contains("require") && names_module(code) {
            return Ok(NodeUse::Modules);
        }
        if has_globals && used == NodeUse::None && names_global(code) {
            used = NodeUse::Globals;
        }
        if code.contains("import") || code.contains("export") {
            let imports = script.loader.imports(&url, code).map_err(|error| error.to_string())?;
            left.extend(imports.into_iter().filter(|found| seen.insert(found.clone())));
        }
    }
    Ok(used)
}

fn names_global(code: &str) -> bool {
    GLOBALS.iter().any(|global| has_word(code, global))
}

/// Returns true if a string of the code is the name of a Node.js module: an ES module may require it.
fn names_module(code: &str) -> bool {
    let quoted = |name: &str| {
        code.match_indices(name).any(|(at, _)| {
            let before = code
                .get(..at)
                .and_then(|before| before.strip_suffix("node:").or(Some(before)));
            let quote = before.and_then(|before| before.chars().next_back());
            quote.is_some_and(|quote| {
                "\"'`".contains(quote)
                    && code
                        .get(at + name.len()..)
                        .is_some_and(|after| after.starts_with(quote))
            })
        })
    };
    PROVIDED.iter().any(|name| quoted(name))
}

/// Returns true if the text has this word, not as a part of another.
fn has_word(text: &str, word: &str) -> bool {
    let is_part = |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"_$".contains(byte));
    let bytes = text.as_bytes();
    text.match_indices(word).any(|(at, _)| {
        let before = at.checked_sub(1).and_then(|before| bytes.get(before));
        !is_part(before) && !is_part(bytes.get(at + word.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::{has_word, uses_node};
    use crate::image::NodeUse;
    use crate::{Compatibility, NodeCompat, Script};

    #[test]
    fn a_part_of_a_word_does_not_count() {
        for text in ["Buffer.from(a)", "new globalThis.Buffer", "x=[Buffer]", "Buffer"] {
            assert!(has_word(text, "Buffer"), "{text}");
        }
        for text in ["ArrayBuffer", "Buffers", "_Buffer", "Buffer$", "buffer"] {
            assert!(!has_word(text, "Buffer"), "{text}");
        }
    }

    fn uses(node: NodeCompat, main: &str, other: &str) -> NodeUse {
        let script = Script::builder("a")
            .source(main)
            .module("./other.js", other)
            .module("./common.cjs", "exports.a = require('./other.cjs')")
            .module("./other.cjs", other)
            .compatibility(Compatibility::default().node(node));
        uses_node(&script.build().expect("it has code")).expect("no deadline")
    }

    #[test]
    fn imports_and_names_of_globals_are_uses() {
        let used = |main, other| uses(NodeCompat::Full, main, other);
        for (main, other) in [
            ("import 'node:util'", ""),
            ("import 'cloudflare:node'", ""),
            ("import 'util'", ""),
            ("import('node:util')", ""),
            ("import './other.js'", "export * from 'node:path'"),
            ("import './other.js'; Buffer", "export * from 'node:path'"),
            ("import 'node:buffer'; import './other.js'", "import 'node:path'"),
            ("export const util = () => require('node:util')", ""),
            ("import './common.cjs'", "require('util')"),
            ("import './common.cjs'", "require('util'); Buffer"),
        ] {
            assert_eq!(used(main, other), NodeUse::Modules, "{main} {other}");
        }
        for (main, other) in [
            ("import 'node:buffer'", ""),
            ("import 'node:process'; import 'node:timers'", ""),
            ("import './other.js'", "process.exit()"),
            ("import './common.cjs'", "exports.b = () => Buffer"),
            ("Buffer; import './common.cjs'", "exports.b = 1"),
        ] {
            assert_eq!(used(main, other), NodeUse::Globals, "{main} {other}");
        }
        for (main, other) in [
            ("export const other = () => require('./util')", ""),
            ("import './common.cjs'", "exports.b = 1"),
            ("import 'node:async_hooks'", ""),
            ("import './other.js'", "globalThis.a = 1"),
            ("import './missing.js'", ""),
        ] {
            assert_eq!(used(main, other), NodeUse::None, "{main} {other}");
        }
    }

    #[test]
    fn compatibility_limits_what_is_a_use() {
        assert_eq!(uses(NodeCompat::Off, "import 'node:util'; Buffer", ""), NodeUse::None);
        assert_eq!(uses(NodeCompat::Prefixed, "import 'node:util'", ""), NodeUse::Modules);
        assert_eq!(uses(NodeCompat::Prefixed, "Buffer", ""), NodeUse::None);
    }
}
