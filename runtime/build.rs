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

fn main() {
    if DOCS {
        let out = env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts");
        fs::write(Path::new(&out).join("isopod_image.rs"), NO_IMAGE).expect("OUT_DIR is writable");
    } else {
        isopod_snapshot::build(isopod_ext::extensions);
    }
}
