//! The Node.js modules of workers: `node:buffer`, `node:stream` and others, and the globals `Buffer` and `process`.
//!
//! Most scripts are those of `deno_node`, in `vendor`, which `build.rs` prepares. `js` has the others: `shim.js`, through
//! which all of them reach the runtime, `start.js`, which defines the globals, and modules for which a worker needs
//! something else than a process does. `ops` has what they need in Rust. There is no op for files, processes, sockets or
//! other isolates.
//!
//! It knows nothing of pools and servers.
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.

mod ops;

use std::borrow::Cow;

use deno_core::{Extension, ExtensionFileSource};

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
    let borrowed = |files: &'static [(&str, &str)]| {
        let kept = files.iter().filter(|(specifier, _)| !replaced.contains(specifier));
        kept.map(|(specifier, path)| ExtensionFileSource::loaded_during_snapshot(specifier, path))
            .collect::<Vec<_>>()
    };
    let scripts = borrowed(vendored::SCRIPTS);
    let modules = borrowed(vendored::MODULES);
    extend(&mut node.lazy_loaded_js_files, scripts);
    extend(&mut node.lazy_loaded_esm_files, modules);
    vec![node]
}

fn extend(files: &mut Cow<'static, [ExtensionFileSource]>, more: Vec<ExtensionFileSource>) {
    files.to_mut().extend(more);
}
