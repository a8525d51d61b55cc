//! Replaces `process.env.NODE_ENV`, as bundlers do: packages rely on it, and workers have no `process`.

use oxc::allocator::Allocator;
use oxc::ast::ast::{ChainElement, ChainExpression, Expression, MemberExpression, SimpleAssignmentTarget};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::semantic::{Scoping, SemanticBuilder};
use oxc::span::{GetSpan, SourceType, Span};

/// Quickly checks whether the source contains it.
pub(super) fn is_named(source: &str) -> bool {
    source.contains("NODE_ENV") && source.contains("process")
}

/// The source with `value` in place of `process.env.NODE_ENV`, padded to preserve lines and columns. `None` if it is
/// not read, if `process` is declared in the module, or if the source does not parse.
pub(super) fn replace(source: &str, source_type: SourceType, value: &str) -> Option<String> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, source, source_type).parse();
    if parsed.panicked {
        return None;
    }
    let scoping = SemanticBuilder::new().build(&parsed.program).semantic.into_scoping();
    let mut finder = Finder {
        scoping: &scoping,
        found: Vec::new(),
    };
    finder.visit_program(&parsed.program);
    let found = finder.found;
    if found.is_empty() {
        return None;
    }
    let literal = serde_json::Value::from(value).to_string();
    let mut replaced = String::with_capacity(source.len());
    let mut end = 0;
    for span in found {
        let (from, to) = (span.start as usize, span.end as usize);
        replaced.push_str(source.get(end..from)?);
        replaced.push_str(&literal);
        // The expression may span several lines.
        let written = source.get(from..to)?;
        match written.rsplit_once('\n') {
            Some((above, below)) => {
                replaced.extend(above.chars().filter(|c| *c == '\n'));
                replaced.push('\n');
                replaced.extend(std::iter::repeat_n(' ', below.encode_utf16().count()));
            }
            None => {
                let rest = written.len().saturating_sub(literal.len());
                replaced.extend(std::iter::repeat_n(' ', rest));
            }
        }
        end = to;
    }
    replaced.push_str(source.get(end..)?);
    Some(replaced)
}

struct Finder<'s> {
    scoping: &'s Scoping,
    found: Vec<Span>,
}

impl Finder<'_> {
    fn is_node_env(&self, member: &MemberExpression<'_>) -> bool {
        member.static_property_name() == Some("NODE_ENV")
            && as_member(member.object())
                .is_some_and(|env| env.static_property_name() == Some("env") && self.is_process(env.object()))
    }

    /// Returns true for the global `process`.
    fn is_process(&self, expression: &Expression<'_>) -> bool {
        let Expression::Identifier(name) = expression.without_parentheses() else {
            return false;
        };
        let is_declared = name
            .reference_id
            .get()
            .is_some_and(|id| self.scoping.get_reference(id).symbol_id().is_some());
        name.name == "process" && !is_declared
    }
}

fn as_member<'e, 'a>(expression: &'e Expression<'a>) -> Option<&'e MemberExpression<'a>> {
    match expression.without_parentheses() {
        Expression::ChainExpression(chain) => chain.expression.as_member_expression(),
        other => other.as_member_expression(),
    }
}

impl<'a> Visit<'a> for Finder<'_> {
    fn visit_member_expression(&mut self, member: &MemberExpression<'a>) {
        if self.is_node_env(member) {
            self.found.push(member.span());
        } else {
            walk::walk_member_expression(self, member);
        }
    }

    fn visit_chain_expression(&mut self, chain: &ChainExpression<'a>) {
        if let ChainElement::StaticMemberExpression(_) | ChainElement::ComputedMemberExpression(_) = &chain.expression
            && let Some(member) = chain.expression.as_member_expression()
            && self.is_node_env(member)
        {
            self.found.push(chain.span);
        } else {
            walk::walk_chain_expression(self, chain);
        }
    }

    /// Targets of assignments are not replaced.
    fn visit_simple_assignment_target(&mut self, target: &SimpleAssignmentTarget<'a>) {
        if let Some(member) = target.as_member_expression()
            && self.is_node_env(member)
        {
            return;
        }
        walk::walk_simple_assignment_target(self, target);
    }
}
