//! `cargo xtask hostile`: the hostile scenarios, the tests that cover them, and the generated table of results in
//! `docs/security.md`.

mod case;
mod junit;
mod rows;
mod table;

use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use self::junit::Results;
use self::rows::Rows;
use crate::workspace::Workspace;
use crate::{setup, shell, test, v8};

const DOCUMENT: &str = "docs/security.md";

/// The results that the table is written from.
pub(crate) enum From {
    /// Results of running the tests now, including those that take minutes if requested.
    Tests { nightly: bool },
    /// Results of the last test run.
    LastRun,
}

/// Writes the table.
pub(crate) fn command(workspace: &Workspace, from: &From) -> Result<()> {
    let rows = Rows::read(workspace)?;
    let results = match from {
        From::LastRun => Results::read(&report(workspace, "default"))?,
        From::Tests { nightly } => {
            v8::make_ready(workspace)?;
            setup::for_tests(workspace)?;
            test::programs(workspace)?;
            let mut results = run(workspace, &rows, "default", false)?;
            if *nightly {
                results.extend(run(workspace, &rows, "nightly", true)?);
            }
            results
        }
    };
    let (found, text) = (workspace.read(DOCUMENT)?, rows.table(&results));
    std::fs::write(workspace.root.join(DOCUMENT), table::put(&found, &text)?)?;
    judge(&rows, &results)
}

/// Checks that the table matches the results of the last test run.
pub(crate) fn check(workspace: &Workspace) -> Result<()> {
    let rows = Rows::read(workspace)?;
    let results = Results::read(&report(workspace, "default"))?;
    let found = workspace.read(DOCUMENT)?;
    if table::put(&found, &rows.table(&results))? != found {
        bail!("the table of hostile scenarios in {DOCUMENT} is out of date; run `cargo xtask hostile`");
    }
    judge(&rows, &results)
}

/// Runs the tests of all rows; failures are part of the results.
fn run(workspace: &Workspace, rows: &Rows, profile: &str, ignored: bool) -> Result<Results> {
    let names: Vec<_> = rows.tests().filter(|test| test.nightly == ignored).collect();
    if names.is_empty() {
        return Ok(Results::default());
    }
    let filter: Vec<_> = names
        .iter()
        .map(|test| format!("test(/(^|::){}$/)", test.name))
        .collect();
    let path = report(workspace, profile);
    if path.is_file() {
        std::fs::remove_file(&path)?;
    }
    let mut command = shell::command("cargo", &workspace.root);
    command
        .env("ISOPOD_BIN", test::program(workspace))
        .args(["nextest", "run", "--workspace", "--profile", profile, "-E"])
        .arg(filter.join(" | "));
    if ignored {
        command.args(["--run-ignored", "only"]);
    }
    // Failures are recorded in the table and reported at the end.
    let ran = shell::run(&mut command);
    match Results::read(&path) {
        Ok(results) => Ok(results),
        Err(error) => Err(ran.err().unwrap_or(error)),
    }
}

/// The path of cargo-nextest's report.
fn report(workspace: &Workspace, profile: &str) -> PathBuf {
    workspace.target.join("nextest").join(profile).join("junit.xml")
}

fn judge(rows: &Rows, results: &Results) -> Result<()> {
    let failed = rows.failed(results);
    if !failed.is_empty() {
        bail!("hostile scenarios: {}", failed.join("; "));
    }
    let total = rows.tests().count();
    let passed = rows.tests().filter(|test| results.of(test) == Some(true)).count();
    shell::say(&format!("hostile scenarios: {passed} of {total} tests ran, and passed"));
    Ok(())
}

impl Results {
    fn read(path: &std::path::Path) -> Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("{} does not exist; is cargo-nextest installed?", path.display()))?;
        Ok(Self::parse(&text))
    }
}
