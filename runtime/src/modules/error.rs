//! What can go wrong between an `import` and code that V8 can compile. Each message says what, who asked, and what to do.

use std::fmt;
use std::io;

use url::Url;

use super::refusal::Refusal;

/// The module that asked for another, for error messages; empty for the entry module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Importer(Option<String>);

impl Importer {
    pub(super) fn new(referrer: &Url) -> Self {
        Self(Some(display_url(referrer)))
    }

    pub(super) fn of(referrer: Option<&Url>) -> Self {
        referrer.map_or_else(Self::default, Self::new)
    }

    /// The importing module's name, or `None` when the module is the entry.
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

/// How a module is named to people: a path for a file, the URL for anything else.
pub(super) fn display_url(url: &Url) -> String {
    match url.to_file_path() {
        Ok(path) if url.scheme() == "file" => path.display().to_string(),
        _ => url.to_string(),
    }
}

/// Why a module could not be resolved or loaded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ModuleError {
    /// There is no such file or in-memory module.
    #[error("cannot find module \"{specifier}\"{importer}: {hint}")]
    NotFound {
        /// What was asked for, as written.
        specifier: String,
        /// Who asked.
        importer: Importer,
        /// Near names, or what else to look at.
        hint: String,
    },
    /// A bare specifier names a package that is in no `node_modules` folder in reach.
    #[error(
        "package \"{package}\" is not installed{importer}: run `npm install {package}` in the project, or map \
         \"{specifier}\" to a file with an import map"
    )]
    PackageNotInstalled {
        /// The package's name.
        package: String,
        /// What was asked for, as written.
        specifier: String,
        /// Who asked.
        importer: Importer,
    },
    /// The package is installed, but does not offer this path to these conditions.
    #[error("cannot import \"{specifier}\"{importer}: {reason}; import a path that the package's \"exports\" lists")]
    NotExported {
        /// What was asked for, as written.
        specifier: String,
        /// Who asked.
        importer: Importer,
        /// What the package's `exports` or `imports` says.
        reason: String,
    },
    /// The module is CommonJS, which workers do not run.
    #[error(
        "\"{name}\" is CommonJS only{importer}: {file} uses `require` or `module.exports`, and workers run ES modules; \
         use a version or alternative that ships ES modules, or bundle it first (`npx esbuild ENTRY --bundle --format=esm`)"
    )]
    CommonJsOnly {
        /// The package, or the file if it belongs to none.
        name: String,
        /// The CommonJS file that the import led to.
        file: String,
        /// Who asked.
        importer: Importer,
    },
    /// A Node.js built-in module.
    #[error(
        "Node.js built-in \"{specifier}\" is not provided{importer}: use the web standard instead (fetch, crypto.subtle, \
         URL, TextEncoder, streams), or map it to a package with an import map"
    )]
    Builtin {
        /// What was asked for, as written.
        specifier: String,
        /// Who asked.
        importer: Importer,
    },
    /// A URL whose scheme no module can be loaded from.
    #[error("cannot import \"{specifier}\"{importer}: {remedy}")]
    UnsupportedScheme {
        /// What was asked for, as written.
        specifier: String,
        /// Who asked.
        importer: Importer,
        /// Why, and what to do.
        remedy: &'static str,
    },
    /// The specifier means nothing relative to its importer.
    #[error("invalid module specifier \"{specifier}\"{importer}: {reason}")]
    InvalidSpecifier {
        /// What was asked for, as written.
        specifier: String,
        /// Who asked.
        importer: Importer,
        /// Why it is invalid, and what would be valid.
        reason: String,
    },
    /// The file is in a folder in reach, but is none that modules are read from.
    #[error("cannot import {file}{importer}: {refusal}")]
    Refused {
        /// The file that was asked for.
        file: String,
        /// Who asked.
        importer: Importer,
        /// Why, and what to do.
        refusal: Refusal,
    },
    /// The file is outside the folders that the script may be loaded from, by path or by symbolic link.
    #[error(
        "module {file} is outside the root {root}{importer}: a script's modules come from the folder of its main module; \
         move the file there, or set `root` (in a wrangler file `base_dir`) to a folder that holds both"
    )]
    Escapes {
        /// The file that was asked for.
        file: String,
        /// The script's root folder.
        root: String,
        /// Who asked.
        importer: Importer,
    },
    /// The source is nested deeper than it is parsed.
    #[error("cannot parse module {file}: {reason}")]
    TooDeep {
        /// The module.
        file: String,
        /// Why not, and what to do.
        reason: String,
    },
    /// The source does not parse.
    #[error("syntax error in {file}:{line}:{column}: {message}\n{frame}")]
    Syntax {
        /// The module's URL.
        file: String,
        /// Line, from 1.
        line: u32,
        /// Column in UTF-16 units, from 1.
        column: u32,
        /// What the parser says.
        message: String,
        /// The lines around it, with a caret.
        frame: String,
    },
    /// TypeScript or JSX, in a build without the feature `typescript`.
    #[error(
        "cannot load {file}: this build has no compiler for {language}; enable the feature `typescript` of `isopod`"
    )]
    NoCompiler {
        /// The module.
        file: String,
        /// The language that it is written in.
        language: &'static str,
    },
    /// The module's source is over the limit.
    #[error("module {file} has {bytes} bytes, over the limit of {limit}: make it smaller, or raise `module_bytes_max`")]
    TooLarge {
        /// The module.
        file: String,
        /// Its size in bytes; for a file that grows while it is read, a lower bound.
        bytes: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The script has more modules than the limit.
    #[error("the script loads more than {limit} modules: bundle it, or raise `modules_max`")]
    TooManyModules {
        /// The limit.
        limit: usize,
    },
    /// Source code, JSON or text that is not UTF-8.
    #[error("module {file} is not UTF-8 at byte {offset}: save it as UTF-8, or import it with {{ type: \"bytes\" }}")]
    NotUtf8 {
        /// The module.
        file: String,
        /// The first byte that is wrong.
        offset: usize,
    },
    /// Neither the extension nor the import attribute says what the module is.
    #[error(
        "unknown file type of {file}{importer}: import it with {{ type: \"text\" }} or {{ type: \"bytes\" }}, or give it a \
         known extension (js, mjs, ts, mts, jsx, tsx, json, wasm, txt, html, sql, md, bin)"
    )]
    UnknownKind {
        /// The module.
        file: String,
        /// Who asked.
        importer: Importer,
    },
    /// An import attribute with a type that is not known.
    #[error("import attribute type \"{requested}\" of {file} is not supported{importer}: use json, text or bytes")]
    UnsupportedType {
        /// The module.
        file: String,
        /// The `type` of the `with` clause.
        requested: String,
        /// Who asked.
        importer: Importer,
    },
    /// The import map does not parse.
    #[error("invalid import map {file}: {reason}")]
    InvalidImportMap {
        /// The map's base URL.
        file: String,
        /// Why.
        reason: String,
    },
    /// The import map refuses this specifier.
    #[error("the import map does not allow \"{specifier}\"{importer}: {reason}")]
    ImportMapRefuses {
        /// What was asked for, as written.
        specifier: String,
        /// Who asked.
        importer: Importer,
        /// Why.
        reason: String,
    },
    /// A `package.json` or `tsconfig.json` on the way is broken.
    #[error("cannot resolve \"{specifier}\"{importer}: {reason}")]
    InvalidConfig {
        /// What was being resolved.
        specifier: String,
        /// Who asked.
        importer: Importer,
        /// Which file is broken, and how.
        reason: String,
    },
    /// The root or the ceiling is no folder that can be read, or the ceiling does not hold the root.
    #[error("cannot load modules from {folder}: {source}")]
    InvalidRoot {
        /// The folder.
        folder: String,
        /// The cause.
        source: io::Error,
    },
    /// The file is there but cannot be read.
    #[error("cannot read module {file}{importer}: {source}")]
    Read {
        /// The file.
        file: String,
        /// Who asked.
        importer: Importer,
        /// The cause.
        source: io::Error,
    },
}

impl ModuleError {
    /// The error of an `import()` of text or bytes whose name the script computed.
    pub(crate) fn computed(url: &Url, referrer: Option<&Url>) -> Self {
        Self::Refused {
            file: display_url(url),
            importer: Importer::of(referrer),
            refusal: Refusal::Computed,
        }
    }
}
