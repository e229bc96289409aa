//! The engine thread: owns the device and everything that only one thread may touch.

use std::collections::HashMap;
use std::sync::Arc;

use attentionstore_kv::key::KeyHasher;
use attentionstore_model::backend::Backend;
use attentionstore_model::text::AnswerText;
use attentionstore_uring::caught;

use crate::error::EngineError;
use crate::event::{EngineEvent, Reason, TransferDone};
use crate::inbox::{Command, Inbox, Work};
use crate::loads::{Load, Loads};
use crate::masks::MaskMakers;
use crate::outbox::Outbox;
use crate::panics::tell;
use crate::plan::{Transfer, TransferKind};
use crate::saves::{Save, Saves, Saving};
use crate::sequence::{Sequence, SequenceSpec};
use crate::stats::Meters;

pub(crate) struct Worker {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) sequences: HashMap<u32, Sequence>,
    pub(crate) loads: Loads,
    pub(crate) saves: Saves,
    pub(crate) keys: KeyHasher,
    pub(crate) makers: MaskMakers,
    pub(crate) end_tokens: Vec<u32>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) inbox: Arc<Inbox>,
    /// Batches of transfers started so far.
    pub(crate) started: u64,
}

impl Worker {
    /// Runs until the inbox is closed, or until a failure or a panic, which is posted. Calls are refused from then on.
    pub(crate) fn run(mut self) {
        let served = caught(|| self.serve());
        self.inbox.close();
        match served {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.outbox
                    .post(&EngineEvent::Failed { code: error.code().to_owned(), message: error.to_string() });
            }
            Err(message) => tell(&self.outbox, "the engine thread", &message),
        }
    }

    fn serve(&mut self) -> Result<(), EngineError> {
        while let Some(work) = self.inbox.next() {
            match work {
                Work::Transfers(batch) => self.transfer(batch),
                Work::Command(Command::Add(request)) => self.add(*request)?,
                Work::Command(Command::Drop(sequence)) => {
                    self.sequences.remove(&sequence);
                }
                Work::Command(Command::Plan(plan)) => self.run_step(plan)?,
            }
            // A load may wait for the step that reads it, and for nothing else.
            if !self.inbox.has_plan() {
                self.loads.release_others(self.backend.as_mut(), &[]);
            }
        }
        Ok(())
    }

    fn add(&mut self, (spec, answer): (SequenceSpec, AnswerText)) -> Result<(), EngineError> {
        let number = spec.sequence;
        let vocabulary = self.backend.config().vocab_size;
        let sequence = Sequence::new(spec, answer, vocabulary, &self.makers)?;
        if self.sequences.insert(number, sequence).is_some() {
            return Err(EngineError::Protocol { detail: format!("sequence {number} was added twice") });
        }
        Ok(())
    }

    /// Starts the transfers that were sent before a plan: it may read what they load.
    pub(crate) fn start_transfers_before(&mut self, after: u64) {
        while self.started < after
            && let Some(batch) = self.inbox.take_transfers()
        {
            self.transfer(batch);
        }
    }

    /// Starts the transfers that have arrived; called between layers.
    pub(crate) fn take_transfers(&mut self) {
        while let Some(batch) = self.inbox.take_transfers() {
            self.transfer(batch);
        }
    }

    /// Starts a batch: its loads as one, its saves as one. What cannot start is reported, and takes nothing else along.
    pub(crate) fn transfer(&mut self, batch: Vec<Transfer>) {
        self.started += 1;
        self.loads.collect();
        let (mut loads, mut saves): (Vec<Load>, Vec<Save>) = (Vec::new(), Vec::new());
        for Transfer { id, kind } in batch {
            match kind {
                TransferKind::Load { dram_slot, hbm_slot } => loads.push(Load { id, dram_slot, hbm_slot }),
                TransferKind::Save { hbm_slot, dram_slot, valid } => {
                    saves.push(Save { id, hbm_slot, dram_slot, valid });
                }
                TransferKind::Copy { from_hbm_slot: from, to_hbm_slot: to, valid } => {
                    if loads.iter().any(|load| load.hbm_slot == from) {
                        self.loads.start(self.backend.as_mut(), std::mem::take(&mut loads));
                    }
                    self.copy(id, (from, to), valid);
                }
                TransferKind::Read { .. }
                | TransferKind::Write { .. }
                | TransferKind::Erase { .. }
                | TransferKind::Check { .. }
                | TransferKind::Flush => {
                    let detail = "only loads, saves and copies pass the engine thread".to_owned();
                    self.report(id, Some(Reason::of(&EngineError::Protocol { detail })));
                }
            }
        }
        if !loads.is_empty() {
            self.loads.start(self.backend.as_mut(), loads);
        }
        if !saves.is_empty() {
            self.save(saves);
        }
    }

    /// Copies rows between slots. Told as over at once, or with the load that the first slot still waits for.
    fn copy(&mut self, id: u32, (from, to): (u32, u32), valid: u32) {
        let backend = self.backend.as_mut();
        let copied = self.loads.settle(backend, from).and_then(|source| {
            backend.copy_rows(from, to, valid).map_err(|error| Reason::of(&error.into()))?;
            Ok(source)
        });
        match copied {
            Ok(source) => {
                self.loads.copied(from, to);
                match source {
                    None => self.report(id, None),
                    Some(source) => {
                        let outbox = self.outbox.clone();
                        source.then(Box::new(move |arrived| {
                            let detail = "the rows that were copied did not arrive";
                            let error = (!arrived).then(|| Reason::new("load_failed", detail));
                            outbox.post(&EngineEvent::Transfer(TransferDone {
                                id,
                                error,
                                bytes: 0,
                                ms: 0.0,
                            }));
                        }));
                    }
                }
            }
            Err(reason) => {
                self.loads.lose(to);
                self.report(id, Some(reason));
            }
        }
    }

    fn save(&mut self, saves: Vec<Save>) {
        let mut accepted = Vec::with_capacity(saves.len());
        for save in saves {
            match self.loads.settle(self.backend.as_mut(), save.hbm_slot) {
                Ok(source) => accepted.push(Saving::new(save, source.into_iter().collect())),
                Err(reason) => self.report(save.id, Some(reason)),
            }
        }
        self.saves.start(self.backend.as_mut(), accepted);
    }

    pub(crate) fn report(&self, id: u32, error: Option<Reason>) {
        self.outbox.post(&EngineEvent::Transfer(TransferDone { id, error, bytes: 0, ms: 0.0 }));
    }
}
