//! The parts of a worker's blobs, which are outside of its heap. They are charged while a blob, slice or object URL
//! refers to them.

use std::collections::HashMap;
use std::pin::Pin;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use deno_core::url::Url;
use deno_web::{Blob, BlobPart, BlobStore, BlobStoreTrait};

use crate::ledger::Charge;

/// Memory of each part in the store besides its bytes.
pub(super) const PART_BYTES: usize = 192;

type Part = Arc<dyn BlobPart + Send + Sync>;

/// The blobs of one worker.
#[derive(Debug, Default)]
pub(super) struct Blobs {
    store: BlobStore,
    /// The charge of the part being created: parts inserted without one are slices or copies of parts that are charged
    /// already.
    fresh: Mutex<Option<Charge>>,
    /// The store's own memory: slices and copies of one part are many entries.
    entries: Mutex<Charge>,
    object_urls: AtomicUsize,
    slices: Slices,
}

/// The existing slices by address: the store's parts do not tell whether they are slices.
type Slices = Arc<Mutex<HashMap<usize, Weak<Slice>>>>;

impl Blobs {
    pub(super) fn new(entries: Charge) -> Self {
        Self {
            entries: Mutex::new(entries),
            ..Self::default()
        }
    }

    /// Sets the charge for the next part.
    pub(super) fn expect(&self, charge: Charge) {
        *self.fresh.lock().unwrap_or_else(PoisonError::into_inner) = Some(charge);
    }

    /// Creates a part that is a range of another. `None` if there is no such part or range.
    pub(super) fn slice(&self, id: &uuid::Uuid, start: usize, len: usize) -> Option<uuid::Uuid> {
        let part = self.store.get_part(id)?;
        if start.checked_add(len)? > part.size() {
            return None;
        }
        let known = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        let outer = known.get(&address(&part)).and_then(Weak::upgrade);
        drop(known);
        let (whole, start) = match outer {
            Some(outer) => (outer.whole.clone(), outer.start + start),
            None => (part, start),
        };
        let slice = Arc::new(Slice {
            whole,
            start,
            len,
            slices: Arc::clone(&self.slices),
        });
        let mut known = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert(ptr::from_ref(&*slice).addr(), Arc::downgrade(&slice));
        drop(known);
        Some(self.insert_part(slice))
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

/// A part with its charge, which ends with the last reference.
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

fn address(part: &Part) -> usize {
    Arc::as_ptr(part).cast::<()>().addr()
}

/// A range of a part, which is never a slice itself: reading or dropping nested slices would recurse.
#[derive(Debug)]
struct Slice {
    whole: Part,
    start: usize,
    len: usize,
    slices: Slices,
}

impl Drop for Slice {
    fn drop(&mut self) {
        let mut known = self.slices.lock().unwrap_or_else(PoisonError::into_inner);
        known.remove(&ptr::from_ref(self).addr());
    }
}

impl BlobPart for Slice {
    fn read<'a, 'async_trait>(&'a self) -> Pin<Box<dyn Future<Output = &'a [u8]> + Send + 'async_trait>>
    where
        'a: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move { &self.whole.read().await[self.start..][..self.len] })
    }

    fn size(&self) -> usize {
        self.len
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested_by(way: impl Fn(&Blobs, &uuid::Uuid) -> uuid::Uuid) {
        let blobs = Blobs::default();
        let bytes: Vec<u8> = (0..100).collect();
        let mut id = blobs.insert_part(Arc::new(deno_web::InMemoryBlobPart::from(bytes)));
        // Far more levels than fit on a stack.
        for _ in 0..200_000 {
            let start = usize::from(blobs.get_part(&id).expect("a part").size() > 50);
            let len = blobs.get_part(&id).expect("a part").size() - start;
            let copy = way(&blobs, &id);
            let slice = blobs.slice(&copy, start, len).expect("a range of it");
            blobs.remove_part(&copy);
            blobs.remove_part(&id);
            id = slice;
        }
        let part = blobs.get_part(&id).expect("a part");
        let bytes = futures::executor::block_on(part.read()).to_vec();
        assert_eq!(bytes, (50..100).collect::<Vec<u8>>());
        drop((part, blobs.remove_part(&id)));
        assert!(blobs.slices.lock().unwrap().is_empty());
    }

    #[test]
    fn slices_of_slices_do_not_nest() {
        nested_by(|_, id| *id);
    }

    #[test]
    fn copies_of_slices_are_slices() {
        nested_by(|blobs, id| blobs.insert_part(blobs.get_part(id).expect("a part")));
    }

    #[test]
    fn a_range_outside_the_file_is_unsatisfiable() {
        let blobs = Blobs::default();
        let id = blobs.insert_part(Arc::new(deno_web::InMemoryBlobPart::from(vec![0; 10])));
        assert!(blobs.slice(&id, 4, 6).is_some());
        assert!(blobs.slice(&id, 4, 7).is_none());
        assert!(blobs.slice(&id, usize::MAX, 2).is_none());
        assert!(blobs.slice(&uuid::Uuid::nil(), 0, 0).is_none());
    }
}
