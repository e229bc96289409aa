//! Log probabilities of the raw distribution.

use super::finite;

/// Natural log probability of `token`, and of the `count` likeliest tokens, likeliest first (lowest id first
/// among equals).
pub fn log_probabilities(logits: &[f32], token: u32, count: usize) -> (f32, Vec<(u32, f32)>) {
    let greatest = logits.iter().map(|&logit| finite(logit)).fold(f32::NEG_INFINITY, f32::max);
    if greatest == f32::NEG_INFINITY {
        return (f32::NEG_INFINITY, Vec::new());
    }
    let relative = |logit: f32| f64::from(finite(logit)) - f64::from(greatest);
    let sum: f64 = logits.iter().map(|&logit| relative(logit).exp()).sum();
    let log_probability = |logit: f32| (relative(logit) - sum.ln()) as f32;
    let own = logits.get(token as usize).map_or(f32::NEG_INFINITY, |&logit| log_probability(logit));
    let top = likeliest(logits, count);
    (own, top.into_iter().map(|token| (token, log_probability(logits[token as usize]))).collect())
}

/// The `count` tokens with the greatest logits.
fn likeliest(logits: &[f32], count: usize) -> Vec<u32> {
    let count = count.min(logits.len());
    if count == 0 {
        return Vec::new();
    }
    let order = |a: &u32, b: &u32| {
        let (x, y) = (finite(logits[*a as usize]), finite(logits[*b as usize]));
        y.total_cmp(&x).then(a.cmp(b))
    };
    let mut tokens: Vec<u32> = (0..logits.len() as u32).collect();
    tokens.select_nth_unstable_by(count - 1, order);
    tokens.truncate(count);
    tokens.sort_unstable_by(order);
    tokens
}
