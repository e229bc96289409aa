//! Log probabilities of prompt tokens, from the rows of a step that compute them.

use attentionstore_model::backend::LogitsWanted;
use attentionstore_model::sampling::{ScoreRequest, Scored};

use crate::error::EngineError;
use crate::plan::PlanRow;
use crate::sequence::Sequence;
use crate::worker::Worker;

/// The rows of `row` for which logits are needed: all of them where the request asks about its prompt.
pub fn logits_wanted(sequence: &Sequence, row: &PlanRow) -> LogitsWanted {
    if !sequence.asked_about(row).0.is_empty() {
        LogitsWanted::All
    } else if row.sample {
        LogitsWanted::Last
    } else {
        LogitsWanted::None
    }
}

impl Worker {
    /// The step's first logit row of each computed row group, and how many there are.
    pub(crate) fn logit_rows(&self, work: &[PlanRow]) -> Vec<(usize, usize)> {
        let mut next = 0;
        let of_row = |row: &PlanRow| {
            let count = match logits_wanted(&self.sequences[&row.sequence], row) {
                LogitsWanted::All => row.count as usize,
                LogitsWanted::Last => 1,
                LogitsWanted::None => 0,
            };
            let first = next;
            next += count;
            (first, count)
        };
        work.iter().map(of_row).collect()
    }

    /// For each computed row group the scores of the prompt tokens behind its rows. The device holds the logits of some
    /// rows at a time.
    pub(crate) fn score_prompts(&mut self, work: &[PlanRow]) -> Result<Vec<Vec<Scored>>, EngineError> {
        let mut requests = Vec::new();
        let mut counts = Vec::with_capacity(work.len());
        for (row, (first, _)) in work.iter().zip(self.logit_rows(work)) {
            let (tokens, top) = self.sequences[&row.sequence].asked_about(row);
            let asked = tokens.iter().zip(first..);
            requests.extend(asked.map(|(&token, row)| ScoreRequest { row, token, top }));
            counts.push(tokens.len());
        }
        if requests.is_empty() {
            return Ok(vec![Vec::new(); work.len()]);
        }
        let mut scored = self.backend.score(&requests)?.into_iter();
        Ok(counts.into_iter().map(|count| scored.by_ref().take(count).collect()).collect())
    }
}
