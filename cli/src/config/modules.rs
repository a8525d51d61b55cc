//! The sections about modules: `modules` and `jsx`.

use std::collections::BTreeMap;
use std::path::Path;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use url::Url;

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
    /// Types of modules by their paths, before their extensions. The first rule that matches counts.
    pub rules: Vec<ModuleRule>,
    /// Substitutes for modules: `{ lodash = "lodash-es", "old/db" = "./src/db.ts" }`. A name also stands for the modules below it. Paths
    /// are relative to this file's folder.
    pub alias: BTreeMap<String, String>,
    /// Constants that replace global names in code: `{ VERSION = '"1.2"', "process.env.MODE" = '"fast"' }`. A value is JSON or another
    /// name.
    pub define: BTreeMap<String, String>,
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
            rules: Vec::new(),
            alias: BTreeMap::new(),
            define: BTreeMap::new(),
            module_bytes_max: 16 * MIB,
            compiler_bytes_max: 1024 * MIB,
            transpiled_bytes_max: 4 * MIB,
            modules_max: 10_000,
            commonjs_bytes_max: 64 * MIB,
        }
    }
}

impl Modules {
    /// Resolves paths relative to this folder.
    pub(super) fn in_folder(mut self, folder: &Path) -> Self {
        for substitute in self.alias.values_mut() {
            if ["./", "../", "/"].iter().any(|start| substitute.starts_with(start))
                && let Ok(url) = Url::from_file_path(folder.join(&substitute))
            {
                *substitute = url.into();
            }
        }
        self
    }
}

/// A type for modules with certain paths. It does not apply to `main`, nor to imports with a `type`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ModuleRule {
    /// The type.
    #[serde(rename = "type")]
    pub kind: ModuleType,
    /// Patterns of paths relative to `root`, such as `**/*.svg`.
    #[schemars(length(min = 1))]
    pub globs: Vec<String>,
}

/// A type of modules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ModuleType {
    /// Text; the default export is a string.
    Text,
    /// Bytes; the default export is an `ArrayBuffer`.
    Bytes,
    /// The default export is a `WebAssembly.Module`.
    Wasm,
    /// The default export is the JSON's value.
    Json,
    /// Code without an extension of code.
    #[serde(rename = "javascript")]
    JavaScript,
}

/// JSX in .jsx and .tsx files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Jsx {
    /// The package whose `jsx-runtime` is imported.
    pub import_source: String,
    /// Function in scope that JSX calls, such as `h`, instead of importing any.
    pub factory: Option<String>,
    /// Fragment in scope, such as `Fragment`, where `factory` is set.
    pub fragment: Option<String>,
}

impl Default for Jsx {
    fn default() -> Self {
        Self {
            import_source: "react".to_owned(),
            factory: None,
            fragment: None,
        }
    }
}
