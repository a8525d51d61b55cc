//! `cargo xtask bench`: the benchmarks, next to comparable programs.

use anyhow::{Result, bail};

use crate::workspace::Workspace;
use crate::{setup, shell, v8};

/// Sets up the programs to compare with, then runs all benchmarks or those named.
pub(crate) fn command(workspace: &Workspace, names: &[String]) -> Result<()> {
    if !workspace.root.join("benches/Cargo.toml").is_file() {
        bail!("this checkout has no benchmarks: benches/Cargo.toml is missing");
    }
    v8::make_ready(workspace)?;
    setup::npm_install(&workspace.root.join("benches/peers"))?;
    let mut command = shell::command("cargo", &workspace.root);
    shell::run(
        command
            .args(["run", "--release", "-p", "isopod-benches", "--"])
            .args(names),
    )
}
