//! Files: resolution as in bundlers for workers, restricted to the jail.

use std::fs;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use oxc_resolver::{ResolveError, ResolveOptions, ResolverGeneric, TsConfig, TsconfigDiscovery};
use serde::{Deserialize, Serialize};
use url::Url;

use super::browser::{BrowserMaps, Replacement};
use super::error::{Importer, ModuleError, display_url};
use super::jail::{Denial, Jail, JailedFiles};
use super::kind::RequestedType;
use super::near_names::{hint, near};
use super::options::Reach;
use super::package_type::PackageTypes;
use super::refusal;
use super::rules::Rules;
use super::specifier::package_name;

/// Extensions to try, in this order, for a path without one.
pub(super) const EXTENSIONS: &[&str] = &[".ts", ".tsx", ".mts", ".js", ".jsx", ".mjs", ".json"];
/// In packages, compiled files have precedence over sources next to them.
const PACKAGE_EXTENSIONS: &[&str] = &[".js", ".mjs", ".jsx", ".json", ".ts", ".tsx", ".mts"];
/// For `require`, whose first choices are those of Node.js.
const REQUIRED_EXTENSIONS: &[&str] = &[".js", ".json", ".cjs", ".mjs", ".jsx", ".ts", ".tsx", ".mts", ".cts"];
/// TypeScript imports `./a.js` for the file `a.ts`.
pub(super) const REPLACED_EXTENSIONS: &[(&str, &[&str])] = &[
    (".js", &[".js", ".ts", ".tsx", ".jsx"]),
    (".jsx", &[".jsx", ".tsx"]),
    (".mjs", &[".mjs", ".mts"]),
    (".cjs", &[".cjs", ".cts"]),
];
/// Number of names in a folder that are considered for a hint.
const HINT_NAMES_MAX: usize = 2_000;

pub(super) struct Disk {
    jail: Jail,
    rules: Arc<Rules>,
    /// Resolves imports of the script's own files.
    own: ResolverGeneric<JailedFiles>,
    /// Resolves packages, and imports within them.
    packages: ResolverGeneric<JailedFiles>,
    /// Resolves what CommonJS modules require.
    required: ResolverGeneric<JailedFiles>,
    browser: BrowserMaps,
    types: PackageTypes,
}

/// The kind of a reference from one module to another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Edge {
    Import,
    Require,
}

/// The result of resolving a specifier on disk.
pub(super) enum Found {
    File(Url),
    /// The package's `browser` field disables the module.
    Nothing,
}

impl Disk {
    pub(super) fn new(jail: Jail, conditions: &[String], rules: Arc<Rules>) -> Self {
        let strings = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let options = |extensions| ResolveOptions {
            condition_names: conditions.to_vec(),
            extensions: strings(extensions),
            extension_alias: REPLACED_EXTENSIONS
                .iter()
                .map(|(from, to)| ((*from).to_owned(), strings(to)))
                .collect(),
            main_fields: strings(&["browser", "module", "main"]),
            alias_fields: vec![strings(&["browser"])],
            tsconfig: Some(TsconfigDiscovery::Auto),
            // An embedded crate does not read environment variables.
            node_path: false,
            ..ResolveOptions::default()
        };
        let own = ResolverGeneric::new_with_file_system(JailedFiles::in_reach(&jail), options(EXTENSIONS));
        let packages = own.clone_with_options(options(PACKAGE_EXTENSIONS));
        let required = own.clone_with_options(ResolveOptions {
            condition_names: conditions_of_require(conditions),
            main_fields: strings(&["browser", "main"]),
            ..options(REQUIRED_EXTENSIONS)
        });
        Self {
            rules,
            jail,
            own,
            packages,
            required,
            browser: BrowserMaps::default(),
            types: PackageTypes::default(),
        }
    }

    /// Returns true if the nearest `package.json` of a file says `"type": "module"`.
    pub(super) fn is_in_module_package(&self, url: &Url) -> bool {
        let path = url.to_file_path().map(|path| self.jail.rebased(&path));
        path.is_ok_and(|path| self.types.is_module(&path, self.jail.ceiling()))
    }

    pub(super) fn root(&self) -> &Path {
        self.jail.root()
    }

    pub(super) fn reach(&self) -> &Reach {
        self.jail.reach()
    }

    /// Records the script's main module, by the URL in its configuration.
    pub(super) fn set_main(&self, url: &Url) {
        if let Ok(path) = url.to_file_path() {
            self.jail.set_main(&path);
        }
    }

    /// Returns true for the script's main module.
    pub(super) fn is_main(&self, url: &Url) -> bool {
        url.to_file_path()
            .is_ok_and(|path| self.jail.is_main(&self.jail.rebased(&path)))
    }

    /// Resolves a `file:` URL as written, without searching extensions.
    pub(super) fn resolve_url(
        &self,
        url: &Url,
        specifier: &str,
        importer: Importer,
        edge: Edge,
    ) -> Result<Found, ModuleError> {
        let path = self.path(url, specifier, &importer)?;
        let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
            return Err(self.not_found(&path, specifier, importer));
        };
        // Checked before looking at the file system, so that a script cannot probe for files it may not read.
        self.jail
            .admits_name(&path)
            .map_err(|denial| self.denied(denial, &path, importer.clone()))?;
        let name = name.to_string_lossy();
        if name.contains(['?', '#']) {
            // The resolver would take these for a query; such a name is only found literally.
            return if path.is_file() {
                self.verified(&path, url.query(), url.fragment(), importer, edge)
            } else {
                Err(self.not_found(&path, specifier, importer))
            };
        }
        let in_package = path.iter().any(|part| part == "node_modules");
        let resolver = match edge {
            Edge::Require => &self.required,
            Edge::Import if in_package => &self.packages,
            Edge::Import => &self.own,
        };
        // A folder, and not a file of that name next to it.
        let slash = if url.path().ends_with('/') { "/" } else { "" };
        match resolver.resolve(folder, &format!("./{name}{slash}")) {
            Ok(found) => self.verified(found.path(), url.query(), url.fragment(), importer, edge),
            Err(error) => {
                // It exists, and a link leads out of the jail.
                if fs::canonicalize(&path).is_ok_and(|real| !self.jail.holds(&real)) {
                    return Err(self.denied(Denial::Outside, &path, importer));
                }
                self.explain(error, &path, specifier, importer)
            }
        }
    }

    /// Resolves a bare name from a file (`None`: from the root).
    pub(super) fn resolve_bare(
        &self,
        specifier: &str,
        referrer: &Url,
        importer: Importer,
        edge: Edge,
    ) -> Result<Found, ModuleError> {
        if specifier.split(['/', '\\']).any(|part| part == "..") {
            return Err(ModuleError::InvalidSpecifier {
                specifier: specifier.into(),
                importer,
                reason: "a path within a package must not leave it through \"..\"".into(),
            });
        }
        let from = match referrer.to_file_path() {
            Ok(path) if referrer.scheme() == "file" && path.starts_with(self.jail.ceiling()) => path,
            // A module that is not a file resolves names as a file in the root would.
            _ => self.root().join("module.js"),
        };
        match self.resolver(edge).resolve_file(&from, specifier) {
            Ok(found) => {
                let part = |text: Option<&str>, mark| text.and_then(|text| text.strip_prefix(mark)).map(str::to_owned);
                let (query, fragment) = (part(found.query(), '?'), part(found.fragment(), '#'));
                self.verified(found.path(), query.as_deref(), fragment.as_deref(), importer, edge)
            }
            Err(ResolveError::NotFound(_) | ResolveError::MatchedAliasNotFound(..)) => {
                Err(self.explain_missing_package(specifier, &from, importer))
            }
            Err(error) => self.explain(error, &from, specifier, importer),
        }
    }

    /// Reads a file, after checking it again: it may have become a link since it was resolved.
    pub(super) fn read(
        &self,
        url: &Url,
        requested: RequestedType<'_>,
        bytes_max: u64,
        importer: &Importer,
    ) -> Result<Arc<[u8]>, ModuleError> {
        let path = self.path(url, url.as_str(), importer)?;
        let failed = |source: io::Error| match source.kind() {
            io::ErrorKind::NotFound => self.not_found(&path, &display_url(url), importer.clone()),
            _ => ModuleError::Read {
                file: display_url(url),
                importer: importer.clone(),
                source,
            },
        };
        let denied = |denial| self.denied(denial, &path, importer.clone());
        let refused = |refusal| denied(Denial::Refused(refusal));
        self.jail.admits_name(&path).map_err(denied)?;
        let real = fs::canonicalize(&path).map_err(failed)?;
        let more = &self.jail.reach().data_extensions;
        // The link, if it is one, and its target.
        let by_request = |path: &PathBuf| match self.rules.has_data(path) {
            true => None,
            false => refusal::by_request(path, requested, more),
        };
        if let Some(refusal) = [&path, &real].into_iter().find_map(by_request) {
            return Err(refused(refusal));
        }
        let too_large = |bytes| ModuleError::TooLarge {
            file: display_url(url),
            bytes,
            limit: bytes_max,
        };
        // Opening a pipe waits for a writer, and reading a pipe or a device might never end.
        let regular = |about: fs::Metadata| match about.is_file() {
            true => Ok(about),
            false => Err(failed(io::Error::new(
                io::ErrorKind::InvalidInput,
                "it is not a regular file",
            ))),
        };
        regular(fs::metadata(&real).map_err(failed)?)?;
        let file = fs::File::open(&real).map_err(failed)?;
        let about = regular(file.metadata().map_err(failed)?)?;
        let is_code = requested == RequestedType::Unspecified && is_code(&real);
        self.jail.admits(&real, &about, !is_code).map_err(denied)?;
        if about.len() > bytes_max {
            return Err(too_large(about.len()));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(about.len()).unwrap_or_default());
        file.take(bytes_max.saturating_add(1))
            .read_to_end(&mut bytes)
            .map_err(failed)?;
        if bytes.len() as u64 > bytes_max {
            return Err(too_large(bytes.len() as u64));
        }
        let is_json = requested == RequestedType::Json
            || real
                .extension()
                .is_some_and(|extension| extension.eq_ignore_ascii_case("json"));
        match refusal::by_content(&bytes, is_json) {
            Some(refusal) => Err(refused(refusal)),
            None => Ok(bytes.into()),
        }
    }

    /// The `tsconfig.json` that applies to a file. Invalid ones are reported.
    pub(super) fn tsconfig(&self, url: &Url) -> Result<Option<Arc<TsConfig>>, ModuleError> {
        let Ok(path) = url.to_file_path() else { return Ok(None) };
        self.own
            .find_tsconfig(path)
            .map_err(|error| ModuleError::InvalidConfig {
                specifier: display_url(url),
                importer: Importer::default(),
                reason: error.to_string(),
            })
    }

    /// The path of a URL, from the root's canonical path on.
    fn path(&self, url: &Url, specifier: &str, importer: &Importer) -> Result<PathBuf, ModuleError> {
        let invalid = |reason: &str| ModuleError::InvalidSpecifier {
            specifier: specifier.into(),
            importer: importer.clone(),
            reason: reason.into(),
        };
        let path = url
            .to_file_path()
            .map_err(|()| invalid("the URL is not a local file"))?;
        // Encoded separators hide them from the URL parser.
        if path.components().any(|part| part == Component::ParentDir) {
            return Err(invalid("the path contains \"..\""));
        }
        Ok(self.jail.rebased(&path))
    }

    /// The resolver of packages.
    fn resolver(&self, edge: Edge) -> &ResolverGeneric<JailedFiles> {
        match edge {
            Edge::Import => &self.packages,
            Edge::Require => &self.required,
        }
    }

    fn verified(
        &self,
        path: &Path,
        query: Option<&str>,
        fragment: Option<&str>,
        importer: Importer,
        edge: Edge,
    ) -> Result<Found, ModuleError> {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        if let Err(denial) = self.jail.admits_name(&real) {
            return Err(self.denied(denial, path, importer));
        }
        let real = match self.browser.replacement(&real) {
            None => real,
            Some(Replacement::Nothing) => return Ok(Found::Nothing),
            Some(Replacement::By(package, other)) => match self.resolver(edge).resolve(&package, &other) {
                Ok(found) => fs::canonicalize(found.path()).unwrap_or_else(|_| found.path().to_owned()),
                Err(error) => return self.explain(error, &package.join(&other), &other, importer),
            },
        };
        if let Err(denial) = self.jail.admits_name(&real) {
            return Err(self.denied(denial, path, importer));
        }
        let Ok(mut url) = Url::from_file_path(&real) else {
            return Err(self.denied(Denial::Outside, path, importer));
        };
        url.set_query(query);
        url.set_fragment(fragment);
        Ok(Found::File(url))
    }

    fn denied(&self, denial: Denial, path: &Path, importer: Importer) -> ModuleError {
        let file = path.display().to_string();
        match denial {
            Denial::Outside => {
                let root = self.root().display().to_string();
                ModuleError::Escapes { file, root, importer }
            }
            Denial::Refused(refusal) => ModuleError::Refused {
                file,
                importer,
                refusal,
            },
        }
    }

    fn not_found(&self, path: &Path, specifier: &str, importer: Importer) -> ModuleError {
        let wanted = path.file_name().unwrap_or_default().to_string_lossy();
        let folder = path.parent().and_then(|folder| fs::canonicalize(folder).ok());
        let names: Vec<String> = folder
            .filter(|folder| self.jail.holds(folder))
            .and_then(|folder| fs::read_dir(folder).ok())
            .into_iter()
            .flatten()
            .take(HINT_NAMES_MAX)
            .filter_map(|entry| Some(entry.ok()?.file_name()))
            .filter(|name| refusal::by_name(name).is_none())
            .filter_map(|name| name.into_string().ok())
            .collect();
        let hint = hint(&near(&wanted, names.iter().map(String::as_str)));
        ModuleError::NotFound {
            specifier: specifier.into(),
            importer,
            hint,
        }
    }

    fn explain_missing_package(&self, specifier: &str, from: &Path, importer: Importer) -> ModuleError {
        let package = package_name(specifier);
        let within_ceiling = from
            .ancestors()
            .skip(1)
            .take_while(|folder| folder.starts_with(self.jail.ceiling()));
        let installed = within_ceiling
            .map(|folder| folder.join("node_modules").join(package))
            .find(|path| path.is_dir());
        let beside = from.with_file_name(specifier).is_file();
        let (specifier, package) = (specifier.to_owned(), package.to_owned());
        match installed {
            Some(folder) => {
                let hint = format!(
                    "package {package} is installed in {}, but has no such file",
                    folder.display()
                );
                ModuleError::NotFound {
                    specifier,
                    importer,
                    hint,
                }
            }
            None if beside => {
                let hint = format!("did you mean \"./{specifier}\"? Names without \"./\" are packages");
                ModuleError::NotFound {
                    specifier,
                    importer,
                    hint,
                }
            }
            None if package.starts_with(['~', '#']) || package.starts_with("@/") => {
                let hint =
                    "it looks like a path alias, but no \"paths\" of tsconfig.json or import map resolves it".into();
                ModuleError::NotFound {
                    specifier,
                    importer,
                    hint,
                }
            }
            None => ModuleError::PackageNotInstalled {
                package,
                specifier,
                importer,
            },
        }
    }

    fn explain(
        &self,
        error: ResolveError,
        path: &Path,
        specifier: &str,
        importer: Importer,
    ) -> Result<Found, ModuleError> {
        let reason = error.to_string();
        let specifier = specifier.to_owned();
        Err(match error {
            ResolveError::Ignored(_) => return Ok(Found::Nothing),
            ResolveError::PackagePathNotExported { .. } | ResolveError::PackageImportNotDefined(..) => {
                ModuleError::NotExported {
                    specifier,
                    importer,
                    reason,
                }
            }
            ResolveError::NotFound(_) | ResolveError::MatchedAliasNotFound(..) | ResolveError::ExtensionAlias(..) => {
                self.not_found(path, &specifier, importer)
            }
            ResolveError::IOError(source) => ModuleError::Read {
                file: path.display().to_string(),
                importer,
                source: source.into(),
            },
            ResolveError::Json(json) => {
                let place = format!("{}:{}:{}", json.path.display(), json.line, json.column);
                ModuleError::InvalidConfig {
                    specifier,
                    importer,
                    reason: format!("{place}: {}", json.message),
                }
            }
            _ => ModuleError::InvalidConfig {
                specifier,
                importer,
                reason,
            },
        })
    }
}

fn is_code(path: &Path) -> bool {
    path.extension().is_none_or(|extension| {
        let name = format!(".{}", extension.to_string_lossy().to_lowercase());
        name != ".json" && REQUIRED_EXTENSIONS.contains(&&*name)
    })
}

/// The conditions for `require`. Without `module`, which leads to ES modules where Node.js gives a package's CommonJS.
fn conditions_of_require(conditions: &[String]) -> Vec<String> {
    let of_imports = ["import", "module"];
    let kept = conditions
        .iter()
        .filter(|condition| !of_imports.contains(&&***condition));
    kept.cloned().chain(["require".to_owned()]).collect()
}
