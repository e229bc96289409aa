//! The prompt side for templates that know no tools: the tools are described in the system message, earlier calls and
//! their results stand in messages that every template renders.
//!
//! The text depends on the tools alone, not on the choice among them: a conversation whose requests differ in
//! `tool_choice` keeps its prefix.

use serde_json::{Value, json};

use crate::json::quote;
use crate::tool::Tool;

const OPEN: &str = "<tool_call>\n";
const CLOSE: &str = "\n</tool_call>";

/// The role of the message that holds a result.
pub const RESULT_ROLE: &str = "user";

/// Text for the end of the system message: the tools, and how to call them. Empty without tools.
pub fn instructions(tools: &[Tool]) -> String {
    if tools.is_empty() {
        return String::new();
    }
    let list: Vec<String> = tools.iter().map(|tool| definition(tool).to_string()).collect();
    format!(
        "# Tools\n\nYou may call functions. Each line describes one function:\n<tools>\n{}\n</tools>\n\n\
         To call a function, write its name and arguments as a JSON object between <tool_call> tags:\n\
         {OPEN}{{\"name\": \"function_name\", \"arguments\": {{\"argument\": \"value\"}}}}{CLOSE}\n\
         The result comes between <tool_response> tags. Answer without a call if no function helps.",
        list.join("\n")
    )
}

/// A tool as chat templates get it.
pub fn definition(tool: &Tool) -> Value {
    let mut function = json!({ "name": tool.name });
    if let Some(description) = &tool.description {
        function["description"] = description.as_str().into();
    }
    if let Some(parameters) = &tool.parameters {
        function["parameters"] = parameters.clone();
    }
    json!({ "type": "function", "function": function })
}

/// The text of an assistant's message that made calls: its content, then the calls. `calls` are names and the JSON texts
/// of their arguments, in order.
pub fn message_with_calls<'a>(content: &str, calls: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    let mut text = content.to_owned();
    for (name, arguments) in calls {
        if !text.is_empty() {
            text.push('\n');
        }
        let arguments = if arguments.trim().is_empty() { "{}" } else { arguments };
        text.push_str(&format!("{OPEN}{{\"name\": {}, \"arguments\": {arguments}}}{CLOSE}", quote(name)));
    }
    text
}

/// The text of the message that brings a tool's result; its role is [`RESULT_ROLE`].
pub fn result(content: &str) -> String {
    format!("<tool_response>\n{content}\n</tool_response>")
}
