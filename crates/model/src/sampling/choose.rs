//! Truncation and choice: softmax weights of the likeliest tokens only, without sorting a whole vocabulary.

use std::cmp::Ordering;

use super::{SamplingParams, finite};

/// Logits compared side by side.
const LANES: usize = 16;

/// Tokens whose weights are summed up before one of them is looked for.
const PICK_BLOCK: usize = 256;

/// Candidates selected first for `top_p`; four times as many in each further round.
const FIRST_ROUND: usize = 64;

/// A token and its weight e^((logit − greatest) / temperature).
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    token: u32,
    weight: f32,
}

/// The token with the greatest logit, the lowest id among equals; `None` if all are NaN or minus infinity.
pub fn greatest(logits: &[f32]) -> Option<u32> {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = logits.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, &logit) in lanes.iter_mut().zip(chunk) {
            *lane = if logit > *lane { logit } else { *lane };
        }
    }
    let top =
        lanes.iter().chain(rest).copied().filter(|logit| !logit.is_nan()).fold(f32::NEG_INFINITY, f32::max);
    let at = logits.iter().position(|&logit| logit == top)?;
    (top > f32::NEG_INFINITY).then_some(at as u32)
}

/// The token that `random` in [0, 1) picks among those that `top_k`, `top_p` and `min_p` leave.
pub fn choose(logits: &[f32], params: &SamplingParams, random: f64) -> Option<u32> {
    let top = finite(logits[greatest(logits)? as usize]);
    let weights: Vec<f32> =
        logits.iter().map(|&logit| exp((finite(logit) - top) / params.temperature)).collect();
    let untouched = params.top_k == 0 && params.top_p >= 1.0 && params.min_p <= 0.0;
    if untouched { pick_of_all(&weights, random) } else { pick(&truncate(&weights, params), random) }
}

/// [`pick`] with every token a candidate: whole blocks are passed by their sums.
fn pick_of_all(weights: &[f32], random: f64) -> Option<u32> {
    let sum = |block: &[f32]| block.iter().map(|&weight| f64::from(weight)).sum::<f64>();
    let sums: Vec<f64> = weights.chunks(PICK_BLOCK).map(sum).collect();
    let mut left = random * sums.iter().sum::<f64>();
    // Rounding may lead past the end: then the last block that can be chosen from.
    let last = sums.iter().rposition(|&sum| sum > 0.0)?;
    let passed = |sum: &f64| {
        let within = left < *sum;
        left -= if within { 0.0 } else { *sum };
        within
    };
    let block = sums[..last].iter().position(passed).unwrap_or(last);
    let first = block * PICK_BLOCK;
    let candidates: Vec<Candidate> = (first..weights.len().min(first + PICK_BLOCK))
        .map(|token| Candidate { token: token as u32, weight: weights[token] })
        .collect();
    pick(&candidates, left / sums[block])
}

/// The first candidate at which the running sum of weights passes `random` of the total.
fn pick(candidates: &[Candidate], random: f64) -> Option<u32> {
    let total: f64 = candidates.iter().map(|candidate| f64::from(candidate.weight)).sum();
    let mut left = random * total;
    for candidate in candidates {
        left -= f64::from(candidate.weight);
        if left < 0.0 {
            return Some(candidate.token);
        }
    }
    // Only rounding leads here: the last one that can be chosen.
    candidates.iter().rev().find(|candidate| candidate.weight > 0.0).map(|candidate| candidate.token)
}

/// What may be chosen: likeliest first where `top_k` or `top_p` is on, else by id.
fn truncate(weights: &[f32], params: &SamplingParams) -> Vec<Candidate> {
    let k = match params.top_k as usize {
        0 => weights.len(),
        k => k.min(weights.len()),
    };
    // The greatest weight is 1, so `min_p` is a threshold on weights; what it drops is behind every candidate
    // that it keeps, so it may act first where nothing is summed up.
    let enough = |candidate: &Candidate| candidate.weight > 0.0 && candidate.weight >= params.min_p;
    let all = weights.iter().enumerate().map(|(token, &weight)| Candidate { token: token as u32, weight });
    let ordered = if params.top_p < 1.0 {
        nucleus(all.filter(|candidate| candidate.weight > 0.0).collect(), k, f64::from(params.top_p))
    } else if k < weights.len() {
        likeliest(all.filter(enough).collect(), k)
    } else {
        all.collect()
    };
    ordered.into_iter().filter(enough).collect()
}

/// Likeliest first, lowest id first among equals.
fn order(a: &Candidate, b: &Candidate) -> Ordering {
    b.weight.total_cmp(&a.weight).then(a.token.cmp(&b.token))
}

/// The `k` likeliest, in order.
fn likeliest(mut candidates: Vec<Candidate>, k: usize) -> Vec<Candidate> {
    if k < candidates.len() && k > 0 {
        candidates.select_nth_unstable_by(k - 1, order);
    }
    candidates.truncate(k);
    candidates.sort_unstable_by(order);
    candidates
}

/// The shortest row of likeliest candidates, among the `k` likeliest, that holds `p` of their weight; at least
/// one candidate.
fn nucleus(candidates: Vec<Candidate>, k: usize, p: f64) -> Vec<Candidate> {
    let mut candidates = if k < candidates.len() { likeliest(candidates, k) } else { candidates };
    let total: f64 = candidates.iter().map(|candidate| f64::from(candidate.weight)).sum();
    // All candidates lighter than this hold less than 1 - p together: the nucleus ends before them.
    let light = (1.0 - p) * total / candidates.len() as f64;
    candidates.retain(|candidate| f64::from(candidate.weight) >= light);
    let mut round = FIRST_ROUND;
    loop {
        let mut front = likeliest(candidates.clone(), round);
        let mut sum = 0.0;
        let needed = front.iter().position(|candidate| {
            sum += f64::from(candidate.weight);
            sum >= p * total
        });
        if needed.is_some() || round >= candidates.len() {
            front.truncate(needed.map_or(front.len(), |last| last + 1));
            return front;
        }
        round *= 4;
    }
}

/// e^x for x ≤ 0 in plain operations that every machine rounds alike, and that compile to vectors; the relative
/// error is below 2e-7, and below e^-87 the result is 0.
#[expect(clippy::approx_constant, reason = "a fitted coefficient, not ln 2")]
fn exp(x: f32) -> f32 {
    const ROUND: f32 = 12_582_912.0;
    let scaled = (x * std::f32::consts::LOG2_E).max(-126.0);
    let shifted = scaled + ROUND;
    let fraction = scaled - (shifted - ROUND);
    let mut power = 0.001_326_473_2_f32;
    for coefficient in [0.009_671_523, 0.055_507_34, 0.240_222_42, 0.693_147, 1.0] {
        power = power * fraction + coefficient;
    }
    let value = f32::from_bits(power.to_bits().wrapping_add(shifted.to_bits() << 23));
    if x < -87.0 { 0.0 } else { value }
}
