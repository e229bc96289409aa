//! One allocation, dealt out in aligned pieces that live as long as it does.

use attentionstore_cuda::runtime::{DeviceBuffer, DevicePointer};
use attentionstore_cuda::{CudaError, Device};

use super::plan::{ALIGNMENT, Sizes};

/// Memory of the card that is dealt out once.
pub struct Region {
    buffer: DeviceBuffer,
    used: usize,
}

impl Region {
    /// # Errors
    /// The card has no such memory left.
    pub fn new(device: &Device, bytes: usize) -> Result<Region, CudaError> {
        Ok(Region { buffer: DeviceBuffer::new(device, bytes.max(ALIGNMENT))?, used: 0 })
    }

    /// The next `bytes`.
    ///
    /// # Errors
    /// The region is used up.
    pub fn take(&mut self, bytes: usize) -> Result<DevicePointer, CudaError> {
        let pointer = self.buffer.part(self.used, bytes)?;
        self.used += bytes.next_multiple_of(ALIGNMENT);
        Ok(pointer)
    }

    /// Where `pointer` lies in the region, in bytes.
    pub fn offset_of(&self, pointer: DevicePointer) -> usize {
        (pointer.address() - self.buffer.pointer().address()) as usize
    }

    pub fn buffer(&self) -> &DeviceBuffer {
        &self.buffer
    }
}

/// Everything a step writes beside the slots. One row a new token unless said otherwise.
#[derive(Clone, Copy, Debug)]
pub struct Working {
    /// f32 `[row][hidden]`: the residual stream without the newest `delta`.
    pub residual: DevicePointer,
    /// bf16 `[row][hidden]`.
    pub normed: DevicePointer,
    /// bf16 `[row][q heads | k heads | v heads][dim]`.
    pub qkv: DevicePointer,
    /// bf16 `[row][head][dim]`, unrotated.
    pub queries: DevicePointer,
    /// bf16 `[row][head][dim]`.
    pub attended: DevicePointer,
    /// bf16 `[row][hidden]`: what the newest product adds to the residual stream.
    pub delta: DevicePointer,
    /// bf16 `[row][gate | up]`.
    pub gate_up: DevicePointer,
    /// bf16 `[row][intermediate]`.
    pub inner: DevicePointer,
    /// Results of split attention.
    pub partials: DevicePointer,
    /// bf16 `[key][kv head][dim]` of one view.
    pub rotated_keys: DevicePointer,
    /// Rotations `[position][pair](cos, sin)`.
    pub table: DevicePointer,
    /// See `inputs.rs`.
    pub inputs: DevicePointer,
    /// bf16 `[logit row][hidden]`.
    pub final_normed: DevicePointer,
    /// f32 `[logit row][vocabulary]`.
    pub logits: DevicePointer,
    /// See `sample.rs`.
    pub sampling: DevicePointer,
}

impl Working {
    /// Where gathered rows of the residual stream and of what they attended to lie: over queries, keys and values, which
    /// a layer no longer needs after its attention.
    pub fn gathered(&self) -> Working {
        Working { residual: self.qkv, attended: self.queries, ..*self }
    }

    /// # Errors
    /// `region` is smaller than `sizes` say.
    pub fn new(region: &mut Region, sizes: &Sizes) -> Result<Working, CudaError> {
        let bytes = sizes.working();
        Ok(Working {
            residual: region.take(bytes.residual)?,
            normed: region.take(bytes.normed)?,
            qkv: region.take(bytes.qkv)?,
            queries: region.take(bytes.queries)?,
            attended: region.take(bytes.attended)?,
            delta: region.take(bytes.delta)?,
            gate_up: region.take(bytes.gate_up)?,
            inner: region.take(bytes.inner)?,
            partials: region.take(bytes.partials)?,
            rotated_keys: region.take(bytes.rotated_keys)?,
            table: region.take(bytes.table)?,
            inputs: region.take(bytes.inputs)?,
            final_normed: region.take(bytes.final_normed)?,
            logits: region.take(bytes.logits)?,
            sampling: region.take(bytes.sampling)?,
        })
    }
}
