//! Settings for compiling a file: the defaults, overridden by the `tsconfig.json` that applies. Pure.

use oxc_resolver::TsConfig;
use serde::{Deserialize, Serialize};

use super::options::{Jsx, JsxRuntime};

/// The meaning of decorators, which differs between TypeScript's old option and the standard.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) enum Decorators {
    /// Standard decorators, which neither V8 nor the transpiler supports: rejected with a remedy.
    #[default]
    Standard,
    /// `experimentalDecorators`
    Experimental,
    /// `experimentalDecorators` with `emitDecoratorMetadata`
    ExperimentalWithMetadata,
}

/// Part of the key of cached code.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Settings {
    pub(super) jsx: Jsx,
    pub(super) decorators: Decorators,
    pub(super) strict_null_checks: bool,
    /// `verbatimModuleSyntax`: imports used only as types are kept unless marked with `type`.
    pub(super) keep_unused_imports: bool,
    /// `useDefineForClassFields: false`: fields without a value are removed.
    pub(super) drop_empty_fields: bool,
}

pub(super) fn settings(defaults: &Jsx, tsconfig: Option<&TsConfig>) -> Settings {
    let mut settings = Settings {
        jsx: defaults.clone(),
        decorators: Decorators::default(),
        strict_null_checks: true,
        keep_unused_imports: false,
        drop_empty_fields: false,
    };
    let Some(options) = tsconfig.map(|tsconfig| &tsconfig.compiler_options) else {
        return settings;
    };
    let on = |option: Option<bool>| option.unwrap_or(false);
    settings.decorators = match (on(options.experimental_decorators), on(options.emit_decorator_metadata)) {
        (false, _) => Decorators::Standard,
        (true, false) => Decorators::Experimental,
        (true, true) => Decorators::ExperimentalWithMetadata,
    };
    settings.strict_null_checks = options.strict_null_checks.or(options.strict).unwrap_or(true);
    settings.keep_unused_imports = on(options.verbatim_module_syntax) || on(options.preserve_value_imports);
    settings.drop_empty_fields = !options
        .use_define_for_class_fields
        .unwrap_or_else(|| defines_fields(options.target.as_deref()));
    settings.jsx.runtime = match options.jsx.as_deref() {
        Some("react") => JsxRuntime::Classic,
        // The development runtime is for browsers' tools; servers use the other.
        Some("react-jsx" | "react-jsxdev") => JsxRuntime::Automatic,
        // `preserve` leaves the choice to the next tool; a factory or an import source shows the intention.
        _ if options.jsx_factory.is_some() => JsxRuntime::Classic,
        _ if options.jsx_import_source.is_some() => JsxRuntime::Automatic,
        _ => defaults.runtime,
    };
    let override_with = |target: &mut String, value: &Option<String>| {
        if let Some(value) = value {
            target.clone_from(value);
        }
    };
    override_with(&mut settings.jsx.import_source, &options.jsx_import_source);
    override_with(&mut settings.jsx.factory, &options.jsx_factory);
    override_with(&mut settings.jsx.fragment, &options.jsx_fragment_factory);
    settings
}

/// TypeScript's default of `useDefineForClassFields`: true from ES2022 on. Without a target, the newest applies.
fn defines_fields(target: Option<&str>) -> bool {
    let Some(target) = target else { return true };
    let target = target.to_ascii_lowercase();
    match target.strip_prefix("es").and_then(|year| year.parse::<u32>().ok()) {
        Some(year) => year >= 2022,
        None => target == "esnext",
    }
}
