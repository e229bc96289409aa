//! Copying rows of slots, greedy choice, and the measure of the card's own read rate.

use super::Kernels;
use super::attention::{AttentionShape, BLOCK_TOKENS};
use crate::error::CudaError;
use crate::runtime::{Arguments, DevicePointer, Grid, Stream};

/// The first `valid` rows of a slot into another, in all layers.
#[derive(Clone, Copy, Debug)]
pub struct CopyRows {
    pub shape: AttentionShape,
    pub layers: usize,
    /// Slots of each layer.
    pub slots: usize,
    /// bf16 `[layer][slot][K|V][token][kv head][dim]`.
    pub memory: DevicePointer,
    pub from_slot: u32,
    pub to_slot: u32,
    pub valid: u32,
}

/// The index of each row's greatest logit, the lowest among equals.
#[derive(Clone, Copy, Debug)]
pub struct Argmax {
    pub rows: usize,
    pub vocabulary: usize,
    /// f32 `[rows][vocabulary]`.
    pub logits: DevicePointer,
    /// u32 `[rows]`.
    pub tokens: DevicePointer,
}

/// Reads `memory` once.
#[derive(Clone, Copy, Debug)]
pub struct ReadRate {
    pub memory: DevicePointer,
    /// Four bytes that the kernel may write.
    pub sink: DevicePointer,
}

impl Kernels {
    /// # Errors
    /// A slot or a row out of range, memory that is too small, or a driver that refuses.
    pub fn copy_rows(&self, stream: &Stream, launch: &CopyRows) -> Result<(), CudaError> {
        let CopyRows { shape, layers, slots, from_slot, to_slot, valid, .. } = *launch;
        let outside = from_slot.max(to_slot) as usize >= slots;
        if outside || from_slot == to_slot || valid as usize > BLOCK_TOKENS {
            let detail = format!("{valid} rows from slot {from_slot} to {to_slot} of {slots}");
            return Err(CudaError::invalid("copy of rows", detail));
        }
        let layer_bytes = slots * shape.slice_bytes();
        let arguments = Arguments::new()
            .address(launch.memory.holds("slots", layers * layer_bytes)?)
            .address(layer_bytes as u64 / 2)
            .u32(from_slot)
            .u32(to_slot)
            .u32(valid)
            .u32((shape.kv_heads() * shape.head_dim()) as u32);
        // SAFETY: the arguments are those of copy_rows.cu, and the sizes are checked above.
        unsafe { self.copy_rows.launch(stream, Grid { ctas: (layers, 2, 1), threads: 256 }, &arguments) }
    }

    /// # Errors
    /// An empty vocabulary, a buffer that is too small, or a driver that refuses.
    pub fn argmax(&self, stream: &Stream, launch: &Argmax) -> Result<(), CudaError> {
        let Argmax { rows, vocabulary, .. } = *launch;
        if vocabulary == 0 {
            return Err(CudaError::invalid("argmax", "an empty vocabulary"));
        }
        let arguments = Arguments::new()
            .address(launch.logits.holds("logits", rows * vocabulary * 4)?)
            .address(launch.tokens.holds("tokens", rows * 4)?)
            .u32(vocabulary as u32);
        // SAFETY: the arguments are those of argmax.cu, and the sizes are checked above.
        unsafe { self.argmax.launch(stream, Grid { ctas: (rows, 1, 1), threads: 1024 }, &arguments) }
    }

    /// # Errors
    /// No place for the sink, or a driver that refuses.
    pub fn read_rate(&self, stream: &Stream, launch: &ReadRate) -> Result<(), CudaError> {
        let arguments = Arguments::new()
            .address(launch.memory.address())
            .address(launch.memory.bytes() as u64 / 16)
            .address(launch.sink.holds("sink", 4)?);
        let ctas = 16 * self.device().multiprocessors();
        // SAFETY: the arguments are those of read_rate.cu, and the sizes are checked above.
        unsafe { self.read_rate.launch(stream, Grid { ctas: (ctas, 1, 1), threads: 256 }, &arguments) }
    }
}
