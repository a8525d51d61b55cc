//! Installation and runs of the suite.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::json;

use super::read_json;
use super::results::Results;
use crate::shell;
use crate::workspace::Workspace;

const PACKAGE: &str = "autobahntestsuite==25.10.1";

/// Starts the suite with the packages of a folder, some of which are parts of one namespace.
const START: &str =
    "import site, sys; site.addsitedir(sys.argv.pop(1)); from autobahntestsuite.wstest import run; run()";

/// The installed suite.
pub(super) struct Suite {
    python: PathBuf,
    folder: PathBuf,
}

impl Suite {
    /// Installs the suite, unless it is installed.
    pub(super) fn install(workspace: &Workspace) -> Result<Self> {
        let folder = workspace.target.join("autobahn");
        let python = python()?;
        let suite = Self { python, folder };
        if !suite.packages().join("autobahntestsuite").is_dir() {
            let mut install = Command::new(&suite.python);
            install.args([
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
                "--target",
            ]);
            shell::run(install.arg(suite.packages()).arg(PACKAGE))?;
        }
        Ok(suite)
    }

    fn packages(&self) -> PathBuf {
        self.folder.join("packages")
    }

    fn reports(&self, name: &str) -> PathBuf {
        self.folder.join("reports").join(name)
    }

    /// Creates a command that runs the suite in a mode, with this configuration.
    fn run(&self, mode: &str, name: &str, config: &serde_json::Value) -> Result<Command> {
        std::fs::create_dir_all(&self.folder)?;
        let file = self.folder.join(format!("{name}.json"));
        std::fs::write(&file, config.to_string())?;
        let mut command = Command::new(&self.python);
        command.current_dir(&self.folder).arg("-c").arg(START);
        command.arg(self.packages()).args(["--mode", mode, "--spec"]).arg(file);
        let log = std::fs::File::create(self.folder.join(format!("{name}.log")))?;
        command.stdout(log.try_clone()?).stderr(log);
        Ok(command)
    }

    /// Runs the cases against a server.
    pub(super) fn test_server(&self, port: u16, excluded: &[&str]) -> Result<Results> {
        let config = json!({
            "outdir": self.reports("server"),
            "servers": [{ "agent": "isopod", "url": format!("ws://127.0.0.1:{port}") }],
            "cases": ["*"],
            "exclude-cases": excluded,
        });
        shell::run(&mut self.run("fuzzingclient", "server", &config)?)?;
        self.results("server")
    }

    /// Creates the command of the suite's server for clients.
    pub(super) fn server(&self, port: u16, excluded: &[&str]) -> Result<Command> {
        let config = json!({
            "outdir": self.reports("client"),
            "url": format!("ws://127.0.0.1:{port}"),
            "cases": ["*"],
            "exclude-cases": excluded,
        });
        self.run("fuzzingserver", "client", &config)
    }

    /// Reads the results of the last run.
    pub(super) fn results(&self, name: &str) -> Result<Results> {
        Results::of(&read_json(&self.reports(name).join("index.json"))?)
    }
}

/// Finds Python 2.7, which most systems no longer have: on the path, or among the versions of pyenv.
fn python() -> Result<PathBuf> {
    let installed = |python: &PathBuf| {
        let version = Command::new(python)
            .args(["-c", "import pip, sys; assert sys.version_info[:2] == (2, 7)"])
            .output();
        version.is_ok_and(|version| version.status.success())
    };
    let of_pyenv = || {
        let versions = shell::capture(Command::new("pyenv").args(["versions", "--bare"])).ok()?;
        let version = versions
            .lines()
            .map(str::trim)
            .find(|version| version.starts_with("2.7."))?;
        let prefix = shell::capture(Command::new("pyenv").args(["prefix", version])).ok()?;
        Some(PathBuf::from(prefix.trim()).join("bin/python"))
    };
    let found = shell::find("python2.7").filter(installed);
    let found = found.or_else(of_pyenv).filter(installed);
    found.context(
        "Autobahn's suite needs Python 2.7 with pip, which is neither on the path nor among pyenv's versions; \
         `pyenv install 2.7.18` installs it",
    )
}
