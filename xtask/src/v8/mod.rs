//! Installs V8 for plain `cargo build`.
//!
//! The `v8` crate's build script links a prebuilt archive of V8. Before downloading one, it looks for
//! `$CARGO_HOME/.rusty_v8/<URL with every character other than letters and digits replaced by _>`. This command puts
//! the archive there, so that cargo, editors and other checkouts find it without knowing about this command. It asks no
//! questions: it prints what it is about to do and how long that takes.

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

/// Environment variable for a folder that holds an archive: `….a`, `….a.gz` or `….a.xz`, with or without a
/// `SHA256SUMS`.
const FOLDER_VARIABLE: &str = "ISOPOD_V8_DIR";

/// Options of `cargo xtask v8`.
#[derive(Args)]
pub(crate) struct Options {
    /// Only report whether V8 is installed, after checking the whole archive
    #[arg(long, conflicts_with_all = ["from_source", "dry_run"])]
    check: bool,
    /// Build V8 from the `v8` crate's source
    #[arg(long)]
    from_source: bool,
    /// Plan the build and check its inputs, without installing or compiling anything
    #[arg(long, requires = "from_source")]
    dry_run: bool,
}

/// Runs `cargo xtask v8`.
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

/// Installs V8 from the first source that has it. Fast if it is already installed.
pub(crate) fn make_ready(workspace: &Workspace) -> Result<()> {
    // With either, the user has chosen an archive or a build that the v8 crate uses by itself.
    for chosen in ["RUSTY_V8_ARCHIVE", "V8_FROM_SOURCE"] {
        if env::var_os(chosen).is_some() {
            shell::say(&format!("{chosen} is set, which the v8 crate uses by itself"));
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
    bail!("no source has an archive of V8")
}
