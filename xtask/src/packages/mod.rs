//! `cargo xtask packages`: runs npm packages in workers, each served by the built program, and compares their answers with
//! those of Node.js; then applications of frameworks.

mod frameworks;
mod services;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use self::services::Services;
use crate::workspace::Workspace;
use crate::{setup, shell, test, v8};

const FOLDER: &str = "tests/packages";
const EXPECTED: &str = "expected.json";

type Answers = BTreeMap<String, String>;

/// Builds the program, then runs the packages, or records the answers of Node.js.
pub(crate) fn command(workspace: &Workspace, names: &[String], record: bool) -> Result<()> {
    let folder = workspace.root.join(FOLDER);
    setup::npm_install(&folder)?;
    if record {
        return write_expected(&folder);
    }
    v8::make_ready(workspace)?;
    shell::run(shell::command("cargo", &workspace.root).args(["build", "-p", "isopod-cli"]))?;
    run(workspace, names)
}

/// Runs the packages on the program that was built.
pub(crate) fn run(workspace: &Workspace, names: &[String]) -> Result<()> {
    let folder = workspace.root.join(FOLDER);
    setup::npm_install(&folder)?;
    let text = fs::read_to_string(folder.join(EXPECTED))?;
    let expected: Answers = serde_json::from_str(&text).context(EXPECTED)?;
    let workers = workers(&folder)?;
    if let Some(name) = expected.keys().find(|name| !workers.contains(name)) {
        bail!("{EXPECTED} has an answer of {name}, which is no worker; run `cargo xtask packages --record`");
    }
    let is_chosen = |worker: &&String| names.is_empty() || names.contains(worker);
    let mut services = None;
    let mut failed = Vec::new();
    let mut passed = 0;
    for name in workers.iter().filter(is_chosen) {
        let begun = Instant::now();
        let answer =
            served(&folder, name, &mut services).and_then(|served| answer(&test::program(workspace), &folder, &served));
        let problem = match (answer, expected.get(name)) {
            (Ok(answer), Some(expected)) if answer == *expected => None,
            (Ok(answer), Some(expected)) => Some(format!("Node.js answers\n  {expected}\nand Isopod\n  {answer}")),
            (Ok(_), None) => Some("there is no answer to compare with; run `cargo xtask packages --record`".to_owned()),
            (Err(error), _) => Some(format!("{error:#}")),
        };
        outcome(name, begun, problem.is_none());
        match problem {
            None => passed += 1,
            Some(problem) => failed.push(format!("{name}: {problem}")),
        }
    }
    failed.extend(frameworks::run(
        &workspace.root,
        &test::program(workspace),
        names,
        &mut passed,
    )?);
    eprintln!("{passed} passed, {} failed", failed.len());
    if passed == 0 || !failed.is_empty() {
        bail!("packages do not run as they should\n{}", failed.join("\n"));
    }
    Ok(())
}

/// The names of the workers, sorted.
fn workers(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder.join("workers"))? {
        let path = entry?.path();
        if let Some(name) = path.file_stem().and_then(|name| name.to_str()) {
            names.push(name.to_owned());
        }
    }
    names.sort();
    Ok(names)
}

/// The path to serve: a worker's file, or the folder of its configuration if it reaches servers, which are started for the
/// first such worker.
fn served(folder: &Path, name: &str, services: &mut Option<Services>) -> Result<PathBuf> {
    let worker = PathBuf::from("workers").join(format!("{name}.js"));
    if !needs_services(folder, name)? {
        return Ok(worker);
    }
    let services = match services {
        Some(services) => services,
        None => services.insert(Services::start(folder)?),
    };
    services.configure(folder, &worker)
}

/// Returns true for a worker that uses a server, whose address it gets, or a server of its own.
fn needs_services(folder: &Path, name: &str) -> Result<bool> {
    let code = fs::read_to_string(folder.join("workers").join(format!("{name}.js")))?;
    let marks = ["POSTGRES_URL", "REDIS_URL", "ORIGIN_URL", "serving.js"];
    Ok(marks.iter().any(|mark| code.contains(mark)))
}

fn outcome(name: &str, begun: Instant, has_passed: bool) {
    let outcome = match has_passed {
        true => shell::paint("32", "passed"),
        false => shell::paint("31", "FAILED"),
    };
    eprintln!("  {name:<16} {:>5} ms  {outcome}", begun.elapsed().as_millis());
}

/// Serves a worker, and returns the body of its answer.
fn answer(program: &Path, folder: &Path, worker: &Path) -> Result<String> {
    let server = Server::start(program, folder, worker)?;
    let response = server.request(&format!("GET / HTTP/1.0\r\nhost: {}\r\n\r\n", server.address))?;
    match response.split_once("\r\n\r\n") {
        Some((head, body)) if head.contains(" 200 ") => Ok(body.to_owned()),
        _ => bail!("{response}"),
    }
}

/// A server that is killed when it is dropped.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    /// Serves a script, or the project in a folder.
    fn start(program: &Path, folder: &Path, what: &Path) -> Result<Self> {
        let mut server = Self {
            process: Command::new(program)
                .current_dir(folder)
                .arg("serve")
                .arg(what)
                .args(["--listen", "127.0.0.1:0"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .with_context(|| format!("cannot start {}", program.display()))?,
            address: String::new(),
        };
        let output = server.process.stderr.take().context("the program's output")?;
        let mut lines = BufReader::new(output);
        let mut printed = String::new();
        server.address = loop {
            let mut line = String::new();
            if lines.read_line(&mut line)? == 0 {
                bail!("the worker cannot start\n{printed}");
            }
            if let Some(url) = line.trim().strip_prefix("listening on http://") {
                break url.to_owned();
            }
            printed.push_str(&line);
        };
        // Its log must not fill the pipe.
        std::thread::spawn(move || lines.read_to_end(&mut Vec::new()));
        Ok(server)
    }

    /// Sends an HTTP/1.0 request, whose response ends with the connection, and returns the response.
    fn request(&self, message: &str) -> Result<String> {
        let mut stream = std::net::TcpStream::connect(&self.address)?;
        // The first response requires compilation of a package, which takes minutes on a busy machine.
        stream.set_read_timeout(Some(Duration::from_secs(600)))?;
        stream.write_all(message.as_bytes())?;
        let mut response = String::new();
        stream.read_to_string(&mut response)?;
        Ok(response)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The process may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Records the answers of Node.js.
fn write_expected(folder: &Path) -> Result<()> {
    shell::need("node", "nodejs")?;
    let services = Services::start(folder)?;
    let mut command = shell::command("node", folder);
    command.envs(services.variables.iter().map(|(name, value)| (name, value)));
    let answers = shell::capture(command.arg("record.js").args(workers(folder)?))?;
    // Also checks that it is nothing else.
    let answers: Answers = serde_json::from_str(&answers).context("the answers of Node.js")?;
    fs::write(
        folder.join(EXPECTED),
        format!("{}\n", serde_json::to_string_pretty(&answers)?),
    )?;
    shell::say(&format!("{FOLDER}/{EXPECTED} has {} answers", answers.len()));
    Ok(())
}
