//! One version of one script: the state shared by all its workers.

mod isolation;
mod written;

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use deno_core::url::Url;
use isopod_ext::bindings::{Binding, Json, Secret, Text};
use isopod_ext::cache::ResponseCache;
use isopod_ext::fetch::FetchConfig;
use isopod_ext::files::FileAccess;
use isopod_ext::quotas::WasmTypes;
use serde_json::Value;

use crate::image::NodeUse;
use crate::module_loader::{CodeCache, ModuleCache};
use crate::modules::{Loader, LoaderOptions, MemoryModule, ModuleError, ModulesLoaded, project_root};
use crate::{Compatibility, Limits};

pub use self::isolation::Isolation;
pub use self::written::{CannotCross, WrittenScript};

/// Twice the time that V8's parser takes for a byte of closures: 4.6 s for 15 MB. Classes with private names take longer.
const PARSED_BYTE: Duration = Duration::from_nanos(600);

/// One version of one script, which can be started any number of times on any thread.
///
/// ```
/// # mod isopod { pub use isopod_runtime::Script; }
/// use isopod::Script;
///
/// let script = Script::builder("hello")
///     .source("export default { fetch: () => new Response('hello') }")
///     .text("GREETING", "hello")
///     .build()?;
/// assert_eq!(script.name(), "hello");
/// # Ok::<(), isopod_runtime::ScriptError>(())
/// ```
pub struct Script {
    pub(crate) name: Arc<str>,
    pub(crate) entry: Url,
    pub(crate) loader: Loader,
    /// The loader's own options.
    options: LoaderOptions,
    isolation: Option<Isolation>,
    pub(crate) bindings: BTreeMap<String, Arc<dyn Binding>>,
    pub(crate) limits: Limits,
    /// Cleared if the watchdog ignores its workers.
    pub(crate) enforced: bool,
    pub(crate) fetch: FetchConfig,
    pub(crate) cache: ResponseCache,
    pub(crate) console: Console,
    pub(crate) command: Option<Command>,
    pub(crate) compatibility: Compatibility,
    /// The part of Node.js that its workers need; set when a worker starts.
    pub(crate) uses_node: OnceLock<NodeUse>,
    /// Types of WebAssembly that its workers have added.
    pub(crate) wasm_types: Arc<WasmTypes>,
    pub(crate) code_cache: CodeCache,
    pub(crate) module_cache: ModuleCache,
}

/// The destination of `console`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Console {
    /// `tracing`, target `isopod::console`, with the worker, the level and the request id. The default.
    #[default]
    Tracing,
    /// Standard output, or standard error for warnings and errors, as commands use them.
    Terminal {
        /// Color values on standard output.
        colors: bool,
        /// Color values on standard error.
        error_colors: bool,
    },
}

/// Process information for a script that runs as a command: see the modules `isopod:process` and `isopod:fs`.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Command {
    /// The arguments after the script's name.
    pub args: Vec<String>,
    /// The environment variables that are passed on.
    pub env: BTreeMap<String, String>,
    /// The files accessible through `isopod:fs`.
    pub files: FileAccess,
}

isopod_ext::setters!(Command {
    args: Vec<String>,
    env: BTreeMap<String, String>,
    files: FileAccess,
});

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Arguments and variables may contain secrets.
        f.debug_struct("Command")
            .field("args", &self.args.len())
            .field("env", &self.env.keys())
            .finish()
    }
}

/// An error of building a script.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScriptError {
    /// Neither a file nor source text was given.
    #[error("the script {0:?} has no code: give it a file() or source()")]
    NoCode(String),
    /// Two bindings have the same name.
    #[error("duplicate binding {0:?}: each name in `env` must be unique")]
    DuplicateBinding(String),
    /// The build lacks the feature for a kind of binding.
    #[error(
        "the binding {name:?} ({kind}) needs the feature `{feature}` of `isopod`, which this build does not have; enable it"
    )]
    MissingFeature {
        /// The binding's name.
        name: String,
        /// The binding's kind.
        kind: &'static str,
        /// The missing feature.
        feature: &'static str,
    },
    /// The memory limit is below [`Limits::MEMORY_BYTES_MIN`].
    #[error(
        "the script {0:?} cannot start with a memory limit of {1} bytes: set `memory_bytes` to {min} (16 MiB) or more",
        min = Limits::MEMORY_BYTES_MIN
    )]
    LittleMemory(String, usize),
    /// The name of an in-memory module is not a relative path.
    #[error("{0:?} cannot name a module: {1}; use a relative path such as ./util.js")]
    ModuleName(String, String),
    /// The written form of a script, received from another process, is damaged.
    #[error("the script cannot be read: {0}")]
    Written(String),
    /// The script's workers are configured to run in processes of their own, and cannot.
    #[error(transparent)]
    CannotCross(#[from] CannotCross),
    /// The module loader could not be created.
    #[error(transparent)]
    Module(#[from] ModuleError),
}

impl Script {
    /// Starts building a script. The name appears in logs and statistics.
    pub fn builder(name: impl Into<String>) -> ScriptBuilder {
        ScriptBuilder {
            name: name.into(),
            source: None,
            bindings: Vec::new(),
            limits: Limits::default(),
            enforced: true,
            fetch: FetchConfig::default(),
            cache: ResponseCache::default(),
            console: Console::default(),
            command: None,
            compatibility: Compatibility::default(),
            isolation: None,
            root: None,
            withheld: Vec::new(),
            memory: Vec::new(),
            change: None,
        }
    }

    /// The name given to the builder.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The setting for where its workers run, if it has one.
    pub const fn isolation(&self) -> Option<Isolation> {
        self.isolation
    }

    /// The responses behind its workers' `caches`.
    pub const fn cache(&self) -> &ResponseCache {
        &self.cache
    }

    /// The configuration of its workers' `fetch`.
    pub const fn fetch(&self) -> &FetchConfig {
        &self.fetch
    }

    /// The modules loaded so far by the script's workers.
    pub fn modules_loaded(&self) -> ModulesLoaded {
        self.loader.loaded()
    }

    /// The time that V8's parser takes for the largest module loaded so far, by its size. Nothing interrupts the parser.
    pub fn parse_time_max(&self) -> Duration {
        PARSED_BYTE.saturating_mul(u32::try_from(self.loader.largest()).unwrap_or(u32::MAX))
    }

    /// The limits of the script's workers.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

impl fmt::Debug for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Script")
            .field("name", &self.name)
            .field("entry", &self.entry.as_str())
            .field("bindings", &self.bindings)
            .finish_non_exhaustive()
    }
}

enum Source {
    File(PathBuf),
    Text(String, &'static str),
}

type Change = Box<dyn FnOnce(LoaderOptions) -> LoaderOptions>;

/// Builds a [`Script`]. Created by [`Script::builder`].
#[must_use]
pub struct ScriptBuilder {
    name: String,
    source: Option<Source>,
    bindings: Vec<(String, Arc<dyn Binding>)>,
    limits: Limits,
    enforced: bool,
    fetch: FetchConfig,
    cache: ResponseCache,
    console: Console,
    command: Option<Command>,
    compatibility: Compatibility,
    isolation: Option<Isolation>,
    root: Option<PathBuf>,
    withheld: Vec<PathBuf>,
    memory: Vec<(String, String)>,
    change: Option<Change>,
}

impl ScriptBuilder {
    /// Sets the main module's file. Its imports are resolved from its folder.
    pub fn file(mut self, path: impl AsRef<Path>) -> Self {
        self.source = Some(Source::File(path.as_ref().to_owned()));
        self
    }

    /// Sets the main module's source, in JavaScript.
    pub fn source(mut self, text: impl Into<String>) -> Self {
        self.source = Some(Source::Text(text.into(), "js"));
        self
    }

    /// Sets the main module's source, in TypeScript.
    pub fn typescript(mut self, text: impl Into<String>) -> Self {
        self.source = Some(Source::Text(text.into(), "ts"));
        self
    }

    /// Adds a module that a main module from source can import by its relative name (`./util.js`).
    pub fn module(mut self, name: impl Into<String>, text: impl Into<String>) -> Self {
        self.memory.push((name.into(), text.into()));
        self
    }

    /// Sets the folder that modules are read from. Nothing outside of it is read, except packages in `node_modules`
    /// folders above it, up to the project's folder or its workspace's root. Default: the main file's folder.
    pub fn root(mut self, folder: impl Into<PathBuf>) -> Self {
        self.root = Some(folder.into());
        self
    }

    /// Adds files that must not be read as modules, whatever their names and locations: databases, keys and env files
    /// of the process. Databases in the script's bindings, and files with telling names (`.env`, `shop.db`, `key.pem`),
    /// are withheld automatically. Default: none.
    pub fn withhold(mut self, files: impl IntoIterator<Item = PathBuf>) -> Self {
        self.withheld.extend(files);
        self
    }

    /// Changes module loading: import map, conditions, JSX, limits.
    pub fn modules(mut self, change: impl FnOnce(LoaderOptions) -> LoaderOptions + 'static) -> Self {
        self.change = Some(Box::new(change));
        self
    }

    /// Adds a string to `env`.
    pub fn text(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.binding(name, Text(value.into()))
    }

    /// Adds a JSON value to `env`, created for each worker.
    pub fn json(self, name: impl Into<String>, value: impl Into<Value>) -> Self {
        self.binding(name, Json(value.into()))
    }

    /// Adds a string to `env` that never appears in logs or errors.
    pub fn secret(self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.binding(name, Secret(value.into()))
    }

    /// Adds a binding to `env`: a [`SqlConfig`](crate::sql::SqlConfig), Rust functions
    /// ([`NativeBinding`](crate::native::NativeBinding)), or any other [`Binding`].
    ///
    /// ```
    /// use isopod_runtime::Script;
    /// use isopod_runtime::sql::SqlConfig;
    ///
    /// let script = Script::builder("shop")
    ///     .source("export default { fetch: () => new Response('open') }")
    ///     .binding("DB", SqlConfig::new("sqlite:shop.db"))
    ///     .build()?;
    /// # Ok::<(), isopod_runtime::ScriptError>(())
    /// ```
    pub fn binding(mut self, name: impl Into<String>, binding: impl Binding) -> Self {
        self.bindings.push((name.into(), Arc::new(binding)));
        self
    }

    /// Sets the limits of the script's workers. Building it fails if they are below the minimum of `memory_bytes`. Default:
    /// [`Limits::default`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Makes the watchdog ignore the script's workers, only to measure the cost of enforcement.
    #[doc(hidden)]
    pub const fn unenforced(mut self) -> Self {
        self.enforced = false;
        self
    }

    /// Configures `fetch`: permitted addresses and limits. Default: public addresses only.
    pub fn fetch(mut self, fetch: FetchConfig) -> Self {
        self.fetch = fetch;
        self
    }

    /// Sets the cache behind `caches`. Scripts that are built with clones of one cache share its limits, and stored responses
    /// outlive a version of a script. Default: a cache of this script alone, with the default limits.
    pub fn cache(mut self, cache: ResponseCache) -> Self {
        self.cache = cache;
        self
    }

    /// Sets the destination of `console`. Default: [`Console::Tracing`].
    pub fn console(mut self, console: Console) -> Self {
        self.console = console;
        self
    }

    /// Runs the script as a command. Default: as a worker.
    pub fn command(mut self, command: Command) -> Self {
        self.command = Some(command);
        self
    }

    /// Sets the behavior that depends on compatibility dates and flags. Default: that of the newest date.
    ///
    /// ```
    /// # mod isopod { pub use isopod_runtime::{Compatibility, NodeCompat, Script}; }
    /// use isopod::{Compatibility, NodeCompat, Script};
    ///
    /// let script = Script::builder("web-only")
    ///     .source("export default { fetch: () => new Response(typeof process) }")
    ///     .compatibility(Compatibility::default().node(NodeCompat::Off))
    ///     .build()?;
    /// # Ok::<(), isopod_runtime::ScriptError>(())
    /// ```
    pub fn compatibility(mut self, compatibility: Compatibility) -> Self {
        self.compatibility = compatibility;
        self
    }

    /// Sets where the script's workers run. Default: as the pool's workers
    /// ([`PoolBuilder::isolation`](https://docs.rs/isopod/latest/isopod/struct.PoolBuilder.html#method.isolation)).
    ///
    /// ```
    /// # mod isopod { pub use isopod_runtime::{Isolation, Script}; }
    /// use isopod::{Isolation, Script};
    ///
    /// let script = Script::builder("plugin")
    ///     .source("export default { fetch: () => new Response('from a process of its own') }")
    ///     .isolation(Isolation::Process)
    ///     .build()?;
    /// assert_eq!(script.isolation(), Some(Isolation::Process));
    /// # Ok::<(), isopod_runtime::ScriptError>(())
    /// ```
    pub const fn isolation(mut self, isolation: Isolation) -> Self {
        self.isolation = Some(isolation);
        self
    }

    /// Builds the script. The first worker reads its modules; later ones use them from memory.
    ///
    /// # Errors
    /// [`ScriptError`]: no code, a duplicate binding, a missing file, too little memory and others.
    pub fn build(self) -> Result<Script, ScriptError> {
        if self.limits.memory_bytes < Limits::MEMORY_BYTES_MIN {
            return Err(ScriptError::LittleMemory(self.name, self.limits.memory_bytes));
        }
        let (options, entry) = match self.source {
            None => return Err(ScriptError::NoCode(self.name)),
            Some(Source::File(path)) => {
                // Resolved, because imports are relative to the file and not to a link to it.
                let path = std::fs::canonicalize(&path)
                    .or_else(|_| std::path::absolute(&path))
                    .unwrap_or(path);
                let own = path.parent().unwrap_or(&path);
                let options = in_folder(self.root.unwrap_or_else(|| own.to_owned()));
                (options, path.to_string_lossy().into_owned())
            }
            Some(Source::Text(text, extension)) => {
                let entry = in_memory(&format!("main.{extension}"))?;
                let mut modules = vec![(entry.clone(), MemoryModule::from(text))];
                for (name, text) in self.memory {
                    modules.push((in_memory(&name)?, MemoryModule::from(text)));
                }
                let options = match self.root {
                    Some(root) => in_folder(root),
                    None => LoaderOptions::in_memory([]),
                };
                let memory = modules.into_iter().collect();
                (LoaderOptions { memory, ..options }, entry.into())
            }
        };
        let mut options = options;
        options.node = self.compatibility.node;
        options.reach.withheld = self.withheld;
        let of_bindings = self.bindings.iter().flat_map(|(_, binding)| binding.withheld());
        options.reach.withheld.extend(of_bindings);
        let options = match self.change {
            Some(change) => change(options),
            None => options,
        };
        let loader = Loader::new(options.clone())?;
        let entry = loader.resolve_entry(&entry)?;
        let mut bindings = BTreeMap::new();
        for (name, binding) in self.bindings {
            if let Some(feature) = binding.missing_feature() {
                let kind = binding.kind();
                return Err(ScriptError::MissingFeature { name, kind, feature });
            }
            if bindings.insert(name.clone(), binding).is_some() {
                return Err(ScriptError::DuplicateBinding(name));
            }
        }
        let script = Script {
            name: self.name.into(),
            entry,
            loader,
            options,
            isolation: self.isolation,
            bindings,
            code_cache: CodeCache::new(self.limits.code_cache_bytes),
            module_cache: ModuleCache::new(self.limits.module_cache_bytes),
            limits: self.limits,
            enforced: self.enforced,
            fetch: self.fetch,
            cache: self.cache,
            console: self.console,
            command: self.command,
            compatibility: self.compatibility,
            uses_node: OnceLock::new(),
            wasm_types: Arc::default(),
        };
        if let Some(isolation) = script.isolation.filter(|isolation| isolation.is_cell()) {
            script.can_cross(isolation)?;
        }
        Ok(script)
    }
}

fn in_memory(name: &str) -> Result<Url, ScriptError> {
    let url = format!("isopod:///{}", name.trim_start_matches("./"));
    Url::parse(&url).map_err(|error| ScriptError::ModuleName(name.to_owned(), error.to_string()))
}

/// Modules from a folder, and packages from the folders above it, up to the project's.
fn in_folder(root: PathBuf) -> LoaderOptions {
    let ceiling = project_root(&std::fs::canonicalize(&root).unwrap_or_else(|_| root.clone()));
    LoaderOptions {
        ceiling: Some(ceiling),
        ..LoaderOptions::folder(root)
    }
}
