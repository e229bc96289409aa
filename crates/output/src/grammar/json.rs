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

/// What the compiler does not understand of a schema is an error only where the tool is strict.
fn held_to(mut schema: Value, strict: bool) -> String {
    if let (Value::Object(fields), false) = (&mut schema, strict) {
        fields.insert("x-guidance".to_owned(), json!({ "lenient": true }));
    }
    format!("%json {schema}")
}

/// Properties of an object schema in order, and whether each must be there.
pub(crate) fn properties<'a>(schema: &'a Value, root: &'a Value) -> Vec<(&'a str, &'a Value, bool)> {
    let schema = resolve(schema, root);
    let required = schema["required"].as_array();
    let must = |key: &str| required.is_some_and(|names| names.iter().any(|name| name == key));
    let fields = schema["properties"].as_object().into_iter().flatten();
    fields.map(|(key, schema)| (key.as_str(), schema, must(key))).collect()
}
