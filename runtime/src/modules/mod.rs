//! Modules: from a specifier in a script to code that V8 can compile.
//!
//! Free of V8 and Tokio. A [`Loader`] belongs to one version of one script, is shared by all threads that run it, and
//! has no global state. The files, in the order in which data flows through them: `specifier` (the specifier as
//! written), `aliases`, `import_map`, `node_builtins`, `in_memory` and `disk` with `browser` (the location; `jail` and `linked` determine the
//! accessible folders, `project` their upper end, `refusal` the files in them that are not modules), `sources` (the
//! bytes), `kind` and `rules` (the type), `literals` and `imports` (the names in code), `builtin` (the modules
//! in the snapshot), `commonjs` with `package_type` (`require`, and imports of CommonJS modules), `compile` with `defines`, `transpile`, `tsconfig`, `accessors` and `enums`,
//! `compiler_memory`, `helpers` and `transpile_cache` (TypeScript and JSX to JavaScript), `source_maps` and `code_frame` (back to the
//! source). All parsing happens on threads of `parsers`, with a stack sized by `nesting`.
//!
//! It must not fetch modules over the network, nor read outside of the folders it was given.

#[cfg(feature = "typescript")]
mod accessors;
mod aliases;
mod browser;
mod builtin;
mod code_frame;
mod commonjs;
mod compile;
mod compiler_memory;
mod defines;
mod dialect;
mod disk;
#[cfg(feature = "typescript")]
mod enums;
mod error;
mod es_module;
mod files;
mod helpers;
mod import_map;
mod imports;
mod in_memory;
mod jail;
mod json_depth;
mod kind;
mod linked;
mod literals;
mod loaded;
mod loader;
mod near_names;
mod nesting;
mod node_builtins;
mod options;
mod package_type;
mod parsers;
mod project;
mod refusal;
mod require_graph;
mod rules;
mod source_maps;
mod sources;
mod specifier;
#[cfg(feature = "typescript")]
mod transpile;
#[cfg(not(feature = "typescript"))]
#[path = "no_transpile.rs"]
mod transpile;
mod transpile_cache;
mod tsconfig;

#[cfg(test)]
mod tests;

pub(crate) use builtin::BUILTIN;
pub use code_frame::code_frame;
pub(crate) use commonjs::{Required, file_of, filename};
pub(crate) use compiler_memory::{excess, is_light};
pub use dialect::source_extension;
pub use error::{Importer, ModuleError};
pub use kind::{ModuleKind, RequestedType};
pub use loaded::ModulesLoaded;
pub use loader::{Loader, Module, ModuleCode};
pub(crate) use node_builtins::{PROVIDED, is_node};
pub use options::{ImportMapText, Jsx, JsxRuntime, LoaderLimits, LoaderOptions, MemoryModule, ModuleRule, Reach};
pub(crate) use project::project_root;
pub use refusal::Refusal;
pub use source_maps::SourceMaps;
pub(crate) use source_maps::may_name_map;
