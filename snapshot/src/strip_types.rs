//! Strips the types of extensions' scripts that are written in TypeScript. Those of the deno crates are JavaScript.

/// Returns the JavaScript of a TypeScript source; `None` if it is JavaScript already.
///
/// # Errors
/// An error in the source, or that the build has no compiler.
pub fn strip_types(specifier: &str, source: &str) -> Result<Option<String>, String> {
    match specifier.ends_with(".ts") {
        true => compile(specifier, source).map(Some),
        false => Ok(None),
    }
}

#[cfg(not(feature = "typescript"))]
fn compile(specifier: &str, _source: &str) -> Result<String, String> {
    Err(format!(
        "{specifier} is TypeScript, and this build has no compiler; enable the feature `typescript` of `isopod`"
    ))
}

#[cfg(feature = "typescript")]
fn compile(specifier: &str, source: &str) -> Result<String, String> {
    use oxc::allocator::Allocator;
    use oxc::codegen::Codegen;
    use oxc::parser::Parser;
    use oxc::semantic::SemanticBuilder;
    use oxc::span::SourceType;
    use oxc::transformer::{TransformOptions, Transformer};

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
    Ok(ascii(&Codegen::new().build(&program).code))
}

/// Escapes what is not ASCII, as deno_core requires it of its scripts: the compiler writes escaped characters as they
/// are. They stand in literals only.
#[cfg(feature = "typescript")]
fn ascii(code: &str) -> String {
    let mut units = [0; 2];
    let mut escaped = String::with_capacity(code.len());
    for c in code.chars() {
        match c.is_ascii() {
            true => escaped.push(c),
            false => escaped.extend(c.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}"))),
        }
    }
    escaped
}
