//! The batch of a step, checked and taken over.

use attentionstore_kv::BLOCK_TOKENS;

use crate::backend::{BatchSequence, LogitsWanted};
use crate::error::ModelError;

/// One sequence of a step.
#[derive(Clone, Debug)]
pub struct StepSequence {
    /// First row of the step's activations, and how many.
    pub first_row: usize,
    pub rows: usize,
    /// Position of the first row in the view.
    pub position: usize,
    /// Slots of the view's blocks up to the last new token.
    pub slots: Vec<u32>,
}

impl StepSequence {
    /// Tokens of the view once this step's are written.
    pub fn end(&self) -> usize {
        self.position + self.rows
    }

    /// Whether row `row` of the step is one of its rows.
    fn holds(&self, row: usize) -> bool {
        (self.first_row..self.first_row + self.rows).contains(&row)
    }

    /// How many tokens of block `block` are valid once this step's are written.
    pub fn valid(&self, block: usize) -> usize {
        BLOCK_TOKENS.min(self.end() - block * BLOCK_TOKENS)
    }
}

/// Rows of one sequence that lie in one block.
#[derive(Clone, Copy, Debug)]
pub struct Segment {
    pub sequence: usize,
    pub block: usize,
    /// First row inside the sequence, and how many.
    pub first: usize,
    pub rows: usize,
}

/// What a step computes.
#[derive(Clone, Debug, Default)]
pub struct Step {
    pub tokens: Vec<u32>,
    pub sequences: Vec<StepSequence>,
    pub segments: Vec<Segment>,
    /// Rows whose logits are wanted, in batch order.
    pub logit_rows: Vec<usize>,
}

/// What a batch may name.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    pub vocabulary: usize,
    pub slots: usize,
    pub rows: usize,
    pub positions: usize,
}

impl Step {
    /// Takes over `batch`.
    ///
    /// # Errors
    /// A sequence without tokens, a token outside the vocabulary, too few slots or one out of range, a position
    /// beyond the context, more rows than the backend holds, a new block that two sequences would write.
    pub fn new(batch: &[BatchSequence<'_>], limits: Limits) -> Result<Step, ModelError> {
        let mut step = Step::default();
        for sequence in batch {
            let taken = check_sequence(sequence, step.tokens.len(), limits)?;
            let first_row = taken.first_row;
            step.tokens.extend_from_slice(sequence.tokens);
            match sequence.logits {
                LogitsWanted::None => {}
                LogitsWanted::Last => step.logit_rows.push(first_row + taken.rows - 1),
                LogitsWanted::All => step.logit_rows.extend(first_row..first_row + taken.rows),
            }
            step.segments.extend(segments(step.sequences.len(), &taken));
            step.sequences.push(taken);
        }
        step.check_written_slots()?;
        Ok(step)
    }

    /// Narrows the step to the rows that lead to logits; returns which rows these were, ascending. Sequences of
    /// which none is wanted leave the step.
    pub fn keep_logit_rows(&mut self) -> Vec<usize> {
        let kept = std::mem::take(&mut self.logit_rows);
        self.logit_rows = (0..kept.len()).collect();
        self.tokens = kept.iter().map(|&row| self.tokens[row]).collect();
        self.segments.clear();
        let mut first_row = 0;
        self.sequences.retain_mut(|sequence| {
            let own = kept.iter().filter(|&&row| sequence.holds(row)).count();
            // Wanted is all of a sequence, its last row, or nothing.
            sequence.position = sequence.end() - own;
            (sequence.first_row, sequence.rows) = (first_row, own);
            first_row += own;
            own > 0
        });
        kept
    }

    /// Two sequences that write one slot would race, whichever rows they write.
    fn check_written_slots(&self) -> Result<(), ModelError> {
        let mut written: Vec<u32> = self
            .segments
            .iter()
            .map(|segment| self.sequences[segment.sequence].slots[segment.block])
            .collect();
        written.sort_unstable();
        match written.windows(2).find(|pair| pair[0] == pair[1]) {
            Some(pair) => Err(invalid(format!("slot {} is written twice in one step", pair[0]))),
            None => Ok(()),
        }
    }
}

fn invalid(detail: String) -> ModelError {
    ModelError::Invalid { what: "batch", detail }
}

fn check_sequence(
    sequence: &BatchSequence<'_>,
    first_row: usize,
    limits: Limits,
) -> Result<StepSequence, ModelError> {
    let (rows, position) = (sequence.tokens.len(), sequence.position as usize);
    if rows == 0 {
        return Err(invalid("a sequence without tokens".into()));
    }
    if first_row + rows > limits.rows {
        return Err(invalid(format!("more than {} rows", limits.rows)));
    }
    if let Some(token) = sequence.tokens.iter().find(|&&token| token as usize >= limits.vocabulary) {
        return Err(invalid(format!("token {token} of a vocabulary of {}", limits.vocabulary)));
    }
    let end = position + rows;
    if end > limits.positions {
        return Err(invalid(format!("position {} of at most {}", end - 1, limits.positions)));
    }
    let blocks = end.div_ceil(BLOCK_TOKENS);
    let Some(slots) = sequence.slots.get(..blocks) else {
        return Err(invalid(format!("{} slots for {blocks} blocks", sequence.slots.len())));
    };
    if let Some(slot) = slots.iter().find(|&&slot| slot as usize >= limits.slots) {
        return Err(invalid(format!("slot {slot} of {}", limits.slots)));
    }
    Ok(StepSequence { first_row, rows, position, slots: slots.to_vec() })
}

/// The sequence's rows block by block.
fn segments(sequence: usize, taken: &StepSequence) -> impl Iterator<Item = Segment> {
    let (position, end) = (taken.position, taken.end());
    (position / BLOCK_TOKENS..end.div_ceil(BLOCK_TOKENS)).map(move |block| {
        let from = position.max(block * BLOCK_TOKENS);
        let to = end.min((block + 1) * BLOCK_TOKENS);
        Segment { sequence, block, first: from - position, rows: to - from }
    })
}
