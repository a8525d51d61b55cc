//! Strips the types of the few TypeScript files among the deno crates' own scripts.

use oxc::allocator::Allocator;
use oxc::codegen::Codegen;
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::SourceType;
use oxc::transformer::{TransformOptions, Transformer};

/// The JavaScript of a TypeScript source; `None` for what is JavaScript already.
///
/// # Errors
/// What is wrong with the source.
pub fn strip_types(specifier: &str, source: &str) -> Result<Option<String>, String> {
    if !specifier.ends_with(".ts") {
        return Ok(None);
    }
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::ts()).parse();
    if let Some(error) = parsed.diagnostics.first() {
        return Err(format!("{specifier}: {error}"));
    }
    let mut program = parsed.program;
    let scoping = SemanticBuilder::new()
        .with_enum_eval(true)
        .build(&program)
        .semantic
        .into_scoping();
    let options = TransformOptions::default();
    Transformer::new(&allocator, specifier.as_ref(), &options).build_with_scoping(scoping, &mut program);
    Ok(Some(Codegen::new().build(&program).code))
}
