//! One request as the engine knows it: tokens, block table, key chain, and the judgement of its answer.

use attentionstore_kv::BLOCK_TOKENS;
use attentionstore_kv::key::{BlockKey, KeyHasher};
use attentionstore_model::sampling::{Sampled, SamplingParams, TokenCounts};
use attentionstore_model::text::AnswerText;

use crate::error::EngineError;
use crate::event::{Finish, Finished, RowResult, RowStatus};
use crate::plan::PlanRow;

/// A request, sent once. Mirrors `SequenceSpec` in `ts/engine/types.ts`.
pub struct SequenceSpec {
    pub sequence: u32,
    /// The prompt; never empty.
    pub tokens: Vec<u32>,
    /// Root of the key chain.
    pub root: BlockKey,
    pub sampling: SamplingParams,
    /// Token ids that end the answer besides the model's end tokens.
    pub stop_tokens: Vec<u32>,
    pub ignore_eos: bool,
    /// Most tokens to sample.
    pub max_tokens: u32,
}

pub struct Sequence {
    spec: SequenceSpec,
    /// Prompt and answer so far.
    tokens: Vec<u32>,
    prompt_len: usize,
    counts: TokenCounts,
    /// Until the answer ends.
    answer: Option<AnswerText>,
    /// hbm slots of the view's blocks.
    table: Vec<u32>,
    /// Keys of full blocks, as far as they were asked for.
    chain: Vec<BlockKey>,
    sampled: u32,
    void: bool,
}

impl Sequence {
    /// # Errors
    /// An empty prompt, or no token to sample.
    pub fn new(spec: SequenceSpec, answer: AnswerText) -> Result<Self, EngineError> {
        if spec.tokens.is_empty() || spec.max_tokens == 0 {
            let detail = format!("sequence {}: nothing to compute or to sample", spec.sequence);
            return Err(EngineError::Protocol { detail });
        }
        let tokens = spec.tokens.clone();
        let mut counts = TokenCounts::default();
        for &token in &tokens {
            *counts.prompt.entry(token).or_default() += 1;
        }
        Ok(Self {
            prompt_len: tokens.len(),
            spec,
            tokens,
            counts,
            answer: Some(answer),
            table: Vec::new(),
            chain: Vec::new(),
            sampled: 0,
            void: false,
        })
    }

    pub fn finished(&self) -> bool {
        self.answer.is_none()
    }

    pub fn tokens(&self) -> &[u32] {
        &self.tokens
    }

    pub fn table(&self) -> &[u32] {
        &self.table
    }

    pub fn params(&self) -> &SamplingParams {
        &self.spec.sampling
    }

    pub fn counts(&self) -> &TokenCounts {
        &self.counts
    }

    /// Whether the model's end tokens must not be sampled.
    pub fn ignores_end(&self) -> bool {
        self.spec.ignore_eos
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

    /// The slots that hold history of `row` (checked before), and those that it fills from their first token.
    pub fn slots_of(&self, row: &PlanRow) -> (&[u32], &[u32]) {
        let end = (row.from + row.count) as usize;
        let last = end.div_ceil(BLOCK_TOKENS);
        self.table[..last].split_at((row.from as usize).div_ceil(BLOCK_TOKENS).min(last))
    }

    /// # Errors
    /// A table with a hole.
    pub fn set_slot(&mut self, index: usize, slot: u32) -> Result<(), EngineError> {
        match index.cmp(&self.table.len()) {
            std::cmp::Ordering::Less => self.table[index] = slot,
            std::cmp::Ordering::Equal => self.table.push(slot),
            std::cmp::Ordering::Greater => {
                let detail = format!(
                    "sequence {}: block {index} after {} blocks",
                    self.spec.sequence,
                    self.table.len()
                );
                return Err(EngineError::Protocol { detail });
            }
        }
        Ok(())
    }

    /// Checks a planned row against what is known of the sequence.
    pub fn check_row(&self, row: &PlanRow) -> Result<(), EngineError> {
        let end = row.from as usize + row.count as usize;
        let fits = row.count > 0
            && end <= self.tokens.len()
            && end.div_ceil(BLOCK_TOKENS) <= self.table.len()
            && (!row.sample || end == self.tokens.len());
        if fits {
            return Ok(());
        }
        let detail = format!(
            "sequence {}: rows {}..{end} (sample: {}) of {} tokens in {} blocks",
            row.sequence,
            row.from,
            row.sample,
            self.tokens.len(),
            self.table.len()
        );
        Err(EngineError::Protocol { detail })
    }

    /// Key of full view block `index`.
    fn key(&mut self, keys: &KeyHasher, index: usize) -> BlockKey {
        while self.chain.len() <= index {
            let at = self.chain.len();
            let parent = self.chain.last().copied().unwrap_or(self.spec.root);
            let tokens = &self.tokens[at * BLOCK_TOKENS..(at + 1) * BLOCK_TOKENS];
            self.chain.push(keys.child(&parent, tokens, None));
        }
        self.chain[index]
    }

    /// Key of the block of which only `tokens[start..end]` is filled.
    fn partial_key(&mut self, keys: &KeyHasher, end: usize) -> Option<BlockKey> {
        let start = end / BLOCK_TOKENS * BLOCK_TOKENS;
        if start == end {
            return None;
        }
        let parent = match start / BLOCK_TOKENS {
            0 => self.spec.root,
            blocks => self.key(keys, blocks - 1),
        };
        Some(keys.child(&parent, &self.tokens[start..end], None))
    }

    /// The rows of `row` were computed; `sampled` is the token that followed, if one was asked for.
    pub fn advance(
        &mut self,
        row: &PlanRow,
        sampled: Option<Sampled>,
        keys: &KeyHasher,
        end_tokens: &[u32],
    ) -> RowResult {
        let computed = (row.from + row.count) as usize;
        let filled = (row.from as usize / BLOCK_TOKENS..computed / BLOCK_TOKENS)
            .map(|index| (index as u32, self.key(keys, index)))
            .collect();
        let mut result = RowResult { filled, ..RowResult::without_work(row.sequence, RowStatus::Ok) };
        if let Some(sampled) = sampled {
            self.judge(sampled, computed, keys, end_tokens, &mut result);
        }
        result
    }

    /// Takes a sampled token into the answer and decides whether the answer ends with it.
    fn judge(
        &mut self,
        sampled: Sampled,
        computed: usize,
        keys: &KeyHasher,
        end_tokens: &[u32],
        result: &mut RowResult,
    ) {
        let token = sampled.token;
        let reason = if self.spec.stop_tokens.contains(&token) {
            Some(Finish::StopToken(token))
        } else if end_tokens.contains(&token) && !self.spec.ignore_eos {
            Some(Finish::EndToken)
        } else {
            self.accept(sampled, result)
        };
        if let Some(reason) = reason {
            result.finished = Some(self.finish(reason, computed, keys, result));
        }
    }

    /// The token belongs to the answer: text, counts, and the reasons to end that it may bring.
    fn accept(&mut self, sampled: Sampled, result: &mut RowResult) -> Option<Finish> {
        let token = sampled.token;
        self.tokens.push(token);
        *self.counts.answer.entry(token).or_default() += 1;
        self.sampled += 1;
        result.sampled = Some(sampled);
        let answer = self.answer.as_mut()?;
        let delta = answer.push(token);
        result.text.push_str(&delta.text);
        match delta.stopped {
            Some(stop) => Some(Finish::StopString(stop)),
            None => (self.sampled >= self.spec.max_tokens).then_some(Finish::Length),
        }
    }

    fn finish(
        &mut self,
        reason: Finish,
        computed: usize,
        keys: &KeyHasher,
        result: &mut RowResult,
    ) -> Finished {
        let text = self.answer.take().map(AnswerText::finish).unwrap_or_default();
        result.text.push_str(&text.rest);
        // Tokens past a stop string are not part of the answer. Whole blocks that hold some were saved under
        // their own keys and stay; a partly filled one is cut.
        let accepted = self.prompt_len + text.inside_tokens;
        let kept = computed.min(accepted.max(computed / BLOCK_TOKENS * BLOCK_TOKENS));
        Finished {
            reason,
            inside_tokens: text.inside_tokens as u32,
            inside_bytes: text.inside_bytes as u32,
            computed_tokens: kept as u32,
            tail_key: self.partial_key(keys, kept),
        }
    }
}
