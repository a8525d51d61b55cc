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

use deno_core::{Extension, ExtensionFileSource};

pub use self::ops::Bundle;

mod vendored {
    include!(concat!(env!("OUT_DIR"), "/vendored.rs"));
}

/// The extensions with Node.js modules, in the order required by the snapshot. They come after those of `isopod-ext`.
#[must_use]
pub fn extensions() -> Vec<Extension> {
    let mut node = ops::isopod_node::init();
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
