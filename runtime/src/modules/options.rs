//! Options of a loader: sources of modules, JSX, and limits.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use url::Url;

use super::aliases::Aliases;
use super::defines::Defines;
use super::error::ModuleError;
use super::kind::ModuleKind;
use super::refusal::BESIDE_A_DATABASE;
use crate::NodeCompat;

/// The sources of a script's modules, and how they are read.
///
/// ```ignore
/// let loader = Loader::new(LoaderOptions::folder("./my-worker"))?;
/// let entry = loader.resolve_entry("src/index.ts")?;
/// ```
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoaderOptions {
    /// The folder that files are read from. Nothing outside of it is read, except `node_modules` folders up to
    /// `ceiling`. `None` reads no files. Default: `None` for [`LoaderOptions::in_memory`].
    pub root: Option<PathBuf>,
    /// The topmost folder in which `node_modules` is looked for; contains the root. Default: the root itself.
    pub ceiling: Option<PathBuf>,
    /// Modules that are not files. An exact match has precedence over everything else, so URLs of any scheme are
    /// possible; `isopod:///name.js` is the usual form, because relative imports work between URLs with a path.
    pub memory: BTreeMap<Url, MemoryModule>,
    /// The script's main module, if another one, such as one in memory, is started in front of it. Its path must be canonical. It needs no
    /// extension, and rules do not apply to it. Default: the module that is started.
    pub main: Option<PathBuf>,
    /// An import map. Default: none.
    pub import_map: Option<ImportMapText>,
    /// The conditions for `exports` and `imports` in `package.json`, in addition to `default`. Default: `workerd`,
    /// `worker`, `browser`, `import`, `module`. For `require`, `require` takes the place of the last two.
    pub conditions: Vec<String>,
    /// JSX settings for files without a pragma or a `tsconfig.json`.
    pub jsx: Jsx,
    /// Files in the folders that are not modules, and additional data files.
    pub reach: Reach,
    /// The value of `process.env.NODE_ENV` in modules that do not declare `process`. It is replaced before the code is
    /// compiled, as bundlers do. Default: `development`.
    pub node_env: String,
    /// The Node.js modules that may be imported. Default: [`NodeCompat::Full`].
    pub node: NodeCompat,
    /// Substitutes for modules, as bundlers have them. A name also stands for the modules below it: `lodash` for `lodash/fp`. The
    /// substitute is a URL, or a name that is resolved from the root. Default: none.
    pub alias: BTreeMap<String, String>,
    /// Constants that replace global names in code before it is compiled, as bundlers do: `VERSION`, `process.env.MODE`. The value is
    /// JSON, or another name. A module that declares the variable itself keeps it. Default: none.
    pub define: BTreeMap<String, String>,
    /// Types of modules by their paths, before their extensions. The first rule that matches counts. Default: none.
    pub rules: Vec<ModuleRule>,
    /// Limits.
    pub limits: LoaderLimits,
}

impl LoaderOptions {
    /// Modules from a folder, with defaults for the rest.
    #[must_use]
    pub fn folder(root: impl Into<PathBuf>) -> Self {
        Self {
            root: Some(root.into()),
            ..Self::in_memory([])
        }
    }

    /// Modules from memory only, with defaults for the rest.
    #[must_use]
    pub fn in_memory(modules: impl IntoIterator<Item = (Url, MemoryModule)>) -> Self {
        Self {
            root: None,
            ceiling: None,
            memory: modules.into_iter().collect(),
            main: None,
            import_map: None,
            conditions: ["workerd", "worker", "browser", "import", "module"]
                .map(String::from)
                .to_vec(),
            jsx: Jsx::default(),
            reach: Reach::default(),
            node_env: "development".into(),
            node: NodeCompat::Full,
            alias: BTreeMap::new(),
            define: BTreeMap::new(),
            rules: Vec::new(),
            limits: LoaderLimits::default(),
        }
    }
}

impl LoaderOptions {
    /// Checks [`alias`](Self::alias) and [`define`](Self::define), as building the script does.
    ///
    /// # Errors
    ///
    /// [`ModuleError::InvalidAlias`] and [`ModuleError::InvalidDefine`].
    pub fn check(&self) -> Result<(), ModuleError> {
        Aliases::new(self.alias.clone(), None)?;
        Defines::new(&self.define, &self.node_env)?;
        Ok(())
    }
}

/// The files besides modules that a script may read from its folders, and the files that it may not.
///
/// Files whose names begin with a dot, env files, configurations, databases and private keys are never read, nor are
/// files with an extension that modules do not have.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Reach {
    /// Files that must not be read under any name: those used by bindings and the configuration. Includes SQLite's
    /// files next to a database (`-wal`, `-shm`, `-journal`). Default: none.
    pub withheld: Vec<PathBuf>,
    /// Additional extensions for imports with `type: "text"`, `"bytes"` or `"json"`. Default: none.
    pub data_extensions: Vec<String>,
    /// Allows `import()` with computed specifiers for `type: "text"` and `"bytes"`. Default: false.
    pub computed_data: bool,
    /// Allows JSON, text and bytes from files with several hard links outside of `node_modules`. Default: false.
    pub hard_links: bool,
}

impl Reach {
    /// The withheld files, including those next to databases.
    pub(super) fn withheld_files(&self) -> impl Iterator<Item = PathBuf> {
        self.withheld.iter().flat_map(|file| {
            let beside = BESIDE_A_DATABASE.iter().map(|suffix| {
                let mut name = file.clone().into_os_string();
                name.push(suffix);
                name.into()
            });
            std::iter::once(file.clone()).chain(beside)
        })
    }
}

/// A rule that determines the type of modules by their paths. It does not apply to the main module, to modules in memory, nor to
/// imports with a `type`.
///
/// ```
/// use isopod_runtime::modules::{ModuleKind, ModuleRule};
///
/// let pictures = ModuleRule::new(ModuleKind::Bytes, ["**/*.png", "icons/*"]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ModuleRule {
    /// The type. [`ModuleKind::JavaScript`] has no effect on files with an extension of code.
    pub kind: ModuleKind,
    /// Patterns of paths relative to the root, with `*`, `**`, `?`, `[…]` and `{…}`.
    pub globs: Vec<String>,
}

impl ModuleRule {
    /// Creates a rule.
    pub fn new(kind: ModuleKind, globs: impl IntoIterator<Item = impl Into<String>>) -> Self {
        Self {
            kind,
            globs: globs.into_iter().map(Into::into).collect(),
        }
    }
}

/// The content of a module that is not a file. Its URL's extension determines its type; without one, it is JavaScript.
#[derive(Clone)]
pub struct MemoryModule {
    /// The bytes; UTF-8 for code and text.
    pub content: Arc<[u8]>,
}

impl fmt::Debug for MemoryModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without the content, which may be a whole bundle.
        write!(f, "MemoryModule({} bytes)", self.content.len())
    }
}

impl<T: AsRef<[u8]>> From<T> for MemoryModule {
    fn from(content: T) -> Self {
        Self {
            content: Arc::from(content.as_ref()),
        }
    }
}

/// The text of an import map.
#[derive(Debug, Clone)]
pub struct ImportMapText {
    /// The base of relative addresses: the URL of the map's file.
    pub base: Url,
    /// The JSON text.
    pub json: String,
}

/// The functions that JSX is compiled to calls of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub enum JsxRuntime {
    /// `jsx` and `jsxs`, imported from `<import source>/jsx-runtime`.
    #[default]
    Automatic,
    /// A factory in scope, such as `React.createElement`.
    Classic,
}

/// JSX settings.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Jsx {
    /// Default: [`JsxRuntime::Automatic`].
    pub runtime: JsxRuntime,
    /// The package whose `jsx-runtime` is imported. Default: `react`.
    pub import_source: String,
    /// The factory of the classic runtime. Default: `React.createElement`.
    pub factory: String,
    /// The fragment of the classic runtime. Default: `React.Fragment`.
    pub fragment: String,
}

impl Default for Jsx {
    fn default() -> Self {
        Self {
            runtime: JsxRuntime::default(),
            import_source: "react".into(),
            factory: "React.createElement".into(),
            fragment: "React.Fragment".into(),
        }
    }
}

/// Limits of a loader. Each has a default and can be changed.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LoaderLimits {
    /// Bytes of one module's source, and of one source map. Default: 16 MiB.
    pub module_bytes_max: u64,
    /// Bytes of memory, as estimated, that V8's compiler may take for a module, or for a string passed to `eval` or `new Function`.
    /// Such a string is also limited by `module_bytes_max`, in UTF-16 code units. Default: 1 GiB.
    pub compiler_bytes_max: u64,
    /// Bytes of one module in TypeScript or JSX, which takes more time and memory to compile than to run. Default: 4 MiB.
    pub transpiled_bytes_max: u64,
    /// Number of modules that a loader loads, including dynamic imports. Default: 10,000.
    pub modules_max: usize,
    /// Bytes of transpiled code in memory. Default: 64 MiB.
    pub transpile_cache_bytes_max: usize,
    /// Bytes of CommonJS modules, which stay in memory. Default: 64 MiB.
    pub commonjs_bytes_max: usize,
}

impl Default for LoaderLimits {
    fn default() -> Self {
        Self {
            module_bytes_max: 16 << 20,
            compiler_bytes_max: 1 << 30,
            transpiled_bytes_max: 4 << 20,
            modules_max: 10_000,
            transpile_cache_bytes_max: 64 << 20,
            commonjs_bytes_max: 64 << 20,
        }
    }
}
