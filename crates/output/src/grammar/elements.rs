//! Calls with an element for each argument.

use serde_json::Value;

use super::{Rules, json, literal, patterns};
use crate::families::Family;
use crate::tool::{Tool, Types, resolve};

/// The tags of a call and of its parameters.
struct Tags {
    begin: String,
    end: &'static str,
    /// Between a parameter's key and its value, where the value is text and where it is JSON.
    key: (&'static str, &'static str, &'static str),
    /// Ends a value; a value that is text ends with the first `text_close`, wherever it comes.
    close: &'static str,
    text_close: &'static str,
    after: &'static str,
}

fn tags(family: Family, name: &str) -> Tags {
    match family {
        Family::Qwen3Coder | Family::Seed => Tags {
            begin: format!("<function={name}>\n"),
            end: "</function>",
            key: ("<parameter=", ">\n", ">\n"),
            close: "\n</parameter>",
            text_close: "</parameter>",
            after: "\n",
        },
        Family::MiniMax => Tags {
            begin: format!("<invoke name=\"{name}\">\n"),
            end: "</invoke>",
            key: ("<parameter name=\"", "\">", "\">"),
            close: "</parameter>",
            text_close: "</parameter>",
            after: "\n",
        },
        Family::Dsml => Tags {
            begin: format!("<｜DSML｜invoke name=\"{name}\">\n"),
            end: "</｜DSML｜invoke>",
            key: ("<｜DSML｜parameter name=\"", "\" string=\"true\">", "\" string=\"false\">"),
            close: "</｜DSML｜parameter>",
            text_close: "</｜DSML｜parameter>",
            after: "\n",
        },
        _ => Tags {
            begin: format!("{name}\n"),
            end: "",
            key: ("<arg_key>", "</arg_key>\n<arg_value>", "</arg_key>\n<arg_value>"),
            close: "</arg_value>",
            text_close: "</arg_value>",
            after: "\n",
        },
    }
}

/// Parameters in the order of the schema; where the schema holds nothing, any.
pub(crate) fn call(family: Family, tool: &Tool, rule: &str, forced: bool, rules: &mut Rules<'_>) -> String {
    let tags = tags(family, &tool.name);
    let mut parts = vec![rules.marker(&tags.begin)];
    let held = tool.strict || forced;
    match tool.parameters.as_ref().filter(|_| held) {
        Some(root) => {
            for (index, (key, schema, must)) in json::properties(root, root).into_iter().enumerate() {
                let name = format!("{rule}_{index}");
                let body = parameter(&tags, tool, &name, (key, schema, root), rules);
                rules.add(&name, &body);
                parts.push(if must { name } else { format!("{name}?") });
            }
        }
        None => {
            let value = rules.text_until("any_value", tags.text_close);
            let (open, middle) = (rules.marker(tags.key.0), rules.marker(tags.key.1));
            rules.add(
                "any_parameter",
                &format!("{open} /[^<>\"\\n]+/ {middle} {value} {}", literal(tags.after)),
            );
            parts.push("any_parameter*".to_owned());
        }
    }
    if !tags.end.is_empty() {
        parts.push(rules.marker(tags.end));
    }
    parts.join(" ")
}

fn parameter(
    tags: &Tags,
    tool: &Tool,
    rule: &str,
    (key, schema, root): (&str, &Value, &Value),
    rules: &mut Rules<'_>,
) -> String {
    let types = tool.types(key);
    let middle = if types.text { tags.key.1 } else { tags.key.2 };
    let head = rules.marker(&format!("{}{key}{middle}", tags.key.0));
    let after = literal(tags.after);
    if types == Types::JSON {
        let value = format!("{rule}_value");
        rules.add(&value, &json::value(schema, root, tool.strict));
        return format!("{head} {value} {} {after}", rules.marker(tags.close));
    }
    let choices = resolve(schema, root)["enum"].as_array().filter(|_| types == Types::TEXT);
    if let Some(choices) = choices {
        let choices: Vec<String> = choices.iter().filter_map(Value::as_str).map(literal).collect();
        return format!("{head} ({}) {} {after}", choices.join(" | "), rules.marker(tags.close));
    }
    let value = format!("{rule}_value");
    let value = match patterns::held(tool, schema, root).filter(|_| types == Types::TEXT) {
        Some(expression) => patterns::text_until(expression, &value, (tags.close, tags.text_close), rules),
        None => rules.text_until(&value, tags.text_close),
    };
    format!("{head} {value} {after}")
}
