//! The engine thread: owns the device and everything that only one thread may touch.

use std::collections::HashMap;
use std::sync::Arc;

use attentionstore_kv::key::KeyHasher;
use attentionstore_model::backend::Backend;
use attentionstore_model::text::AnswerText;
use crossbeam_channel::{Receiver, select_biased};

use crate::error::EngineError;
use crate::event::{EngineEvent, TransferDone};
use crate::loads::{Load, Loads};
use crate::outbox::Outbox;
use crate::plan::{StepPlan, Transfer, TransferKind};
use crate::saves::{Save, Saves};
use crate::sequence::{Sequence, SequenceSpec};
use crate::stats::Meters;

/// What changes the course of steps; kept in order.
pub(crate) enum Command {
    Add(Box<(SequenceSpec, AnswerText)>),
    Drop(u32),
    Plan(StepPlan),
    Close,
}

pub(crate) struct Worker {
    pub(crate) backend: Box<dyn Backend>,
    pub(crate) sequences: HashMap<u32, Sequence>,
    pub(crate) loads: Loads,
    pub(crate) saves: Saves,
    pub(crate) keys: KeyHasher,
    pub(crate) end_tokens: Vec<u32>,
    pub(crate) outbox: Arc<Outbox>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) commands: Receiver<Command>,
    /// Loads, saves and copies. Apart from the commands, so that they start between two layers of a running step:
    /// they name only slots that no earlier unanswered plan uses.
    pub(crate) transfers: Receiver<Vec<Transfer>>,
}

impl Worker {
    /// Runs until `Close` or a failure, which is posted.
    pub(crate) fn run(mut self) {
        if let Err(error) = self.serve() {
            self.outbox.post(&EngineEvent::Failed { code: error.code(), message: error.to_string() });
        }
    }

    fn serve(&mut self) -> Result<(), EngineError> {
        loop {
            let transfers = self.transfers.clone();
            let commands = self.commands.clone();
            select_biased! {
                recv(transfers) -> batch => match batch {
                    Ok(batch) => {
                        self.transfer(batch);
                        if commands.is_empty() {
                            self.loads.release_others(self.backend.as_mut(), &[]);
                        }
                    }
                    Err(_) => return Ok(()),
                },
                recv(commands) -> command => match command {
                    Ok(Command::Add(request)) => self.add(*request)?,
                    Ok(Command::Drop(sequence)) => { self.sequences.remove(&sequence); }
                    Ok(Command::Plan(plan)) => {
                        self.run_step(plan)?;
                        if commands.is_empty() {
                            self.loads.release_others(self.backend.as_mut(), &[]);
                        }
                    }
                    Ok(Command::Close) | Err(_) => return Ok(()),
                },
            }
        }
    }

    fn add(&mut self, (spec, answer): (SequenceSpec, AnswerText)) -> Result<(), EngineError> {
        let number = spec.sequence;
        let sequence = Sequence::new(spec, answer)?;
        if self.sequences.insert(number, sequence).is_some() {
            return Err(EngineError::Protocol { detail: format!("sequence {number} was added twice") });
        }
        Ok(())
    }

    /// Starts the transfers that have arrived; called between layers.
    pub(crate) fn take_transfers(&mut self) {
        while let Ok(batch) = self.transfers.try_recv() {
            self.transfer(batch);
        }
    }

    /// Starts a batch: its loads as one, its saves as one. A failure to start is reported to whoever waits.
    pub(crate) fn transfer(&mut self, batch: Vec<Transfer>) {
        let (mut loads, mut saves) = (Vec::new(), Vec::new());
        for Transfer { id, kind } in batch {
            match kind {
                TransferKind::Load { dram_slot, hbm_slot } => loads.push(Load { id, dram_slot, hbm_slot }),
                TransferKind::Save { hbm_slot, dram_slot, valid } => {
                    saves.push(Save { id, hbm_slot, dram_slot, valid });
                }
                TransferKind::Copy { from_hbm_slot, to_hbm_slot, valid } => {
                    self.loads.settle(self.backend.as_mut(), from_hbm_slot);
                    let copied = self.backend.copy_rows(from_hbm_slot, to_hbm_slot, valid);
                    self.report(id, copied.map_err(EngineError::from));
                }
                TransferKind::Read { .. }
                | TransferKind::Write { .. }
                | TransferKind::Erase { .. }
                | TransferKind::Flush => {
                    let detail = "disk transfers do not pass the engine thread".to_owned();
                    self.report(id, Err(EngineError::Protocol { detail }));
                }
            }
        }
        if !loads.is_empty() {
            let ids: Vec<u32> = loads.iter().map(|load| load.id).collect();
            let started = self.loads.start(self.backend.as_mut(), loads);
            self.report_failed(&ids, started);
        }
        if !saves.is_empty() {
            let ids: Vec<u32> = saves.iter().map(|save| save.id).collect();
            let started = self.saves.start(self.backend.as_mut(), saves);
            self.report_failed(&ids, started);
        }
    }

    fn report(&self, id: u32, result: Result<(), EngineError>) {
        let error = result.err().map(|error| error.code());
        self.outbox.post(&EngineEvent::Transfer(TransferDone { id, error, bytes: 0, ms: 0.0 }));
    }

    fn report_failed(&self, ids: &[u32], result: Result<(), EngineError>) {
        if let Err(error) = result {
            for &id in ids {
                let error = Some(error.code());
                self.outbox.post(&EngineEvent::Transfer(TransferDone { id, error, bytes: 0, ms: 0.0 }));
            }
        }
    }
}
