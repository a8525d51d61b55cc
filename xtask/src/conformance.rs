//! `cargo xtask conformance`: fetches the web-platform-tests, and runs them in workers.
//!
//! The tests are those that Debian's source package of Node.js contains. They are fetched by apt from the machine's mirror,
//! checked by their checksum, and unpacked into `target/conformance`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;
use crate::{setup, shell, v8};

/// The path of the archive on a mirror of Debian, and its checksum.
const ARCHIVE: &str = "pool/main/n/nodejs/nodejs_20.19.2+dfsg.orig.tar.xz";
const SHA256: &str = "5e5559381ad031d245a8efa403458abbb73755f74c3e6380f185a4dd342b7949";

/// The folder of the tests in the archive, without its first part, which names a version.
const TESTS: &str = "test/fixtures/wpt";

/// The npm packages of other runtimes.
const PEERS: &str = "conformance/peers";

const EXPECTED: &str = "conformance/expected";

/// The page with the table of results.
const PAGE: &str = "docs/compatibility.md";

/// Builds the program that runs the tests, then runs it with these arguments, also on Deno, Node.js and workerd if `peers`.
pub(crate) fn command(workspace: &Workspace, peers: bool, arguments: &[String]) -> Result<()> {
    let tests = fetched(workspace)?;
    v8::make_ready(workspace)?;
    if !peers {
        return run(workspace, &tests, arguments);
    }
    setup::npm_install(&workspace.root.join(PEERS))?;
    let mut with_peers = vec!["--peers".to_owned(), PEERS.to_owned()];
    with_peers.extend_from_slice(arguments);
    run(workspace, &tests, &with_peers)
}

/// Runs the tests.
pub(crate) fn run(workspace: &Workspace, tests: &Path, arguments: &[String]) -> Result<()> {
    shell::run(shell::command("cargo", &workspace.root).args(["build", "-p", "isopod-conformance"]))?;
    let program = workspace.root.join("target/debug/isopod-conformance");
    let mut command = shell::command(program, &workspace.root);
    command.arg(tests);
    command.args(["--expected", EXPECTED, "--page", PAGE]).args(arguments);
    shell::run(&mut command)
}

/// Returns the folder of the tests, fetching them if they are not there.
pub(crate) fn fetched(workspace: &Workspace) -> Result<PathBuf> {
    let folder = workspace.root.join("target/conformance").join(&SHA256[..16]);
    if folder.is_dir() {
        return Ok(folder);
    }
    let parent = folder.parent().context("target/conformance")?;
    fs::create_dir_all(parent)?;
    let archive = parent.join("tests.tar.xz");
    fetch(&archive)?;
    let unpacked = parent.join("unpacking");
    if unpacked.exists() {
        fs::remove_dir_all(&unpacked)?;
    }
    fs::create_dir_all(&unpacked)?;
    shell::need("xz", "xz-utils")?;
    let mut command = shell::command("tar", parent);
    command.arg("-xf").arg(&archive).arg("-C").arg(&unpacked);
    command
        .args(["--strip-components=4", "--wildcards"])
        .arg(format!("*/{TESTS}/*"));
    shell::run(&mut command)?;
    fs::rename(&unpacked, &folder)?;
    fs::remove_file(archive)?;
    Ok(folder)
}

/// Fetches the archive with apt, which knows the machine's mirror.
fn fetch(to: &Path) -> Result<()> {
    shell::need("apt-get", "apt").context("the tests come from a source package of Debian")?;
    let mut command = Command::new("apt-get");
    command.args([
        "indextargets",
        "--format",
        "$(REPO_URI)",
        "Created-By: Packages",
        "Component: main",
    ]);
    let repositories = shell::capture(&mut command)?;
    let mirror = repositories
        .lines()
        .find(|uri| uri.trim_end_matches('/').ends_with("/debian"));
    let Some(mirror) = mirror else {
        bail!("apt knows no mirror of Debian; its sources list needs one for the tests");
    };
    let mut command = Command::new("/usr/lib/apt/apt-helper");
    command
        .arg("download-file")
        .arg(format!("{}/{ARCHIVE}", mirror.trim_end_matches('/')));
    command.arg(to).arg(format!("SHA256:{SHA256}"));
    shell::run(&mut command)
}
