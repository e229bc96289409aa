//! Final norm and head, for some consecutive logit rows of a step at a time.

use std::ops::Range;

use attentionstore_cuda::blas::{Blas, Product, ProductOutput};
use attentionstore_cuda::launch::FinalNorm;
use attentionstore_cuda::runtime::{DevicePointer, Stream};
use attentionstore_cuda::{CudaError, Kernels};

use super::memory::Working;
use super::weights::CudaWeights;
use crate::config::ModelConfig;

/// Which logit rows are present on the card.
pub struct Logits {
    /// Rows computed at once.
    most: usize,
    present: Range<usize>,
}

/// What logits are computed with.
pub struct HeadPass<'a> {
    pub config: &'a ModelConfig,
    pub kernels: &'a Kernels,
    pub blas: &'a mut Blas,
    pub stream: &'a Stream,
    pub weights: &'a CudaWeights,
    pub working: Working,
    /// The step's logit rows, if `working` does not hold them gathered already.
    pub logit_rows: Option<DevicePointer>,
    /// How many there are.
    pub count: usize,
}

impl Logits {
    pub fn new(most: usize) -> Logits {
        Logits { most, present: 0..0 }
    }

    /// Forgets everything: a new step begins.
    pub fn clear(&mut self) {
        self.present = 0..0;
    }

    /// Where logit row `row` lies among those present.
    pub fn place(&self, row: usize) -> Option<usize> {
        self.present.contains(&row).then(|| row - self.present.start)
    }

    /// Rows that are present.
    pub fn rows(&self) -> usize {
        self.present.len()
    }

    /// Makes logit row `row` (below `pass.count`) present, with those after it.
    ///
    /// # Errors
    /// The driver or the library of products refuses.
    pub fn make_present(&mut self, pass: HeadPass<'_>, row: usize) -> Result<(), CudaError> {
        if self.present.contains(&row) {
            return Ok(());
        }
        self.clear();
        let count = self.most.min(pass.count - row);
        pass.run(row, count)?;
        self.present = row..row + count;
        Ok(())
    }
}

impl HeadPass<'_> {
    fn run(self, first: usize, count: usize) -> Result<(), CudaError> {
        let (working, hidden) = (self.working, self.config.hidden);
        // Without names for them they are the rows from `first` on.
        let skipped = if self.logit_rows.is_some() { 0 } else { first * hidden };
        let norm = FinalNorm {
            count,
            hidden,
            residual: working.residual.from(skipped * 4)?,
            delta: working.delta.from(skipped * 2)?,
            rows: self.logit_rows.map(|rows| rows.from(first * 4)).transpose()?,
            weight: self.weights.final_norm,
            out: working.final_normed,
            epsilon: self.config.rms_eps,
        };
        self.kernels.final_norm(self.stream, &norm)?;
        let product = Product {
            rows: count,
            inputs: hidden,
            outputs: self.config.vocab_size,
            x: working.final_normed,
            weights: self.weights.head,
            out: working.logits,
            kind: ProductOutput::F32,
        };
        self.blas.multiply(self.stream, &product)
    }
}
