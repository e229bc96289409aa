//! Sampling on the card, and what is left to the host: rows with more candidates than the card ranks, with
//! nothing to choose from, or with more changes than a launch takes.

use std::collections::{BTreeMap, HashMap};

use attentionstore_cuda::launch::{
    AdjustLogits, Adjustment, LogProbabilities, LogProbabilityAnswer, LogProbabilityRequest, MOST_TOP,
    Sample, SampleChoice,
};
use attentionstore_cuda::runtime::{DevicePointer, PinnedBuffer, Plain, Stream, bytes_of, values_of};
use attentionstore_cuda::{CudaError, Device, Kernels};

use super::plan::{ADJUSTMENTS_MOST, ALIGNMENT};
use crate::error::ModelError;
use crate::sampling::{SampleRequest, Sampled, sample, uniform};

/// Copies are of whole pieces of this many bytes.
const COPIED: usize = 16;

/// A request and the place of its row among the logits on the card.
pub type Placed<'a, 'b> = (&'a SampleRequest<'b>, usize);

/// What one launch is asked, and which requests it is not asked.
#[derive(Debug, Default)]
pub struct SamplePlan {
    choices: Vec<SampleChoice>,
    log_probabilities: Vec<LogProbabilityRequest>,
    adjustments: Vec<Adjustment>,
    /// For each request its place in `choices`; none: the host samples.
    choice_of: Vec<Option<usize>>,
    /// For each request its place in `log_probabilities`.
    log_probability_of: Vec<Option<usize>>,
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
        self.choices.push(SampleChoice {
            row,
            temperature: params.temperature,
            // All of a vocabulary is no truncation; the CPU then chooses by token id too.
            top_k: if params.top_k as usize >= vocabulary { 0 } else { params.top_k },
            top_p: params.top_p,
            min_p: params.min_p,
            unused: 0,
            random: uniform(params.seed, request.token_index),
        });
        let asked = params.logprobs.map(|top| {
            let top = top.min(vocabulary as u32);
            self.log_probabilities.push(LogProbabilityRequest { row, sample: sample as u32, top, unused: 0 });
            self.log_probabilities.len() - 1
        });
        self.log_probability_of.push(asked);
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

/// Places of requests and answers on the card, and the pinned memory that they travel through.
pub struct Sampler {
    up: PinnedBuffer,
    down: PinnedBuffer,
    /// Requests as sent: choices, log probabilities, adjustments.
    sent: DevicePointer,
    choices: DevicePointer,
    log_probabilities: DevicePointer,
    adjustments: DevicePointer,
    /// Answers as received: tokens, log probabilities.
    received: DevicePointer,
    tokens: DevicePointer,
    answers: DevicePointer,
}

/// The logits on the card.
#[derive(Clone, Copy)]
pub struct LogitRows {
    pub logits: DevicePointer,
    pub rows: usize,
    pub vocabulary: usize,
}

impl Sampler {
    /// For at most `rows` requests at once, in `all`.
    ///
    /// # Errors
    /// No pinned memory, or `all` is too small.
    pub fn new(device: &Device, all: DevicePointer, rows: usize) -> Result<Sampler, CudaError> {
        let mut at = 0;
        let mut take = |bytes: usize| {
            let part = all.part(at, bytes);
            at += bytes.next_multiple_of(ALIGNMENT);
            part
        };
        let choices = take(rows * size_of::<SampleChoice>())?;
        let log_probabilities = take(rows * size_of::<LogProbabilityRequest>())?;
        let adjustments = take(ADJUSTMENTS_MOST * size_of::<Adjustment>())?;
        let tokens = take(rows * 4)?;
        let answers = take(rows * size_of::<LogProbabilityAnswer>())?;
        let start = |pointer: DevicePointer| (pointer.address() - all.address()) as usize;
        let up_bytes = (start(adjustments) + adjustments.bytes()).next_multiple_of(COPIED);
        let down_bytes = (start(answers) + answers.bytes() - start(tokens)).next_multiple_of(COPIED);
        Ok(Sampler {
            up: PinnedBuffer::new(device, up_bytes)?,
            down: PinnedBuffer::new(device, down_bytes)?,
            sent: all.part(0, up_bytes)?,
            choices,
            log_probabilities,
            adjustments,
            received: all.part(start(tokens), down_bytes)?,
            tokens,
            answers,
        })
    }

    /// Samples, and waits for it. An answer for each request; none: the host must sample it.
    ///
    /// # Errors
    /// The driver refuses, or earlier work of the stream failed.
    pub fn run(
        &mut self,
        kernels: &Kernels,
        stream: &Stream,
        logits: LogitRows,
        plan: &SamplePlan,
    ) -> Result<Vec<Option<Sampled>>, CudaError> {
        if !plan.choices.is_empty() {
            self.send(kernels, stream, plan)?;
            self.launch(kernels, stream, logits, plan)?;
            let bytes = match plan.log_probabilities.len() {
                0 => plan.choices.len() * 4,
                count => self.offset(self.answers) + count * size_of::<LogProbabilityAnswer>(),
            };
            // SAFETY: it is read only after the synchronisation below, and lives as long as `self`.
            unsafe { kernels.receive(stream, self.received, &mut self.down, bytes) }?;
        }
        stream.synchronize()?;
        Ok(self.answers(plan, logits.vocabulary))
    }

    fn send(&mut self, kernels: &Kernels, stream: &Stream, plan: &SamplePlan) -> Result<(), CudaError> {
        self.place(self.choices, &plan.choices);
        self.place(self.log_probabilities, &plan.log_probabilities);
        self.place(self.adjustments, &plan.adjustments);
        let start = (self.adjustments.address() - self.sent.address()) as usize;
        let bytes = start + plan.adjustments.len() * size_of::<Adjustment>();
        // SAFETY: it is written again only after `run` has waited for the stream.
        unsafe { kernels.send(stream, &self.up, self.sent, bytes) }
    }

    fn place<T: Plain>(&mut self, at: DevicePointer, values: &[T]) {
        let start = (at.address() - self.sent.address()) as usize;
        let bytes = bytes_of(values);
        self.up.as_mut_slice()[start..][..bytes.len()].copy_from_slice(bytes);
    }

    fn launch(
        &self,
        kernels: &Kernels,
        stream: &Stream,
        LogitRows { logits, rows, vocabulary }: LogitRows,
        plan: &SamplePlan,
    ) -> Result<(), CudaError> {
        let (adjustments, count) = (self.adjustments, plan.adjustments.len());
        let adjust = AdjustLogits { adjustments, count, logits, rows, vocabulary };
        kernels.adjust_logits(stream, &adjust)?;
        let (requests, count, tokens) = (self.choices, plan.choices.len(), self.tokens);
        kernels.sample(stream, &Sample { requests, count, logits, rows, vocabulary, tokens })?;
        // Log probabilities, and whoever reads the logits next, want them raw.
        kernels.restore_logits(stream, &adjust)?;
        let (requests, count, answers) = (self.log_probabilities, plan.log_probabilities.len(), self.answers);
        let ask = LogProbabilities { requests, count, logits, rows, vocabulary, tokens, answers };
        kernels.log_probabilities(stream, &ask)
    }

    fn offset(&self, pointer: DevicePointer) -> usize {
        (pointer.address() - self.received.address()) as usize
    }

    fn answers(&self, plan: &SamplePlan, vocabulary: usize) -> Vec<Option<Sampled>> {
        let received = self.down.as_slice();
        let tokens: Vec<u32> = values_of(received, plan.choices.len());
        let answers: Vec<LogProbabilityAnswer> =
            values_of(&received[self.offset(self.answers)..], plan.log_probabilities.len());
        let one = |(choice, asked): (&Option<usize>, &Option<usize>)| {
            let token = tokens[(*choice)?];
            if token as usize >= vocabulary {
                return None;
            }
            let Some(asked) = *asked else { return Some(Sampled { token, logprob: None, top: Vec::new() }) };
            let answer = &answers[asked];
            let top = plan.log_probabilities[asked].top as usize;
            let pairs = answer.token.iter().copied().zip(answer.probability).take(top);
            (answer.known == 1).then(|| Sampled { token, logprob: Some(answer.own), top: pairs.collect() })
        };
        plan.choice_of.iter().zip(&plan.log_probability_of).map(one).collect()
    }
}

/// The CPU's sampler over rows that the card left to it, by all processors.
///
/// # Errors
/// A thread panicked.
pub fn sample_on_host(rows: &[(&SampleRequest<'_>, Vec<f32>)]) -> Result<Vec<Sampled>, ModelError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = rows.len().div_ceil(threads).max(1);
    let all = |part: &[(&SampleRequest<'_>, Vec<f32>)]| -> Vec<Sampled> {
        part.iter().map(|(request, logits)| sample(logits, request)).collect()
    };
    let failed = |_| ModelError::Device { device: "cpu".into(), detail: "a sampling thread panicked".into() };
    std::thread::scope(|scope| {
        let parts: Vec<_> = rows.chunks(share).map(|part| scope.spawn(move || all(part))).collect();
        let mut sampled = Vec::with_capacity(rows.len());
        for part in parts {
            sampled.extend(part.join().map_err(failed)?);
        }
        Ok(sampled)
    })
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
        SampleRequest { row: 0, params, counts, token_index: 5, banned }
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
    fn rows_left_to_the_host_are_answered_in_their_order() {
        let (params, counts) = (SamplingParams::greedy(), TokenCounts::default());
        let request = request(&params, &counts, &[]);
        let row = |best: usize| (0..200).map(|token| f32::from(u8::from(token == best))).collect();
        let rows: Vec<_> = (0..150).map(|best| (&request, row(best))).collect();
        let tokens: Vec<u32> = sample_on_host(&rows).unwrap().iter().map(|sampled| sampled.token).collect();
        assert_eq!(tokens, (0..150).collect::<Vec<u32>>());
        assert!(sample_on_host(&[]).unwrap().is_empty());
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
