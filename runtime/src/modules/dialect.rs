//! Detects the language of code without a file name.

use oxc::allocator::Allocator;
use oxc::parser::Parser;
use oxc::span::SourceType;

use super::nesting::on_large_stack;

/// The extension for code: `mjs`; `ts` if it is not JavaScript; `tsx` if it only parses with JSX. TypeScript would
/// parse JavaScript too, but drop unused imports.
pub fn source_extension(code: &str) -> &'static str {
    let is = |source_type: SourceType| {
        let parses = || {
            let allocator = Allocator::default();
            let parsed = Parser::new(&allocator, code, source_type.with_module(true)).parse();
            parsed.diagnostics.errors().next().is_none()
        };
        // Excessive nesting is reported when the code is loaded.
        on_large_stack(code, parses).unwrap_or(false)
    };
    let extensions = [
        ("mjs", SourceType::mjs()),
        ("ts", SourceType::ts()),
        ("tsx", SourceType::tsx()),
    ];
    let found = extensions.into_iter().find(|(_, source_type)| is(*source_type));
    // If none fits, its errors are reported as those of the most common language with types.
    found.map_or("ts", |(extension, _)| extension)
}

#[cfg(test)]
mod tests {
    use super::source_extension;

    #[test]
    fn jsx_is_distinguished_from_casts_and_type_parameters() {
        for code in ["const a: number = 1", "<T>(a: T) => a", "let b = <string>c", "let = ;"] {
            assert_eq!(source_extension(code), "ts", "{code}");
        }
        assert_eq!(source_extension("import a from './a.js'; await 1"), "mjs");
        assert_eq!(source_extension("const a: Node = <p>hello</p>"), "tsx");
    }
}
