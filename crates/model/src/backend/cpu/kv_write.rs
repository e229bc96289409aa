//! From the projections to the slots: query and key norms, biases are already in, keys rotated by their offset in
//! the block, K and V stored in the slot's format; queries scaled for a softmax in base 2.

use attentionstore_kv::{BLOCK_TOKENS, KvDtype};

use super::attention::{AttentionScratch, Geometry};
use super::buffer::{SharedRows, as_lanes, as_lanes_mut};
use super::math::{rms_norm, to_lanes};
use super::rope::RopeTable;
use super::simd::{Kernel, LANES, Lanes, Simd};
use super::slots::{Bf16, Element, SlotArena};
use crate::backend::step::{Segment, StepSequence};

/// Where q, k and v stand in a row of projections.
#[derive(Clone, Copy, Debug)]
pub struct QkvColumns {
    pub k: usize,
    pub v: usize,
    pub end: usize,
}

impl QkvColumns {
    /// Each part begins at a whole panel.
    pub fn new(geometry: Geometry) -> QkvColumns {
        let q_width = (geometry.heads * geometry.head_dim).next_multiple_of(LANES);
        let kv_width = (geometry.kv_heads * geometry.head_dim).next_multiple_of(LANES);
        QkvColumns { k: q_width, v: q_width + kv_width, end: q_width + 2 * kv_width }
    }
}

/// Norm weights of a head, in whole lanes.
#[derive(Clone, Copy)]
pub struct HeadNorm<'a> {
    pub weight: &'a [Lanes],
    pub eps: f32,
}

/// Prepares the rows of one segment: the only writer of their block's rows.
pub struct WriteSegment<'a> {
    pub geometry: Geometry,
    pub columns: QkvColumns,
    pub rope: &'a RopeTable,
    pub q_norm: Option<HeadNorm<'a>>,
    pub k_norm: Option<HeadNorm<'a>>,
    /// log2(e) / √head_dim
    pub q_scale: f32,
    pub projections: SharedRows<'a>,
    pub arena: &'a SlotArena,
    pub layer: usize,
    pub sequence: &'a StepSequence,
    pub segment: Segment,
    pub scratch: &'a mut AttentionScratch,
}

impl Kernel for WriteSegment<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(mut self, s: S) {
        for row in 0..self.segment.rows {
            self.prepare_queries(s, row);
        }
        for kv_head in 0..self.geometry.kv_heads {
            match self.arena.layout.dtype {
                KvDtype::Bf16 => self.store_head::<S, Bf16>(s, kv_head),
                KvDtype::F32 => self.store_head::<S, f32>(s, kv_head),
            }
        }
    }
}

impl<'a> WriteSegment<'a> {
    /// Elements of row `row` of the segment.
    #[inline(always)]
    fn part(&self, row: usize, column: usize, length: usize) -> &'a mut [f32] {
        let row = self.sequence.first_row + self.segment.first + row;
        // SAFETY: each row of the step belongs to one segment, and each segment to one task.
        unsafe { self.projections.part(row, column, length) }
    }

    #[inline(always)]
    fn prepare_queries<S: Simd>(&mut self, s: S, row: usize) {
        let dim = self.geometry.head_dim;
        for head in 0..self.geometry.heads {
            let query = self.part(row, head * dim, dim);
            if let Some(norm) = self.q_norm {
                normalise(s, norm, query, &mut self.scratch.head);
            }
            for element in query {
                *element *= self.q_scale;
            }
        }
    }

    /// K and V of one head in the slot's format.
    #[inline(always)]
    fn store_head<S: Simd, E: Element>(&mut self, s: S, kv_head: usize) {
        let dim = self.geometry.head_dim;
        let offset = (self.sequence.position + self.segment.first) % BLOCK_TOKENS;
        self.rotate_keys(s, kv_head, offset);
        let slot = self.sequence.slots[self.segment.block] as usize;
        // SAFETY: this segment is the only one that writes the slot, and nobody reads these rows before the step's
        // attention, which begins when all segments are written; the caller chose the layout's element.
        let head = unsafe { self.arena.head_mut::<E>(self.layer, slot, kv_head) };
        let rows = self.segment.rows;
        for (d, keys) in head.keys.iter_mut().enumerate() {
            for (row, key) in keys[offset..offset + rows].iter_mut().enumerate() {
                *key = E::rounded(self.scratch.head[row * dim + d]);
            }
        }
        for (row, values) in head.values.chunks_exact_mut(dim).skip(offset).take(rows).enumerate() {
            let from = self.part(row, self.columns.v + kv_head * dim, dim);
            for (value, &from) in values.iter_mut().zip(&*from) {
                *value = E::rounded(from);
            }
        }
    }

    /// The segment's keys of one head, normalised and rotated by their offset in the block, in `scratch.head`.
    #[inline(always)]
    fn rotate_keys<S: Simd>(&mut self, s: S, kv_head: usize, offset: usize) {
        let dim = self.geometry.head_dim;
        for row in 0..self.segment.rows {
            let key = self.part(row, self.columns.k + kv_head * dim, dim);
            let (rotated, temporary) = self.scratch.head.split_at_mut(BLOCK_TOKENS * dim);
            if let Some(norm) = self.k_norm {
                normalise(s, norm, key, temporary);
            }
            self.rope.at(offset + row).apply(s, key, &mut rotated[row * dim..(row + 1) * dim]);
        }
    }
}

/// RMS norm of one head in place, through whole lanes.
#[inline(always)]
fn normalise<S: Simd>(s: S, norm: HeadNorm<'_>, head: &mut [f32], temporary: &mut [f32]) {
    let width = norm.weight.len() * LANES;
    let (input, output) = temporary.split_at_mut(width);
    let input = as_lanes_mut(input);
    to_lanes(head, input);
    rms_norm(s, input, norm.weight, head.len(), norm.eps, as_lanes_mut(&mut output[..width]));
    head.copy_from_slice(&as_lanes(output).as_flattened()[..head.len()]);
}
