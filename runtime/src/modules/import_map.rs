//! Import maps, which are consulted first.

use ::import_map::{ImportMap, ImportMapDiagnostic, ImportMapErrorKind, parse_from_json};
use url::Url;

use super::error::{Importer, ModuleError, display_url};
use super::options::ImportMapText;
use super::specifier::Specifier;

pub(super) fn parse(text: &ImportMapText) -> Result<ImportMap, ModuleError> {
    let invalid = |reason| ModuleError::InvalidImportMap {
        file: display_url(&text.base),
        reason,
    };
    let parsed = parse_from_json(text.base.clone(), &text.json).map_err(|error| invalid(error.to_string()))?;
    // A browser warns and continues. Here an entry without effect is an error, because warnings go unread. Other
    // top-level keys are allowed: `deno.json` and `integrity` have legitimate ones.
    match parsed
        .diagnostics
        .iter()
        .find(|found| !matches!(found, ImportMapDiagnostic::InvalidTopLevelKey(_)))
    {
        Some(diagnostic) => Err(invalid(diagnostic.to_string())),
        None => Ok(parsed.import_map),
    }
}

pub(super) fn apply<'a>(map: &ImportMap, specifier: &'a str, referrer: &Url) -> Result<Specifier<'a>, ModuleError> {
    match map.resolve(specifier, referrer) {
        Ok(url) => Ok(Specifier::Url(url)),
        Err(error) => match &*error.0 {
            // Not mapped: packages and path aliases are resolved as without a map.
            ImportMapErrorKind::UnmappedBareSpecifier(..) => Specifier::parse(specifier, referrer),
            _ => Err(ModuleError::ImportMapRefuses {
                specifier: specifier.into(),
                importer: Importer::new(referrer),
                reason: error.to_string(),
            }),
        },
    }
}
