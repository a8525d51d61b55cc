//! `require`: gives the CommonJS modules of a script to the JavaScript side, with their code cache.

use std::sync::Arc;

use deno_core::url::Url;
use deno_core::{JsRuntime, v8};
use deno_error::JsErrorBox;
use isopod_ext::commonjs::{CommonJsSource, RequireHost, Required as Found};

use super::{CodeCache, SPECIFIER_BYTES_MAX, ScriptLoader, to_js};
use crate::modules::{Required, filename};
use crate::platform::js_stack_left;

/// Stack for compiling a module. V8 throws a `RangeError` when its parser needs more; this leaves room for throwing it.
const COMPILING_BYTES: usize = if cfg!(debug_assertions) { 256 << 10 } else { 96 << 10 };

/// A function that was compiled without cached code.
pub(super) struct NewFunction {
    url: String,
    hash: u64,
    function: v8::Global<v8::Function>,
}

impl ScriptLoader {
    /// Caches the compiled code of the CommonJS modules that ran while the worker started, including the functions in
    /// them that were called. Code of modules that run later is cached as soon as it is compiled.
    pub(crate) fn keep_functions(&self, runtime: &mut JsRuntime) {
        let Some(functions) = self.functions.take() else { return };
        if functions.is_empty() {
            return;
        }
        deno_core::scope!(scope, runtime);
        for NewFunction { url, hash, function } in functions {
            if let Some(code) = v8::Local::new(scope, function).create_code_cache() {
                self.script.code_cache.put(&url, hash, &code);
            }
        }
    }
}

impl RequireHost for ScriptLoader {
    fn find(&self, specifier: &str, from: &str) -> Result<Found, JsErrorBox> {
        if specifier.len() > SPECIFIER_BYTES_MAX {
            let length = specifier.len();
            let message = format!("a module specifier of {length} bytes is too long");
            return Err(JsErrorBox::type_error(message));
        }
        let from = url(from)?;
        Ok(match self.script.loader.required(specifier, &from) {
            Ok(Required::CommonJs(url)) => Found::CommonJs {
                filename: filename(&url),
                url: url.into(),
            },
            Ok(Required::Json(url)) => Found::Json {
                filename: filename(&url),
                url: url.into(),
            },
            Ok(Required::Module(url)) => Found::Module(url.into()),
            Ok(Required::Value(url)) => Found::Value(url.into()),
            Ok(Required::Builtin(name)) => Found::Value(name.to_owned()),
            Err(error) => {
                let code = error.code_of_require();
                let message = match code {
                    // Packages look for these words.
                    Some("MODULE_NOT_FOUND") => format!("Cannot find module '{specifier}': {error}"),
                    _ => error.to_string(),
                };
                Found::Missing { code, message }
            }
        })
    }

    fn source(&self, name: &str) -> Result<CommonJsSource, JsErrorBox> {
        let url = url(name)?;
        let module = self.script.loader.commonjs(&url).map_err(to_js)?;
        let module = module.ok_or_else(|| JsErrorBox::type_error(format!("{name} is not a CommonJS module")))?;
        let text = module.original.as_ref().unwrap_or(&module.code).clone();
        self.originals.borrow_mut().insert(name.to_owned(), text);
        let hash = CodeCache::hash(module.code.as_bytes());
        Ok(CommonJsSource {
            code: Arc::clone(&module.code),
            compiled: self.script.code_cache.get(&cache_key(name), hash),
        })
    }

    fn has_stack(&self) -> bool {
        js_stack_left().is_none_or(|left| left > COMPILING_BYTES)
    }

    fn compiled(&self, name: &str, scope: &v8::PinScope<'_, '_>, function: v8::Local<'_, v8::Function>) {
        let module = url(name).ok().and_then(|url| self.script.loader.commonjs(&url).ok()?);
        let Some(module) = module else { return };
        let (url, hash) = (cache_key(name), CodeCache::hash(module.code.as_bytes()));
        match &mut *self.functions.borrow_mut() {
            Some(functions) => functions.push(NewFunction {
                url,
                hash,
                function: v8::Global::new(scope, function),
            }),
            None => {
                if let Some(code) = function.create_code_cache() {
                    self.script.code_cache.put(&url, hash, &code);
                }
            }
        }
    }

    fn json(&self, name: &str) -> Result<Arc<str>, JsErrorBox> {
        self.script.loader.required_json(&url(name)?).map_err(to_js)
    }
}

fn url(name: &str) -> Result<Url, JsErrorBox> {
    Url::parse(name).map_err(|error| JsErrorBox::type_error(format!("{name} is not a module's URL: {error}")))
}

/// Compiled functions are not compiled modules: the facade of the main module has the URL of its file.
fn cache_key(name: &str) -> String {
    format!("commonjs:{name}")
}
