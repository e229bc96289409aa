//! Final norm and head, only for rows whose logits are wanted.

use super::buffer::{Rows, as_lanes, as_lanes_mut};
use super::compute::Compute;
use super::layer::NormRow;
use super::linear::{Finish, Linear, run_linears};
use super::pool::TaskPanicked;
use super::simd::LANES;
use super::weights::CpuWeights;
use crate::config::ModelConfig;

/// Logits computed at once: with a vocabulary of 150,000 these are 10 MB.
pub const LOGIT_ROWS: usize = 16;

/// Logits of some consecutive logit rows of the step.
pub struct Logits {
    normed: Rows,
    logits: Rows,
    vocabulary: usize,
    /// Logit rows that `logits` holds.
    present: std::ops::Range<usize>,
}

impl Logits {
    pub fn new(config: &ModelConfig) -> Logits {
        Logits {
            normed: Rows::new(LOGIT_ROWS, config.hidden),
            logits: Rows::new(LOGIT_ROWS, config.vocab_size),
            vocabulary: config.vocab_size,
            present: 0..0,
        }
    }

    /// Forgets everything: a new step begins.
    pub fn clear(&mut self) {
        self.present = 0..0;
    }

    /// Logits of logit row `row`, if they are present.
    pub fn row(&self, row: usize) -> Option<&[f32]> {
        self.present.contains(&row).then(|| &self.logits.row(row - self.present.start)[..self.vocabulary])
    }

    /// Computes logit rows `first…first + count` (at most [`LOGIT_ROWS`]); `rows[i]` is the step's row of logit
    /// row i.
    ///
    /// # Errors
    /// A task panicked.
    pub fn compute(
        &mut self,
        compute: &mut Compute,
        config: &ModelConfig,
        weights: &CpuWeights,
        hidden: &Rows,
        rows: &[usize],
        first: usize,
    ) -> Result<(), TaskPanicked> {
        self.clear();
        let count = LOGIT_ROWS.min(rows.len() - first);
        let norm = &weights.final_norm;
        for (index, &row) in rows[first..first + count].iter().enumerate() {
            let x = &as_lanes(hidden.row(row))[..norm.len()];
            let out = &mut as_lanes_mut(&mut self.normed.row_mut(index)[..norm.len() * LANES]);
            compute.isa.run(NormRow { x, weight: norm, config, out });
        }
        let out = self.logits.shared();
        let head = Linear { matrix: &weights.head, x: &self.normed, out, column: 0, finish: Finish::Store };
        run_linears(compute, count, &[head])?;
        self.present = first..first + count;
        Ok(())
    }
}
