//! Names of Node.js built-in modules: the specifiers that mean one, and the modules that exist here.

use url::Url;

use super::error::{Importer, ModuleError};
use super::specifier::package_name;
use crate::NodeCompat;

/// Built-in modules that scripts can import, without the prefix `node:`.
#[cfg(feature = "node")]
pub(crate) const PROVIDED: &[&str] = &[
    "assert",
    "assert/strict",
    "async_hooks",
    "buffer",
    "child_process",
    "cluster",
    "console",
    "constants",
    "crypto",
    "dgram",
    "diagnostics_channel",
    "dns",
    "dns/promises",
    "domain",
    "events",
    "fs",
    "fs/promises",
    "http",
    "http2",
    "https",
    "inspector",
    "module",
    "net",
    "os",
    "path",
    "path/posix",
    "path/win32",
    "perf_hooks",
    "process",
    "punycode",
    "querystring",
    "readline",
    "readline/promises",
    "repl",
    "sqlite",
    "stream",
    "stream/consumers",
    "stream/promises",
    "stream/web",
    "string_decoder",
    "sys",
    "timers",
    "timers/promises",
    "tls",
    "trace_events",
    "tty",
    "url",
    "util",
    "util/types",
    "v8",
    "vm",
    "wasi",
    "worker_threads",
    "zlib",
];
#[cfg(not(feature = "node"))]
pub(crate) const PROVIDED: &[&str] = &["async_hooks"];

/// Built-in modules that are only named with the prefix.
const PREFIXED_ONLY: &[&str] = &["sqlite"];

/// All names of built-in modules in Node.js that are valid without a prefix.
const BUILTINS: &str = "assert async_hooks buffer child_process cluster console constants crypto dgram diagnostics_channel \
    dns domain events fs http http2 https inspector module net os path perf_hooks process punycode \
    querystring readline repl stream string_decoder sys timers tls trace_events tty url util v8 vm wasi \
    worker_threads zlib";

/// Returns true for the name of a Node.js built-in module, without the prefix `node:`.
fn is_builtin(specifier: &str) -> bool {
    BUILTINS.split(' ').any(|name| name == package_name(specifier))
}

/// Returns the built-in module that a bare specifier names. As in Node.js and in bundlers, built-in modules have
/// precedence over packages.
pub(super) fn bare(specifier: &str, node: NodeCompat) -> Option<Url> {
    let is_provided = node == NodeCompat::Full && PROVIDED.contains(&specifier) && !PREFIXED_ONLY.contains(&specifier);
    is_provided
        .then(|| Url::parse(&format!("node:{specifier}")).ok())
        .flatten()
}

/// The module with the functions that answer requests by servers of `node:http`.
const SERVERS: &str = "cloudflare:node";

/// Returns true for the URL of a module of Node.js, or of one that needs those.
pub(crate) fn is_node(url: &Url) -> bool {
    url.scheme() == "node" || url.as_str() == SERVERS
}

/// Resolves a URL of which [`is_node`] is true.
pub(super) fn prefixed(url: &Url, specifier: &str, node: NodeCompat, importer: Importer) -> Result<Url, ModuleError> {
    let name = url.path();
    let is_on = match node {
        NodeCompat::Off => false,
        NodeCompat::AsyncLocalStorage => name == "async_hooks",
        NodeCompat::Prefixed | NodeCompat::Full => true,
    };
    let is_server = url.as_str() == SERVERS && PROVIDED.contains(&"http");
    if is_on && (is_server || url.scheme() == "node" && PROVIDED.contains(&name)) {
        return Ok(url.clone());
    }
    Err(missing(specifier, node, importer))
}

/// The error for a package that is not installed: that of a built-in module, if it has the name of one.
pub(super) fn explain(error: ModuleError, node: NodeCompat) -> ModuleError {
    match error {
        ModuleError::PackageNotInstalled {
            specifier, importer, ..
        } if is_builtin(&specifier) => missing(&specifier, node, importer),
        error => error,
    }
}

fn missing(specifier: &str, node: NodeCompat, importer: Importer) -> ModuleError {
    let name = specifier.strip_prefix("node:").unwrap_or(specifier);
    let reason = match node {
        NodeCompat::Prefixed if PROVIDED.contains(&name) => {
            format!("import it as \"node:{name}\", or set `compatibility_date` to 2024-09-23 or later")
        }
        NodeCompat::Off | NodeCompat::AsyncLocalStorage if PROVIDED.contains(&name) || name == SERVERS => {
            "Node.js modules are off; add `nodejs_compat` to `compatibility_flags`, or set `compatibility_date` to \
             2026-08-04 or later"
                .to_owned()
        }
        _ => format!(
            "the modules there are: {}; use the web standard instead (fetch, crypto.subtle, URL, TextEncoder, streams), or \
             map it to a package with an import map",
            PROVIDED.join(", ")
        ),
    };
    ModuleError::Builtin {
        specifier: specifier.to_owned(),
        importer,
        reason,
    }
}
