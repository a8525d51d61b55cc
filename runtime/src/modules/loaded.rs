//! The modules that a script version has loaded.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use url::Url;

/// The maximum number of files of another process that are remembered.
const FILES_MAX: usize = 100_000;

/// The modules that a script version has loaded so far, including dynamic imports. The list is live, and does not keep
/// the script alive.
#[derive(Debug, Clone, Default)]
pub struct ModulesLoaded(Arc<Mutex<HashSet<Url>>>);

impl ModulesLoaded {
    fn lock(&self) -> MutexGuard<'_, HashSet<Url>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The loaded files.
    #[must_use]
    pub fn files(&self) -> Vec<PathBuf> {
        self.lock().iter().filter_map(|url| url.to_file_path().ok()).collect()
    }

    /// The URLs.
    #[must_use]
    pub fn urls(&self) -> Vec<Url> {
        self.lock().iter().cloned().collect()
    }

    /// The number of modules.
    #[must_use]
    pub fn count(&self) -> usize {
        self.lock().len()
    }

    /// Adds modules that a worker in another process has loaded, by their URLs. Only files are kept.
    pub fn add(&self, urls: &[String]) {
        let urls = urls.iter().filter_map(|url| Url::parse(url).ok());
        for url in urls.filter(|url| url.scheme() == "file") {
            if !self.insert(&url, FILES_MAX) {
                break;
            }
        }
    }

    /// Adds a module. Returns false if the limit is reached.
    pub(super) fn insert(&self, url: &Url, max: usize) -> bool {
        let mut loaded = self.lock();
        if loaded.contains(url) {
            return true;
        }
        let fits = loaded.len() < max;
        if fits {
            loaded.insert(url.clone());
        }
        fits
    }
}
