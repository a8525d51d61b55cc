//! Modules that are not JavaScript, as JavaScript: for imports without an attribute, which V8 takes for ES modules.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::kind::ModuleKind;
use super::loader::{Module, ModuleCode};

impl Module {
    /// An ES module whose default export is this module's value, as in Workers: JSON's value, a string, an
    /// `ArrayBuffer`, a `WebAssembly.Module`. JavaScript is given back as it is.
    #[must_use]
    pub fn to_es_module(&self) -> Arc<str> {
        match (&self.code, self.kind) {
            (ModuleCode::Text(code), ModuleKind::JavaScript) => Arc::clone(code),
            // Not as an expression: `__proto__` means something else there, and `JSON.parse` is faster.
            (ModuleCode::Text(json), ModuleKind::Json) => {
                format!("export default JSON.parse({});\n", quoted(json)).into()
            }
            (ModuleCode::Text(text), _) => format!("export default {};\n", quoted(text)).into(),
            (ModuleCode::Bytes(bytes), ModuleKind::Wasm) => {
                format!("export default new WebAssembly.Module({});\n", decoded(bytes)).into()
            }
            (ModuleCode::Bytes(bytes), _) => format!("export default {}.buffer;\n", decoded(bytes)).into(),
        }
    }
}

/// A JSON string is a JavaScript string, since ES2019 without exception.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn decoded(bytes: &[u8]) -> String {
    format!("Uint8Array.fromBase64(\"{}\")", STANDARD.encode(bytes))
}
