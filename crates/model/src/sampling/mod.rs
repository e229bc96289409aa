//! From logits to a token: penalties, temperature, truncation, seeded choice, log probabilities.
//!
//! Order of operations: repetition penalty → presence and frequency penalties → `logit_bias` → banned tokens →
//! temperature → `top_k` → `top_p` → `min_p` → choice. Log probabilities are of the raw logits. A NaN counts as
//! minus infinity, +∞ as the greatest finite number. Equal logits are ordered by token id, lowest first.

mod adjust;
mod choose;
mod logprobs;
mod random;
#[cfg(test)]
mod tests;
mod types;

pub use choose::greatest;
pub use logprobs::log_probabilities;
pub(crate) use random::uniform;
pub use types::{SampleRequest, Sampled, SamplingParams, TokenCounts};

/// Samples one token from a row of raw logits. The same logits and request always give the same token; only
/// `params.seed` and `token_index` decide the random number.
///
/// With every token banned or NaN the answer is the lowest token that is not banned (0 if there is none).
pub fn sample(logits: &[f32], request: &SampleRequest<'_>) -> Sampled {
    let adjusted = adjust::adjusted(logits, request);
    let token = if request.params.temperature > 0.0 {
        let random = uniform(request.params.seed, request.token_index);
        choose::choose(&adjusted, request.params, random)
    } else {
        choose::greatest(&adjusted)
    };
    let token = token.unwrap_or_else(|| first_allowed(logits.len(), request.banned));
    let (logprob, top) = match request.params.logprobs {
        Some(count) => {
            let (logprob, top) = logprobs::log_probabilities(logits, token, count as usize);
            (Some(logprob), top)
        }
        None => (None, Vec::new()),
    };
    Sampled { token, logprob, top }
}

fn first_allowed(vocabulary: usize, banned: &[u32]) -> u32 {
    (0..vocabulary as u32).find(|token| !banned.contains(token)).unwrap_or(0)
}

/// Orders logits: a number above the others first, NaN last.
fn finite(logit: f32) -> f32 {
    if logit.is_nan() { f32::NEG_INFINITY } else { logit.min(f32::MAX) }
}
