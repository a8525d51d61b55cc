//! The wanted archive: the name, address and path that the `v8` crate's build script derives.

use std::path::{Path, PathBuf};
use std::{env, fmt};

use anyhow::{Context, Result};

use crate::shell;
use crate::workspace::Workspace;

const RELEASES: &str = "https://github.com/denoland/rusty_v8/releases/download";

/// The build variant in the archive's name. `deno_core` enables the v8 crate's feature `simdutf`; debug builds link the
/// release archive too.
const FLAVOUR: &str = "simdutf_release";

/// The archive that this checkout's `Cargo.lock` requires on this machine.
pub(crate) struct Wanted {
    /// The version of the `v8` crate.
    pub(crate) version: String,
    /// The target triple.
    pub(crate) target: String,
    releases: String,
}

impl Wanted {
    /// Reads the version from `Cargo.lock`, the target from rustc, and a mirror from the environment.
    pub(crate) fn of(workspace: &Workspace) -> Result<Self> {
        let version = locked_version(&workspace.read("Cargo.lock")?, "v8")?;
        let target = match env::var("CARGO_BUILD_TARGET") {
            Ok(target) => target,
            Err(_) => host(&shell::capture(shell::command("rustc", &workspace.root).arg("-vV"))?)?,
        };
        let releases = env::var("RUSTY_V8_MIRROR").unwrap_or_else(|_| RELEASES.to_owned());
        Ok(Self {
            version,
            target,
            releases,
        })
    }

    /// Creates one for a test.
    #[cfg(test)]
    pub(crate) fn for_test(version: &str, target: &str, releases: &str) -> Self {
        Self {
            version: version.into(),
            target: target.into(),
            releases: releases.into(),
        }
    }

    /// The published archive's name, without the extension of its compression.
    pub(crate) fn name(&self) -> String {
        if self.target.contains("windows") {
            format!("rusty_v8_{FLAVOUR}_{}.lib", self.target)
        } else {
            format!("librusty_v8_{FLAVOUR}_{}.a", self.target)
        }
    }

    /// The published archive's address.
    pub(crate) fn url(&self) -> String {
        format!("{}/v{}/{}.gz", self.releases, self.version, self.name())
    }

    /// The path where the v8 crate's build script looks before it downloads.
    pub(crate) fn place(&self, cargo_home: &Path) -> PathBuf {
        cargo_home.join(".rusty_v8").join(escape(&self.url()))
    }

    /// The names that an archive may have in a folder of archives, best first: with the version, or as published,
    /// without it.
    pub(crate) fn names_in_a_folder(&self) -> Vec<String> {
        let name = self.name();
        let (stem, extension) = name.rsplit_once('.').unwrap_or((&name, "a"));
        let versioned = format!("{stem}_v{}.{extension}", self.version);
        let packings = ["", ".xz", ".gz"];
        [versioned, format!("v{}/{name}", self.version)]
            .iter()
            .flat_map(|name| packings.map(|packing| format!("{name}{packing}")))
            .collect()
    }
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "V8 {} for {}", self.version, self.target)
    }
}

/// The version of a package in a `Cargo.lock`.
pub(crate) fn locked_version(lock: &str, package: &str) -> Result<String> {
    let lock: toml::Table = lock.parse().context("Cargo.lock is not valid TOML")?;
    lock.get("package")
        .and_then(toml::Value::as_array)
        .into_iter()
        .flatten()
        .find(|entry| entry.get("name").and_then(toml::Value::as_str) == Some(package))
        .and_then(|entry| entry.get("version")?.as_str().map(str::to_owned))
        .with_context(|| format!("Cargo.lock has no package `{package}`; run `cargo generate-lockfile`"))
}

fn host(rustc: &str) -> Result<String> {
    let line = rustc.lines().find_map(|line| line.strip_prefix("host: "));
    line.map(str::to_owned).context("`rustc -vV` names no host")
}

fn escape(url: &str) -> String {
    url.chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(target: &str) -> Wanted {
        Wanted::for_test("150.4.0", target, RELEASES)
    }

    #[test]
    fn the_place_is_the_escaped_url_in_cargos_home() {
        let place = wanted("x86_64-unknown-linux-gnu").place(Path::new("/home/me/.cargo"));
        let expected = "/home/me/.cargo/.rusty_v8/https___github_com_denoland_rusty_v8_releases_download_v150_4_0_\
                        librusty_v8_simdutf_release_x86_64_unknown_linux_gnu_a_gz";
        assert_eq!(place, Path::new(expected));
    }

    #[test]
    fn windows_has_a_name_of_its_own() {
        assert_eq!(
            wanted("x86_64-pc-windows-msvc").name(),
            "rusty_v8_simdutf_release_x86_64-pc-windows-msvc.lib"
        );
    }

    #[test]
    fn archives_are_found_by_names_with_their_version() {
        let names = wanted("aarch64-apple-darwin").names_in_a_folder();
        assert_eq!(
            names[1],
            "librusty_v8_simdutf_release_aarch64-apple-darwin_v150.4.0.a.xz"
        );
        assert!(names.iter().all(|name| name.contains("150.4.0")), "{names:?}");
    }

    #[test]
    fn the_version_comes_from_the_lock_file() {
        let lock =
            "[[package]]\nname = \"v8_other\"\nversion = \"1.0.0\"\n[[package]]\nname = \"v8\"\nversion = \"2.0.0\"\n";
        assert_eq!(locked_version(lock, "v8").unwrap(), "2.0.0");
        assert!(
            locked_version(lock, "absent")
                .unwrap_err()
                .to_string()
                .contains("`absent`")
        );
    }
}
