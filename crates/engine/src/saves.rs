//! Saves, hbm → dram: layer by layer beside the step that fills the block, or whole after a turn
//! (paper §3.2, asynchronous saving).

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Instant;

use attentionstore_model::backend::{Backend, SliceCopy, Stream};

use crate::error::EngineError;
use crate::event::{EngineEvent, TransferDone};
use crate::host::HostSlots;
use crate::outbox::Outbox;
use crate::stats::Meters;

/// One block to save. `hbm_slot` must not be written before the save is done: TypeScript frees it only then.
#[derive(Clone, Copy, Debug)]
pub struct Save {
    pub id: u32,
    pub hbm_slot: u32,
    pub dram_slot: u32,
    pub valid: u32,
}

/// Puts saves on the save stream. Lives on the engine thread.
pub struct Saves {
    host: HostSlots,
    outbox: Arc<Outbox>,
    meters: Arc<Meters>,
}

impl Saves {
    pub fn new(host: HostSlots, outbox: Arc<Outbox>, meters: Arc<Meters>) -> Self {
        Self { host, outbox, meters }
    }

    /// Saves whole blocks that were computed before.
    pub fn start(&self, backend: &mut dyn Backend, saves: Vec<Save>) -> Result<(), EngineError> {
        let started = self.begin(&saves)?;
        for layer in 0..self.host.layout().layers {
            self.layer(backend, &saves, layer)?;
        }
        self.end(backend, saves, &HashSet::new(), started);
        Ok(())
    }

    /// Checks the saves of a step and starts their clock.
    pub fn begin(&self, saves: &[Save]) -> Result<Instant, EngineError> {
        for save in saves {
            self.host.check(save.dram_slot)?;
        }
        if !saves.is_empty() {
            self.meters.save.enqueued();
        }
        Ok(Instant::now())
    }

    /// Enqueues one layer of the saves behind what the compute stream has done so far.
    pub fn layer(&self, backend: &mut dyn Backend, saves: &[Save], layer: usize) -> Result<(), EngineError> {
        if saves.is_empty() {
            return Ok(());
        }
        let computed = backend.record(Stream::Compute);
        backend.wait(Stream::Save, computed);
        let copies: Vec<SliceCopy> = saves
            .iter()
            .map(|save| SliceCopy {
                layer: layer as u32,
                slot: save.hbm_slot,
                host: self.host.slice(save.dram_slot, layer),
            })
            .collect();
        backend.copy(Stream::Save, &copies)?;
        Ok(())
    }

    /// All layers are enqueued: reports each save when the stream has got there; those of `lost` slots, in which there is
    /// nothing worth keeping, as not computed.
    pub fn end(&self, backend: &mut dyn Backend, saves: Vec<Save>, lost: &HashSet<u32>, started: Instant) {
        if saves.is_empty() {
            return;
        }
        let bytes_each = self.host.layout().block_bytes() as u64;
        let (host, outbox, meters) = (self.host.clone(), self.outbox.clone(), self.meters.clone());
        let saves: Vec<(Save, bool)> =
            saves.into_iter().map(|save| (save, lost.contains(&save.hbm_slot))).collect();
        backend.notify(
            Stream::Save,
            Box::new(move |outcome| {
                let bytes_each = if outcome.is_ok() { bytes_each } else { 0 };
                let total = bytes_each * saves.len() as u64;
                let ms = meters.save.ended(meters.epoch, started, total) / saves.len() as f32;
                for (save, lost) in &saves {
                    // SAFETY: the slot belongs to this save until it is reported.
                    let zeroed = unsafe { host.zero_tails(save.dram_slot, save.valid) };
                    let failed = outcome.is_err().then_some("save_failed");
                    let error = lost.then_some("not_computed").or(failed);
                    let error = error.or(zeroed.err().map(|error| error.code()));
                    outbox.post(&EngineEvent::Transfer(TransferDone {
                        id: save.id,
                        error,
                        bytes: bytes_each,
                        ms,
                    }));
                }
            }),
        );
    }
}
