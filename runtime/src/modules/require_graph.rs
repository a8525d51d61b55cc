//! The graph of a CommonJS module: reads everything that literal `require` calls name, before any of it runs.
//!
//! It goes from module to module in a loop, never by recursion, so that no graph is too deep for it.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use oxc::span::SourceType;
use url::Url;

use super::builtin::builtin;
use super::commonjs::{
    CommonJs, Facade, Interop, Required, RequiredNames, Syntax, calls_require, file_of, filename, is_require_url,
    may_be_commonjs, require_code, require_url, required_names, scan, syntax,
};
use super::disk::Edge;
use super::error::{Importer, ModuleError, display_url};
use super::helpers;
use super::kind::{Dialect, Format, RequestedType, Treatment, treatment};
use super::loader::{Loader, Module, ModuleCode, utf8};
use super::node_builtins::is_node;
use super::specifier::{Specifier, package_of};

impl Loader {
    /// Resolves an import as [`Loader::resolve`] does. The URL of a CommonJS module is that of a facade for this
    /// importer. `code` is the importer's JavaScript.
    pub(crate) fn resolve_import(
        &self,
        specifier: &str,
        referrer: &Url,
        code: impl FnOnce() -> Option<Arc<str>>,
    ) -> Result<Url, ModuleError> {
        let mut url = self.resolve(specifier, referrer)?;
        let file = file_of(&url);
        let module = match self.commonjs(&file) {
            Ok(Some(module)) => module,
            Err(error) if error.is_limit() => return Err(error),
            // Errors are reported when it is loaded.
            Ok(None) | Err(_) => return Ok(url),
        };
        self.read_graph(&file, Arc::clone(&module))?;
        let required_names = self.registry.required_names(referrer, || {
            let Some(code) = code() else {
                return Ok(RequiredNames::new());
            };
            let source = Arc::clone(&code);
            let found = self
                .parsers
                .run_or_leave_to_v8(referrer, &code, SourceType::mjs(), move || required_names(&source))?;
            Ok(found.unwrap_or_default())
        })?;
        let known = self.exported_names(&module);
        let names = required_names.get(specifier).into_iter().flatten();
        let facade = Facade {
            interop: self.interop(referrer),
            names: names.filter(|name| !known.contains(*name)).cloned().collect(),
        };
        url.set_fragment(Some(&facade.fragment()));
        Ok(url)
    }

    /// Returns true for the URL of a facade, or of a module with a `require` function. Their imports are URLs that were
    /// resolved already.
    pub(crate) fn is_facade(&self, url: &Url) -> bool {
        let file = file_of(url);
        Facade::parse(url).is_some() && matches!(self.registry.get(&file), Some(Some(_)))
            || is_require_url(url) && self.registry.requirer(&file).is_some()
    }

    /// Gives an ES module of the script's own that calls `require`, as bundlers allow, that function: by an import, which is added
    /// below its code. Imports are hoisted, so no position changes.
    pub(super) fn with_require(&self, url: &Url, module: Module) -> Result<Module, ModuleError> {
        let ModuleCode::Text(code) = &module.code else {
            return Ok(module);
        };
        if package_of(url.path()).is_some() || !code.contains("require(") {
            return Ok(module);
        }
        let source = Arc::clone(code);
        let find = move || calls_require(&source).then(|| scan(&source, SourceType::mjs()));
        let Some(found) = self
            .parsers
            .run_or_leave_to_v8(url, code, SourceType::mjs(), find)?
            .flatten()
        else {
            return Ok(module);
        };
        let file = file_of(url);
        let bound = format!("{code}\nimport require from {:?};\n", require_url(&file).as_str());
        self.registry
            .insert_requirer(&file, CommonJs::new("".into(), None, None, found));
        Ok(Module {
            code: ModuleCode::Text(bound.into()),
            original: module.original.or_else(|| Some(Arc::clone(code))),
            ..module
        })
    }

    /// The module that gives an ES module its `require` function.
    pub(super) fn require_function(&self, url: &Url) -> Result<Option<Module>, ModuleError> {
        let file = file_of(url);
        let Some(module) = self.registry.requirer(&file).filter(|_| is_require_url(url)) else {
            return Ok(None);
        };
        let imports = self.read_graph(&file, module)?;
        Ok(Some(Module::javascript(require_code(&file, &imports).into())))
    }

    /// The rule for the default export in a module that imports CommonJS: that of Node.js for what Node.js treats as ES
    /// modules.
    fn interop(&self, importer: &Url) -> Interop {
        let format = match treatment(importer, RequestedType::Unspecified, true) {
            Treatment::JavaScript(format) | Treatment::Transpile(_, format) => format,
            _ => Format::Unmarked,
        };
        match format {
            Format::Module => Interop::Node,
            Format::Unmarked if self.sources.is_in_module_package(importer) => Interop::Node,
            Format::Unmarked | Format::CommonJs => Interop::Compiled,
        }
    }

    /// The facade at a URL, whose module is `module`.
    pub(super) fn facade(&self, url: &Url, module: &Arc<CommonJs>) -> Result<Module, ModuleError> {
        let file = file_of(url);
        let facade = Facade::parse(url).unwrap_or(Facade {
            interop: self.interop(&file),
            names: BTreeSet::new(),
        });
        let imports = self.read_graph(&file, Arc::clone(module))?;
        let names = self.exported_names(module);
        let code = facade.code((&filename(&file), &file), names, &imports, self.is_entry(&file));
        Ok(Module::javascript(code.into()))
    }

    /// Reads everything that a module requires, directly or not. Returns the URLs of the modules in it that are not
    /// CommonJS.
    fn read_graph(&self, start: &Url, module: Arc<CommonJs>) -> Result<BTreeSet<String>, ModuleError> {
        self.visit_graph(start, module, |_| {})
    }

    /// As `read_graph`, and calls `visit` with each CommonJS module.
    pub(crate) fn visit_graph(
        &self,
        start: &Url,
        module: Arc<CommonJs>,
        mut visit: impl FnMut(&CommonJs),
    ) -> Result<BTreeSet<String>, ModuleError> {
        let mut imports = BTreeSet::new();
        let mut seen = HashSet::from([start.clone()]);
        let mut next = vec![(start.clone(), module)];
        while let Some((url, module)) = next.pop() {
            visit(&module);
            for required in self.requires(&url, &module)?.values() {
                match required {
                    Required::CommonJs(url) if seen.insert(url.clone()) => {
                        next.extend(self.commonjs(url)?.map(|module| (url.clone(), module)));
                    }
                    Required::CommonJs(_) => {}
                    Required::Json(url) => {
                        // Other errors are thrown where it is required.
                        self.required_json(url).map(drop).or_else(unless_limit)?;
                    }
                    Required::Module(url) | Required::Value(url) => drop(imports.insert(url.to_string())),
                    Required::Builtin(name) => drop(imports.insert((*name).to_owned())),
                }
            }
        }
        Ok(imports)
    }

    /// The modules that a module's literal `require` calls name.
    fn requires<'m>(&self, url: &Url, module: &'m CommonJs) -> Result<&'m BTreeMap<String, Required>, ModuleError> {
        if let Some(known) = module.requires.get() {
            return Ok(known);
        }
        let mut requires = BTreeMap::new();
        for specifier in &module.scan.requires {
            match self.resolve_required(specifier, url) {
                Ok(required) => drop(requires.insert(specifier.clone(), required)),
                // Packages require optional modules, and catch the error.
                Err(error) => unless_limit(error)?,
            }
        }
        Ok(module.requires.get_or_init(|| requires))
    }

    /// The names that a module exports, including those of modules that it exports as a whole. Its graph was read.
    fn exported_names<'m>(&self, module: &'m CommonJs) -> &'m BTreeSet<String> {
        if let Some(known) = module.names.get() {
            return known;
        }
        let mut names = module.scan.names.clone();
        let mut seen = HashSet::new();
        let mut next = reexported(module);
        while let Some(url) = next.pop() {
            if let (true, Some(Some(module))) = (seen.insert(url.clone()), self.registry.get(&url)) {
                names.extend(module.scan.names.iter().cloned());
                next.extend(reexported(&module));
            }
        }
        module.names.get_or_init(|| names)
    }

    /// The module that `require(specifier)` names in the module at `from`.
    pub(crate) fn required(&self, specifier: &str, from: &Url) -> Result<Required, ModuleError> {
        let from = file_of(from);
        let module = self.registry.get(&from).flatten();
        if let Some(module) = module.or_else(|| self.registry.requirer(&from))
            && let Some(known) = module.requires.get().and_then(|requires| requires.get(specifier))
        {
            return Ok(known.clone());
        }
        self.resolve_required(specifier, &from)
    }

    fn resolve_required(&self, specifier: &str, from: &Url) -> Result<Required, ModuleError> {
        let importer = Importer::new(from);
        let written = escaped(specifier);
        let (aliased, base) = self.aliases.apply(&written, from);
        let meant = self.meant(&aliased, base)?;
        let name = match &meant {
            Specifier::Url(url) => builtin(url.as_str()),
            Specifier::Bare(_) => None,
        };
        if let Some(name) = name {
            return Ok(Required::Builtin(name));
        }
        let url = self.locate(meant, specifier, base, importer.clone(), Edge::Require)?;
        if url.scheme() == helpers::SCHEME || is_node(&url) {
            return Ok(Required::Value(url));
        }
        let file = file_of(&url);
        match self.treatment(&file, RequestedType::Unspecified) {
            Treatment::Unknown => Err(ModuleError::UnknownKind {
                file: display_url(&file),
                importer,
            }),
            Treatment::Json => Ok(Required::Json(file)),
            Treatment::Text | Treatment::Bytes | Treatment::Wasm => {
                // Without this, its facade could not be loaded.
                self.sources.read(&file, RequestedType::Unspecified, &importer)?;
                Ok(Required::Value(url))
            }
            Treatment::JavaScript(_) | Treatment::Transpile(..) => match self.commonjs(&file)? {
                Some(_) => Ok(Required::CommonJs(file)),
                None => Ok(Required::Module(url)),
            },
        }
    }

    /// The CommonJS module at a file's URL, or `None` if it is another kind of module.
    pub(crate) fn commonjs(&self, file: &Url) -> Result<Option<Arc<CommonJs>>, ModuleError> {
        if let Some(known) = self.registry.get(file) {
            return Ok(known);
        }
        let (dialect, format) = match self.treatment(file, RequestedType::Unspecified) {
            Treatment::JavaScript(format) => (None, format),
            Treatment::Transpile(dialect, format) => (Some(dialect), format),
            _ => return Ok(None),
        };
        if format == Format::Module || file.scheme() == helpers::SCHEME {
            return Ok(None);
        }
        let bytes = self
            .sources
            .read(file, RequestedType::Unspecified, &Importer::default())?;
        let text = utf8(file, &bytes)?;
        match dialect {
            Some(dialect) => self.refuse_large(file, &text, dialect)?,
            None => self.refuse_heavy(file, &text)?,
        }
        if self.syntax_of(file, &text, dialect, format)? == Syntax::Module {
            self.registry.insert_other(file);
            return Ok(None);
        }
        self.count(file)?;
        let (code, original, source_map) = match dialect {
            Some(dialect) => {
                let transpiled = self.transpile(file, &text, dialect, Format::CommonJs)?;
                self.refuse_heavy(file, &transpiled.code)?;
                self.source_maps
                    .add_transpiled(file, Arc::clone(&transpiled.source_map), Arc::clone(&text));
                (transpiled.code, Some(text), Some(transpiled.source_map))
            }
            None => {
                let replaced = self.replace_defines(file, &text, SourceType::cjs())?;
                let original = replaced.is_some().then(|| Arc::clone(&text));
                let code = replaced.unwrap_or(text);
                self.source_maps.add_javascript(file, &code);
                (code, original, None)
            }
        };
        let source = Arc::clone(&code);
        let found = self
            .parsers
            .run(&code, SourceType::cjs(), move || scan(&source, SourceType::cjs()))
            .map_err(|unparsed| unparsed.of(file, &code))?;
        let module = CommonJs::new(code, original, source_map, found);
        self.registry.insert(file, module).map(Some)
    }

    fn syntax_of(
        &self,
        file: &Url,
        text: &Arc<str>,
        dialect: Option<Dialect>,
        format: Format,
    ) -> Result<Syntax, ModuleError> {
        let source_type = dialect.map_or_else(SourceType::mjs, Dialect::source_type);
        let is_packaged = match (format, dialect) {
            // The name decides.
            (Format::CommonJs, None) => return Ok(Syntax::CommonJs),
            // TypeScript allows `import` and `export` in such files, and so do bundlers.
            (Format::CommonJs, Some(_)) => true,
            _ => package_of(file.path()).is_some() && !self.sources.is_in_module_package(file),
        };
        let has_keyword = text.contains("import") || text.contains("export");
        if !may_be_commonjs(text) && (has_keyword && format != Format::CommonJs || !is_packaged) {
            return Ok(Syntax::Module);
        }
        let source = Arc::clone(text);
        let found = self.parsers.run_or_leave_to_v8(file, text, source_type, move || {
            syntax(&source, source_type, is_packaged)
        })?;
        Ok(found.unwrap_or(Syntax::Module))
    }

    /// The text of a required JSON file.
    pub(crate) fn required_json(&self, file: &Url) -> Result<Arc<str>, ModuleError> {
        if let Some(known) = self.registry.json(file) {
            return Ok(known);
        }
        self.count(file)?;
        let bytes = self
            .sources
            .read(file, RequestedType::Unspecified, &Importer::default())?;
        let text = utf8(file, &bytes)?;
        self.check_json(file, &text)?;
        self.registry.insert_json(file, text)
    }
}

/// The modules whose exports a module exports as a whole.
fn reexported(module: &CommonJs) -> Vec<Url> {
    let requires = module.requires.get();
    let found = module
        .scan
        .reexports
        .iter()
        .filter_map(|specifier| match requires?.get(specifier)? {
            Required::CommonJs(url) => Some(url.clone()),
            _ => None,
        });
    found.collect()
}

fn unless_limit(error: ModuleError) -> Result<(), ModuleError> {
    if error.is_limit() { Err(error) } else { Ok(()) }
}

/// Paths are not URLs: characters with a meaning in URLs are escaped.
fn escaped(specifier: &str) -> String {
    if specifier.starts_with('.') || specifier.starts_with('/') {
        specifier.replace('%', "%25").replace('#', "%23").replace('?', "%3F")
    } else {
        specifier.to_owned()
    }
}
