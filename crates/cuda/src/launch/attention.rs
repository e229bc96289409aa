//! What decode and prefill attention share: shapes, views, the split over keys and its joining.

use super::Kernels;
use super::waves::{DECODE_WAVES, PREFILL_WAVES, TILE_ROWS};
use crate::error::CudaError;
use crate::runtime::{Arguments, DevicePointer, Function, Grid, Stream};

/// Tokens in a block, as in the KV layout and in `kernels/common.cuh`.
pub(crate) const BLOCK_TOKENS: usize = 64;
pub(super) const HEAD_DIMS: [usize; 3] = [64, 96, 128];
/// Query heads of a KV head that fit the upper half of a tensor-core tile.
const MOST_GROUP: usize = 8;
const BF16_BYTES: usize = 2;
const F32_BYTES: usize = 4;

/// Heads of a model, checked against what the kernels can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttentionShape {
    heads: usize,
    kv_heads: usize,
    head_dim: usize,
}

impl AttentionShape {
    /// # Errors
    /// A head dim other than 64, 96 and 128, or not 1 to 8 query heads for each KV head.
    pub fn new(heads: usize, kv_heads: usize, head_dim: usize) -> Result<AttentionShape, CudaError> {
        let group = heads.checked_div(kv_heads).unwrap_or(0);
        if !(1..=MOST_GROUP).contains(&group) || group * kv_heads != heads {
            let detail = format!("{heads} query heads over {kv_heads} KV heads; 1 to {MOST_GROUP} each");
            return Err(CudaError::invalid("attention shape", detail));
        }
        if !HEAD_DIMS.contains(&head_dim) {
            let detail = format!("head dim {head_dim}; the kernels have 64, 96 and 128");
            return Err(CudaError::invalid("attention shape", detail));
        }
        Ok(AttentionShape { heads, kv_heads, head_dim })
    }

    pub const fn heads(&self) -> usize {
        self.heads
    }

    pub const fn kv_heads(&self) -> usize {
        self.kv_heads
    }

    pub const fn head_dim(&self) -> usize {
        self.head_dim
    }

    /// Query heads of a KV head.
    pub const fn group(&self) -> usize {
        self.heads / self.kv_heads
    }

    /// Bytes of one layer's slice of one slot, `[K|V][token][kv head][dim]` in bf16.
    pub const fn slice_bytes(&self) -> usize {
        2 * BLOCK_TOKENS * self.kv_heads * self.head_dim * BF16_BYTES
    }

    /// Bytes of `rows` of queries, or of attention's output, `[row][head][dim]` in bf16.
    pub const fn query_bytes(&self, rows: usize) -> usize {
        rows * self.heads * self.head_dim * BF16_BYTES
    }

    /// Bytes of rotations for `positions`: cos and sin of every pair in f32.
    pub const fn table_bytes(&self, positions: usize) -> usize {
        positions * self.head_dim * F32_BYTES
    }

    /// The softmax scale with log₂ e: the kernels' exponentials are powers of two.
    pub(super) fn exponent_scale(scale: f32) -> f32 {
        scale * std::f32::consts::LOG2_E
    }

    pub(super) fn of<'a>(&self, instances: &'a [Function; 3]) -> &'a Function {
        match self.head_dim {
            64 => &instances[0],
            96 => &instances[1],
            _ => &instances[2],
        }
    }
}

/// What attention reads beside the queries. All pointers are to device memory.
#[derive(Clone, Copy, Debug)]
pub struct View {
    /// One layer of all slots, `[slot][K|V][token][kv head][dim]` in bf16.
    pub layer: DevicePointer,
    /// Slots of all views' blocks in view order, u32.
    pub block_slots: DevicePointer,
    /// Rotations `[position][pair](cos, sin)` in f32, from [`super::rope_table`].
    pub table: DevicePointer,
    /// Positions of the longest view: the table must reach that far.
    pub longest: usize,
}

impl View {
    pub(super) fn check(&self, shape: &AttentionShape) -> Result<(), CudaError> {
        self.table.holds("rotation table", shape.table_bytes(self.longest))?;
        self.layer.holds("layer of slots", shape.slice_bytes())?;
        Ok(())
    }
}

/// How the keys of a launch are split, so that few queries still fill the card.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeySplit {
    pub blocks_per_split: usize,
    pub splits: usize,
}

impl KeySplit {
    /// Splits `blocks` (of the longest view) so that `ctas` (those of one split) times the splits come to
    /// about `wanted` CTAs, in multiples of `granule` blocks.
    pub fn plan(blocks: usize, ctas: usize, wanted: usize, granule: usize) -> KeySplit {
        let (blocks, granule) = (blocks.max(1), granule.max(1));
        let splits = (wanted / ctas.max(1)).clamp(1, blocks.div_ceil(granule));
        let blocks_per_split = blocks.div_ceil(splits).next_multiple_of(granule);
        KeySplit { blocks_per_split, splits: blocks.div_ceil(blocks_per_split) }
    }

    pub(super) fn check(&self, longest: usize) -> Result<(), CudaError> {
        let reach = self.blocks_per_split.saturating_mul(self.splits).saturating_mul(BLOCK_TOKENS);
        if self.blocks_per_split == 0 || reach < longest {
            return Err(CudaError::invalid("split of keys", format!("{self:?} over {longest} positions")));
        }
        Ok(())
    }
}

/// Where the splits' results wait to be joined.
#[derive(Clone, Copy, Debug)]
pub struct Partials {
    out: DevicePointer,
    scale: DevicePointer,
}

impl Partials {
    /// Bytes needed for `rows` of queries in `splits`.
    pub const fn bytes(shape: &AttentionShape, rows: usize, splits: usize) -> usize {
        rows * splits * shape.heads * (shape.head_dim + 2) * F32_BYTES
    }

    /// Most (row, split) pairs of any launch that `DecodeAttention::plan` and `PrefillAttention::plan` split on a
    /// card of `multiprocessors`, with at most `rows` of queries.
    pub fn most_rows(shape: &AttentionShape, rows: usize, multiprocessors: usize) -> usize {
        let decode = DECODE_WAVES * multiprocessors / shape.kv_heads;
        let tile = TILE_ROWS / shape.group();
        let prefill = tile * PREFILL_WAVES * multiprocessors / shape.kv_heads;
        rows.max(decode).max(prefill)
    }

    /// Lays them out at the start of `workspace`.
    ///
    /// # Errors
    /// The workspace is too small.
    pub fn new(
        workspace: DevicePointer,
        shape: &AttentionShape,
        rows: usize,
        splits: usize,
    ) -> Result<Partials, CudaError> {
        let scales = rows * splits * shape.heads * 2 * F32_BYTES;
        let whole = Partials::bytes(shape, rows, splits);
        workspace.holds("workspace of split attention", whole)?;
        let out = workspace.part(0, whole - scales)?;
        Ok(Partials { out, scale: workspace.part(whole - scales, scales)? })
    }

    pub(super) fn check(
        &self,
        shape: &AttentionShape,
        rows: usize,
        splits: usize,
    ) -> Result<(u64, u64), CudaError> {
        let heads = rows * splits * shape.heads * F32_BYTES;
        let out = self.out.holds("split attention's results", heads * shape.head_dim)?;
        Ok((out, self.scale.holds("split attention's sums", heads * 2)?))
    }
}

impl Kernels {
    /// Joins the splits of `rows` of queries into `out`. `positions` holds each row's position, u32.
    pub(super) fn combine_splits(
        &self,
        stream: &Stream,
        shape: &AttentionShape,
        split: KeySplit,
        partials: (u64, u64),
        (positions, out, rows): (u64, u64, usize),
    ) -> Result<(), CudaError> {
        let arguments = Arguments::new()
            .address(partials.0)
            .address(partials.1)
            .address(positions)
            .address(out)
            .u32(shape.heads as u32)
            .u32(shape.head_dim as u32)
            .u32(split.splits as u32)
            .u32(split.blocks_per_split as u32);
        let grid = Grid { ctas: (rows, shape.heads, 1), threads: 128 };
        // SAFETY: the arguments are those of combine_splits.cu, and both callers have checked the sizes.
        unsafe { self.combine.launch(stream, grid, &arguments) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_split_covers_all_blocks_with_none_empty() {
        for (blocks, ctas, wanted, granule) in
            [(1, 1, 500, 4), (128, 512, 4096, 4), (129, 8, 528, 4), (7, 3, 1000, 1), (0, 0, 0, 0)]
        {
            let split = KeySplit::plan(blocks, ctas, wanted, granule);
            let covered = split.blocks_per_split * split.splits;
            assert!(covered >= blocks, "{split:?} over {blocks}");
            assert!(covered - split.blocks_per_split < blocks.max(1), "{split:?} over {blocks}");
        }
    }

    #[test]
    fn shapes_that_the_kernels_cannot_do_are_refused_with_their_numbers() {
        assert!(AttentionShape::new(32, 8, 128).is_ok());
        assert!(AttentionShape::new(9, 3, 64).is_ok());
        for (heads, kv_heads, head_dim) in [(9, 2, 64), (9, 1, 64), (8, 0, 64), (0, 1, 64), (8, 8, 80)] {
            let error = AttentionShape::new(heads, kv_heads, head_dim).unwrap_err();
            assert_eq!(error.code(), "cuda_invalid");
        }
    }
}
