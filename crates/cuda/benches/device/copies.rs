//! Batch DMA between pinned host memory and slots, against one call a copy.

use attentionstore_cuda::runtime::{DeviceBuffer, HostRegistration, MemoryCopy, copy_batch, copy_each};

use crate::{Bench, GIB, MIB, Outcome};

/// Slices in pinned host memory and in slots of the card, 1 GiB each.
pub(crate) struct Slices {
    // Before the memory it registers: fields drop in order.
    _registered: HostRegistration,
    host: Vec<u8>,
    memory: DeviceBuffer,
}

impl Bench {
    pub(crate) fn slices(&self) -> Outcome<Slices> {
        let mut host = vec![0x5a_u8; GIB];
        // SAFETY: the vector is never resized, and a field dropped after the registration.
        let registered = unsafe { HostRegistration::new(&self.device, host.as_mut_ptr(), GIB) }?;
        Ok(Slices { _registered: registered, host, memory: self.buffer(GIB)? })
    }

    pub(crate) fn copies(&self) -> Outcome<()> {
        if !self.wants("dma") {
            return Ok(());
        }
        let slices = self.slices()?;
        for slice in [48 << 10, 256 << 10, MIB, GIB] {
            for to_device in [true, false] {
                let copies = slices.copies(slice, to_device);
                let stream = if to_device { &self.streams.load } else { &self.streams.save };
                // SAFETY: the ranges live in `slices`, beyond the synchronisation in `time`.
                let batch = self.time(stream, || unsafe { copy_batch(stream, &copies) })?;
                // SAFETY: as above.
                let each = self.time(stream, || unsafe { copy_each(stream, &copies) })?;
                let rate = |milliseconds: f64| GIB as f64 / milliseconds / 1e6;
                let way = if to_device { "host → device" } else { "device → host" };
                let kib = slice >> 10;
                println!(
                    "dma {way}, slices of {kib} KiB: batch {:.1} GB/s, one call each {:.1}",
                    rate(batch),
                    rate(each)
                );
            }
        }
        Ok(())
    }
}

impl Slices {
    /// The whole GiB in slices, in opposite order on the card.
    pub(crate) fn copies(&self, slice: usize, to_device: bool) -> Vec<MemoryCopy> {
        let (host, card) = (self.host.as_ptr() as u64, self.memory.pointer().address());
        (0..GIB / slice)
            .map(|at| {
                let (a, b) = (host + (at * slice) as u64, card + ((GIB / slice - 1 - at) * slice) as u64);
                let (from, to) = if to_device { (a, b) } else { (b, a) };
                MemoryCopy { from, to, bytes: slice }
            })
            .collect()
    }
}
