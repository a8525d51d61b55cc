//! Compiles the code of modules to JavaScript, on threads of `parsers`: TypeScript and JSX, and constants.

use std::sync::{Arc, Mutex, PoisonError};

use oxc::span::SourceType;
use url::Url;

use super::error::{ModuleError, display_url};
use super::kind::{Dialect, Format, ModuleKind};
use super::loader::{Loader, Module, ModuleCode};
use super::transpile::transpile;
use super::transpile_cache::{TranspileCache, Transpiled};
use super::tsconfig::{self, Settings};

impl Loader {
    /// JavaScript with its constants replaced; `None` if it contains none.
    pub(super) fn replace_defines(
        &self,
        url: &Url,
        text: &Arc<str>,
        source_type: SourceType,
    ) -> Result<Option<Arc<str>>, ModuleError> {
        if !self.defines.may_be_in(text) {
            return Ok(None);
        }
        let (file, source, defines) = (url.clone(), Arc::clone(text), Arc::clone(&self.defines));
        let replace = move || defines.replace(&file, &source, source_type);
        let replaced = self.parsers.run_or_leave_to_v8(url, text, source_type, replace)?;
        let replaced: Option<Arc<str>> = replaced.transpose()?.flatten().map(Arc::from);
        if let Some(code) = &replaced {
            self.refuse_heavy(url, code)?;
        }
        Ok(replaced)
    }

    /// The module of TypeScript or JSX.
    pub(super) fn transpiled(&self, url: &Url, source: Arc<str>, dialect: Dialect) -> Result<Module, ModuleError> {
        self.refuse_large(url, &source, dialect)?;
        let key = (url.clone(), self.settings(url)?);
        let known = |cache: &Mutex<TranspileCache>, key: &_, source: &str| {
            let mut cache = cache.lock().unwrap_or_else(PoisonError::into_inner);
            cache.get(key, source)
        };
        let cached = known(&self.transpiled, &key, &source);
        let Transpiled {
            original,
            code,
            source_map,
        } = match cached {
            Some(transpiled) => transpiled,
            None => {
                let (cache, code, defines) = (
                    Arc::clone(&self.transpiled),
                    Arc::clone(&source),
                    Arc::clone(&self.defines),
                );
                let work = move || {
                    // By now, a parser that was left alone may have been waited for.
                    if let Some(transpiled) = known(&cache, &key, &code) {
                        return Ok::<_, ModuleError>(transpiled);
                    }
                    // Outside of the lock: two threads may do the same work once, but none waits for another's.
                    let transpiled = transpile(&key.0, &code, (dialect, Format::Module), &key.1, &defines)?;
                    cache
                        .lock()
                        .unwrap_or_else(PoisonError::into_inner)
                        .insert(key, transpiled.clone());
                    Ok(transpiled)
                };
                self.parsers
                    .run(&source, dialect.source_type(), work)
                    .map_err(|unparsed| unparsed.of(url, &source))??
            }
        };
        self.refuse_heavy(url, &code)?;
        self.source_maps
            .add_transpiled(url, Arc::clone(&source_map), Arc::clone(&original));
        Ok(Module {
            kind: ModuleKind::JavaScript,
            code: ModuleCode::Text(code),
            source_map: Some(source_map),
            original: Some(original),
        })
    }

    fn settings(&self, url: &Url) -> Result<Settings, ModuleError> {
        match &self.sources.disk {
            Some(disk) if url.scheme() == "file" => disk.settings(url, &self.jsx),
            _ => Ok(tsconfig::settings(&self.jsx, None)),
        }
    }

    /// Compiles TypeScript or JSX to JavaScript of the same format. Not cached.
    pub(super) fn transpile(
        &self,
        url: &Url,
        source: &Arc<str>,
        dialect: Dialect,
        format: Format,
    ) -> Result<Transpiled, ModuleError> {
        let (file, code, defines) = (url.clone(), Arc::clone(source), Arc::clone(&self.defines));
        let settings = self.settings(url)?;
        let work = move || transpile(&file, &code, (dialect, format), &settings, &defines);
        self.parsers
            .run(source, dialect.source_type(), work)
            .map_err(|unparsed| unparsed.of(url, source))?
    }

    /// Rejects TypeScript and JSX that exceed the limit on what is compiled.
    pub(super) fn refuse_large(&self, url: &Url, source: &str, dialect: Dialect) -> Result<(), ModuleError> {
        let (bytes, limit) = (source.len() as u64, self.limits.transpiled_bytes_max);
        if bytes <= limit {
            return Ok(());
        }
        Err(ModuleError::TooLargeToTranspile {
            file: display_url(url),
            language: dialect.name(),
            bytes,
            limit,
        })
    }
}
