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

pub use couple::turn_keys;

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

/// One of the ways to go on beyond the window.
#[derive(Clone, Copy, Debug)]
pub struct Way {
    pub view: View,
    pub truncation: Truncation,
}

/// The rows of one run: token indices, and what they see.
struct Rows {
    from: u32,
    to: u32,
    /// Tokens between the head and the rest of the view.
    left_out: u32,
}

/// What is scored, and the scores of one way.
struct Scored<'a> {
    tokens: &'a [u32],
    /// The first token that is scored, at least 1.
    first: u32,
    scores: Vec<Score>,
}

impl Scorer {
    /// Loads the model; of the tiers only hbm is used, which holds the longest window twice.
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

    /// Scores `tokens[first..]` in each of `ways`, every token given what the way's view shows to the token before it.
    /// Within the window, which all views share, all ways are the same and computed once.
    ///
    /// # Errors
    /// Nothing to score or nothing before it, no way, views of several windows, a window that hbm does not hold twice,
    /// or a device that failed.
    pub fn score(
        &mut self,
        tokens: &[u32],
        first: u32,
        ways: &[Way],
    ) -> Result<Vec<Vec<Score>>, EngineError> {
        let blocks = self.check(tokens, first, ways)?;
        let Some(Way { view, .. }) = ways.first() else { return Ok(Vec::new()) };
        let last = tokens.len() as u32 - 1;
        let window = view.next_edge(0).min(last);
        let mut scored = Scored { tokens, first, scores: Vec::new() };
        self.run(&mut scored, view, Rows { from: 0, to: window, left_out: 0 })?;
        let used = window.div_ceil(BLOCK_TOKENS as u32);
        for block in 0..used {
            self.backend.copy_rows(block, blocks + block, BLOCK_TOKENS as u32)?;
        }
        let mut all = Vec::with_capacity(ways.len());
        for way in ways {
            for block in 0..used {
                self.backend.copy_rows(blocks + block, block, BLOCK_TOKENS as u32)?;
            }
            let mut scored = Scored { tokens, first, scores: scored.scores.clone() };
            self.go_on(&mut scored, way, window, last)?;
            all.push(scored.scores);
        }
        Ok(all)
    }

    /// The window's blocks.
    fn check(&self, tokens: &[u32], first: u32, ways: &[Way]) -> Result<u32, EngineError> {
        let refused = |detail: String| Err(EngineError::Protocol { detail });
        if first == 0 || first as usize >= tokens.len() {
            return refused(format!("{} tokens, to be scored from token {first}", tokens.len()));
        }
        let Some(Way { view, .. }) = ways.first() else { return refused("no way to score".into()) };
        let window = view.window_blocks();
        if ways.iter().any(|way| way.view.window_blocks() != window) {
            return refused("ways of several windows".into());
        }
        if 2 * window > self.backend.slots() {
            return refused(format!("a window of {window} blocks twice, of {} slots", self.backend.slots()));
        }
        Ok(window as u32)
    }

    /// From the window's end on.
    fn go_on(
        &mut self,
        scored: &mut Scored<'_>,
        way: &Way,
        window: u32,
        last: u32,
    ) -> Result<(), EngineError> {
        let view = &way.view;
        let mut from = window;
        while from < last {
            let left_out = view.left_out(from);
            match way.truncation {
                Truncation::Recompute => {
                    let kept = Rows { from: view.head() + left_out, to: from, left_out };
                    self.compute(scored.tokens, view, &kept, LogitsWanted::None)?;
                }
                Truncation::Coupled => self.couple(view, from)?,
                Truncation::Decoupled => {}
            }
            let to = view.next_edge(from).min(last);
            self.run(scored, view, Rows { from, to, left_out })?;
            from = to;
        }
        Ok(())
    }

    /// Computes rows in batches, and scores the successor of each that is to be scored.
    fn run(&mut self, scored: &mut Scored<'_>, view: &View, rows: Rows) -> Result<(), EngineError> {
        let Rows { from, to, left_out } = rows;
        let unscored = to.min(scored.first - 1).max(from);
        self.compute(scored.tokens, view, &Rows { from, to: unscored, left_out }, LogitsWanted::None)?;
        let most = self.backend.max_batch_tokens() as u32;
        let mut from = unscored;
        while from < to {
            let part = Rows { from, to: to.min(from + most), left_out };
            self.compute(scored.tokens, view, &part, LogitsWanted::All)?;
            self.read_scores(&scored.tokens[from as usize + 1..=part.to as usize], &mut scored.scores)?;
            from = part.to;
        }
        Ok(())
    }

    /// Computes rows in batches; the logits wanted are those of the last batch.
    fn compute(
        &mut self,
        tokens: &[u32],
        view: &View,
        rows: &Rows,
        logits: LogitsWanted,
    ) -> Result<(), EngineError> {
        let most = self.backend.max_batch_tokens() as u32;
        let mut from = rows.from;
        while from < rows.to {
            let to = rows.to.min(from + most);
            let end = to.div_ceil(BLOCK_TOKENS as u32) as usize;
            let slots: Vec<u32> =
                view.blocks_behind(rows.left_out, end).map(|block| view.ring_slot(block)).collect();
            self.backend.begin_step(&[BatchSequence {
                tokens: &tokens[from as usize..to as usize],
                position: from - rows.left_out,
                slots: &slots,
                logits,
            }])?;
            for layer in 0..self.backend.layout().layers {
                self.backend.run_layer(layer)?;
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
