//! Penalties, bias, bans and the mask: what changes logits before a token is chosen.

use std::borrow::Cow;

use super::SamplingParams;
use super::types::{SampleRequest, TokenCounts};

/// The logits after penalties, bias, bans and mask; as they are where nothing changes them.
pub fn adjusted<'a>(logits: &'a [f32], request: &SampleRequest<'_>) -> Cow<'a, [f32]> {
    let mut adjusted = Cow::Borrowed(logits);
    penalise(&mut adjusted, request.params, request.counts);
    for &(token, bias) in &request.params.logit_bias {
        change(&mut adjusted, token, |logit| logit + bias);
    }
    for &token in request.banned {
        change(&mut adjusted, token, |_| f32::NEG_INFINITY);
    }
    if let Some(mask) = request.mask {
        mask.apply(adjusted.to_mut());
    }
    adjusted
}

fn penalise(logits: &mut Cow<'_, [f32]>, params: &SamplingParams, counts: &TokenCounts) {
    let repetition = params.repetition_penalty;
    if repetition != 1.0 && repetition > 0.0 {
        let once_more = |logit: f32| if logit > 0.0 { logit / repetition } else { logit * repetition };
        let only_in_answer = counts.answer.keys().filter(|token| !counts.prompt.contains_key(token));
        for &token in counts.prompt.keys().chain(only_in_answer) {
            change(logits, token, once_more);
        }
    }
    if params.presence_penalty != 0.0 || params.frequency_penalty != 0.0 {
        for (&token, &count) in &counts.answer {
            let penalty = params.presence_penalty + params.frequency_penalty * count as f32;
            change(logits, token, |logit| logit - penalty);
        }
    }
}

/// Tokens outside the vocabulary are none of this model's: they change nothing.
fn change(logits: &mut Cow<'_, [f32]>, token: u32, change: impl FnOnce(f32) -> f32) {
    if (token as usize) < logits.len() {
        let logit = &mut logits.to_mut()[token as usize];
        *logit = change(*logit);
    }
}
