//! `isopod run --watch`: runs the script again when one of its files changes.

use std::collections::BTreeSet;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use anyhow::{Context, Result};
use isopod::modules::ModulesLoaded;

use super::life::{self, End};
use crate::cli::{explain, tell_error};
use crate::serve::{Changes, Interest};

/// Interval for checking whether the script has ended and which files it has loaded.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Files that a script depends on besides its modules.
pub(super) struct Watched {
    /// Their folder.
    pub(super) root: PathBuf,
    /// The script, its configuration, its import map.
    pub(super) files: BTreeSet<PathBuf>,
}

/// Runs a script until a file changes, then restarts this program in the same process, which drops everything that the script
/// holds. An error that keeps the script from starting is shown until it is fixed.
pub(super) fn watch(script: Result<isopod::Script>, watched: Watched) -> Result<ExitCode> {
    let event_loop = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut changes = Changes::below(&watched.root)?;
    let follow = |changes: &mut Changes, loaded: Option<&ModulesLoaded>, is_broken| {
        let mut files = watched.files.clone();
        files.extend(loaded.map(ModulesLoaded::files).unwrap_or_default());
        changes.follow(Interest { files, is_broken });
    };
    follow(&mut changes, None, true);
    let (mut script, loaded) = match script {
        Ok(script) => {
            let loaded = script.modules_loaded();
            (Some(life::begin(script)?), Some(loaded))
        }
        Err(error) => {
            tell_error(explain(&error));
            (None, None)
        }
    };
    let changed = event_loop.block_on(async {
        let mut seen = None;
        loop {
            let code = script.as_ref().map(ended).transpose()?.flatten();
            if code.is_some() {
                script = None;
            }
            let files = loaded.as_ref().map_or(0, |loaded| loaded.files().len());
            if code.is_some() || seen != Some(files) {
                seen = Some(files);
                let is_broken = code.map_or(script.is_none() && loaded.is_none(), |code| code != 0);
                follow(&mut changes, loaded.as_ref(), is_broken);
            }
            // Printed only now, because a reader of this line may change a file at once.
            if let Some(code) = code {
                eprintln!("exited with {code}; waiting for changes");
            }
            match tokio::time::timeout(LOOK_EVERY, changes.first()).await {
                Err(_) => {}
                Ok(Some(path)) => return anyhow::Ok(changes.settled(path).await.last),
                Ok(None) => anyhow::bail!("cannot watch files any longer"),
            }
        }
    })?;
    again(&changed)
}

/// Returns the exit code of a script that has ended.
fn ended(end: &Receiver<End>) -> Result<Option<u8>> {
    let code = match end.try_recv() {
        Ok(end) => life::exit_status(end?),
        Err(TryRecvError::Empty) => return Ok(None),
        Err(TryRecvError::Disconnected) => anyhow::bail!("the script's thread was lost"),
    };
    Ok(Some(code))
}

/// Restarts the program; returns only on failure.
fn again(changed: &Path) -> Result<ExitCode> {
    eprintln!("run again: {} changed", changed.display());
    let program = std::env::current_exe().context("cannot find this program")?;
    let failed = Command::new(program).args(std::env::args_os().skip(1)).exec();
    Err(failed).context("cannot restart")
}
