//! Modules in the snapshot, which need not be loaded; those of Node.js are in `node_builtins`. Pure.

/// The names of these modules.
pub(crate) const BUILTIN: [&str; 6] = [
    "isopod:fs",
    "isopod:process",
    "isopod:workers",
    "cloudflare:sockets",
    "cloudflare:workers",
    INTERNAL,
];

/// The module that facades of CommonJS modules import.
const INTERNAL: &str = "isopod-internal:commonjs";

/// The module that `require(specifier)` names, under the name by which ES modules import it.
pub(super) fn builtin(specifier: &str) -> Option<&'static str> {
    BUILTIN.into_iter().find(|name| *name == specifier && *name != INTERNAL)
}
