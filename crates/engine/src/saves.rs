//! Saves, hbm → dram: layer by layer beside the step that fills the block, or whole after a turn
//! (paper §3.2, asynchronous saving).
//!
//! A save that the device refuses fails alone. It is told to have failed only when the stream has got there: its earlier
//! layers may be on their way into a dram slot that is used again as soon as it is told.

use std::sync::Arc;
use std::time::Instant;

use attentionstore_model::backend::{Backend, SliceCopy, Stream};

use crate::arrival::Arrival;
use crate::checks::Checks;
use crate::event::{EngineEvent, Reason, TransferDone};
use crate::host::HostSlots;
use crate::outbox::Outbox;
use crate::panics::guarded;
use crate::stats::Meters;

/// One block to save. `hbm_slot` must not be written before the save is done: TypeScript frees it only then.
#[derive(Clone, Copy, Debug)]
pub struct Save {
    pub id: u32,
    pub hbm_slot: u32,
    pub dram_slot: u32,
    pub valid: u32,
}

/// A save under way.
pub struct Saving {
    save: Save,
    /// Loads that its rows were computed over or come from: if one of them failed there is nothing worth keeping.
    sources: Vec<Arc<Arrival>>,
    refused: Option<Reason>,
}

impl Saving {
    pub fn new(save: Save, sources: Vec<Arc<Arrival>>) -> Self {
        Self { save, sources, refused: None }
    }

    pub fn hbm_slot(&self) -> u32 {
        self.save.hbm_slot
    }

    /// There is nothing worth keeping in its slot.
    pub fn refuse(&mut self, reason: Reason) {
        self.refused.get_or_insert(reason);
    }

    /// Why it failed, once the stream has got there; its sources then have too, or will at once.
    fn failure(&self, outcome: Option<&Reason>) -> Option<Reason> {
        let is_lost = || self.sources.iter().any(|source| !source.wait());
        self.refused.clone().or_else(|| is_lost().then(not_computed)).or_else(|| outcome.cloned())
    }
}

/// A step's saves whose rows were not computed.
pub fn not_computed() -> Reason {
    Reason::new("not_computed", "the rows of the block were not computed")
}

fn save_failed(error: &dyn std::fmt::Display) -> Reason {
    Reason::new("save_failed", error)
}

/// Puts saves on the save stream. Lives on the engine thread.
pub struct Saves {
    host: HostSlots,
    checks: Arc<Checks>,
    outbox: Arc<Outbox>,
    meters: Arc<Meters>,
}

/// Saves that go on together, and since when.
pub struct SaveBatch {
    saves: Vec<Saving>,
    started: Instant,
}

impl SaveBatch {
    pub fn saves_mut(&mut self) -> impl Iterator<Item = &mut Saving> {
        self.saves.iter_mut()
    }
}

impl Saves {
    pub fn new(host: HostSlots, checks: Arc<Checks>, outbox: Arc<Outbox>, meters: Arc<Meters>) -> Self {
        Self { host, checks, outbox, meters }
    }

    /// Saves whole blocks that were computed before.
    pub fn start(&self, backend: &mut dyn Backend, saves: Vec<Saving>) {
        let mut batch = self.begin(saves);
        for layer in 0..self.host.layout().layers {
            self.layer(backend, &mut batch, layer);
        }
        self.end(backend, batch);
    }

    /// Checks saves and starts their clock. One into a dram slot that does not exist fails alone.
    pub fn begin(&self, saves: Vec<Saving>) -> SaveBatch {
        let mut accepted = Vec::with_capacity(saves.len());
        for saving in saves {
            match self.host.check(saving.save.dram_slot) {
                Ok(_) => accepted.push(saving),
                Err(error) => {
                    let failed = TransferDone::failed(saving.save.id, Reason::of(&error));
                    self.outbox.post(&EngineEvent::Transfer(failed));
                }
            }
        }
        if !accepted.is_empty() {
            self.meters.save.enqueued();
        }
        SaveBatch { saves: accepted, started: Instant::now() }
    }

    /// Enqueues one layer of the saves behind what the compute stream has done so far. Where the device refuses them
    /// together it is asked for each alone.
    pub fn layer(&self, backend: &mut dyn Backend, batch: &mut SaveBatch, layer: usize) {
        let copy = |save: &Save| SliceCopy {
            layer: layer as u32,
            slot: save.hbm_slot,
            host: self.host.slice(save.dram_slot, layer),
        };
        let live = batch.saves.iter().filter(|saving| saving.refused.is_none());
        let copies: Vec<SliceCopy> = live.map(|saving| copy(&saving.save)).collect();
        if copies.is_empty() {
            return;
        }
        let computed = backend.record(Stream::Compute);
        backend.wait(Stream::Save, computed);
        if backend.copy(Stream::Save, &copies).is_ok() {
            return;
        }
        for saving in batch.saves.iter_mut().filter(|saving| saving.refused.is_none()) {
            if let Err(error) = backend.copy(Stream::Save, &[copy(&saving.save)]) {
                saving.refused = Some(save_failed(&error));
            }
        }
    }

    /// All layers are enqueued: reports each save when the stream has got there and its slot has a checksum.
    pub fn end(&self, backend: &mut dyn Backend, batch: SaveBatch) {
        let SaveBatch { saves, started } = batch;
        if saves.is_empty() {
            return;
        }
        let bytes_each = self.host.layout().block_bytes() as u64;
        let (host, outbox, meters) = (self.host.clone(), self.outbox.clone(), self.meters.clone());
        let checks = self.checks.clone();
        let report = move |outcome: Option<Reason>| {
            let failures: Vec<_> = saves.iter().map(|saving| saving.failure(outcome.as_ref())).collect();
            let moved = failures.iter().filter(|failure| failure.is_none()).count() as u64 * bytes_each;
            let ms = meters.save.ended(meters.epoch, started, moved) / saves.len() as f32;
            let ended: Vec<_> = saves.iter().map(|saving| saving.save).zip(failures).collect();
            // Behind the loads that it waited for: their ends may be told by the same thread.
            checks.clone().run(move || {
                for (save, failure) in ended {
                    // SAFETY: the slot belongs to this save until it is reported.
                    let zeroed = unsafe { host.zero_tails(save.dram_slot, save.valid) };
                    let error = failure.or_else(|| zeroed.err().map(|error| Reason::of(&error.into())));
                    match &error {
                        None => checks.remember(save.dram_slot),
                        Some(_) => checks.forget(save.dram_slot),
                    }
                    let bytes = if error.is_none() { bytes_each } else { 0 };
                    outbox.post(&EngineEvent::Transfer(TransferDone { id: save.id, error, bytes, ms }));
                }
            });
        };
        let outbox = self.outbox.clone();
        backend.notify(
            Stream::Save,
            Box::new(move |outcome| {
                let failure = outcome.err().map(|error| save_failed(&error));
                guarded(&outbox, "the end of a save", || report(failure));
            }),
        );
    }
}
