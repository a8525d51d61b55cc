//! Parses an import specifier: a URL or a bare name. Pure.

use url::Url;

use super::error::{Importer, ModuleError};

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Specifier<'a> {
    Url(Url),
    /// A package, a path alias of `tsconfig.json`, or a `#name` from the package's own `imports`.
    Bare(&'a str),
}

impl<'a> Specifier<'a> {
    pub(super) fn parse(text: &'a str, referrer: &Url) -> Result<Self, ModuleError> {
        let relative = text.starts_with("./") || text.starts_with("../") || text.starts_with('/');
        if relative || text == "." || text == ".." {
            return referrer
                .join(text)
                .map(Self::Url)
                .map_err(|_| ModuleError::InvalidSpecifier {
                    specifier: text.into(),
                    importer: Importer::new(referrer),
                    reason: format!("relative imports need an importer whose URL has a path, but {referrer} has none"),
                });
        }
        if text.is_empty() {
            return Err(ModuleError::InvalidSpecifier {
                specifier: String::new(),
                importer: Importer::new(referrer),
                reason: "it is empty; write \"./file.js\" or a package's name".into(),
            });
        }
        Ok(Url::parse(text).map_or(Self::Bare(text), Self::Url))
    }
}

/// The package of a specifier: `@scope/name` of `@scope/name/path`, `name` of `name/path`.
pub(super) fn package_name(specifier: &str) -> &str {
    let parts = if specifier.starts_with('@') { 2 } else { 1 };
    specifier
        .match_indices('/')
        .nth(parts - 1)
        .map_or(specifier, |(end, _)| &specifier[..end])
}

/// The package of a file's path: the part after the last `node_modules`.
pub(super) fn package_of(path: &str) -> Option<&str> {
    let (_, inside) = path.rsplit_once("/node_modules/")?;
    let name = package_name(inside);
    (!name.is_empty()).then_some(name)
}

/// The error for a URL that modules cannot be loaded from.
pub(super) fn refuse_scheme(url: &Url, specifier: &str, importer: Importer) -> ModuleError {
    let specifier = specifier.to_owned();
    let remedy = match url.scheme() {
        "cloudflare" | "workerd" => {
            "modules of that platform are not provided; bindings are reached through `env`, the second argument of a handler"
        }
        "npm" | "jsr" => {
            "packages come from node_modules; install it (`npm install NAME`, for JSR `npx jsr add NAME`) and import it by its bare name"
        }
        "http" | "https" => {
            "modules are not loaded over the network; install the package with npm, or save the file next to the script"
        }
        "data" | "blob" => "modules are not loaded from data; save it as a file next to the script",
        _ => {
            "modules cannot be loaded from such a URL; import a file (\"./file.js\") or an installed package by its name"
        }
    };
    ModuleError::UnsupportedScheme {
        specifier,
        importer,
        remedy,
    }
}
