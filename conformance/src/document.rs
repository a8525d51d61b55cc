//! The tables of results in a page of the documentation.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::iter;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::results::Summary;

/// The marks before and after a table.
const RESULTS: [&str; 2] = [
    "<!-- conformance: written by `cargo xtask conformance -- --update` -->\n",
    "<!-- end of conformance -->\n",
];
const PEERS: [&str; 2] = [
    "<!-- peers: written by `cargo xtask conformance --peers -- --update` -->\n",
    "<!-- end of peers -->\n",
];

/// Replaces the table of results in a page.
pub(crate) fn write(page: &Path, summary: &Summary, reasons: &[(String, usize)]) -> Result<()> {
    replace(page, RESULTS, &table(summary, reasons)?)
}

/// Replaces the table of runtimes in a page.
pub(crate) fn write_peers(page: &Path, summaries: &[(String, Summary)]) -> Result<()> {
    replace(page, PEERS, &format!("\n{}\n", peers(summaries)?))
}

fn replace(page: &Path, [begin, end]: [&str; 2], table: &str) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let place = || format!("{} has no place for the table:\n{begin}{end}", page.display());
    let (before, rest) = text.split_once(begin).with_context(place)?;
    let (_, after) = rest.split_once(end).with_context(place)?;
    fs::write(page, format!("{before}{begin}{table}{end}{after}"))?;
    Ok(())
}

/// A table of the passed subtests in each folder, one column for each runtime.
pub(crate) fn peers(summaries: &[(String, Summary)]) -> Result<String> {
    let columns = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let row = |first: &str, cell: &dyn Fn(&Summary) -> usize| {
        let cells = summaries.iter().map(|(_, summary)| cell(summary).to_string());
        columns(iter::once(first.to_owned()).chain(cells).collect())
    };
    let names = summaries.iter().map(|(name, _)| name.clone());
    let mut table = columns(iter::once("passed".to_owned()).chain(names).collect());
    writeln!(table, "|{}", "---|".repeat(summaries.len() + 1))?;
    let folders: BTreeSet<_> = summaries
        .iter()
        .flat_map(|(_, summary)| summary.folders().map(|(folder, _)| folder))
        .collect();
    for folder in folders {
        let passed = |summary: &Summary| {
            let mut folders = summary.folders();
            folders
                .find(|(name, _)| *name == folder)
                .map_or(0, |(_, counts)| counts.passed)
        };
        table.push_str(&row(&format!("`{folder}`"), &passed));
    }
    table.push_str(&row("all", &Summary::passed));
    Ok(table)
}

fn table(summary: &Summary, reasons: &[(String, usize)]) -> Result<String> {
    let mut table = "\n| folder | passed | failed |\n|---|---|---|\n".to_owned();
    for (folder, counts) in summary.folders() {
        writeln!(table, "| `{folder}` | {} | {} |", counts.passed, counts.failed)?;
    }
    writeln!(table, "| all | {} | {} |", summary.passed(), summary.failed())?;
    table.push_str("\n| failed | reason |\n|---|---|\n");
    for (reason, count) in reasons {
        writeln!(table, "| {count} | {reason} |")?;
    }
    table.push('\n');
    Ok(table)
}
