//! Sources on their way to the engine's compiler.

use std::panic::{AssertUnwindSafe, catch_unwind};

use attentionstore_engine::{Engine, EngineError, Source};
use napi::bindgen_prelude::Object;
use napi::{Env, Result};
use napi_derive::napi;

use crate::constraint::BindingConstraint;
use crate::engine::BindingEngine;
use crate::error::thrown;
use crate::tools::calls;

/// The source of `kind`, as `ts/engine/types.ts` names kinds.
fn source(engine: &Engine, kind: &str, texts: Vec<String>) -> std::result::Result<Source, EngineError> {
    let count = texts.len();
    let mut texts = texts.into_iter();
    let made = match (kind, texts.next()) {
        ("json_object", None) => Some(Source::JsonObject),
        ("choice", first) => Some(Source::Choice(first.into_iter().chain(texts).collect())),
        ("json_schema", Some(text)) => Some(Source::JsonSchema(text)),
        ("regex", Some(text)) => Some(Source::Regex(text)),
        ("grammar", Some(text)) => Some(Source::Grammar(text)),
        ("calls", Some(text)) => {
            let (tools, choice, parallel) = calls(&text)?;
            Some(engine.calls(&tools, &choice, parallel)?)
        }
        _ => None,
    };
    made.ok_or_else(|| EngineError::Protocol {
        detail: format!("a constraint of kind {kind} with {count} texts"),
    })
}

#[napi]
impl BindingEngine {
    /// A promise of a `BindingConstraint`. `texts`: the choices, or one text: JSON of a schema, a pattern, a grammar, JSON of
    /// tools with the choice among them.
    #[napi(catch_unwind, ts_return_type = "Promise<BindingConstraint>")]
    pub fn compile<'env>(&self, env: &'env Env, kind: String, texts: Vec<String>) -> Result<Object<'env>> {
        let engine = self.open()?;
        let source = source(&engine, &kind, texts).map_err(thrown)?;
        let (deferred, promise) = env.create_deferred()?;
        engine.compile(source, move |compiled| {
            // A promise that is never settled would hold its request for ever.
            let settled = catch_unwind(AssertUnwindSafe(|| compiled.map_err(thrown)));
            match settled {
                Ok(Ok(grammar)) => deferred.resolve(move |_| Ok(BindingConstraint::new(grammar))),
                Ok(Err(error)) => deferred.reject(error),
                Err(_) => deferred.reject(napi::Error::from_reason("the grammar's compiler panicked")),
            }
        });
        Ok(promise)
    }
}
