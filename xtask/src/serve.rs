//! `cargo xtask serve`: from a fresh checkout to a running server.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{setup, shell, v8};

/// Sets up, builds, then replaces this process with `isopod serve`.
pub(crate) fn command(workspace: &Workspace, release: bool, args: &[String]) -> Result<()> {
    v8::make_ready(workspace)?;
    // Only the examples' npm packages are installed; other projects install their own.
    for arg in args {
        let folder = std::env::current_dir()?.join(arg);
        if folder.starts_with(workspace.root.join("examples")) {
            setup::npm_install(&folder)?;
        }
    }
    let profile = if release { "release" } else { "quick" };
    if !release && !workspace.target.join("quick").exists() {
        shell::say("building Isopod from source; a release build (--release) takes twice as long");
    }
    shell::run(shell::command("cargo", &workspace.root).args(["build", "--profile", profile, "-p", "isopod-cli"]))?;
    let program = workspace.target.join(profile).join("isopod");
    // Replaces this process, so that signals reach the server and its exit code is returned.
    let error = std::process::Command::new(&program).arg("serve").args(args).exec();
    Err(error).with_context(|| format!("{} cannot be started", program.display()))
}
