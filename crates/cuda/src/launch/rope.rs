//! Rotations, and the way of new keys and values into their slots.

use super::Kernels;
use super::attention::{AttentionShape, BLOCK_TOKENS};
use crate::error::CudaError;
use crate::runtime::{Arguments, DevicePointer, Grid, Stream};

const WARPS: usize = 4;

/// Rotations `[position][pair](cos, sin)`: angles and functions in f64 from the f32 inverse frequencies,
/// rounded once.
pub fn rope_table(inverse_frequencies: &[f32], positions: usize) -> Vec<f32> {
    let turn = |position: usize, frequency: f32| {
        let (sin, cos) = (position as f64 * f64::from(frequency)).sin_cos();
        [cos as f32, sin as f32]
    };
    (0..positions)
        .flat_map(|position| inverse_frequencies.iter().flat_map(move |&each| turn(position, each)))
        .collect()
}

/// One launch over the rows of the fused QKV product. All of a head is rotated, pairs half a head apart.
#[derive(Clone, Copy, Debug)]
pub struct RopeWrite {
    pub shape: AttentionShape,
    pub rows: usize,
    /// bf16 `[row][q heads | k heads | v heads][dim]`.
    pub qkv: DevicePointer,
    /// f32, as a row of `qkv`.
    pub bias: Option<DevicePointer>,
    /// f32 `[dim]` each: RMS norms of queries and of keys, before the rotation.
    pub q_norm: Option<DevicePointer>,
    pub k_norm: Option<DevicePointer>,
    pub epsilon: f32,
    /// At least the rotations of one block.
    pub table: DevicePointer,
    /// u32 `[rows]`: the slot each row is written to, `u32::MAX` for a row that takes no part.
    pub row_slots: DevicePointer,
    /// u32 `[rows]`: positions inside the views.
    pub row_positions: DevicePointer,
    /// bf16 `[row][head][dim]`, unrotated.
    pub q: DevicePointer,
    /// One layer of all slots.
    pub layer: DevicePointer,
}

impl Kernels {
    /// # Errors
    /// A buffer that is too small, or a driver that refuses.
    pub fn rope_write(&self, stream: &Stream, launch: &RopeWrite) -> Result<(), CudaError> {
        let RopeWrite { shape, rows, .. } = *launch;
        let all_heads = shape.heads() + 2 * shape.kv_heads();
        let optional = |pointer: Option<DevicePointer>, what, floats: usize| {
            pointer.map_or(Ok(0), |pointer| pointer.holds(what, floats * 4))
        };
        let arguments = Arguments::new()
            .address(launch.qkv.holds("fused QKV", rows * all_heads * shape.head_dim() * 2)?)
            .address(optional(launch.bias, "QKV bias", all_heads * shape.head_dim())?)
            .address(optional(launch.q_norm, "norm of queries", shape.head_dim())?)
            .address(optional(launch.k_norm, "norm of keys", shape.head_dim())?)
            .address(launch.table.holds("rotation table", shape.table_bytes(BLOCK_TOKENS))?)
            .address(launch.row_slots.holds("rows' slots", rows * 4)?)
            .address(launch.row_positions.holds("rows' positions", rows * 4)?)
            .address(launch.q.holds("queries", shape.query_bytes(rows))?)
            .address(launch.layer.holds("layer of slots", shape.slice_bytes())?)
            .u32(shape.heads() as u32)
            .u32(shape.kv_heads() as u32)
            .u32(shape.head_dim() as u32)
            .f32(launch.epsilon);
        let grid = Grid { ctas: (rows, all_heads.div_ceil(WARPS), 1), threads: 128 };
        // SAFETY: the arguments are those of rope_write.cu, and the sizes are checked above.
        unsafe { self.rope_write.launch(stream, grid, &arguments) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_turns_by_position_times_frequency() {
        let table = rope_table(&[1.0, 0.25], 3);
        assert_eq!(table.len(), 3 * 2 * 2);
        assert_eq!(table[..4], [1.0, 0.0, 1.0, 0.0]);
        assert_eq!(
            table[8..],
            [2f64.cos() as f32, 2f64.sin() as f32, 0.5f64.cos() as f32, 0.5f64.sin() as f32]
        );
    }
}
