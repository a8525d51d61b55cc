//! The table of results in a page of the documentation.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::results::Summary;

const BEGIN: &str = "<!-- conformance: written by `cargo xtask conformance -- --update` -->\n";
const END: &str = "<!-- end of conformance -->\n";

/// Replaces the table between the two marks of a page.
pub(crate) fn write(page: &Path, summary: &Summary, reasons: &[(String, usize)]) -> Result<()> {
    let text = fs::read_to_string(page).with_context(|| page.display().to_string())?;
    let place = || format!("{} has no place for the table:\n{BEGIN}{END}", page.display());
    let (before, rest) = text.split_once(BEGIN).with_context(place)?;
    let (_, after) = rest.split_once(END).with_context(place)?;
    fs::write(page, format!("{before}{BEGIN}{}{END}{after}", table(summary, reasons)?))?;
    Ok(())
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
