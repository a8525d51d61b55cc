//! Replaces constants such as `process.env.NODE_ENV` in code, as bundlers do: packages rely on it, and workers have no
//! `process`.
//!
//! The text is replaced and not the syntax tree (as the transformer's own plugin does), so that the rest of the code, its lines and,
//! where the constant is shorter than its name, its columns stay as written.

use std::collections::BTreeMap;

use oxc::allocator::Allocator;
use oxc::ast::ast::{
    ChainElement, ChainExpression, Expression, MemberExpression, ObjectProperty, SimpleAssignmentTarget,
};
use oxc::ast_visit::{Visit, walk};
use oxc::parser::Parser;
use oxc::semantic::{Scoping, SemanticBuilder};
use oxc::span::{GetSpan, SourceType, Span};
use oxc::syntax::identifier::is_identifier_name;
use oxc::syntax::keyword::is_reserved_keyword;
use serde_json::Value;

use url::Url;

use super::error::{ModuleError, display_url};

/// Maximum number of bytes of all constants in a module: a script may use a long one any number of times.
const BYTES_MAX: u64 = 4 << 20;

/// The constants of a script.
#[derive(Debug)]
pub(super) struct Defines(Vec<Define>);

#[derive(Debug)]
struct Define {
    /// The names from the global one on: `process`, `env`, `NODE_ENV`.
    names: Vec<String>,
    /// Code in its place.
    code: String,
}

impl Defines {
    /// The constants of the options, and `process.env.NODE_ENV` unless they have it.
    ///
    /// # Errors
    ///
    /// A name is not one that code can have, or a value is neither JSON nor a name.
    pub(super) fn new(define: &BTreeMap<String, String>, node_env: &str) -> Result<Self, ModuleError> {
        const NODE_ENV: &str = "process.env.NODE_ENV";
        let mut defines = Vec::with_capacity(define.len() + 1);
        if !define.contains_key(NODE_ENV) {
            defines.push(Define {
                names: NODE_ENV.split('.').map(String::from).collect(),
                code: Value::from(node_env).to_string(),
            });
        }
        for (name, value) in define {
            let invalid = |reason| ModuleError::InvalidDefine {
                name: name.clone(),
                reason,
            };
            let names = names_of(name)
                .ok_or_else(|| invalid("the name should be `VERSION`, or a property such as `process.env.MODE`"))?;
            let code = code_of(value)
                .ok_or_else(|| invalid("the value should be JSON, with text in quotes of its own, or another name"))?;
            defines.push(Define { names, code });
        }
        Ok(Self(defines))
    }

    /// Quickly checks whether the source may contain one.
    pub(super) fn may_be_in(&self, source: &str) -> bool {
        let is_named = |define: &Define| define.names.iter().all(|name| source.contains(name.as_str()));
        self.0.iter().any(is_named)
    }

    /// The source with the constants in it. `None` if it uses none, or declares the global variables itself, or does not parse.
    ///
    /// # Errors
    ///
    /// [`ModuleError::DefinesTooLarge`].
    pub(super) fn replace(
        &self,
        url: &Url,
        source: &str,
        source_type: SourceType,
    ) -> Result<Option<String>, ModuleError> {
        let allocator = Allocator::default();
        let parsed = Parser::new(&allocator, source, source_type).parse();
        if parsed.panicked {
            return Ok(None);
        }
        let scoping = SemanticBuilder::new().build(&parsed.program).semantic.into_scoping();
        let mut finder = Finder {
            defines: &self.0,
            scoping: &scoping,
            found: Vec::new(),
        };
        finder.visit_program(&parsed.program);
        let mut found = finder.found;
        if found.is_empty() {
            return Ok(None);
        }
        let bytes: u64 = found.iter().map(|found| found.define.code.len() as u64).sum();
        if bytes > BYTES_MAX {
            return Err(ModuleError::DefinesTooLarge {
                file: display_url(url),
                limit: BYTES_MAX,
            });
        }
        found.sort_unstable_by_key(|found| found.span.start);
        Ok(write(source, found))
    }
}

/// The source with the constants at these places, padded to preserve lines and columns.
fn write(source: &str, found: Vec<Found<'_>>) -> Option<String> {
    let mut replaced = String::with_capacity(source.len());
    let mut end = 0;
    for Found { span, define, name } in found {
        let (from, to) = (span.start as usize, span.end as usize);
        replaced.push_str(source.get(end..from)?);
        let start = replaced.len();
        if let Some(name) = name {
            replaced.push_str(name);
            replaced.push_str(": ");
        }
        replaced.push_str(&define.code);
        let length = replaced.len() - start;
        // The expression may span several lines.
        let written = source.get(from..to)?;
        match written.rsplit_once('\n') {
            Some((above, below)) => {
                replaced.extend(above.chars().filter(|c| *c == '\n'));
                replaced.push('\n');
                replaced.extend(std::iter::repeat_n(' ', below.encode_utf16().count()));
            }
            None => {
                let rest = written.len().saturating_sub(length);
                replaced.extend(std::iter::repeat_n(' ', rest));
            }
        }
        end = to;
    }
    replaced.push_str(source.get(end..)?);
    Some(replaced)
}

/// The names of `a.b.c`, or of `import.meta.c`; `None` if it is something else.
fn names_of(text: &str) -> Option<Vec<String>> {
    let names: Vec<String> = text.split('.').map(String::from).collect();
    let is_meta = names.len() > 2 && names[0] == "import" && names[1] == "meta";
    let is_valid = names.iter().all(|name| is_identifier_name(name)) && (is_meta || !is_reserved_keyword(&names[0]));
    is_valid.then_some(names)
}

/// Code for a value. It can stand wherever a name can: nothing before or after it changes its meaning.
fn code_of(value: &str) -> Option<String> {
    if let Some(names) = names_of(value) {
        return Some(names.join("."));
    }
    let value: Value = serde_json::from_str(value).ok()?;
    Some(match &value {
        Value::Null | Value::Bool(_) | Value::String(_) => value.to_string(),
        // With a space, for `1 .toFixed()`.
        Value::Number(number) if !number.to_string().starts_with('-') => format!("{number} "),
        // `-1 ** 2` is not allowed; `a⏎[0].b` and `a⏎({}).b` would continue the line above.
        Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            format!("JSON.parse({})", Value::from(value.to_string()))
        }
    })
}

/// A use of a constant.
struct Found<'d> {
    span: Span,
    define: &'d Define,
    /// The property's name, if the use is a property without a value: `{ VERSION }`.
    name: Option<&'d str>,
}

struct Finder<'d, 's> {
    defines: &'d [Define],
    scoping: &'s Scoping,
    found: Vec<Found<'d>>,
}

impl<'d> Finder<'d, '_> {
    fn of(&self, expression: &Expression<'_>) -> Option<&'d Define> {
        let mut defines = self.defines.iter();
        defines.find(|define| self.is_path(expression, &define.names))
    }

    fn of_member(&self, member: &MemberExpression<'_>) -> Option<&'d Define> {
        let mut defines = self.defines.iter();
        defines.find(|define| self.is_member(member, &define.names))
    }

    fn is_path(&self, expression: &Expression<'_>, names: &[String]) -> bool {
        match expression.without_parentheses() {
            Expression::Identifier(identifier) => match names {
                [name] if identifier.name == name.as_str() => {
                    let reference = identifier.reference_id.get();
                    let symbol = reference.and_then(|id| self.scoping.get_reference(id).symbol_id());
                    // `declare const VERSION: string` declares nothing that exists when the code runs.
                    symbol.is_none_or(|symbol| self.scoping.symbol_flags(symbol).is_ambient())
                }
                _ => false,
            },
            Expression::ImportMeta(_) => matches!(names, [import, meta] if import == "import" && meta == "meta"),
            Expression::ChainExpression(chain) => {
                let member = chain.expression.as_member_expression();
                member.is_some_and(|member| self.is_member(member, names))
            }
            other => other
                .as_member_expression()
                .is_some_and(|member| self.is_member(member, names)),
        }
    }

    fn is_member(&self, member: &MemberExpression<'_>, names: &[String]) -> bool {
        let Some((last, object)) = names.split_last() else {
            return false;
        };
        member.static_property_name() == Some(last.as_str()) && self.is_path(member.object(), object)
    }

    fn push(&mut self, span: Span, define: &'d Define) {
        self.found.push(Found {
            span,
            define,
            name: None,
        });
    }
}

impl<'a> Visit<'a> for Finder<'_, '_> {
    fn visit_expression(&mut self, expression: &Expression<'a>) {
        if let Expression::Identifier(identifier) = expression
            && let Some(define) = self.of(expression)
        {
            self.push(identifier.span, define);
        } else {
            walk::walk_expression(self, expression);
        }
    }

    fn visit_object_property(&mut self, property: &ObjectProperty<'a>) {
        if property.shorthand
            && let Some(define) = self.of(&property.value)
            && let [name] = &*define.names
        {
            self.found.push(Found {
                span: property.span,
                define,
                name: Some(name),
            });
        } else {
            walk::walk_object_property(self, property);
        }
    }

    fn visit_member_expression(&mut self, member: &MemberExpression<'a>) {
        match self.of_member(member) {
            Some(define) => self.push(member.span(), define),
            None => walk::walk_member_expression(self, member),
        }
    }

    fn visit_chain_expression(&mut self, chain: &ChainExpression<'a>) {
        if let ChainElement::StaticMemberExpression(_) | ChainElement::ComputedMemberExpression(_) = &chain.expression
            && let Some(member) = chain.expression.as_member_expression()
            && let Some(define) = self.of_member(member)
        {
            self.push(chain.span, define);
        } else {
            walk::walk_chain_expression(self, chain);
        }
    }

    /// Targets of assignments are not replaced.
    fn visit_simple_assignment_target(&mut self, target: &SimpleAssignmentTarget<'a>) {
        if let Some(member) = target.as_member_expression()
            && self.of_member(member).is_some()
        {
            return;
        }
        walk::walk_simple_assignment_target(self, target);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replace(defines: &Defines, source: &str, source_type: SourceType) -> Option<String> {
        let url = Url::parse("file:///a.js").unwrap();
        defines.replace(&url, source, source_type).unwrap()
    }

    fn replaced(define: &[(&str, &str)], source: &str, source_type: SourceType) -> String {
        let define = define
            .iter()
            .map(|(name, value)| (String::from(*name), String::from(*value)));
        let defines = Defines::new(&define.collect(), "development").unwrap();
        let replaced = defines
            .may_be_in(source)
            .then(|| replace(&defines, source, source_type));
        replaced.flatten().unwrap_or_else(|| source.to_owned())
    }

    /// As esbuild does with `--define`: <https://esbuild.github.io/api/#define>
    #[test]
    fn names_are_replaced_where_they_are_read_and_not_declared() {
        let define = [
            ("V", "\"1\""),
            ("N", "5"),
            ("MINUS", "-1"),
            ("LIST", "[1,\"a\"]"),
            ("NAME", "other.name"),
            ("a.b.c", "null"),
            ("import.meta.env.MODE", "\"m\""),
        ];
        for (source, expected) in [
            ("f(V)", "f(\"1\")"),
            ("f({ V, W })", "f({ V: \"1\", W })"),
            ("f({ V: 1 }, x.V, V.x)", "f({ V: 1 }, x.V, \"1\".x)"),
            ("N.toFixed()", "5 .toFixed()"),
            ("MINUS ** 2", "JSON.parse(\"-1\") ** 2"),
            ("LIST[0]", "JSON.parse(\"[1,\\\"a\\\"]\")[0]"),
            ("NAME()", "other.name()"),
            (
                "x(a.b.c, a?.b?.c, a['b'].c, (a.b).c)",
                "x(null , null   , null    , null   )",
            ),
            ("a.b.c.d", "null .d"),
            ("a\n.b\n.c", "null\n\n  "),
            ("import.meta.env.MODE", "\"m\"                 "),
            ("a.b.c = 1; V = 2", "a.b.c = 1; V = 2"),
            ("const V = 1; f(V)", "const V = 1; f(V)"),
            ("(V) => V", "(V) => V"),
            ("(() => V)((a) => a.b.c)", "(() => \"1\")((a) => a.b.c)"),
            ("`${V}`", "`${\"1\"}`"),
            ("typeof V", "typeof \"1\""),
            ("[V] = f(V)", "[V] = f(\"1\")"),
        ] {
            assert_eq!(replaced(&define, source, SourceType::mjs()), expected, "{source}");
        }
        let typescript = "declare const V: string; type T = typeof V; f<V>(V as V)";
        let expected = "declare const V: string; type T = typeof V; f<V>(\"1\" as V)";
        assert_eq!(replaced(&define, typescript, SourceType::ts()), expected);
        assert_eq!(replaced(&define, "<V a={V} />", SourceType::jsx()), "<V a={\"1\"} />");
    }

    #[test]
    fn the_mode_is_one_of_them_unless_it_is_set() {
        let source = "process.env.NODE_ENV";
        let set = [(source, "\"own\"")];
        assert_eq!(replaced(&[], source, SourceType::mjs()).trim_end(), "\"development\"");
        assert_eq!(replaced(&set, source, SourceType::mjs()).trim_end(), "\"own\"");
    }

    #[test]
    fn constants_in_a_module_are_limited() {
        let define = [("V".to_owned(), format!("\"{}\"", "v".repeat(1 << 20)))];
        let defines = Defines::new(&define.into(), "").unwrap();
        let url = Url::parse("file:///a.js").unwrap();
        let replace = |source: &str| defines.replace(&url, source, SourceType::mjs());
        assert!(replace("f(V, V, V)").unwrap().unwrap().len() > 3 << 20);
        let error = replace("f(V, V, V, V)").unwrap_err().to_string();
        assert!(error.contains("/a.js") && error.contains("4194304"), "{error}");
    }

    #[test]
    fn other_names_and_values_are_errors() {
        for (name, value) in [
            ("", "1"),
            ("a-b", "1"),
            ("a..b", "1"),
            ("if", "1"),
            ("import.meta", "1"),
            ("A", ""),
            ("A", "1 + 1"),
            ("A", "'a'"),
            ("A", "f()"),
            ("A", "return"),
            ("A", "{ a: 1 }"),
        ] {
            let define = [(name.to_owned(), value.to_owned())];
            let error = Defines::new(&define.into(), "").unwrap_err().to_string();
            assert!(error.contains(&format!("constant \"{name}\"")), "{error}");
        }
    }
}
