//! Creates the snapshot that isolates start from.

use std::{env, fs, path::Path};

/// docs.rs cannot link V8, and documentation needs no snapshot. A constant, so that the compiled build script does not
/// refer to V8 there.
const DOCS: bool = option_env!("DOCS_RS").is_some();

/// Replaces the snapshot when only documentation is built.
const NO_IMAGE: &str = "pub(super) static SNAPSHOT: &[u8] = &[];
pub(super) static RESIDUAL_JS: &[(&str, &str)] = &[];
pub(super) static RESIDUAL_ESM: &[(&str, &str)] = &[];
";

/// The snapshot of workers without Node.js modules.
const STOCK: &str = "isopod";
/// The snapshot of workers that use their globals alone.
#[cfg(feature = "node")]
const NODE: &str = "isopod_node";
/// The snapshot of workers that import their modules.
#[cfg(feature = "node")]
const NODE_MODULES: &str = "isopod_node_modules";

fn main() {
    if DOCS {
        let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
        for image in [
            "isopod_image.rs",
            "isopod_node_image.rs",
            "isopod_node_modules_image.rs",
        ] {
            fs::write(Path::new(&out).join(image), NO_IMAGE).expect("OUT_DIR is writable");
        }
    } else {
        isopod_snapshot::build_named(STOCK, isopod_ext::extensions);
        #[cfg(feature = "node")]
        {
            use isopod_node::Evaluated;

            isopod_snapshot::build_named(NODE, || {
                let mut all = isopod_ext::extensions();
                all.extend(isopod_node::extensions(Evaluated::Globals));
                all
            });
            isopod_snapshot::build_named(NODE_MODULES, || {
                let mut all = isopod_ext::extensions();
                all.extend(isopod_node::extensions(Evaluated::Modules));
                all
            });
        }
    }
}
