//! From the projections to the slots: query and key norms, biases are already in, keys rotated by their offset in
//! the block, K and V stored in the slot's format; queries scaled for a softmax in base 2.

use attentionstore_kv::{BLOCK_TOKENS, KvDtype};

use super::attention::{AttentionScratch, Geometry};
use super::buffer::{SharedRows, as_lanes, as_lanes_mut};
use super::math::{rms_norm, to_lanes};
use super::rope::RopeTable;
use super::simd::{Kernel, LANES, Lanes, Simd};
use super::slots::{Bf16, Element, SlotArena};
use super::step::{Segment, StepSequence};

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
            self.store_keys(s, kv_head);
            self.store_values(kv_head);
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

    #[inline(always)]
    fn store_keys<S: Simd>(&mut self, s: S, kv_head: usize) {
        let (dim, rows) = (self.geometry.head_dim, self.segment.rows);
        let offset = (self.sequence.position + self.segment.first) % BLOCK_TOKENS;
        for row in 0..rows {
            let key = self.part(row, self.columns.k + kv_head * dim, dim);
            let (rotated, temporary) = self.scratch.head.split_at_mut(BLOCK_TOKENS * dim);
            if let Some(norm) = self.k_norm {
                normalise(s, norm, key, temporary);
            }
            self.rope.at(offset + row).apply(s, key, &mut rotated[row * dim..(row + 1) * dim]);
        }
        let start = kv_head * dim * BLOCK_TOKENS + offset;
        for d in 0..dim {
            for row in 0..rows {
                self.store(start + d * BLOCK_TOKENS + row, self.scratch.head[row * dim + d]);
            }
        }
    }

    #[inline(always)]
    fn store_values(&self, kv_head: usize) {
        let dim = self.geometry.head_dim;
        let half = self.arena.layout.half_slice_bytes() / self.arena.layout.dtype.bytes();
        let offset = (self.sequence.position + self.segment.first) % BLOCK_TOKENS;
        for row in 0..self.segment.rows {
            let start = half + (kv_head * BLOCK_TOKENS + offset + row) * dim;
            let values = self.part(row, self.columns.v + kv_head * dim, dim);
            for (d, &value) in values.iter().enumerate() {
                self.store(start + d, value);
            }
        }
    }

    /// Stores element `at` of the segment's slice.
    #[inline(always)]
    fn store(&self, at: usize, value: f32) {
        let slot = self.sequence.slots[self.segment.block] as usize;
        let dtype = self.arena.layout.dtype;
        assert!(at * dtype.bytes() < self.arena.layout.slice_bytes(), "inside the slice");
        let slice = self.arena.slice(self.layer, slot);
        // SAFETY: inside the slice; only this segment writes these rows, and nobody reads them before the step's
        // attention, which begins when all segments are written.
        unsafe {
            match dtype {
                KvDtype::Bf16 => *slice.cast::<Bf16>().add(at) = Bf16::rounded(value),
                KvDtype::F32 => *slice.cast::<f32>().add(at) = value,
            }
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
