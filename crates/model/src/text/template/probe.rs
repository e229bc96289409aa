//! In which forms a template takes calls of tools: found by giving it one, once a template.

use super::super::message::{ChatMessage, ToolCall};
use super::forms::Forms;

const NEEDLE: &str = "zq7needle";

/// Renders messages in some forms; `None`: the template failed, or refused them.
pub(super) type Render<'a> = dyn Fn(Forms, &[ChatMessage]) -> Option<String> + 'a;

/// Tries the forms, those first that the reference gives. JSON is written as JSON where it can be; some formats write
/// values without it.
pub(super) fn probe(source: &str, render: &Render<'_>) -> Forms {
    let reasoning = reasoning_field(source);
    let forms = |arguments_as_text, no_content| Forms { arguments_as_text, no_content, reasoning };
    let all = [forms(false, true), forms(false, false), forms(true, true), forms(true, false)];
    let texts = all.map(|forms| call(render, forms));
    let found =
        |accepts: &dyn Fn(&str) -> bool| texts.iter().position(|text| text.as_deref().is_some_and(accepts));
    let best = found(&|text| is_json(text) && !text.contains("None"));
    let best = best.or_else(|| found(&|text| text.contains(NEEDLE)));
    best.map_or(forms(false, false), |best| all[best])
}

/// Whether the arguments are in the text as JSON, also inside of a JSON string.
fn is_json(text: &str) -> bool {
    let begins = |quote: &str| text.contains(&format!("{{{quote}{NEEDLE}"));
    text.contains("null") && (begins("\"") || begins("\\\""))
}

/// The field that the source names, as an attribute or as a string.
fn reasoning_field(source: &str) -> &'static str {
    let names = |field: &&str| {
        [format!(".{field}"), format!("'{field}'"), format!("\"{field}\"")]
            .iter()
            .any(|name| source.contains(name))
    };
    ["reasoning_content", "thinking", "reasoning"].into_iter().find(names).unwrap_or("reasoning_content")
}

fn call(render: &Render<'_>, forms: Forms) -> Option<String> {
    // Some templates take ids of nine letters only.
    let id = || "abcdefghi".to_owned();
    let arguments = format!("{{\"{NEEDLE}\": null}}");
    let call = ToolCall { id: id(), name: "probe".into(), arguments };
    let asked = ChatMessage { tool_calls: vec![call], ..message("assistant", "") };
    let result = ChatMessage { tool_call_id: Some(id()), ..message("tool", "fine") };
    let messages = [message("user", "hello"), asked, result];
    render(forms, &messages).or_else(|| render(forms, &messages[..2]))
}

fn message(role: &str, content: &str) -> ChatMessage {
    ChatMessage { role: role.into(), content: content.into(), ..ChatMessage::default() }
}
