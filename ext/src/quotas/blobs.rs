//! The parts of a worker's blobs, which lie outside its heap: charged while any blob, slice or object URL has them.

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use deno_core::url::Url;
use deno_web::{Blob, BlobPart, BlobStore, BlobStoreTrait};

use crate::ledger::Charge;

/// What the store takes for each part beside its bytes.
pub(super) const PART_BYTES: usize = 128;

type Part = Arc<dyn BlobPart + Send + Sync>;

/// The blobs of one worker.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    store: BlobStore,
    /// Of the part that is being made: what is inserted without one is a slice or a copy of what is charged already.
    fresh: Mutex<Option<Charge>>,
    /// The store's own memory: slices and copies of one part are many entries.
    entries: Mutex<Charge>,
    object_urls: AtomicUsize,
}

impl Blobs {
    pub(super) fn new(entries: Charge) -> Self {
        Self {
            entries: Mutex::new(entries),
            ..Self::default()
        }
    }

    /// The next part is new, and this is what it holds.
    pub(super) fn expect(&self, charge: Charge) {
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(charge);
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let bytes = change(entries.bytes());
        entries.resize(bytes);
    }

    pub(super) fn object_urls(&self) -> usize {
        self.object_urls.load(Ordering::Relaxed)
    }
}

impl BlobStoreTrait for Blobs {
    fn insert_part(&self, part: Part) -> uuid::Uuid {
        let fresh = self.fresh.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.count(|bytes| bytes + PART_BYTES);
        self.store.insert_part(match fresh {
            Some(charge) => Arc::new(Held { part, _charge: charge }),
            None => part,
        })
    }

    fn get_part(&self, id: &uuid::Uuid) -> Option<Part> {
        self.store.get_part(id)
    }

    fn remove_part(&self, id: &uuid::Uuid) -> Option<Part> {
        let removed = self.store.remove_part(id);
        if removed.is_some() {
            self.count(|bytes| bytes.saturating_sub(PART_BYTES));
        }
        removed
    }

    fn get_object_url(&self, url: Url) -> Option<Arc<Blob>> {
        self.store.get_object_url(url)
    }

    fn insert_object_url(&self, blob: Blob, location: Option<Url>) -> Url {
        self.object_urls.fetch_add(1, Ordering::Relaxed);
        self.store.insert_object_url(blob, location)
    }

    fn remove_object_url(&self, url: &Url) {
        if self.store.get_object_url(url.clone()).is_some() {
            self.store.remove_object_url(url);
            self.object_urls.fetch_sub(1, Ordering::Relaxed);
        }
    }

    fn clear(&self) {
        self.store.clear();
        self.count(|_| 0);
        self.object_urls.store(0, Ordering::Relaxed);
    }
}

/// A part with its charge: it goes when the last that has the part lets go of it.
#[derive(Debug)]
struct Held {
    part: Part,
    _charge: Charge,
}

impl BlobPart for Held {
    fn read<'a, 'async_trait>(&'a self) -> Pin<Box<dyn Future<Output = &'a [u8]> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        self.part.read()
    }

    fn size(&self) -> usize {
        self.part.size()
    }
}
