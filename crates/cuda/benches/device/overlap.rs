//! What copies and computation cost each other.

use attentionstore_cuda::launch::AttentionShape;
use attentionstore_cuda::runtime::{Event, copy_batch};

use crate::{Bench, GIB, Outcome, REPEATS, median};

impl Bench {
    /// Batch DMA both ways at once beside attention: what each costs the other.
    pub(crate) fn overlap(&self) -> Outcome<()> {
        if !self.wants("overlap") {
            return Ok(());
        }
        let layer = self.layer(AttentionShape::new(32, 8, 128)?, 1, 32_768)?;
        let prefill = self.prepare(&layer, 32_768)?;
        let (down, up) = (self.slices()?, self.slices()?);
        let compute = &self.streams.compute;
        let attend = || self.attend(&layer, &prefill, Some(prefill.scratch.pointer()));
        let alone = self.time(compute, attend)?;
        let (to_card, to_host) = (down.copies(256 << 10, true), up.copies(256 << 10, false));
        let (mut beside, mut loads) = (Vec::new(), Vec::new());
        for _ in 0..REPEATS {
            let [start, load_end, attend_end] = [(); 3].map(|()| Event::timed(&self.device));
            let (start, load_end, attend_end) = (start?, load_end?, attend_end?);
            start.record(&self.streams.load)?;
            // SAFETY: the ranges live in `down` and `up`, beyond the synchronisations below.
            unsafe {
                copy_batch(&self.streams.load, &to_card)?;
                copy_batch(&self.streams.save, &to_host)?;
            }
            load_end.record(&self.streams.load)?;
            let attend_start = Event::timed(&self.device)?;
            attend_start.record(compute)?;
            attend()?;
            attend_end.record(compute)?;
            attend_end.synchronize()?;
            load_end.synchronize()?;
            self.streams.save.synchronize()?;
            beside.push(f64::from(attend_end.milliseconds_since(&attend_start)?));
            loads.push(f64::from(load_end.milliseconds_since(&start)?));
        }
        let (beside, load) = (median(beside), median(loads));
        let rate = GIB as f64 / load / 1e6;
        println!(
            "overlap: attention 32K {alone:.3} ms alone, {beside:.3} ms beside batch DMA both ways \
             (host → device {rate:.1} GB/s)"
        );
        Ok(())
    }
}
