//! `cargo xtask soak`: the server under a long mixed load, with a verdict.

use std::os::unix::process::CommandExt;

use anyhow::{Context, Result};

use crate::workspace::Workspace;
use crate::{shell, test, v8};

/// Builds the program and the load generator, then replaces this process with the latter, so that Ctrl-C reaches it and
/// its exit code is returned.
pub(crate) fn command(workspace: &Workspace, dev: bool, args: &[String]) -> Result<()> {
    v8::make_ready(workspace)?;
    let folder = if dev {
        test::programs(workspace)?;
        "debug"
    } else {
        let packages = ["build", "--release", "-p", "isopod-cli", "-p", "isopod-soak"];
        shell::run(shell::command("cargo", &workspace.root).args(packages))?;
        "release"
    };
    let program = workspace.target.join(folder).join("isopod-soak");
    let error = shell::command(&program, &workspace.root).args(args).exec();
    Err(error).with_context(|| format!("{} cannot be started", program.display()))
}
