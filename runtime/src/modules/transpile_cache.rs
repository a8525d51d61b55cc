//! The cache of transpiled code, bounded in bytes, with least-recently-used eviction.

use std::sync::Arc;

use hashlink::LruCache;
use url::Url;

use super::tsconfig::Settings;

/// TypeScript or JSX with its compiled code.
#[derive(Debug, Clone)]
pub(super) struct Transpiled {
    pub(super) original: Arc<str>,
    pub(super) code: Arc<str>,
    pub(super) source_map: Arc<[u8]>,
}

impl Transpiled {
    fn bytes(&self) -> usize {
        self.original.len() + self.code.len() + self.source_map.len()
    }
}

pub(super) struct TranspileCache {
    entries: LruCache<(Url, Settings), Transpiled>,
    bytes: usize,
    bytes_max: usize,
}

impl TranspileCache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            entries: LruCache::new_unbounded(),
            bytes: 0,
            bytes_max,
        }
    }

    /// Compares the whole source instead of a hash: it is stored anyway, and collisions are impossible.
    pub(super) fn get(&mut self, key: &(Url, Settings), original: &str) -> Option<Transpiled> {
        let transpiled = self.entries.get(key)?;
        (*transpiled.original == *original).then(|| transpiled.clone())
    }

    pub(super) fn insert(&mut self, key: (Url, Settings), transpiled: Transpiled) {
        let bytes = transpiled.bytes();
        if let Some(old) = self.entries.remove(&key) {
            self.bytes -= old.bytes();
        }
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes + bytes > self.bytes_max {
            let Some((_, evicted)) = self.entries.remove_lru() else {
                break;
            };
            self.bytes -= evicted.bytes();
        }
        self.bytes += bytes;
        self.entries.insert(key, transpiled);
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
