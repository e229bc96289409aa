//! One transformer layer over a step's rows, enqueued on the compute stream.

use attentionstore_cuda::blas::{Blas, Product, ProductOutput};
use attentionstore_cuda::launch::{AttentionShape, GatherRows, Norm, RopeWrite, SiluMul};
use attentionstore_cuda::runtime::{DevicePointer, Stream};
use attentionstore_cuda::{CudaError, Kernels};

use super::arrange::Arrangement;
use super::attend::Attend;
use super::inputs::InputPointers;
use super::memory::Working;
use super::weights::CudaLayer;
use crate::config::ModelConfig;

/// What a layer computes with.
pub struct LayerPass<'a> {
    pub config: &'a ModelConfig,
    pub shape: AttentionShape,
    pub kernels: &'a Kernels,
    pub blas: &'a mut Blas,
    pub stream: &'a Stream,
    pub weights: &'a CudaLayer,
    pub working: Working,
    pub inputs: &'a InputPointers,
    /// The layer of all slots.
    pub slots: DevicePointer,
    pub is_first: bool,
    /// Rows that go on after the attention, if not all: the last layer's whose logits are wanted.
    pub only: Option<usize>,
}

impl LayerPass<'_> {
    /// # Errors
    /// The driver or the library of products refuses.
    pub fn run(&mut self, arrangement: &Arrangement) -> Result<(), CudaError> {
        let rows = arrangement.rows();
        if rows == 0 {
            return Ok(());
        }
        self.write_kv(rows)?;
        match self.only {
            Some(0) => Ok(()),
            Some(count) => {
                self.attend(arrangement)?;
                self.gather(count)?;
                self.feed_forward(count)
            }
            None => {
                self.attend(arrangement)?;
                self.feed_forward(rows)
            }
        }
    }

    /// Goes on with the rows whose logits are wanted, one after another.
    fn gather(&mut self, count: usize) -> Result<(), CudaError> {
        let (from, to) = (self.working, self.working.gathered());
        let rows = self.inputs.logit_rows;
        let (hidden, heads) = (self.config.hidden * 4, self.shape.query_bytes(1));
        for (row_bytes, from, to) in
            [(hidden, from.residual, to.residual), (heads, from.attended, to.attended)]
        {
            self.kernels.gather_rows(self.stream, &GatherRows { count, row_bytes, from, rows, to })?;
        }
        self.working = to;
        Ok(())
    }

    /// Queries, and keys and values in their slots.
    fn write_kv(&mut self, rows: usize) -> Result<(), CudaError> {
        let (working, weights) = (self.working, self.weights);
        // What the layer before found is added here; before the first there is none.
        self.norm(rows, (!self.is_first).then_some(working.delta), weights.attention_norm)?;
        let all_heads = self.shape.heads() + 2 * self.shape.kv_heads();
        let outputs = all_heads * self.shape.head_dim();
        self.multiply((rows, self.config.hidden, outputs), working.normed, weights.qkv, working.qkv)?;
        self.kernels.rope_write(
            self.stream,
            &RopeWrite {
                shape: self.shape,
                rows,
                qkv: working.qkv,
                bias: weights.qkv_bias,
                q_norm: weights.q_norm,
                k_norm: weights.k_norm,
                epsilon: self.config.rms_eps,
                table: working.table,
                row_slots: self.inputs.row_slots,
                row_positions: self.inputs.row_positions,
                q: working.queries,
                layer: self.slots,
            },
        )
    }

    fn attend(&mut self, arrangement: &Arrangement) -> Result<(), CudaError> {
        let attend = Attend {
            kernels: self.kernels,
            stream: self.stream,
            shape: self.shape,
            working: &self.working,
            inputs: self.inputs,
            layer: self.slots,
        };
        if let Some(group) = arrangement.decode {
            attend.decode(group)?;
        }
        for &group in &arrangement.prefill {
            attend.prefill(group)?;
        }
        Ok(())
    }

    /// Everything after the attention.
    fn feed_forward(&mut self, rows: usize) -> Result<(), CudaError> {
        let (working, weights) = (self.working, self.weights);
        let (hidden, width) = (self.config.hidden, self.config.intermediate);
        let heads = self.shape.heads() * self.shape.head_dim();
        self.multiply((rows, heads, hidden), working.attended, weights.output, working.delta)?;
        self.norm(rows, Some(working.delta), weights.mlp_norm)?;
        self.multiply((rows, hidden, 2 * width), working.normed, weights.gate_up, working.gate_up)?;
        let silu = SiluMul { rows, width, gate_up: working.gate_up, out: working.inner };
        self.kernels.silu_mul(self.stream, &silu)?;
        self.multiply((rows, width, hidden), working.inner, weights.down, working.delta)
    }

    fn norm(
        &self,
        rows: usize,
        delta: Option<DevicePointer>,
        weight: DevicePointer,
    ) -> Result<(), CudaError> {
        let launch = Norm {
            rows,
            hidden: self.config.hidden,
            residual: self.working.residual,
            delta,
            weight,
            out: self.working.normed,
            epsilon: self.config.rms_eps,
        };
        self.kernels.rmsnorm(self.stream, &launch)
    }

    fn multiply(
        &mut self,
        (rows, inputs, outputs): (usize, usize, usize),
        x: DevicePointer,
        weights: DevicePointer,
        out: DevicePointer,
    ) -> Result<(), CudaError> {
        let kind = ProductOutput::Bf16;
        self.blas.multiply(self.stream, &Product { rows, inputs, outputs, x, weights, out, kind })
    }
}
