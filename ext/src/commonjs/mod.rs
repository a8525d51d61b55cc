//! `require`: runs CommonJS modules, which are compiled as functions and therefore keep the semantics of sloppy code.
//!
//! The runtime places a [`RequireHost`] in the worker's `OpState`. ES modules reach `load` in `commonjs.js` through the
//! facades that the runtime generates for CommonJS modules.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;

use deno_core::{OpState, ToV8, op2, v8};
use deno_error::JsErrorBox;

/// The parameters of a CommonJS module's function.
const PARAMETERS: [&str; 5] = ["exports", "require", "module", "__filename", "__dirname"];

/// The result of resolving a `require` call.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Required {
    /// A CommonJS module.
    CommonJs {
        /// Its URL.
        url: String,
        /// Its path.
        filename: String,
    },
    /// A JSON file.
    Json {
        /// Its URL.
        url: String,
        /// Its path.
        filename: String,
    },
    /// An ES module.
    Module(String),
    /// A module whose default export is the value: text, bytes, WebAssembly, a built-in module.
    Value(String),
    /// It cannot be resolved.
    Missing {
        /// The error's `code`.
        code: Option<&'static str>,
        /// The reason and the remedy.
        message: String,
    },
}

impl<'a> ToV8<'a> for Required {
    type Error = JsErrorBox;

    /// `[kind, url or message, filename or code]`
    fn to_v8<'i>(self, scope: &mut v8::PinScope<'a, 'i>) -> Result<v8::Local<'a, v8::Value>, JsErrorBox> {
        let (kind, first, second) = match self {
            Self::CommonJs { url, filename } => (0, url, Some(filename)),
            Self::Json { url, filename } => (1, url, Some(filename)),
            Self::Module(url) => (2, url, None),
            Self::Value(url) => (3, url, None),
            Self::Missing { code, message } => (4, message, code.map(str::to_owned)),
        };
        let kind = v8::Integer::new(scope, kind).into();
        let first = string(scope, &first)?.into();
        let second = match second {
            Some(text) => string(scope, &text)?.into(),
            None => v8::undefined(scope).into(),
        };
        Ok(v8::Array::new_with_elements(scope, &[kind, first, second]).into())
    }
}

/// The source of a CommonJS module.
#[derive(Clone)]
pub struct CommonJsSource {
    /// The code.
    pub code: Arc<str>,
    /// Compiled code, if any.
    pub compiled: Option<Arc<[u8]>>,
}

impl fmt::Debug for CommonJsSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommonJsSource({} bytes)", self.code.len())
    }
}

/// Finds and reads the modules that a script requires. It must only read what the script may import.
pub trait RequireHost {
    /// Resolves a specifier in the module at `from`, a URL.
    ///
    /// # Errors
    /// The URL is invalid.
    fn find(&self, specifier: &str, from: &str) -> Result<Required, JsErrorBox>;

    /// The source of the CommonJS module at a URL returned by [`RequireHost::find`].
    ///
    /// # Errors
    /// Not readable, or not CommonJS.
    fn source(&self, url: &str) -> Result<CommonJsSource, JsErrorBox>;

    /// Returns true if the stack has room for compiling a module.
    fn has_stack(&self) -> bool;

    /// Receives a function that was compiled without cached code.
    fn compiled(&self, url: &str, scope: &v8::PinScope<'_, '_>, function: v8::Local<'_, v8::Function>);

    /// The text of the JSON file at a URL returned by [`RequireHost::find`].
    ///
    /// # Errors
    /// Not readable, or not JSON.
    fn json(&self, url: &str) -> Result<Arc<str>, JsErrorBox>;
}

fn host(state: &RefCell<OpState>) -> Result<Rc<dyn RequireHost>, JsErrorBox> {
    let state = state.borrow();
    let host = state.try_borrow::<Rc<dyn RequireHost>>();
    host.cloned()
        .ok_or_else(|| JsErrorBox::generic("this worker has no CommonJS modules"))
}

fn string<'s>(scope: &v8::PinScope<'s, '_, ()>, text: &str) -> Result<v8::Local<'s, v8::String>, JsErrorBox> {
    v8::String::new(scope, text).ok_or_else(|| JsErrorBox::range_error("a string is too long for JavaScript"))
}

#[op2]
fn op_isopod_require_find(
    state: Rc<RefCell<OpState>>,
    #[string] specifier: &str,
    #[string] from: &str,
) -> Result<Required, JsErrorBox> {
    host(&state)?.find(specifier, from)
}

#[op2]
#[string]
fn op_isopod_require_json(state: Rc<RefCell<OpState>>, #[string] url: &str) -> Result<String, JsErrorBox> {
    Ok(host(&state)?.json(url)?.to_string())
}

/// Compiles a CommonJS module. Returns `undefined` with V8's exception pending if that fails.
#[op2(reentrant)]
fn op_isopod_require_compile<'s>(
    state: Rc<RefCell<OpState>>,
    scope: &mut v8::PinScope<'s, '_>,
    #[string] url: &str,
) -> Result<v8::Local<'s, v8::Value>, JsErrorBox> {
    let host = host(&state)?;
    if !host.has_stack() {
        // An error that is returned is created by JavaScript, which needs stack too.
        let message = string(scope, "Maximum call stack size exceeded")?;
        let error = v8::Exception::range_error(scope, message);
        scope.throw_exception(error);
        return Ok(v8::undefined(scope).into());
    }
    let source = host.source(url)?;
    let mut parameters = Vec::with_capacity(PARAMETERS.len());
    for name in PARAMETERS {
        parameters.push(string(scope, name)?);
    }
    let code = string(scope, &source.code)?;
    let name = string(scope, url)?.into();
    // `import()` in the function is resolved from this name.
    let origin = v8::ScriptOrigin::new(scope, name, 0, 0, false, -1, None, false, false, false, None);
    let (mut input, options) = match &source.compiled {
        Some(compiled) => {
            let compiled = v8::script_compiler::CachedData::new(compiled);
            let input = v8::script_compiler::Source::new_with_cached_data(code, Some(&origin), compiled);
            (input, v8::script_compiler::CompileOptions::ConsumeCodeCache)
        }
        None => (
            v8::script_compiler::Source::new(code, Some(&origin)),
            v8::script_compiler::CompileOptions::NoCompileOptions,
        ),
    };
    let reason = v8::script_compiler::NoCacheReason::NoReason;
    v8::tc_scope!(scope, scope);
    let compiled = v8::script_compiler::compile_function(scope, &mut input, &parameters, &[], options, reason);
    let Some(function) = compiled else {
        if scope.has_terminated() {
            return Ok(v8::undefined(scope).into());
        }
        if let Some(message) = scope.message() {
            let text = message.get(scope).to_rust_string_lossy(scope);
            let line = message.get_line_number(scope).unwrap_or_default();
            let column = message.get_start_column() + 1;
            if let Some(text) = text.strip_prefix("Uncaught SyntaxError: ") {
                // No call of the module is on its stack, which would show the place.
                return Err(JsErrorBox::new(
                    "SyntaxError",
                    format!("{text} ({url}:{line}:{column})"),
                ));
            }
        }
        scope.rethrow();
        return Ok(v8::undefined(scope).into());
    };
    if input.get_cached_data().is_none_or(v8::CachedData::rejected) {
        host.compiled(url, scope, function);
    }
    Ok(function.into())
}

deno_core::extension!(
    isopod_commonjs,
    deps = [deno_webidl, deno_web],
    ops = [op_isopod_require_find, op_isopod_require_json, op_isopod_require_compile],
    lazy_loaded_js = [dir "src/commonjs", "commonjs.js"],
    synthetic_esm = ["isopod-internal:commonjs" = "ext:isopod_commonjs/commonjs.js"],
);
