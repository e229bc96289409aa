//! Other ways to send the same messages, for templates that refuse them: a system message behind others becomes a user's
//! message that says so, and users' messages in a row become one.

use attentionstore_output::generic;

use super::super::message::ChatMessage;

/// In order of preference; none where nothing can be sent in another way. `is_generic`: the template knows no tools, so that
/// their results are users' messages anyway.
pub(super) fn rewritten(messages: &[ChatMessage], is_generic: bool) -> Vec<Vec<ChatMessage>> {
    let leading = messages.iter().take_while(|message| message.role == "system").count();
    let is_late = |(index, message): (usize, &ChatMessage)| index >= leading && message.role == "system";
    let has_late = messages.iter().enumerate().any(is_late);
    let has_results = is_generic && messages.iter().any(|message| message.role == "tool");
    if !has_late && !has_results {
        return Vec::new();
    }
    let of_user = |(index, message): (usize, &ChatMessage)| {
        if is_late((index, message)) { tagged(message) } else { message.clone() }
    };
    let of_user: Vec<ChatMessage> = messages.iter().enumerate().map(of_user).collect();
    let joined =
        joined(of_user.iter().map(|message| if is_generic { result(message) } else { message.clone() }));
    if has_late { vec![of_user, joined] } else { vec![joined] }
}

fn tagged(message: &ChatMessage) -> ChatMessage {
    let content = format!("<system>\n{}\n</system>", message.content);
    ChatMessage { role: "user".to_owned(), content, ..message.clone() }
}

/// A tool's result as the message of the user that brings it.
fn result(message: &ChatMessage) -> ChatMessage {
    if message.role != "tool" {
        return message.clone();
    }
    let content = generic::result(&message.content);
    ChatMessage { role: generic::RESULT_ROLE.to_owned(), content, ..ChatMessage::default() }
}

/// Users' messages in a row as one: templates may want users and assistants by turns.
fn joined(messages: impl Iterator<Item = ChatMessage>) -> Vec<ChatMessage> {
    let mut joined: Vec<ChatMessage> = Vec::new();
    for message in messages {
        match joined.last_mut() {
            Some(last) if last.role == "user" && message.role == "user" => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.content);
            }
            _ => joined.push(message),
        }
    }
    joined
}
