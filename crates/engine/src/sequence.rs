//! One request as the engine knows it: tokens, block table, key chain, and the judgement of its answer.

use attentionstore_kv::BLOCK_TOKENS;
use attentionstore_kv::key::{BlockKey, KeyHasher, ViewParameters};
use attentionstore_model::sampling::{SampleOutcome, Sampled, SamplingParams, TokenCounts, TokenMask};
use attentionstore_model::text::AnswerText;
use attentionstore_output::{End, Reading};

use crate::bans::Bans;
use crate::constraint::{Constraint, Readiness};
use crate::error::EngineError;
use crate::event::{FilledBlock, Finish, Finished, RowResult, RowStatus};
use crate::mask_source::MaskSource;
use crate::masks::MaskMakers;
use crate::plan::PlanRow;
use crate::view::View;

/// A request, sent once. Mirrors `SequenceSpec` in `ts/engine/types.ts`.
pub struct SequenceSpec {
    pub sequence: u32,
    /// The prompt; never empty.
    pub tokens: Vec<u32>,
    /// Root of the key chain.
    pub root: BlockKey,
    /// None: every token sees everything before it.
    pub view: Option<View>,
    pub sampling: SamplingParams,
    /// Token ids that end the answer besides the model's end tokens.
    pub stop_tokens: Vec<u32>,
    /// Stop strings end an answer that has more tokens than `bans.min_tokens`, and become part of it.
    pub include_stop: bool,
    pub bans: Bans,
    /// Most tokens to sample.
    pub max_tokens: u32,
    /// `Some(n)`: rows of the prompt are told the log probability of the prompt's next token, with the `n` likeliest ones.
    pub prompt_logprobs: Option<u32>,
    /// How its answer is read; none: all of it is content. Taken when the sequence is added.
    pub output: Option<Reading>,
    /// The last so many tokens of the prompt are the message that the answer goes on with: they are read before it.
    pub prefill: u32,
    /// Says which tokens may come; none: any may.
    pub constraint: Option<Box<dyn MaskSource>>,
}

/// What came of a row that was to be sampled.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    Sampled(SampleOutcome),
    /// The mask was not ready.
    Late,
    /// There will be no mask.
    ConstraintFailed,
}

pub struct Sequence {
    spec: SequenceSpec,
    /// Prompt and answer so far.
    tokens: Vec<u32>,
    prompt_len: usize,
    counts: TokenCounts,
    constraint: Option<Constraint>,
    /// Until the answer ends.
    answer: Option<AnswerText>,
    /// hbm slot of each block, by its index in the sequence; blocks outside the view may have none.
    table: Vec<Option<u32>>,
    /// Keys of full blocks, as far as they were asked for.
    chain: Vec<BlockKey>,
    sampled: u32,
    void: bool,
}

impl Sequence {
    /// # Errors
    /// An empty prompt, or no token to sample.
    pub fn new(
        mut spec: SequenceSpec,
        answer: AnswerText,
        vocabulary: usize,
        makers: &MaskMakers,
    ) -> Result<Self, EngineError> {
        if spec.tokens.is_empty() || spec.max_tokens == 0 {
            let detail = format!("sequence {}: nothing to compute or to sample", spec.sequence);
            return Err(EngineError::Protocol { detail });
        }
        let tokens = spec.tokens.clone();
        let mut counts = TokenCounts::default();
        for &token in &tokens {
            *counts.prompt.entry(token).or_default() += 1;
        }
        let constraint = spec.constraint.take().map(|source| Constraint::new(source, vocabulary));
        let mut sequence = Self {
            prompt_len: tokens.len(),
            constraint,
            spec,
            tokens,
            counts,
            answer: Some(answer),
            table: Vec::new(),
            chain: Vec::new(),
            sampled: 0,
            void: false,
        };
        sequence.hold(None, makers);
        Ok(sequence)
    }

    /// The constraint moves on with `accepted`, or begins where the answer's reasoning has ended.
    fn hold(&mut self, accepted: Option<u32>, makers: &MaskMakers) {
        let Some(constraint) = &mut self.constraint else { return };
        if !constraint.has_begun() && self.answer.as_ref().is_some_and(AnswerText::in_reasoning) {
            return;
        }
        match accepted {
            Some(token) if constraint.has_begun() => constraint.accept(token, makers),
            _ => constraint.begin(makers),
        }
    }

    pub fn finished(&self) -> bool {
        self.answer.is_none()
    }

    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    /// The hbm slot of block `index`.
    pub fn slot(&self, index: usize) -> Option<u32> {
        self.table.get(index).copied().flatten()
    }

    pub fn params(&self) -> &SamplingParams {
        &self.spec.sampling
    }

    pub fn counts(&self) -> &TokenCounts {
        &self.counts
    }

    /// Tokens that must not be sampled now.
    pub fn banned(&self, end_tokens: &[u32]) -> Vec<u32> {
        self.spec.bans.after(&self.tokens[self.prompt_len..], end_tokens, &self.spec.stop_tokens)
    }

    /// Whether the mask for the token to be sampled is ready, where the answer is held to something.
    pub fn readiness(&mut self) -> Readiness {
        self.constraint.as_mut().map_or(Readiness::Ready, Constraint::readiness)
    }

    /// The mask for the token to be sampled.
    pub fn mask(&self) -> Option<&TokenMask> {
        self.constraint.as_ref().and_then(Constraint::mask)
    }

    /// Its last row was not sampled, for its mask was late.
    pub fn is_late(&self) -> bool {
        self.constraint.as_ref().is_some_and(Constraint::is_late)
    }

    /// `row` was to be sampled, and its mask was not ready.
    pub fn was_late(&mut self) {
        if let Some(constraint) = &mut self.constraint {
            constraint.was_late();
        }
    }

    /// `row` was planned ahead, and counts on a token that was not sampled.
    pub fn misses_token(&self, row: &PlanRow) -> bool {
        self.is_late() && (row.from + row.count) as usize > self.tokens.len()
    }

    /// Begins a new table, and with it a new chance for a sequence that was void.
    pub fn reset_table(&mut self) {
        self.table.clear();
        self.void = false;
    }

    /// A load that its history needed failed.
    pub fn make_void(&mut self) {
        self.void = true;
    }

    pub fn is_void(&self) -> bool {
        self.void
    }

    /// Tokens between the head and the rest of what token `index` sees: its position in the view is so much less.
    fn left_out(&self, index: u32) -> u32 {
        self.spec.view.map_or(0, |view| view.left_out(index))
    }

    /// What `row` (checked before) sees: where its first token stands in the view, and the slots in view order.
    pub fn seen_by(&self, row: &PlanRow) -> (u32, Vec<u32>) {
        let end = (row.from + row.count).div_ceil(BLOCK_TOKENS as u32) as usize;
        let slots = self.blocks_of(row, end).filter_map(|index| self.slot(index)).collect();
        (row.from - self.left_out(row.from), slots)
    }

    /// Indices of the blocks below `end` that `row` sees, in order.
    fn blocks_of(&self, row: &PlanRow, end: usize) -> Box<dyn Iterator<Item = usize>> {
        match &self.spec.view {
            Some(view) => Box::new(view.blocks(row.from, end)),
            None => Box::new(0..end),
        }
    }

    /// # Errors
    /// A block beyond the longest answer.
    pub fn set_slot(&mut self, index: usize, slot: u32) -> Result<(), EngineError> {
        let most = (self.prompt_len + self.spec.max_tokens as usize).div_ceil(BLOCK_TOKENS);
        if index >= most {
            let detail = format!("sequence {}: block {index} of {most} blocks", self.spec.sequence);
            return Err(EngineError::Protocol { detail });
        }
        if index >= self.table.len() {
            self.table.resize(index + 1, None);
        }
        self.table[index] = Some(slot);
        Ok(())
    }

    /// Checks a planned row against what is known of the sequence.
    pub fn check_row(&self, row: &PlanRow) -> Result<(), EngineError> {
        let end = row.from as usize + row.count as usize;
        let blocks = end.div_ceil(BLOCK_TOKENS);
        let fits = row.count > 0
            && end <= self.tokens.len()
            && self.left_out(row.from) == self.left_out(end as u32 - 1)
            && self.blocks_of(row, blocks).all(|index| self.slot(index).is_some())
            && (!row.sample || end == self.tokens.len());
        if fits {
            return Ok(());
        }
        let detail = format!(
            "sequence {}: rows {}..{end} (sample: {}) of {} tokens in {} blocks, or across an edge of the view",
            row.sequence,
            row.from,
            row.sample,
            self.tokens.len(),
            self.table.len()
        );
        Err(EngineError::Protocol { detail })
    }

    /// The prompt tokens that the rows of `row` are asked about, each the one behind its row, and how many alternatives
    /// are told.
    pub fn asked_about(&self, row: &PlanRow) -> (&[u32], u32) {
        let Some(top) = self.spec.prompt_logprobs else { return (&[], 0) };
        let behind = |index: u32| (index as usize + 1).min(self.prompt_len);
        (&self.tokens[behind(row.from)..behind(row.from + row.count)], top)
    }

    fn view_parameters(&self) -> Option<ViewParameters> {
        self.spec.view.map(|view| view.parameters())
    }

    /// Key of full block `index`.
    fn key(&mut self, keys: &KeyHasher, index: usize) -> BlockKey {
        while self.chain.len() <= index {
            let at = self.chain.len();
            let parent = self.chain.last().copied().unwrap_or(self.spec.root);
            let tokens = &self.tokens[at * BLOCK_TOKENS..(at + 1) * BLOCK_TOKENS];
            self.chain.push(keys.block(&parent, at, tokens, self.view_parameters()));
        }
        self.chain[index]
    }

    /// Key of the block of which only `tokens[start..end]` is filled.
    fn partial_key(&mut self, keys: &KeyHasher, end: usize) -> Option<BlockKey> {
        let index = end / BLOCK_TOKENS;
        let start = index * BLOCK_TOKENS;
        if start == end {
            return None;
        }
        let parent = if index == 0 { self.spec.root } else { self.key(keys, index - 1) };
        Some(keys.block(&parent, index, &self.tokens[start..end], self.view_parameters()))
    }

    /// The rows of `row` were computed; `outcome` is what came of sampling the token that follows, if it was asked for.
    pub fn advance(
        &mut self,
        row: &PlanRow,
        outcome: Option<Outcome>,
        (keys, end_tokens, makers): (&KeyHasher, &[u32], &MaskMakers),
    ) -> RowResult {
        if outcome == Some(Outcome::Late) {
            self.was_late();
            return RowResult::without_work(row.sequence, RowStatus::Late);
        }
        let computed = (row.from + row.count) as usize;
        let filled = (row.from as usize / BLOCK_TOKENS..computed / BLOCK_TOKENS)
            .map(|index| FilledBlock { index: index as u32, key: self.key(keys, index) })
            .collect();
        let mut result = RowResult { filled, ..RowResult::without_work(row.sequence, RowStatus::Ok) };
        let reason = match outcome {
            Some(Outcome::Sampled(SampleOutcome::Token(sampled))) => {
                self.judge(sampled, end_tokens, makers, &mut result)
            }
            Some(Outcome::Sampled(SampleOutcome::NoneAllowed)) => Some(Finish::NoneAllowed),
            Some(Outcome::ConstraintFailed) => Some(Finish::ConstraintFailed),
            Some(Outcome::Late) | None => None,
        };
        if let Some(reason) = reason {
            result.finished = Some(self.finish(reason, computed, keys, &mut result));
        }
        result
    }

    /// Takes a sampled token into the answer; the reason if the answer ends with it.
    fn judge(
        &mut self,
        sampled: Sampled,
        end_tokens: &[u32],
        makers: &MaskMakers,
        result: &mut RowResult,
    ) -> Option<Finish> {
        let token = sampled.token;
        if self.spec.stop_tokens.contains(&token) {
            Some(Finish::StopToken(token))
        } else if end_tokens.contains(&token) && !self.spec.bans.ignore_eos {
            Some(Finish::EndToken)
        } else {
            self.accept(sampled, makers, result)
        }
    }

    /// The token belongs to the answer: text, counts, constraint, and the reasons to end that it may bring.
    fn accept(&mut self, sampled: Sampled, makers: &MaskMakers, result: &mut RowResult) -> Option<Finish> {
        let token = sampled.token;
        self.tokens.push(token);
        *self.counts.answer.entry(token).or_default() += 1;
        self.sampled += 1;
        result.sampled = Some(sampled);
        let answer = self.answer.as_mut()?;
        let delta = answer.push(token);
        result.parts.extend(delta.parts);
        let finish = match delta.stopped {
            Some(stop) => Some(Finish::StopString(stop)),
            None => (self.sampled >= self.spec.max_tokens).then_some(Finish::Length),
        };
        if finish.is_none() {
            self.hold(Some(token), makers);
        }
        finish
    }

    fn finish(
        &mut self,
        reason: Finish,
        computed: usize,
        keys: &KeyHasher,
        result: &mut RowResult,
    ) -> Finished {
        let cut = matches!(reason, Finish::Length | Finish::NoneAllowed | Finish::ConstraintFailed);
        let end = if cut { End::Cut } else { End::Whole };
        let text = self.answer.take().map(|answer| answer.finish(end)).unwrap_or_default();
        self.constraint = None;
        result.parts.extend(text.rest);
        // Tokens past a stop string are not part of the answer. Whole blocks that hold some were saved under
        // their own keys and stay; a partly filled one is cut.
        let prefill = (self.spec.prefill as usize).min(self.prompt_len);
        let accepted = self.prompt_len + text.inside_tokens.saturating_sub(prefill);
        let kept = computed.min(accepted.max(computed / BLOCK_TOKENS * BLOCK_TOKENS));
        Finished {
            reason,
            inside_tokens: text.inside_tokens as u32,
            inside_bytes: text.inside_bytes as u32,
            reasoning_tokens: text.reasoning_tokens as u32,
            computed_tokens: kept as u32,
            tail_key: self.partial_key(keys, kept),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use attentionstore_model::text::{StopStrings, Tokenizer};

    use super::*;

    const TOKENIZER: &[u8] = include_bytes!("../../../test/fixtures/models/llama/hf/tokenizer.json");
    const ROOT: BlockKey = [7; 32];

    /// The token of one printable ASCII character.
    fn token(character: char) -> u32 {
        let tokenizer = Tokenizer::from_json(Path::new("tokenizer.json"), TOKENIZER).unwrap();
        tokenizer.token_id(&character.to_string()).unwrap()
    }

    /// A greedy request for an answer to `tokens`, without a rule of its own.
    fn plain(tokens: Vec<u32>) -> SequenceSpec {
        SequenceSpec {
            sequence: 1,
            tokens,
            root: ROOT,
            view: None,
            sampling: SamplingParams::greedy(),
            stop_tokens: Vec::new(),
            include_stop: false,
            bans: Bans::default(),
            max_tokens: 100,
            prompt_logprobs: None,
            output: None,
            prefill: 0,
            constraint: None,
        }
    }

    /// Answers a prompt of `prompt` tokens with the tokens of `answer`, one a step, until the stop string ends it.
    /// Returns the tokens of the prompt and the end.
    fn stopped(prompt: u32, answer: &str, stop: &str, keys: &KeyHasher) -> (Vec<u32>, Finished) {
        let tokenizer = Arc::new(Tokenizer::from_json(Path::new("tokenizer.json"), TOKENIZER).unwrap());
        let stops = Arc::new(StopStrings::new(&[stop]).unwrap());
        let tokens: Vec<u32> = (0..prompt).map(|index| 3 + index % 90).collect();
        let spec = plain(tokens.clone());
        let makers = MaskMakers::new(Arc::default());
        let mut sequence = Sequence::new(spec, AnswerText::new(tokenizer, stops), 256, &makers).unwrap();
        let mut row = PlanRow { sequence: 1, from: 0, count: prompt, sample: true };
        for character in answer.chars() {
            let sampled = Sampled { token: token(character), logprob: None, top: Vec::new() };
            let outcome = Outcome::Sampled(SampleOutcome::Token(sampled));
            if let Some(finished) = sequence.advance(&row, Some(outcome), (keys, &[], &makers)).finished {
                return (tokens, finished);
            }
            row = PlanRow { from: row.from + row.count, count: 1, ..row };
        }
        panic!("the answer does not end");
    }

    #[test]
    fn a_tail_ends_where_the_answer_ends_before_its_stop_string() {
        let keys = KeyHasher::new([1; 32]);
        let (mut kept, finished) = stopped(50, "abXYZ", "XYZ", &keys);
        assert_eq!(finished.reason, Finish::StopString("XYZ".into()));
        assert_eq!(finished.inside_tokens, 2);
        assert_eq!(
            finished.computed_tokens, 52,
            "the KV of X and Y was computed, and no turn will ask for it"
        );
        kept.extend(['a', 'b'].map(token));
        assert_eq!(finished.tail_key, Some(keys.block(&ROOT, 0, &kept, None)));
    }

    #[test]
    fn rows_are_asked_about_the_prompt_tokens_behind_them_and_rows_of_the_answer_about_none() {
        let tokenizer = Arc::new(Tokenizer::from_json(Path::new("tokenizer.json"), TOKENIZER).unwrap());
        let stops = Arc::new(StopStrings::new::<&str>(&[]).unwrap());
        let spec = SequenceSpec { prompt_logprobs: Some(3), ..plain(vec![10, 11, 12, 13]) };
        let makers = MaskMakers::new(Arc::default());
        let sequence = Sequence::new(spec, AnswerText::new(tokenizer, stops), 256, &makers).unwrap();
        let row = |from, count| PlanRow { sequence: 1, from, count, sample: false };
        assert_eq!(sequence.asked_about(&row(0, 2)), (&[11, 12][..], 3));
        assert_eq!(sequence.asked_about(&row(2, 2)), (&[13][..], 3));
        assert_eq!(sequence.asked_about(&row(3, 1)), (&[][..], 3));
        assert_eq!(sequence.asked_about(&row(4, 1)), (&[][..], 3));
    }

    #[test]
    fn a_block_that_was_filled_before_the_stop_string_was_complete_stays_whole() {
        let keys = KeyHasher::new([1; 32]);
        let (_, finished) = stopped(62, "aXYZ", "XYZ", &keys);
        assert_eq!(finished.inside_tokens, 1);
        assert_eq!((finished.computed_tokens, finished.tail_key), (64, None));
    }
}
