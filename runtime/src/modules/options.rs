//! What a loader is told: where modules come from, how JSX is meant, and the limits.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use url::Url;

use super::refusal::BESIDE_A_DATABASE;

/// Where a script's modules come from, and how they are read.
///
/// ```ignore
/// let loader = Loader::new(LoaderOptions::folder("./my-worker"))?;
/// let entry = loader.resolve_entry("src/index.ts")?;
/// ```
#[derive(Debug, Clone)]
pub struct LoaderOptions {
    /// The folder that files are read from; nothing outside it is, `node_modules` up to `ceiling` excepted. `None`
    /// reads no file at all. Default: `None` for [`LoaderOptions::in_memory`].
    pub root: Option<PathBuf>,
    /// How far up from the root `node_modules` folders are looked for; holds the root. Default: the root itself.
    pub ceiling: Option<PathBuf>,
    /// Modules that are not files. An exact match here goes before anything else, so a URL of any scheme may be given;
    /// `isopod:///name.js` is the usual form, because relative imports work between URLs with a path.
    pub memory: BTreeMap<Url, MemoryModule>,
    /// An import map. Default: none.
    pub import_map: Option<ImportMapText>,
    /// The conditions of `exports` and `imports` in `package.json`, without `default`, which always holds. Default:
    /// `workerd`, `worker`, `browser`, `import`, `module`.
    pub conditions: Vec<String>,
    /// How JSX is meant where neither a pragma nor a `tsconfig.json` says.
    pub jsx: Jsx,
    /// What in those folders is no module, and what else may be read there.
    pub reach: Reach,
    /// What `process.env.NODE_ENV` is in a module's code, where the module has no `process` of its own: it is replaced before
    /// the code is compiled, as bundlers do. Default: `development`.
    pub node_env: String,
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

    /// Modules from memory alone, with defaults for the rest.
    #[must_use]
    pub fn in_memory(modules: impl IntoIterator<Item = (Url, MemoryModule)>) -> Self {
        Self {
            root: None,
            ceiling: None,
            memory: modules.into_iter().collect(),
            import_map: None,
            conditions: ["workerd", "worker", "browser", "import", "module"]
                .map(String::from)
                .to_vec(),
            jsx: Jsx::default(),
            reach: Reach::default(),
            node_env: "development".into(),
            limits: LoaderLimits::default(),
        }
    }
}

/// What a script may read besides modules in the folders that are open to it, and what it may not.
///
/// Files with names that begin with a dot, env files, configurations, databases and private keys are never read; neither is a file
/// whose extension is of no kind that modules have.
#[derive(Debug, Clone, Default)]
pub struct Reach {
    /// Files that are no modules, by whatever name they are reached: those that bindings and the configuration name. What
    /// SQLite keeps beside a database (`-wal`, `-shm`, `-journal`) goes with it. Default: none.
    pub withheld: Vec<PathBuf>,
    /// Extensions that imports with `type: "text"`, `"bytes"` or `"json"` may have in addition to those that are known.
    /// Default: none.
    pub data_extensions: Vec<String>,
    /// Whether `import()` takes a name that the script computed for `type: "text"` and `"bytes"`. Default: it does not.
    pub computed_data: bool,
    /// Whether JSON, text and bytes are read from files with several hard links outside `node_modules`. Default: they are not.
    pub hard_links: bool,
}

impl Reach {
    /// The files that are withheld, with those that a database has beside itself.
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

/// The content of a module that is not a file. What it is follows from its URL's extension; without one, JavaScript.
#[derive(Clone)]
pub struct MemoryModule {
    /// The bytes, UTF-8 if they are code or text.
    pub content: Arc<[u8]>,
}

impl fmt::Debug for MemoryModule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A log line is no place for a bundle.
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

/// An import map, as it stands in its file.
#[derive(Debug, Clone)]
pub struct ImportMapText {
    /// What its relative addresses are relative to: the URL of its file.
    pub base: Url,
    /// The JSON text.
    pub json: String,
}

/// Which functions JSX becomes calls of.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum JsxRuntime {
    /// `jsx` and `jsxs`, imported from `<import source>/jsx-runtime`.
    #[default]
    Automatic,
    /// A factory that is in scope, as `React.createElement`.
    Classic,
}

/// How JSX is meant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
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

/// Limits of a loader. Every one has a default and can be changed.
#[derive(Debug, Clone)]
pub struct LoaderLimits {
    /// Bytes of one module's source, and of one source map. Default: 16 MiB.
    pub module_bytes_max: u64,
    /// Different modules that one loader loads, those of dynamic imports included. Default: 10,000.
    pub modules_max: usize,
    /// Bytes that transpiled code may hold in memory. Default: 64 MiB.
    pub transpile_cache_bytes_max: usize,
}

impl Default for LoaderLimits {
    fn default() -> Self {
        Self {
            module_bytes_max: 16 << 20,
            modules_max: 10_000,
            transpile_cache_bytes_max: 64 << 20,
        }
    }
}
