//! The card's sampler against the CPU's, on the same logits with the same random numbers.

use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::sampling::{SampleRequest, SamplingParams, TokenCounts, TokenMask, sample};
use attentionstore_model::weights::WeightDtype;

use crate::cpu_support::models::{Random, weights};
use crate::support::{card, config};

const ROWS: usize = 64;

fn one_of<T: Copy>(random: &mut Random, of: &[T]) -> T {
    of[random.below(of.len())]
}

/// What one request brings along.
struct Asked {
    params: SamplingParams,
    counts: TokenCounts,
    banned: Vec<u32>,
    mask: Option<TokenMask>,
}

/// Parameters of every kind, and counts for penalties; every third with a mask: of all even tokens, of a few tokens, of
/// none.
fn drawn(random: &mut Random, vocabulary: usize) -> Asked {
    let token = |random: &mut Random| random.below(vocabulary) as u32;
    let mut params = SamplingParams {
        temperature: one_of(random, &[0.0, 0.3, 1.0, 2.0]),
        top_k: one_of(random, &[0, 0, 1, 5, 40, 1_000_000]),
        top_p: one_of(random, &[1.0, 1.0, 0.37, 0.95]),
        min_p: one_of(random, &[0.0, 0.0, 0.05]),
        repetition_penalty: one_of(random, &[1.0, 1.3]),
        presence_penalty: one_of(random, &[0.0, 0.55]),
        frequency_penalty: one_of(random, &[0.0, 0.35]),
        seed: random.bits(),
        logprobs: one_of(random, &[None, Some(0), Some(5), Some(20)]),
        logit_bias: Vec::new(),
    };
    let (mut counts, mut banned) = (TokenCounts::default(), Vec::new());
    for _ in 0..random.below(6) {
        counts.prompt.insert(token(random), 1);
        counts.answer.insert(token(random), 1 + random.below(3) as u32);
        params.logit_bias.push((token(random), 2.0 * random.signed()));
        banned.push(token(random));
    }
    let mask = (random.below(3) == 0).then(|| {
        let mut mask = TokenMask::new(vocabulary);
        match random.below(3) {
            0 => (0..vocabulary as u32).step_by(2).for_each(|token| mask.allow(token)),
            1 => (0..1 + random.below(9)).for_each(|_| mask.allow(token(random))),
            _ => {}
        }
        mask
    });
    Asked { params, counts, banned, mask }
}

#[test]
fn tokens_and_log_probabilities_are_those_of_the_cpu_s_sampler() {
    let Some(card) = card("tokens_and_log_probabilities_are_those_of_the_cpu_s_sampler") else { return };
    for (seed, vocab_size) in [(1, 101), (2, 5000), (3, 33_000)] {
        let config = ModelConfig { vocab_size, ..config() };
        let weights = weights(&config, seed, &[WeightDtype::F32]);
        let mut backend = card.backend(&config, &weights, 4, ROWS);
        let mut random = Random(seed);
        let tokens = random.tokens(ROWS, vocab_size);
        let all = BatchSequence { tokens: &tokens, position: 0, slots: &[2], logits: LogitsWanted::All };
        backend.begin_step(&[all]).unwrap();
        (0..2).for_each(|layer| backend.run_layer(layer).unwrap());
        let asked: Vec<_> = (0..ROWS).map(|_| drawn(&mut random, vocab_size)).collect();
        let requests: Vec<SampleRequest<'_>> = asked
            .iter()
            .enumerate()
            .map(|(row, asked)| SampleRequest {
                row,
                params: &asked.params,
                counts: &asked.counts,
                token_index: 7,
                banned: &asked.banned,
                mask: asked.mask.as_ref(),
            })
            .collect();
        let found = backend.sample(&requests).unwrap();
        let again = backend.sample(&requests).unwrap();
        assert_eq!(found, again, "the logits are left as they were");
        for (request, found) in requests.iter().zip(&found) {
            let mut logits = vec![0.0; vocab_size];
            backend.read_logits(request.row, &mut logits).unwrap();
            let wanted = sample(&logits, request);
            let (Some(found), Some(wanted)) = (found.clone().token(), wanted.clone().token()) else {
                assert_eq!(*found, wanted, "seed {seed}: {request:?}");
                continue;
            };
            assert_eq!(found.token, wanted.token, "seed {seed}: {request:?}");
            let near = |a: f32, b: f32| (a - b).abs() <= 1e-4 * (1.0 + b.abs());
            assert_eq!(found.logprob.is_some(), wanted.logprob.is_some());
            assert!(
                near(found.logprob.unwrap_or(0.0), wanted.logprob.unwrap_or(0.0)),
                "{found:?} {wanted:?}"
            );
            let ids = |top: &[(u32, f32)]| top.iter().map(|(token, _)| *token).collect::<Vec<_>>();
            assert_eq!(ids(&found.top), ids(&wanted.top), "seed {seed}: {request:?}");
            let pairs = found.top.iter().zip(&wanted.top);
            assert!(pairs.clone().all(|(a, b)| near(a.1, b.1)), "{found:?} {wanted:?}");
        }
    }
}
