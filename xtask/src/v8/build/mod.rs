//! Builds V8 from the `v8` crate's source, if there is no archive.
//!
//! The crate's own build from source downloads a compiler, a Rust toolchain and more from sites that are often
//! unreachable if the release site is. Here every part comes from a package registry. Everything happens in `v8-build`
//! in cargo's target folder. An interrupted run continues where it stopped, because each step checks what exists.

mod compile;
mod patch;
mod plan;
mod toolchain;

use std::path::Path;
use std::time::Duration;

use anyhow::Result;

use super::wanted::Wanted;
use crate::shell;
use crate::workspace::Workspace;
use plan::Plan;

/// Duration of a build on two cores (measured: 17.5 minutes of compiling, clustered).
pub(crate) const ESTIMATE: Duration = Duration::from_secs(20 * 60);

/// Builds and installs the archive. A dry run stops before anything is installed or compiled.
pub(crate) fn from_source(workspace: &Workspace, wanted: &Wanted, place: &Path, dry_run: bool) -> Result<()> {
    let plan = Plan::make(workspace, wanted)?;
    // Checked before anything is installed.
    let edits = patch::edits(&plan)?;
    shell::say(&plan.describe(place, edits.iter().map(|edit| (edit.file, edit.why))));
    if dry_run {
        shell::say("dry run: every input checked; nothing was installed or compiled");
        return Ok(());
    }
    shell::say(&format!(
        "installing and compiling all this now, for about {} minutes on two cores; Ctrl-C stops it, and the same command \
         continues where it stopped",
        ESTIMATE.as_secs() / 60
    ));
    toolchain::install(workspace, &plan)?;
    let crates = toolchain::crates(&plan)?;
    compile::prepare(&plan, &edits, &crates)?;
    let summary = compile::run(&plan, place)?;
    shell::say(&format!(
        "V8 {} is ready, built from source: {} ({summary})",
        wanted.version,
        place.display()
    ));
    Ok(())
}
