//! CommonJS: modules that are compiled as functions, and facades through which ES modules import them.
//!
//! `detect` distinguishes CommonJS from ES modules, `scan` finds a module's literal `require` calls and the names it exports,
//! `facade` generates the ES module that imports see, and `required_names` finds the names that an importer expects.
//! `require_graph`, beside this folder, reads everything that a module requires before any of it runs. The code itself is not converted: it runs as in
//! Node.js, sloppy mode included.

mod detect;
mod facade;
mod required_names;
mod scan;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use url::Url;

pub(super) use self::detect::{Syntax, calls_require, may_be_commonjs, syntax};
pub(super) use self::facade::{Facade, Interop, is_require_url, require_code, require_url};
pub(super) use self::required_names::{RequiredNames, required_names};
pub(super) use self::scan::{Scan, scan};
use super::error::ModuleError;

/// A CommonJS module that was read.
pub(crate) struct CommonJs {
    /// The code of its function.
    pub(crate) code: Arc<str>,
    /// The original source, if the code differs from it.
    pub(crate) original: Option<Arc<str>>,
    /// The source map of a transpiled module.
    pub(crate) source_map: Option<Arc<[u8]>>,
    pub(super) scan: Scan,
    /// The modules that its literal `require` calls name, except unresolvable ones.
    pub(super) requires: OnceLock<BTreeMap<String, Required>>,
    /// The names that it exports, including those of other modules.
    pub(super) names: OnceLock<BTreeSet<String>>,
}

impl CommonJs {
    pub(super) fn new(code: Arc<str>, original: Option<Arc<str>>, source_map: Option<Arc<[u8]>>, scan: Scan) -> Self {
        Self {
            code,
            original,
            source_map,
            scan,
            requires: OnceLock::new(),
            names: OnceLock::new(),
        }
    }
}

/// The module that a `require` call names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Required {
    CommonJs(Url),
    Json(Url),
    /// An ES module.
    Module(Url),
    /// A module whose default export is the value: text, bytes, WebAssembly, and the runtime's own modules.
    Value(Url),
    /// A built-in module, by its specifier.
    Builtin(&'static str),
}

/// The modules that a script version has required so far. They stay in memory, because every worker compiles them when it
/// calls `require`.
pub(super) struct Registry {
    bytes_max: usize,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    bytes: usize,
    modules: HashMap<Url, Arc<CommonJs>>,
    json: HashMap<Url, Arc<str>>,
    /// ES modules that call `require`.
    requirers: HashMap<Url, Arc<CommonJs>>,
    /// Files that are not CommonJS.
    others: HashSet<Url>,
    /// The names that modules expect of their imports.
    required_names: HashMap<Url, Arc<RequiredNames>>,
}

impl Registry {
    pub(super) fn new(bytes_max: usize) -> Self {
        Self {
            bytes_max,
            inner: Mutex::default(),
        }
    }

    fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The module at a URL; `Some(None)` if it is known to be another kind of module.
    pub(super) fn get(&self, url: &Url) -> Option<Option<Arc<CommonJs>>> {
        self.with(|inner| match inner.modules.get(url) {
            Some(module) => Some(Some(Arc::clone(module))),
            None => inner.others.contains(url).then_some(None),
        })
    }

    pub(super) fn insert(&self, url: &Url, module: CommonJs) -> Result<Arc<CommonJs>, ModuleError> {
        let bytes = module.code.len()
            + module.original.as_ref().map_or(0, |text| text.len())
            + module.source_map.as_ref().map_or(0, |map| map.len());
        self.with(|inner| {
            if let Some(first) = inner.modules.get(url) {
                return Ok(Arc::clone(first));
            }
            self.reserve(inner, bytes)?;
            let module = Arc::new(module);
            inner.modules.insert(url.clone(), Arc::clone(&module));
            Ok(module)
        })
    }

    /// Records that a file is no CommonJS module.
    pub(super) fn insert_other(&self, url: &Url) {
        self.with(|inner| inner.others.insert(url.clone()));
    }

    /// The ES module at a URL that calls `require`.
    pub(super) fn requirer(&self, url: &Url) -> Option<Arc<CommonJs>> {
        self.with(|inner| inner.requirers.get(url).cloned())
    }

    pub(super) fn insert_requirer(&self, url: &Url, module: CommonJs) {
        self.with(|inner| inner.requirers.insert(url.clone(), Arc::new(module)));
    }

    pub(super) fn json(&self, url: &Url) -> Option<Arc<str>> {
        self.with(|inner| inner.json.get(url).cloned())
    }

    pub(super) fn insert_json(&self, url: &Url, text: Arc<str>) -> Result<Arc<str>, ModuleError> {
        self.with(|inner| {
            if let Some(first) = inner.json.get(url) {
                return Ok(Arc::clone(first));
            }
            self.reserve(inner, text.len())?;
            inner.json.insert(url.clone(), Arc::clone(&text));
            Ok(text)
        })
    }

    /// The names that the module at a URL expects of its imports.
    pub(super) fn required_names(
        &self,
        url: &Url,
        find: impl FnOnce() -> Result<RequiredNames, ModuleError>,
    ) -> Result<Arc<RequiredNames>, ModuleError> {
        if let Some(known) = self.with(|inner| inner.required_names.get(url).cloned()) {
            return Ok(known);
        }
        // Outside of the lock: it parses the module.
        let found = Arc::new(find()?);
        Ok(self.with(|inner| Arc::clone(inner.required_names.entry(url.clone()).or_insert(found))))
    }

    fn reserve(&self, inner: &mut Inner, bytes: usize) -> Result<(), ModuleError> {
        if inner.bytes.saturating_add(bytes) > self.bytes_max {
            return Err(ModuleError::TooMuchCommonJs { limit: self.bytes_max });
        }
        inner.bytes += bytes;
        Ok(())
    }
}

/// The URL of a module's file: without the query and fragment, which CommonJS modules do not have.
pub(crate) fn file_of(url: &Url) -> Url {
    let mut file = url.clone();
    file.set_query(None);
    file.set_fragment(None);
    file
}

/// `__filename` of a module.
pub(crate) fn filename(file: &Url) -> String {
    match file.to_file_path() {
        Ok(path) if file.scheme() == "file" => path.display().to_string(),
        _ => file.path().to_owned(),
    }
}
