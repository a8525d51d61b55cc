//! TOML, and JSON with comments, as a tree in which every key and value has its place in the file.

use std::fmt;

use jsonc_parser::ast;
use jsonc_parser::common::Ranged as _;
use serde_json::{Map, Number, Value as Json};
use toml::de::{DeTable, DeValue};

use super::problem::{Fault, Problem};
use super::source::{Source, Span};

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) span: Span,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    Null,
    Bool(bool),
    Number(Number),
    Text(String),
    List(Vec<Node>),
    Table(Vec<Entry>),
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_span: Span,
    pub(super) node: Node,
}

/// Path of a value in the tree, such as `workers.api.routes[0]`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct KeyPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl KeyPath {
    pub(super) fn of(key: &str) -> Self {
        Self::default().key(key)
    }

    #[must_use]
    pub(super) fn key(&self, key: &str) -> Self {
        self.with(Step::Key(key.to_owned()))
    }

    #[must_use]
    pub(super) fn index(&self, index: usize) -> Self {
        self.with(Step::Index(index))
    }

    fn with(&self, step: Step) -> Self {
        let mut steps = self.0.clone();
        steps.push(step);
        Self(steps)
    }
}

impl fmt::Display for KeyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (position, step) in self.0.iter().enumerate() {
            match step {
                Step::Index(index) => write!(f, "[{index}]")?,
                Step::Key(key) if position == 0 => f.write_str(key)?,
                Step::Key(key) => write!(f, ".{key}")?,
            }
        }
        Ok(())
    }
}

/// Maximum number of reported syntax errors; further ones are consequences of these.
const SYNTAX_PROBLEMS_MAX: usize = 20;

impl Node {
    /// Returns an empty document.
    pub(super) fn empty() -> Self {
        Self {
            span: 0..0,
            value: Value::Table(Vec::new()),
        }
    }

    /// Parses TOML. The parser continues after an error, so there may be several.
    pub(super) fn from_toml(source: &Source) -> Result<Self, Vec<Problem>> {
        let (table, errors) = DeTable::parse_recoverable(source.text());
        if errors.is_empty() {
            return Ok(Self {
                span: 0..0,
                value: Value::Table(toml_table(table.get_ref())),
            });
        }
        let problem = |error: &toml::de::Error| {
            let fault = Fault::Syntax {
                message: error.message().trim_end().replace('\n', ", "),
            };
            Problem::new(fault).at(source.place(&error.span().unwrap_or(0..0)))
        };
        Err(errors.iter().take(SYNTAX_PROBLEMS_MAX).map(problem).collect())
    }

    /// Parses JSON with comments and trailing commas.
    pub(super) fn from_jsonc(source: &Source) -> Result<Self, Vec<Problem>> {
        let options = jsonc_parser::ParseOptions {
            allow_comments: true,
            allow_trailing_commas: true,
            allow_loose_object_property_names: false,
            allow_missing_commas: false,
            allow_single_quoted_strings: false,
            allow_hexadecimal_numbers: false,
            allow_unary_plus_numbers: false,
        };
        let syntax =
            |message: String, span: Span| vec![Problem::new(Fault::Syntax { message }).at(source.place(&span))];
        match jsonc_parser::parse_to_ast(source.text(), &jsonc_parser::CollectOptions::default(), &options) {
            Err(error) => Err(syntax(error.kind().to_string(), error.range().start..error.range().end)),
            Ok(result) => match result.value {
                None => Err(syntax("the file is empty; it should hold an object".to_owned(), 0..0)),
                Some(value) => {
                    let mut problems = Vec::new();
                    let node = json_node(source, &value, &mut problems);
                    if problems.is_empty() { Ok(node) } else { Err(problems) }
                }
            },
        }
    }

    /// Returns the entries of a table, and none for any other value.
    pub(super) fn entries(&self) -> &[Entry] {
        if let Value::Table(entries) = &self.value {
            entries
        } else {
            &[]
        }
    }

    /// Removes and returns the entries for which `wanted` returns true.
    pub(super) fn take_entries(&mut self, mut wanted: impl FnMut(&Entry) -> bool) -> Vec<Entry> {
        match &mut self.value {
            Value::Table(entries) => entries.extract_if(.., |entry| wanted(entry)).collect(),
            _ => Vec::new(),
        }
    }

    pub(super) fn entry_mut(&mut self, key: &str) -> Option<&mut Self> {
        match &mut self.value {
            Value::Table(entries) => entries
                .iter_mut()
                .find(|entry| entry.key == key)
                .map(|entry| &mut entry.node),
            _ => None,
        }
    }

    /// Returns the place of the value at `path`, or of its nearest ancestor in the document.
    pub(super) fn locate(&self, path: &KeyPath) -> Span {
        self.walk(path).0.span.clone()
    }

    /// Returns whether there is a value at `path`.
    pub(super) fn has(&self, path: &KeyPath) -> bool {
        self.walk(path).1 == path.0.len()
    }

    /// Returns the deepest node along `path`, and the number of steps to it.
    fn walk(&self, path: &KeyPath) -> (&Self, usize) {
        let mut node = self;
        for (taken, step) in path.0.iter().enumerate() {
            let next = match (step, &node.value) {
                (Step::Key(key), Value::Table(entries)) => entries.iter().find(|e| e.key == *key).map(|e| &e.node),
                (Step::Index(index), Value::List(items)) => items.get(*index),
                _ => None,
            };
            match next {
                Some(next) => node = next,
                None => return (node, taken),
            }
        }
        (node, path.0.len())
    }

    /// Converts the tree to JSON, without places.
    pub(super) fn to_json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(*value),
            Value::Number(value) => Json::Number(value.clone()),
            Value::Text(value) => Json::String(value.clone()),
            Value::List(items) => Json::Array(items.iter().map(Self::to_json).collect()),
            Value::Table(entries) => Json::Object(
                entries
                    .iter()
                    .map(|e| (e.key.clone(), e.node.to_json()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }

    /// Returns the name of the value's type for messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "null",
            Value::Bool(_) => "true or false",
            Value::Number(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }
}

fn toml_table(table: &DeTable<'_>) -> Vec<Entry> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref().to_string(),
            key_span: key.span(),
            node: Node {
                span: value.span(),
                value: toml_value(value.get_ref()),
            },
        })
        .collect();
    // The parser's map is sorted by name; problems are reported in the order of the file.
    entries.sort_by_key(|entry| entry.key_span.start);
    entries
}

fn toml_value(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::Text(text.to_string()),
        DeValue::Boolean(value) => Value::Bool(*value),
        // A number that JSON cannot represent (`inf`, 2^70) stays text, and is reported as having the wrong type.
        DeValue::Integer(value) => match i64::from_str_radix(value.as_str(), value.radix()) {
            Ok(number) => Value::Number(number.into()),
            Err(_) => Value::Text(value.to_string()),
        },
        DeValue::Float(value) => match value.as_str().parse().ok().and_then(Number::from_f64) {
            Some(number) => Value::Number(number),
            None => Value::Text(value.to_string()),
        },
        DeValue::Datetime(value) => Value::Text(value.to_string()),
        DeValue::Array(items) => Value::List(
            items
                .iter()
                .map(|item| Node {
                    span: item.span(),
                    value: toml_value(item.get_ref()),
                })
                .collect(),
        ),
        DeValue::Table(table) => Value::Table(toml_table(table)),
    }
}

fn json_node(source: &Source, value: &ast::Value<'_>, problems: &mut Vec<Problem>) -> Node {
    let range = value.range();
    let value = match value {
        ast::Value::StringLit(text) => Value::Text(text.value.to_string()),
        ast::Value::BooleanLit(literal) => Value::Bool(literal.value),
        ast::Value::NullKeyword(_) => Value::Null,
        ast::Value::NumberLit(literal) => match serde_json::from_str(literal.value) {
            Ok(number) => Value::Number(number),
            Err(_) => Value::Text(literal.value.to_owned()),
        },
        ast::Value::Array(array) => Value::List(
            array
                .elements
                .iter()
                .map(|item| json_node(source, item, problems))
                .collect(),
        ),
        ast::Value::Object(object) => {
            let mut entries: Vec<Entry> = Vec::new();
            for property in &object.properties {
                let key = property.name.as_str().to_owned();
                let name = property.name.range();
                let key_span = name.start..name.end;
                if entries.iter().any(|entry| entry.key == key) {
                    let fault = Fault::Syntax {
                        message: format!("`{key}` is given twice"),
                    };
                    problems.push(Problem::new(fault).at(source.place(&key_span)));
                }
                entries.push(Entry {
                    key,
                    key_span,
                    node: json_node(source, &property.value, problems),
                });
            }
            Value::Table(entries)
        }
    };
    Node {
        span: range.start..range.end,
        value,
    }
}
