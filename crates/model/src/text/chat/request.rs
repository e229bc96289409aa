//! What is asked for: a conversation, and how its prompt ends.

use serde_json::{Map, Value};

use super::super::message::{ChatMessage, Ending, Tool};
use super::super::template::ChatDate;

/// A conversation to be answered.
#[derive(Clone, Copy, Debug)]
pub struct ChatRequest<'a> {
    pub messages: &'a [ChatMessage],
    pub tools: &'a [Tool],
    /// Variables that the template gets to see besides its own.
    pub arguments: Option<&'a Map<String, Value>>,
    pub ending: Ending,
    /// The date that the template gets to see.
    pub date: ChatDate,
    /// The source of a template in the place of the model's own.
    pub template: Option<&'a str>,
}

impl<'a> ChatRequest<'a> {
    /// Messages to be answered, without tools.
    pub fn new(messages: &'a [ChatMessage], date: ChatDate) -> Self {
        Self { messages, tools: &[], arguments: None, ending: Ending::Answer, date, template: None }
    }
}
