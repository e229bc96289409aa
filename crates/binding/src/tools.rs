//! Tools as TypeScript names them, in JSON.

use attentionstore_engine::EngineError;
use attentionstore_output::{Choice, Tool};
use serde_json::Value;

/// `{tools, choice, parallel}`: what an answer may call, whether it must, and whether more than once.
pub fn calls(text: &str) -> Result<(Vec<Tool>, Choice, bool), EngineError> {
    let refuse = |detail: &str| EngineError::Protocol { detail: format!("calls: {detail}") };
    let source: Value = serde_json::from_str(text).map_err(|error| refuse(&error.to_string()))?;
    let choice = match (&source["choice"], source["choice"]["name"].as_str()) {
        (_, Some(name)) => Choice::Named(name.to_owned()),
        (choice, None) => match choice.as_str() {
            Some("none") => Choice::None,
            Some("auto") => Choice::Auto,
            Some("required") => Choice::Required,
            _ => return Err(refuse("no such choice")),
        },
    };
    Ok((tools(&source["tools"].to_string())?, choice, source["parallel"] == true))
}

/// `[{name, description?, parameters, strict}]`; a list of names alone will do for reading.
pub fn tools(text: &str) -> Result<Vec<Tool>, EngineError> {
    let refuse = |detail: String| EngineError::Protocol { detail: format!("tools: {detail}") };
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
