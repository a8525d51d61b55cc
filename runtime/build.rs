//! Makes the snapshot that isolates start from. Never in a serving process: snapshot mode sets process-wide flags.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::{env, fs};

use deno_core::snapshot::{CreateSnapshotOptions, create_snapshot};
use deno_core::{ExtensionFileSource, ExtensionFileSourceCode, ModuleCodeString, ModuleName, SourceMapData};
use deno_error::JsErrorBox;

#[path = "src/transpile_builtin.rs"]
mod transpile_builtin;

type Transpiled = Result<(ModuleCodeString, Option<SourceMapData>), JsErrorBox>;

fn main() {
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets OUT_DIR for build scripts"));
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-changed=src/transpile_builtin.rs");
    let lazy = lazy_sources();
    // The read-only heap stays V8's own. All isolates of a process share one, whatever snapshot they come from.
    deno_core::v8::V8::set_flags_from_string("--no-extensible-ro-snapshot");
    let snapshot = create_snapshot(
        CreateSnapshotOptions {
            cargo_manifest_dir: env!("CARGO_MANIFEST_DIR"),
            startup_snapshot: None,
            skip_op_registration: false,
            extensions: isopod_ext::extensions(),
            extension_transpiler: Some(Rc::new(transpile)),
            with_runtime_cb: None,
        },
        None,
    )
    .expect("the snapshot's own JavaScript must run");
    fs::write(out.join("isopod.snapshot"), &snapshot.output).expect("OUT_DIR is writable");
    for file in &snapshot.files_loaded_during_snapshot {
        println!("cargo:rerun-if-changed={}", file.display());
    }
    let inside: HashSet<_> = snapshot.consumed_lazy_specifiers.into_iter().collect();
    write_residual(&out, lazy, &inside);
}

fn transpile(specifier: ModuleName, source: ModuleCodeString) -> Transpiled {
    let code = transpile_builtin::strip_types(&specifier, source.as_str()).map_err(JsErrorBox::generic)?;
    Ok((code.map_or(source, Into::into), None))
}

struct Lazy {
    specifier: String,
    path: PathBuf,
    esm: bool,
}

fn lazy_sources() -> Vec<Lazy> {
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
    for extension in isopod_ext::extensions() {
        extension.lazy_loaded_js_files.iter().for_each(|file| take(file, false));
        extension.lazy_loaded_esm_files.iter().for_each(|file| take(file, true));
    }
    // deno_core looks them up by bisection.
    all.sort_by(|a, b| a.specifier.cmp(&b.specifier));
    all
}

/// Writes what the snapshot did not take in as a table for the program, its types stripped.
fn write_residual(out: &Path, lazy: Vec<Lazy>, inside: &HashSet<String>) {
    let mut tables = [String::new(), String::new()];
    for (number, Lazy { specifier, path, esm }) in
        lazy.into_iter().filter(|l| !inside.contains(&l.specifier)).enumerate()
    {
        println!("cargo:rerun-if-changed={}", path.display());
        let source = fs::read_to_string(&path).expect("extension sources are readable");
        let code = transpile_builtin::strip_types(&specifier, &source).expect("extension sources parse");
        let file = format!("residual_{number}.js");
        fs::write(out.join(&file), code.unwrap_or(source)).expect("OUT_DIR is writable");
        tables[usize::from(esm)].push_str(&format!(
            "    ({specifier:?}, include_str!(concat!(env!(\"OUT_DIR\"), \"/{file}\"))),\n"
        ));
    }
    let table = |name: &str, rows: &str| format!("pub(crate) static {name}: &[(&str, &str)] = &[\n{rows}];\n");
    let [js, esm] = &tables;
    fs::write(
        out.join("residual.rs"),
        table("RESIDUAL_JS", js) + &table("RESIDUAL_ESM", esm),
    )
    .expect("OUT_DIR is writable");
}
