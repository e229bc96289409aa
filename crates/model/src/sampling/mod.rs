//! From logits to a token: penalties, temperature, truncation, seeded choice, log probabilities.
//!
//! Order of operations: repetition penalty → presence and frequency penalties → `logit_bias` → banned tokens → mask →
//! temperature → `top_k` → `top_p` → `min_p` → choice. Log probabilities are of the raw logits. A NaN counts as
//! minus infinity, +∞ as the greatest finite number. Equal logits are ordered by token id, lowest first.

mod adjust;
mod choose;
mod logprobs;
mod mask;
mod random;
mod score;
#[cfg(test)]
mod tests;
mod types;

pub use choose::greatest;
pub use logprobs::log_probabilities;
pub use mask::TokenMask;
pub(crate) use random::uniform;
pub use score::{ScoreRequest, Scored, score};
pub use types::{SampleOutcome, SampleRequest, Sampled, SamplingParams, TokenCounts};

/// Samples one token from a row of raw logits. The same logits and request always give the same token; only
/// `params.seed` and `token_index` decide the random number.
///
/// Where every token that is left has a logit of NaN or −∞, the answer is the lowest of them.
pub fn sample(logits: &[f32], request: &SampleRequest<'_>) -> SampleOutcome {
    let adjusted = adjust::adjusted(logits, request);
    let token = if request.params.temperature > 0.0 {
        let random = uniform(request.params.seed, request.token_index);
        choose::choose(&adjusted, request.params, random)
    } else {
        choose::greatest(&adjusted)
    };
    let Some(token) = token.or_else(|| first_left(logits.len(), request)) else {
        return SampleOutcome::NoneAllowed;
    };
    let (logprob, top) = match request.params.logprobs {
        Some(count) => {
            let (logprob, top) = logprobs::log_probabilities(logits, token, count as usize);
            (Some(logprob), top)
        }
        None => (None, Vec::new()),
    };
    SampleOutcome::Token(Sampled { token, logprob, top })
}

/// The lowest token that mask, bans and bias leave.
fn first_left(vocabulary: usize, request: &SampleRequest<'_>) -> Option<u32> {
    let masked = |token: u32| request.mask.is_some_and(|mask| !mask.allows(token));
    let biases = &request.params.logit_bias;
    let biased_away =
        |token: u32| biases.iter().any(|&(biased, bias)| biased == token && bias == f32::NEG_INFINITY);
    (0..vocabulary as u32)
        .find(|&token| !masked(token) && !request.banned.contains(&token) && !biased_away(token))
}

/// Orders logits: a number above the others first, NaN last.
fn finite(logit: f32) -> f32 {
    if logit.is_nan() { f32::NEG_INFINITY } else { logit.min(f32::MAX) }
}
