//! The JSON schema that editors, the checker and the documentation share.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use super::file::File;

/// Returns the JSON schema of `isopod.toml`. `docs/isopod.schema.json` is its committed form.
pub fn schema() -> Value {
    let mut schema = schema_of::<File>();
    if let Some(object) = schema.as_object_mut() {
        object.insert("title".to_owned(), json!("isopod.toml"));
    }
    sorted(schema)
}

/// Sorts keys by name, so that the committed file does not depend on serde_json's features.
fn sorted(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(sorted).collect()),
        Value::Object(entries) => {
            let entries: BTreeMap<String, Value> =
                entries.into_iter().map(|(key, value)| (key, sorted(value))).collect();
            Value::Object(entries.into_iter().collect())
        }
        other => other,
    }
}

/// Returns the schema of a file type, without references, with closed tables and without `null`.
pub(super) fn schema_of<T: JsonSchema>() -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.inline_subschemas = true);
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    tidy(&mut schema);
    schema
}

/// Removes superfluous parts of derived schemas (`null` for optional values, defaults of whole tables) and rejects unknown
/// keys.
fn tidy(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    drop_null(object);
    if object
        .get("default")
        .is_some_and(|default| default.is_null() || default.is_object())
    {
        object.remove("default");
    }
    if object.contains_key("properties") {
        object.insert("additionalProperties".to_owned(), json!(false));
    }
    for key in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(key) {
            tidy(inner);
        }
    }
    if let Some(properties) = object.get_mut("properties").and_then(Value::as_object_mut) {
        properties.values_mut().for_each(tidy);
    }
    for key in ["anyOf", "oneOf"] {
        if let Some(choices) = object.get_mut(key).and_then(Value::as_array_mut) {
            choices.iter_mut().for_each(tidy);
        }
    }
}

fn drop_null(object: &mut Map<String, Value>) {
    if let Some(types) = object.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|kind| kind != "null");
        if let [only] = types.as_slice() {
            let only = only.clone();
            object.insert("type".to_owned(), only);
        }
    }
    let Some(choices) = object.get_mut("anyOf").and_then(Value::as_array_mut) else {
        return;
    };
    choices.retain(|choice| choice["type"] != "null");
    if choices.len() == 1
        && let Some(Value::Object(only)) = choices.pop()
    {
        object.remove("anyOf");
        for (key, value) in only {
            // The description of a field has precedence over that of its type.
            object.entry(key).or_insert(value);
        }
    }
}
