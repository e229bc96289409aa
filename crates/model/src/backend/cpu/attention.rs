//! Attention of one query head group over one block: scores, exponentials and weighted values, each block on its
//! own, then folded into the running result in view order.
//!
//! A row of the result never depends on which rows are computed beside it: every score is one chain over the
//! head's elements, every value one chain over the 64 keys of a block (what a row cannot see has weight exactly
//! zero), and blocks are folded one after another.

use super::buffer::{as_lanes, as_lanes_mut};
use super::direct::{self, Stored};
use super::math::exp2_at_most_one;
use super::rope::RopeTable;
use super::simd::{Kernel, LANES, Lanes, Simd, padded};
use super::slots::{Element, HeadSlice};
use super::tile::{Next, Out, Product, Strided};
use attentionstore_kv::BLOCK_TOKENS;

/// Most queries that read keys and values as they are stored; more of them share an expanded block.
const DIRECT_QUERIES: usize = 12;
const KEY_GROUPS: usize = BLOCK_TOKENS / LANES;

/// Dimensions of a model's attention.
#[derive(Clone, Copy, Debug)]
pub struct Geometry {
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
}

impl Geometry {
    /// Query heads that share a K/V head.
    pub fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Elements of a head in whole lanes.
    pub fn padded_dim(&self) -> usize {
        padded(self.head_dim)
    }
}

/// A thread's memory for attention over one block at a time.
pub struct AttentionScratch {
    /// Expanded keys: `[16 keys][dim]`, a lane a key.
    pub keys: Vec<Lanes>,
    /// Expanded values: `[16 elements][key]`, a lane an element.
    pub values: Vec<Lanes>,
    /// Queries rotated for the block: `[query][dim]`.
    pub queries: Vec<f32>,
    /// Scores, then probabilities: `[query][key]`.
    pub scores: Vec<f32>,
    /// The block's own result.
    pub block: Partial,
    /// The result of all blocks so far.
    pub running: Partial,
    /// Vectors of a head while K and V are prepared: `[token][dim]`.
    pub head: Vec<f32>,
}

impl AttentionScratch {
    /// For up to `queries` query vectors at once.
    pub fn new(geometry: Geometry, queries: usize) -> AttentionScratch {
        let dim = geometry.padded_dim();
        AttentionScratch {
            keys: vec![[0.0; LANES]; KEY_GROUPS * geometry.head_dim],
            values: vec![[0.0; LANES]; dim / LANES * BLOCK_TOKENS],
            queries: vec![0.0; queries * geometry.head_dim],
            scores: vec![0.0; queries * BLOCK_TOKENS],
            block: Partial::new(queries, dim),
            running: Partial::new(queries, dim),
            head: vec![0.0; (BLOCK_TOKENS + 2) * dim],
        }
    }
}

/// Softmax over some keys, not yet divided: for each query the greatest score, the sum of exponentials relative
/// to it, and the values weighted by them. Exponents are base 2.
pub struct Partial {
    pub max: Vec<f32>,
    pub sum: Vec<f32>,
    /// `[query][padded dim]`
    pub value: Vec<f32>,
    pub dim: usize,
}

impl Partial {
    pub fn new(queries: usize, dim: usize) -> Partial {
        // Sixteen are read at once, from any query on.
        let lanes = queries + LANES;
        Partial { max: vec![0.0; lanes], sum: vec![0.0; lanes], value: vec![0.0; queries * dim], dim }
    }

    /// The result over no keys.
    pub fn clear(&mut self) {
        self.max.fill(f32::NEG_INFINITY);
        self.sum.fill(0.0);
        self.value.fill(0.0);
    }
}

/// Expands a head's K and V of one block. Values of rows at and beyond `valid` become zero, whatever bytes lie
/// there; keys there may be anything, their scores are never used.
#[inline(always)]
pub fn expand_block<S: Simd, E: Element>(
    s: S,
    dim: usize,
    head: HeadSlice<'_, E>,
    valid: usize,
    scratch: &mut AttentionScratch,
) {
    for (group, out) in scratch.keys.chunks_exact_mut(dim).enumerate() {
        for (keys, out) in head.keys.iter().zip(out) {
            s.store(E::lanes(s, &keys.as_chunks().0[group]), out);
        }
    }
    // Token by token, as stored: column by column each read would be of another cache line.
    let columns = scratch.values.as_chunks_mut::<BLOCK_TOKENS>().0;
    for (token, values) in head.values.chunks_exact(dim).take(valid).enumerate() {
        let (whole, rest) = values.as_chunks();
        for (out, values) in columns.iter_mut().zip(whole) {
            s.store(E::lanes(s, values), &mut out[token]);
        }
        if let ([_, ..], Some(out)) = (rest, columns.last_mut()) {
            out[token] = [0.0; LANES];
            for (value, out) in rest.iter().zip(&mut out[token]) {
                *out = value.number();
            }
        }
    }
    for out in columns {
        out[valid..].fill([0.0; LANES]);
    }
}

/// The queries of some rows of one K/V head.
#[derive(Clone, Copy)]
pub struct Queries<'a> {
    /// Rows as the projection wrote them: query head h at `h · head_dim`, scaled by log2(e) / √dim, not rotated.
    pub rows: Strided<'a>,
    pub kv_head: usize,
    /// Position of the first row in its view.
    pub position: usize,
}

/// A block as attention reads it.
#[derive(Clone, Copy)]
pub struct Block<'a, E> {
    pub head: HeadSlice<'a, E>,
    /// What is read next.
    pub next: HeadSlice<'a, E>,
    /// Position of its first token in the view; every query row sees that token.
    pub start: usize,
    /// Tokens that it holds.
    pub valid: usize,
}

/// Attention of queries over one block alone. The result is `scratch.block`, query by query: row, then head of
/// the group.
#[inline(always)]
pub fn attend_block<S: Simd, E: Element>(
    s: S,
    geometry: Geometry,
    rope: &RopeTable,
    queries: Queries<'_>,
    block: Block<'_, E>,
    scratch: &mut AttentionScratch,
) {
    let (dim, group) = (geometry.head_dim, geometry.group());
    let count = queries.rows.rows * group;
    let direct = count <= DIRECT_QUERIES && dim.is_multiple_of(LANES);
    rotate_queries(s, geometry, rope, queries, block.start, &mut scratch.queries);
    let rotated = Strided { data: &scratch.queries, stride: dim, rows: count };
    if direct {
        let (numbers, next) = (block.head.keys.as_flattened(), block.next.keys.as_flattened());
        direct::product(s, rotated, Stored { numbers, width: BLOCK_TOKENS, next }, &mut scratch.scores);
    } else {
        expand_block(s, dim, block.head, block.valid, scratch);
        let rotated = Strided { data: &scratch.queries, stride: dim, rows: count };
        let out = Out { data: &mut scratch.scores, row_stride: BLOCK_TOKENS, panel_stride: LANES };
        let (w, next) = (&scratch.keys, Next::of(block.next.keys));
        Product { x: rotated, w, inputs: dim, out, from_zero: true, next }.run(s);
    }
    let scores = scratch.scores.as_chunks_mut::<BLOCK_TOKENS>().0;
    for (query, scores) in scores.iter_mut().take(count).enumerate() {
        let visible = BLOCK_TOKENS.min(queries.position + query / group + 1 - block.start);
        (scratch.block.max[query], scratch.block.sum[query]) = soften(s, scores, visible);
    }
    let weights = Strided { data: &scratch.scores, stride: BLOCK_TOKENS, rows: count };
    let (out, width) = (&mut scratch.block.value, geometry.padded_dim());
    if direct {
        let (numbers, next) = (&block.head.values[..block.valid * dim], block.next.values);
        direct::product(s, weights, Stored { numbers, width: dim, next }, out);
    } else {
        let out = Out { data: out, row_stride: width, panel_stride: LANES };
        let (w, next) = (&scratch.values, Next::of(block.next.values));
        Product { x: weights, w, inputs: BLOCK_TOKENS, out, from_zero: true, next }.run(s);
    }
}

/// Rotates every query by its distance from the block's start.
#[inline(always)]
fn rotate_queries<S: Simd>(
    s: S,
    geometry: Geometry,
    rope: &RopeTable,
    queries: Queries<'_>,
    start: usize,
    out: &mut [f32],
) {
    let (dim, group) = (geometry.head_dim, geometry.group());
    let heads = queries.kv_head * group * dim;
    let rows = queries.rows.data.chunks(queries.rows.stride).take(queries.rows.rows);
    for (row, (x, out)) in rows.zip(out.chunks_exact_mut(group * dim)).enumerate() {
        let rotation = rope.at(queries.position + row - start);
        let x = x[heads..heads + group * dim].chunks_exact(dim);
        for (x, out) in x.zip(out.chunks_exact_mut(dim)) {
            rotation.apply(s, x, out);
        }
    }
}

/// Turns the scores of a block into exponentials relative to the greatest visible one; invisible keys get zero.
/// Returns that greatest score and the sum.
#[inline(always)]
fn soften<S: Simd>(s: S, scores: &mut [f32; BLOCK_TOKENS], visible: usize) -> (f32, f32) {
    let scores = scores.as_chunks_mut::<LANES>().0;
    let mut lanes = [s.splat(0.0); KEY_GROUPS];
    for (lanes, scores) in lanes.iter_mut().zip(&*scores) {
        *lanes = s.load(scores);
    }
    if visible < BLOCK_TOKENS {
        let hidden = s.splat(f32::NEG_INFINITY);
        for (at, lanes) in lanes.iter_mut().enumerate() {
            *lanes = s.first(visible.saturating_sub(at * LANES), *lanes, hidden);
        }
    }
    let max = s.max_lanes(s.max(s.max(lanes[0], lanes[1]), s.max(lanes[2], lanes[3])));
    for lanes in &mut lanes {
        *lanes = exp2_at_most_one(s, s.sub(*lanes, s.splat(max)));
    }
    if visible < BLOCK_TOKENS {
        for (at, lanes) in lanes.iter_mut().enumerate() {
            *lanes = s.first(visible.saturating_sub(at * LANES), *lanes, s.splat(0.0));
        }
    }
    for (lanes, out) in lanes.iter().zip(scores) {
        s.store(*lanes, out);
    }
    let sum = s.sum_lanes(s.add(s.add(lanes[0], lanes[1]), s.add(lanes[2], lanes[3])));
    (max, sum)
}

/// What one block found for some queries.
#[derive(Clone, Copy)]
pub struct Found<'a> {
    /// Whole lanes, at least one a query.
    pub max: &'a [f32],
    pub sum: &'a [f32],
    /// `[query][padded dim]`
    pub value: &'a [f32],
}

impl Partial {
    /// What it holds.
    #[inline(always)]
    pub fn found(&self) -> Found<'_> {
        Found { max: &self.max, sum: &self.sum, value: &self.value }
    }

    /// Folds what the next block found for `count` queries into the result so far of queries `first…`.
    #[inline(always)]
    pub fn fold<S: Simd>(&mut self, s: S, first: usize, count: usize, found: Found<'_>) {
        let dim = self.dim;
        for at in (0..count).step_by(LANES) {
            let to = first + at;
            let (mut keep, mut take) = ([0.0; LANES], [0.0; LANES]);
            let scales = self.fold_sums(s, to, count - at, lanes_at(found.max, at), lanes_at(found.sum, at));
            s.store(scales.0, &mut keep);
            s.store(scales.1, &mut take);
            for query in 0..LANES.min(count - at) {
                let old = as_lanes_mut(&mut self.value[(to + query) * dim..(to + query + 1) * dim]);
                let new = as_lanes(&found.value[(at + query) * dim..(at + query + 1) * dim]);
                let (keep, take) = (s.splat(keep[query]), s.splat(take[query]));
                for (old, new) in old.iter_mut().zip(new) {
                    // Minus zero becomes zero: which of them a sum of nothing but underflow is depends on how
                    // many keys of weight zero were added.
                    let new = s.add(s.load(new), s.splat(0.0));
                    s.store(s.fma(new, take, s.mul(s.load(old), keep)), old);
                }
            }
        }
    }

    /// Folds maxima and sums of up to sixteen queries from `at` on, a lane each; returns the factors by which
    /// their old values and what was found are scaled.
    #[inline(always)]
    fn fold_sums<S: Simd>(
        &mut self,
        s: S,
        at: usize,
        count: usize,
        max: &Lanes,
        sum: &Lanes,
    ) -> (S::F, S::F) {
        let (old_max, old_sum) = (s.load(lanes_at(&self.max, at)), s.load(lanes_at(&self.sum, at)));
        let max = s.load(max);
        let new_max = s.max(old_max, max);
        let keep = exp2_at_most_one(s, s.sub(old_max, new_max));
        let take = exp2_at_most_one(s, s.sub(max, new_max));
        let new_sum = s.fma(s.load(sum), take, s.mul(old_sum, keep));
        // Lanes beyond `count` belong to queries that do not see this block.
        s.store(s.first(count, new_max, old_max), self.max[at..].first_chunk_mut().expect("whole lanes"));
        s.store(s.first(count, new_sum, old_sum), self.sum[at..].first_chunk_mut().expect("whole lanes"));
        (keep, take)
    }
}

#[inline(always)]
fn lanes_at(numbers: &[f32], at: usize) -> &Lanes {
    numbers[at..].first_chunk().expect("whole lanes")
}
