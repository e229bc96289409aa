//! Chats as JavaScript gives them: JSON travels as text.

use attentionstore_engine::{
    ChatDate, ChatMessage, ChatRequest, Ending, EngineError, StoredAnswer, Tool, ToolCall,
};
use attentionstore_model::text::TextError;
use napi::bindgen_prelude::Uint32Array;
use napi_derive::napi;
use serde_json::{Map, Value};

#[napi(object, object_to_js = false)]
pub struct BindingCall {
    pub id: String,
    pub name: String,
    /// JSON text.
    pub arguments: String,
}

/// The tokens of an earlier answer.
#[napi(object, object_to_js = false)]
pub struct BindingStored {
    pub tokens: Uint32Array,
    /// Bytes of their text.
    pub bytes: u32,
    /// Leading tokens that are reasoning.
    pub reasoning: u32,
    /// They are all of the answer.
    pub whole: bool,
}

#[napi(object, object_to_js = false)]
pub struct BindingMessage {
    pub role: String,
    pub content: String,
    pub name: Option<String>,
    pub reasoning: Option<String>,
    pub tool_calls: Option<Vec<BindingCall>>,
    pub tool_call_id: Option<String>,
    pub stored: Option<BindingStored>,
}

#[napi(object, object_to_js = false)]
pub struct BindingTool {
    pub name: String,
    pub description: Option<String>,
    /// JSON Schema, as JSON text.
    pub parameters: Option<String>,
}

#[napi(object, object_to_js = false)]
pub struct BindingChat {
    pub messages: Vec<BindingMessage>,
    pub tools: Option<Vec<BindingTool>>,
    /// A JSON object of variables for the template, as JSON text.
    pub template_arguments: Option<String>,
    #[napi(ts_type = "'answer' | 'open' | 'closed'")]
    pub ending: String,
    /// Since 1970.
    pub date_seconds: f64,
    /// In the place of the model's own.
    pub template: Option<String>,
}

impl BindingChat {
    /// Bytes of its texts, with which its turn is chosen.
    pub fn bytes(&self) -> usize {
        let tools = self.tools.iter().flatten().map(BindingTool::bytes);
        let arguments = self.template_arguments.as_ref().map_or(0, String::len);
        let template = self.template.as_ref().map_or(0, String::len);
        self.messages.iter().map(BindingMessage::bytes).chain(tools).sum::<usize>() + arguments + template
    }
}

impl BindingMessage {
    fn bytes(&self) -> usize {
        let calls = self.tool_calls.iter().flatten();
        let calls: usize = calls.map(|call| call.id.len() + call.name.len() + call.arguments.len()).sum();
        let optional = [&self.name, &self.reasoning, &self.tool_call_id];
        let optional: usize = optional.into_iter().flatten().map(String::len).sum();
        self.role.len() + self.content.len() + optional + calls
    }
}

impl BindingTool {
    fn bytes(&self) -> usize {
        let optional = [&self.description, &self.parameters].into_iter().flatten();
        self.name.len() + optional.map(String::len).sum::<usize>()
    }
}

/// A chat that owns its parts.
pub struct Chat {
    messages: Vec<ChatMessage>,
    tools: Vec<Tool>,
    arguments: Option<Map<String, Value>>,
    ending: Ending,
    date: ChatDate,
    template: Option<String>,
}

impl Chat {
    pub fn from(chat: BindingChat) -> Result<Self, EngineError> {
        let tools = chat.tools.unwrap_or_default().into_iter().map(tool).collect::<Result<_, _>>()?;
        let arguments =
            chat.template_arguments.as_deref().map(|text| object("the template's arguments", text));
        Ok(Self {
            messages: chat.messages.into_iter().map(message).collect(),
            tools,
            arguments: arguments.transpose()?,
            ending: match chat.ending.as_str() {
                "open" => Ending::Open,
                "closed" => Ending::Closed,
                _ => Ending::Answer,
            },
            date: ChatDate::from_unix_seconds(chat.date_seconds as i64),
            template: chat.template,
        })
    }

    pub fn request(&self) -> ChatRequest<'_> {
        ChatRequest {
            messages: &self.messages,
            tools: &self.tools,
            arguments: self.arguments.as_ref(),
            ending: self.ending,
            date: self.date,
            template: self.template.as_deref(),
        }
    }
}

fn message(message: BindingMessage) -> ChatMessage {
    let call = |call: BindingCall| ToolCall { id: call.id, name: call.name, arguments: call.arguments };
    ChatMessage {
        role: message.role,
        content: message.content,
        name: message.name,
        reasoning: message.reasoning,
        tool_calls: message.tool_calls.unwrap_or_default().into_iter().map(call).collect(),
        tool_call_id: message.tool_call_id,
        stored: message.stored.map(|stored| StoredAnswer {
            ids: stored.tokens.to_vec(),
            covered_bytes: stored.bytes as usize,
            reasoning: stored.reasoning as usize,
            whole: stored.whole,
        }),
    }
}

fn tool(tool: BindingTool) -> Result<Tool, EngineError> {
    let parameters = tool.parameters.as_deref().map(|text| json("the parameters of a tool", text));
    let parameters = parameters.transpose()?.unwrap_or_default();
    Ok(Tool { name: tool.name, description: tool.description, parameters })
}

/// The caller writes JSON, but how deep it is comes from a client.
fn json(what: &'static str, text: &str) -> Result<Value, EngineError> {
    serde_json::from_str(text).map_err(|error| TextError::Json { what, detail: error.to_string() }.into())
}

fn object(what: &'static str, text: &str) -> Result<Map<String, Value>, EngineError> {
    match json(what, text)? {
        Value::Object(object) => Ok(object),
        _ => Err(TextError::Json { what, detail: "no JSON object".to_owned() }.into()),
    }
}
