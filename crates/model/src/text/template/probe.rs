//! In which forms a template takes calls of tools: found by giving it one, once a template.

use super::super::message::{ChatMessage, Ending, Tool, ToolCall};
use super::{ChatDate, ChatTemplate, Conversation, RenderOptions, Tooling};

const NEEDLE: &str = "zq7needle";

/// How values are given to one template.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Forms {
    /// The arguments of a call are JSON text; else they are an object.
    pub arguments_as_text: bool,
    /// A message of calls alone has `None` as its content; else an empty text.
    pub no_content: bool,
    /// The field of a message's reasoning.
    pub reasoning: &'static str,
}

impl Default for Forms {
    fn default() -> Self {
        Self { arguments_as_text: false, no_content: false, reasoning: "reasoning_content" }
    }
}

/// Tries the forms, those first that the reference gives.
pub(super) fn probe(template: &ChatTemplate) -> Forms {
    let reasoning = reasoning_field(template.source());
    let forms = |arguments_as_text, no_content| Forms { arguments_as_text, no_content, reasoning };
    let all = [forms(false, true), forms(false, false), forms(true, true), forms(true, false)];
    let texts = all.map(|forms| call(template, forms));
    // JSON is written as JSON where it can be; some formats write values without it.
    let is_json = |text: &str| ["{\"", "{\\\""].iter().any(|begin| text.contains(&format!("{begin}{NEEDLE}"))) && text.contains("null");
    let found = |accepts: &dyn Fn(&str) -> bool| {
        texts.iter().position(|text| text.as_deref().is_some_and(accepts))
    };
    let best = found(&|text| is_json(text) && !text.contains("None")).or_else(|| found(&|text| text.contains(NEEDLE)));
    best.map_or(forms(false, false), |best| all[best])
}

/// The field that the source names. Names it by an attribute or by a string.
fn reasoning_field(source: &str) -> &'static str {
    let names = |field: &str| {
        [format!(".{field}"), format!("'{field}'"), format!("\"{field}\"")].iter().any(|name| source.contains(name))
    };
    ["reasoning_content", "thinking", "reasoning"].into_iter().find(|field| names(field)).unwrap_or("reasoning_content")
}

fn call(template: &ChatTemplate, forms: Forms) -> Option<String> {
    // Some templates take ids of nine letters only.
    let call = ToolCall {
        id: "abcdefghi".into(),
        name: "probe".into(),
        arguments: format!("{{\"{NEEDLE}\": null}}"),
    };
    let asked = ChatMessage { tool_calls: vec![call], ..message("assistant", "") };
    let result =
        ChatMessage { tool_call_id: Some("abcdefghi".into()), name: Some("probe".into()), ..message("tool", "fine") };
    let tools = [Tool { name: "probe".into(), ..Tool::default() }];
    let messages = [message("user", "hello"), asked, result];
    let whole = render(template, &messages, &tools, forms);
    whole.or_else(|| render(template, &messages[..2], &tools, forms))
}

fn message(role: &str, content: &str) -> ChatMessage {
    ChatMessage { role: role.into(), content: content.into(), ..ChatMessage::default() }
}

fn render(template: &ChatTemplate, messages: &[ChatMessage], tools: &[Tool], forms: Forms) -> Option<String> {
    let chat = Conversation::new(messages, tools, None, Tooling::Values).ok()?;
    let options = RenderOptions { ending: Ending::Closed, date: ChatDate::from_unix_seconds(0) };
    template.render_in(forms, &chat, options, &mut |_, text| text.to_owned()).ok()
}
