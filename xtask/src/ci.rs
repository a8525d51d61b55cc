//! `cargo xtask ci`: the checks that a change must pass before it lands.
//!
//! Cheap checks come first. Steps that share build artifacts are adjacent: clippy and rustdoc check dependencies;
//! programs, tests and doc tests build them.

use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;
use crate::{
    api, autobahn, conformance, embedding, fuzz, hostile, in_cells, package, packages, setup, shell, test, tidy, v8,
};

/// The result of a step that did not fail.
enum Done {
    Passed,
    /// The step cannot run on this machine, for this reason.
    Skipped(String),
}

type Step = (&'static str, fn(&Workspace) -> Result<Done>);

const STEPS: &[Step] = &[
    ("fmt", |w| cargo(w, &["fmt", "--all", "--check"])),
    ("tidy", |w| passed(tidy::command(w))),
    ("lock file", lock_file),
    ("packages", |w| passed(package::check(w))),
    ("features", |w| passed(package::features(w))),
    ("setup", |w| {
        passed(v8::make_ready(w).and_then(|()| setup::for_tests(w)))
    }),
    ("deny", deny),
    ("advisories", advisories),
    ("clippy", |w| {
        cargo(w, &["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"])
    }),
    ("docs", |w| passed(api::document(w))),
    ("public interface", public_interface),
    ("programs", |w| passed(test::programs(w))),
    ("tests", |w| passed(test::run(w, &[]))),
    ("tests in cells", |w| passed(in_cells::in_ci(w))),
    ("fuzz", |w| passed(fuzz::in_ci(w))),
    ("hostile scenarios", hostile_scenarios),
    ("doc tests", |w| passed(test::docs(w))),
    ("examples", examples),
    ("npm packages", |w| passed(packages::run(w, &[]))),
    ("conformance", conformance),
    ("WebSockets", websockets),
    ("embedding page", |w| passed(embedding::follow(w))),
    ("pool without V8", |w| passed(test::pool_without_v8(w))),
    ("pool schedules", |w| passed(test::pool_schedules(w))),
    ("shared memory", |w| passed(test::shared_memory(w))),
];

/// Runs the steps until one fails, then prints a table.
pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let start = Instant::now();
    let mut table = Vec::new();
    for (name, step) in STEPS {
        shell::heading(name);
        let begun = Instant::now();
        let result = step(workspace);
        table.push(row(name, begun.elapsed(), &result));
        if let Err(error) = result {
            report(&table);
            return Err(error.context(format!("ci FAILED at `{name}`, after {}", clock(start.elapsed()))));
        }
    }
    report(&table);
    eprintln!(
        "{}",
        shell::paint(
            "1;32",
            &format!("ci passed: {} steps in {}", table.len(), clock(start.elapsed()))
        )
    );
    Ok(())
}

fn report(table: &[String]) {
    shell::heading("summary");
    eprintln!("{}", table.join("\n"));
}

fn row(name: &str, time: Duration, result: &Result<Done>) -> String {
    let outcome = match result {
        Ok(Done::Passed) => shell::paint("32", "passed"),
        Ok(Done::Skipped(why)) => shell::paint("33", &format!("skipped: {why}")),
        Err(_) => shell::paint("31", "FAILED"),
    };
    format!("  {name:<16} {:>7}  {outcome}", clock(time))
}

fn clock(time: Duration) -> String {
    format!("{}:{:02}", time.as_secs() / 60, time.as_secs() % 60)
}

fn passed(result: Result<()>) -> Result<Done> {
    result.map(|()| Done::Passed)
}

fn cargo(workspace: &Workspace, args: &[&str]) -> Result<Done> {
    passed(shell::run(shell::command("cargo", &workspace.root).args(args)))
}

/// Compares the public interface with the recorded one.
fn public_interface(workspace: &Workspace) -> Result<Done> {
    if !api::is_written(workspace) {
        return Ok(Done::Skipped(
            "no interface is recorded; `cargo xtask api` does that".into(),
        ));
    }
    passed(api::check(workspace))
}

/// Checks that `Cargo.lock` is up to date, so that every machine builds the versions that were reviewed.
fn lock_file(workspace: &Workspace) -> Result<Done> {
    let mut command = shell::command("cargo", &workspace.root);
    let output = command
        .args(["metadata", "--locked", "--format-version", "1"])
        .output()?;
    if !output.status.success() {
        bail!(
            "{}run `cargo check` and commit Cargo.lock",
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(Done::Passed)
}

fn conformance(workspace: &Workspace) -> Result<Done> {
    match conformance::fetched(workspace) {
        Ok(tests) => passed(conformance::run(workspace, &tests, &[])),
        Err(error) => Ok(Done::Skipped(format!("the tests cannot be fetched: {error:#}"))),
    }
}

/// Runs Autobahn's suite, which needs Python 2.7.
fn websockets(workspace: &Workspace) -> Result<Done> {
    Ok(autobahn::in_ci(workspace)?.map_or(Done::Passed, Done::Skipped))
}

fn deny(workspace: &Workspace) -> Result<Done> {
    if shell::find("cargo-deny").is_none() {
        cargo(workspace, &["install", "--locked", "cargo-deny"])?;
    }
    cargo(workspace, &["deny", "check", "bans", "licenses", "sources"])
}

/// Looks for known vulnerabilities. The only check that needs a network resource other than a package registry.
fn advisories(workspace: &Workspace) -> Result<Done> {
    let mut command = shell::command("cargo", &workspace.root);
    let output = command
        .args(["deny", "--color", "never", "check", "advisories"])
        .output()?;
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8_lossy(&text);
    if output.status.success() {
        return Ok(Done::Passed);
    }
    if is_unreachable(&text) {
        return Ok(Done::Skipped("the advisory database is unreachable".into()));
    }
    bail!("{text}`cargo deny check advisories` failed")
}

fn is_unreachable(text: &str) -> bool {
    text.contains("failed to fetch advisory database")
}

/// Compares the table of hostile scenarios with the results of the tests that just ran.
fn hostile_scenarios(workspace: &Workspace) -> Result<Done> {
    if !test::has_nextest() {
        return Ok(Done::Skipped(
            "cargo-nextest, whose report is compared, is not installed".into(),
        ));
    }
    passed(hostile::check(workspace))
}

/// Runs the executable `check` of each example that has one, with the program's path in `ISOPOD_BIN`.
fn examples(workspace: &Workspace) -> Result<Done> {
    let examples = setup::folders(&workspace.root.join("examples"))?;
    let checked: Vec<_> = examples
        .iter()
        .filter(|example| example.join("check").is_file())
        .collect();
    if checked.is_empty() {
        return Ok(Done::Skipped("no example has a `check`".into()));
    }
    for example in checked {
        let mut command = Command::new(example.join("check"));
        let servers = workspace.target.join("servers/bin");
        command
            .current_dir(example)
            .env("ISOPOD_BIN", test::program(workspace))
            .env("ISOPOD_SERVERS", servers);
        shell::run(&mut command)
            .with_context(|| format!("the example {} does not work as documented", example.display()))?;
    }
    Ok(Done::Passed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_database_is_distinguished_from_a_finding() {
        assert!(is_unreachable(
            "[ERROR] failed to fetch advisory database https://example.org\n"
        ));
        assert!(!is_unreachable("error[vulnerability]: use after free"));
    }

    #[test]
    fn a_row_tells_the_outcome() {
        let time = Duration::from_secs(61);
        assert!(row("fmt", time, &Ok(Done::Skipped("why".into()))).contains("1:01  "));
        assert!(row("fmt", time, &Err(anyhow::anyhow!("no"))).contains("FAILED"));
    }
}
