//! Prepares `accessor` fields for the transformer, which stores each in a private field named after the accessor's key,
//! and supports neither names that are not identifiers nor two accessors of one name in a class.

use oxc::allocator::{Allocator, ArenaVec, TakeIn};
use oxc::ast::ast::{AccessorProperty, ClassBody, ClassElement, Expression, Program, PropertyKey};
use oxc::ast::builder::AstBuilder;
use oxc::ast_visit::{VisitMut, walk_mut};
use oxc::span::GetSpan;
use oxc::syntax::identifier::is_identifier_name;
use oxc::syntax::number::NumberBase;

/// Writes keys as `[(0, "key")]` if a name derived from them would be invalid: that is equivalent, and gets a name from
/// a counter.
pub(super) fn prepare<'a>(program: &mut Program<'a>, source: &str, allocator: &'a Allocator) {
    if source.contains("accessor") {
        let builder = AstBuilder::new(allocator);
        Keys { builder }.visit_program(program);
    }
}

struct Keys<'a> {
    builder: AstBuilder<'a>,
}

impl<'a> Keys<'a> {
    fn compute(&self, accessor: &mut AccessorProperty<'a>) {
        let (span, builder) = (accessor.key.span(), &self.builder);
        let key = match accessor.key.take_in(builder) {
            PropertyKey::StaticIdentifier(name) => Expression::new_string_literal(span, name.name, None, builder),
            key => key.into_expression(),
        };
        let zero = Expression::new_numeric_literal(span, 0.0, None, NumberBase::Decimal, builder);
        let both = ArenaVec::from_array_in([zero, key], builder);
        accessor.key = PropertyKey::from(Expression::new_sequence_expression(span, both, builder));
        accessor.computed = true;
    }
}

impl<'a> VisitMut<'a> for Keys<'a> {
    fn visit_class_body(&mut self, body: &mut ClassBody<'a>) {
        let private: Vec<_> = body
            .body
            .iter()
            .filter_map(|element| match element {
                ClassElement::AccessorProperty(accessor) => accessor.key.private_name(),
                _ => None,
            })
            .collect();
        for element in &mut body.body {
            let ClassElement::AccessorProperty(accessor) = element else {
                continue;
            };
            if accessor.key.is_private_identifier() {
                continue;
            }
            let name = accessor.key.static_name().filter(|_| !accessor.computed);
            let is_plain = name.as_deref().is_none_or(|name| {
                // A private accessor may have the name of a public one.
                is_identifier_name(name) && private.iter().all(|private| *private != *name)
            });
            // A static accessor may have the name of a non-static one.
            if accessor.r#static || !is_plain {
                self.compute(accessor);
            }
        }
        walk_mut::walk_class_body(self, body);
    }
}
