//! Tools as TypeScript names them, in JSON.

use attentionstore_engine::EngineError;
use attentionstore_output::Tool;
use napi::Result;
use serde_json::Value;

use crate::error::thrown;

/// `[{name, description?, parameters, strict}]`; a list of names alone will do for reading.
pub fn tools(text: &str) -> Result<Vec<Tool>> {
    let refuse = |detail: String| thrown(EngineError::Protocol { detail: format!("tools: {detail}") });
    let list: Vec<Value> = serde_json::from_str(text).map_err(|error| refuse(error.to_string()))?;
    list.into_iter()
        .map(|mut tool| {
            let name = tool["name"].as_str().ok_or_else(|| refuse("one has no name".to_owned()))?.to_owned();
            let description = tool["description"].as_str().map(str::to_owned);
            let parameters = Some(tool["parameters"].take()).filter(Value::is_object);
            Ok(Tool { name, description, parameters, strict: tool["strict"] == true })
        })
        .collect()
}
