//! What a row of logits says of a token that is known: the next one of a prompt.

use super::{finite, log_probabilities};

/// A known token, and the logit row of the token before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScoreRequest {
    /// Logit row of the step.
    pub row: usize,
    pub token: u32,
    /// The so many likeliest tokens are told too.
    pub top: u32,
}

/// Log probabilities are natural and of the raw logits; `top` has the likeliest token first.
#[derive(Clone, Debug, PartialEq)]
pub struct Scored {
    pub logprob: f32,
    /// 1 + the number of likelier tokens.
    pub rank: u32,
    pub top: Vec<(u32, f32)>,
}

/// Scores the request's token by a row of raw logits. A token outside the vocabulary has probability 0.
pub fn score(logits: &[f32], request: &ScoreRequest) -> Scored {
    let (logprob, top) = log_probabilities(logits, request.token, request.top as usize);
    let own = logits.get(request.token as usize).map_or(f32::NEG_INFINITY, |&logit| finite(logit));
    let likelier = logits.iter().filter(|&&logit| finite(logit) > own).count();
    Scored { logprob, rank: 1 + likelier as u32, top }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_s_rank_counts_the_tokens_that_are_likelier() {
        let logits = [1.0, 3.0, f32::NAN, 3.0, f32::NEG_INFINITY, 2.0];
        let rank = |token| score(&logits, &ScoreRequest { row: 0, token, top: 0 }).rank;
        assert_eq!([1, 3, 5, 0, 4, 99].map(rank), [1, 1, 3, 4, 5, 5]);
    }

    #[test]
    fn a_score_is_the_log_probability_of_the_token_with_the_likeliest_beside_it() {
        let logits = [0.0f32, 2.0, 1.0];
        let total: f64 = logits.iter().map(|&logit| f64::from(logit).exp()).sum();
        let expected = |token: usize| (f64::from(logits[token]) - total.ln()) as f32;
        let scored = score(&logits, &ScoreRequest { row: 0, token: 0, top: 2 });
        assert_eq!(
            scored,
            Scored { logprob: expected(0), rank: 3, top: vec![(1, expected(1)), (2, expected(2))] }
        );
    }
}
