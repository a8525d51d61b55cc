//! `cargo xtask dist`: the archive that users download.
//!
//! `target/dist/isopod-VERSION-TARGET.tar.xz` holds one folder: the stripped program, its manual pages and shell
//! completions, the licenses of Isopod and of every crate linked into it, and a `SHA256SUMS`. The archive's own
//! checksum is next to it.

mod licences;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{shell, v8};

/// The shells with completions, and the file name that each expects.
const SHELLS: &[(&str, &str)] = &[("bash", "isopod"), ("zsh", "_isopod"), ("fish", "isopod.fish")];

/// Files of the repository that are packed with the program.
const DOCUMENTS: &[&str] = &[
    "README.md",
    "CHANGELOG.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "SECURITY.md",
];

/// Builds the program and packs it.
pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    v8::make_ready(workspace)?;
    shell::run(shell::command("cargo", &workspace.root).args(["build", "--release", "--locked", "-p", "isopod-cli"]))?;
    let name = name(workspace)?;
    let dist = workspace.target.join("dist");
    let folder = dist.join(&name);
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    fill(workspace, &folder)?;
    let archive = pack(&dist, &name)?;
    let size = fs::metadata(&archive)?.len() / 1_000_000;
    shell::say(&format!("{} ({size} MB)", archive.display()));
    Ok(())
}

/// The archive's name without its extension: program, version and target.
fn name(workspace: &Workspace) -> Result<String> {
    let version = shell::capture(Command::new(workspace.target.join("release/isopod")).arg("--version"))?;
    let version = version
        .split_whitespace()
        .nth(1)
        .context("`isopod --version` prints a version")?;
    let rustc = shell::capture(shell::command("rustc", &workspace.root).arg("-vV"))?;
    let target = rustc
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .context("rustc names its host")?;
    Ok(format!("isopod-{version}-{target}"))
}

/// Collects the files to pack in one folder.
fn fill(workspace: &Workspace, folder: &Path) -> Result<()> {
    let program = folder.join("isopod");
    let strip = shell::need("strip", "binutils")?;
    shell::run(
        Command::new(strip)
            .arg("-o")
            .arg(&program)
            .arg(workspace.target.join("release/isopod")),
    )?;
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755))?;
    for (shell_name, file) in SHELLS {
        let text = shell::capture(Command::new(&program).args(["completions", shell_name]))?;
        write(&folder.join("completions").join(file), &text)?;
    }
    let manual = shell::capture(Command::new(&program).arg("man"))?;
    write(&folder.join("man/isopod.1"), &manual)?;
    for document in DOCUMENTS {
        write(&folder.join(document), &workspace.read(document)?)?;
    }
    write(&folder.join("THIRD-PARTY.txt"), &licences::text(workspace)?)?;
    let sums = checksums(folder, &files(folder)?)?;
    write(&folder.join("SHA256SUMS"), &sums)
}

/// Packs the folder `name` of `dist` reproducibly: without owners and times, entries sorted by name.
fn pack(dist: &Path, name: &str) -> Result<PathBuf> {
    shell::need("xz", "xz-utils")?;
    let archive = format!("{name}.tar.xz");
    let mut tar = Command::new(shell::need("tar", "tar")?);
    tar.current_dir(dist).env("XZ_OPT", "-T0");
    tar.args(["--sort=name", "--owner=0", "--group=0", "--numeric-owner", "--mtime=@0"]);
    shell::run(tar.args(["-cJf", &archive, name]))?;
    let sum = checksums(dist, &[PathBuf::from(&archive)])?;
    write(&dist.join(format!("{archive}.sha256")), &sum)?;
    Ok(dist.join(archive))
}

/// The files below a folder, relative to it and sorted.
fn files(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for entry in fs::read_dir(next)? {
            let path = entry?.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push(path.strip_prefix(folder)?.to_owned());
            }
        }
    }
    files.sort();
    Ok(files)
}

/// Checksums in the format of `sha256sum -c`.
fn checksums(folder: &Path, files: &[PathBuf]) -> Result<String> {
    let program = shell::need("sha256sum", "coreutils")?;
    shell::capture(Command::new(program).current_dir(folder).args(files))
}

fn write(path: &Path, text: &str) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_is_the_same_twice_and_its_checksum_holds() {
        let dist = tempfile::tempdir().unwrap();
        write(&dist.path().join("isopod-1/man/isopod.1"), "manual").unwrap();
        write(&dist.path().join("isopod-1/isopod"), "program").unwrap();
        let archive = pack(dist.path(), "isopod-1").unwrap();
        let first = fs::read(&archive).unwrap();
        pack(dist.path(), "isopod-1").unwrap();
        assert_eq!(fs::read(&archive).unwrap(), first);
        let mut check = Command::new("sha256sum");
        check.current_dir(dist.path()).args(["-c", "isopod-1.tar.xz.sha256"]);
        shell::capture(&mut check).unwrap();
    }

    #[test]
    fn files_are_listed_below_folders_and_sorted() {
        let folder = tempfile::tempdir().unwrap();
        write(&folder.path().join("b"), "").unwrap();
        write(&folder.path().join("a/c"), "").unwrap();
        assert_eq!(
            files(folder.path()).unwrap(),
            [PathBuf::from("a/c"), PathBuf::from("b")]
        );
    }
}
