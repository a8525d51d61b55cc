//! Is this file of a package CommonJS? Asked of packages only: a script of one's own may test for `require`.

use oxc::allocator::Allocator;
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::SourceType;

/// The package that a path is in: what follows the last `node_modules`.
pub(super) fn package_of(path: &str) -> Option<&str> {
    let (_, inside) = path.rsplit_once("/node_modules/")?;
    let name = super::specifier::package_name(inside);
    (!name.is_empty()).then_some(name)
}

/// Whether it is worth asking [`is_commonjs`]: parsing a large package costs milliseconds, and most ES modules never name
/// these.
pub(super) fn may_be_commonjs(source: &str) -> bool {
    ["require(", "module.exports", "exports.", "exports,", "exports["]
        .iter()
        .any(|mark| source.contains(mark))
}

/// No ESM syntax, and names that only CommonJS defines are used without being declared.
pub(super) fn is_commonjs(source: &str) -> bool {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::unambiguous()).parse();
    if parsed.panicked || parsed.module_record.has_module_syntax {
        // Broken code is for V8 to report.
        return false;
    }
    let scoping = SemanticBuilder::new().build(&parsed.program).semantic.into_scoping();
    let undeclared = scoping.root_unresolved_references();
    undeclared
        .keys()
        .any(|name| matches!(name.as_str(), "require" | "module" | "exports"))
}
