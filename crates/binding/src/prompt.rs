//! Prompts that are encoded on the engine's threads for texts, as promises.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use attentionstore_engine::{EncodedPrompt, Engine, EngineError};
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
    /// The answer begins inside of its reasoning.
    pub starts_in_reasoning: bool,
    /// The last so many tokens are the message that the answer goes on with.
    pub prefill: u32,
    /// They end inside of reasoning.
    pub prefill_in_reasoning: bool,
    /// Begin and end, by turns, of the tokens of answers whose reasoning is not in the prompt.
    pub without_reasoning: Vec<u32>,
    /// Only of a prompt with more tokens than were asked for: it has at least so many.
    pub at_least: Option<u32>,
}

type Encoded = std::result::Result<EncodedPrompt, EngineError>;

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
            Ok((prompt, at_least)) => deferred.resolve(move |_| Ok(binding_prompt(prompt, at_least))),
            Err(error) => deferred.reject(error),
        }
    });
    Ok(promise)
}

/// The prompt, and of one that is too long the fewest tokens that it has.
fn given(encoded: Encoded) -> Result<(EncodedPrompt, Option<u32>)> {
    match encoded {
        Ok(prompt) => Ok((prompt, None)),
        Err(EngineError::Text(TextError::TooLong { at_least, .. })) => {
            Ok((EncodedPrompt::default(), Some(u32::try_from(at_least).unwrap_or(u32::MAX))))
        }
        Err(error) => Err(thrown(error)),
    }
}

fn binding_prompt(prompt: EncodedPrompt, at_least: Option<u32>) -> BindingPrompt {
    let without_reasoning = prompt.without_reasoning.iter().flat_map(|tokens| [tokens.start, tokens.end]);
    BindingPrompt {
        system_tokens: prompt.system_tokens as u32,
        starts_in_reasoning: prompt.starts_in_reasoning,
        prefill: prompt.prefill as u32,
        prefill_in_reasoning: prompt.prefill_in_reasoning,
        without_reasoning: without_reasoning.map(|token| token as u32).collect(),
        tokens: words(prompt.tokens),
        at_least,
    }
}
