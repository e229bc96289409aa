//! Errors cross as `{code, message, context}` in the message of what is thrown;
//! `ts/engine/native/errors.ts` makes error objects of them.

use std::path::Path;

use attentionstore_engine::{EngineError, GrammarError};
use attentionstore_kv::KvError;
use attentionstore_model::ModelError;
use attentionstore_model::text::TextError;
use napi::{Error, Status};
use serde_json::{Map, Value, json};

pub fn thrown(error: EngineError) -> Error {
    let context = Value::Object(context_of(&error));
    let body = json!({ "code": error.code(), "message": error.to_string(), "context": context });
    Error::new(Status::GenericFailure, body.to_string())
}

/// Named fields of an error: texts, numbers and nulls only.
type Context = Map<String, Value>;

/// No wildcard: a new kind of error says here what it names.
fn context_of(error: &EngineError) -> Context {
    match error {
        EngineError::Model(error) => of_model(error),
        EngineError::Kv(error) => of_kv(error),
        EngineError::Text(error) => of_text(error),
        EngineError::Grammar(error) => of_grammar(error),
        EngineError::GrammarsBusy { waiting, limit } => {
            named([("waiting", json!(waiting)), ("limit", json!(limit))])
        }
        EngineError::MemoryLow { bytes, left, reserve } => {
            named([("bytes", json!(bytes)), ("left", json!(left)), ("reserve", json!(reserve))])
        }
        EngineError::Protocol { detail } => named([("detail", json!(detail))]),
        EngineError::Option { option, detail } => {
            named([("option", json!(option)), ("detail", json!(detail))])
        }
        EngineError::Closed => Context::new(),
    }
}

fn of_model(error: &ModelError) -> Context {
    match error {
        ModelError::Io { path, source } => named([at(path), errno(source)]),
        ModelError::Malformed { path, detail } | ModelError::Unsupported { path, detail } => {
            named([at(path), ("detail", json!(detail))])
        }
        ModelError::Invalid { what, detail } => named([("what", json!(what)), ("detail", json!(detail))]),
        ModelError::Template { detail } => named([("detail", json!(detail))]),
        ModelError::Memory { what, bytes } => named([("what", json!(what)), ("bytes", json!(bytes))]),
        ModelError::Device { device, detail } => {
            named([("device", json!(device)), ("detail", json!(detail))])
        }
    }
}

fn of_kv(error: &KvError) -> Context {
    match error {
        KvError::Invalid { what, detail } => named([("what", json!(what)), ("detail", json!(detail))]),
        KvError::Damaged { slot, reason } | KvError::Foreign { slot, reason } => {
            named([("slot", json!(slot)), ("reason", json!(reason))])
        }
        KvError::Io { path, source } => named([at(path), errno(source)]),
        KvError::NoSpace { path, bytes } | KvError::Bound { path, bytes } => {
            named([at(path), ("bytes", json!(bytes))])
        }
        KvError::Memory { what, bytes, source } => {
            named([("what", json!(what)), ("bytes", json!(bytes)), errno(source)])
        }
        KvError::QueueFull { direction, limit } => {
            named([("direction", json!(direction)), ("limit", json!(limit))])
        }
        KvError::Locked { path, pid } | KvError::SsdLocked { path, pid } => {
            named([at(path), ("pid", json!(pid))])
        }
        KvError::Closed => Context::new(),
    }
}

fn of_grammar(error: &GrammarError) -> Context {
    match error {
        GrammarError::TooLarge { of, found, limit, .. } => {
            named([("of", json!(of)), ("found", json!(found)), ("limit", json!(limit))])
        }
        GrammarError::Unsupported { name, place, .. } => {
            named([("name", json!(name)), ("place", json!(place))])
        }
        GrammarError::Invalid { detail, .. } | GrammarError::TooComplex { detail, .. } => {
            named([("detail", json!(detail))])
        }
    }
}

fn of_text(error: &TextError) -> Context {
    match error {
        TextError::NoTemplate | TextError::EmptyStop | TextError::NotContinuable => Context::new(),
        TextError::Refused { message } => named([("detail", json!(message))]),
        TextError::Failed { detail } | TextError::Tokenizer { detail } => named([("detail", json!(detail))]),
        TextError::OutOfFuel { fuel } => named([("limit", json!(fuel))]),
        TextError::OutputTooLong { limit } => named([("limit", json!(limit))]),
        TextError::Untraceable { message } => named([("index", json!(message))]),
        TextError::UntraceableValues { what } => named([("what", json!(what))]),
        TextError::Argument { name } => named([("name", json!(name))]),
        TextError::TooManyValues { values, most } => {
            named([("values", json!(values)), ("limit", json!(most))])
        }
        TextError::Json { what, detail } => named([("what", json!(what)), ("detail", json!(detail))]),
        TextError::Role { message, role } => named([("index", json!(message)), ("role", json!(role))]),
        TextError::TooLong { at_least, most } => {
            named([("at_least", json!(at_least)), ("limit", json!(most))])
        }
        TextError::UnknownToken { id } => named([("token", json!(id))]),
    }
}

/// A path need not be UTF-8; a context is.
fn at(path: &Path) -> (&'static str, Value) {
    ("path", json!(path.to_string_lossy()))
}

fn errno(source: &std::io::Error) -> (&'static str, Value) {
    ("errno", json!(source.raw_os_error()))
}

fn named<const N: usize>(fields: [(&str, Value); N]) -> Context {
    fields.map(|(name, value)| (name.to_owned(), value)).into_iter().collect()
}
