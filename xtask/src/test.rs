//! `cargo xtask test`: sets up what the tests need, then runs them.

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{setup, shell, v8};

/// The profile of cargo-nextest for tests that run a second time in another way, whose results must not replace those
/// of the whole suite: `cargo xtask hostile` reads those.
pub(crate) const AGAIN: &str = "again";

/// Sets up, then runs tests and doc tests.
pub(crate) fn command(workspace: &Workspace, filter: &[String]) -> Result<()> {
    v8::make_ready(workspace)?;
    setup::for_tests(workspace)?;
    programs(workspace)?;
    run(workspace, filter)?;
    if filter.is_empty() { docs(workspace) } else { Ok(()) }
}

/// Sets up, then runs the tests marked `#[ignore = "nightly: …"]` one at a time against the release build: they
/// measure.
pub(crate) fn nightly(workspace: &Workspace, filter: &[String]) -> Result<()> {
    v8::make_ready(workspace)?;
    setup::for_tests(workspace)?;
    programs(workspace)?;
    shell::run(shell::command("cargo", &workspace.root).args(["build", "--release", "-p", "isopod-cli"]))?;
    let mut command = shell::command("cargo", &workspace.root);
    command.env("ISOPOD_BIN", workspace.target.join("release/isopod"));
    if has_nextest() {
        command.args([
            "nextest",
            "run",
            "--workspace",
            "--profile",
            "nightly",
            "--run-ignored",
            "only",
        ]);
        shell::run(command.args(filter))
    } else {
        command.args(["test", "--workspace", "--lib", "--bins", "--tests", "--"]);
        shell::run(command.args(["--ignored", "--test-threads", "1"]).args(filter))
    }
}

/// Builds the programs that tests and examples start, and the libraries that they load. It builds the whole workspace,
/// to share features and artifacts with the tests.
pub(crate) fn programs(workspace: &Workspace) -> Result<()> {
    shell::run(shell::command("cargo", &workspace.root).args(["build", "--workspace"]))
}

/// The program under test, as a path for `ISOPOD_BIN`.
pub(crate) fn program(workspace: &Workspace) -> std::path::PathBuf {
    workspace.target.join("debug/isopod")
}

/// Runs the tests, with cargo-nextest if it is installed.
pub(crate) fn run(workspace: &Workspace, filter: &[String]) -> Result<()> {
    let mut command = shell::command("cargo", &workspace.root);
    command.env("ISOPOD_BIN", program(workspace));
    if has_nextest() {
        shell::run(command.args(["nextest", "run", "--workspace"]).args(filter))
    } else {
        command.args(["test", "--workspace", "--lib", "--bins", "--tests", "--"]);
        shell::run(command.args(filter))
    }
}

/// Runs the doc tests, which cargo-nextest does not support.
pub(crate) fn docs(workspace: &Workspace) -> Result<()> {
    shell::run(shell::command("cargo", &workspace.root).args(["test", "--workspace", "--doc", "--quiet"]))
}

/// Tests the pool without V8. Run in the crate's folder: with resolver 1, `--no-default-features` applies only to the
/// package of the current folder.
pub(crate) fn pool_without_v8(workspace: &Workspace) -> Result<()> {
    let mut command = shell::command("cargo", &workspace.root.join("worker-pool"));
    command.args(if has_nextest() {
        &["nextest", "run", "--profile", AGAIN][..]
    } else {
        &["test", "--lib", "--tests"]
    });
    shell::run(command.args(["--no-default-features", "--features", "testing"]))
}

/// Checks and tests process modules with shared memory, a feature that no other build has. Without V8, which it has nothing to do
/// with.
pub(crate) fn shared_memory(workspace: &Workspace) -> Result<()> {
    let features = ["--no-default-features", "--features"];
    let crates = [
        ("module", "sdk,shared-memory", None),
        ("host", "shared-memory", Some("channel")),
    ];
    for (folder, with, filter) in crates {
        let cargo = || shell::command("cargo", &workspace.root.join(folder));
        let mut clippy = cargo();
        clippy.args(["clippy", "--all-targets"]).args(features).arg(with);
        shell::run(clippy.args(["--", "-D", "warnings"]))?;
        let mut tests = cargo();
        tests.args(if has_nextest() {
            &["nextest", "run", "--profile", AGAIN][..]
        } else {
            &["test", "--lib", "--tests"]
        });
        shell::run(tests.args(features).arg(with).args(filter))?;
    }
    Ok(())
}

/// Explores interleavings of the pool's threads with shuttle. A separate build, because simulated threads replace those
/// of `std`.
pub(crate) fn pool_schedules(workspace: &Workspace) -> Result<()> {
    let mut command = shell::command("cargo", &workspace.root.join("worker-pool"));
    command.args(if has_nextest() {
        &["nextest", "run", "--profile", AGAIN][..]
    } else {
        &["test"]
    });
    let features = ["--no-default-features", "--features", "shuttle", "--lib", "schedules"];
    shell::run(command.args(features))
}

/// Returns true if cargo-nextest is installed.
pub(crate) fn has_nextest() -> bool {
    shell::find("cargo-nextest").is_some()
}
