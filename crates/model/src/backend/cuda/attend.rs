//! Attention of a step's rows: one launch for all decode rows, one for all short prefills, one for each long one.

use attentionstore_cuda::launch::{
    AttentionShape, DecodeAttention, Partials, PrefillAttention, RotatedKeys, View,
};
use attentionstore_cuda::runtime::{DevicePointer, Stream};
use attentionstore_cuda::{CudaError, Kernels};

use super::arrange::{DecodeGroup, PrefillGroup};
use super::inputs::InputPointers;
use super::memory::Working;

/// What the attention of one layer reads and writes.
pub struct Attend<'a> {
    pub kernels: &'a Kernels,
    pub stream: &'a Stream,
    pub shape: AttentionShape,
    pub working: &'a Working,
    pub inputs: &'a InputPointers,
    /// The layer of all slots.
    pub layer: DevicePointer,
}

impl Attend<'_> {
    fn view(&self, block_slots: DevicePointer, longest: usize) -> View {
        View { layer: self.layer, block_slots, table: self.working.table, longest }
    }

    fn scale(&self) -> f32 {
        1.0 / (self.shape.head_dim() as f32).sqrt()
    }

    pub fn decode(&self, group: DecodeGroup) -> Result<(), CudaError> {
        let DecodeGroup { rows, longest } = group;
        let (shape, working, inputs) = (self.shape, self.working, self.inputs);
        let split = DecodeAttention::plan(&shape, rows, longest, self.kernels.device().multiprocessors());
        let launch = DecodeAttention {
            shape,
            rows,
            q: working.queries,
            out: working.attended,
            positions: inputs.row_positions,
            table_starts: inputs.table_starts,
            view: self.view(inputs.block_slots, longest),
            scale: self.scale(),
            split,
            partials: Partials::new(working.partials, &shape, rows, split.splits)?,
        };
        self.kernels.decode_attention(self.stream, &launch)
    }

    pub fn prefill(&self, group: PrefillGroup) -> Result<(), CudaError> {
        let (shape, working, inputs) = (self.shape, self.working, self.inputs);
        let first = shape.query_bytes(group.first_row);
        let view = self.view(inputs.block_slots.from(group.first_slot * 4)?, group.longest);
        if group.dense {
            let keys = RotatedKeys { shape, view, scratch: working.rotated_keys };
            self.kernels.rotate_keys(self.stream, &keys)?;
        }
        let multiprocessors = self.kernels.device().multiprocessors();
        let split = PrefillAttention::plan(&shape, group.tiles, group.longest, multiprocessors);
        let partials = match split.splits {
            1 => None,
            splits => {
                let positions = inputs.row_positions.from(group.first_row * 4)?;
                Some((positions, Partials::new(working.partials, &shape, group.rows, splits)?))
            }
        };
        let launch = PrefillAttention {
            shape,
            tiles: inputs.tiles.from(group.first_tile * 16)?,
            tile_count: group.tiles,
            rows: group.rows,
            q: working.queries.from(first)?,
            out: working.attended.from(first)?,
            view,
            rotated_keys: group.dense.then_some(working.rotated_keys),
            scale: self.scale(),
            split,
            partials,
        };
        self.kernels.prefill_attention(self.stream, &launch)
    }
}
