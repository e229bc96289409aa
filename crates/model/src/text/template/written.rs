//! Messages as a template gets to write them. A template that knows no tools gets them in the texts of messages, as
//! `attentionstore_output::generic` puts them.

use std::borrow::Cow;

use attentionstore_output::generic;

use super::super::message::{ChatMessage, Tool};

/// How a template gets tools.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Tooling {
    /// As values of their own.
    #[default]
    Values,
    /// In the system message, which is made if there is none.
    InSystem,
    /// In the first message of the user.
    InUser,
}

/// Role and content of one message.
#[derive(Clone, Debug)]
pub(super) struct Written<'a> {
    pub role: &'a str,
    pub content: Cow<'a, str>,
}

/// The messages, and a system message that stands before them.
pub(super) fn written<'a>(
    messages: &'a [ChatMessage],
    tools: &[Tool],
    tooling: Tooling,
) -> (Option<String>, Vec<Written<'a>>) {
    let as_sent = |message: &'a ChatMessage| Written {
        role: &message.role,
        content: Cow::Borrowed(message.content.as_str()),
    };
    if tooling == Tooling::Values {
        return (None, messages.iter().map(as_sent).collect());
    }
    let mut written: Vec<Written<'a>> = messages.iter().map(in_text).collect();
    if tools.is_empty() {
        return (None, written);
    }
    let tools: Vec<attentionstore_output::Tool> = tools.iter().map(described).collect();
    let instructions = generic::instructions(&tools);
    match tooling {
        Tooling::InUser => {
            let Some(first) = written.iter_mut().find(|message| message.role == "user") else {
                return (Some(instructions), written);
            };
            first.content = format!("{instructions}\n\n{}", first.content).into();
            (None, written)
        }
        _ => match written.first_mut().filter(|first| first.role == "system") {
            Some(system) => {
                system.content = format!("{}\n\n{instructions}", system.content).into();
                (None, written)
            }
            None => (Some(instructions), written),
        },
    }
}

fn in_text(message: &ChatMessage) -> Written<'_> {
    if message.role == "tool" {
        return Written { role: generic::RESULT_ROLE, content: generic::result(&message.content).into() };
    }
    let calls = message.tool_calls.iter().map(|call| (call.name.as_str(), call.arguments.as_str()));
    let content = if message.tool_calls.is_empty() {
        Cow::Borrowed(message.content.as_str())
    } else {
        generic::message_with_calls(&message.content, calls).into()
    };
    Written { role: &message.role, content }
}

fn described(tool: &Tool) -> attentionstore_output::Tool {
    attentionstore_output::Tool {
        name: tool.name.clone(),
        description: tool.description.clone(),
        parameters: Some(tool.parameters.clone()).filter(|parameters| !parameters.is_null()),
        strict: false,
    }
}
