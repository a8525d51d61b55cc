//! Checks a document against a schema and reports all problems at once.
//!
//! It supports the part of JSON Schema that Isopod uses. Serde reads the document afterwards and then cannot fail: serde
//! alone would stop at the first problem.

use serde_json::Value as Json;

use super::document::{Entry, KeyPath, Node, Value};
use super::place::Place;
use super::problem::{Fault, Problem};
use super::source::{Source, Span};
use super::values;

/// Returns all problems of `node` under `schema`. A misspelled key may have been meant for one of `elsewhere`, the keys that
/// are handled before this check.
pub(super) fn check(source: &Source, node: &Node, schema: &Json, elsewhere: &[&str]) -> Vec<Problem> {
    let mut checker = Checker {
        source,
        root: schema,
        elsewhere,
        problems: Vec::new(),
    };
    checker.node(node, schema, &KeyPath::default());
    checker.problems
}

/// Longer words match no name; comparing takes time and memory proportional to the length.
const WORD_BYTES_MAX: usize = 100;

/// Returns the name in `known` that `word` most likely stands for.
pub(super) fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let plain = |text: &str| text.to_lowercase().replace('-', "_");
    let scored = known
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(&plain(word), &plain(name)), name));
    // More than a third of the letters wrong is another word, not a slip.
    scored
        .filter(|(distance, name)| *distance * 3 <= name.len().max(word.len()))
        .min_by_key(|(d, _)| *d)
        .map(|(_, n)| n)
}

struct Checker<'a> {
    source: &'a Source,
    /// The schema of the whole document.
    root: &'a Json,
    elsewhere: &'a [&'a str],
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn tell(&mut self, span: &Span, fault: Fault, remedy: Option<String>) {
        let problem = Problem::new(fault).at(self.source.place(span));
        self.problems.push(Problem { remedy, ..problem });
    }

    fn wrong_type(&mut self, node: &Node, schema: &Json, path: &KeyPath) {
        let fault = Fault::WrongType {
            key: path.to_string(),
            expected: describe(schema),
            found: node.kind().to_owned(),
        };
        self.tell(&node.span, fault, None);
    }

    fn node(&mut self, node: &Node, schema: &Json, path: &KeyPath) {
        if let Some(choices) = choices(schema) {
            return self.choice(node, schema, choices, path);
        }
        if !fits(node, schema) {
            return self.wrong_type(node, schema, path);
        }
        match &node.value {
            Value::Table(entries) => self.table(node, entries, schema, path),
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.node(item, &schema["items"], &path.index(index));
                }
            }
            Value::Text(text) => self.text(node, text, schema, path),
            Value::Number(number) => {
                let value = number.as_f64().unwrap_or_default();
                let (low, high) = (schema["minimum"].as_f64(), schema["maximum"].as_f64());
                if low.is_some_and(|low| value < low) || high.is_some_and(|high| value > high) {
                    let reason = format!("should be {}", describe(schema));
                    let fault = Fault::BadValue {
                        key: path.to_string(),
                        value: number.to_string(),
                        reason,
                    };
                    self.tell(&node.span, fault, None);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    fn table(&mut self, node: &Node, entries: &[Entry], schema: &Json, path: &KeyPath) {
        let properties = schema["properties"].as_object();
        for Entry { key, key_span, node } in entries {
            let here = path.key(key);
            match properties.and_then(|properties| properties.get(key)) {
                Some(inner) => self.node(node, inner, &here),
                None => match &schema["additionalProperties"] {
                    Json::Bool(false) => {
                        let known = properties.into_iter().flat_map(|p| p.keys()).map(String::as_str);
                        let remedy = match nearest(key, known.clone().chain(self.elsewhere.iter().copied())) {
                            Some(name) => format!("did you mean `{name}`?"),
                            None if self.root["properties"].get(key).is_some() => {
                                format!("`{key}` belongs at the top level of the file, before the first table")
                            }
                            None => format!("known keys: {}", known.collect::<Vec<_>>().join(", ")),
                        };
                        self.tell(key_span, Fault::UnknownKey { key: here.to_string() }, Some(remedy));
                    }
                    inner => {
                        let format = schema["propertyNames"]["format"].as_str().unwrap_or_default();
                        if let Err(reason) = values::check_format(format, key) {
                            let fault = Fault::BadValue {
                                key: here.to_string(),
                                value: format!("{key:?}"),
                                reason,
                            };
                            self.tell(key_span, fault, None);
                        }
                        self.node(node, inner, &here);
                    }
                },
            }
        }
        for name in schema["required"]
            .as_array()
            .into_iter()
            .flatten()
            .filter_map(Json::as_str)
        {
            if !entries.iter().any(|entry| entry.key == name) {
                let remedy = format!("add `{name}`: {}", describe(&schema["properties"][name]));
                self.tell(
                    &node.span,
                    Fault::Missing {
                        key: path.key(name).to_string(),
                    },
                    Some(remedy),
                );
            }
        }
    }

    fn text(&mut self, node: &Node, text: &str, schema: &Json, path: &KeyPath) {
        let format = schema["format"].as_str().unwrap_or_default();
        let allowed = constants(schema);
        if !allowed.is_empty() && !allowed.contains(&text) {
            let reason = format!("should be {}", describe(schema));
            let remedy = nearest(text, allowed).map(|name| format!("did you mean {name:?}?"));
            let fault = Fault::BadValue {
                key: path.to_string(),
                value: format!("{text:?}"),
                reason,
            };
            return self.tell(&node.span, fault, remedy);
        }
        if let Err(reason) = values::check_format(format, text) {
            let sensitive = values::is_sensitive(format);
            let value = if sensitive {
                "(not shown)".to_owned()
            } else {
                format!("{text:?}")
            };
            let mut place: Place = self.source.place(&node.span);
            if sensitive {
                place.frame.clear();
            }
            self.problems.push(
                Problem::new(Fault::BadValue {
                    key: path.to_string(),
                    value,
                    reason,
                })
                .at(place),
            );
        }
    }

    /// Checks a value that may be one of several types or constants.
    fn choice(&mut self, node: &Node, schema: &Json, choices: &[Json], path: &KeyPath) {
        let fitting: Vec<&Json> = choices.iter().filter(|choice| fits(node, choice)).collect();
        match (fitting.as_slice(), &node.value) {
            ([only], _) => self.node(node, only, path),
            ([], _) => self.wrong_type(node, schema, path),
            (_, Value::Text(text)) => self.text(node, text, schema, path),
            _ => {}
        }
    }
}

fn choices(schema: &Json) -> Option<&[Json]> {
    schema["anyOf"]
        .as_array()
        .or_else(|| schema["oneOf"].as_array())
        .map(Vec::as_slice)
}

/// Returns the allowed texts of an enumeration.
fn constants(schema: &Json) -> Vec<&str> {
    if let Some(choices) = choices(schema) {
        return choices.iter().flat_map(constants).collect();
    }
    match &schema["enum"] {
        Json::Array(texts) => texts.iter().filter_map(Json::as_str).collect(),
        _ => schema["const"].as_str().into_iter().collect(),
    }
}

/// Returns whether the value has the schema's type, regardless of its content.
fn fits(node: &Node, schema: &Json) -> bool {
    let one = |kind: &str| match &node.value {
        Value::Null => true, // `null` in a JSON file is the same as absent.
        Value::Bool(_) => kind == "boolean",
        Value::Number(number) => kind == "number" || (kind == "integer" && (number.is_i64() || number.is_u64())),
        Value::Text(_) => kind == "string",
        Value::List(_) => kind == "array",
        Value::Table(_) => kind == "object",
    };
    match &schema["type"] {
        Json::String(kind) => one(kind),
        Json::Array(kinds) => kinds.iter().filter_map(Json::as_str).any(one),
        _ => true,
    }
}

/// Describes the allowed values.
pub(super) fn describe(schema: &Json) -> String {
    let constants = constants(schema);
    if !constants.is_empty() {
        let quoted: Vec<String> = constants.iter().map(|text| format!("\"{text}\"")).collect();
        return quoted.join(" or ");
    }
    if let Some(choices) = choices(schema) {
        let mut words: Vec<String> = choices.iter().map(describe).collect();
        // A size's text form already says that a number does as well.
        words.dedup_by(|number, text| text.contains("number of bytes") && number.starts_with("a whole number"));
        return words.join(", or ");
    }
    match schema["type"].as_str().unwrap_or_default() {
        "string" => schema["format"]
            .as_str()
            .and_then(values::about_format)
            .unwrap_or("text")
            .to_owned(),
        "integer" => match (schema["minimum"].as_u64(), schema["maximum"].as_u64()) {
            (Some(low), Some(high)) => format!("a whole number from {low} to {high}"),
            (Some(low), None) => format!("a whole number, at least {low}"),
            _ => "a whole number".to_owned(),
        },
        "number" => "a number".to_owned(),
        "boolean" => "true or false".to_owned(),
        "array" => format!("a list; each: {}", describe(&schema["items"])),
        "object" => "a table".to_owned(),
        _ => "any value".to_owned(),
    }
}
