//! Loads, dram → hbm: enqueued layer by layer, gated layer by layer.
//!
//! A batch of loads becomes one copy a layer, in layer order, so that layer `l` of every block in it is there
//! before layer `l + 1` of any. Each layer has an event; a step that reads one of the slots waits for the event of
//! the layer it is about to run and for nothing more (paper §3.2, layer-wise pre-loading).
//!
//! A load may be refused when it is enqueued, or fail on its way. Its slot then holds nothing of use, and rows that read
//! it are void, until the slot is filled anew.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Instant;

use attentionstore_model::backend::{Backend, Event, SliceCopy, Stream};

use crate::arrival::{Arrival, Teller};
use crate::checks::{BATCH_DAMAGED, Checks};
use crate::event::{EngineEvent, Reason, TransferDone};
use crate::host::HostSlots;
use crate::outbox::Outbox;
use crate::panics::guarded;
use crate::stats::Meters;

/// One load of a batch.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    pub id: u32,
    pub dram_slot: u32,
    pub hbm_slot: u32,
}

/// Code of loads that were refused or failed, and of what was to be made of their rows.
const LOAD_FAILED: &str = "load_failed";

struct Batch {
    /// Each with the reason for which it was refused.
    loads: Vec<(Load, Option<Reason>)>,
    /// Event of each layer enqueued so far.
    layers: Vec<Event>,
    /// All layers are enqueued, or none will be any more: the end will be told.
    is_enqueued: bool,
    enqueued: Instant,
    arrival: Arc<Arrival>,
}

/// Loads under way, by batch and by slot. Lives on the engine thread.
pub struct Loads {
    host: HostSlots,
    checks: Arc<Checks>,
    outbox: Arc<Outbox>,
    meters: Arc<Meters>,
    /// Layers enqueued ahead of the running one.
    ahead: usize,
    batches: HashMap<u64, Batch>,
    next_batch: u64,
    /// The batch that a slot's rows depend on: a load into it, or a copy of what is being loaded.
    by_slot: HashMap<u32, u64>,
    /// Slots that hold nothing of use: rows that depend on them are void until the slot is filled anew.
    failed_slots: HashSet<u32>,
    /// Slots that were lost so far.
    failures: u64,
}

impl Loads {
    pub fn new(
        host: HostSlots,
        checks: Arc<Checks>,
        outbox: Arc<Outbox>,
        meters: Arc<Meters>,
        ahead: usize,
    ) -> Self {
        Self {
            host,
            checks,
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

    /// Takes a batch of loads and enqueues its first layers. A load of a dram slot that does not exist fails alone.
    pub fn start(&mut self, backend: &mut dyn Backend, loads: Vec<Load>) {
        let number = self.next_batch;
        self.next_batch += 1;
        let mut accepted = Vec::with_capacity(loads.len());
        for load in loads {
            match self.host.check(load.dram_slot) {
                Ok(_) => accepted.push((load, None)),
                Err(error) => {
                    self.lose(load.hbm_slot);
                    let failed = TransferDone::failed(load.id, Reason::of(&error));
                    self.outbox.post(&EngineEvent::Transfer(failed));
                }
            }
        }
        if accepted.is_empty() {
            return;
        }
        for (load, _) in &accepted {
            self.failed_slots.remove(&load.hbm_slot);
            self.by_slot.insert(load.hbm_slot, number);
        }
        self.meters.load.enqueued();
        let batch = Batch {
            loads: accepted,
            layers: Vec::new(),
            is_enqueued: false,
            enqueued: Instant::now(),
            arrival: Arc::default(),
        };
        self.batches.insert(number, batch);
        self.enqueue_up_to(backend, number, self.ahead);
    }

    /// Batches that the given slots wait for, each once.
    pub fn awaited(&self, slots: impl Iterator<Item = u32>) -> Vec<u64> {
        let mut batches: Vec<u64> = slots.filter_map(|slot| self.by_slot.get(&slot).copied()).collect();
        batches.sort_unstable();
        batches.dedup();
        batches
    }

    /// The ends of what the given slots wait for.
    pub fn arrivals(&self, slots: impl Iterator<Item = u32>) -> Vec<Arc<Arrival>> {
        let batches = self.awaited(slots);
        batches.iter().filter_map(|number| Some(self.batches.get(number)?.arrival.clone())).collect()
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

    /// After the last layer was gated: waits until it is known how the batches ended. Events say only that the work
    /// before them is over; what they were waited for may have failed.
    pub fn wait_for(&mut self, awaited: &[u64]) {
        for batch in awaited.iter().filter_map(|number| self.batches.get(number)) {
            batch.arrival.wait();
        }
        self.collect();
    }

    /// Takes in how batches have ended: the slots of one that failed are lost.
    pub fn collect(&mut self) {
        let ends =
            self.batches.iter().filter_map(|(number, batch)| Some((*number, batch.arrival.arrived()?)));
        let ends: Vec<(u64, bool)> = ends.collect();
        for (number, arrived) in ends {
            self.batches.remove(&number);
            let slots: Vec<u32> =
                self.by_slot.extract_if(|_, batch| *batch == number).map(|(slot, _)| slot).collect();
            if !arrived {
                slots.into_iter().for_each(|slot| self.lose(slot));
            }
        }
    }

    /// Enqueues the rest of every batch except the given ones: nothing may wait for a step that never comes.
    pub fn release_others(&mut self, backend: &mut dyn Backend, running: &[u64]) {
        let layers = self.host.layout().layers;
        let waits = |(number, batch): (&u64, &Batch)| (!batch.is_enqueued).then_some(*number);
        let mut waiting: Vec<u64> =
            self.batches.iter().filter_map(waits).filter(|number| !running.contains(number)).collect();
        waiting.sort_unstable();
        for number in waiting {
            self.enqueue_up_to(backend, number, layers);
        }
    }

    /// Makes the compute stream wait for all layers of a slot that is still being loaded, before its rows are copied or
    /// saved. Gives the end of that load, if it is still to come.
    ///
    /// # Errors
    /// The load has failed: there is nothing in the slot.
    pub fn settle(&mut self, backend: &mut dyn Backend, slot: u32) -> Result<Option<Arc<Arrival>>, Reason> {
        if let Some(&number) = self.by_slot.get(&slot) {
            self.enqueue_up_to(backend, number, self.host.layout().layers);
            if let Some(&last) = self.batches.get(&number).and_then(|batch| batch.layers.last()) {
                backend.wait(Stream::Compute, last);
            }
        }
        if self.has_failed(slot) {
            return Err(Reason::new(LOAD_FAILED, format_args!("the load into hbm slot {slot} failed")));
        }
        let batch = self.by_slot.get(&slot).and_then(|number| self.batches.get(number));
        Ok(batch.map(|batch| batch.arrival.clone()))
    }

    /// Rows of slot `from`, which was settled, were copied into slot `to`: what `from` waits for, `to` waits for.
    pub fn copied(&mut self, from: u32, to: u32) {
        self.forgive(to);
        match self.by_slot.get(&from).copied() {
            Some(number) => self.by_slot.insert(to, number),
            None => self.by_slot.remove(&to),
        };
    }

    /// How many slots were lost: when it changes, the step asks again which those are.
    pub fn failures(&self) -> u64 {
        self.failures
    }

    pub fn has_failed(&self, slot: u32) -> bool {
        self.failed_slots.contains(&slot)
    }

    /// The slot's block is being filled from its first token: what failed there does not matter any more.
    pub fn forgive(&mut self, slot: u32) {
        self.failed_slots.remove(&slot);
    }

    /// There is nothing of use in the slot.
    pub fn lose(&mut self, slot: u32) {
        self.failures += 1;
        self.by_slot.remove(&slot);
        self.failed_slots.insert(slot);
    }

    fn enqueue_up_to(&mut self, backend: &mut dyn Backend, number: u64, limit: usize) {
        let layers = self.host.layout().layers;
        let Some(batch) = self.batches.get_mut(&number) else { return };
        if batch.is_enqueued {
            return;
        }
        let mut lost = Vec::new();
        while batch.layers.len() < limit.min(layers) && batch.loads.iter().any(|(_, reason)| reason.is_none())
        {
            lost.extend(batch.copy_layer(backend, &self.host));
            batch.layers.push(backend.record(Stream::Load));
        }
        if batch.layers.len() == layers || batch.loads.iter().all(|(_, reason)| reason.is_some()) {
            batch.is_enqueued = true;
            self.finish(backend, number);
        }
        lost.into_iter().for_each(|slot| self.lose(slot));
    }

    /// Everything that will be is enqueued: reports when the stream has got there, and the loads whose turn it is were
    /// compared.
    fn finish(&mut self, backend: &mut dyn Backend, number: u64) {
        let Some(batch) = self.batches.get(&number) else { return };
        let mut end = BatchEnd {
            loads: batch.loads.clone(),
            teller: Teller::new(&batch.arrival),
            enqueued: batch.enqueued,
            bytes_each: self.host.layout().block_bytes() as u64,
            outbox: self.outbox.clone(),
            meters: self.meters.clone(),
        };
        let (checks, outbox) = (self.checks.clone(), self.outbox.clone());
        backend.notify(
            Stream::Load,
            Box::new(move |outcome| {
                let failure = outcome.err().map(|error| Reason::new(LOAD_FAILED, error));
                guarded(&outbox, "the end of a load", move || {
                    let ms = end.measure(failure.as_ref());
                    let compared: Vec<usize> =
                        end.sound(failure.as_ref()).filter(|_| checks.is_due()).collect();
                    if compared.is_empty() {
                        return end.report(failure, ms);
                    }
                    checks.clone().run(move || {
                        let failure = failure.or(end.compare(&checks, &compared));
                        end.report(failure, ms);
                    });
                });
            }),
        );
    }
}

/// The end of a batch, until its loads are told.
struct BatchEnd {
    loads: Vec<(Load, Option<Reason>)>,
    teller: Teller,
    enqueued: Instant,
    bytes_each: u64,
    outbox: Arc<Outbox>,
    meters: Arc<Meters>,
}

impl BatchEnd {
    /// Counts the batch; milliseconds a load.
    fn measure(&self, failure: Option<&Reason>) -> f32 {
        let moved = self.sound(failure).count() as u64 * self.bytes_each;
        let Meters { load, epoch, .. } = self.meters.as_ref();
        load.ended(*epoch, self.enqueued, moved) / self.loads.len().max(1) as f32
    }

    /// The places of the loads that were neither refused nor failed.
    fn sound(&self, failure: Option<&Reason>) -> impl Iterator<Item = usize> {
        let all = if failure.is_none() { self.loads.as_slice() } else { &[] };
        all.iter().enumerate().filter(|(_, (_, refused))| refused.is_none()).map(|(place, _)| place)
    }

    /// Compares the sources of these loads. Where one is damaged the batch has failed: rows may have been computed over it.
    fn compare(&mut self, checks: &Checks, places: &[usize]) -> Option<Reason> {
        let mut failure = None;
        for &place in places {
            let (load, refused) = &mut self.loads[place];
            if let Err(reason) = checks.verify(load.dram_slot) {
                let detail = format_args!("another load of the batch: {}", reason.detail);
                failure = Some(Reason::new(BATCH_DAMAGED, detail));
                *refused = Some(reason);
            }
        }
        failure
    }

    fn report(self, failure: Option<Reason>, ms: f32) {
        self.teller.tell(failure.is_none());
        for (load, refused) in self.loads {
            let error = refused.or_else(|| failure.clone());
            let bytes = if error.is_none() { self.bytes_each } else { 0 };
            self.outbox.post(&EngineEvent::Transfer(TransferDone { id: load.id, error, bytes, ms }));
        }
    }
}

impl Batch {
    /// Enqueues the next layer of the loads that were not refused. Where the device refuses them together it is asked for
    /// each alone; the slots of those that it refuses then.
    fn copy_layer(&mut self, backend: &mut dyn Backend, host: &HostSlots) -> Vec<u32> {
        let layer = self.layers.len();
        let copy = |load: &Load| SliceCopy {
            layer: layer as u32,
            slot: load.hbm_slot,
            host: host.slice(load.dram_slot, layer),
        };
        let live = self.loads.iter().filter(|(_, refused)| refused.is_none());
        let copies: Vec<SliceCopy> = live.map(|(load, _)| copy(load)).collect();
        let mut lost = Vec::new();
        if backend.copy(Stream::Load, &copies).is_err() {
            for (load, refused) in self.loads.iter_mut().filter(|(_, refused)| refused.is_none()) {
                if let Err(error) = backend.copy(Stream::Load, &[copy(load)]) {
                    *refused = Some(Reason::new(LOAD_FAILED, error));
                    lost.push(load.hbm_slot);
                }
            }
        }
        lost
    }
}
