//! Arguments as JSON held to a schema.

use serde_json::{Map, Value, json};

use super::Rules;
use crate::tool::{Tool, resolve};

/// Definitions that references of a schema lead to.
const DEFINITIONS: [&str; 2] = ["$defs", "definitions"];

/// The whole arguments of a call: a rule held to the tool's schema where it is strict or the call is forced.
pub(crate) fn arguments(tool: &Tool, rule: &str, forced: bool, rules: &mut Rules<'_>) -> String {
    let any = json!({ "type": "object" });
    let schema = tool.parameters.as_ref().filter(|_| tool.strict || forced).unwrap_or(&any);
    let name = format!("{rule}_arguments");
    let mut schema = schema.clone();
    if let Value::Object(fields) = &mut schema {
        fields.entry("type").or_insert_with(|| "object".into());
    }
    rules.add(&name, &held_to(schema, tool.strict));
    name
}

/// A value of one schema.
pub(crate) fn value(schema: &Value, root: &Value, strict: bool) -> String {
    let mut fields = match schema {
        Value::Object(fields) => fields.clone(),
        _ => Map::new(),
    };
    for name in DEFINITIONS {
        if let Some(definitions) = root.get(name) {
            fields.entry(name).or_insert_with(|| definitions.clone());
        }
    }
    held_to(Value::Object(fields), strict)
}

/// Keywords that the compiler does not do.
const UNDONE: [&str; 17] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "uniqueItems",
    "propertyNames",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
    "$recursiveRef",
    "x-guidance",
];
/// Keywords whose values are names with schemas: a property may have the name of a keyword.
const MAPS: [&str; 4] = ["properties", "patternProperties", "$defs", "definitions"];
/// White space between two tokens of JSON: without a bound a call could consist of it.
const WHITESPACE: &str = r"[\x20\x0A\x0D\x09]{1,64}";
/// Schemas inside each other that are walked through.
const MOST_DEPTH: usize = 64;

/// Keywords that the compiler does not do are an error only where the tool is strict.
fn held_to(schema: Value, strict: bool) -> String {
    let mut schema = if strict { schema } else { loosened(&schema, 0) };
    if let Value::Object(fields) = &mut schema {
        let options = json!({ "whitespace_pattern": WHITESPACE, "lenient": !strict });
        fields.insert("x-guidance".to_owned(), options);
    }
    format!("%json {schema}")
}

/// The schema without the keywords that the compiler does not do.
fn loosened(schema: &Value, depth: usize) -> Value {
    match schema {
        _ if depth == MOST_DEPTH => Value::Bool(true),
        Value::Array(list) => list.iter().map(|one| loosened(one, depth + 1)).collect(),
        Value::Object(fields) => {
            let kept = fields.iter().filter(|(name, _)| !UNDONE.contains(&name.as_str()));
            kept.map(|(name, value)| (name.clone(), loosened_field(name, value, depth))).collect()
        }
        other => other.clone(),
    }
}

fn loosened_field(name: &str, value: &Value, depth: usize) -> Value {
    match value {
        Value::Object(inner) if MAPS.contains(&name) => {
            inner.iter().map(|(key, schema)| (key.clone(), loosened(schema, depth + 1))).collect()
        }
        // These hold values, not schemas.
        _ if matches!(name, "enum" | "const" | "default" | "examples" | "required") => value.clone(),
        _ => loosened(value, depth + 1),
    }
}

/// Properties of an object schema in order, and whether each must be there.
pub(crate) fn properties<'a>(schema: &'a Value, root: &'a Value) -> Vec<(&'a str, &'a Value, bool)> {
    let schema = resolve(schema, root);
    let required = schema["required"].as_array();
    let must = |key: &str| required.is_some_and(|names| names.iter().any(|name| name == key));
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields.map(|(key, schema)| (key.as_str(), schema, must(key))).collect()
}
