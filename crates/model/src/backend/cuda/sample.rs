//! Sampling on the card, and what is left to the host: rows with more candidates than the card ranks, with
//! nothing to choose from, or with more changes than a launch takes.

use attentionstore_cuda::launch::{
    AdjustLogits, Adjustment, LogProbabilities, LogProbabilityAnswer, LogProbabilityRequest, MOST_TOP, Masks,
    Sample, SampleChoice,
};
use attentionstore_cuda::runtime::{DevicePointer, PinnedBuffer, Plain, Stream, bytes_of, values_of};
use attentionstore_cuda::{CudaError, Device, Kernels};

use super::plan::{ADJUSTMENTS_MOST, ALIGNMENT, mask_bytes};
use super::sample_plan::SamplePlan;
use crate::error::ModelError;
use crate::sampling::{SampleOutcome, SampleRequest, Sampled, ScoreRequest, Scored, TokenMask, sample};

/// Copies are of whole pieces of this many bytes.
const COPIED: usize = 16;

/// Places of requests and answers on the card, and the pinned memory that they travel through.
pub struct Sampler {
    up: PinnedBuffer,
    /// Masks travel apart: they are many bytes, and few launches have some.
    masks_up: PinnedBuffer,
    down: PinnedBuffer,
    /// Requests as sent: choices, log probabilities, adjustments.
    sent: DevicePointer,
    choices: DevicePointer,
    log_probabilities: DevicePointer,
    adjustments: DevicePointer,
    masks: DevicePointer,
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
    /// For at most `rows` requests at once over `vocabulary` tokens, in `all`.
    ///
    /// # Errors
    /// No pinned memory, or `all` is too small.
    pub fn new(
        device: &Device,
        all: DevicePointer,
        rows: usize,
        vocabulary: usize,
    ) -> Result<Sampler, CudaError> {
        let mut at = 0;
        let mut take = |bytes: usize| {
            let part = all.part(at, bytes);
            at += bytes.next_multiple_of(ALIGNMENT);
            part
        };
        let choices = take(rows * size_of::<SampleChoice>())?;
        let log_probabilities = take(rows * size_of::<LogProbabilityRequest>())?;
        let adjustments = take(ADJUSTMENTS_MOST * size_of::<Adjustment>())?;
        let masks = take(mask_bytes(rows, vocabulary))?;
        let tokens = take(rows * 4)?;
        let answers = take(rows * size_of::<LogProbabilityAnswer>())?;
        let start = |pointer: DevicePointer| (pointer.address() - all.address()) as usize;
        let up_bytes = (start(adjustments) + adjustments.bytes()).next_multiple_of(COPIED);
        let down_bytes = (start(answers) + answers.bytes() - start(tokens)).next_multiple_of(COPIED);
        Ok(Sampler {
            up: PinnedBuffer::new(device, up_bytes)?,
            masks_up: PinnedBuffer::new(device, masks.bytes())?,
            down: PinnedBuffer::new(device, down_bytes)?,
            sent: all.part(0, up_bytes)?,
            choices,
            log_probabilities,
            adjustments,
            masks,
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

    /// Scores known tokens by rows that are present, at the places beside them, and waits for it. An answer for each
    /// request; none: the host must score it.
    ///
    /// # Errors
    /// As [`Sampler::run`].
    pub fn score(
        &mut self,
        kernels: &Kernels,
        stream: &Stream,
        LogitRows { logits, rows, vocabulary }: LogitRows,
        requests: &[(ScoreRequest, usize)],
    ) -> Result<Vec<Option<Scored>>, CudaError> {
        let tokens: Vec<u32> = requests.iter().map(|(request, _)| request.token).collect();
        let tops =
            requests.iter().map(|(request, _)| request.top.min(vocabulary as u32).min(MOST_TOP as u32));
        let asked: Vec<LogProbabilityRequest> = (0..)
            .zip(requests.iter().zip(tops))
            .map(|(sample, ((_, row), top))| LogProbabilityRequest {
                row: *row as u32,
                sample,
                top,
                unused: 0,
            })
            .collect();
        // The tokens travel in the place of choices: there are none to make.
        self.place(self.choices, &tokens);
        self.place(self.log_probabilities, &asked);
        let start = (self.log_probabilities.address() - self.sent.address()) as usize;
        // SAFETY: it is written again only after the synchronisation below.
        unsafe { kernels.send(stream, &self.up, self.sent, start + bytes_of(&asked).len()) }?;
        let (requests_on_card, tokens, answers) = (self.log_probabilities, self.choices, self.answers);
        let count = asked.len();
        let ask =
            LogProbabilities { requests: requests_on_card, count, logits, rows, vocabulary, tokens, answers };
        kernels.log_probabilities(stream, &ask)?;
        let bytes = self.offset(answers) + count * size_of::<LogProbabilityAnswer>();
        // SAFETY: it is read only after the synchronisation, and lives as long as `self`.
        unsafe { kernels.receive(stream, self.received, &mut self.down, bytes) }?;
        stream.synchronize()?;
        let answers: Vec<LogProbabilityAnswer> =
            values_of(&self.down.as_slice()[self.offset(self.answers)..], count);
        let one = |((request, _), answer): (&(ScoreRequest, usize), &LogProbabilityAnswer)| {
            let wanted = request.top.min(vocabulary as u32) as usize;
            let pairs = answer.token.iter().copied().zip(answer.probability).take(wanted);
            let scored = Scored { logprob: answer.own, rank: answer.rank, top: pairs.collect() };
            (answer.known == 1 && wanted <= MOST_TOP).then_some(scored)
        };
        Ok(requests.iter().zip(&answers).map(one).collect())
    }

    fn send(&mut self, kernels: &Kernels, stream: &Stream, plan: &SamplePlan) -> Result<(), CudaError> {
        self.place(self.choices, &plan.choices);
        self.place(self.log_probabilities, &plan.log_probabilities);
        self.place(self.adjustments, &plan.adjustments);
        let start = (self.adjustments.address() - self.sent.address()) as usize;
        let bytes = start + plan.adjustments.len() * size_of::<Adjustment>();
        // SAFETY: it is written again only after `run` has waited for the stream.
        unsafe { kernels.send(stream, &self.up, self.sent, bytes) }?;
        if plan.masks.is_empty() {
            return Ok(());
        }
        let masks = bytes_of(&plan.masks);
        self.masks_up.as_mut_slice()[..masks.len()].copy_from_slice(masks);
        // SAFETY: as above.
        unsafe { kernels.send(stream, &self.masks_up, self.masks, masks.len()) }
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
        let masks = Masks { words: self.masks, count: plan.masks.len() / TokenMask::words_of(vocabulary) };
        kernels.sample(stream, &Sample { requests, count, logits, rows, vocabulary, masks, tokens })?;
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
pub fn sample_on_host(rows: &[(&SampleRequest<'_>, Vec<f32>)]) -> Result<Vec<SampleOutcome>, ModelError> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let share = rows.len().div_ceil(threads).max(1);
    let all = |part: &[(&SampleRequest<'_>, Vec<f32>)]| -> Vec<SampleOutcome> {
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

    #[test]
    fn rows_left_to_the_host_are_answered_in_their_order() {
        let (params, counts) = (SamplingParams::greedy(), TokenCounts::default());
        let request = SampleRequest {
            row: 0,
            params: &params,
            counts: &counts,
            token_index: 5,
            banned: &[],
            mask: None,
        };
        let row = |best: usize| (0..200).map(|token| f32::from(u8::from(token == best))).collect();
        let rows: Vec<_> = (0..150).map(|best| (&request, row(best))).collect();
        let outcomes = sample_on_host(&rows).unwrap();
        let tokens: Vec<u32> =
            outcomes.into_iter().filter_map(SampleOutcome::token).map(|sampled| sampled.token).collect();
        assert_eq!(tokens, (0..150).collect::<Vec<u32>>());
        assert!(sample_on_host(&[]).unwrap().is_empty());
    }
}
