//! Prompts that are encoded on the engine's threads for texts, as promises.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use attentionstore_engine::{Engine, EngineError};
use attentionstore_model::text::{Pace, TextError};
use napi::bindgen_prelude::{Object, Uint32Array};
use napi::{Env, Error, Result, Status};
use napi_derive::napi;

use crate::engine::words;
use crate::error::thrown;

/// A prompt's tokens, or by how many it is too long.
#[napi(object, object_from_js = false)]
pub struct BindingPrompt {
    pub tokens: Uint32Array,
    /// Tokens of the system prompt's head.
    pub system_tokens: u32,
    /// Only of a prompt with more tokens than were asked for: it has at least so many.
    pub at_least: Option<u32>,
}

/// Tokens, and how many of them are the system prompt's.
type Encoded = std::result::Result<(Vec<u32>, u32), EngineError>;

/// Has `work` on a text of `bytes` bytes done, and promises its prompt.
pub fn prompt<'env>(
    env: &'env Env,
    engine: Arc<Engine>,
    bytes: usize,
    most_tokens: Option<u32>,
    work: impl FnOnce(&Engine, &mut Pace<'_>) -> Encoded + Send + 'static,
) -> Result<Object<'env>> {
    let (deferred, promise) = env.create_deferred()?;
    let own = engine.clone();
    engine.work_on_text(bytes, move |pause| {
        let mut pace = Pace::new(most_tokens.map(|most| most as usize), pause);
        // A promise that is never settled would hold its request for ever.
        let encoded = catch_unwind(AssertUnwindSafe(|| work(&own, &mut pace)));
        let settled = match encoded {
            Ok(encoded) => given(encoded),
            Err(_) => Err(Error::new(Status::GenericFailure, "the tokenizer panicked")),
        };
        match settled {
            Ok((tokens, system_tokens, at_least)) => {
                deferred
                    .resolve(move |_| Ok(BindingPrompt { tokens: words(tokens), system_tokens, at_least }));
            }
            Err(error) => deferred.reject(error),
        }
    });
    Ok(promise)
}

/// Tokens, those of the system prompt, and of a prompt that is too long the fewest it has.
fn given(encoded: Encoded) -> Result<(Vec<u32>, u32, Option<u32>)> {
    match encoded {
        Ok((tokens, system_tokens)) => Ok((tokens, system_tokens, None)),
        Err(EngineError::Text(TextError::TooLong { at_least, .. })) => {
            Ok((Vec::new(), 0, Some(u32::try_from(at_least).unwrap_or(u32::MAX))))
        }
        Err(error) => Err(thrown(error)),
    }
}
