//! The sampler against a plain one that sorts everything, and its edge cases.

use super::random::uniform;
use super::{SampleOutcome, SampleRequest, Sampled, SamplingParams, TokenCounts, TokenMask, sample};

fn params() -> SamplingParams {
    SamplingParams { temperature: 1.0, ..SamplingParams::greedy() }
}

fn draw(
    logits: &[f32],
    params: &SamplingParams,
    counts: &TokenCounts,
    banned: &[u32],
    index: u64,
) -> Sampled {
    let request = SampleRequest { row: 0, params, counts, token_index: index, banned, mask: None };
    sample(logits, &request).token().expect("a token is left")
}

fn plain(logits: &[f32], params: &SamplingParams, index: u64) -> u32 {
    draw(logits, params, &TokenCounts::default(), &[], index).token
}

/// Numbers from a seed, for cases of every shape.
struct Cases(u64, u64);

impl Cases {
    fn next(&mut self) -> f64 {
        self.1 += 1;
        uniform(self.0, self.1)
    }
    fn below(&mut self, n: usize) -> usize {
        (self.next() * n as f64) as usize
    }
    fn logits(&mut self, n: usize) -> Vec<f32> {
        // Rounded, so that equal logits occur.
        (0..n).map(|_| ((self.next() - 0.5) * 160.0).round() as f32 / 8.0).collect()
    }
    fn one_of<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())]
    }
}

/// Probabilities of the tokens that may be chosen, by full sorts in f64.
fn oracle(logits: &[f32], params: &SamplingParams, counts: &TokenCounts, banned: &[u32]) -> Vec<(u32, f64)> {
    let mut all: Vec<(u32, f64)> = Vec::new();
    for (token, &logit) in logits.iter().enumerate() {
        let token = token as u32;
        let mut logit = f64::from(logit);
        let (prompt, answer) = (counts.prompt.get(&token), counts.answer.get(&token));
        if prompt.is_some() || answer.is_some() {
            let penalty = f64::from(params.repetition_penalty);
            logit = if logit > 0.0 { logit / penalty } else { logit * penalty };
        }
        if let Some(&count) = answer {
            logit -=
                f64::from(params.presence_penalty) + f64::from(params.frequency_penalty) * f64::from(count);
        }
        let biases = params.logit_bias.iter().filter(|(biased, _)| *biased == token);
        logit += biases.map(|(_, bias)| f64::from(*bias)).sum::<f64>();
        if !banned.contains(&token) {
            all.push((token, logit / f64::from(params.temperature)));
        }
    }
    all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    let top = all[0].1;
    let mut all: Vec<(u32, f64)> =
        all.into_iter().map(|(token, logit)| (token, (logit - top).exp())).collect();
    if params.top_k > 0 {
        all.truncate(params.top_k as usize);
    }
    if params.top_p < 1.0 {
        let total: f64 = all.iter().map(|(_, weight)| weight).sum();
        let mut sum = 0.0;
        let last = all.iter().position(|(_, weight)| {
            sum += weight;
            sum >= f64::from(params.top_p) * total * (1.0 - 1e-6)
        });
        all.truncate(last.map_or(all.len(), |last| last + 1));
    }
    all.retain(|(_, weight)| *weight >= f64::from(params.min_p));
    let total: f64 = all.iter().map(|(_, weight)| weight).sum();
    all.into_iter().map(|(token, weight)| (token, weight / total)).collect()
}

#[test]
fn frequencies_follow_the_sorted_reference_distribution() {
    for seed in 0..60 {
        println!("seed {seed}");
        let mut cases = Cases(seed, 0);
        let n = 2 + cases.below(300);
        let logits = cases.logits(n);
        let mut params = params();
        params.temperature = cases.one_of(&[0.3, 0.7, 1.0, 2.0]);
        params.top_k = cases.one_of(&[0, 0, 1, 5, 40, 1000]);
        params.top_p = cases.one_of(&[1.0, 1.0, 0.37, 0.83, 0.951]);
        params.min_p = cases.one_of(&[0.0, 0.0, 0.013, 0.21]);
        params.repetition_penalty = cases.one_of(&[1.0, 1.3]);
        params.presence_penalty = cases.one_of(&[0.0, 0.55]);
        params.frequency_penalty = cases.one_of(&[0.0, 0.35]);
        params.seed = seed;
        let mut counts = TokenCounts::default();
        let mut banned = Vec::new();
        for _ in 0..4 {
            counts.prompt.insert(cases.below(n) as u32, 1);
            counts.answer.insert(cases.below(n) as u32, 1 + cases.below(3) as u32);
            params.logit_bias.push((cases.below(n) as u32, 1.5));
        }
        if n > 4 {
            banned.push(cases.below(n) as u32);
        }
        let expected = oracle(&logits, &params, &counts, &banned);
        const DRAWS: u32 = 3000;
        let mut drawn = vec![0u32; n];
        for index in 0..DRAWS {
            drawn[draw(&logits, &params, &counts, &banned, u64::from(index)).token as usize] += 1;
        }
        let outside: u32 = (0..n as u32)
            .filter(|token| expected.iter().all(|(known, _)| known != token))
            .map(|token| drawn[token as usize])
            .sum();
        assert_eq!(outside, 0, "{params:?}");
        for (token, probability) in expected {
            let mean = probability * f64::from(DRAWS);
            let deviation = (mean * (1.0 - probability)).sqrt().max(1.0);
            let distance = (f64::from(drawn[token as usize]) - mean).abs();
            assert!(
                distance < 5.0 * deviation,
                "token {token}: {distance} from {mean} ± {deviation}, {params:?}"
            );
        }
    }
}

#[test]
fn greedy_takes_the_lowest_id_among_the_greatest() {
    let mut params = params();
    params.temperature = 0.0;
    assert_eq!(plain(&[1.0, 3.0, 3.0, 2.0], &params, 0), 1);
    params.temperature = 1.0;
    params.top_k = 1;
    assert_eq!(plain(&[1.0, 3.0, 3.0, 2.0], &params, 0), 1);
}

#[test]
fn the_same_seed_and_index_give_the_same_token_and_others_give_others() {
    let logits = vec![0.0; 1000];
    let mut params = params();
    let of =
        |params: &SamplingParams| (0..50).map(|index| plain(&logits, params, index)).collect::<Vec<u32>>();
    let first = of(&params);
    assert_eq!(first, of(&params));
    params.seed = 1;
    assert_ne!(first, of(&params));
    assert!(first.windows(2).any(|pair| pair[0] != pair[1]));
}

#[test]
fn banned_tokens_are_never_chosen_even_when_a_bias_asks_for_them() {
    let mut params = params();
    params.logit_bias = vec![(2, 100.0)];
    let counts = TokenCounts::default();
    for temperature in [0.0, 1.0] {
        params.temperature = temperature;
        assert!((0..100).all(|index| draw(&[0.0; 4], &params, &counts, &[2], index).token != 2));
        assert_eq!(draw(&[0.0; 4], &params, &counts, &[], 0).token, 2);
    }
    assert_eq!(draw(&[f32::NEG_INFINITY; 3], &params, &counts, &[0], 0).token, 1);
    let all = SampleRequest {
        row: 0,
        params: &params,
        counts: &counts,
        token_index: 0,
        banned: &[0, 1],
        mask: None,
    };
    assert_eq!(sample(&[0.0; 2], &all), SampleOutcome::NoneAllowed);
}

#[test]
fn nan_and_infinite_logits_never_panic_and_nan_is_never_chosen() {
    let mut params = params();
    params.logprobs = Some(3);
    for (top_k, top_p) in [(0, 1.0), (2, 1.0), (0, 0.5), (2, 0.5)] {
        (params.top_k, params.top_p) = (top_k, top_p);
        let token = |logits: &[f32]| plain(logits, &params, 9);
        assert_eq!(token(&[f32::NAN, 1.0, f32::NAN]), 1);
        assert_eq!(token(&[0.0, f32::INFINITY, 0.0]), 1);
        assert_eq!(token(&[f32::NAN, f32::NAN]), 0);
        assert_eq!(token(&[5.0]), 0);
    }
}

#[test]
fn log_probabilities_are_of_the_raw_distribution() {
    let mut params = params();
    params.logprobs = Some(2);
    params.temperature = 0.0;
    params.logit_bias = vec![(0, 50.0)];
    let logits = [0.0, 2f32.ln(), 5f32.ln(), f32::NEG_INFINITY];
    let sampled = draw(&logits, &params, &TokenCounts::default(), &[], 0);
    let near = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-6;
    assert_eq!(sampled.token, 0);
    assert!(near(sampled.logprob.unwrap(), (1.0f64 / 8.0).ln()));
    assert_eq!(sampled.top.iter().map(|(token, _)| *token).collect::<Vec<u32>>(), [2, 1]);
    assert!(near(sampled.top[0].1, (5.0f64 / 8.0).ln()) && near(sampled.top[1].1, (2.0f64 / 8.0).ln()));
}

#[test]
fn a_large_vocabulary_keeps_exactly_the_nucleus() {
    let mut cases = Cases(11, 0);
    let logits: Vec<f32> = (0..150_000).map(|_| (cases.next() * 4.0) as f32).collect();
    let mut params = params();
    params.top_p = 0.5;
    let expected = oracle(&logits, &params, &TokenCounts::default(), &[]);
    let kept: std::collections::HashSet<u32> = expected.iter().map(|(token, _)| *token).collect();
    assert!((0..40).all(|index| kept.contains(&plain(&logits, &params, index))));
}

/// As [`draw`], of what `allowed` leaves.
fn draw_masked(
    logits: &[f32],
    params: &SamplingParams,
    banned: &[u32],
    allowed: impl Fn(u32) -> bool,
    index: u64,
) -> SampleOutcome {
    let mut mask = TokenMask::new(logits.len());
    (0..logits.len() as u32).filter(|&token| allowed(token)).for_each(|token| mask.allow(token));
    let counts = TokenCounts::default();
    let request =
        SampleRequest { row: 0, params, counts: &counts, token_index: index, banned, mask: Some(&mask) };
    sample(logits, &request)
}

fn even(token: u32) -> bool {
    token.is_multiple_of(2)
}

#[test]
fn a_mask_is_the_same_as_a_ban_of_every_token_that_it_leaves_out() {
    for seed in 0..200 {
        let mut cases = Cases(seed, 0);
        let n = 2 + cases.below(300);
        let logits = cases.logits(n);
        let params = SamplingParams {
            temperature: cases.one_of(&[0.0, 0.3, 1.0, 2.0]),
            top_k: cases.one_of(&[0, 0, 1, 5, 40, 1000]),
            top_p: cases.one_of(&[1.0, 1.0, 0.37, 0.951]),
            min_p: cases.one_of(&[0.0, 0.0, 0.21]),
            logit_bias: vec![(cases.below(n) as u32, 100.0)],
            logprobs: Some(4),
            seed,
            ..SamplingParams::greedy()
        };
        let odd: Vec<u32> = (0..n as u32).filter(|&token| !even(token)).collect();
        for index in 0..20 {
            let masked = draw_masked(&logits, &params, &[], even, index).token().expect("token 0 is left");
            assert!(even(masked.token), "{params:?}");
            assert_eq!(masked, draw(&logits, &params, &TokenCounts::default(), &odd, index), "{params:?}");
        }
    }
}

#[test]
fn log_probabilities_of_a_masked_row_are_those_of_its_raw_logits() {
    let params = SamplingParams { logprobs: Some(3), ..SamplingParams::greedy() };
    let logits = [1.0, 4.0, 2.0, 3.0];
    let masked = draw_masked(&logits, &params, &[], even, 0).token().unwrap();
    let plain = draw(&logits, &params, &TokenCounts::default(), &[], 0);
    assert_eq!((masked.token, plain.token), (2, 1));
    assert_eq!(masked.top, plain.top, "tokens that may not come are listed too");
    assert_eq!(masked.logprob, Some(plain.top[2].1));
}

#[test]
fn where_mask_bans_and_bias_leave_no_token_none_is_sampled() {
    let biased_away = vec![(0, f32::NEG_INFINITY), (2, f32::NEG_INFINITY)];
    for temperature in [0.0, 1.0] {
        let params = SamplingParams { temperature, ..SamplingParams::greedy() };
        let none_left = |banned: &[u32], allowed: fn(u32) -> bool| {
            draw_masked(&[0.0; 4], &params, banned, allowed, 0) == SampleOutcome::NoneAllowed
        };
        assert!(none_left(&[], |_| false));
        assert!(none_left(&[0, 2], even));
        assert!(none_left(&[0, 1, 2, 3], |_| true));
        assert!(!none_left(&[0], even));
        let biased = SamplingParams { logit_bias: biased_away.clone(), ..params.clone() };
        assert_eq!(draw_masked(&[0.0; 4], &biased, &[], even, 0), SampleOutcome::NoneAllowed);
    }
}

#[test]
fn a_row_without_numbers_gives_the_lowest_token_that_is_left() {
    let params = SamplingParams { temperature: 1.0, ..SamplingParams::greedy() };
    for logits in [[f32::NAN; 6], [f32::NEG_INFINITY; 6]] {
        let sampled = draw_masked(&logits, &params, &[0, 2], even, 0).token().unwrap();
        assert_eq!(sampled.token, 4);
    }
}

#[test]
fn a_mask_allows_what_it_was_told_and_no_token_outside_its_vocabulary() {
    let mut mask = TokenMask::new(40);
    [0, 31, 32, 39, 40, 63, u32::MAX].into_iter().for_each(|token| mask.allow(token));
    let allowed: Vec<u32> = (0..100).filter(|&token| mask.allows(token)).collect();
    assert_eq!(allowed, [0, 31, 32, 39]);
    assert!(!mask.allows(u32::MAX));
    assert_eq!(mask.words(), [1 | 1 << 31, 1 | 1 << 7]);
    mask.clear();
    assert_eq!(mask, TokenMask::new(40));
}
