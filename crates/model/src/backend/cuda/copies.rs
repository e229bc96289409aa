//! Copies of slices beside the computation, and of rows within it.

use attentionstore_cuda::launch::CopyRows;
use attentionstore_cuda::runtime::{MemoryCopy, copy_batch, copy_each};
use attentionstore_kv::BLOCK_TOKENS;

use super::backend::CudaBackend;
use crate::backend::{SliceCopy, Stream};
use crate::error::ModelError;

impl CudaBackend {
    /// See [`crate::backend::Backend::copy`].
    pub(super) fn copy_slices(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), ModelError> {
        self.streams.failure.check()?;
        let (checked, pinned) = self.card_copies(stream, copies)?;
        if stream == Stream::Load {
            self.order_after_row_copies();
        }
        let stream = self.streams.of(stream);
        // SAFETY: the card's side was checked; the engine keeps the host's side mapped, and both sides unshared,
        // until the copies are done. Batches are for pinned memory.
        let copied =
            unsafe { if pinned { copy_batch(stream, &checked) } else { copy_each(stream, &checked) } };
        copied.map_err(|error| self.failed(error))
    }

    /// See [`crate::backend::Backend::copy_rows`].
    pub(super) fn copy_slot_rows(
        &mut self,
        from_slot: u32,
        to_slot: u32,
        valid: u32,
    ) -> Result<(), ModelError> {
        self.streams.failure.check()?;
        let (slots, most) = (self.limits.slots, BLOCK_TOKENS as u32);
        if from_slot.max(to_slot) as usize >= slots || valid > most {
            let detail = format!("{valid} rows of {most} from slot {from_slot} to {to_slot} of {slots}");
            return Err(ModelError::Invalid { what: "copy of rows", detail });
        }
        if from_slot == to_slot || valid == 0 {
            return Ok(());
        }
        self.rows_copied = true;
        let launch = CopyRows {
            shape: self.shape,
            layers: self.layout.layers,
            slots,
            memory: self.slots.buffer().pointer(),
            from_slot,
            to_slot,
            valid,
        };
        self.kernels.copy_rows(&self.streams.card.compute, &launch).map_err(|error| self.failed(error))
    }

    /// The copies with the card's addresses, checked, in pieces that the driver takes; and whether all of their host memory
    /// is registered.
    fn card_copies(
        &self,
        stream: Stream,
        copies: &[SliceCopy],
    ) -> Result<(Vec<MemoryCopy>, bool), ModelError> {
        let invalid = |detail: String| ModelError::Invalid { what: "slice copy", detail };
        if stream == Stream::Compute {
            return Err(invalid("the compute stream copies nothing".into()));
        }
        let (layers, slots, bytes) = (self.layout.layers, self.limits.slots, self.layout.slice_bytes());
        let base = self.slots.buffer().pointer().address();
        let (mut checked, mut pinned) = (Vec::with_capacity(copies.len()), true);
        for &SliceCopy { layer, slot, host } in copies {
            if layer as usize >= layers || slot as usize >= slots {
                return Err(invalid(format!("layer {layer} of {layers}, slot {slot} of {slots}")));
            }
            if host.is_null() {
                return Err(invalid("no host address".into()));
            }
            let card = base + ((layer as usize * slots + slot as usize) * bytes) as u64;
            let address = host.addr() as u64;
            let (from, to) = if stream == Stream::Load { (address, card) } else { (card, address) };
            pinned &= self.pinned.split(MemoryCopy { from, to, bytes }, host, &mut checked);
        }
        Ok((checked, pinned))
    }

    /// A load may fill a slot whose rows are still to be copied elsewhere: the copy was reported when it was
    /// enqueued.
    fn order_after_row_copies(&mut self) {
        if std::mem::take(&mut self.rows_copied) {
            let copied = self.streams.record(Stream::Compute);
            self.streams.wait(Stream::Load, copied);
        }
    }
}
