//! Provides a script's modules to V8: the adapter between `modules/`, which is free of V8, and deno_core's interface.
//! `code_cache` and `module_cache` keep loaded modules for the script version's later workers. `node_use` decides which
//! scripts get Node.js modules.

#[cfg(feature = "node")]
mod bundle;
mod code_cache;
mod module_cache;
mod node_use;
mod require;

use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::url::Url;
use deno_core::{
    ModuleLoadOptions, ModuleLoadReferrer, ModuleLoadResponse, ModuleLoader, ModuleSource, ModuleSourceCode,
    ModuleSpecifier, ModuleType, RequestedModuleType, ResolutionKind, SourceCodeCacheInfo,
};
use deno_error::JsErrorBox;

use crate::limits::has_to_stop;
use crate::modules::{
    BUILTIN, Module, ModuleCode, ModuleError, ModuleKind, RequestedType, code_frame, file_of, is_node, may_name_map,
};
use crate::{Script, WorkerTemplate};

pub(crate) use self::code_cache::CodeCache;
pub(crate) use self::module_cache::ModuleCache;
pub(crate) use self::node_use::uses_node;
use self::require::NewFunction;

/// Maximum length of a specifier in bytes. Errors repeat it, and several copies are made.
const SPECIFIER_BYTES_MAX: usize = 64 << 10;

/// The error of a start whose modules are not loaded by its deadline, with the largest of them.
pub(crate) fn loads_too_long(largest: Option<(&Url, usize)>) -> String {
    let largest = largest.map(|(url, bytes)| format!("; the largest of them is {url} ({bytes} bytes)"));
    let largest = largest.unwrap_or_default();
    format!("the script's modules were not loaded within the time to start (`limits.boot`){largest}")
}

/// A comment that overrides the code's own `sourceMappingURL`: deno_core would decode a map of any size. It gets the maps
/// of `source_maps.rs` instead.
const NO_MAP: &str = "\n//# sourceMappingURL=";

/// Marks the import through which a `.wasm` module gets its own bytes.
const WASM_BYTES: &str = "isopod-bytes";

pub(crate) struct ScriptLoader {
    script: Arc<Script>,
    /// The embedder's additions, including modules.
    template: WorkerTemplate,
    /// The original source of each module with code.
    originals: RefCell<HashMap<String, Arc<str>>>,
    /// The largest module that was loaded, and its size.
    largest: RefCell<Option<(Url, usize)>>,
    /// V8 compiled a module whose code is worth caching.
    compiled_anew: Cell<bool>,
    /// CommonJS modules that were compiled without cached code while the worker starts.
    functions: RefCell<Option<Vec<NewFunction>>>,
    /// The modules that `/bundle` shows, by name.
    #[cfg(feature = "node")]
    files: RefCell<std::collections::BTreeMap<String, Url>>,
}

impl ScriptLoader {
    /// Creates the loader of a worker.
    pub(crate) fn new(script: Arc<Script>, template: WorkerTemplate) -> Rc<Self> {
        Rc::new(Self {
            script,
            template,
            originals: RefCell::default(),
            largest: RefCell::default(),
            compiled_anew: Cell::new(false),
            functions: RefCell::new(Some(Vec::new())),
            #[cfg(feature = "node")]
            files: RefCell::default(),
        })
    }

    /// The error of a start whose modules are not loaded by its deadline.
    pub(crate) fn loads_too_long(&self) -> String {
        let largest = self.largest.borrow();
        loads_too_long(largest.as_ref().map(|(url, bytes)| (url, *bytes)))
    }

    /// Returns true if a module was loaded without cached code since the last call.
    pub(crate) fn compiled_anew(&self) -> bool {
        self.compiled_anew.take()
    }

    /// The code around a position in a module; line and column count from 1.
    pub(crate) fn code_frame(&self, file: &str, line: u32, column: u32) -> Option<String> {
        Some(code_frame(&self.text_of(file)?, line, column, 1))
    }

    /// The text of a loaded module, or of a source that is embedded in a module's source map.
    fn text_of(&self, file: &str) -> Option<Arc<str>> {
        let loaded = self.originals.borrow().get(file).cloned();
        loaded.or_else(|| self.script.loader.source_maps().text_of(file))
    }

    /// Returns true if `import()` may read this as text or bytes. Scripts that compute names could search for files.
    fn may_read(&self, file: &Url, referrer: Option<&Url>) -> bool {
        let loader = &self.script.loader;
        let Some(referrer) = referrer else { return false };
        // A `.wasm` or `.bin` module reads its own bytes.
        let is_own = || file.fragment() == Some(WASM_BYTES) && file.path() == referrer.path();
        if loader.computes_data() || file.scheme() != "file" || is_own() {
            return true;
        }
        self.code_of(referrer)
            .is_some_and(|code| loader.names(referrer, &code, file))
    }

    /// The JavaScript of a loaded module.
    fn code_of(&self, url: &Url) -> Option<Arc<str>> {
        let loader = &self.script.loader;
        if let Ok(Some(module)) = loader.commonjs(&file_of(url)) {
            return Some(Arc::clone(&module.code));
        }
        let mut file = url.clone();
        file.set_fragment(None);
        let read = || loader.load(&file, RequestedType::Unspecified, None);
        let module = self
            .script
            .module_cache
            .get_or_read(&file, RequestedType::Unspecified, read);
        match module.ok()?.code {
            ModuleCode::Text(code) => Some(code),
            ModuleCode::Bytes(_) => None,
        }
    }

    fn load_module(
        &self,
        url: &Url,
        requested: &RequestedModuleType,
        referrer: Option<&Url>,
    ) -> Result<ModuleSource, JsErrorBox> {
        // Between modules; while one is parsed, its parser asks.
        if has_to_stop() {
            return Err(JsErrorBox::generic(self.loads_too_long()));
        }
        let request = requested_type(requested);
        let mut file = url.clone();
        let is_facade = request == RequestedType::Unspecified && self.script.loader.is_facade(url);
        if !is_facade {
            file.set_fragment(None);
        }
        let read = || self.script.loader.load(&file, request, referrer);
        let module = self
            .script
            .module_cache
            .get_or_read(&file, request, read)
            .map_err(to_js)?;
        let bytes = module.code.len();
        if self
            .largest
            .borrow()
            .as_ref()
            .is_none_or(|(_, largest)| *largest < bytes)
        {
            self.largest.replace(Some((file.clone(), bytes)));
        }
        // Errors show no lines of facades.
        if let (false, ModuleKind::JavaScript, ModuleCode::Text(code)) = (is_facade, module.kind, &module.code) {
            let text = module.original.as_ref().unwrap_or(code).clone();
            self.originals.borrow_mut().insert(url.as_str().to_owned(), text);
        }
        Ok(self.module_source(url, module, request))
    }

    fn module_source(&self, url: &Url, module: Module, request: RequestedType<'_>) -> ModuleSource {
        let make = |kind, code| ModuleSource::new(kind, code, url, None);
        match (module.kind, module.code) {
            (ModuleKind::JavaScript, ModuleCode::Text(text)) => {
                let hash = CodeCache::hash(text.as_bytes());
                let data = self
                    .script
                    .code_cache
                    .get(url.as_str(), hash)
                    .map(|code| Cow::Owned(code.to_vec()));
                if data.is_none() {
                    self.compiled_anew.set(true);
                }
                let mut code = text.to_string();
                if may_name_map(&code) {
                    code.push_str(NO_MAP);
                }
                ModuleSource::new(
                    ModuleType::JavaScript,
                    javascript(code),
                    url,
                    Some(SourceCodeCacheInfo { hash, data }),
                )
            }
            (ModuleKind::Json, ModuleCode::Text(text)) if request == RequestedType::Json => {
                make(ModuleType::Json, javascript(text.to_string()))
            }
            // Bundlers allow imports of JSON and text without an attribute; V8 then expects JavaScript.
            (ModuleKind::Json, ModuleCode::Text(text)) => {
                // Not as an expression, where `__proto__` has another meaning.
                let literal = serde_json::Value::String(text.to_string());
                let code = format!("export default JSON.parse({literal});");
                make(ModuleType::JavaScript, javascript(code))
            }
            (ModuleKind::Text, ModuleCode::Text(text)) if request == RequestedType::Text => {
                make(ModuleType::Text, javascript(text.to_string()))
            }
            (_, ModuleCode::Text(text)) => {
                let literal = serde_json::Value::String(text.to_string());
                make(ModuleType::JavaScript, javascript(format!("export default {literal};")))
            }
            (_, ModuleCode::Bytes(bytes)) if request == RequestedType::Bytes => make(
                ModuleType::Bytes,
                ModuleSourceCode::Bytes(bytes.to_vec().into_boxed_slice().into()),
            ),
            // As in Workers: a `.wasm` import is the compiled module, which the script instantiates.
            (kind, ModuleCode::Bytes(_)) => {
                let mut own = url.clone();
                own.set_fragment(Some(WASM_BYTES));
                let value = if kind == ModuleKind::Wasm {
                    "new WebAssembly.Module(bytes)"
                } else {
                    "bytes.buffer"
                };
                let code = format!(
                    "import bytes from {:?} with {{ type: \"bytes\" }};\nexport default {value};",
                    own.as_str()
                );
                make(ModuleType::JavaScript, javascript(code))
            }
        }
    }
}

fn requested_type(requested: &RequestedModuleType) -> RequestedType<'_> {
    match requested {
        RequestedModuleType::None => RequestedType::Unspecified,
        RequestedModuleType::Json => RequestedType::Json,
        RequestedModuleType::Text => RequestedType::Text,
        RequestedModuleType::Bytes => RequestedType::Bytes,
        RequestedModuleType::Other(other) => RequestedType::Other(other),
    }
}

fn to_js(error: ModuleError) -> JsErrorBox {
    match error {
        ModuleError::Syntax { .. } => JsErrorBox::new("SyntaxError", error.to_string()),
        ModuleError::TakesTooLong { .. } => JsErrorBox::generic(error.to_string()),
        other => JsErrorBox::type_error(other.to_string()),
    }
}

/// The error for a Node.js module in a worker that started without them.
fn not_in_image(specifier: &Url) -> JsErrorBox {
    JsErrorBox::type_error(format!(
        "{specifier} is imported by a module whose own name is computed, and the worker started without Node.js modules; \
         import it where an import has a literal name too"
    ))
}

fn javascript(code: String) -> ModuleSourceCode {
    ModuleSourceCode::String(code.into())
}

impl ModuleLoader for ScriptLoader {
    fn resolve(&self, specifier: &str, referrer: &str, _kind: ResolutionKind) -> Result<ModuleSpecifier, JsErrorBox> {
        if BUILTIN.contains(&specifier) || self.template.module(specifier).is_some() {
            return Url::parse(specifier).map_err(|error| JsErrorBox::type_error(error.to_string()));
        }
        if specifier.len() > SPECIFIER_BYTES_MAX {
            let length = specifier.len();
            return Err(JsErrorBox::type_error(format!(
                "a module specifier of {length} bytes is too long"
            )));
        }
        let entry = &self.script.entry;
        // A module's own bytes, imported by the code that replaces it, and marked by the fragment.
        if specifier == entry.as_str() || specifier.ends_with(WASM_BYTES) {
            return Url::parse(specifier).map_err(|error| JsErrorBox::type_error(error.to_string()));
        }
        let referrer = Url::parse(referrer).unwrap_or_else(|_| entry.clone());
        let loader = &self.script.loader;
        if loader.is_facade(&referrer) {
            return Url::parse(specifier).map_err(|error| JsErrorBox::type_error(error.to_string()));
        }
        if let Some(url) = Url::parse(specifier).ok().filter(|url| loader.is_facade(url)) {
            return Ok(url);
        }
        let resolved = loader.resolve_import(specifier, &referrer, || self.code_of(&referrer));
        resolved.map_err(to_js)
    }

    fn import_meta_resolve(&self, specifier: &str, referrer: &str) -> Result<ModuleSpecifier, JsErrorBox> {
        // Without the facade of a CommonJS module.
        let referrer_url = Url::parse(referrer).unwrap_or_else(|_| self.script.entry.clone());
        match self.script.loader.resolve(specifier, &referrer_url) {
            Ok(url) if specifier.len() <= SPECIFIER_BYTES_MAX => Ok(url),
            _ => self.resolve(specifier, referrer, ResolutionKind::DynamicImport),
        }
    }

    /// Called for the specifiers of `import()` before they are loaded.
    fn prepare_load(
        &self,
        specifier: &ModuleSpecifier,
        referrer: Option<String>,
        _code: Option<String>,
        options: ModuleLoadOptions,
    ) -> Pin<Box<dyn Future<Output = Result<(), JsErrorBox>>>> {
        let is_data = self
            .script
            .loader
            .is_data(specifier, requested_type(&options.requested_module_type));
        let referrer = referrer.and_then(|referrer| Url::parse(&referrer).ok());
        let is_allowed = !options.is_dynamic_import || !is_data || self.may_read(specifier, referrer.as_ref());
        let refusal = || to_js(ModuleError::computed(specifier, referrer.as_ref()));
        Box::pin(std::future::ready(is_allowed.then_some(()).ok_or_else(refusal)))
    }

    fn load(
        &self,
        specifier: &ModuleSpecifier,
        referrer: Option<&ModuleLoadReferrer>,
        options: ModuleLoadOptions,
    ) -> ModuleLoadResponse {
        if let Some(source) = self.template.module(specifier.as_str()) {
            let code = javascript(source.to_string());
            return ModuleLoadResponse::Sync(Ok(ModuleSource::new(ModuleType::JavaScript, code, specifier, None)));
        }
        if is_node(specifier) {
            return ModuleLoadResponse::Sync(Err(not_in_image(specifier)));
        }
        let referrer = referrer.map(|referrer| &referrer.specifier);
        ModuleLoadResponse::Sync(self.load_module(specifier, &options.requested_module_type, referrer))
    }

    /// For scripts of the image that are evaluated at their first use.
    fn get_code_cache(&self, specifier: &ModuleSpecifier, source: &str) -> Option<SourceCodeCacheInfo> {
        let hash = CodeCache::hash(source.as_bytes());
        let data = self.script.code_cache.get(specifier.as_str(), hash);
        let data = data.map(|code| Cow::Owned(code.to_vec()));
        Some(SourceCodeCacheInfo { hash, data })
    }

    fn code_cache_ready(
        &self,
        specifier: ModuleSpecifier,
        hash: u64,
        code: &[u8],
    ) -> Pin<Box<dyn Future<Output = ()>>> {
        self.script.code_cache.put(specifier.as_str(), hash, code);
        Box::pin(std::future::ready(()))
    }

    fn get_source_map(&self, file: &str) -> Option<Cow<'_, [u8]>> {
        let mut url = Url::parse(file).ok()?;
        let loader = &self.script.loader;
        if loader.is_facade(&url) {
            return None;
        }
        url.set_fragment(None);
        Some(Cow::Owned(loader.source_maps().map_of(&url)?.to_vec()))
    }

    fn get_source_mapped_source_line(&self, file: &str, line: usize) -> Option<String> {
        self.text_of(file)?.lines().nth(line).map(str::to_owned)
    }
}
