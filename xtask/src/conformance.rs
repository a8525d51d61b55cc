//! `cargo xtask conformance`: fetches the web-platform-tests, and runs them in workers.
//!
//! The tests are those that Debian's source packages of Node.js contain. They are fetched by apt from the machine's mirror,
//! checked by their checksums, and unpacked into `target/conformance`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

use crate::workspace::Workspace;
use crate::{setup, shell, v8};

/// An archive on a mirror of Debian.
struct Archive {
    /// The path on the mirror.
    path: &'static str,
    sha256: &'static str,
    /// The folders and files that are unpacked.
    tests: &'static [&'static str],
}

/// The archive of Debian's stable release.
const STABLE: Archive = Archive {
    path: "pool/main/n/nodejs/nodejs_20.19.2+dfsg.orig.tar.xz",
    sha256: "5e5559381ad031d245a8efa403458abbb73755f74c3e6380f185a4dd342b7949",
    tests: &["*"],
};

/// The archive of the coming release, with tests that the stable one does not have. A mirror has it until its next version.
const COMING: Archive = Archive {
    path: "pool/main/n/nodejs/nodejs_24.21.0+dfsg+~cs24.13.4.orig.tar.xz",
    sha256: "e6e0d1a00dfc9e31ab2b074fd99979a48be17c18e8e3edc14306736069bb8f54",
    tests: &[
        "compression",
        "urlpattern",
        "media",
        "interfaces/compression.idl",
        "interfaces/urlpattern.idl",
    ],
};

/// The folder of the tests in an archive, without its first part, which names a version.
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

/// Returns the folder of the tests, fetching them if they are not there. Without the tests of [`COMING`] if no mirror has them.
pub(crate) fn fetched(workspace: &Workspace) -> Result<PathBuf> {
    let parent = workspace.root.join("target/conformance");
    let folder = parent.join(&STABLE.sha256[..16]);
    let (unpacked, archive) = (parent.join("unpacking"), parent.join("tests.tar.xz"));
    if !folder.is_dir() {
        if unpacked.exists() {
            fs::remove_dir_all(&unpacked)?;
        }
        fs::create_dir_all(&unpacked)?;
        fetch(&STABLE, &archive)?;
        unpack(&STABLE, &archive, &unpacked)?;
        fs::rename(&unpacked, &folder)?;
    }
    let has_more = parent.join(format!("{}-{}", &STABLE.sha256[..16], &COMING.sha256[..16]));
    if !has_more.exists() {
        if let Err(error) = fetch(&COMING, &archive) {
            println!("note: the tests of compression and urlpattern are not run: {error:#}");
            return Ok(folder);
        }
        unpack(&COMING, &archive, &folder)?;
        fs::write(has_more, "")?;
    }
    Ok(folder)
}

/// Unpacks the tests of an archive into a folder, and removes the archive.
fn unpack(archive: &Archive, file: &Path, to: &Path) -> Result<()> {
    shell::need("xz", "xz-utils")?;
    let mut command = shell::command("tar", to);
    command.arg("-xf").arg(file).arg("-C").arg(to);
    command.args(["--strip-components=4", "--wildcards"]);
    command.args(archive.tests.iter().map(|tests| format!("*/{TESTS}/{tests}")));
    shell::run(&mut command)?;
    Ok(fs::remove_file(file)?)
}

/// Fetches an archive with apt, which knows the machine's mirror.
fn fetch(archive: &Archive, to: &Path) -> Result<()> {
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
        .arg(format!("{}/{}", mirror.trim_end_matches('/'), archive.path));
    command.arg(to).arg(format!("SHA256:{}", archive.sha256));
    shell::run(&mut command)
}
