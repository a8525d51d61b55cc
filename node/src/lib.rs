//! The Node.js modules of workers: `node:buffer`, `node:stream` and others, and the globals `Buffer` and `process`.
//!
//! Most scripts are those of `deno_node`, in `vendor`, which `build.rs` prepares. `js` has the others: `shim.js`, through which all
//! of them reach the runtime, `start.js`, which defines the globals, and modules that differ in workers. `ops` has their Rust part,
//! for cryptography partly from `deno_node_crypto`. No op gives access to files, processes, sockets or other isolates: `node:fs` is
//! a virtual file system in `js/fs`, and connections, requests and names are those of `isopod-ext`, behind its guard and quotas.
//!
//! This crate does not know pools or servers.
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.

mod ops;

use std::borrow::Cow;

use deno_core::{Extension, ExtensionFileSource};

pub use self::ops::Bundle;

mod vendored {
    include!(concat!(env!("OUT_DIR"), "/vendored.rs"));
}

/// The scripts that a snapshot has evaluated. All others are loaded when they are used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Evaluated {
    /// Those of the globals: `Buffer`, `process`, timers.
    Globals,
    /// Also those of modules that most others are made of, such as `node:events` and `node:stream`.
    Modules,
}

/// The script that loads those of [`Evaluated::Modules`], and its path.
const MODULES: (&str, &str) = (
    "ext:isopod_node/snapshot_modules.js",
    concat!(env!("CARGO_MANIFEST_DIR"), "/src/js/snapshot_modules.js"),
);

/// The extensions with Node.js modules, in the order required by the snapshot. They come after those of `isopod-ext`.
#[must_use]
pub fn extensions(evaluated: Evaluated) -> Vec<Extension> {
    let mut node = ops::isopod_node::init();
    if evaluated == Evaluated::Modules {
        let (specifier, path) = MODULES;
        let mut scripts = node.esm_files.into_owned();
        scripts.push(ExtensionFileSource::loaded_during_snapshot(specifier, path));
        node.esm_files = Cow::Owned(scripts);
        node.esm_entry_point = Some(specifier);
    }
    let own = |name: &'static str| name.starts_with("ext:deno_node/").then_some(name);
    let replaced: Vec<_> = node
        .lazy_loaded_js_files
        .iter()
        .filter_map(|file| own(file.specifier))
        .collect();
    let kept = vendored::SCRIPTS
        .iter()
        .filter(|(specifier, _)| !replaced.contains(specifier));
    let scripts = kept.map(|(specifier, path)| ExtensionFileSource::loaded_during_snapshot(specifier, path));
    let scripts: Vec<_> = scripts.collect();
    node.lazy_loaded_js_files.to_mut().extend(scripts);
    vec![ops::borrowed(), node]
}
