//! The imports that code names literally, which alone may be of text and bytes.

use std::sync::Arc;

use oxc::span::SourceType;
use url::Url;

use super::error::ModuleError;
use super::files::Files;
use super::kind::{RequestedType, Treatment};
use super::literals;
use super::loader::Loader;

impl Loader {
    /// Returns true for requests of text or bytes, which can be read from any file.
    pub(crate) fn is_data(&self, url: &Url, requested: RequestedType<'_>) -> bool {
        matches!(self.treatment(url, requested), Treatment::Text | Treatment::Bytes)
    }

    /// Returns true if an import of `referrer` literally names the module at `url`. Otherwise the specifier was
    /// computed.
    pub fn names(&self, referrer: &Url, code: &Arc<str>, url: &Url) -> bool {
        let specifiers = self.literals(referrer, code).unwrap_or_default();
        let mut specifiers = specifiers.iter();
        specifiers.any(|specifier| self.resolve(specifier, referrer).is_ok_and(|named| named == *url))
    }

    /// The modules that the imports of `referrer` literally name, as far as they can be resolved.
    ///
    /// # Errors
    ///
    /// The worker has to stop.
    pub(crate) fn imports(&self, referrer: &Url, code: &Arc<str>) -> Result<Vec<Url>, ModuleError> {
        let specifiers = self.literals(referrer, code)?.into_iter();
        Ok(specifiers
            .filter_map(|specifier| self.resolve(&specifier, referrer).ok())
            .collect())
    }

    /// The literal specifiers of imports; none if the code cannot be parsed.
    fn literals(&self, url: &Url, code: &Arc<str>) -> Result<Vec<String>, ModuleError> {
        let source = Arc::clone(code);
        let find = move || literals::specifiers(&source);
        Ok(self
            .parsers
            .run_or_leave_to_v8(url, code, SourceType::mjs(), find)?
            .unwrap_or_default())
    }

    /// Returns true if `import()` accepts computed specifiers for text and bytes.
    pub fn computes_data(&self) -> bool {
        let disk = self.sources.disk.as_ref();
        disk.is_none_or(Files::computes_data)
    }
}
