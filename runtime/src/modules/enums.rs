//! The size of the values of enums, before they are computed.
//!
//! The compiler computes the values of members and writes them where they are used. A member may join the strings of others, so that a
//! few lines are gigabytes, and a long string may be used in many places.

use std::collections::HashMap;

use oxc::ast::ast::{
    Expression, IdentifierReference, Program, StaticMemberExpression, StringLiteral, TSEnumDeclaration,
    TSEnumMemberName,
};
use oxc::ast_visit::{Visit, walk};
use oxc::syntax::operator::BinaryOperator;

/// Upper bound of [`cost`]. Less than a second's work.
pub(super) const COST_MAX: u64 = 64 << 20;

/// Length of a number in a string.
const NUMBER_BYTES: u64 = 25;

/// An upper bound of the bytes that computing and inserting the values of enums copies. Counts uses of any property that has the name of
/// a member, and more for each declaration, because each reference is looked for in all declarations of its enum.
pub(super) fn cost(program: &Program<'_>) -> u64 {
    let mut values = Values::default();
    values.visit_program(program);
    if values.longest.is_empty() {
        return 0;
    }
    let mut uses = Uses {
        longest: &values.longest,
        cost: values.cost,
    };
    uses.visit_program(program);
    uses.cost
}

/// Computes the lengths of values in the order in which the compiler computes the values.
#[derive(Default)]
struct Values<'a> {
    /// The longest value of all members of a name.
    longest: HashMap<&'a str, u64>,
    declarations: u64,
    cost: u64,
}

impl<'a> Values<'a> {
    /// The length of an expression's value, which it also adds to the cost.
    fn length(&mut self, expression: &Expression<'a>) -> u64 {
        let length = match expression {
            Expression::StringLiteral(text) => text.value.len() as u64,
            Expression::TemplateLiteral(template) => {
                let texts = template.quasis.iter().map(|quasi| {
                    let cooked = quasi.value.cooked.as_ref().map_or(0, |cooked| cooked.len());
                    cooked.max(quasi.value.raw.len()) as u64
                });
                let texts = texts.sum();
                let parts = template.expressions.iter();
                parts.fold(texts, |sum: u64, part| sum.saturating_add(self.length(part)))
            }
            Expression::BinaryExpression(binary) => {
                let both = self.length(&binary.left).saturating_add(self.length(&binary.right));
                match binary.operator {
                    BinaryOperator::Addition => both,
                    _ => NUMBER_BYTES,
                }
            }
            Expression::UnaryExpression(unary) => self.length(&unary.argument),
            Expression::ParenthesizedExpression(inner) => return self.length(&inner.expression),
            Expression::Identifier(name) => self.reference(name.name.as_str()),
            Expression::StaticMemberExpression(member) => self.reference(member.property.name.as_str()),
            Expression::ComputedMemberExpression(member) => match &member.expression {
                Expression::StringLiteral(name) => self.reference(name.value.as_str()),
                _ => NUMBER_BYTES,
            },
            _ => NUMBER_BYTES,
        };
        let length = length.max(NUMBER_BYTES);
        self.cost = self.cost.saturating_add(length);
        length
    }

    fn reference(&mut self, name: &str) -> u64 {
        self.cost = self.cost.saturating_add(self.declarations);
        self.longest.get(name).copied().unwrap_or_default()
    }
}

impl<'a> Visit<'a> for Values<'a> {
    fn visit_ts_enum_declaration(&mut self, declaration: &TSEnumDeclaration<'a>) {
        // Enums within functions in it come first.
        walk::walk_ts_enum_declaration(self, declaration);
        self.declarations += 1;
        for member in &declaration.body.members {
            let length = member
                .initializer
                .as_ref()
                .map_or(NUMBER_BYTES, |value| self.length(value));
            let name = match &member.id {
                TSEnumMemberName::Identifier(name) => name.name.as_str(),
                TSEnumMemberName::String(name) | TSEnumMemberName::ComputedString(name) => name.value.as_str(),
                TSEnumMemberName::ComputedTemplateString(_) => continue,
            };
            let longest = self.longest.entry(name).or_default();
            *longest = length.max(*longest);
        }
    }
}

/// Adds the lengths of the values where they may be inserted.
struct Uses<'v, 'a> {
    longest: &'v HashMap<&'a str, u64>,
    cost: u64,
}

impl Uses<'_, '_> {
    fn add(&mut self, name: &str) {
        let length = self.longest.get(name).copied().unwrap_or_default();
        self.cost = self.cost.saturating_add(length);
    }
}

impl<'a> Visit<'a> for Uses<'_, 'a> {
    fn visit_identifier_reference(&mut self, name: &IdentifierReference<'a>) {
        self.add(name.name.as_str());
    }

    fn visit_static_member_expression(&mut self, member: &StaticMemberExpression<'a>) {
        self.add(member.property.name.as_str());
        walk::walk_static_member_expression(self, member);
    }

    // The names of computed members are among them.
    fn visit_string_literal(&mut self, text: &StringLiteral<'a>) {
        self.add(text.value.as_str());
    }
}

#[cfg(test)]
mod tests {
    use oxc::allocator::Allocator;
    use oxc::parser::Parser;
    use oxc::span::SourceType;

    use super::{COST_MAX, cost};

    fn cost_of(code: &str) -> u64 {
        let allocator = Allocator::default();
        let parsed = Parser::new(&allocator, code, SourceType::ts()).parse();
        assert!(parsed.diagnostics.errors().next().is_none(), "{code}");
        cost(&parsed.program)
    }

    /// An enum whose members each have twice the last one's value.
    fn doubling(members: usize, twice: impl Fn(usize) -> String) -> String {
        let members: Vec<String> = (1..members).map(|at| format!("a{at} = {}", twice(at - 1))).collect();
        format!("enum A {{ a0 = 'xxxxxxxxxx', {} }}", members.join(", "))
    }

    #[test]
    fn ordinary_enums_cost_little() {
        let members: String = (0..1_000).map(|at| format!("name{at} = 'value {at}', ")).collect();
        assert_eq!(cost_of("const a = 1; a.b.c"), 0);
        assert!(cost_of(&format!("enum A {{ {members} }} {}", "A.name1;".repeat(1_000))) < 1 << 20);
        assert!(
            cost_of("enum Flags { A = 1 << 0, B = 1 << 1, C = A | B, D = Flags.A | Flags['B'] } Flags.C") < 1 << 10
        );
    }

    #[test]
    fn values_that_grow_exceed_it() {
        for code in [
            doubling(30, |last| format!("`${{a{last}}}${{a{last}}}`")),
            doubling(30, |last| format!("a{last} + a{last}")),
            doubling(30, |last| format!("+(A.a{last} + A['a{last}'])")),
            // Of one enum in another, and of one that is declared again.
            format!(
                "{} enum B {{ b = A.a19 + A.a19, c = b + b + b + b + b + b }}",
                doubling(20, |last| format!("a{last} + a{last}"))
            ),
            format!(
                "{} enum A {{ b = a19 + a19 + a19 + a19 + a19 + a19 }}",
                doubling(20, |last| format!("a{last} + a{last}"))
            ),
        ] {
            assert!(cost_of(&code) > COST_MAX, "{code}: {}", cost_of(&code));
        }
    }

    #[test]
    fn long_values_in_many_places_exceed_it() {
        let long = "x".repeat(1 << 20);
        for used in ["A.long;", "A['long'];", "(enum => 1)(A?.long);"] {
            let used = used.replace("enum", "e");
            let code = format!("const enum A {{ long = '{long}' }} {}", used.repeat(100));
            assert!(cost_of(&code) > COST_MAX, "{used}");
        }
        // Each step of a sum is a string of its own.
        let code = format!(
            "enum A {{ a = '{}', b = {} }}",
            "x".repeat(1_000),
            ["a"; 1_000].join(" + ")
        );
        assert!(cost_of(&code) > COST_MAX);
    }
}
