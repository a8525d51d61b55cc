//! Finds the programs to measure.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

/// The paths of programs and folders.
pub(crate) struct Programs {
    own: PathBuf,
    peers: PathBuf,
}

impl Programs {
    /// Finds the programs.
    ///
    /// # Errors
    /// The peers are not installed.
    pub(crate) fn find() -> Result<Self> {
        let peers = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers");
        if !peers.join("node_modules").is_dir() {
            bail!(
                "the peers are not installed; run `npm ci` in {}, or `cargo xtask bench`",
                peers.display()
            );
        }
        Ok(Self {
            own: env::current_exe()?,
            peers,
        })
    }

    /// This program, as one of Isopod's subjects.
    pub(crate) fn own<'a>(&self, arguments: impl IntoIterator<Item = &'a str>) -> Command {
        let mut command = Command::new(&self.own);
        command.arg("own").args(arguments);
        command
    }

    /// The `isopod` command, built next to this program.
    pub(crate) fn isopod(&self) -> Result<PathBuf> {
        let path = self.own.with_file_name("isopod-under-test");
        if !path.is_file() {
            bail!(
                "{} is missing; `cargo build --release -p isopod-benches` makes it",
                path.display()
            );
        }
        Ok(path)
    }

    /// The same, serving a file or folder at an address. The access log needs `info`; the other servers write none.
    pub(crate) fn serve(&self, served: &Path, address: &str) -> Result<Command> {
        let mut isopod = Command::new(self.isopod()?);
        isopod
            .arg("serve")
            .arg(served)
            .args(["--listen", address, "--log", "warn"]);
        Ok(isopod)
    }

    /// A file of `peers/`.
    pub(crate) fn peer_file(&self, name: &str) -> PathBuf {
        self.peers.join(name)
    }

    /// The installed Node, running a script of `peers/`.
    pub(crate) fn node(&self, script: &str) -> Command {
        let mut command = Command::new("node");
        command.arg(self.peer_file(script));
        command
    }

    /// Deno, without the Node process that its npm package starts first.
    pub(crate) fn deno(&self) -> Result<Command> {
        self.binary("@deno", "deno")
    }

    /// workerd, as for [`Self::deno`], serving a configuration at an address.
    pub(crate) fn workerd(&self, config: &Path, address: &str) -> Result<Command> {
        let mut workerd = self.binary("@cloudflare", "bin/workerd")?;
        workerd
            .arg("serve")
            .arg(config)
            .args(["--socket-addr", &format!("http={address}")]);
        Ok(workerd)
    }

    /// esbuild, as for [`Self::deno`].
    pub(crate) fn esbuild(&self) -> Result<Command> {
        self.binary("@esbuild", "bin/esbuild")
    }

    /// npm installs only the platform package of a scope that fits the machine.
    fn binary(&self, scope: &str, name: &str) -> Result<Command> {
        let scope = self.peers.join("node_modules").join(scope);
        let packages = std::fs::read_dir(&scope).with_context(|| format!("{} is missing", scope.display()))?;
        let found = packages
            .flatten()
            .map(|package| package.path().join(name))
            .find(|path| path.is_file());
        Ok(Command::new(
            found.with_context(|| format!("no {name} in {}", scope.display()))?,
        ))
    }
}
