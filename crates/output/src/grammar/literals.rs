//! Calls with literals of Python, or of Gemma's notation.

use serde_json::{Value, json};

use super::{Rules, json as schemas, literal, patterns};
use crate::families::Family;
use crate::tool::{Tool, resolve};

/// Schemas are followed to this depth; deeper values are free.
const MOST_DEPTH: usize = 6;

struct Dialect<'a> {
    family: Family,
    tool: &'a Tool,
    /// The rule of any value.
    any: &'static str,
    names: [&'static str; 3],
}

pub(crate) fn call(family: Family, tool: &Tool, rule: &str, forced: bool, rules: &mut Rules<'_>) -> String {
    let dialect = dialect(family, tool, rules);
    let schema = tool.parameters.as_ref().filter(|_| tool.strict || forced);
    let gemma = family == Family::Gemma4;
    let fields = match schema {
        Some(root) => {
            let properties = schemas::properties(root, root);
            let field = |(key, schema, must): (&str, &Value, bool), rules: &mut Rules<'_>| {
                let head = literal(&if gemma { format!("{key}:") } else { format!("{key}=") });
                (format!("{head} {}", value(&dialect, schema, root, 0, rules)), must)
            };
            let written: Vec<(String, bool)> = properties.into_iter().map(|one| field(one, rules)).collect();
            fields(&written, if gemma { "\",\"" } else { "\", \"" })
        }
        None if gemma => "(gemma_field (\",\" gemma_field)*)?".to_owned(),
        None => "(/[a-zA-Z_][a-zA-Z0-9_]*/ \"=\" python_value (\", \" /[a-zA-Z_][a-zA-Z0-9_]*/ \"=\" python_value)*)?".to_owned(),
    };
    rules.add(&format!("{rule}_fields"), if fields.is_empty() { "\"\"" } else { &fields });
    let (head, end) =
        if gemma { (format!("call:{}{{", tool.name), "}") } else { (format!("{}(", tool.name), ")") };
    format!("{} {rule}_fields {}", literal(&head), literal(end))
}

/// The rules of any value, added once.
fn dialect<'a>(family: Family, tool: &'a Tool, rules: &mut Rules<'_>) -> Dialect<'a> {
    rules.add("NUMBER", r"/-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/");
    rules.add("INTEGER", r"/-?(0|[1-9][0-9]*)/");
    if family == Family::Gemma4 {
        rules.add("TEXT", r"/(.|\n)*/");
        let quote = rules.marker("<|\"|>");
        rules.add("gemma_text", &format!("{quote} TEXT {quote}"));
        rules.add("gemma_field", "/[^:{}\\[\\],<>\\s]+/ \":\" gemma_value");
        rules.add("gemma_list", "\"[\" (gemma_value (\",\" gemma_value)*)? \"]\"");
        rules.add("gemma_object", "\"{\" (gemma_field (\",\" gemma_field)*)? \"}\"");
        let names = "\"true\" | \"false\" | \"null\"";
        rules.add("gemma_value", &format!("gemma_text | NUMBER | gemma_list | gemma_object | {names}"));
        return Dialect { family, tool, any: "gemma_value", names: ["true", "false", "null"] };
    }
    rules.add("python_text", r#"/"([^"\\\n]|\\[nrtbf"'\\]|\\u[0-9a-fA-F]{4})*"/"#);
    rules.add("python_item", "python_text \": \" python_value");
    rules.add("python_list", "\"[\" (python_value (\", \" python_value)*)? \"]\"");
    rules.add("python_dict", "\"{\" (python_item (\", \" python_item)*)? \"}\"");
    let names = "\"True\" | \"False\" | \"None\"";
    rules.add("python_value", &format!("python_text | NUMBER | python_list | python_dict | {names}"));
    Dialect { family, tool, any: "python_value", names: ["True", "False", "None"] }
}

fn value(dialect: &Dialect<'_>, schema: &Value, root: &Value, depth: usize, rules: &mut Rules<'_>) -> String {
    let schema = resolve(schema, root);
    let gemma = dialect.family == Family::Gemma4;
    let [yes, no, none] = dialect.names;
    let text = |text: &str, rules: &Rules<'_>| match gemma {
        true => format!("{0} {1} {0}", rules.marker("<|\"|>"), literal(text)),
        false => literal(&crate::json::quote(text)),
    };
    if let Some(choices) = schema["enum"].as_array() {
        let one = |choice: &Value| match choice {
            Value::String(choice) => text(choice, rules),
            Value::Bool(choice) => literal(if *choice { yes } else { no }),
            Value::Null => literal(none),
            other => literal(&other.to_string()),
        };
        return format!("({})", choices.iter().map(one).collect::<Vec<_>>().join(" | "));
    }
    let held = patterns::held(dialect.tool, schema, root);
    match (schema["type"].as_str(), held) {
        (Some("string"), Some(expression)) => held_text(dialect, expression, rules),
        (kind, _) => value_of(dialect, kind, (schema, root), depth, rules),
    }
}

/// A text that a pattern holds. JSON's escapes are among Python's.
fn held_text(dialect: &Dialect<'_>, expression: &str, rules: &mut Rules<'_>) -> String {
    if dialect.family == Family::Gemma4 {
        let quote = rules.marker("<|\"|>");
        return format!("{quote} {} {quote}", patterns::text(expression, rules));
    }
    let schema = json!({ "type": "string", "pattern": expression });
    rules.numbered("held", &schemas::value(&schema, &Value::Null, true))
}

fn value_of(
    dialect: &Dialect<'_>,
    kind: Option<&str>,
    (schema, root): (&Value, &Value),
    depth: usize,
    rules: &mut Rules<'_>,
) -> String {
    let gemma = dialect.family == Family::Gemma4;
    let [yes, no, none] = dialect.names;
    match kind {
        Some("string") if gemma => "gemma_text".to_owned(),
        Some("string") => "python_text".to_owned(),
        Some("integer") => "INTEGER".to_owned(),
        Some("number") => "NUMBER".to_owned(),
        Some("boolean") => format!("({} | {})", literal(yes), literal(no)),
        Some("null") => literal(none),
        Some("array") if depth < MOST_DEPTH && schema["items"].is_object() => {
            let item = value(dialect, &schema["items"], root, depth + 1, rules);
            let comma = if gemma { "\",\"" } else { "\", \"" };
            format!("\"[\" ({item} ({comma} {item})*)? \"]\"")
        }
        Some("object") if depth < MOST_DEPTH && schema["properties"].is_object() => {
            let field = |(key, schema, must): (&str, &Value, bool), rules: &mut Rules<'_>| {
                let head = if gemma { format!("{key}:") } else { format!("{}: ", crate::json::quote(key)) };
                (format!("{} {}", literal(&head), value(dialect, schema, root, depth + 1, rules)), must)
            };
            let written: Vec<_> =
                schemas::properties(schema, root).into_iter().map(|one| field(one, rules)).collect();
            format!("\"{{\" {} \"}}\"", fields(&written, if gemma { "\",\"" } else { "\", \"" }))
        }
        Some("array") if gemma => "gemma_list".to_owned(),
        Some("array") => "python_list".to_owned(),
        Some("object") if gemma => "gemma_object".to_owned(),
        Some("object") => "python_dict".to_owned(),
        _ => dialect.any.to_owned(),
    }
}

/// Fields with commas between: those that must be there first, then each other at most once.
fn fields(fields: &[(String, bool)], comma: &str) -> String {
    let (must, may): (Vec<_>, Vec<_>) = fields.iter().partition(|(_, must)| *must);
    let tail = |rest: &[&(String, bool)]| -> String {
        rest.iter().map(|(field, _)| format!(" ({comma} {field})?")).collect()
    };
    if !must.is_empty() {
        let must: Vec<&str> = must.iter().map(|(field, _)| field.as_str()).collect();
        return format!("{}{}", must.join(&format!(" {comma} ")), tail(&may));
    }
    let first = |at: usize| format!("{}{}", may[at].0, tail(&may[at + 1..]));
    let choices: Vec<String> = (0..may.len()).map(first).collect();
    if choices.is_empty() { String::new() } else { format!("({})?", choices.join(" | ")) }
}
