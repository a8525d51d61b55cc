//! The bytes of a module, from memory or from disk. Used by the loader and its source maps.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use url::Url;

use super::disk::{Edge, Found};
use super::error::{Importer, ModuleError, display_url};
use super::files::Files;
use super::helpers;
use super::in_memory;
use super::kind::RequestedType;
use super::near_names::{hint, near};
use super::options::MemoryModule;
use super::specifier::{package_name, refuse_scheme};

pub(super) struct Sources {
    pub(super) memory: BTreeMap<Url, MemoryModule>,
    pub(super) disk: Option<Files>,
    pub(super) bytes_max: u64,
    /// Bytes of the largest module read so far.
    pub(super) largest: AtomicU64,
}

impl Sources {
    /// Returns true if the nearest `package.json` of a file says `"type": "module"`.
    pub(super) fn is_in_module_package(&self, url: &Url) -> bool {
        self.disk.as_ref().is_some_and(|disk| disk.is_in_module_package(url))
    }

    pub(super) fn resolve_url(
        &self,
        url: Url,
        specifier: &str,
        importer: Importer,
        edge: Edge,
    ) -> Result<Url, ModuleError> {
        if let Some(found) = in_memory::find(&self.memory, &url) {
            return Ok(found);
        }
        match (&self.disk, url.scheme()) {
            (_, helpers::SCHEME) => Ok(url),
            (Some(disk), "file") => disk.resolve_url(&url, specifier, importer, edge).map(file_or_empty),
            (None, "file") => Err(self.not_in_memory(&url, specifier, importer)),
            (_, scheme) if self.memory.keys().any(|known| known.scheme() == scheme) => {
                Err(self.not_in_memory(&url, specifier, importer))
            }
            _ => Err(refuse_scheme(&url, specifier, importer)),
        }
    }

    pub(super) fn resolve_bare(
        &self,
        specifier: &str,
        referrer: &Url,
        importer: Importer,
        edge: Edge,
    ) -> Result<Url, ModuleError> {
        match &self.disk {
            Some(disk) => disk
                .resolve_bare(specifier, referrer, importer, edge)
                .map(file_or_empty),
            None => Err(ModuleError::PackageNotInstalled {
                package: package_name(specifier).into(),
                specifier: specifier.into(),
                importer,
            }),
        }
    }

    pub(super) fn read(
        &self,
        url: &Url,
        requested: RequestedType<'_>,
        importer: &Importer,
    ) -> Result<Arc<[u8]>, ModuleError> {
        let content = match (self.memory.get(url), &self.disk, url.scheme()) {
            (Some(module), ..) => self.bounded(url, &module.content),
            (None, Some(disk), "file") => disk.read(url, requested, self.bytes_max, importer),
            (None, None, "file") => Err(self.not_in_memory(url, url.as_str(), importer.clone())),
            _ => Err(refuse_scheme(url, url.as_str(), importer.clone())),
        }?;
        self.largest.fetch_max(content.len() as u64, Ordering::Relaxed);
        Ok(content)
    }

    fn bounded(&self, url: &Url, content: &Arc<[u8]>) -> Result<Arc<[u8]>, ModuleError> {
        let (bytes, limit) = (content.len() as u64, self.bytes_max);
        if bytes > limit {
            let file = display_url(url);
            return Err(ModuleError::TooLarge { file, bytes, limit });
        }
        Ok(Arc::clone(content))
    }

    fn not_in_memory(&self, url: &Url, specifier: &str, importer: Importer) -> ModuleError {
        let hint = hint(&near(url.as_str(), self.memory.keys().map(Url::as_str)));
        ModuleError::NotFound {
            specifier: specifier.into(),
            importer,
            hint,
        }
    }
}

fn file_or_empty(found: Found) -> Url {
    match found {
        Found::File(url) => url,
        Found::Nothing => helpers::empty(),
    }
}
