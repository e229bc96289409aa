//! Drives an engine without a scheduler: one thing at a time, on slots that the measurement chooses.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use attentionstore_engine::event::{EngineEvent, GrowingTier, RowStatus, TierCommitted};
use attentionstore_engine::plan::{PlanRow, PlanSave, StepPlan, TableUpdate, Transfer, TransferKind};
use attentionstore_engine::wire::{decode_events, encode_plan, encode_transfers};
use attentionstore_engine::{Bans, Engine, EngineInfo, EngineOptions, SamplingParams, SequenceSpec};
use attentionstore_kv::BLOCK_TOKENS;

use crate::Outcome;

/// More than any batch of events takes; grown where one takes more.
const EVENT_BYTES: usize = 1 << 20;
/// Ids of tokens stay below this: every model has as many.
const TOKEN_IDS: usize = 250;

pub struct Driver {
    engine: Engine,
    pub info: EngineInfo,
    woken: Receiver<()>,
    packed: Vec<u8>,
    next: u32,
    /// When each step's reply came.
    replies: HashMap<u32, Instant>,
    /// Transfers that were started and are not done.
    moving: HashSet<u32>,
    /// Slots whose memory has come since the engine was opened.
    hbm_committed: u32,
    dram_committed: u32,
    ssd_committed: u32,
}

/// New tokens of one sequence and where its blocks lie.
#[derive(Clone, Debug)]
pub struct Prompt<'a> {
    /// Tokens before the new ones, whose KV lies in `slots` already.
    pub history: usize,
    pub new: usize,
    /// hbm slots of all blocks, the new ones included.
    pub slots: &'a [u32],
    pub saving: Saving,
}

/// The fate of the blocks that a prompt fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Saving {
    Nothing,
    /// Beside the computation; block `i` into dram slot `i`.
    Beside,
    /// As `Beside`, and the next step waits for it.
    AfterEachStep,
}

impl Driver {
    /// # Errors
    /// As [`Engine::open`].
    pub fn open(options: EngineOptions) -> Outcome<Self> {
        let (wake, woken) = channel();
        let wake = Mutex::new(wake);
        let engine = Engine::open(
            options,
            &|_, _| {},
            Box::new(move || {
                if let Ok(wake) = wake.lock() {
                    // The receiver is gone once the measurement is over.
                    let _ = wake.send(());
                }
            }),
        )?;
        let info = engine.info();
        let EngineInfo { hbm_committed, dram_committed, ssd_committed, .. } = info;
        let mut driver = Self {
            engine,
            info,
            woken,
            packed: vec![0; EVENT_BYTES],
            next: 0,
            replies: HashMap::new(),
            moving: HashSet::new(),
            hbm_committed,
            dram_committed,
            ssd_committed,
        };
        driver.grow_whole()?;
        Ok(driver)
    }

    /// Waits until all slots have their memory, and their room on disk: taking it is no part of what is measured.
    fn grow_whole(&mut self) -> Outcome<()> {
        let EngineInfo { hbm_slots, dram_slots, ssd_slots, .. } = self.info;
        self.engine.grow(GrowingTier::Hbm, hbm_slots)?;
        self.engine.grow(GrowingTier::Dram, dram_slots)?;
        if ssd_slots > 0 {
            self.engine.grow(GrowingTier::Ssd, ssd_slots)?;
        }
        while self.hbm_committed < hbm_slots
            || self.dram_committed < dram_slots
            || self.ssd_committed < ssd_slots
        {
            self.take()?;
        }
        Ok(())
    }

    pub fn next_number(&mut self) -> u32 {
        self.next += 1;
        self.next
    }

    /// Adds a sequence of `tokens` tokens that may sample as many more as `answers`.
    pub fn add(&mut self, tokens: usize, answers: usize) -> Outcome<u32> {
        let sequence = self.next_number();
        // Different for every sequence, as prompts are.
        let token = |at: usize| ((at * 31 + sequence as usize * 7) % TOKEN_IDS) as u32;
        let spec = SequenceSpec {
            sequence,
            tokens: (0..tokens).map(token).collect(),
            root: [0; 32],
            view: None,
            sampling: SamplingParams::greedy(),
            stop_tokens: Vec::new(),
            include_stop: false,
            bans: Bans { ignore_eos: true, ..Bans::default() },
            max_tokens: answers as u32,
            prompt_logprobs: None,
            output: None,
            prefill: 0,
            constraint: None,
        };
        self.engine.add_sequence(spec, Vec::new())?;
        Ok(sequence)
    }

    pub fn drop_sequence(&mut self, sequence: u32) -> Outcome<()> {
        Ok(self.engine.drop_sequence(sequence)?)
    }

    pub fn submit(&mut self, plan: &StepPlan) -> Outcome<()> {
        self.moving.extend(plan.saves.iter().map(|save| save.id));
        Ok(self.engine.submit(&encode_plan(plan))?)
    }

    /// Starts movements; they are done after [`Driver::settle`].
    pub fn start(&mut self, kinds: impl IntoIterator<Item = TransferKind>) -> Outcome<Vec<u32>> {
        let transfers: Vec<Transfer> =
            kinds.into_iter().map(|kind| Transfer { id: self.next_number(), kind }).collect();
        self.moving.extend(transfers.iter().map(|transfer| transfer.id));
        self.engine.transfer(&encode_transfers(&transfers))?;
        Ok(transfers.iter().map(|transfer| transfer.id).collect())
    }

    /// Waits until everything that moves is done.
    pub fn settle(&mut self) -> Outcome<()> {
        while !self.moving.is_empty() {
            self.take()?;
        }
        Ok(())
    }

    /// Waits until one of `ids` is done, and says which are.
    pub fn settle_some(&mut self, ids: &mut Vec<u32>) -> Outcome<Vec<u32>> {
        loop {
            let (left, done): (Vec<u32>, Vec<u32>) = ids.iter().partition(|id| self.moving.contains(id));
            if !done.is_empty() || left.is_empty() {
                *ids = left;
                return Ok(done);
            }
            self.take()?;
        }
    }

    /// When the reply of `step` came; waits for it.
    pub fn reply(&mut self, step: u32) -> Outcome<Instant> {
        loop {
            if let Some(at) = self.replies.remove(&step) {
                return Ok(at);
            }
            self.take()?;
        }
    }

    /// Computes a prompt's new tokens in as many steps as it takes, and samples the token after it; when the token came.
    pub fn compute(&mut self, prompt: &Prompt<'_>) -> Outcome<Instant> {
        let end = prompt.history + prompt.new;
        let sequence = self.add(end, 1)?;
        let mut from = prompt.history;
        let mut last = 0;
        while from < end {
            let to = end.min(from + self.info.max_batch_tokens);
            let plan = self.prompt_step(sequence, prompt, from, to);
            last = plan.step;
            self.submit(&plan)?;
            if prompt.saving == Saving::AfterEachStep {
                self.reply(last)?;
                self.settle()?;
                self.replies.insert(last, Instant::now());
            }
            from = to;
        }
        let at = self.reply(last)?;
        self.drop_sequence(sequence)?;
        self.replies.clear();
        Ok(at)
    }

    /// Tokens `from..to` of a prompt, with the blocks that they reach, and the saves of those that they fill.
    fn prompt_step(&mut self, sequence: u32, prompt: &Prompt<'_>, from: usize, to: usize) -> StepPlan {
        let end = prompt.history + prompt.new;
        let known = if from == prompt.history { 0 } else { from.div_ceil(BLOCK_TOKENS) };
        let tables = (known..to.div_ceil(BLOCK_TOKENS)).map(|index| TableUpdate {
            sequence,
            index: index as u32,
            slot: prompt.slots[index],
        });
        let filled = match prompt.saving {
            Saving::Nothing => 0..0,
            _ => from / BLOCK_TOKENS..to / BLOCK_TOKENS,
        };
        let tables = tables.collect();
        let saves = filled.map(|index| self.block_save(sequence, index)).collect();
        StepPlan {
            step: self.next_number(),
            resets: Vec::new(),
            tables,
            rows: vec![PlanRow { sequence, from: from as u32, count: (to - from) as u32, sample: to == end }],
            saves,
        }
    }

    /// The save of a full block into the dram slot of its own number.
    pub fn block_save(&mut self, sequence: u32, index: usize) -> PlanSave {
        let (id, index) = (self.next_number(), index as u32);
        PlanSave { id, sequence, index, dram_slot: index, valid: BLOCK_TOKENS as u32 }
    }

    /// Takes what the engine has told, waiting for it if there is nothing.
    fn take(&mut self) -> Outcome<()> {
        self.woken.recv()?;
        let mut length = self.engine.events().take(&mut self.packed);
        if length > self.packed.len() {
            self.packed.resize(length, 0);
            length = self.engine.events().take(&mut self.packed);
        }
        let now = Instant::now();
        for event in decode_events(&self.packed[..length])? {
            match event {
                EngineEvent::Step(reply) if reply.rows.iter().all(|row| row.status == RowStatus::Ok) => {
                    self.replies.insert(reply.step, now);
                }
                EngineEvent::Step(reply) => return Err(format!("step {} left rows out", reply.step).into()),
                EngineEvent::Transfer(done) => match done.error {
                    None => drop(self.moving.remove(&done.id)),
                    Some(reason) => return Err(format!("a transfer failed: {}", reason.detail).into()),
                },
                EngineEvent::Committed(TierCommitted { refused: Some(reason), .. }) => {
                    return Err(format!("there is no memory for the tiers: {}", reason.detail).into());
                }
                EngineEvent::Committed(TierCommitted { tier, slots, .. }) => match tier {
                    GrowingTier::Hbm => self.hbm_committed = slots,
                    GrowingTier::Dram => self.dram_committed = slots,
                    GrowingTier::Ssd => self.ssd_committed = slots,
                },
                EngineEvent::GivenUp(_) => {}
                EngineEvent::Failed { message, .. } => return Err(message.into()),
            }
        }
        Ok(())
    }
}
