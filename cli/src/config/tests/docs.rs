//! The committed schema and the reference in the documentation are up to date.
//!
//! `ISOPOD_UPDATE_DOCS=1 cargo test` updates them.

use std::fmt::Write as _;

use serde_json::Value as Json;

use super::*;
use crate::config::check::describe;

const DOCS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs");
const BEGIN: &str = "<!-- reference: written by the tests of cli/src/config -->\n";
const END: &str = "<!-- end of the reference -->\n";

fn holds(file: &str, wanted: impl Fn(&str) -> String) {
    let path = Path::new(DOCS).join(file);
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    let wanted = wanted(&committed);
    if std::env::var_os("ISOPOD_UPDATE_DOCS").is_some() {
        return std::fs::write(&path, wanted).expect("the documentation can be written");
    }
    assert!(
        committed == wanted,
        "docs/{file} is out of date; update it with ISOPOD_UPDATE_DOCS=1"
    );
}

#[test]
fn the_committed_schema_is_the_current_one() {
    holds("isopod.schema.json", |_| {
        serde_json::to_string_pretty(&schema()).expect("a schema is JSON") + "\n"
    });
}

#[test]
fn the_reference_in_the_documentation_has_every_key() {
    holds("configuration.md", |committed| {
        let (before, rest) = committed.split_once(BEGIN).expect("the reference's beginning");
        let (_, after) = rest.split_once(END).expect("the reference's end");
        format!("{before}{BEGIN}\n{}\n{END}{after}", reference())
    });
}

#[test]
fn the_example_that_opens_the_documentation_is_a_valid_configuration() {
    let text = std::fs::read_to_string(Path::new(DOCS).join("configuration.md")).expect("the documentation");
    let (_, rest) = text.split_once("```toml\n").expect("an example");
    let (example, _) = rest.split_once("```").expect("its end");
    let project = Project::new(&[("isopod.toml", example), ("src/index.ts", ""), (".env", "API_KEY=k")]);
    assert_eq!(project.config().workers["hello"].secrets["API_KEY"].reveal(), "k");
}

fn reference() -> String {
    let mut tables = String::new();
    table(&mut tables, "At the top level", "", &schema());
    tables
}

/// A table of the keys of `schema`, then one for each table among them.
fn table(out: &mut String, title: &str, prefix: &str, schema: &Json) {
    let properties = schema["properties"].as_object().expect("a table has properties");
    let required = |key: &str| {
        schema["required"]
            .as_array()
            .is_some_and(|names| names.iter().any(|name| name == key))
    };
    let _ = writeln!(
        out,
        "### {title}\n\n| key | meaning | value | default |\n|---|---|---|---|"
    );
    let mut inner = Vec::new();
    for (key, schema) in properties {
        let about = schema["description"].as_str().unwrap_or_default().replace('\n', " ");
        let default = match &schema["default"] {
            Json::Null if required(key) => "required".to_owned(),
            Json::Null => "none".to_owned(),
            value => format!("`{value}`"),
        };
        let mut value = describe(schema);
        if let Some((title, table)) = table_in(prefix, key, schema) {
            let anchor = title.to_lowercase().replace('.', "");
            value = format!("{value}, see [{title}](#{anchor})");
            inner.push((title, table));
        }
        let value = value.replace('|', "\\|");
        let _ = writeln!(out, "| `{key}` | {about} | {value} | {default} |");
    }
    let _ = writeln!(out);
    for (title, schema) in inner {
        if title == "workers.NAME" {
            let keys: Vec<String> = schema["properties"]
                .as_object()
                .expect("keys")
                .keys()
                .map(|key| format!("`{key}`"))
                .collect();
            let _ = writeln!(
                out,
                "### {title}\n\nOf the keys above, those of one worker: {}.\n",
                keys.join(", ")
            );
        } else {
            table(out, &title, &title, schema);
        }
    }
}

/// The table that a key contains: as its value, in a list, by name or as one of its forms.
fn table_in<'a>(prefix: &str, key: &str, schema: &'a Json) -> Option<(String, &'a Json)> {
    let path = if prefix.is_empty() {
        key.to_owned()
    } else {
        format!("{prefix}.{key}")
    };
    let forms = schema["items"]["anyOf"].as_array().into_iter().flatten();
    let candidates = [(path.clone(), schema), (path.clone(), &schema["items"])];
    let by_name = (format!("{path}.NAME"), &schema["additionalProperties"]);
    let all = candidates
        .into_iter()
        .chain([by_name])
        .chain(forms.map(|form| (path.clone(), form)));
    all.into_iter().find(|(_, schema)| schema["properties"].is_object())
}
