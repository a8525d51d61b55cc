//! Detects the language of code without a file name.

use std::sync::Arc;

use oxc::allocator::Allocator;
use oxc::parser::Parser;
use oxc::span::SourceType;

use super::parsers::Parsers;

/// The extension for code: `mjs`; `ts` if it is not JavaScript; `tsx` if it only parses with JSX. TypeScript would
/// parse JavaScript too, but drop unused imports.
pub fn source_extension(code: &str) -> &'static str {
    let (parsers, code) = (Parsers::default(), Arc::<str>::from(code));
    let is = |source_type: SourceType| {
        let source = Arc::clone(&code);
        let parses = move || {
            let allocator = Allocator::default();
            let parsed = Parser::new(&allocator, &source, source_type.with_module(true)).parse();
            parsed.diagnostics.errors().next().is_none()
        };
        // Excessive nesting is reported when the code is loaded.
        parsers.run(&code, source_type, parses).unwrap_or(false)
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
