//! Looking for the files of one request.

use std::cell::{Cell, RefCell};

use crate::files::OpenFile;
use crate::folder::Site;

/// Looks for files of a site, in memory or wherever they are.
pub(crate) struct Look<'a> {
    site: &'a Site,
    is_cached: bool,
    /// A file is needed that is not in memory.
    has_missed: Cell<bool>,
    /// The file that was looked for last, and its path: it is the one that is opened.
    last: RefCell<Option<(String, Box<dyn OpenFile>)>>,
}

impl<'a> Look<'a> {
    /// Looks only for what needs no waiting. Once it [has missed](Self::has_missed) a file, no answer of it counts.
    pub(crate) fn cached(site: &'a Site) -> Self {
        Self::new(site, true)
    }

    /// Looks wherever the files are. Blocks.
    pub(crate) fn blocking(site: &'a Site) -> Self {
        Self::new(site, false)
    }

    fn new(site: &'a Site, is_cached: bool) -> Self {
        Self {
            site,
            is_cached,
            has_missed: Cell::new(false),
            last: RefCell::default(),
        }
    }

    /// Returns true if there is a file at a decoded path of a URL.
    pub(crate) fn has(&self, path: &str) -> bool {
        if !self.is_cached {
            return self.site.has(path);
        }
        // The first miss decides.
        if self.has_missed.get() {
            return false;
        }
        match self.site.open_cached(path) {
            None => {
                self.has_missed.set(true);
                false
            }
            Some(None) => false,
            Some(Some(file)) => {
                *self.last.borrow_mut() = Some((path.to_owned(), file));
                true
            }
        }
    }

    /// Opens the file at a decoded path of a URL.
    pub(crate) fn open(&self, path: &str) -> std::io::Result<Option<Box<dyn OpenFile>>> {
        if !self.is_cached {
            return self.site.open(path);
        }
        match self.last.take() {
            Some((of, file)) if of == path => Ok(Some(file)),
            _ => Ok(self.has(path).then(|| self.last.take()).flatten().map(|(_, file)| file)),
        }
    }

    /// Records that a file cannot be read from memory. Returns false if it was looked for wherever it is.
    pub(crate) fn misses(&self) -> bool {
        self.has_missed.set(self.is_cached);
        self.is_cached
    }

    /// Returns true if a file was needed that is not in memory.
    pub(crate) fn has_missed(&self) -> bool {
        self.has_missed.get()
    }
}
