//! V8, ready for plain `cargo build`.
//!
//! The `v8` crate's build script links a prebuilt archive of V8. Before it downloads one it looks for
//! `$CARGO_HOME/.rusty_v8/<URL with every character that is no letter or digit replaced by _>`. This command puts the
//! archive there, so that cargo, an editor and another checkout find it without knowing of this command. It never asks: it
//! says what it is about to do and how long that takes.

mod archive;
mod build;
mod place;
mod sources;
mod wanted;

use std::env;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;

use crate::shell;
use crate::workspace::Workspace;
use sources::{Answer, Source};
use wanted::Wanted;

/// Names a folder that holds an archive: `….a`, `….a.gz` or `….a.xz`, with or without a `SHA256SUMS`.
const FOLDER_VARIABLE: &str = "ISOPOD_V8_DIR";

/// What `cargo xtask v8` is asked to do.
#[derive(Args)]
pub(crate) struct Options {
    /// Only say whether V8 is ready, after a thorough look at the archive
    #[arg(long, conflicts_with_all = ["from_source", "dry_run"])]
    check: bool,
    /// Build V8 from the `v8` crate's own source
    #[arg(long)]
    from_source: bool,
    /// Plan the build, check all that goes into it, and stop before anything is installed or compiled
    #[arg(long, requires = "from_source")]
    dry_run: bool,
}

/// `cargo xtask v8`.
pub(crate) fn command(workspace: &Workspace, options: &Options) -> Result<()> {
    let wanted = Wanted::of(workspace)?;
    let place = wanted.place(&workspace.cargo_home);
    if options.check {
        let summary = place::check_thoroughly(&place)?;
        shell::say(&format!(
            "V8 {} is ready: {} ({summary})",
            wanted.version,
            place.display()
        ));
        return Ok(());
    }
    if options.from_source {
        return build::from_source(workspace, &wanted, &place, options.dry_run);
    }
    make_ready(workspace)
}

/// Makes V8 ready, from the first source that has it. Quick when it is ready already.
pub(crate) fn make_ready(workspace: &Workspace) -> Result<()> {
    // Both mean that the user has chosen an archive or a build of their own, which the v8 crate heeds by itself.
    for chosen in ["RUSTY_V8_ARCHIVE", "V8_FROM_SOURCE"] {
        if env::var_os(chosen).is_some() {
            shell::say(&format!("{chosen} is set: the v8 crate follows it, nothing to prepare"));
            return Ok(());
        }
    }
    let wanted = Wanted::of(workspace)?;
    let place = wanted.place(&workspace.cargo_home);
    let mut refusals = Vec::new();
    let folder = env::var_os(FOLDER_VARIABLE).map(PathBuf::from);
    for source in sources::order(folder, sources::repository(&workspace.root)) {
        let answer = match &source {
            Source::Place => sources::from_place(&place)?,
            Source::Folder(folder) => sources::from_folder(folder, &wanted, &place)?,
            Source::Repository(folder) => sources::from_repository(folder, &wanted, &place)?,
            Source::Network => sources::from_network(&wanted, &place)?,
            Source::Build => {
                shell::say(&format!(
                    "no archive of V8 {} was found:\n{}",
                    wanted.version,
                    refusals.join("\n")
                ));
                return build::from_source(workspace, &wanted, &place, false);
            }
        };
        match answer {
            Answer::Ready(summary) => {
                if source != Source::Place {
                    shell::say(&format!(
                        "V8 {} is ready, from {source}: {} ({summary})",
                        wanted.version,
                        place.display()
                    ));
                }
                return Ok(());
            }
            Answer::Absent(reason) => refusals.push(format!("  - {source}: {reason}")),
        }
    }
    bail!("no source of V8 is left")
}
