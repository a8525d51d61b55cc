//! Creates the snapshot that isolates start from, in a build script. Never used in a serving process: snapshot mode
//! sets process-wide flags.
//!
//! An embedder with its own extensions calls [`build`] in its `build.rs`, and includes the result in its program with
//! `isopod_runtime::image!`:
//!
//! ```no_run
//! // build.rs
//! # fn extensions() -> Vec<deno_core::Extension> { Vec::new() }
//! isopod_snapshot::build(extensions);
//! ```
//!
//! An internal crate: depend on [`isopod`](https://docs.rs/isopod), which re-exports what programs use.

mod strip_types;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Once;
use std::{env, fs};

use deno_core::snapshot::{CreateSnapshotOptions, create_snapshot};
use deno_core::{Extension, ExtensionFileSource, ExtensionFileSourceCode, ModuleCodeString, ModuleName, SourceMapData};
use deno_error::JsErrorBox;

pub use self::strip_types::strip_types;

type Transpiled = Result<(ModuleCodeString, Option<SourceMapData>), JsErrorBox>;

/// Creates the snapshot of these extensions, and writes it to `OUT_DIR` with a table of the scripts that it leaves out.
/// The program must list the same extensions in the same order.
///
/// # Panics
/// Outside of a build script; if the extensions' JavaScript fails; if `OUT_DIR` is not writable.
pub fn build(extensions: fn() -> Vec<Extension>) {
    build_named("isopod", extensions);
}

/// Does the same as [`build`], with a name for the files: a build script may create several snapshots.
///
/// # Panics
/// As [`build`].
pub fn build_named(name: &str, extensions: fn() -> Vec<Extension>) {
    static FLAGS: Once = Once::new();
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    let manifest = env::var("CARGO_MANIFEST_DIR").expect("cargo sets CARGO_MANIFEST_DIR for build scripts");
    println!("cargo:rerun-if-changed=build.rs");
    let lazy = lazy_sources(extensions());
    // The read-only heap stays V8's own, so that all isolates of a process share one, whatever their snapshot.
    FLAGS.call_once(|| deno_core::v8::V8::set_flags_from_string("--no-extensible-ro-snapshot"));
    let snapshot = create_snapshot(
        CreateSnapshotOptions {
            cargo_manifest_dir: Box::leak(manifest.into_boxed_str()),
            startup_snapshot: None,
            skip_op_registration: false,
            extensions: extensions(),
            extension_transpiler: Some(Rc::new(transpile)),
            with_runtime_cb: None,
        },
        None,
    )
    .expect("the snapshot's own JavaScript must run");
    fs::write(out.join(format!("{name}.snapshot")), &snapshot.output).expect("OUT_DIR is writable");
    for file in &snapshot.files_loaded_during_snapshot {
        println!("cargo:rerun-if-changed={}", file.display());
    }
    let inside: HashSet<_> = snapshot.consumed_lazy_specifiers.into_iter().collect();
    write_image(&out, name, lazy, &inside);
}

fn transpile(specifier: ModuleName, source: ModuleCodeString) -> Transpiled {
    let code = strip_types(&specifier, source.as_str()).map_err(JsErrorBox::generic)?;
    Ok((code.map_or(source, Into::into), None))
}

struct Lazy {
    specifier: String,
    path: PathBuf,
    esm: bool,
}

fn lazy_sources(extensions: Vec<Extension>) -> Vec<Lazy> {
    let mut all = Vec::new();
    let mut take = |file: &ExtensionFileSource, esm: bool| {
        #[allow(deprecated, reason = "the variant that the extension macro makes")]
        if let ExtensionFileSourceCode::LoadedFromFsDuringSnapshot(path) = &file.code {
            all.push(Lazy {
                specifier: file.specifier.to_string(),
                path: PathBuf::from(path),
                esm,
            });
        }
    };
    for extension in extensions {
        extension.lazy_loaded_js_files.iter().for_each(|file| take(file, false));
        extension.lazy_loaded_esm_files.iter().for_each(|file| take(file, true));
    }
    // deno_core looks them up with a binary search.
    all.sort_by(|a, b| a.specifier.cmp(&b.specifier));
    all
}

/// Writes the program's side: the snapshot, and the scripts that it leaves out, without types.
fn write_image(out: &Path, name: &str, lazy: Vec<Lazy>, inside: &HashSet<String>) {
    let mut tables = [String::new(), String::new()];
    let left_over = lazy.into_iter().filter(|lazy| !inside.contains(&lazy.specifier));
    for (number, Lazy { specifier, path, esm }) in left_over.enumerate() {
        println!("cargo:rerun-if-changed={}", path.display());
        let source = fs::read_to_string(&path).expect("extension sources are readable");
        let code = strip_types(&specifier, &source).expect("extension sources parse");
        let file = format!("{name}_residual_{number}.js");
        fs::write(out.join(&file), code.unwrap_or(source)).expect("OUT_DIR is writable");
        tables[usize::from(esm)].push_str(&format!(
            "    ({specifier:?}, include_str!(concat!(env!(\"OUT_DIR\"), \"/{file}\"))),\n"
        ));
    }
    let [js, esm] = &tables;
    let image = format!(
        "/// The snapshot: the extensions' JavaScript, evaluated.\n\
         pub(super) static SNAPSHOT: &[u8] = include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{name}.snapshot\"));\n\
         /// Scripts that are loaded on first use, and are not in the snapshot.\n\
         pub(super) static RESIDUAL_JS: &[(&str, &str)] = &[\n{js}];\n\
         /// Modules that are loaded on first use.\n\
         pub(super) static RESIDUAL_ESM: &[(&str, &str)] = &[\n{esm}];\n"
    );
    fs::write(out.join(format!("{name}_image.rs")), image).expect("OUT_DIR is writable");
}
