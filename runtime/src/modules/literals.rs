//! The specifiers that a module's imports contain literally. All others are computed.

use oxc::allocator::Allocator;
use oxc::ast::ast::{ExportAllDeclaration, ExportFromDeclaration, Expression, ImportDeclaration, ImportExpression};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::span::SourceType;

/// Every string literal that is the specifier of a static or dynamic import.
pub(super) fn specifiers(code: &str) -> Vec<String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, code, SourceType::mjs()).parse();
    let mut finder = Finder { found: Vec::new() };
    finder.visit_program(&parsed.program);
    finder.found
}

struct Finder {
    found: Vec<String>,
}

impl<'a> Visit<'a> for Finder {
    fn visit_import_declaration(&mut self, import: &ImportDeclaration<'a>) {
        self.found.push(import.source.value.to_string());
    }

    fn visit_export_all_declaration(&mut self, export: &ExportAllDeclaration<'a>) {
        self.found.push(export.source.value.to_string());
    }

    fn visit_export_from_declaration(&mut self, export: &ExportFromDeclaration<'a>) {
        self.found.push(export.source.value.to_string());
    }

    fn visit_import_expression(&mut self, import: &ImportExpression<'a>) {
        match import.source.without_parentheses() {
            Expression::StringLiteral(text) => self.found.push(text.value.to_string()),
            Expression::TemplateLiteral(template) => {
                let text = template.single_quasi().map(|text| text.to_string());
                self.found.extend(text);
            }
            _ => {}
        }
        walk::walk_import_expression(self, import);
    }
}
