//! What a sampler is asked, and what it answers.

use std::collections::HashMap;

use super::TokenMask;

/// How a sequence samples. Defaults are OpenAI's; 0 or 1 turns a part off as noted.
#[derive(Clone, Debug, PartialEq)]
pub struct SamplingParams {
    /// 0 is greedy.
    pub temperature: f32,
    /// 0: off.
    pub top_k: u32,
    /// 1: off.
    pub top_p: f32,
    /// 0: off.
    pub min_p: f32,
    /// 1: off. Over prompt and answer.
    pub repetition_penalty: f32,
    /// Over the answer.
    pub presence_penalty: f32,
    /// Over the answer.
    pub frequency_penalty: f32,
    pub logit_bias: Vec<(u32, f32)>,
    /// The random number of a token comes from (seed, index of the token in the sequence) alone.
    pub seed: u64,
    /// `Some(n)`: return log probabilities with the `n` likeliest alternatives.
    pub logprobs: Option<u32>,
}

impl SamplingParams {
    /// The likeliest token, nothing else asked for.
    pub fn greedy() -> Self {
        Self {
            temperature: 0.0,
            top_k: 0,
            top_p: 1.0,
            min_p: 0.0,
            repetition_penalty: 1.0,
            presence_penalty: 0.0,
            frequency_penalty: 0.0,
            logit_bias: Vec::new(),
            seed: 0,
            logprobs: None,
        }
    }
}

/// What penalties need to know of a sequence: how often each token occurs.
#[derive(Clone, Debug, Default)]
pub struct TokenCounts {
    pub prompt: HashMap<u32, u32>,
    pub answer: HashMap<u32, u32>,
}

/// One logit row to sample from.
#[derive(Clone, Copy, Debug)]
pub struct SampleRequest<'a> {
    /// Logit row of the step.
    pub row: usize,
    pub params: &'a SamplingParams,
    pub counts: &'a TokenCounts,
    /// Index in the sequence of the token to be sampled.
    pub token_index: u64,
    /// Tokens that must not be sampled now (`ignore_eos`: the end tokens).
    pub banned: &'a [u32],
    /// Tokens that may be sampled now; none: all that are not banned.
    pub mask: Option<&'a TokenMask>,
}

/// A sampled token; log probabilities are of the raw distribution (before temperature and truncation),
/// natural log, likeliest first.
#[derive(Clone, Debug, PartialEq)]
pub struct Sampled {
    pub token: u32,
    pub logprob: Option<f32>,
    pub top: Vec<(u32, f32)>,
}

/// What became of a [`SampleRequest`].
#[derive(Clone, Debug, PartialEq)]
pub enum SampleOutcome {
    Token(Sampled),
    /// Mask, bans and bias leave no token: the answer cannot go on.
    NoneAllowed,
}

impl SampleOutcome {
    /// The token, where there is one.
    pub fn token(self) -> Option<Sampled> {
        match self {
            Self::Token(sampled) => Some(sampled),
            Self::NoneAllowed => None,
        }
    }
}
