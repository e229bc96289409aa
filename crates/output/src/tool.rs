//! The tools that an answer may call, and the types of their arguments.

use serde_json::Value;

#[derive(Clone, Debug, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the arguments, an object; none: they are not described.
    pub parameters: Option<Value>,
    /// The arguments must satisfy the schema, also where the model chooses whether to call.
    pub strict: bool,
}

/// May the answer call a tool, must it, or must it call this one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    None,
    Auto,
    Required,
    Named(String),
}

/// References that are followed in a schema, one after another.
const MOST_REFERENCES: usize = 8;

/// The JSON types that a schema allows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Types {
    pub text: bool,
    pub other: bool,
}

impl Types {
    pub const TEXT: Types = Types { text: true, other: false };
    pub const JSON: Types = Types { text: false, other: true };
}

impl Tool {
    /// The schema of one argument; `None` where the tool's schema says nothing of it.
    pub fn argument(&self, key: &str) -> Option<&Value> {
        let parameters = self.parameters.as_ref()?;
        let root = resolve(parameters, parameters);
        let more = || root.get("additionalProperties").filter(|more| more.is_object());
        root.get("properties").and_then(|properties| properties.get(key)).or_else(more)
    }

    /// An argument without a schema is text.
    pub(crate) fn types(&self, key: &str) -> Types {
        match (self.argument(key), &self.parameters) {
            (Some(schema), Some(root)) => types(schema, root, 0),
            _ => Types::TEXT,
        }
    }
}

/// Follows `$ref` inside of `root`; where it leads nowhere, the schema stays as it is.
pub(crate) fn resolve<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    let mut found = schema;
    for _ in 0..MOST_REFERENCES {
        let target = found.get("$ref").and_then(Value::as_str).and_then(|path| path.strip_prefix('#'));
        match target.and_then(|path| root.pointer(path)) {
            Some(next) => found = next,
            None => break,
        }
    }
    found
}

fn types(schema: &Value, root: &Value, depth: usize) -> Types {
    let schema = resolve(schema, root);
    let of_name = |name: &Value| if name == "string" { Types::TEXT } else { Types::JSON };
    let join = |a: Types, b: Types| Types { text: a.text || b.text, other: a.other || b.other };
    let of_value = |value: &Value| if value.is_string() { Types::TEXT } else { Types::JSON };
    let all = |list: &[Value], of: &dyn Fn(&Value) -> Types| list.iter().map(of).fold(Types::default(), join);
    match (&schema["type"], &schema["enum"], &schema["const"]) {
        (Value::String(_), ..) => of_name(&schema["type"]),
        (Value::Array(names), ..) => all(names, &of_name),
        (_, Value::Array(values), _) => all(values, &of_value),
        (_, _, value) if !value.is_null() => of_value(value),
        _ => {
            let branches = ["anyOf", "oneOf", "allOf"].iter().find_map(|name| schema[*name].as_array());
            match branches.filter(|_| depth < MOST_REFERENCES) {
                Some(branches) => all(branches, &|branch| types(branch, root, depth + 1)),
                None if schema.get("properties").is_some() || schema.get("items").is_some() => Types::JSON,
                None => Types { text: true, other: true },
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn types_come_from_the_schema() {
        let schema = json!({
            "$defs": { "id": { "type": "integer" }, "loop": { "$ref": "#/$defs/loop" } },
            "type": "object",
            "properties": {
                "s": { "type": "string" }, "n": { "type": "number" }, "both": { "type": ["string", "null"] },
                "enum": { "enum": ["a", "b"] }, "ref": { "$ref": "#/$defs/id" }, "loop": { "$ref": "#/$defs/loop" },
                "any": { "anyOf": [{ "type": "string" }, { "type": "integer" }] }, "free": {}
            },
            "additionalProperties": { "type": "boolean" }
        });
        let tool = Tool { name: "f".into(), description: None, parameters: Some(schema), strict: false };
        let both = Types { text: true, other: true };
        let expected = [
            ("s", Types::TEXT),
            ("n", Types::JSON),
            ("both", both),
            ("enum", Types::TEXT),
            ("ref", Types::JSON),
            ("loop", both),
            ("any", both),
            ("free", both),
            ("unknown", Types::JSON),
        ];
        for (key, types) in expected {
            assert_eq!(tool.types(key), types, "{key}");
        }
    }
}
