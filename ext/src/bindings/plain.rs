//! Bindings without ops: strings, values, and values created by an extension's script.

use std::fmt;

use deno_core::OpState;
use serde_json::Value;

use super::{Binding, EnvValue, NewWorker, WrittenBinding};

/// A string.
#[derive(Debug, Clone)]
pub struct Text(pub String);

impl Binding for Text {
    fn kind(&self) -> &'static str {
        "text"
    }

    fn install(&self, _name: &str, _worker: &NewWorker<'_>, _state: &mut OpState) -> EnvValue<'_> {
        EnvValue::text(&self.0)
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Text(self.0.clone()))
    }
}

/// A JSON value, created for each worker.
#[derive(Debug, Clone)]
pub struct Json(pub Value);

impl Binding for Json {
    fn kind(&self) -> &'static str {
        "JSON"
    }

    fn install(&self, _name: &str, _worker: &NewWorker<'_>, _state: &mut OpState) -> EnvValue<'_> {
        EnvValue::json(&self.0)
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Json(self.0.to_string()))
    }
}

/// A string that never appears in logs or errors.
#[derive(Clone)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

impl Binding for Secret {
    fn kind(&self) -> &'static str {
        "secret"
    }

    fn install(&self, _name: &str, _worker: &NewWorker<'_>, _state: &mut OpState) -> EnvValue<'_> {
        EnvValue::text(&self.0)
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Secret(self.0.clone()))
    }
}

/// A value created by an extension's script from options. A binding whose ops need a value in Rust implements
/// [`Binding`] instead.
///
/// ```
/// use isopod_ext::bindings::Custom;
/// use serde_json::json;
///
/// let stock = Custom::new("ext:stock/stock.js", json!({ "shop": "harbour" }));
/// ```
#[derive(Clone)]
pub struct Custom {
    script: String,
    options: Value,
}

impl Custom {
    /// Creates a binding whose value is the result of `make(name, options)` of a lazily loaded script.
    pub fn new(script: impl Into<String>, options: Value) -> Self {
        Self {
            script: script.into(),
            options,
        }
    }
}

impl fmt::Debug for Custom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Options may contain secrets.
        f.debug_tuple("Custom").field(&self.script).finish()
    }
}

impl Binding for Custom {
    fn kind(&self) -> &'static str {
        "custom"
    }

    fn install(&self, _name: &str, _worker: &NewWorker<'_>, _state: &mut OpState) -> EnvValue<'_> {
        EnvValue::made(&self.script, &self.options)
    }

    fn written(&self) -> Option<WrittenBinding> {
        Some(WrittenBinding::Custom {
            script: self.script.clone(),
            options: self.options.to_string(),
        })
    }
}
