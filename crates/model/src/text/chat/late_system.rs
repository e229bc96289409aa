//! System messages behind other messages, for templates that refuse them there: they become users' messages that say so.

use super::super::message::ChatMessage;

/// Other ways to send the same messages, in order of preference; none if there is no late system message.
pub(super) fn rewritten(messages: &[ChatMessage]) -> Vec<Vec<ChatMessage>> {
    let leading = messages.iter().take_while(|message| message.role == "system").count();
    let is_late = |(index, message): (usize, &ChatMessage)| index >= leading && message.role == "system";
    if !messages.iter().enumerate().any(is_late) {
        return Vec::new();
    }
    let of_user: Vec<ChatMessage> = messages
        .iter()
        .enumerate()
        .map(|(index, message)| if is_late((index, message)) { tagged(message) } else { message.clone() })
        .collect();
    let joined = joined(&of_user);
    vec![of_user, joined]
}

fn tagged(message: &ChatMessage) -> ChatMessage {
    let content = format!("<system>\n{}\n</system>", message.content);
    ChatMessage { role: "user".to_owned(), content, ..message.clone() }
}

/// Users' messages in a row as one: templates may want users and assistants by turns.
fn joined(messages: &[ChatMessage]) -> Vec<ChatMessage> {
    let mut joined: Vec<ChatMessage> = Vec::new();
    for message in messages {
        match joined.last_mut() {
            Some(last) if last.role == "user" && message.role == "user" => {
                last.content.push_str("\n\n");
                last.content.push_str(&message.content);
            }
            _ => joined.push(message.clone()),
        }
    }
    joined
}
