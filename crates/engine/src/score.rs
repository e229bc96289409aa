//! What a model thinks of a given text, seen through a view: the measure of what truncation costs. Beside the engine,
//! for evaluation only (`docs/fidelity.md`).

mod couple;

use std::num::NonZero;
use std::thread;

use attentionstore_kv::BLOCK_TOKENS;
use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted};
use attentionstore_model::sampling::{greatest, log_probabilities};

use crate::device::open_backend;
use crate::error::EngineError;
use crate::open::open_model;
use crate::options::EngineOptions;
use crate::view::View;

/// What happens at an edge of the view.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Truncation {
    /// What stays is computed anew as the sequence that it then is: the reference.
    Recompute,
    /// What stays is used as it is, at its new place in the view: what the engine does.
    Decoupled,
    /// What stays keeps the positions that it was computed at, while what follows goes on at its place in the view, as
    /// where positions are part of the keys (paper §3.4).
    Coupled,
}

/// A text's token, given those before it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Score {
    /// −ln of its probability.
    pub nll: f32,
    /// The likeliest token in its place.
    pub best: u32,
}

pub struct Scorer {
    backend: Box<dyn Backend>,
    threads: usize,
    /// Of the rotary embedding.
    frequencies: Vec<f32>,
}

/// The rows of one run: token indices, and what they see.
struct Rows {
    from: u32,
    to: u32,
    /// Tokens between the head and the rest of the view.
    left_out: u32,
}

impl Scorer {
    /// Loads the model; of the tiers only hbm is used, which holds the longest window.
    ///
    /// # Errors
    /// As for an engine.
    pub fn open(options: &EngineOptions) -> Result<Self, EngineError> {
        let model = open_model(options, &|_| {})?;
        let backend = open_backend(options, &model)?;
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        let threads = if options.threads == 0 { cores } else { options.threads };
        let frequencies = backend.config().inverse_frequencies();
        Ok(Self { backend, threads, frequencies })
    }

    /// Scores `tokens[1..]`, each given what `view` shows to the token before it.
    ///
    /// # Errors
    /// Less than two tokens, a window that hbm does not hold, or a device that failed.
    pub fn score(
        &mut self,
        tokens: &[u32],
        view: View,
        truncation: Truncation,
    ) -> Result<Vec<Score>, EngineError> {
        if tokens.len() < 2 || view.window_blocks() > self.backend.slots() {
            let (window, slots) = (view.window_blocks(), self.backend.slots());
            let detail = format!("{} tokens in a window of {window} blocks, of {slots}", tokens.len());
            return Err(EngineError::Protocol { detail });
        }
        let mut scores = Vec::with_capacity(tokens.len() - 1);
        // The last token is predicted, and predicts nothing.
        let last = tokens.len() as u32 - 1;
        let mut from = 0;
        while from < last {
            let left_out = view.left_out(from);
            match truncation {
                Truncation::Recompute if left_out > 0 => {
                    let kept = Rows { from: view.head() + left_out, to: from, left_out };
                    self.run(tokens, &view, kept, None)?;
                }
                Truncation::Coupled if left_out > 0 => self.couple(&view, from)?,
                _ => {}
            }
            let to = view.next_edge(from).min(last);
            self.run(tokens, &view, Rows { from, to, left_out }, Some(&mut scores))?;
            from = to;
        }
        Ok(scores)
    }

    /// Computes rows in batches; with `scores`, each row's successor is scored.
    fn run(
        &mut self,
        tokens: &[u32],
        view: &View,
        rows: Rows,
        mut scores: Option<&mut Vec<Score>>,
    ) -> Result<(), EngineError> {
        let most = self.backend.max_batch_tokens() as u32;
        let mut from = rows.from;
        while from < rows.to {
            let to = rows.to.min(from + most);
            let end = to.div_ceil(BLOCK_TOKENS as u32) as usize;
            let slots: Vec<u32> =
                view.blocks_behind(rows.left_out, end).map(|block| view.ring_slot(block)).collect();
            let logits = if scores.is_some() { LogitsWanted::All } else { LogitsWanted::None };
            self.backend.begin_step(&[BatchSequence {
                tokens: &tokens[from as usize..to as usize],
                position: from - rows.left_out,
                slots: &slots,
                logits,
            }])?;
            for layer in 0..self.backend.layout().layers {
                self.backend.run_layer(layer)?;
            }
            if let Some(scores) = scores.as_deref_mut() {
                self.read_scores(&tokens[from as usize + 1..=to as usize], scores)?;
            }
            from = to;
        }
        Ok(())
    }

    /// Scores of the tokens that follow the rows of the step.
    fn read_scores(&mut self, targets: &[u32], scores: &mut Vec<Score>) -> Result<(), EngineError> {
        let vocabulary = self.backend.config().vocab_size;
        let mut logits = vec![0.0; vocabulary * targets.len()];
        for (row, out) in logits.chunks_exact_mut(vocabulary).enumerate() {
            self.backend.read_logits(row, out)?;
        }
        let first = scores.len();
        scores.resize(first + targets.len(), Score { nll: 0.0, best: 0 });
        let share = targets.len().div_ceil(self.threads);
        thread::scope(|scope| {
            let parts = scores[first..].chunks_mut(share);
            for ((part, targets), logits) in
                parts.zip(targets.chunks(share)).zip(logits.chunks(share * vocabulary))
            {
                scope.spawn(move || {
                    let rows = logits.chunks_exact(vocabulary);
                    for ((score, &target), logits) in part.iter_mut().zip(targets).zip(rows) {
                        *score = score_of(logits, target);
                    }
                });
            }
        });
        Ok(())
    }
}

fn score_of(logits: &[f32], target: u32) -> Score {
    let (log_probability, _) = log_probabilities(logits, target, 0);
    Score { nll: -log_probability, best: greatest(logits).unwrap_or(0) }
}
