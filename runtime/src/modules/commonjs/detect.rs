//! Tells CommonJS from ES modules. Pure.

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    AssignmentTarget, CallExpression, MemberExpression, Program, Statement, TSModuleReference, UnaryExpression,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::semantic::SemanticBuilder;
use oxc::span::SourceType;
use oxc::syntax::operator::UnaryOperator;

use super::scan::Free;

/// The kind of a JavaScript or TypeScript file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::modules) enum Syntax {
    Module,
    CommonJs,
}

/// A quick check before [`syntax`]: parsing a large package takes milliseconds, and most ES modules do not contain these
/// names.
pub(in crate::modules) fn may_be_commonjs(source: &str) -> bool {
    [
        "require(",
        "module.exports",
        "exports.",
        "exports,",
        "exports[",
        "exports)",
        "'exports'",
        "\"exports\"",
        "require =",
        "export =",
    ]
    .iter()
    .any(|mark| source.contains(mark))
}

/// The kind of a file whose name and package leave both possible. As in Node.js, syntax of ES modules decides. A file
/// of a package without any is CommonJS; one of the script's own is CommonJS if it calls `require` or assigns
/// exports, because workers without imports and exports are common.
pub(in crate::modules) fn syntax(source: &str, source_type: SourceType, in_package: bool) -> Syntax {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, source_type.with_unambiguous(true)).parse();
    if parsed.panicked {
        // V8 reports syntax errors.
        return Syntax::Module;
    }
    if has_typescript_form(&parsed.program) {
        return Syntax::CommonJs;
    }
    if parsed.module_record.has_module_syntax {
        return Syntax::Module;
    }
    // Top-level `await` is an error in a script, and not in a module.
    if parsed.diagnostics.errors().next().is_some() {
        let as_module = Parser::new(&allocator, source, source_type.with_module(true)).parse();
        if as_module.diagnostics.errors().next().is_none() {
            return Syntax::Module;
        }
    }
    if in_package || uses_commonjs(&parsed.program) {
        Syntax::CommonJs
    } else {
        Syntax::Module
    }
}

/// Returns true for TypeScript's syntax of CommonJS, `import x = require("x")` and `export = x`, without that of ES modules.
fn has_typescript_form(program: &Program<'_>) -> bool {
    let is_form = |statement: &Statement<'_>| match statement {
        Statement::TSExportAssignment(_) => true,
        Statement::TSImportEqualsDeclaration(import) => {
            matches!(import.module_reference, TSModuleReference::ExternalModuleReference(_))
        }
        _ => false,
    };
    let is_declaration = |statement: &Statement<'_>| statement.is_module_declaration() && !is_form(statement);
    program.body.iter().any(is_form) && !program.body.iter().any(is_declaration)
}

fn uses_commonjs(program: &Program<'_>) -> bool {
    let (exports, requires) = uses(program);
    exports || requires
}

/// Returns true if an ES module calls `require`, as bundlers allow, without testing first that `require` exists.
pub(in crate::modules) fn calls_require(code: &str) -> bool {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::mjs()).parse();
    !parsed.panicked && uses(&parsed.program).1
}

/// Returns whether a program assigns exports, and whether it relies on `require`.
fn uses(program: &Program<'_>) -> (bool, bool) {
    let scoping = SemanticBuilder::new().build(program).semantic.into_scoping();
    let mut finder = Finder {
        free: Free(&scoping),
        exports: false,
        requires: false,
        tests_require: false,
    };
    finder.visit_program(program);
    (finder.exports, finder.requires && !finder.tests_require)
}

struct Finder<'s> {
    free: Free<'s>,
    exports: bool,
    requires: bool,
    /// `typeof require`: the script also works without `require`.
    tests_require: bool,
}

impl Finder<'_> {
    fn is_exports(&self, member: &MemberExpression<'_>) -> bool {
        self.free.is_module_exports(member) || self.free.is_exports(member.object())
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        self.requires |= self.free.is(&call.callee, "require");
        // `Object.defineProperty(exports, …)` and the wrappers of compilers.
        let mut arguments = call.arguments.iter().filter_map(|argument| argument.as_expression());
        self.exports |= arguments.any(|argument| self.free.is_exports(argument));
        walk::walk_call_expression(self, call);
    }

    fn visit_assignment_target(&mut self, target: &AssignmentTarget<'a>) {
        let member = target.as_member_expression();
        self.exports |= member.is_some_and(|member| self.is_exports(member));
        walk::walk_assignment_target(self, target);
    }

    fn visit_unary_expression(&mut self, unary: &UnaryExpression<'a>) {
        self.tests_require |= unary.operator == UnaryOperator::Typeof && self.free.is(&unary.argument, "require");
        walk::walk_unary_expression(self, unary);
    }
}

#[cfg(test)]
mod tests {
    use oxc::span::SourceType;

    use super::{Syntax, syntax};

    fn is_commonjs(source: &str, in_package: bool) -> bool {
        syntax(source, SourceType::mjs(), in_package) == Syntax::CommonJs
    }

    #[test]
    fn syntax_of_es_modules_decides() {
        for source in [
            "import a from 'a'; module.exports = a",
            "export {}; require('x')",
            "import.meta.url; exports.a = 1",
            "await 1; require('x')",
        ] {
            assert!(!is_commonjs(source, true), "{source}");
            assert!(!is_commonjs(source, false), "{source}");
        }
    }

    #[test]
    fn a_file_of_a_package_without_it_is_commonjs() {
        assert!(is_commonjs("globalThis.polyfilled = true", true));
        assert!(is_commonjs("with (a) b = 010", true), "sloppy code");
        assert!(!is_commonjs("let =", true), "V8 reports the error");
    }

    #[test]
    fn a_file_of_a_script_is_commonjs_if_it_uses_it() {
        for source in [
            "const a = require('a')",
            "module.exports = {}",
            "exports.a = 1",
            "Object.defineProperty(exports, '__esModule', { value: true })",
            "(function (e) { e.a = 1 })(typeof exports === 'object' ? exports : {}); exports.b = 2",
        ] {
            assert!(is_commonjs(source, false), "{source}");
        }
        for source in [
            "addEventListener('fetch', () => {})",
            "if (typeof require === 'function') console.log(require('node'))",
            "function require() {} require('a')",
            "const exports = {}; exports.a = 1",
        ] {
            assert!(!is_commonjs(source, false), "{source}");
        }
    }
}
