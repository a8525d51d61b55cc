//! Finds the names that an ES module imports from each specifier. Pure.

use std::collections::{BTreeSet, HashMap};

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    BindingPattern, CallExpression, ExportFromDeclaration, Expression, ImportDeclaration, ImportDeclarationSpecifier,
    MemberExpression, VariableDeclarator,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::semantic::{SemanticBuilder, SymbolId};
use oxc::span::SourceType;

use super::scan::Free;

/// Names by specifier.
pub(in crate::modules) type RequiredNames = HashMap<String, BTreeSet<String>>;

/// The names in `import { name } from`, `export { name } from`, `namespace.name`, `const { name } = namespace`, and the
/// same of a literal `import()` that is awaited.
pub(in crate::modules) fn required_names(code: &str) -> RequiredNames {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::unambiguous()).parse();
    let scoping = SemanticBuilder::new().build(&parsed.program).semantic.into_scoping();
    let mut finder = Finder {
        free: Free(&scoping),
        namespaces: HashMap::new(),
        found: RequiredNames::new(),
    };
    // Imports are hoisted: a namespace may be used above its declaration.
    for statement in &parsed.program.body {
        if let oxc::ast::ast::Statement::ImportDeclaration(import) = statement {
            finder.declared(import);
        }
    }
    finder.visit_program(&parsed.program);
    finder.found
}

struct Finder<'s> {
    free: Free<'s>,
    /// The specifiers of the modules whose namespaces variables hold.
    namespaces: HashMap<SymbolId, String>,
    found: RequiredNames,
}

impl Finder<'_> {
    fn add(&mut self, specifier: &str, name: &str) {
        if name != "default" {
            self.found
                .entry(specifier.to_owned())
                .or_default()
                .insert(name.to_owned());
        }
    }

    fn declared(&mut self, import: &ImportDeclaration<'_>) {
        let source = import.source.value.as_str();
        for specifier in import.specifiers.iter().flatten() {
            match specifier {
                ImportDeclarationSpecifier::ImportSpecifier(named) => self.add(source, &named.imported.name()),
                ImportDeclarationSpecifier::ImportNamespaceSpecifier(namespace) => {
                    let symbol = namespace.local.symbol_id.get();
                    self.namespaces.extend(symbol.map(|symbol| (symbol, source.to_owned())));
                }
                ImportDeclarationSpecifier::ImportDefaultSpecifier(_) => {}
            }
        }
    }

    /// The module whose namespace an expression is.
    fn module_of(&self, expression: &Expression<'_>) -> Option<String> {
        if let Expression::AwaitExpression(awaited) = expression.without_parentheses() {
            return imported(&awaited.argument);
        }
        self.namespaces.get(&self.free.symbol(expression)?).cloned()
    }

    fn destructured(&mut self, module: &str, pattern: &BindingPattern<'_>) {
        match pattern {
            BindingPattern::ObjectPattern(pattern) => {
                for property in &pattern.properties {
                    if let Some(name) = property.key.static_name().filter(|_| !property.computed) {
                        self.add(module, &name);
                    }
                }
            }
            BindingPattern::BindingIdentifier(name) => {
                let symbol = name.symbol_id.get();
                self.namespaces.extend(symbol.map(|symbol| (symbol, module.to_owned())));
            }
            _ => {}
        }
    }
}

/// The specifier of a literal `import()`.
fn imported(expression: &Expression<'_>) -> Option<String> {
    let Expression::ImportExpression(import) = expression.without_parentheses() else {
        return None;
    };
    match import.source.without_parentheses() {
        Expression::StringLiteral(text) => Some(text.value.to_string()),
        Expression::TemplateLiteral(template) => template.single_quasi().map(|text| text.to_string()),
        _ => None,
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_export_from_declaration(&mut self, export: &ExportFromDeclaration<'a>) {
        for specifier in &export.specifiers {
            self.add(export.source.value.as_str(), &specifier.local.name());
        }
    }

    fn visit_member_expression(&mut self, member: &MemberExpression<'a>) {
        if let (Some(name), Some(module)) = (member.static_property_name(), self.module_of(member.object())) {
            self.add(&module, name);
        }
        walk::walk_member_expression(self, member);
    }

    fn visit_variable_declarator(&mut self, declared: &VariableDeclarator<'a>) {
        if let Some(module) = declared.init.as_ref().and_then(|value| self.module_of(value)) {
            self.destructured(&module, &declared.id);
        }
        walk::walk_variable_declarator(self, declared);
    }

    /// `import("x").then(({ name }) => …)`
    fn visit_call_expression(&mut self, call: &CallExpression<'a>) {
        let callee = call.callee.as_member_expression();
        if let Some(module) = callee
            .filter(|member| member.static_property_name() == Some("then"))
            .and_then(|member| imported(member.object()))
        {
            let parameters = match call.arguments.first().and_then(|argument| argument.as_expression()) {
                Some(Expression::ArrowFunctionExpression(function)) => Some(&function.params),
                Some(Expression::FunctionExpression(function)) => Some(&function.params),
                _ => None,
            };
            if let Some(first) = parameters.and_then(|parameters| parameters.items.first()) {
                self.destructured(&module, &first.pattern);
            }
        }
        walk::walk_call_expression(self, call);
    }
}

#[cfg(test)]
mod tests {
    use super::required_names;

    #[test]
    fn names_are_found_in_every_form() {
        for code in [
            "import d, { a, b as c } from 'x'",
            "export { a, b as default } from 'x'",
            "ns.a(); import * as ns from 'x'; const { b: { c } } = ns",
            "const { a, b } = await import('x')",
            "const ns = await import('x'); ns.a; ns.b",
            "import('x').then(({ a, b, default: d }) => a)",
            "import('x').then(function (ns) { return ns.a + ns.b })",
            "(await import('x')).a; (await import(`x`)).b",
        ] {
            let found = required_names(code);
            let names: Vec<_> = found["x"].iter().map(String::as_str).collect();
            assert_eq!(names, ["a", "b"], "{code}");
        }
        assert!(required_names("import d from 'x'; d.a; import 'y'").is_empty());
    }
}
