//! Changes of files below a folder, told once they have settled.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// How long nothing must have changed: an editor writes a file in several steps.
const SETTLED: Duration = Duration::from_millis(100);

/// Folders in which changes mean nothing to a worker.
const IGNORED: [&str; 4] = ["node_modules", ".git", ".isopod", "target"];

/// Changes that may wait to be taken; more are one anyway.
const WAITING_MAX: usize = 64;

/// The changes below a folder. Dropping it ends the watch.
pub(super) struct Changes {
    _watcher: RecommendedWatcher,
    changed: mpsc::Receiver<PathBuf>,
}

impl Changes {
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let (sender, changed) = mpsc::channel(WAITING_MAX);
        let root = folder.to_owned();
        let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            for path in event.paths {
                let below = path.strip_prefix(&root).unwrap_or(&path);
                if !below.iter().any(|part| IGNORED.iter().any(|ignored| part == *ignored)) {
                    // With so many waiting, one of them brings the same redeployment.
                    drop(sender.try_send(path));
                }
            }
        })
        .context("cannot watch files")?;
        watcher
            .watch(folder, RecursiveMode::Recursive)
            .with_context(|| format!("cannot watch {}", folder.display()))?;
        Ok(Self {
            _watcher: watcher,
            changed,
        })
    }

    /// The last file of the next burst of changes.
    pub(super) async fn next(&mut self) -> Option<PathBuf> {
        let mut last = self.changed.recv().await?;
        while let Ok(Some(path)) = tokio::time::timeout(SETTLED, self.changed.recv()).await {
            last = path;
        }
        Some(last)
    }
}
