//! Loads, dram → hbm: enqueued layer by layer, gated layer by layer.
//!
//! A batch of loads becomes one copy a layer, in layer order, so that layer `l` of every block in it is there
//! before layer `l + 1` of any. Each layer has an event; a step that reads one of the slots waits for the event of
//! the layer it is about to run and for nothing more (paper §3.2, layer-wise pre-loading).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use attentionstore_model::backend::{Backend, Event, SliceCopy, Stream};

use crate::error::EngineError;
use crate::event::{EngineEvent, TransferDone};
use crate::host::HostSlots;
use crate::outbox::Outbox;
use crate::stats::Meters;

/// One load of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub id: u32,
    pub dram_slot: u32,
    pub hbm_slot: u32,
}

struct Batch {
    loads: Vec<Load>,
    /// Event of each layer enqueued so far.
    layers: Vec<Event>,
    enqueued: Instant,
    failed: bool,
}

/// Loads under way, by batch and by slot. Lives on the engine thread.
pub struct Loads {
    host: HostSlots,
    outbox: Arc<Outbox>,
    meters: Arc<Meters>,
    /// Layers enqueued ahead of the running one.
    ahead: usize,
    batches: HashMap<u64, Batch>,
    next_batch: u64,
    by_slot: HashMap<u32, u64>,
    /// Slots whose load failed: rows that depend on them are void until the slot is filled anew.
    failed_slots: HashSet<u32>,
    /// Batches that have failed so far.
    failures: u64,
}

impl Loads {
    pub fn new(host: HostSlots, outbox: Arc<Outbox>, meters: Arc<Meters>, ahead: usize) -> Self {
        Self {
            host,
            outbox,
            meters,
            ahead: ahead.max(1),
            batches: HashMap::new(),
            next_batch: 0,
            by_slot: HashMap::new(),
            failed_slots: HashSet::new(),
            failures: 0,
        }
    }

    /// Takes a batch of loads and enqueues its first layers.
    pub fn start(&mut self, backend: &mut dyn Backend, loads: Vec<Load>) -> Result<(), EngineError> {
        for load in &loads {
            self.host.check(load.dram_slot)?;
        }
        let number = self.next_batch;
        self.next_batch += 1;
        for load in &loads {
            self.failed_slots.remove(&load.hbm_slot);
            self.by_slot.insert(load.hbm_slot, number);
        }
        self.meters.load.enqueued();
        let batch = Batch { loads, layers: Vec::new(), enqueued: Instant::now(), failed: false };
        self.batches.insert(number, batch);
        self.enqueue_up_to(backend, number, self.ahead);
        Ok(())
    }

    /// Batches that the given slots wait for, each once.
    pub fn awaited(&mut self, backend: &dyn Backend, slots: impl Iterator<Item = u32>) -> Vec<u64> {
        self.forget_done(backend);
        let mut batches: Vec<u64> = slots.filter_map(|slot| self.by_slot.get(&slot).copied()).collect();
        batches.sort_unstable();
        batches.dedup();
        batches
    }

    /// Before layer `layer` runs: keeps `ahead` more layers enqueued and makes the compute stream wait for this
    /// one. Returns whether it was not there yet.
    pub fn gate(&mut self, backend: &mut dyn Backend, awaited: &[u64], layer: usize) -> bool {
        let mut stalled = false;
        for &number in awaited {
            self.enqueue_up_to(backend, number, layer + 1 + self.ahead);
            let Some(event) = self.batches.get(&number).and_then(|batch| batch.layers.get(layer)).copied()
            else {
                continue;
            };
            stalled |= !backend.is_done(event);
            backend.wait(Stream::Compute, event);
        }
        stalled
    }

    /// Enqueues the rest of every batch except the given ones: nothing may wait for a step that never comes.
    pub fn release_others(&mut self, backend: &mut dyn Backend, running: &[u64]) {
        let layers = self.host.layout().layers;
        let mut waiting: Vec<u64> = self.batches.keys().copied().filter(|n| !running.contains(n)).collect();
        waiting.sort_unstable();
        for number in waiting {
            self.enqueue_up_to(backend, number, layers);
        }
    }

    /// Makes the compute stream wait for all layers of a slot that is still being loaded.
    pub fn settle(&mut self, backend: &mut dyn Backend, slot: u32) {
        let Some(&number) = self.by_slot.get(&slot) else { return };
        self.enqueue_up_to(backend, number, self.host.layout().layers);
        if let Some(&last) = self.batches.get(&number).and_then(|batch| batch.layers.last()) {
            backend.wait(Stream::Compute, last);
        }
    }

    /// How many batches have failed: whoever sees it change asks again which slots those are.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    pub fn has_failed(&self, slot: u32) -> bool {
        self.failed_slots.contains(&slot)
    }

    /// The slot's block is being computed from its first token: what failed there does not matter any more.
    pub fn forgive(&mut self, slot: u32) {
        self.failed_slots.remove(&slot);
    }

    fn enqueue_up_to(&mut self, backend: &mut dyn Backend, number: u64, limit: usize) {
        let layers = self.host.layout().layers;
        let Some(batch) = self.batches.get_mut(&number) else { return };
        let before = batch.layers.len();
        while batch.layers.len() < limit.min(layers) && !batch.failed {
            let layer = batch.layers.len();
            let copies: Vec<SliceCopy> = batch
                .loads
                .iter()
                .map(|load| SliceCopy {
                    layer: layer as u32,
                    slot: load.hbm_slot,
                    host: self.host.slice(load.dram_slot, layer),
                })
                .collect();
            match backend.copy(Stream::Load, &copies) {
                Ok(()) => batch.layers.push(backend.record(Stream::Load)),
                Err(_) => batch.failed = true,
            }
        }
        let failed = batch.failed;
        if failed || (batch.layers.len() == layers && before < layers) {
            self.finish(backend, number, failed);
        }
    }

    /// All layers are enqueued, or none will be any more: reports when the stream has got there.
    fn finish(&mut self, backend: &mut dyn Backend, number: u64, failed: bool) {
        let Some(batch) = self.batches.get(&number) else { return };
        let bytes_each = self.host.layout().block_bytes() as u64;
        let total = bytes_each * batch.loads.len() as u64;
        let (outbox, meters, enqueued) = (self.outbox.clone(), self.meters.clone(), batch.enqueued);
        let ids: Vec<u32> = batch.loads.iter().map(|load| load.id).collect();
        backend.notify(
            Stream::Load,
            Box::new(move |outcome| {
                let failed = failed || outcome.is_err();
                let moved = if failed { 0 } else { total };
                let ms = meters.load.ended(meters.epoch, enqueued, moved) / ids.len().max(1) as f32;
                let error = failed.then_some("load_failed");
                let bytes = if failed { 0 } else { bytes_each };
                for id in ids {
                    outbox.post(&EngineEvent::Transfer(TransferDone { id, error, bytes, ms }));
                }
            }),
        );
        if failed && let Some(batch) = self.batches.remove(&number) {
            self.failures += 1;
            for load in batch.loads {
                self.by_slot.remove(&load.hbm_slot);
                self.failed_slots.insert(load.hbm_slot);
            }
        }
    }

    fn forget_done(&mut self, backend: &dyn Backend) {
        let layers = self.host.layout().layers;
        self.batches.retain(|_, batch| {
            batch.layers.len() < layers || batch.layers.last().is_some_and(|&last| !backend.is_done(last))
        });
        self.by_slot.retain(|_, number| self.batches.contains_key(number));
    }
}
