//! The code cache of a script version, which its later workers use.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, PoisonError};

/// Compiled code by module. Bounded: code that does not fit is compiled each time.
#[derive(Debug)]
pub(crate) struct CodeCache {
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: usize,
    modules: HashMap<String, (u64, Arc<[u8]>)>,
}

impl CodeCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            inner: Mutex::default(),
        }
    }

    /// The hash that ties compiled code to its source; V8 itself only checks the length.
    pub(crate) fn hash(source: &[u8]) -> u64 {
        let mut hasher = DefaultHasher::new();
        source.hash(&mut hasher);
        hasher.finish()
    }

    pub(crate) fn get(&self, module: &str, hash: u64) -> Option<Arc<[u8]>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner
            .modules
            .get(module)
            .filter(|(of, _)| *of == hash)
            .map(|(_, code)| code.clone())
    }

    pub(crate) fn put(&self, module: &str, hash: u64, code: &[u8]) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if inner.bytes + code.len() > self.bytes_max || inner.modules.get(module).is_some_and(|(of, _)| *of == hash) {
            return;
        }
        inner.bytes += code.len();
        if let Some((_, old)) = inner.modules.insert(module.to_owned(), (hash, code.into())) {
            inner.bytes -= old.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::CodeCache;

    #[test]
    fn cached_code_is_used_for_its_own_source_only() {
        let cache = CodeCache::new(100);
        let hash = CodeCache::hash(b"let a");
        cache.put("a.js", hash, b"code");
        assert_eq!(cache.get("a.js", hash).as_deref(), Some(&b"code"[..]));
        assert_eq!(cache.get("a.js", CodeCache::hash(b"let b")), None);
    }

    #[test]
    fn code_that_does_not_fit_is_not_cached() {
        let cache = CodeCache::new(10);
        cache.put("a.js", 1, b"12345678");
        cache.put("b.js", 2, b"12345678");
        assert!(cache.get("a.js", 1).is_some());
        assert!(cache.get("b.js", 2).is_none());
    }
}
