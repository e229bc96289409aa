//! Prefill attention: many new tokens over history blocks and themselves.

use super::Kernels;
use super::attention::{AttentionShape, BLOCK_TOKENS, KeySplit, Partials, View};
use super::waves::{PREFILL_WAVES, TILE_ROWS};
use crate::error::CudaError;
use crate::runtime::{Arguments, DevicePointer, Grid, Plain, Stream, TensorMap};

/// Rows of K and of V in shared memory: two stages of a block each.
const KV_ROWS: usize = 4 * BLOCK_TOKENS;
const PADDING: usize = 8;
/// The kernel for Hopper's own tensor cores: tiles of queries, and two stages of K and of V, of 128 × 128; then eight
/// barriers.
pub(super) const HOPPER: &str = "prefill_attention_hopper_128";
pub(super) const HOPPER_SHARED_BYTES: u32 = 5 * 128 * 128 * 2 + 8 * 8;
const HOPPER_HEAD_DIM: usize = 128;
const HOPPER_KEYS: usize = 128;
/// Columns of a row in the 128-byte swizzle.
const PART_COLUMNS: usize = 64;

pub(super) fn shared_bytes(head_dim: usize) -> u32 {
    ((TILE_ROWS + KV_ROWS) * (head_dim + PADDING) * 2) as u32
}

/// Consecutive tokens of one sequence that a CTA takes, as `QueryTile` of `prefill_attention.cu`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(C)]
pub struct QueryTile {
    /// Of the queries and of the output.
    pub first_row: u32,
    pub tokens: u32,
    /// Of the first token inside its view.
    pub position: u32,
    /// Of the view in [`View::block_slots`].
    pub table_start: u32,
}

// SAFETY: a `repr(C)` structure of four u32.
unsafe impl Plain for QueryTile {}

/// Cuts `tokens` new tokens of one sequence into tiles.
pub fn query_tiles(shape: &AttentionShape, sequence: QueryTile) -> impl Iterator<Item = QueryTile> {
    let most = (TILE_ROWS / shape.group()) as u32;
    (0..sequence.tokens).step_by(most as usize).map(move |done| QueryTile {
        first_row: sequence.first_row + done,
        tokens: most.min(sequence.tokens - done),
        position: sequence.position + done,
        table_start: sequence.table_start,
    })
}

/// One launch. With `rotated_keys` all tiles are of one sequence and its keys were rotated by
/// [`Kernels::rotate_keys`]; without, the queries are rotated again for each block.
#[derive(Clone, Copy, Debug)]
pub struct PrefillAttention {
    pub shape: AttentionShape,
    /// [`QueryTile`]s on the device.
    pub tiles: DevicePointer,
    pub tile_count: usize,
    pub rows: usize,
    /// Unrotated queries `[row][head][dim]` in bf16.
    pub q: DevicePointer,
    /// `[row][head][dim]` in bf16. Only rows of tiles are written, but all where the keys are split.
    pub out: DevicePointer,
    pub view: View,
    pub rotated_keys: Option<DevicePointer>,
    /// Softmax scale, usually 1/√dim.
    pub scale: f32,
    pub split: KeySplit,
    /// Each row's position (u32 on the device, `u32::MAX` for none) and the workspace, needed where the keys
    /// are split.
    pub partials: Option<(DevicePointer, Partials)>,
}

/// A layer's keys of one view, to be rotated once into a scratch `[key][kv head][dim]` in bf16.
#[derive(Clone, Copy, Debug)]
pub struct RotatedKeys {
    pub shape: AttentionShape,
    /// `block_slots` begins with this view's blocks, and `longest` is its number of keys.
    pub view: View,
    pub scratch: DevicePointer,
}

impl PrefillAttention {
    /// The split for `tile_count` tiles over views of at most `longest` positions: none when the tiles fill
    /// the card.
    pub fn plan(
        shape: &AttentionShape,
        tile_count: usize,
        longest: usize,
        multiprocessors: usize,
    ) -> KeySplit {
        let ctas = tile_count * shape.kv_heads();
        KeySplit::plan(longest.div_ceil(BLOCK_TOKENS), ctas, PREFILL_WAVES * multiprocessors, 1)
    }

    /// Bytes of the view's keys, rotated.
    fn key_bytes(&self) -> usize {
        self.view.longest * self.shape.kv_heads() * self.shape.head_dim() * 2
    }

    /// Rotated keys `[key][kv head][dim]` in boxes of a tile, and the layer of slots in boxes of a block's values.
    fn hopper_tensors(&self, keys: DevicePointer) -> Result<(TensorMap, TensorMap), CudaError> {
        let (heads, dim, layer) = (self.shape.kv_heads(), self.shape.head_dim(), self.view.layer);
        let slots = layer.bytes() / self.shape.slice_bytes();
        let keys = TensorMap::new(keys, &[dim, heads, self.view.longest], &[PART_COLUMNS, 1, HOPPER_KEYS])?;
        let values = TensorMap::new(
            layer,
            &[dim, heads, BLOCK_TOKENS, 2, slots],
            &[PART_COLUMNS, 1, BLOCK_TOKENS, 1, 1],
        )?;
        Ok((keys, values))
    }

    fn partial_addresses(&self) -> Result<(u64, u64, u64), CudaError> {
        match (&self.partials, self.split.splits) {
            (_, 1) => Ok((0, 0, 0)),
            (Some((positions, partials)), splits) => {
                let (out, scale) = partials.check(&self.shape, self.rows, splits)?;
                Ok((positions.holds("positions", self.rows * 4)?, out, scale))
            }
            (None, splits) => {
                Err(CudaError::invalid("prefill attention", format!("{splits} splits and no workspace")))
            }
        }
    }
}

impl Kernels {
    /// # Errors
    /// A buffer that is too small, or a driver that refuses.
    pub fn prefill_attention(&self, stream: &Stream, launch: &PrefillAttention) -> Result<(), CudaError> {
        let PrefillAttention { shape, rows, split, .. } = *launch;
        launch.view.check(&shape)?;
        split.check(launch.view.longest)?;
        let (positions, partial, partial_scale) = launch.partial_addresses()?;
        let out = launch.out.holds("attention's output", shape.query_bytes(rows))?;
        let tile_bytes = launch.tile_count * size_of::<QueryTile>();
        let tiles = launch.tiles.holds("query tiles", tile_bytes)?;
        let q = launch.q.holds("queries", shape.query_bytes(rows))?;
        let after_keys = |arguments: Arguments| {
            arguments
                .address(launch.view.block_slots.address())
                .address(launch.view.table.address())
                .address(out)
                .address(partial)
                .address(partial_scale)
                .u32(shape.heads() as u32)
                .u32(shape.kv_heads() as u32)
                .u32(split.blocks_per_split as u32)
                .f32(AttentionShape::exponent_scale(launch.scale))
        };
        let ctas = (shape.kv_heads(), launch.tile_count, split.splits);
        // The card's architecture and the shape decide which kernel it is, never the sizes.
        let (kernel, threads, arguments) = match (launch.rotated_keys, &self.prefill_hopper) {
            (Some(keys), Some(hopper)) if shape.head_dim() == HOPPER_HEAD_DIM => {
                let (keys, values) = launch.hopper_tensors(keys)?;
                let first = Arguments::new().tensor(&keys).tensor(&values);
                (hopper, 384, after_keys(first.address(tiles).address(q)))
            }
            (keys, _) => {
                let scratch = keys.map_or(Ok(0), |keys| keys.holds("rotated keys", launch.key_bytes()))?;
                let instances = if keys.is_some() { &self.prefill_dense } else { &self.prefill_blocked };
                let first = Arguments::new().address(tiles).address(q);
                let arguments = first.address(launch.view.layer.address()).address(scratch);
                (shape.of(instances), 128, after_keys(arguments))
            }
        };
        // SAFETY: the arguments are the kernel's, and the sizes are checked above.
        unsafe { kernel.launch(stream, Grid { ctas, threads }, &arguments) }?;
        if split.splits == 1 {
            return Ok(());
        }
        self.combine_splits(stream, &shape, split, (partial, partial_scale), (positions, out, rows))
    }

    /// # Errors
    /// A buffer that is too small, or a driver that refuses.
    pub fn rotate_keys(&self, stream: &Stream, keys: &RotatedKeys) -> Result<(), CudaError> {
        let RotatedKeys { shape, view, scratch } = *keys;
        view.check(&shape)?;
        let blocks = view.longest.div_ceil(BLOCK_TOKENS);
        let row_bytes = shape.kv_heads() * shape.head_dim() * 2;
        let arguments = Arguments::new()
            .address(view.layer.address())
            .address(view.block_slots.holds("slots of a view", blocks * 4)?)
            .address(view.table.address())
            .address(scratch.holds("scratch for rotated keys", view.longest * row_bytes)?)
            .u32(view.longest as u32)
            .u32(shape.kv_heads() as u32)
            .u32(shape.head_dim() as u32);
        let grid = Grid { ctas: (blocks, BLOCK_TOKENS, 1), threads: 128 };
        // SAFETY: the arguments are those of rotate_keys.cu, and the sizes are checked above.
        unsafe { self.rotate_keys.launch(stream, grid, &arguments) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tiles_cover_every_token_once_and_fill_the_rows_of_a_cta() {
        let shape = AttentionShape::new(9, 3, 64).unwrap();
        let sequence = QueryTile { first_row: 5, tokens: 100, position: 70, table_start: 9 };
        let tiles: Vec<_> = query_tiles(&shape, sequence).collect();
        assert_eq!(tiles.iter().map(|tile| tile.tokens).collect::<Vec<_>>(), [42, 42, 16]);
        assert_eq!(tiles[2], QueryTile { first_row: 89, tokens: 16, position: 154, table_start: 9 });
        assert_eq!(query_tiles(&shape, QueryTile { tokens: 0, ..sequence }).count(), 0);
    }
}
