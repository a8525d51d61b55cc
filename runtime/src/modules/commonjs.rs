//! Detects CommonJS in files of packages. A user's own script may test for `require`.

use oxc::allocator::Allocator;
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::SourceType;

/// The package of a path: the part after the last `node_modules`.
pub(super) fn package_of(path: &str) -> Option<&str> {
    let (_, inside) = path.rsplit_once("/node_modules/")?;
    let name = super::specifier::package_name(inside);
    (!name.is_empty()).then_some(name)
}

/// A quick check before [`is_commonjs`]: parsing a large package takes milliseconds, and most ES modules do not contain
/// these names.
pub(super) fn may_be_commonjs(source: &str) -> bool {
    ["require(", "module.exports", "exports.", "exports,", "exports["]
        .iter()
        .any(|mark| source.contains(mark))
}

/// Returns true if there is no ESM syntax, and names defined only by CommonJS are used without a declaration.
pub(super) fn is_commonjs(source: &str) -> bool {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, SourceType::unambiguous()).parse();
    if parsed.panicked || parsed.module_record.has_module_syntax {
        // V8 reports syntax errors.
        return false;
    }
    let scoping = SemanticBuilder::new().build(&parsed.program).semantic.into_scoping();
    let undeclared = scoping.root_unresolved_references();
    undeclared
        .keys()
        .any(|name| matches!(name.as_str(), "require" | "module" | "exports"))
}
