//! Converts modules that are not JavaScript to ES modules, for imports without an attribute.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::kind::ModuleKind;
use super::loader::{Module, ModuleCode};

impl Module {
    /// Returns an ES module whose default export is this module's value, as in Workers: JSON's value, a string, an
    /// `ArrayBuffer`, a `WebAssembly.Module`. JavaScript is returned unchanged.
    #[must_use]
    pub fn to_es_module(&self) -> Arc<str> {
        match (&self.code, self.kind) {
            (ModuleCode::Text(code), ModuleKind::JavaScript) => Arc::clone(code),
            // Not as an expression, where `__proto__` has another meaning; and `JSON.parse` is faster.
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

/// Since ES2019, every JSON string is a JavaScript string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn decoded(bytes: &[u8]) -> String {
    format!("Uint8Array.fromBase64(\"{}\")", STANDARD.encode(bytes))
}
