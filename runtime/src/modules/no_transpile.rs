//! Replaces the compiler for TypeScript and JSX in builds without it.

use std::sync::Arc;

use url::Url;

use super::defines::Defines;
use super::error::{ModuleError, display_url};
use super::kind::{Dialect, Format};
use super::transpile_cache::Transpiled;
use super::tsconfig::Settings;

pub(super) fn transpile(
    url: &Url,
    _source: &Arc<str>,
    (dialect, _format): (Dialect, Format),
    _settings: &Settings,
    _defines: &Defines,
) -> Result<Transpiled, ModuleError> {
    Err(ModuleError::NoCompiler {
        file: display_url(url),
        language: dialect.name(),
    })
}
