//! `cargo xtask tidy`: the rules specific to this repository.
//!
//! Each rule is a pure function from files to findings. A line may break a rule if it, or the line above, says so with
//! a reason: `tidy:allow(rule-name): reason`.

mod cycles;
pub(crate) mod files;
mod layout;
mod pages;
mod text;
mod words;

use std::fmt;

use anyhow::{Result, bail};

use crate::shell;
use crate::workspace::Workspace;
use files::File;

/// A violation of a rule.
#[derive(Debug)]
struct Finding {
    path: String,
    /// Line number, from 1; 0 for the whole file.
    line: usize,
    rule: &'static str,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line, self.message, self.rule)
    }
}

/// Checks every file that git tracks, or would track after `git add`.
pub(crate) fn command(workspace: &Workspace) -> Result<()> {
    let files = files::all(workspace)?;
    let findings = check(&files);
    for finding in &findings {
        eprintln!("{finding}");
    }
    if !findings.is_empty() {
        bail!("tidy: {} findings in {} files", findings.len(), files.len());
    }
    shell::say(&format!("tidy: {} files, no findings", files.len()));
    Ok(())
}

fn check(files: &[File]) -> Vec<Finding> {
    let mut findings: Vec<_> = files.iter().flat_map(text::check).collect();
    findings.extend(files.iter().flat_map(words::check));
    findings.extend(layout::check(files));
    findings.extend(pages::check(files));
    findings.extend(cycles::check(files));
    findings
}
