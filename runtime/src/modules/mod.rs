//! Modules: from a specifier in a script to code that V8 can compile.
//!
//! This part knows nothing of V8 and nothing of Tokio. A [`Loader`] belongs to one version of one script, is shared by
//! all threads that run it, and keeps no global state. The files read in the order of the data that flows through them:
//! `specifier` (what was written), `import_map`, `in_memory` and `disk` with `browser` (where it is; `jail` and `linked` say which folders are
//! open, `project` how far up they go, `refusal` what in them is no module), `sources` (its bytes), `kind` (what it is),
//! `commonjs` (what it must not be), `node_env`, `transpile` with `tsconfig` and `accessors`, `helpers` and `transpile_cache` (TypeScript
//! and JSX to JavaScript), `source_maps` and `code_frame` (the way back). Whatever parses code does so on a stack that
//! `nesting` measures.
//!
//! It must not fetch modules over the network, and it must not read outside the folders it was given.

#[cfg(feature = "typescript")]
mod accessors;
mod browser;
mod code_frame;
mod commonjs;
mod dialect;
mod disk;
mod error;
mod es_module;
mod helpers;
mod import_map;
mod in_memory;
mod jail;
mod json_depth;
mod kind;
mod linked;
mod literals;
mod loader;
mod near_names;
mod nesting;
mod node_env;
mod options;
mod project;
mod refusal;
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

pub use code_frame::code_frame;
pub use dialect::source_extension;
pub use error::{Importer, ModuleError};
pub(crate) use kind::is_data;
pub use kind::{ModuleKind, RequestedType};
pub use loader::{Loader, Module, ModuleCode, ModulesLoaded};
pub use options::{ImportMapText, Jsx, JsxRuntime, LoaderLimits, LoaderOptions, MemoryModule, Reach};
pub(crate) use project::project_root;
pub use refusal::Refusal;
pub use source_maps::{OriginalPosition, SourceMaps};
