//! Compiles TypeScript, TSX and JSX to JavaScript, with a source map.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use oxc::allocator::Allocator;
use oxc::ast::AstKind;
use oxc::codegen::{Codegen, CodegenOptions};
use oxc::diagnostics::OxcDiagnostic;
use oxc::parser::Parser;
use oxc::semantic::{Semantic, SemanticBuilder};
use oxc::span::{GetSpan, Span};
use oxc::transformer::{
    CompilerAssumptions, DecoratorOptions, EnvOptions, HelperLoaderOptions, JsxOptions, JsxRuntime as OxcRuntime,
    Module, TransformOptions, Transformer, TypeScriptOptions,
};
use url::Url;

use super::accessors;
use super::code_frame::{code_frame, position};
use super::defines::Defines;
use super::enums;
use super::error::{ModuleError, display_url};
use super::helpers;
use super::kind::{Dialect, Format};
use super::options::JsxRuntime;
use super::transpile_cache::Transpiled;
use super::tsconfig::{Decorators, Settings};

/// Recurses as deeply as the source is nested, as do the functions it calls.
pub(super) fn transpile(
    url: &Url,
    source: &Arc<str>,
    (dialect, format): (Dialect, Format),
    settings: &Settings,
    defines: &Defines,
) -> Result<Transpiled, ModuleError> {
    let allocator = Allocator::default();
    let source_type = dialect.source_type();
    let source_type = match format {
        Format::CommonJs => source_type.with_commonjs(true),
        Format::Module | Format::Unmarked => source_type.with_module(true),
    };

    let replaced = defines
        .may_be_in(source)
        .then(|| defines.replace(url, source, source_type))
        .transpose()?
        .flatten();
    let code = replaced.as_deref().unwrap_or(source);
    let parsed = Parser::new(&allocator, code, source_type).parse();
    refuse(url, source, parsed.diagnostics.errors())?;
    let mut program = parsed.program;
    if source.contains("enum") && enums::cost(&program) > enums::COST_MAX {
        return Err(ModuleError::EnumsTooLarge {
            file: display_url(url),
            limit: enums::COST_MAX,
        });
    }
    accessors::prepare(&mut program, code, &allocator);

    let may_have_decorators = settings.decorators == Decorators::Standard && source.contains('@');
    let analysed = SemanticBuilder::new_compiler()
        .with_enum_eval(true)
        .with_build_nodes(may_have_decorators)
        .build(&program);
    refuse(url, source, analysed.diagnostics.errors())?;
    if may_have_decorators && let Some(span) = first_decorator(&analysed.semantic) {
        let message = "standard decorators are not supported yet; for TypeScript's own, set \
                       \"experimentalDecorators\": true in tsconfig.json";
        return Err(syntax_error(url, source, message.into(), span));
    }

    // The transformer needs a path only for messages; the URL will do.
    let transformed = Transformer::new(&allocator, Path::new(url.as_str()), &options(settings, format))
        .build_with_scoping(analysed.semantic.into_scoping(), &mut program);
    refuse(url, source, transformed.diagnostics.errors())?;

    let printed = Codegen::new()
        .with_options(CodegenOptions {
            source_map_path: Some(PathBuf::from(url.as_str())),
            ..CodegenOptions::default()
        })
        .with_scoping(Some(transformed.scoping))
        .build(&program);
    let source_map = printed.map.map(|mut map| {
        // The original is stored with it already.
        map.set_source_contents(Vec::new());
        map.to_json_string()
    });
    Ok(Transpiled {
        original: Arc::clone(source),
        code: printed.code.into(),
        source_map: source_map.unwrap_or_default().into_bytes().into(),
    })
}

fn options(settings: &Settings, format: Format) -> TransformOptions {
    let classic = settings.jsx.runtime == JsxRuntime::Classic;
    TransformOptions {
        assumptions: CompilerAssumptions {
            set_public_class_fields: settings.drop_empty_fields,
            ..CompilerAssumptions::default()
        },
        typescript: TypeScriptOptions {
            jsx_pragma: settings.jsx.factory.clone().into(),
            jsx_pragma_frag: settings.jsx.fragment.clone().into(),
            only_remove_type_imports: settings.keep_unused_imports,
            remove_class_fields_without_initializer: settings.drop_empty_fields,
            ..TypeScriptOptions::default()
        },
        decorator: DecoratorOptions {
            // Also compiles `accessor`; standard decorators were rejected before.
            legacy: true,
            emit_decorator_metadata: settings.decorators == Decorators::ExperimentalWithMetadata,
            strict_null_checks: settings.strict_null_checks,
        },
        jsx: JsxOptions {
            runtime: if classic {
                OxcRuntime::Classic
            } else {
                OxcRuntime::Automatic
            },
            // Each runtime rejects the other's settings.
            import_source: (!classic).then(|| settings.jsx.import_source.clone()),
            pragma: classic.then(|| settings.jsx.factory.clone()),
            pragma_frag: classic.then(|| settings.jsx.fragment.clone()),
            ..JsxOptions::enable()
        },
        helper_loader: HelperLoaderOptions {
            module_name: helpers::PREFIX.into(),
            ..HelperLoaderOptions::default()
        },
        env: EnvOptions {
            module: match format {
                Format::CommonJs => Module::CommonJS,
                Format::Module | Format::Unmarked => Module::default(),
            },
            ..EnvOptions::default()
        },
        ..TransformOptions::default()
    }
}

fn first_decorator(semantic: &Semantic<'_>) -> Option<Span> {
    let spans = semantic.nodes().iter().filter_map(|node| match node.kind() {
        AstKind::Decorator(decorator) => Some(decorator.span()),
        _ => None,
    });
    spans.min_by_key(|span| span.start)
}

/// Returns the first error by position, regardless of the order in which they were found.
fn refuse<'a>(url: &Url, source: &str, errors: impl Iterator<Item = &'a OxcDiagnostic>) -> Result<(), ModuleError> {
    let placed = errors.map(|error| {
        let label = error.labels.first();
        (
            label.map_or(Span::default(), |label| Span::sized(label.offset(), label.len())),
            error,
        )
    });
    let Some((span, error)) = placed.min_by_key(|(span, _)| span.start) else {
        return Ok(());
    };
    let message = match &error.help {
        Some(help) => format!("{} ({help})", error.message),
        None => error.message.to_string(),
    };
    Err(syntax_error(url, source, message, span))
}

fn syntax_error(url: &Url, source: &str, message: String, span: Span) -> ModuleError {
    let (line, column) = position(source, span.start as usize);
    let spanned = source.get(span.start as usize..span.end as usize).unwrap_or_default();
    let len = spanned.lines().next().unwrap_or_default().encode_utf16().count();
    let frame = code_frame(source, line, column, u32::try_from(len).unwrap_or(u32::MAX));
    ModuleError::Syntax {
        file: url.to_string(),
        line,
        column,
        message,
        frame,
    }
}
