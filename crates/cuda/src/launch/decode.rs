//! Decode attention: one new token of each sequence over its whole view.

use super::Kernels;
use super::attention::{AttentionShape, BLOCK_TOKENS, KeySplit, Partials, View};
use crate::error::CudaError;
use crate::runtime::{Arguments, DevicePointer, Grid, Stream};

/// Blocks that a CTA's warps take at a time.
const GRANULE: usize = 4;
/// CTAs for each multiprocessor that leave no long tail.
pub(super) const WAVES: usize = 24;

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
        let ctas = rows * shape.kv_heads();
        KeySplit::plan(longest.div_ceil(BLOCK_TOKENS), ctas, WAVES * multiprocessors, GRANULE)
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
            .address(partials.0)
            .address(partials.1)
            .u32(shape.heads() as u32)
            .u32(shape.kv_heads() as u32)
            .u32(split.blocks_per_split as u32)
            .f32(AttentionShape::exponent_scale(launch.scale));
        let grid = Grid { ctas: (shape.kv_heads(), split.splits, rows), threads: 128 };
        // SAFETY: the arguments are those of decode_attention.cu, and the sizes are checked above.
        unsafe { shape.of(&self.decode).launch(stream, grid, &arguments) }?;
        self.combine_splits(stream, &shape, split, partials, (positions, out, rows))
    }
}
