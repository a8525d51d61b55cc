//! `cargo xtask tidy`: the repository's own rules, those that no other tool knows.
//!
//! Each rule is a small pure function from what is there to findings. A place that has to break one says so on the line
//! or the one above, with its reason: `tidy:allow(rule-name): reason`.

mod circles;
pub(crate) mod files;
mod layout;
mod text;
mod words;

use std::fmt;

use anyhow::{Result, bail};

use crate::shell;
use crate::workspace::Workspace;
use files::File;

/// A broken rule.
#[derive(Debug)]
struct Finding {
    path: String,
    /// From 1; 0 stands for the whole file.
    line: usize,
    rule: &'static str,
    message: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {} [{}]", self.path, self.line, self.message, self.rule)
    }
}

/// Checks every file that git knows or would add.
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
    findings.extend(circles::check(files));
    findings
}
