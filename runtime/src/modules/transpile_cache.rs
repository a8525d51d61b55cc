//! Transpiled code, kept in memory up to a number of bytes; the least recently used goes first.

use std::collections::HashMap;
use std::sync::Arc;

use url::Url;

use super::tsconfig::Settings;

/// TypeScript or JSX, and what became of it.
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

struct Entry {
    transpiled: Transpiled,
    last_used: u64,
}

pub(super) struct TranspileCache {
    entries: HashMap<(Url, Settings), Entry>,
    bytes: usize,
    bytes_max: usize,
    clock: u64,
}

impl TranspileCache {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            entries: HashMap::new(),
            bytes: 0,
            bytes_max,
            clock: 0,
        }
    }

    /// The whole source is compared, not a hash of it: it is kept anyway, and two sources never pass for one.
    pub(super) fn get(&mut self, key: &(Url, Settings), original: &str) -> Option<Transpiled> {
        self.clock += 1;
        let entry = self
            .entries
            .get_mut(key)
            .filter(|entry| *entry.transpiled.original == *original)?;
        entry.last_used = self.clock;
        Some(entry.transpiled.clone())
    }

    pub(super) fn insert(&mut self, key: (Url, Settings), transpiled: Transpiled) {
        let bytes = transpiled.bytes();
        if let Some(old) = self.entries.remove(&key) {
            self.bytes -= old.transpiled.bytes();
        }
        if bytes > self.bytes_max {
            return;
        }
        while self.bytes + bytes > self.bytes_max {
            let oldest = self
                .entries
                .iter()
                .min_by_key(|(_, entry)| entry.last_used)
                .map(|(key, _)| key.clone());
            let Some(evicted) = oldest.and_then(|key| self.entries.remove(&key)) else {
                break;
            };
            self.bytes -= evicted.transpiled.bytes();
        }
        self.clock += 1;
        self.bytes += bytes;
        self.entries.insert(
            key,
            Entry {
                transpiled,
                last_used: self.clock,
            },
        );
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
