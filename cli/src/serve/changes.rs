//! Debounced changes of the files that a configuration and its workers were read from.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use notify::{EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::mpsc;

/// Time without changes that ends a burst: an editor writes a file in several steps.
const SETTLED: Duration = Duration::from_millis(100);

/// Folders whose changes are ignored.
const IGNORED: [&str; 4] = ["node_modules", ".git", ".isopod", "target"];

/// Files that affect module resolution, anywhere in the project.
const RESOLUTION: [&str; 3] = ["package.json", "tsconfig.json", "jsconfig.json"];

/// Extensions of potential modules: a missing one may have been created.
const MODULES: [&str; 12] = [
    "js", "mjs", "cjs", "jsx", "ts", "mts", "cts", "tsx", "json", "wasm", "txt", "html",
];

/// Capacity of the channel of changes, and maximum number of changes that a burst lists.
const WAITING_MAX: usize = 64;

/// Maximum number of watched folders, each with an inotify watch.
const FOLDERS_MAX: usize = 4_096;

/// Relevant changes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Interest {
    /// Files that were read, and optional ones that do not exist.
    pub(crate) files: BTreeSet<PathBuf>,
    /// Set if a module was not found or a worker did not start: any new module may fix it.
    pub(crate) is_broken: bool,
}

impl Interest {
    fn covers(&self, path: &Path) -> bool {
        let Some(name) = path.file_name().map(|name| name.to_string_lossy()) else {
            return false;
        };
        if self.files.contains(path) || RESOLUTION.contains(&&*name) {
            return true;
        }
        // Without an extension it may be a folder with modules in it.
        let may_be_a_module = || match path.extension() {
            Some(extension) => MODULES.iter().any(|module| extension == *module),
            None => !name.starts_with('.'),
        };
        self.is_broken && may_be_a_module()
    }
}

/// Changes that followed each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Burst {
    /// The last changed file.
    pub(crate) last: PathBuf,
    /// All changed files; `None` if there were too many to list.
    pub(crate) files: Option<BTreeSet<PathBuf>>,
}

/// A stream of relevant changes. Dropping it ends the watch.
pub(crate) struct Changes {
    root: PathBuf,
    watcher: RecommendedWatcher,
    watched: BTreeSet<PathBuf>,
    interest: Arc<Mutex<Interest>>,
    changed: mpsc::Receiver<PathBuf>,
}

impl Changes {
    /// Watches the folders below `root`. No change is relevant until [`follow`](Self::follow) is called.
    pub(crate) fn below(root: &Path) -> Result<Self> {
        let root = std::fs::canonicalize(root).with_context(|| format!("cannot watch {}", root.display()))?;
        let (sender, changed) = mpsc::channel(WAITING_MAX);
        let interest = Arc::new(Mutex::new(Interest::default()));
        let seen_by_watcher = Arc::clone(&interest);
        let watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
            let Ok(event) = event else { return };
            if matches!(event.kind, EventKind::Access(_)) {
                return;
            }
            let interest = seen_by_watcher.lock().unwrap_or_else(PoisonError::into_inner);
            for path in event.paths.into_iter().filter(|path| interest.covers(path)) {
                // If the channel is full, the burst has too many changes to list.
                drop(sender.try_send(path));
            }
        })
        .context("cannot watch files")?;
        Ok(Self {
            root,
            watcher,
            watched: BTreeSet::new(),
            interest,
            changed,
        })
    }

    /// Replaces the set of relevant files.
    pub(crate) fn follow(&mut self, interest: Interest) {
        let interest = Interest {
            files: interest.files.iter().map(PathBuf::as_path).map(real).collect(),
            ..interest
        };
        let files = interest.files.clone();
        // The set of files is updated before the watch, so that no change in between is missed.
        *self.interest.lock().unwrap_or_else(PoisonError::into_inner) = interest;
        self.watch_folders(&files);
    }

    /// Waits for the next burst of changes.
    pub(crate) async fn next(&mut self) -> Option<Burst> {
        let first = self.first().await?;
        Some(self.settled(first).await)
    }

    /// Waits for the first change of the next burst. Cancel safe.
    pub(crate) async fn first(&mut self) -> Option<PathBuf> {
        self.changed.recv().await
    }

    /// Waits for the end of a burst.
    pub(crate) async fn settled(&mut self, first: PathBuf) -> Burst {
        let (mut last, mut count) = (first.clone(), 1);
        let mut files = BTreeSet::from([first]);
        while let Ok(Some(path)) = tokio::time::timeout(SETTLED, self.changed.recv()).await {
            count += 1;
            if files.len() < WAITING_MAX {
                files.insert(path.clone());
            }
            last = path;
        }
        Burst {
            last,
            files: (count < WAITING_MAX).then_some(files),
        }
    }

    /// Watches every folder below the root that may contain sources, and the folders of files outside it.
    fn watch_folders(&mut self, files: &BTreeSet<PathBuf>) {
        let outside = files.iter().filter(|file| !file.starts_with(&self.root));
        let outside = outside
            .filter_map(|file| file.parent())
            .filter(|folder| !is_ignored(folder));
        let wanted: BTreeSet<PathBuf> = folders(&self.root)
            .into_iter()
            .chain(outside.map(Path::to_owned))
            .take(FOLDERS_MAX)
            .collect();
        for gone in self.watched.difference(&wanted) {
            // A deleted folder is no longer watched anyway.
            drop(self.watcher.unwatch(gone));
        }
        // Folders are watched again even if they were watched before: they may have been deleted and recreated meanwhile.
        for folder in &wanted {
            if let Err(error) = self.watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::warn!(target: "isopod", "cannot watch {}: {error}", folder.display());
            }
        }
        self.watched = wanted;
    }
}

/// Returns the path as it is reported: links to folders are followed.
pub(super) fn real(path: &Path) -> PathBuf {
    match (path.parent().map(std::fs::canonicalize), path.file_name()) {
        (Some(Ok(folder)), Some(name)) => folder.join(name),
        _ => path.to_owned(),
    }
}

fn is_ignored(folder: &Path) -> bool {
    folder.iter().any(|part| IGNORED.iter().any(|ignored| part == *ignored))
}

/// Returns the folder and its subfolders, except hidden and ignored ones. Links are not followed.
fn folders(root: &Path) -> Vec<PathBuf> {
    let mut found = vec![root.to_owned()];
    let mut next = 0;
    while let Some(folder) = found.get(next).filter(|_| found.len() < FOLDERS_MAX) {
        next += 1;
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        let below = entries.filter(|entry| {
            let name = entry.file_name();
            let is_hidden = name.to_string_lossy().starts_with('.');
            entry.file_type().is_ok_and(|kind| kind.is_dir()) && !is_hidden && !is_ignored(Path::new(&name))
        });
        let below: Vec<_> = below.map(|entry| entry.path()).collect();
        found.extend(below);
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    fn interest(files: &[&str], is_broken: bool) -> Interest {
        Interest {
            files: files.iter().map(PathBuf::from).collect(),
            is_broken,
        }
    }

    #[test]
    fn only_changes_of_read_files_are_relevant() {
        let interest = interest(&["/p/src/index.ts", "/p/isopod.toml"], false);
        for path in [
            "/p/src/index.ts",
            "/p/isopod.toml",
            "/p/package.json",
            "/p/src/tsconfig.json",
        ] {
            assert!(interest.covers(Path::new(path)), "{path}");
        }
        for path in [
            "/p/app.db",
            "/p/app.db-wal",
            "/p/server.log",
            "/p/src/notes.md",
            "/p/src/other.ts",
            "/p/logs",
        ] {
            assert!(!interest.covers(Path::new(path)), "{path}");
        }
    }

    #[test]
    fn after_a_mistake_changes_of_unread_modules_are_relevant() {
        let interest = interest(&["/p/index.ts"], true);
        for path in ["/p/util.ts", "/p/lib", "/p/data.json"] {
            assert!(interest.covers(Path::new(path)), "{path}");
        }
        for path in ["/p/app.db-wal", "/p/server.log", "/p/.cache"] {
            assert!(!interest.covers(Path::new(path)), "{path}");
        }
    }

    #[tokio::test]
    async fn changes_of_followed_files_are_reported_and_those_of_databases_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let (script, database) = (folder.path().join("src/index.ts"), folder.path().join("app.db-wal"));
        std::fs::create_dir(folder.path().join("src")).unwrap();
        std::fs::write(&script, "1").unwrap();
        let mut changes = Changes::below(folder.path()).unwrap();
        changes.follow(Interest {
            files: [script.clone()].into(),
            is_broken: false,
        });
        std::fs::write(&database, "page").unwrap();
        std::fs::write(&script, "2").unwrap();
        let burst = changes.next().await.unwrap();
        assert_eq!(burst.last, real(&script));
        assert_eq!(burst.files, Some([real(&script)].into()));
    }

    #[tokio::test]
    async fn a_burst_of_many_changes_lists_none() {
        let folder = tempfile::tempdir().unwrap();
        let scripts: Vec<_> = (0..2 * WAITING_MAX)
            .map(|at| folder.path().join(format!("{at}.js")))
            .collect();
        let mut changes = Changes::below(folder.path()).unwrap();
        changes.follow(Interest {
            files: scripts.iter().cloned().collect(),
            is_broken: false,
        });
        scripts.iter().for_each(|script| std::fs::write(script, "1").unwrap());
        assert_eq!(changes.next().await.unwrap().files, None);
    }
}
