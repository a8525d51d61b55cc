//! The module cache of a script version: each module is read once, so that a version does not change with its files,
//! and later workers read nothing.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use deno_core::url::Url;

#[cfg(feature = "node")]
use crate::modules::ModuleCode;
use crate::modules::{Module, ModuleError, RequestedType};

/// The requested type of a module; the same file can be code, text and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum As {
    Itself,
    Json,
    Text,
    Bytes,
}

/// Modules by URL and requested type. Bounded: modules that do not fit are read each time.
#[derive(Debug)]
pub(crate) struct ModuleCache {
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    bytes: usize,
    modules: HashMap<(Url, As), Module>,
}

impl ModuleCache {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            inner: Mutex::default(),
        }
    }

    /// Returns the module as first read, or else the result of `read`.
    pub(crate) fn get_or_read(
        &self,
        url: &Url,
        requested: RequestedType<'_>,
        read: impl FnOnce() -> Result<Module, ModuleError>,
    ) -> Result<Module, ModuleError> {
        let kind = match requested {
            RequestedType::Unspecified => As::Itself,
            RequestedType::Json => As::Json,
            RequestedType::Text => As::Text,
            RequestedType::Bytes => As::Bytes,
            RequestedType::Other(_) => return read(),
        };
        let key = (url.clone(), kind);
        if let Some(module) = self
            .inner
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .modules
            .get(&key)
        {
            return Ok(module.clone());
        }
        // Not under the lock: two workers that start at once may both read, and the first to finish is kept.
        let module = read()?;
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(first) = inner.modules.get(&key) {
            return Ok(first.clone());
        }
        let bytes = bytes(&module);
        if inner.bytes + bytes <= self.bytes_max {
            inner.bytes += bytes;
            inner.modules.insert(key, module.clone());
        }
        Ok(module)
    }

    /// The content of a module before it was compiled, for any requested type.
    #[cfg(feature = "node")]
    pub(crate) fn content(&self, url: &Url) -> Option<std::sync::Arc<[u8]>> {
        let inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let kinds = [As::Itself, As::Json, As::Text, As::Bytes];
        let module = kinds
            .into_iter()
            .find_map(|kind| inner.modules.get(&(url.clone(), kind)))?;
        Some(match (&module.original, &module.code) {
            (Some(text), _) | (None, ModuleCode::Text(text)) => std::sync::Arc::clone(text).into(),
            (None, ModuleCode::Bytes(bytes)) => std::sync::Arc::clone(bytes),
        })
    }
}

fn bytes(module: &Module) -> usize {
    module.code.len()
        + module.source_map.as_ref().map_or(0, |map| map.len())
        + module.original.as_ref().map_or(0, |text| text.len())
}
