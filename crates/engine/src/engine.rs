//! The engine as its callers see it: calls enqueue and return, events come back through the outbox.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use attentionstore_kv::lock::DirectoryLock;
use attentionstore_model::text::{AnswerText, StopRule, StopStrings};

use crate::checks::Checks;
use crate::disk::Disk;
use crate::error::EngineError;
use crate::event::MemoryTier;
use crate::grammars::Grammars;
use crate::identity::Roots;
use crate::inbox::Inbox;
use crate::info::{EngineInfo, EngineStats};
use crate::memory::MemoryKeeper;
use crate::outbox::Outbox;
use crate::plan::TransferKind;
use crate::sequence::SequenceSpec;
use crate::stats::Meters;
use crate::text_service::TextService;
use crate::wire::{decode_plan, decode_transfers};

/// The reading end of an engine's events; outlives it, so that nothing posted is lost.
pub struct EventSource(Arc<Outbox>);

impl EventSource {
    /// Moves packed events into `into`; returns their length, which is more than `into` holds if nothing was moved.
    pub fn take(&self, into: &mut [u8]) -> usize {
        self.0.take(into)
    }
}

/// One model on one device over its tiers. Every method may be called from any thread and returns at once, except
/// [`Engine::open`] and [`Engine::close`].
pub struct Engine {
    pub(crate) info: EngineInfo,
    pub(crate) text: TextService,
    pub(crate) grammars: Grammars,
    pub(crate) roots: Roots,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) inbox: Arc<Inbox>,
    pub(crate) memory: MemoryKeeper,
    pub(crate) checks: Arc<Checks>,
    pub(crate) disk: Option<Disk>,
    pub(crate) thread: Mutex<Option<JoinHandle<()>>>,
    /// Keeps other servers off the data directory. Dropped last.
    pub(crate) _lock: Option<DirectoryLock>,
}

impl Engine {
    pub fn info(&self) -> EngineInfo {
        self.info.clone()
    }

    pub(crate) fn text(&self) -> &TextService {
        &self.text
    }

    /// Makes a request known. `stop`: strings that end its answer.
    pub fn add_sequence(&self, mut spec: SequenceSpec, stop: Vec<String>) -> Result<(), EngineError> {
        let rule = StopRule { after: spec.bans.min_tokens, included: spec.include_stop };
        let (tokenizer, stops) = (self.text.tokenizer(), Arc::new(StopStrings::new(&stop)?.ruled(rule)));
        let mut answer = match spec.output.take() {
            Some(reading) => AnswerText::of_format(tokenizer, stops, self.text.format().clone(), reading),
            None => AnswerText::new(tokenizer, stops),
        };
        let from = spec.tokens.len().saturating_sub(spec.prefill as usize);
        answer.go_on_from(&spec.tokens[from..]);
        self.inbox.add(spec, answer)
    }

    /// Forgets a request. Only after the reply of the last step that names it.
    pub fn drop_sequence(&self, sequence: u32) -> Result<(), EngineError> {
        self.inbox.drop_sequence(sequence)
    }

    /// Takes a packed plan.
    pub fn submit(&self, words: &[u32]) -> Result<(), EngineError> {
        self.inbox.plan(decode_plan(words)?)
    }

    /// Takes packed transfers. Those between dram and ssd and checks start here, the others on the engine thread.
    pub fn transfer(&self, words: &[u32]) -> Result<(), EngineError> {
        let (mut disk, mut device) = (Vec::new(), Vec::new());
        for transfer in decode_transfers(words)? {
            match transfer.kind {
                TransferKind::Check { dram_slot } => self.checks.check(transfer.id, dram_slot),
                _ if transfer.kind.is_disk() => disk.push(transfer),
                _ => device.push(transfer),
            }
        }
        if !disk.is_empty() {
            let tier = self.disk.as_ref().ok_or_else(|| EngineError::Protocol {
                detail: "a disk transfer without an ssd tier".to_owned(),
            })?;
            disk.into_iter().for_each(|transfer| tier.start(transfer));
        }
        if !device.is_empty() {
            self.inbox.transfers(device)?;
        }
        Ok(())
    }

    /// Asks for the memory of the first `slots` of a tier; answered by [`EngineEvent::Memory`](crate::EngineEvent) where
    /// there are not as many yet.
    pub fn grow(&self, tier: MemoryTier, slots: u32) -> Result<(), EngineError> {
        self.memory.wish(tier, slots)
    }

    /// Where its events are taken from, also after it was closed.
    pub fn events(&self) -> EventSource {
        EventSource(self.outbox.clone())
    }

    pub fn stats(&self) -> EngineStats {
        let Meters { step, load, save, mask, .. } = self.meters.as_ref();
        let grammars = self.grammars.counts();
        let nanoseconds = |value: u64| value as f64 / 1e6;
        let mut stats = EngineStats {
            steps: step.steps.load(Relaxed),
            compute_ms: nanoseconds(step.compute_ns.load(Relaxed)),
            load_stall_ms: nanoseconds(step.stall_ns.load(Relaxed)),
            stalled_layers: step.stalled_layers.load(Relaxed),
            load_bytes: load.bytes(),
            load_ms: load.busy_ms(),
            save_bytes: save.bytes(),
            save_ms: save.busy_ms(),
            save_queue_depth: save.depth(),
            load_queue_depth: load.depth(),
            masks: mask.masks.load(Relaxed),
            mask_ms: nanoseconds(mask.busy_ns.load(Relaxed)),
            late_rows: mask.late_rows.load(Relaxed),
            grammars_compiled: grammars.compiled,
            grammars_cached: grammars.cached,
            grammars_refused: grammars.refused,
            ..EngineStats::default()
        };
        let checks = self.checks.counts();
        (stats.dram_checked, stats.dram_damaged) = (checks.checked, checks.damaged);
        if let Some(disk) = &self.disk {
            let tier = disk.tier().stats();
            stats.read_bytes = tier.io.read.bytes;
            stats.read_ms = tier.io.read.busy.as_secs_f64() * 1e3;
            stats.write_bytes = tier.io.write.bytes;
            stats.write_ms = tier.io.write.busy.as_secs_f64() * 1e3;
            stats.damaged_reads = tier.damaged;
            stats.read_queue_depth = tier.io.read.in_flight;
            stats.write_queue_depth = tier.io.write.in_flight;
        }
        stats
    }

    /// Waits for the work in flight and ends the threads. Idempotent.
    pub fn close(&self) {
        self.memory.close();
        self.inbox.close();
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread {
            let _ = thread.join();
        }
        // What ended last is still to be told, and what is written still to be checked.
        self.checks.close();
        if let Some(disk) = &self.disk {
            disk.tier().close();
        }
        self.outbox.hang_up();
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.close();
    }
}
