//! `cargo xtask fuzz`: runs the fuzz targets, and adds findings to their corpus, which every later test run replays.

use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::Value;

use crate::workspace::Workspace;
use crate::{shell, v8};

/// Time for all targets in CI.
const IN_CI: Duration = Duration::from_secs(30);
/// Time that a target may take in addition: replaying the corpus, finishing the last input, shrinking a finding.
const GRACE: Duration = Duration::from_secs(180);

#[derive(Args)]
pub(crate) struct Options {
    /// Only targets whose name contains one of these strings
    target: Vec<String>,
    /// Total time
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// The seed of an earlier run, to repeat its inputs in the same order
    #[arg(long)]
    seed: Option<u64>,
}

/// Builds the targets and runs them.
pub(crate) fn command(workspace: &Workspace, options: &Options) -> Result<()> {
    v8::make_ready(workspace)?;
    let time = Duration::try_from_secs_f64(options.minutes * 60.0).context("--minutes is not a duration")?;
    run(workspace, &options.target, time, options.seed)
}

/// Runs all targets briefly with fixed seeds, so that the result depends on nothing but the change.
pub(crate) fn in_ci(workspace: &Workspace) -> Result<()> {
    run(workspace, &[], IN_CI, Some(1))
}

/// A target, named as a test: the corpus of `guard::guard_urls` is the folder `guard_urls`.
struct Target {
    test: String,
}

impl Target {
    fn name(&self) -> &str {
        self.test.rsplit("::").next().unwrap_or(&self.test)
    }
}

fn run(workspace: &Workspace, names: &[String], time: Duration, seed: Option<u64>) -> Result<()> {
    let program = build(workspace)?;
    let mut targets = list(&program, workspace)?;
    targets.retain(|target| names.is_empty() || names.iter().any(|name| target.name().contains(name.as_str())));
    if targets.is_empty() {
        bail!("no target's name contains one of these: {}", names.join(", "));
    }
    let seed = seed.unwrap_or_else(from_clock);
    let at_once = std::thread::available_parallelism()
        .map_or(1, usize::from)
        .min(targets.len());
    let each = time.mul_f64(at_once as f64 / targets.len() as f64);
    shell::say(&format!(
        "{} targets, {at_once} at once, {:.0?} each, seed {seed}",
        targets.len(),
        each
    ));
    let mut waiting = targets.iter();
    let mut running: Vec<Running<'_>> = Vec::new();
    let mut found = 0;
    loop {
        while running.len() < at_once
            && let Some(target) = waiting.next()
        {
            running.push(Running::start(workspace, &program, target, each, seed)?);
        }
        if running.is_empty() {
            break;
        }
        std::thread::sleep(Duration::from_millis(100));
        let mut still = Vec::new();
        for mut one in running {
            match one.ended()? {
                None => still.push(one),
                Some(Ended::Well) => shell::say(&one.report()),
                Some(Ended::Badly(how)) => {
                    found += 1;
                    one.keep(workspace, &how)?;
                }
            }
        }
        running = still;
    }
    if found > 0 {
        bail!("{found} of {} targets have findings", targets.len());
    }
    Ok(())
}

fn from_clock() -> u64 {
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    now.map_or(1, |now| now.as_secs())
}

/// Builds the program that contains all targets. It builds the whole workspace, to share features and artifacts with
/// the tests.
fn build(workspace: &Workspace) -> Result<PathBuf> {
    let mut cargo = shell::command("cargo", &workspace.root);
    cargo.args(["test", "--workspace", "--test", "fuzz", "--no-run"]);
    let told = shell::capture(cargo.arg("--message-format=json-render-diagnostics"))?;
    let mut programs = told.lines().filter_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        let name = message.get("target")?.get("name")?.as_str()?;
        let program = message.get("executable")?.as_str()?;
        (name == "fuzz").then(|| PathBuf::from(program))
    });
    programs.next_back().context("cargo built no test called `fuzz`")
}

fn list(program: &Path, workspace: &Workspace) -> Result<Vec<Target>> {
    let told = shell::capture(shell::command(program, &workspace.root).args(["--list", "--format", "terse"]))?;
    let names = told.lines().filter_map(|line| line.strip_suffix(": test"));
    let has_corpus = |target: &Target| corpus(workspace, target.name()).is_dir();
    let targets = names.map(|test| Target { test: test.to_owned() });
    Ok(targets.filter(has_corpus).collect())
}

fn corpus(workspace: &Workspace, target: &str) -> PathBuf {
    workspace.root.join("fuzz/corpus").join(target)
}

/// A target in its own process, which a finding may crash.
struct Running<'a> {
    target: &'a Target,
    child: Child,
    until: Instant,
    log: PathBuf,
    temporary: PathBuf,
}

enum Ended {
    Well,
    Badly(String),
}

impl<'a> Running<'a> {
    fn start(workspace: &Workspace, program: &Path, target: &'a Target, time: Duration, seed: u64) -> Result<Self> {
        let temporary = workspace.target.join("tmp");
        fs::create_dir_all(&temporary)?;
        // Left by an earlier run.
        for what in ["finding", "input"] {
            drop(fs::remove_file(
                temporary.join(format!("fuzz-{}.{what}", target.name())),
            ));
        }
        let log = temporary.join(format!("fuzz-{}.log", target.name()));
        let output = fs::File::create(&log).with_context(|| format!("{} cannot be written", log.display()))?;
        let mut command = shell::command(program, &workspace.root.join("fuzz"));
        command.args([&*target.test, "--exact", "--nocapture"]);
        command.env("ISOPOD_FUZZ_SECONDS", time.as_secs_f64().to_string());
        command.env("ISOPOD_FUZZ_SEED", seed.to_string());
        command.stdin(Stdio::null()).stdout(output.try_clone()?).stderr(output);
        Ok(Self {
            target,
            child: command.spawn().context("cannot start the targets")?,
            until: Instant::now() + time + GRACE,
            log,
            temporary,
        })
    }

    fn ended(&mut self) -> Result<Option<Ended>> {
        Ok(match self.child.try_wait()? {
            Some(status) if status.success() => Some(Ended::Well),
            Some(status) => Some(Ended::Badly(status.to_string())),
            None if Instant::now() > self.until => {
                self.child.kill()?;
                self.child.wait()?;
                Some(Ended::Badly("it hung".to_owned()))
            }
            None => None,
        })
    }

    fn log(&self) -> String {
        let mut text = Vec::new();
        let read = fs::File::open(&self.log).and_then(|mut log| log.read_to_end(&mut text));
        read.map_or_else(
            |error| error.to_string(),
            |_| String::from_utf8_lossy(&text).into_owned(),
        )
    }

    /// The last line that the target printed about itself.
    fn report(&self) -> String {
        let (log, start) = (self.log(), format!("{}: ", self.target.name()));
        let line = log.lines().rfind(|line| line.starts_with(&start));
        line.map_or_else(|| format!("{start}printed nothing"), str::to_owned)
    }

    /// Adds the finding, or else the last input, to the corpus.
    fn keep(&self, workspace: &Workspace, how: &str) -> Result<()> {
        let name = self.target.name();
        let log = self.log();
        let told: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let end = told.len().saturating_sub(20);
        eprintln!("{}", told[end..].join("\n"));
        let left = ["finding", "input"].map(|what| self.temporary.join(format!("fuzz-{name}.{what}")));
        let Some(text) = left.iter().find_map(|path| fs::read(path).ok()) else {
            bail!(
                "{name}: {how} before the first input; its output is in {}",
                self.log.display()
            );
        };
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        let path = corpus(workspace, name).join(format!("found-{:08x}.txt", hasher.finish() as u32));
        fs::write(&path, text).with_context(|| format!("{} cannot be written", path.display()))?;
        shell::say(&format!("{name}: {how}; the input is kept as {}", path.display()));
        Ok(())
    }
}
