//! `cargo xtask autobahn`: the conformance suite for WebSockets, against the server and against the client of scripts, and
//! the generated table of results in `docs/websockets.md`. CI runs most of it where it can be installed, and the nightly run all.
//!
//! The suite is the package `autobahntestsuite` of PyPI, which needs Python 2.7. It is installed into `target/autobahn`.

mod results;
mod suite;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::results::Results;
use self::suite::Suite;
use crate::workspace::Workspace;
use crate::{shell, test, v8};

const DOCUMENT: &str = "docs/websockets.md";
const PROJECT: &str = "tests/fixtures/autobahn";

/// Cases of an extension that is not supported.
const UNSUPPORTED: &[&str] = &["12.*", "13.*"];

/// Cases that CI leaves out: also those of large or many messages, which take minutes.
const NOT_IN_CI: &[&str] = &["9.*", "12.*", "13.*"];

/// Runs the whole suite in both directions, and writes the table.
pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    let (server, client) = run(&Suite::install(workspace)?, workspace, UNSUPPORTED)?;
    let document = workspace.root.join(DOCUMENT);
    let text = std::fs::read_to_string(&document)?;
    std::fs::write(&document, results::put(&text, &server, &client)?)?;
    check(&server, &client)
}

/// Runs the whole suite in both directions, without writing the table, because some of its results depend on timing.
pub(crate) fn nightly(workspace: &Workspace) -> Result<()> {
    build(workspace)?;
    let (server, client) = run(&Suite::install(workspace)?, workspace, UNSUPPORTED)?;
    check(&server, &client)
}

/// Runs the suite without its longest cases, with an existing program. Returns the reason if it cannot run on this machine.
pub(crate) fn in_ci(workspace: &Workspace) -> Result<Option<String>> {
    match Suite::install(workspace) {
        Ok(suite) => {
            let (server, client) = run(&suite, workspace, NOT_IN_CI)?;
            check(&server, &client)?;
            Ok(None)
        }
        Err(error) => Ok(Some(format!("{error:#}"))),
    }
}

fn build(workspace: &Workspace) -> Result<()> {
    v8::make_ready(workspace)?;
    shell::run(shell::command("cargo", &workspace.root).args(["build", "-p", "isopod-cli"]))
}

/// Runs the suite against the server, then against the client of scripts.
fn run(suite: &Suite, workspace: &Workspace, excluded: &[&str]) -> Result<(Results, Results)> {
    let port = free_port()?;
    let _server = Running::start(
        Command::new(test::program(workspace))
            .current_dir(workspace.root.join(PROJECT))
            .args(["serve", "--log", "warn", "--listen", &format!("127.0.0.1:{port}")]),
        port,
    )?;
    shell::heading("against the server");
    let server = suite.test_server(port, excluded)?;
    shell::heading("against the client of scripts");
    let client = test_client(suite, port, excluded)?;
    Ok((server, client))
}

fn check(server: &Results, client: &Results) -> Result<()> {
    for (name, results) in [("server", server), ("client", client)] {
        let failed = results.failed();
        if !failed.is_empty() {
            bail!("the {name} failed these cases: {}", failed.join(", "));
        }
    }
    Ok(())
}

/// Runs a worker that connects to the suite's server once for each case.
fn test_client(suite: &Suite, port: u16, excluded: &[&str]) -> Result<Results> {
    let cases_port = free_port()?;
    let _cases = Running::start(&mut suite.server(cases_port, excluded)?, cases_port)?;
    let ask = |path: &str| get(port, &format!("/client/{path}port={cases_port}"));
    let count: u32 = ask("getCaseCount?")?.parse().context("the number of cases")?;
    for case in 1..=count {
        ask(&format!("runCase?case={case}&"))?;
    }
    ask("updateReports?")?;
    suite.results("client")
}

/// A process that is killed when it is dropped.
struct Running(Child);

impl Running {
    /// Starts a server, and waits until it listens.
    fn start(command: &mut Command, port: u16) -> Result<Self> {
        let mut running = Self(command.spawn().context("cannot start the server")?);
        let until = Instant::now() + Duration::from_secs(60);
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if running.0.try_wait()?.is_some() || Instant::now() > until {
                bail!("the server does not listen on port {port}");
            }
            // tidy:allow(sleep): between two attempts to connect to another process
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(running)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// Returns the body of a response with status 200.
fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
    )?;
    let mut response = String::new();
    stream.read_to_string(&mut response)?;
    match response.split_once("\r\n\r\n") {
        Some((head, body)) if head.starts_with("HTTP/1.1 200") => Ok(body.to_owned()),
        _ => bail!("{path}: {response}"),
    }
}

/// Reads a JSON file.
fn read_json(path: &Path) -> Result<serde_json::Value> {
    let text = std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(serde_json::from_str(&text)?)
}
