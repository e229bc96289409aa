//! Decode attention: one new token of each sequence over its whole view.

use super::Kernels;
use super::attention::{AttentionShape, BLOCK_TOKENS, KeySplit, Partials, View};
use super::waves::DECODE_WAVES;
use crate::error::CudaError;
use crate::runtime::{Arguments, DevicePointer, Grid, Stream};

/// Blocks that a CTA's warps take at a time.
const GRANULE: usize = 4;
/// CTAs that a multiprocessor holds at a time: one wave of them was fastest, or one split of each row where that is
/// more.
const RESIDENT: usize = 2;
/// Blocks of a split at most, so that one long view among short ones is not what a step waits for; as long as that
/// stays below `DECODE_WAVES`.
const LONGEST_SPLIT: usize = 32;

/// One launch over `rows` queries. `positions` and `table_starts` (of each row's view in
/// [`View::block_slots`]) are u32 on the device; a position of `u32::MAX` is a row that takes no part and
/// whose output becomes zeros.
#[derive(Clone, Copy, Debug)]
pub struct DecodeAttention {
    pub shape: AttentionShape,
    pub rows: usize,
    /// Unrotated queries `[row][head][dim]` in bf16.
    pub q: DevicePointer,
    /// `[row][head][dim]` in bf16.
    pub out: DevicePointer,
    pub positions: DevicePointer,
    pub table_starts: DevicePointer,
    pub view: View,
    /// Softmax scale, usually 1/√dim.
    pub scale: f32,
    pub split: KeySplit,
    pub partials: Partials,
}

impl DecodeAttention {
    /// The split for `rows` queries over views of at most `longest` positions on a card of
    /// `multiprocessors`.
    pub fn plan(shape: &AttentionShape, rows: usize, longest: usize, multiprocessors: usize) -> KeySplit {
        let (ctas, blocks) = (rows * shape.kv_heads(), longest.div_ceil(BLOCK_TOKENS));
        let bounded = (ctas * blocks.div_ceil(LONGEST_SPLIT)).min(DECODE_WAVES * multiprocessors);
        KeySplit::plan(blocks, ctas, bounded.max(RESIDENT * multiprocessors), GRANULE)
    }
}

impl Kernels {
    /// # Errors
    /// A buffer that is too small, or a driver that refuses.
    pub fn decode_attention(&self, stream: &Stream, launch: &DecodeAttention) -> Result<(), CudaError> {
        let DecodeAttention { shape, rows, split, .. } = *launch;
        launch.view.check(&shape)?;
        split.check(launch.view.longest)?;
        let partials = launch.partials.check(&shape, rows, split.splits)?;
        let positions = launch.positions.holds("positions", rows * 4)?;
        let out = launch.out.holds("attention's output", shape.query_bytes(rows))?;
        let arguments = Arguments::new()
            .address(launch.q.holds("queries", shape.query_bytes(rows))?)
            .address(launch.view.layer.address())
            .address(launch.view.block_slots.address())
            .address(launch.table_starts.holds("starts of views", rows * 4)?)
            .address(positions)
            .address(launch.view.table.address())
            .address(out)
            .address(partials.0)
            .address(partials.1)
            .u32(shape.heads() as u32)
            .u32(shape.kv_heads() as u32)
            .u32(split.blocks_per_split as u32)
            .f32(AttentionShape::exponent_scale(launch.scale));
        let grid = Grid { ctas: (shape.kv_heads(), split.splits, rows), threads: 128 };
        // SAFETY: the arguments are those of decode_attention.cu, and the sizes are checked above.
        unsafe { shape.of(&self.decode).launch(stream, grid, &arguments) }?;
        if split.splits == 1 {
            return Ok(());
        }
        self.combine_splits(stream, &shape, split, partials, (positions, out, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_rows_fill_the_card_once_and_no_split_is_long() {
        let shape = AttentionShape::new(32, 8, 128).unwrap();
        let plan = |rows, longest| {
            let split = DecodeAttention::plan(&shape, rows, longest, 132);
            (split.blocks_per_split, split.splits)
        };
        assert_eq!(plan(1, 1024), (4, 4));
        assert_eq!(plan(16, 1024), (8, 2));
        assert_eq!(plan(64, 1024), (16, 1));
        assert_eq!(plan(1, 32_768), (16, 32));
        assert_eq!(plan(64, 8192), (32, 4));
        // So many rows that the workspace bounds the splits.
        assert_eq!(plan(256, 32_768), (512, 1));
    }
}
