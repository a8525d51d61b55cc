//! The settings of module loading: [`ScriptBuilder::modules`](crate::ScriptBuilder::modules).

#[doc(inline)]
pub use isopod_runtime::modules::{
    ImportMapText, Importer, Jsx, JsxRuntime, LoaderLimits, LoaderOptions, MemoryModule, ModuleError, ModuleKind,
    ModuleRule, ModulesLoaded, Reach, Refusal,
};
