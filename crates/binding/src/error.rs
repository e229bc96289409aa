//! Errors cross as `{code, message, context}` in the message of what is thrown;
//! `ts/engine/native/errors.ts` makes error objects of them.

use attentionstore_engine::EngineError;
use napi::{Error, Status};
use serde_json::json;

pub fn thrown(error: EngineError) -> Error {
    let body = json!({ "code": error.code(), "message": error.to_string(), "context": {} });
    Error::new(Status::GenericFailure, body.to_string())
}
