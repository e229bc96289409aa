//! The requests of one sampling launch, and those that are left to the host.

use std::collections::{BTreeMap, HashMap};

use attentionstore_cuda::launch::{Adjustment, LogProbabilityRequest, MOST_TOP, NO_MASK, SampleChoice};

use super::plan::ADJUSTMENTS_MOST;
use crate::sampling::{SampleRequest, TokenMask, uniform};

/// A request and the place of its row among the logits on the card.
pub type Placed<'a, 'b> = (&'a SampleRequest<'b>, usize);

/// The requests of one launch, and those that it does not get.
#[derive(Debug, Default)]
pub struct SamplePlan {
    pub choices: Vec<SampleChoice>,
    pub log_probabilities: Vec<LogProbabilityRequest>,
    pub adjustments: Vec<Adjustment>,
    /// Words of the choices' masks, one mask after another.
    pub masks: Vec<u32>,
    /// For each request its place in `choices`; none: the host samples.
    pub choice_of: Vec<Option<usize>>,
    /// For each request its place in `log_probabilities`.
    pub log_probability_of: Vec<Option<usize>>,
}

impl SamplePlan {
    pub fn new(requests: &[Placed<'_, '_>], vocabulary: usize) -> SamplePlan {
        let mut uses: HashMap<usize, usize> = HashMap::new();
        requests.iter().for_each(|(_, row)| *uses.entry(*row).or_default() += 1);
        let mut plan = SamplePlan::default();
        for &(request, row) in requests {
            let adjustments = adjustments(request, row as u32, vocabulary);
            let shared = !adjustments.is_empty() && uses[&row] > 1;
            let too_many = plan.adjustments.len() + adjustments.len() > ADJUSTMENTS_MOST;
            let too_many_top = request.params.logprobs.is_some_and(|top| top as usize > MOST_TOP);
            if shared || too_many || too_many_top {
                plan.choice_of.push(None);
                plan.log_probability_of.push(None);
                continue;
            }
            plan.adjustments.extend(adjustments);
            plan.ask(request, row as u32, vocabulary);
        }
        plan
    }

    fn ask(&mut self, request: &SampleRequest<'_>, row: u32, vocabulary: usize) {
        let params = request.params;
        let sample = self.choices.len();
        self.choice_of.push(Some(sample));
        let mask = request.mask.map_or(NO_MASK, |mask| self.add_mask(mask, vocabulary));
        self.choices.push(SampleChoice {
            row,
            temperature: params.temperature,
            // All of a vocabulary is no truncation; the CPU then chooses by token id too.
            top_k: if params.top_k as usize >= vocabulary { 0 } else { params.top_k },
            top_p: params.top_p,
            min_p: params.min_p,
            mask,
            random: uniform(params.seed, request.token_index),
        });
        let asked = params.logprobs.map(|top| {
            let top = top.min(vocabulary as u32);
            self.log_probabilities.push(LogProbabilityRequest { row, sample: sample as u32, top, unused: 0 });
            self.log_probabilities.len() - 1
        });
        self.log_probability_of.push(asked);
    }

    /// The mask's number among those of the launch. A mask over another vocabulary allows what lies in both.
    fn add_mask(&mut self, mask: &TokenMask, vocabulary: usize) -> u32 {
        let words = TokenMask::words_of(vocabulary);
        let number = self.masks.len() / words;
        let known = mask.words().len().min(words);
        self.masks.extend_from_slice(&mask.words()[..known]);
        self.masks.resize((number + 1) * words, 0);
        number as u32
    }
}

/// What penalties, bias and bans change in a row: each token at most once, in the CPU sampler's order.
fn adjustments(request: &SampleRequest<'_>, row: u32, vocabulary: usize) -> Vec<Adjustment> {
    let none = |token| Adjustment {
        row,
        token,
        repetition: 1.0,
        subtract: 0.0,
        bias: 0.0,
        banned: 0,
        raw: 0.0,
        unused: 0,
    };
    let mut changed: BTreeMap<u32, Adjustment> = BTreeMap::new();
    let mut change = |token: u32, change: &dyn Fn(&mut Adjustment)| {
        if (token as usize) < vocabulary {
            change(changed.entry(token).or_insert_with(|| none(token)));
        }
    };
    let (params, counts) = (request.params, request.counts);
    if params.repetition_penalty != 1.0 && params.repetition_penalty > 0.0 {
        for &token in counts.prompt.keys().chain(counts.answer.keys()) {
            change(token, &|adjustment| adjustment.repetition = params.repetition_penalty);
        }
    }
    if params.presence_penalty != 0.0 || params.frequency_penalty != 0.0 {
        for (&token, &count) in &counts.answer {
            let penalty = params.presence_penalty + params.frequency_penalty * count as f32;
            change(token, &|adjustment| adjustment.subtract = penalty);
        }
    }
    for &(token, bias) in &params.logit_bias {
        change(token, &|adjustment| adjustment.bias += bias);
    }
    for &token in request.banned {
        change(token, &|adjustment| adjustment.banned = 1);
    }
    changed.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sampling::{SamplingParams, TokenCounts};

    fn request<'a>(
        params: &'a SamplingParams,
        counts: &'a TokenCounts,
        banned: &'a [u32],
    ) -> SampleRequest<'a> {
        SampleRequest { row: 0, params, counts, token_index: 5, banned, mask: None }
    }

    #[test]
    fn a_plain_request_changes_no_logit_and_brings_the_cpu_s_random_number() {
        let params = SamplingParams { temperature: 0.7, top_k: 101, seed: 9, ..SamplingParams::greedy() };
        let counts = TokenCounts::default();
        let plan = SamplePlan::new(&[(&request(&params, &counts, &[]), 3)], 101);
        assert!(plan.adjustments.is_empty() && plan.log_probabilities.is_empty());
        let [choice] = plan.choices[..] else { panic!("{plan:?}") };
        assert_eq!((choice.row, choice.temperature, choice.random), (3, 0.7, uniform(9, 5)));
        assert_eq!(choice.top_k, 0, "top-k of the whole vocabulary is off");
    }

    #[test]
    fn every_changed_token_is_named_once_and_none_outside_the_vocabulary() {
        let mut counts = TokenCounts::default();
        counts.prompt.extend([(1, 2), (500, 1)]);
        counts.answer.extend([(1, 3), (2, 1)]);
        let params = SamplingParams {
            repetition_penalty: 1.5,
            presence_penalty: 0.25,
            frequency_penalty: 0.5,
            logit_bias: vec![(2, 1.0), (2, 0.5), (900, 1.0)],
            ..SamplingParams::greedy()
        };
        let found = adjustments(&request(&params, &counts, &[4, 1]), 7, 100);
        let of = |token, subtract, bias, banned, repetition| Adjustment {
            row: 7,
            token,
            repetition,
            subtract,
            bias,
            banned,
            raw: 0.0,
            unused: 0,
        };
        assert_eq!(found, [of(1, 1.75, 0.0, 1, 1.5), of(2, 0.75, 1.5, 0, 1.5), of(4, 0.0, 0.0, 1, 1.0)]);
    }

    #[test]
    fn masks_travel_one_after_another_and_only_their_rows_name_them() {
        let (params, counts) = (SamplingParams::greedy(), TokenCounts::default());
        let plain = request(&params, &counts, &[]);
        let (mut low, mut high) = (TokenMask::new(40), TokenMask::new(40));
        low.allow(0);
        high.allow(39);
        let of = |mask| SampleRequest { mask: Some(mask), ..plain };
        let (first, second) = (of(&high), of(&low));
        let plan = SamplePlan::new(&[(&first, 0), (&plain, 1), (&second, 0)], 40);
        assert_eq!(plan.choices.iter().map(|choice| choice.mask).collect::<Vec<u32>>(), [0, NO_MASK, 1]);
        assert_eq!(plan.masks, [0, 1 << 7, 1, 0]);
        assert!(plan.adjustments.is_empty(), "a mask changes no logit");
    }

    #[test]
    fn a_mask_over_a_smaller_vocabulary_allows_none_of_the_other_tokens() {
        let (params, counts) = (SamplingParams::greedy(), TokenCounts::default());
        let mut mask = TokenMask::new(32);
        mask.allow(31);
        let masked = SampleRequest { mask: Some(&mask), ..request(&params, &counts, &[]) };
        assert_eq!(SamplePlan::new(&[(&masked, 0)], 70).masks, [1 << 31, 0, 0]);
    }

    #[test]
    fn what_a_launch_cannot_take_is_left_to_the_host() {
        let counts = TokenCounts::default();
        let plain = SamplingParams::greedy();
        let biased = SamplingParams { logit_bias: vec![(0, 1.0)], ..SamplingParams::greedy() };
        let wide = SamplingParams { logprobs: Some(MOST_TOP as u32 + 1), ..SamplingParams::greedy() };
        let (plain, biased, wide) =
            (request(&plain, &counts, &[]), request(&biased, &counts, &[]), request(&wide, &counts, &[]));
        let on_card = |requests: &[Placed<'_, '_>]| -> Vec<bool> {
            SamplePlan::new(requests, 10).choice_of.iter().map(Option::is_some).collect()
        };
        assert_eq!(on_card(&[(&plain, 0), (&plain, 0), (&biased, 1)]), [true, true, true]);
        assert_eq!(on_card(&[(&plain, 0), (&biased, 0), (&wide, 1)]), [true, false, false]);
        let many = SamplingParams {
            logit_bias: (0..=ADJUSTMENTS_MOST as u32).map(|token| (token, 1.0)).collect(),
            ..SamplingParams::greedy()
        };
        let many = request(&many, &counts, &[]);
        let plan = SamplePlan::new(&[(&many, 0), (&biased, 1)], 2 * ADJUSTMENTS_MOST);
        assert_eq!(plan.choice_of, [None, Some(0)]);
    }
}
