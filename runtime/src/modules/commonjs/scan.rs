//! Finds the `require` calls and the exported names of a CommonJS module, without running it. Pure.
//!
//! It knows the common forms that compilers and people write. Names that a module computes when it runs are left to
//! `asked`.

use std::collections::{BTreeSet, HashMap};

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    Argument, AssignmentExpression, BindingPattern, CallExpression, ConditionalExpression, Expression, IfStatement,
    LogicalExpression, MemberExpression, ObjectExpression, ObjectPropertyKind, VariableDeclarator,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::semantic::{Scoping, SemanticBuilder, SymbolId};
use oxc::span::{GetSpan, SourceType};
use oxc::syntax::operator::{BinaryOperator, LogicalOperator};

/// The functions by which compilers copy another module's exports.
const COPIERS: [&str; 6] = [
    "__export",
    "__exportStar",
    "_exportStar",
    "_export_star",
    "__reExport",
    "_reExport",
];

/// The result of [`scan`].
#[derive(Debug, Default, PartialEq, Eq)]
pub(in crate::modules) struct Scan {
    /// The specifiers of literal `require` calls.
    pub(in crate::modules) requires: BTreeSet<String>,
    /// The exported names.
    pub(in crate::modules) names: BTreeSet<String>,
    /// The specifiers of modules whose exports are exported too.
    pub(in crate::modules) reexports: BTreeSet<String>,
}

/// Scans JavaScript in which `process.env.NODE_ENV` has been replaced: branches that it rules out are skipped.
pub(in crate::modules) fn scan(code: &str, source_type: SourceType) -> Scan {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, source_type).parse();
    if parsed.panicked {
        // V8 reports the error when the module is compiled.
        return Scan::default();
    }
    let scoping = SemanticBuilder::new().build(&parsed.program).semantic.into_scoping();
    let mut scanner = Scanner {
        code,
        free: Free(&scoping),
        required: HashMap::new(),
        found: Scan::default(),
    };
    scanner.visit_program(&parsed.program);
    scanner.found
}

/// References to names that a module does not declare.
pub(super) struct Free<'s>(pub(super) &'s Scoping);

impl Free<'_> {
    pub(super) fn is(&self, expression: &Expression<'_>, name: &str) -> bool {
        let Expression::Identifier(reference) = expression.without_parentheses() else {
            return false;
        };
        let symbol = reference
            .reference_id
            .get()
            .and_then(|id| self.0.get_reference(id).symbol_id());
        reference.name == name && symbol.is_none()
    }

    /// `module.exports`
    pub(super) fn is_module_exports(&self, member: &MemberExpression<'_>) -> bool {
        member.static_property_name() == Some("exports") && self.is(member.object(), "module")
    }

    /// `exports`, `module.exports`, and `this` is not considered.
    pub(super) fn is_exports(&self, expression: &Expression<'_>) -> bool {
        let member = expression.without_parentheses().as_member_expression();
        self.is(expression, "exports") || member.is_some_and(|member| self.is_module_exports(member))
    }

    pub(super) fn symbol(&self, expression: &Expression<'_>) -> Option<SymbolId> {
        match expression.without_parentheses() {
            Expression::Identifier(reference) => self.0.get_reference(reference.reference_id.get()?).symbol_id(),
            _ => None,
        }
    }
}

struct Scanner<'s> {
    code: &'s str,
    free: Free<'s>,
    /// Variables that hold a required module.
    required: HashMap<SymbolId, String>,
    found: Scan,
}

impl Scanner<'_> {
    /// The specifier of `require("x")`.
    fn literal(&self, expression: &Expression<'_>) -> Option<String> {
        match expression.without_parentheses() {
            Expression::CallExpression(call) if self.free.is(&call.callee, "require") => specifier(call),
            _ => None,
        }
    }

    /// The module that an expression is, possibly through a wrapper: `_interopRequireWildcard(require("x"))`.
    fn module_of(&self, expression: &Expression<'_>) -> Option<String> {
        if let Some(specifier) = self.literal(expression) {
            return Some(specifier);
        }
        if let Some(symbol) = self.free.symbol(expression) {
            return self.required.get(&symbol).cloned();
        }
        match expression.without_parentheses() {
            Expression::CallExpression(call) => self.literal(call.arguments.first()?.as_expression()?),
            _ => None,
        }
    }

    fn names_of(&mut self, object: &ObjectExpression<'_>) {
        for property in &object.properties {
            match property {
                ObjectPropertyKind::ObjectProperty(property) if !property.computed => {
                    self.found.names.extend(property.key.static_name().map(String::from));
                }
                ObjectPropertyKind::ObjectProperty(_) => {}
                ObjectPropertyKind::SpreadProperty(spread) => {
                    let module = self.module_of(&spread.argument);
                    self.found.reexports.extend(module);
                }
            }
        }
    }

    /// `module.exports = value`, through further assignments: `exports = module.exports = value`.
    fn exported(&mut self, value: &Expression<'_>) {
        match value.without_parentheses() {
            Expression::ObjectExpression(object) => self.names_of(object),
            Expression::AssignmentExpression(assignment) => self.exported(&assignment.right),
            Expression::ConditionalExpression(choice) => {
                self.exported(&choice.consequent);
                self.exported(&choice.alternate);
            }
            other => {
                let module = self.module_of(other);
                self.found.reexports.extend(module);
            }
        }
    }

    /// `Object.keys(_x).forEach(function (key) { … exports[key] … })`
    fn copied_in_a_loop(&self, call: &CallExpression<'_>) -> Option<String> {
        let member = call.callee.as_member_expression()?;
        let Expression::CallExpression(keys) = member.object() else {
            return None;
        };
        let is_keys = keys.callee.as_member_expression()?.static_property_name() == Some("keys");
        let module = keys.arguments.first()?.as_expression()?;
        let span = call.arguments.first()?.span();
        let body = self.code.get(span.start as usize..span.end as usize)?;
        (member.static_property_name() == Some("forEach") && is_keys && body.contains("exports"))
            .then(|| self.module_of(module))?
    }
}

fn specifier(call: &CallExpression<'_>) -> Option<String> {
    match call.arguments.first()? {
        Argument::StringLiteral(text) => Some(text.value.to_string()),
        Argument::TemplateLiteral(template) => template.single_quasi().map(|text| text.to_string()),
        _ => None,
    }
}

/// The value of a comparison of two string literals, which the replacement of `NODE_ENV` leaves, and of constants.
fn constant(test: &Expression<'_>) -> Option<bool> {
    match test.without_parentheses() {
        Expression::BooleanLiteral(literal) => Some(literal.value),
        Expression::BinaryExpression(comparison) => {
            let (Expression::StringLiteral(left), Expression::StringLiteral(right)) = (
                comparison.left.without_parentheses(),
                comparison.right.without_parentheses(),
            ) else {
                return None;
            };
            let equal = left.value == right.value;
            match comparison.operator {
                BinaryOperator::Equality | BinaryOperator::StrictEquality => Some(equal),
                BinaryOperator::Inequality | BinaryOperator::StrictInequality => Some(!equal),
                _ => None,
            }
        }
        _ => None,
    }
}

impl<'a> Visit<'a> for Scanner<'_> {
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let argument = |index: usize| call.arguments.get(index).and_then(|argument| argument.as_expression());
        if self.free.is(&call.callee, "require") {
            self.found.requires.extend(specifier(call));
        }
        let callee = call.callee.without_parentheses();
        let name = match callee {
            Expression::Identifier(name) => Some(name.name.as_str()),
            // `(0, tslib.__exportStar)(…)`
            Expression::SequenceExpression(sequence) => sequence
                .expressions
                .last()
                .and_then(|last| last.as_member_expression())
                .and_then(|member| member.static_property_name()),
            other => other
                .as_member_expression()
                .and_then(|member| member.static_property_name()),
        };
        let to_exports = argument(0).is_some_and(|first| self.free.is_exports(first));
        match name {
            Some("defineProperty") if to_exports => {
                if let Some(Expression::StringLiteral(name)) = argument(1) {
                    self.found.names.insert(name.value.to_string());
                }
            }
            // `_export(exports, { a: function () { … } })`
            Some("_export" | "__export") if to_exports => {
                if let Some(Expression::ObjectExpression(object)) = argument(1) {
                    self.names_of(object);
                }
            }
            Some(name) if COPIERS.contains(&name) => {
                let modules: Vec<_> = call
                    .arguments
                    .iter()
                    .filter_map(|argument| argument.as_expression())
                    .collect();
                let modules = modules.into_iter().filter_map(|argument| self.module_of(argument));
                let modules: Vec<_> = modules.collect();
                self.found.reexports.extend(modules);
            }
            Some("forEach") => self.found.reexports.extend(self.copied_in_a_loop(call)),
            _ => {}
        }
        walk::walk_call_expression(self, call);
    }

    fn visit_assignment_expression(&mut self, assignment: &AssignmentExpression<'a>) {
        if let Some(member) = assignment.left.as_member_expression() {
            if self.free.is_module_exports(member) {
                self.exported(&assignment.right);
            } else if self.free.is_exports(member.object()) {
                self.found
                    .names
                    .extend(member.static_property_name().map(str::to_owned));
            }
        }
        walk::walk_assignment_expression(self, assignment);
    }

    fn visit_variable_declarator(&mut self, declared: &VariableDeclarator<'a>) {
        if let (BindingPattern::BindingIdentifier(name), Some(value)) = (&declared.id, &declared.init)
            && let (Some(symbol), Some(module)) = (name.symbol_id.get(), self.module_of(value))
        {
            self.required.insert(symbol, module);
        }
        walk::walk_variable_declarator(self, declared);
    }

    fn visit_if_statement(&mut self, statement: &IfStatement<'a>) {
        match constant(&statement.test) {
            Some(true) => self.visit_statement(&statement.consequent),
            Some(false) => statement.alternate.iter().for_each(|other| self.visit_statement(other)),
            None => walk::walk_if_statement(self, statement),
        }
    }

    fn visit_conditional_expression(&mut self, choice: &ConditionalExpression<'a>) {
        match constant(&choice.test) {
            Some(true) => self.visit_expression(&choice.consequent),
            Some(false) => self.visit_expression(&choice.alternate),
            None => walk::walk_conditional_expression(self, choice),
        }
    }

    fn visit_logical_expression(&mut self, expression: &LogicalExpression<'a>) {
        let skipped = match expression.operator {
            LogicalOperator::And => Some(false),
            LogicalOperator::Or => Some(true),
            LogicalOperator::Coalesce => None,
        };
        // `0 && (module.exports = …)` is no such constant: it lists the names.
        if skipped.is_some() && constant(&expression.left) == skipped {
            return;
        }
        walk::walk_logical_expression(self, expression);
    }
}

#[cfg(test)]
mod tests {
    use oxc::span::SourceType;

    use super::Scan;

    fn scan(code: &str) -> Scan {
        super::scan(code, SourceType::cjs())
    }

    fn names(code: &str) -> Vec<String> {
        scan(code).names.into_iter().collect()
    }

    fn reexports(code: &str) -> Vec<String> {
        scan(code).reexports.into_iter().collect()
    }

    #[test]
    fn names_are_found_in_every_form() {
        for code in [
            "exports.a = 1; module.exports.b = 2; exports['c'] = 3",
            "Object.defineProperty(exports, 'a', { get() {} }); exports.b = exports.c = void 0",
            "module.exports = { a, b: 1, 'c': f() }",
            "exports = module.exports = { a() {}, get b() {}, c }",
            "var x = module.exports = {}; 0 && (module.exports = { a, b, c })",
            "(0, _export)(exports, { a: 1 }); _export(exports, { a: function () {}, b: 1, c: 2 })",
            "(function () { exports.a = 1; if (x) exports.b = 2; else exports.c = 3 })()",
        ] {
            assert_eq!(names(code), ["a", "b", "c"], "{code}");
        }
        assert_eq!(names("var exports = {}; exports.a = 1"), [""; 0]);
    }

    #[test]
    fn reexports_are_found_in_every_form() {
        for code in [
            "module.exports = require('x')",
            "module.exports = { ...require('x') }",
            "__exportStar(require('x'), exports)",
            "(0, tslib_1.__exportStar)(require('x'), exports)",
            "__export(require('x'))",
            "__reExport(src_exports, require('x'), module.exports)",
            "_export_star(require('x'), exports)",
            "var _x = require('x'); Object.keys(_x).forEach(function (key) { exports[key] = _x[key] })",
            "var _x = _wild(require('x')); module.exports = _x",
            "if ('production' === 'production') { module.exports = require('x') } else { module.exports = require('y') }",
        ] {
            assert_eq!(reexports(code), ["x"], "{code}");
        }
    }

    #[test]
    fn only_reachable_literal_calls_of_require_count() {
        let code = "require('a'); require(`b`); require(x); other.require('c'); function f(require) { require('d') }
            if ('a' !== 'a') require('e'); 'a' === 'b' ? require('f') : require('g'); 'a' === 'b' && require('h');
            typeof require === 'function' && require('i')";
        let requires: Vec<_> = scan(code).requires.into_iter().collect();
        assert_eq!(requires, ["a", "b", "g", "i"]);
    }
}
