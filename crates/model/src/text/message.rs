//! What a conversation is made of: messages, calls of tools, and the tools that may be called.

use serde_json::Value;

/// The tokens that an assistant's message was generated with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The tokens that lie wholly inside the answer, markers of reasoning and of calls included, and the end token not.
    pub ids: Vec<u32>,
    /// Length in bytes of their decoding, in which a marker stands for its own text.
    pub covered_bytes: usize,
    /// The first so many of `ids` are the answer's reasoning, with its markers.
    pub reasoning: usize,
    /// Nothing of the answer lies behind `ids`.
    pub whole: bool,
}

/// A call of a tool.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ToolCall {
    pub id: String,
    pub name: String,
    /// JSON text of an object.
    pub arguments: String,
}

/// One message of a conversation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChatMessage {
    /// Lower-case letters and `_`; it is trusted as the template's own text is.
    pub role: String,
    pub content: String,
    pub name: Option<String>,
    /// Of an assistant's message.
    pub reasoning: Option<String>,
    pub tool_calls: Vec<ToolCall>,
    /// Of a tool's message: the call whose result it is.
    pub tool_call_id: Option<String>,
    pub stored: Option<StoredAnswer>,
}

/// A tool that the answer may call.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Tool {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema of the arguments; `Null`: none are described.
    pub parameters: Value,
}

/// How a prompt ends.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Ending {
    /// With the beginning of an assistant's message.
    #[default]
    Answer,
    /// With the last message's content, which the answer goes on with.
    Open,
    /// With the last message as the template ends it.
    Closed,
}
