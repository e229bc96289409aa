//! One transformer layer over a step's rows.

use super::attend::{Attention, run_attention};
use super::attention::Geometry;
use super::buffer::{Rows, as_lanes, as_lanes_mut};
use super::compute::Compute;
use super::kv_write::{HeadNorm, QkvColumns, WriteSegment};
use super::linear::{Finish, Linear, run_linears};
use super::math::{LOG2_E, rms_norm};
use super::pool::TaskPanicked;
use super::rope::RopeTable;
use super::simd::{Kernel, LANES, Lanes, Simd};
use super::slots::SlotArena;
use super::weights::CpuLayer;
use crate::backend::step::Step;
use crate::config::ModelConfig;

/// Rows normalised by one task.
const ROWS_A_TASK: usize = 32;

/// A step's activations, one row a new token.
pub struct Activations {
    /// The residual stream.
    pub hidden: Rows,
    pub normed: Rows,
    /// q, k and v side by side.
    pub projections: Rows,
    pub attended: Rows,
    pub inner: Rows,
}

impl Activations {
    pub fn new(config: &ModelConfig, rows: usize) -> Activations {
        let geometry = geometry(config);
        Activations {
            hidden: Rows::new(rows, config.hidden),
            normed: Rows::new(rows, config.hidden),
            projections: Rows::new(rows, QkvColumns::new(geometry).end),
            attended: Rows::new(rows, config.heads * config.head_dim),
            inner: Rows::new(rows, config.intermediate),
        }
    }

    /// Copies what the second half of a layer reads of row `from` to row `to`.
    pub fn move_row(&mut self, from: usize, to: usize) {
        self.hidden.copy_row(from, to);
        self.projections.copy_row(from, to);
    }
}

/// The attention dimensions of a model.
pub fn geometry(config: &ModelConfig) -> Geometry {
    Geometry { heads: config.heads, kv_heads: config.kv_heads, head_dim: config.head_dim }
}

/// What a layer computes with.
pub struct LayerPass<'a> {
    pub config: &'a ModelConfig,
    pub weights: &'a CpuLayer,
    pub rope: &'a RopeTable,
    pub arena: &'a SlotArena,
    pub layer: usize,
}

impl LayerPass<'_> {
    /// First half: K and V of the step's rows into their slots.
    ///
    /// # Errors
    /// A task panicked.
    pub fn write_step(
        &self,
        compute: &mut Compute,
        rows: &mut Activations,
        step: &Step,
    ) -> Result<(), TaskPanicked> {
        self.project(compute, rows, step.tokens.len())?;
        self.write_kv(compute, rows, step)
    }

    /// Second half: attention over the slots, then the MLP.
    ///
    /// # Errors
    /// A task panicked.
    pub fn finish_step(
        &self,
        compute: &mut Compute,
        rows: &mut Activations,
        step: &Step,
    ) -> Result<(), TaskPanicked> {
        if step.tokens.is_empty() {
            return Ok(());
        }
        self.attend(compute, rows, step)?;
        self.feed_forward(compute, rows, step.tokens.len())
    }

    fn project(
        &self,
        compute: &mut Compute,
        activations: &mut Activations,
        rows: usize,
    ) -> Result<(), TaskPanicked> {
        let Activations { hidden, normed, projections, .. } = activations;
        norm_rows(compute, self.config, rows, hidden, &self.weights.attention_norm, normed)?;
        let columns = QkvColumns::new(geometry(self.config));
        let out = projections.shared();
        let (x, weights) = (&*normed, self.weights);
        let part = |matrix, finish, column| Linear { matrix, x, out, column, finish };
        let linears = [
            part(&weights.q, bias_or_store(&weights.q_bias), 0),
            part(&weights.k, bias_or_store(&weights.k_bias), columns.k),
            part(&weights.v, bias_or_store(&weights.v_bias), columns.v),
        ];
        run_linears(compute, rows, &linears)
    }

    fn write_kv(
        &self,
        compute: &mut Compute,
        activations: &mut Activations,
        step: &Step,
    ) -> Result<(), TaskPanicked> {
        let geometry = geometry(self.config);
        let eps = self.config.rms_eps;
        let (isa, workspaces) = (compute.isa, &compute.workspaces);
        let projections = activations.projections.shared();
        compute.pool.run(step.segments.len(), &|task, thread| {
            let segment = step.segments[task];
            isa.run(WriteSegment {
                geometry,
                columns: QkvColumns::new(geometry),
                rope: self.rope,
                q_norm: self.weights.q_norm.as_ref().map(|weight| HeadNorm { weight, eps }),
                k_norm: self.weights.k_norm.as_ref().map(|weight| HeadNorm { weight, eps }),
                q_scale: LOG2_E / (geometry.head_dim as f32).sqrt(),
                projections,
                arena: self.arena,
                layer: self.layer,
                sequence: &step.sequences[segment.sequence],
                segment,
                scratch: &mut workspaces.of(thread).attention,
            });
        })
    }

    fn attend(
        &self,
        compute: &mut Compute,
        activations: &mut Activations,
        step: &Step,
    ) -> Result<(), TaskPanicked> {
        let Activations { hidden, projections, attended, .. } = activations;
        let attention = Attention {
            geometry: geometry(self.config),
            rope: self.rope,
            arena: self.arena,
            layer: self.layer,
            queries: projections,
            out: attended.shared(),
        };
        run_attention(compute, step, attention)?;
        let output = Linear {
            matrix: &self.weights.output,
            x: attended,
            out: hidden.shared(),
            column: 0,
            finish: Finish::Add,
        };
        run_linears(compute, step.tokens.len(), &[output])
    }

    fn feed_forward(
        &self,
        compute: &mut Compute,
        activations: &mut Activations,
        rows: usize,
    ) -> Result<(), TaskPanicked> {
        let Activations { hidden, normed, inner, .. } = activations;
        let weights = self.weights;
        norm_rows(compute, self.config, rows, hidden, &weights.mlp_norm, normed)?;
        let finish = Finish::Gate(&weights.up);
        let gated = Linear { matrix: &weights.gate, x: normed, out: inner.shared(), column: 0, finish };
        run_linears(compute, rows, &[gated])?;
        let finish = Finish::Add;
        let down = Linear { matrix: &weights.down, x: inner, out: hidden.shared(), column: 0, finish };
        run_linears(compute, rows, &[down])
    }
}

fn bias_or_store(bias: &Option<Vec<Lanes>>) -> Finish<'_> {
    bias.as_deref().map_or(Finish::Store, Finish::Bias)
}

/// Normalises rows 0…`rows`.
fn norm_rows(
    compute: &mut Compute,
    config: &ModelConfig,
    rows: usize,
    x: &Rows,
    weight: &[Lanes],
    out: &mut Rows,
) -> Result<(), TaskPanicked> {
    let isa = compute.isa;
    let out = out.shared();
    compute.pool.run(rows.div_ceil(ROWS_A_TASK), &|task, _| {
        for row in task * ROWS_A_TASK..rows.min((task + 1) * ROWS_A_TASK) {
            // SAFETY: each row is one task's.
            let out = unsafe { out.part(row, 0, weight.len() * LANES) };
            let x = &as_lanes(x.row(row))[..weight.len()];
            isa.run(NormRow { x, weight, config, out: as_lanes_mut(out) });
        }
    })
}

/// RMS norm of one row.
pub struct NormRow<'a> {
    pub x: &'a [Lanes],
    pub weight: &'a [Lanes],
    pub config: &'a ModelConfig,
    pub out: &'a mut [Lanes],
}

impl Kernel for NormRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        rms_norm(s, self.x, self.weight, self.config.hidden, self.config.rms_eps, self.out);
    }
}
