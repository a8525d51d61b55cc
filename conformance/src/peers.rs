//! The tests on other runtimes: each test in a process of its own, with the same harness and the same server of resources.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use futures::{StreamExt as _, stream};
use serde_json::json;
use tokio::process::Command;
use tokio::time;

use crate::cache::Cache;
use crate::files::Test;
use crate::progress::Progress;
use crate::results::{self, Outcome, Reported, Summary};
use crate::{origin, run};

/// A runtime: the path of the program in its npm packages, and the arguments that run a test.
struct Peer {
    name: &'static str,
    /// The start of a package's name, and the program's path in it.
    program: (&'static str, &'static str),
    arguments: &'static [&'static str],
}

const PEERS: &[Peer] = &[
    Peer {
        name: "Deno",
        program: ("@deno/linux-", "deno"),
        arguments: &["run", "--allow-all", "--no-config", "process.mjs"],
    },
    Peer {
        name: "Node.js",
        program: ("node-linux-", "bin/node"),
        arguments: &["process.mjs"],
    },
    Peer {
        name: "workerd",
        program: ("@cloudflare/workerd-", "bin/workerd"),
        arguments: &["test", "--experimental", "workerd.capnp"],
    },
];

/// Time limits of tests: those of the suite.
const LIMIT: Duration = Duration::from_secs(10);
const LONG_LIMIT: Duration = Duration::from_secs(60);

/// The time beyond that after which a process that has not reported is killed.
const GRACE: Duration = Duration::from_secs(5);

/// The files beside a test's process: the harness, and each runtime's start.
const PROGRAMS: [(&str, &str); 4] = [
    ("run.mjs", include_str!("harness.js")),
    ("process.mjs", include_str!("../peers/process.mjs")),
    ("workerd.mjs", include_str!("../peers/workerd.mjs")),
    ("workerd.capnp", include_str!("../peers/workerd.capnp")),
];

/// The folders of a run.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Places<'a> {
    /// The folder of npm packages with the runtimes.
    pub(crate) packages: &'a Path,
    /// The folder of the tests.
    pub(crate) tests: &'a Path,
    /// The folder where results are kept, from which an interrupted run continues.
    pub(crate) cache: &'a Path,
}

/// Runs the tests on each runtime, one runtime after another and this many tests at once. Returns the names of the runtimes with
/// their versions, and the results.
pub(crate) async fn run(places: Places<'_>, tests: &[Test], at_once: usize) -> Result<Vec<(String, Summary)>> {
    let folder = places.tests;
    let harness = fs::read_to_string(folder.join("resources/testharness.js")).context("resources/testharness.js")?;
    // The current folder of each process is one of its own.
    let packages = places.packages;
    let packages = packages
        .canonicalize()
        .with_context(|| packages.display().to_string())?;
    let (running, address) = origin::start(folder)?;
    let mut summaries = Vec::new();
    for peer in PEERS {
        let program = program(&packages, peer)?;
        let name = format!("{} {}", peer.name, version(&program).await?);
        let cache = RefCell::new(Cache::open(places.cache, &name)?);
        let mut progress = Progress::new(&name, tests.len());
        let mut ended = stream::iter(tests)
            .map(|test| {
                let (program, harness, cache) = (&program, harness.as_str(), &cache);
                async move {
                    let text = match run::text(folder, test) {
                        Ok(text) => text,
                        Err(error) => return Ok((test.name(), Outcome::failed(format!("{error:#}")))),
                    };
                    let key = key(harness, &text, test);
                    if let Some(outcome) = cache.borrow().get(&test.name(), key) {
                        return anyhow::Ok((test.name(), outcome));
                    }
                    let outcome = outcome(peer, program, harness, text, address.port(), test).await;
                    let outcome = outcome.unwrap_or_else(|error| Outcome::failed(format!("{error:#}")));
                    cache.borrow_mut().add(test.name(), key, &outcome)?;
                    Ok((test.name(), outcome))
                }
            })
            .buffer_unordered(at_once);
        let mut outcomes = BTreeMap::new();
        while let Some(outcome) = ended.next().await {
            let (test, outcome) = outcome?;
            progress.ended(&test, outcome.error.as_deref());
            outcomes.insert(test, outcome);
        }
        let summary = results::summarize(&outcomes);
        if summary.passed() == 0 {
            let errors = outcomes
                .into_iter()
                .find_map(|(test, outcome)| Some((test, outcome.error?)));
            bail!("{} passes no test: {errors:?}", peer.name);
        }
        summaries.push((name, summary));
    }
    running.shutdown(Duration::from_secs(5)).await;
    Ok(summaries)
}

/// Identifies what a test's result depends on besides the runtime.
fn key(harness: &str, text: &str, test: &Test) -> u64 {
    let mut hasher = DefaultHasher::new();
    (PROGRAMS, harness, text, test.is_long).hash(&mut hasher);
    hasher.finish()
}

/// Finds the program for this machine among the packages for several.
fn program(packages: &Path, peer: &Peer) -> Result<PathBuf> {
    let (start, path) = peer.program;
    let (scope, start) = start.rsplit_once('/').unwrap_or(("", start));
    let scope = packages.join("node_modules").join(scope);
    for entry in fs::read_dir(&scope).with_context(|| scope.display().to_string())? {
        let entry = entry?;
        let program = entry.path().join(path);
        if entry.file_name().to_string_lossy().starts_with(start) && program.is_file() {
            return Ok(program);
        }
    }
    bail!("{} is not in {}; `npm ci` installs it", peer.name, packages.display())
}

/// Returns the first word of the output of `--version` that starts with a digit.
async fn version(program: &Path) -> Result<String> {
    let output = Command::new(program).arg("--version").output().await?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut words = text.split_whitespace().map(|word| word.trim_start_matches('v'));
    let version = words.find(|word| word.starts_with(|first: char| first.is_ascii_digit()));
    Ok(version.unwrap_or_default().to_owned())
}

async fn outcome(peer: &Peer, program: &Path, harness: &str, text: String, port: u16, test: &Test) -> Result<Outcome> {
    let at = tempfile::tempdir()?;
    let options = json!({
        "location": format!("http://localhost:{port}/{}", test.name()),
        "isLong": test.is_long,
        "timeouts": { "normal": LIMIT.as_millis(), "long": LONG_LIMIT.as_millis() },
    });
    let module = format!("export const {{ location, isLong, timeouts }} = {options};\n");
    let options = options.to_string();
    let files = [
        ("harness.txt", harness),
        ("test.txt", &text),
        ("options.json", &options),
        ("options.mjs", &module),
    ];
    for (name, text) in PROGRAMS.into_iter().chain(files) {
        fs::write(at.path().join(name), text)?;
    }
    let mut command = Command::new(program);
    command
        .args(peer.arguments.iter().map(OsStr::new))
        .current_dir(at.path());
    command.stdin(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
    let limit = if test.is_long { LONG_LIMIT } else { LIMIT };
    let output = time::timeout(limit + GRACE, command.output())
        .await
        .context("no end in time")??;
    let text = String::from_utf8_lossy(&output.stdout);
    let mut lines = text.lines().rev();
    let result = lines.find_map(|line| line.strip_prefix("RESULT "));
    let reported: Reported = serde_json::from_str(result.context("no results")?)?;
    Ok(reported.into())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{PEERS, program};

    #[test]
    fn the_program_of_a_runtime_is_found_among_packages() {
        let packages = tempfile::tempdir().unwrap();
        for peer in PEERS {
            let (start, path) = peer.program;
            let file = packages.path().join(format!("node_modules/{start}x64/{path}"));
            assert!(program(packages.path(), peer).is_err());
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(&file, "").unwrap();
            assert_eq!(program(packages.path(), peer).unwrap(), file);
        }
    }
}
