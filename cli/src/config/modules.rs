//! The sections about modules: `modules` and `jsx`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::text::Size;

const MIB: u64 = 1 << 20;

/// Modules of scripts: files other than code that they may import, and limits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Modules {
    /// Additional file extensions for imports of text, bytes and JSON.
    pub data_extensions: Vec<String>,
    /// Allow `import()` of text and bytes with a computed name.
    pub computed_data: bool,
    /// Allow imports of JSON, text and bytes from files with several hard links outside `node_modules`.
    pub hard_links: bool,
    /// Maximum size of a module, of a source map, and of code in a string (`eval`, `new Function`).
    #[serde(with = "Size")]
    pub module_bytes_max: u64,
    /// Maximum memory, as estimated, that V8's compiler takes for a module or for code in a string. Nothing stops it in between.
    #[serde(with = "Size")]
    pub compiler_bytes_max: u64,
    /// Maximum size of a module in TypeScript or JSX, which takes more time and memory to compile than to run.
    #[serde(with = "Size")]
    pub transpiled_bytes_max: u64,
    /// Maximum number of modules of a script.
    #[schemars(range(min = 1))]
    pub modules_max: usize,
    /// Maximum size of all CommonJS modules of a script, which stay in memory.
    #[serde(with = "Size")]
    pub commonjs_bytes_max: u64,
}

impl Default for Modules {
    fn default() -> Self {
        Self {
            data_extensions: Vec::new(),
            computed_data: false,
            hard_links: false,
            module_bytes_max: 16 * MIB,
            compiler_bytes_max: 1024 * MIB,
            transpiled_bytes_max: 4 * MIB,
            modules_max: 10_000,
            commonjs_bytes_max: 64 * MIB,
        }
    }
}

/// JSX in .jsx and .tsx files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Jsx {
    /// The package whose `jsx-runtime` is imported.
    pub import_source: String,
}

impl Default for Jsx {
    fn default() -> Self {
        Self {
            import_source: "react".to_owned(),
        }
    }
}
