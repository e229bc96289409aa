//! A request on its way to the engine.

use attentionstore_engine::{Bans, EngineError, SamplingParams, SequenceSpec, View};
use attentionstore_output::Reading;
use napi::Result;
use napi::bindgen_prelude::{BigInt, Float32Array, Uint8Array, Uint32Array};
use napi_derive::napi;

use crate::error::thrown;
use crate::tools::tools;

/// Window, kept head and step in tokens.
#[napi(object, object_to_js = false)]
pub struct BindingView {
    pub window: u32,
    pub head: u32,
    pub step: u32,
}

impl BindingView {
    pub fn parameters(&self) -> [u32; 3] {
        [self.window, self.head, self.step]
    }
}

/// How an answer is read.
#[napi(object, object_to_js = false)]
pub struct BindingOutput {
    /// JSON text of a list of tools: name, parameters.
    pub tools: String,
    pub calls: bool,
    pub starts_in_reasoning: bool,
}

impl BindingOutput {
    fn into_reading(self) -> Result<Reading> {
        Ok(Reading {
            tools: tools(&self.tools).map_err(thrown)?.into(),
            calls: self.calls,
            starts_in_reasoning: self.starts_in_reasoning,
        })
    }
}

#[napi(object, object_to_js = false)]
pub struct BindingSequence {
    pub sequence: u32,
    pub tokens: Uint32Array,
    /// 32 bytes.
    pub root: Uint8Array,
    /// Absent: every token sees everything before it.
    pub view: Option<BindingView>,
    pub temperature: f64,
    pub top_k: u32,
    pub top_p: f64,
    pub min_p: f64,
    pub repetition_penalty: f64,
    pub presence_penalty: f64,
    pub frequency_penalty: f64,
    pub logit_bias_tokens: Uint32Array,
    pub logit_bias_values: Float32Array,
    pub seed: BigInt,
    pub logprobs: Option<u32>,
    pub stop: Vec<String>,
    pub stop_tokens: Vec<u32>,
    pub ignore_eos: bool,
    pub include_stop: bool,
    pub min_tokens: u32,
    /// Tokens of words that must not come, one word after another, and the length of each.
    pub bad_word_tokens: Uint32Array,
    pub bad_word_lengths: Uint32Array,
    pub max_tokens: u32,
    /// Absent: the prompt's tokens get no log probabilities.
    pub prompt_logprobs: Option<u32>,
    /// Absent: the answer is content.
    pub output: Option<BindingOutput>,
    /// The last so many tokens are the message that the answer goes on with.
    pub prefill: u32,
}

/// A key's 32 bytes.
pub fn key(bytes: &[u8]) -> Result<[u8; 32]> {
    bytes.try_into().map_err(|_| {
        thrown(EngineError::Protocol { detail: format!("a block key has 32 bytes, not {}", bytes.len()) })
    })
}

/// Lists of tokens that were sent one after another.
fn words_of(tokens: &[u32], lengths: &[u32]) -> Result<Vec<Vec<u32>>> {
    let mut rest = tokens;
    let mut words = Vec::with_capacity(lengths.len());
    for &length in lengths {
        let (word, after) = rest.split_at_checked(length as usize).ok_or_else(|| {
            let detail = format!("a word of {length} tokens, of which {} were sent", rest.len());
            thrown(EngineError::Protocol { detail })
        })?;
        words.push(word.to_vec());
        rest = after;
    }
    Ok(words)
}

impl BindingSequence {
    /// The request, and its stop strings.
    pub fn into_spec(self) -> Result<(SequenceSpec, Vec<String>)> {
        let words = words_of(&self.bad_word_tokens, &self.bad_word_lengths)?;
        let bias = self.logit_bias_tokens.iter().copied().zip(self.logit_bias_values.iter().copied());
        let sampling = SamplingParams {
            temperature: self.temperature as f32,
            top_k: self.top_k,
            top_p: self.top_p as f32,
            min_p: self.min_p as f32,
            repetition_penalty: self.repetition_penalty as f32,
            presence_penalty: self.presence_penalty as f32,
            frequency_penalty: self.frequency_penalty as f32,
            logit_bias: bias.collect(),
            seed: self.seed.get_u64().1,
            logprobs: self.logprobs,
        };
        let spec = SequenceSpec {
            sequence: self.sequence,
            tokens: self.tokens.to_vec(),
            root: key(&self.root)?,
            view: self.view.map(|view| View::new(view.parameters())).transpose().map_err(thrown)?,
            sampling,
            stop_tokens: self.stop_tokens,
            include_stop: self.include_stop,
            bans: Bans { ignore_eos: self.ignore_eos, min_tokens: self.min_tokens, words },
            max_tokens: self.max_tokens,
            prompt_logprobs: self.prompt_logprobs,
            output: self.output.map(BindingOutput::into_reading).transpose()?,
            prefill: self.prefill,
            constraint: None,
        };
        Ok((spec, self.stop))
    }
}
