//! The loader of a script version: from specifiers to code.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use ::import_map::ImportMap;
use isopod_ext::remote::Remote;
use oxc::span::SourceType;
use url::Url;

use super::aliases::Aliases;
use super::code_frame::code_frame;
use super::commonjs::{Facade, Registry, file_of, is_require_url};
use super::defines::Defines;
use super::disk::{Disk, Edge};
use super::error::{Importer, ModuleError, display_url};
use super::files::Files;
use super::helpers;
use super::import_map;
use super::jail::Jail;
use super::kind::{Format, ModuleKind, RequestedType, Treatment, treatment};
use super::loaded::ModulesLoaded;
use super::node_builtins;
use super::options::{Jsx, LoaderLimits, LoaderOptions};
use super::parsers::Parsers;
use super::rules::Rules;
use super::source_maps::SourceMaps;
use super::sources::Sources;
use super::specifier::Specifier;
use super::transpile_cache::TranspileCache;
use crate::NodeCompat;

/// Bytes of JSON that are checked faster than a thread is started.
const SMALL_JSON_BYTES: usize = 64 << 10;

/// Finds and reads the modules of one version of one script. Synchronous; shared between threads in an `Arc`.
///
/// ```ignore
/// let loader = Loader::new(LoaderOptions::folder("./my-worker"))?;
/// let entry = loader.resolve_entry("src/index.ts")?;
/// let module = loader.load(&entry, RequestedType::Unspecified, None)?;
/// let next = loader.resolve("./routes", &entry)?;
/// ```
///
/// It caches the results of the file system: create a new loader when files change.
pub struct Loader {
    pub(super) sources: Arc<Sources>,
    pub(super) aliases: Aliases,
    import_map: Option<ImportMap>,
    pub(super) registry: Registry,
    /// The script's main module.
    entry: OnceLock<Url>,
    pub(super) jsx: Jsx,
    node_env: String,
    pub(super) defines: Arc<Defines>,
    pub(super) rules: Arc<Rules>,
    node: NodeCompat,
    pub(super) limits: LoaderLimits,
    pub(super) transpiled: Arc<Mutex<TranspileCache>>,
    pub(super) parsers: Parsers,
    loaded: ModulesLoaded,
    pub(super) source_maps: Arc<SourceMaps>,
}

/// A module that is ready to be compiled.
#[derive(Debug, Clone)]
pub struct Module {
    /// Its type.
    pub kind: ModuleKind,
    /// JavaScript, JSON or text as text; bytes and WebAssembly as bytes.
    pub code: ModuleCode,
    /// The source map of a transpiled module, as JSON without the sources' content.
    pub source_map: Option<Arc<[u8]>>,
    /// The original source, if the code differs from it.
    pub original: Option<Arc<str>>,
}

/// A module's content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ModuleCode {
    /// JavaScript, JSON, text.
    Text(Arc<str>),
    /// Bytes, WebAssembly.
    Bytes(Arc<[u8]>),
}

impl ModuleCode {
    /// The size in bytes.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
        }
    }
}

impl Loader {
    /// Creates a loader. Reads no modules yet.
    ///
    /// # Errors
    ///
    /// [`ModuleError::InvalidRoot`], [`ModuleError::InvalidImportMap`], [`ModuleError::InvalidAlias`] and
    /// [`ModuleError::InvalidDefine`].
    pub fn new(mut options: LoaderOptions) -> Result<Self, ModuleError> {
        let jail = match &options.root {
            Some(root) => {
                let reach = std::mem::take(&mut options.reach);
                Some(Jail::new(root, options.ceiling.as_deref(), reach)?)
            }
            None => None,
        };
        // Canonical, as the URLs of modules are.
        let root = jail.as_ref().map(|jail| jail.root().to_owned());
        let rules = Arc::new(Rules::new(std::mem::take(&mut options.rules), root));
        let disk = jail.map(|jail| Disk::new(jail, &options.conditions, Arc::clone(&rules)));
        Self::over(options, disk.map(|disk| Files::Here(Box::new(disk))), rules)
    }

    /// Creates a loader for a worker in a sandbox, whose files another process reads: that of the script's own loader, by its
    /// rules.
    pub(crate) fn elsewhere(mut options: LoaderOptions, remote: Arc<dyn Remote>) -> Result<Self, ModuleError> {
        let disk = options
            .root
            .is_some()
            .then(|| Files::elsewhere(remote, options.reach.computed_data));
        let rules = Rules::new(std::mem::take(&mut options.rules), options.root.clone());
        Self::over(options, disk, Arc::new(rules))
    }

    fn over(options: LoaderOptions, disk: Option<Files>, rules: Arc<Rules>) -> Result<Self, ModuleError> {
        let bytes_max = options.limits.module_bytes_max;
        // As if a file in the root imported them.
        let base = rules.root().map(|root| Url::from_file_path(root.join("package.json")));
        let main = options.main.and_then(|main| Url::from_file_path(main).ok());
        if let (Some(disk), Some(main)) = (&disk, main) {
            disk.set_main(&main);
        }
        let sources = Arc::new(Sources {
            memory: options.memory,
            disk,
            bytes_max,
            largest: AtomicU64::new(0),
        });
        Ok(Self {
            import_map: options.import_map.as_ref().map(import_map::parse).transpose()?,
            jsx: options.jsx,
            defines: Arc::new(Defines::new(&options.define, &options.node_env)?),
            node_env: options.node_env,
            aliases: Aliases::new(options.alias, base.and_then(Result::ok))?,
            rules,
            node: options.node,
            transpiled: Arc::new(Mutex::new(TranspileCache::new(
                options.limits.transpile_cache_bytes_max,
            ))),
            parsers: Parsers::default(),
            registry: Registry::new(options.limits.commonjs_bytes_max),
            entry: OnceLock::new(),
            limits: options.limits,
            loaded: ModulesLoaded::default(),
            source_maps: Arc::new(SourceMaps::new(Arc::clone(&sources))),
            sources,
        })
    }

    /// The URL of the entry module: a path, relative to the root unless it is absolute, or a URL.
    ///
    /// # Errors
    ///
    /// As for [`Loader::resolve`].
    pub fn resolve_entry(&self, entry: &str) -> Result<Url, ModuleError> {
        let url = match &self.sources.disk {
            Some(Files::Here(disk)) if Path::new(entry).is_absolute() || Url::parse(entry).is_err() => {
                // The root is absolute, so this cannot fail; if it did, the URL would be parsed and rejected below.
                Url::from_file_path(disk.root().join(entry)).or_else(|()| Url::parse(entry))
            }
            _ => Url::parse(entry),
        };
        let url = url.map_err(|error| ModuleError::InvalidSpecifier {
            specifier: entry.into(),
            importer: Importer::default(),
            reason: format!("{error}; the entry of a script in memory is a URL, as isopod:///main.js"),
        })?;
        if let Some(disk) = &self.sources.disk {
            disk.set_main(&url);
        }
        let url = match &self.sources.disk {
            // It was resolved before it was written.
            Some(Files::Elsewhere(_)) => url,
            _ => self
                .sources
                .resolve_url(url, entry, Importer::default(), Edge::Import)?,
        };
        // A loader has one entry; the first stays.
        self.entry.get_or_init(|| url.clone());
        Ok(url)
    }

    /// Returns true for the script's main module, as resolved.
    pub(super) fn is_entry(&self, url: &Url) -> bool {
        self.entry.get() == Some(url)
    }

    /// The processing of a module. Rules are for files.
    pub(super) fn treatment(&self, url: &Url, requested: RequestedType<'_>) -> Treatment {
        let is_main = self.is_main(url);
        match self.sources.memory.contains_key(url) {
            true => treatment(url, requested, is_main),
            false => self.rules.treatment(url, requested, is_main),
        }
    }

    /// Returns true for the script's main module as configured, and for modules that are not files: they need no
    /// extension.
    pub(super) fn is_main(&self, url: &Url) -> bool {
        self.sources.disk.as_ref().is_none_or(|disk| disk.is_main(url)) || url.scheme() != "file"
    }

    /// Resolves a static or dynamic import of `specifier` in `referrer`: aliases, then the import map, then memory, then files and
    /// packages. The URL of a Node.js built-in module has the scheme `node`. The URL is canonical: links are followed, extensions are complete.
    ///
    /// # Errors
    ///
    /// Not found, or not allowed.
    pub fn resolve(&self, specifier: &str, referrer: &Url) -> Result<Url, ModuleError> {
        let (aliased, base) = self.aliases.apply(specifier, referrer);
        let meant = self.meant(&aliased, base)?;
        self.locate(meant, specifier, base, Importer::new(referrer), Edge::Import)
    }

    /// Applies the import map to a specifier.
    pub(super) fn meant<'a>(&self, specifier: &'a str, referrer: &Url) -> Result<Specifier<'a>, ModuleError> {
        match &self.import_map {
            // Imports of the transpiler are not subject to the script's map.
            Some(map) if !specifier.starts_with(helpers::PREFIX) => import_map::apply(map, specifier, referrer),
            _ => Specifier::parse(specifier, referrer),
        }
    }

    /// Resolves a specifier after aliases and import maps: built-in modules, then memory, then files and packages. `base` is the URL
    /// that it is resolved from, and `specifier` the one that was written.
    pub(super) fn locate(
        &self,
        meant: Specifier<'_>,
        specifier: &str,
        base: &Url,
        importer: Importer,
        edge: Edge,
    ) -> Result<Url, ModuleError> {
        match meant {
            Specifier::Url(url) if node_builtins::is_node(&url) && !self.sources.memory.contains_key(&url) => {
                node_builtins::prefixed(&url, specifier, self.node, importer)
            }
            Specifier::Url(url) => self.sources.resolve_url(url, specifier, importer, edge),
            Specifier::Bare(name) => match node_builtins::bare(name, self.node) {
                Some(builtin) => Ok(builtin),
                None => self
                    .sources
                    .resolve_bare(name, base, importer, edge)
                    .map_err(|error| node_builtins::explain(error, self.node)),
            },
        }
    }

    /// Loads the module at a URL returned by [`Loader::resolve`]. `referrer` is for messages.
    ///
    /// # Errors
    ///
    /// Not readable, or not a module that workers can run.
    pub fn load(&self, url: &Url, requested: RequestedType<'_>, referrer: Option<&Url>) -> Result<Module, ModuleError> {
        let importer = Importer::of(referrer);
        self.count(&without_facade(url))?;
        if url.scheme() == helpers::SCHEME {
            let source = helpers::source(url).ok_or_else(|| ModuleError::NotFound {
                specifier: url.to_string(),
                importer,
                hint: "it is not one of the runtime's modules".into(),
            })?;
            return Ok(Module::javascript(source.into()));
        }
        if let RequestedType::Other(requested) = requested {
            let (file, requested) = (display_url(url), requested.to_owned());
            return Err(ModuleError::UnsupportedType {
                file,
                requested,
                importer,
            });
        }
        let treatment = self.treatment(url, requested);
        let may_be_commonjs = match treatment {
            Treatment::Unknown => {
                return Err(ModuleError::UnknownKind {
                    file: display_url(url),
                    importer,
                });
            }
            Treatment::JavaScript(format) | Treatment::Transpile(_, format) => format != Format::Module,
            _ => false,
        };
        if may_be_commonjs && let Some(module) = self.commonjs(&file_of(url))? {
            return self.facade(url, &module);
        }
        if let Some(module) = self.require_function(url)? {
            return Ok(module);
        }
        let bytes = self.sources.read(url, requested, &importer)?;
        match treatment {
            Treatment::Bytes => Ok(Module::bytes(ModuleKind::Bytes, bytes)),
            Treatment::Wasm => Ok(Module::bytes(ModuleKind::Wasm, bytes)),
            Treatment::Text => Ok(Module::text(ModuleKind::Text, utf8(url, &bytes)?)),
            Treatment::Json => {
                let text = utf8(url, &bytes)?;
                self.check_json(url, &text)?;
                Ok(Module::text(ModuleKind::Json, text))
            }
            Treatment::Transpile(dialect, _) => {
                let module = self.transpiled(url, utf8(url, &bytes)?, dialect)?;
                self.with_require(url, module)
            }
            Treatment::JavaScript(_) | Treatment::Unknown => {
                let text = utf8(url, &bytes)?;
                self.refuse_heavy(url, &text)?;
                let module = match self.replace_defines(url, &text, SourceType::mjs())? {
                    Some(code) => Module {
                        original: Some(text),
                        ..Module::javascript(code)
                    },
                    None => Module::javascript(text),
                };
                if let ModuleCode::Text(code) = &module.code {
                    self.source_maps.add_javascript(url, code);
                }
                self.with_require(url, module)
            }
        }
    }

    /// The value of `process.env.NODE_ENV`.
    pub(crate) fn node_env(&self) -> &str {
        &self.node_env
    }

    /// Answers a request for files of modules by a worker in a sandbox, which may be any bytes. Blocks.
    ///
    /// # Errors
    /// The bytes are not a question.
    pub fn answer(&self, asked: &[u8]) -> Result<Vec<u8>, String> {
        let files = self.sources.disk.as_ref().ok_or("the script has no files")?;
        files.answer(asked, self.sources.bytes_max, &self.jsx)
    }

    /// The source maps of loaded modules, for stack traces.
    #[must_use]
    pub fn source_maps(&self) -> &Arc<SourceMaps> {
        &self.source_maps
    }

    /// The loaded modules, for watching their files.
    #[must_use]
    pub fn loaded(&self) -> ModulesLoaded {
        self.loaded.clone()
    }

    pub(crate) const fn limits(&self) -> &LoaderLimits {
        &self.limits
    }

    /// The bytes of the largest module read so far.
    pub(crate) fn largest(&self) -> u64 {
        self.sources.largest.load(Ordering::Relaxed)
    }

    /// The modules in memory, and those that were loaded.
    #[cfg(feature = "node")]
    pub(crate) fn known(&self) -> Vec<Url> {
        let mut known = self.loaded.urls();
        known.extend(self.sources.memory.keys().cloned());
        known
    }

    /// The content of a module in memory.
    #[cfg(feature = "node")]
    pub(crate) fn content_in_memory(&self, url: &Url) -> Option<Arc<[u8]>> {
        self.sources.memory.get(url).map(|module| Arc::clone(&module.content))
    }

    /// A CommonJS module that was loaded.
    #[cfg(feature = "node")]
    pub(crate) fn registered(&self, url: &Url) -> Option<Arc<super::commonjs::CommonJs>> {
        self.registry.get(url).flatten()
    }

    /// Checks the syntax of JSON. V8's errors do not say where the text is from.
    pub(super) fn check_json(&self, url: &Url, text: &Arc<str>) -> Result<(), ModuleError> {
        if text.len() <= SMALL_JSON_BYTES {
            return check_json(url, text);
        }
        let (file, source) = (url.clone(), Arc::clone(text));
        let checked = self.parsers.run_flat(move || check_json(&file, &source));
        checked.map_err(|unparsed| unparsed.of(url, text))?
    }

    pub(super) fn count(&self, url: &Url) -> Result<(), ModuleError> {
        let limit = self.limits.modules_max;
        match self.loaded.insert(url, limit) {
            true => Ok(()),
            false => Err(ModuleError::TooManyModules { limit }),
        }
    }
}

impl Module {
    pub(super) fn javascript(code: Arc<str>) -> Self {
        Self::text(ModuleKind::JavaScript, code)
    }

    fn text(kind: ModuleKind, text: Arc<str>) -> Self {
        Self {
            kind,
            code: ModuleCode::Text(text),
            source_map: None,
            original: None,
        }
    }

    fn bytes(kind: ModuleKind, bytes: Arc<[u8]>) -> Self {
        Self {
            kind,
            code: ModuleCode::Bytes(bytes),
            source_map: None,
            original: None,
        }
    }
}

/// The URL by which a module is counted: a module and its facades are one.
fn without_facade(url: &Url) -> Url {
    if Facade::parse(url).is_some() || is_require_url(url) {
        file_of(url)
    } else {
        url.clone()
    }
}

/// Decodes text and removes its byte order mark.
pub(super) fn utf8(url: &Url, bytes: &[u8]) -> Result<Arc<str>, ModuleError> {
    let text = std::str::from_utf8(bytes).map_err(|error| ModuleError::NotUtf8 {
        file: display_url(url),
        offset: error.valid_up_to(),
    })?;
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text).into())
}

fn check_json(url: &Url, text: &str) -> Result<(), ModuleError> {
    let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) else {
        return Ok(());
    };
    let line = u32::try_from(error.line()).unwrap_or(u32::MAX).max(1);
    // It counts bytes; the frame needs UTF-16 units.
    let start = text.lines().nth(error.line().saturating_sub(1)).unwrap_or_default();
    let before = start
        .as_bytes()
        .get(..error.column().saturating_sub(1))
        .unwrap_or(start.as_bytes());
    let column = u32::try_from(String::from_utf8_lossy(before).encode_utf16().count() + 1).unwrap_or(u32::MAX);
    let message = error.to_string();
    let message = message.split(" at line ").next().unwrap_or_default().to_owned();
    Err(ModuleError::Syntax {
        file: url.to_string(),
        line,
        column,
        message,
        frame: code_frame(text, line, column, 1),
    })
}
