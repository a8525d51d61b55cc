//! Errors of module loading. Each message names the problem, the importer and the remedy.

use std::fmt;
use std::io;

use serde::{Deserialize, Serialize};
use url::Url;

use super::refusal::Refusal;

/// The importing module, for error messages; empty for the entry module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Importer(Option<String>);

impl Importer {
    pub(super) fn new(referrer: &Url) -> Self {
        Self(Some(display_url(referrer)))
    }

    pub(super) fn of(referrer: Option<&Url>) -> Self {
        referrer.map_or_else(Self::default, Self::new)
    }

    pub(super) const fn from(name: Option<String>) -> Self {
        Self(name)
    }

    /// The importing module's name, or `None` for the entry module.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.0.as_deref()
    }
}

impl fmt::Display for Importer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Some(name) => write!(f, " (imported by {name})"),
            None => Ok(()),
        }
    }
}

/// The name of a module in messages: the path of a file, otherwise the URL.
pub(super) fn display_url(url: &Url) -> String {
    match url.to_file_path() {
        Ok(path) if url.scheme() == "file" => path.display().to_string(),
        _ => url.to_string(),
    }
}

/// An error of resolving or loading a module.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// The file or in-memory module does not exist.
    #[error("cannot find module \"{specifier}\"{importer}: {hint}")]
    NotFound {
        /// The specifier as written.
        specifier: String,
        /// The importing module.
        importer: Importer,
        /// Similar names, or another hint.
        hint: String,
    },
    /// A bare specifier names a package that is in no accessible `node_modules` folder.
    #[error(
        "package \"{package}\" is not installed{importer}: run `npm install {package}` in the project, or map \
         \"{specifier}\" to a file with an import map"
    )]
    PackageNotInstalled {
        /// The package's name.
        package: String,
        /// The specifier as written.
        specifier: String,
        /// The importing module.
        importer: Importer,
    },
    /// The package is installed, but does not export this path under these conditions.
    #[error("cannot import \"{specifier}\"{importer}: {reason}; import a path that the package's \"exports\" lists")]
    NotExported {
        /// The specifier as written.
        specifier: String,
        /// The importing module.
        importer: Importer,
        /// The package's `exports` or `imports`.
        reason: String,
    },
    /// A Node.js built-in module that does not exist, or is off for this script.
    #[error("Node.js built-in \"{specifier}\" is not provided{importer}: {reason}")]
    Builtin {
        /// The specifier as written.
        specifier: String,
        /// The importing module.
        importer: Importer,
        /// The reason and the remedy.
        reason: String,
    },
    /// Modules cannot be loaded from URLs with this scheme.
    #[error("cannot import \"{specifier}\"{importer}: {remedy}")]
    UnsupportedScheme {
        /// The specifier as written.
        specifier: String,
        /// The importing module.
        importer: Importer,
        /// The reason and the remedy.
        remedy: &'static str,
    },
    /// The specifier cannot be resolved relative to its importer.
    #[error("invalid module specifier \"{specifier}\"{importer}: {reason}")]
    InvalidSpecifier {
        /// The specifier as written.
        specifier: String,
        /// The importing module.
        importer: Importer,
        /// The reason, and what would be valid.
        reason: String,
    },
    /// The file is in an accessible folder, but must not be read as a module.
    #[error("cannot import {file}{importer}: {refusal}")]
    Refused {
        /// The file.
        file: String,
        /// The importing module.
        importer: Importer,
        /// The reason and the remedy.
        refusal: Refusal,
    },
    /// The file is outside of the script's folders, by its path or through a symbolic link.
    #[error(
        "module {file} is outside the root {root}{importer}: a script's modules come from the folder of its main module; \
         move the file there, or set `root` (in a wrangler file `base_dir`) to a folder that holds both"
    )]
    Escapes {
        /// The file.
        file: String,
        /// The script's root folder.
        root: String,
        /// The importing module.
        importer: Importer,
    },
    /// The source is nested too deeply to be parsed.
    #[error("cannot parse module {file}: {reason}")]
    TooDeep {
        /// The module.
        file: String,
        /// The reason and the remedy.
        reason: String,
    },
    /// The source has a syntax error.
    #[error("syntax error in {file}:{line}:{column}: {message}\n{frame}")]
    Syntax {
        /// The module's URL.
        file: String,
        /// Line, from 1.
        line: u32,
        /// Column in UTF-16 units, from 1.
        column: u32,
        /// The parser's message.
        message: String,
        /// The lines around the error, with a caret.
        frame: String,
    },
    /// TypeScript or JSX, in a build without the feature `typescript`.
    #[error(
        "cannot load {file}: this build has no compiler for {language}; enable the feature `typescript` of `isopod`"
    )]
    NoCompiler {
        /// The module.
        file: String,
        /// The module's language.
        language: &'static str,
    },
    /// The module's source exceeds the limit.
    #[error(
        "module {file} has {bytes} bytes, over the limit of {limit}: make it smaller, or raise `modules.module_bytes_max`"
    )]
    TooLarge {
        /// The module.
        file: String,
        /// Its size in bytes; a lower bound for a file that grows while it is read.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// V8's compiler would take more memory for the module than the limit.
    #[error(
        "V8 would take about {bytes} bytes of memory to compile module {file}, over the limit of {limit}: put large data into a \
         JSON file, split the module, or raise `modules.compiler_bytes_max`"
    )]
    TooMuchToCompile {
        /// The module.
        file: String,
        /// The estimated memory in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// TypeScript or JSX exceeds the limit on what is compiled.
    #[error(
        "module {file} has {bytes} bytes of {language}, over the limit of {limit}: put large data into a JSON file, compile the \
         module to JavaScript beforehand, or raise `modules.transpiled_bytes_max`"
    )]
    TooLargeToTranspile {
        /// The module.
        file: String,
        /// The module's language.
        language: &'static str,
        /// Its size in bytes.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The values of TypeScript's enums are too large together, or take too long to compute.
    #[error(
        "the values of enums in module {file}, which are written where they are used, have more than {limit} bytes together: \
         make their strings shorter, or constants"
    )]
    EnumsTooLarge {
        /// The module.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The constants in a module would make it too large.
    #[error(
        "constants (`modules.define`), which are written where they are used, have more than {limit} bytes in module {file}: assign \
         a long one to a variable, and use that"
    )]
    DefinesTooLarge {
        /// The module.
        file: String,
        /// The limit in bytes.
        limit: u64,
    },
    /// The time of the worker's start, or of the event that imports the module, ended while it was parsed.
    #[error(
        "the script's modules were not loaded within the time to start (`limits.boot`): {file} ({bytes} bytes) was being parsed. \
         Make it smaller, or compile it to JavaScript beforehand"
    )]
    TakesTooLong {
        /// The module.
        file: String,
        /// Its size in bytes.
        bytes: usize,
    },
    /// The script exceeds the limit on modules.
    #[error("the script loads more than {limit} modules: bundle it, or raise `modules.modules_max`")]
    TooManyModules {
        /// The limit.
        limit: usize,
    },
    /// The script's CommonJS modules exceed the limit on their size.
    #[error(
        "the script's CommonJS modules have more than {limit} bytes: bundle it, or raise `modules.commonjs_bytes_max`"
    )]
    TooMuchCommonJs {
        /// The limit in bytes.
        limit: usize,
    },
    /// Source code, JSON or text that is not UTF-8.
    #[error("module {file} is not UTF-8 at byte {offset}: save it as UTF-8, or import it with {{ type: \"bytes\" }}")]
    NotUtf8 {
        /// The module.
        file: String,
        /// The offset of the first invalid byte.
        offset: usize,
    },
    /// Neither the extension nor the import attribute determines the module's type.
    #[error(
        "unknown file type of {file}{importer}: import it with {{ type: \"text\" }} or {{ type: \"bytes\" }}, or give it a \
         known extension (js, mjs, ts, mts, jsx, tsx, json, wasm, txt, html, sql, md, bin), or a rule in `modules.rules`"
    )]
    UnknownKind {
        /// The module.
        file: String,
        /// The importing module.
        importer: Importer,
    },
    /// The type in an import attribute is not supported.
    #[error("import attribute type \"{requested}\" of {file} is not supported{importer}: use json, text or bytes")]
    UnsupportedType {
        /// The module.
        file: String,
        /// The `type` of the `with` clause.
        requested: String,
        /// The importing module.
        importer: Importer,
    },
    /// The import map is invalid.
    #[error("invalid import map {file}: {reason}")]
    InvalidImportMap {
        /// The map's base URL.
        file: String,
        /// The reason.
        reason: String,
    },
    /// An alias is not one of a module.
    #[error("invalid alias \"{name}\": {reason}")]
    InvalidAlias {
        /// The alias.
        name: String,
        /// The reason.
        reason: &'static str,
    },
    /// A constant is invalid.
    #[error("invalid constant \"{name}\": {reason}")]
    InvalidDefine {
        /// The constant's name.
        name: String,
        /// The reason.
        reason: &'static str,
    },
    /// The import map blocks this specifier.
    #[error("the import map does not allow \"{specifier}\"{importer}: {reason}")]
    ImportMapRefuses {
        /// The specifier as written.
        specifier: String,
        /// The importing module.
        importer: Importer,
        /// The reason.
        reason: String,
    },
    /// A `package.json` or `tsconfig.json` involved in the resolution is invalid.
    #[error("cannot resolve \"{specifier}\"{importer}: {reason}")]
    InvalidConfig {
        /// The specifier.
        specifier: String,
        /// The importing module.
        importer: Importer,
        /// The invalid file and the reason.
        reason: String,
    },
    /// The root or the ceiling is not a readable folder, or the ceiling does not contain the root.
    #[error("cannot load modules from {folder}: {source}")]
    InvalidRoot {
        /// The folder.
        folder: String,
        /// The cause.
        source: io::Error,
    },
    /// The file exists but cannot be read.
    #[error("cannot read module {file}{importer}: {source}")]
    Read {
        /// The file.
        file: String,
        /// The importing module.
        importer: Importer,
        /// The cause.
        source: io::Error,
    },
    /// The process that reads the files of a worker in a sandbox reported an error.
    #[error("{message}")]
    Elsewhere {
        /// Its message.
        message: String,
    },
}

/// An error in written form. Kinds that are handled separately are kept; others become their message.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum WrittenModuleError {
    NotFound(String, Option<String>, String),
    NotInstalled(String, String, Option<String>),
    NotExported(String, Option<String>, String),
    Other(String),
}

impl From<ModuleError> for WrittenModuleError {
    fn from(error: ModuleError) -> Self {
        match error {
            ModuleError::NotFound {
                specifier,
                importer,
                hint,
            } => Self::NotFound(specifier, importer.0, hint),
            ModuleError::PackageNotInstalled {
                package,
                specifier,
                importer,
            } => Self::NotInstalled(package, specifier, importer.0),
            ModuleError::NotExported {
                specifier,
                importer,
                reason,
            } => Self::NotExported(specifier, importer.0, reason),
            other => Self::Other(other.to_string()),
        }
    }
}

impl From<WrittenModuleError> for ModuleError {
    fn from(written: WrittenModuleError) -> Self {
        match written {
            WrittenModuleError::NotFound(specifier, importer, hint) => Self::NotFound {
                specifier,
                importer: Importer(importer),
                hint,
            },
            WrittenModuleError::NotInstalled(package, specifier, importer) => Self::PackageNotInstalled {
                package,
                specifier,
                importer: Importer(importer),
            },
            WrittenModuleError::NotExported(specifier, importer, reason) => Self::NotExported {
                specifier,
                importer: Importer(importer),
                reason,
            },
            WrittenModuleError::Other(message) => Self::Elsewhere { message },
        }
    }
}

impl ModuleError {
    /// Returns true if the script as a whole exceeds a limit.
    pub(super) fn is_limit(&self) -> bool {
        matches!(
            self,
            Self::TooManyModules { .. } | Self::TooMuchCommonJs { .. } | Self::TakesTooLong { .. }
        )
    }

    /// Returns true if the module would be loaded with more time.
    pub(crate) fn is_for_lack_of_time(&self) -> bool {
        matches!(self, Self::TakesTooLong { .. })
    }

    /// The `code` of the error that `require` throws, as in Node.js.
    pub(crate) fn code_of_require(&self) -> Option<&'static str> {
        match self {
            Self::NotFound { .. } | Self::PackageNotInstalled { .. } | Self::Builtin { .. } => Some("MODULE_NOT_FOUND"),
            Self::NotExported { .. } => Some("ERR_PACKAGE_PATH_NOT_EXPORTED"),
            _ => None,
        }
    }

    /// The error of an `import()` of text or bytes with a computed specifier.
    pub(crate) fn computed(url: &Url, referrer: Option<&Url>) -> Self {
        Self::Refused {
            file: display_url(url),
            importer: Importer::of(referrer),
            refusal: Refusal::Computed,
        }
    }
}
