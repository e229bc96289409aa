//! Drives an engine one event at a time.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use attentionstore_engine::event::{EngineEvent, Finish, GrowingTier, RowResult, RowStatus};
use attentionstore_engine::plan::{PlanRow, PlanSave, StepPlan, TableUpdate, Transfer, TransferKind};
use attentionstore_engine::wire::{decode_events, encode_plan, encode_transfers};
use attentionstore_engine::{Bans, Engine, EngineOptions, MaskSource, SamplingParams, SequenceSpec};
use attentionstore_kv::HEADER_BYTES;

use crate::support::subject::Subject;
use crate::support::watched::{Watch, Watched};

pub const MAX_BATCH_TOKENS: usize = 512;

/// Steps that repeat others are numbered from here on.
const AGAIN: u32 = 1_000_000;

/// An engine whose backend is watched.
pub struct Driver {
    pub engine: Engine,
    pub watch: Arc<Watch>,
    woken: Receiver<()>,
    pending: Vec<Told>,
    next_id: u32,
}

/// Sizes of the tiers.
pub struct Room {
    pub hbm_blocks: u32,
    pub dram_blocks: u32,
    /// Blocks, and a directory for them and the secrets of their keys.
    pub ssd: Option<(u32, PathBuf)>,
}

/// What the engine told, as far as these tests ask.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    Step { step: u32, rows: Vec<Row> },
    Transfer { id: u32, error: String },
    Committed { tier: GrowingTier, slots: u32 },
    GivenUp { owner: String, slots_left: u32 },
    Failed { code: String, message: String },
}

#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub sequence: u32,
    pub status: RowStatus,
    pub token: Option<u32>,
    pub finish: Option<Finish>,
}

impl From<EngineEvent> for Told {
    fn from(event: EngineEvent) -> Self {
        match event {
            EngineEvent::Step(reply) => {
                Told::Step { step: reply.step, rows: reply.rows.into_iter().map(Row::from).collect() }
            }
            EngineEvent::Transfer(done) => Told::Transfer {
                id: done.id,
                error: done.error.map_or_else(String::new, |reason| reason.code),
            },
            EngineEvent::Committed(committed) => {
                Told::Committed { tier: committed.tier, slots: committed.slots }
            }
            EngineEvent::GivenUp(given_up) => {
                Told::GivenUp { owner: given_up.owner, slots_left: given_up.slots_left }
            }
            EngineEvent::Failed { code, message } => Told::Failed { code, message },
        }
    }
}

impl From<RowResult> for Row {
    fn from(row: RowResult) -> Self {
        Row {
            sequence: row.sequence,
            status: row.status,
            token: row.sampled.map(|sampled| sampled.token),
            finish: row.finished.map(|finished| finished.reason),
        }
    }
}

/// dram → hbm.
pub fn load(dram_slot: u32, hbm_slot: u32) -> TransferKind {
    TransferKind::Load { dram_slot, hbm_slot }
}

/// hbm → dram.
pub fn save(hbm_slot: u32, dram_slot: u32, valid: u32) -> TransferKind {
    TransferKind::Save { hbm_slot, dram_slot, valid }
}

/// hbm → hbm.
pub fn copy(from_hbm_slot: u32, to_hbm_slot: u32, valid: u32) -> TransferKind {
    TransferKind::Copy { from_hbm_slot, to_hbm_slot, valid }
}

/// `count` rows of a sequence whose blocks lie in `slots`, one token sampled.
pub fn plan(step: u32, sequence: u32, slots: &[u32], from: u32, count: u32) -> StepPlan {
    let table = |(index, &slot): (usize, &u32)| TableUpdate { sequence, index: index as u32, slot };
    StepPlan {
        step,
        tables: slots.iter().enumerate().map(table).collect(),
        rows: vec![PlanRow { sequence, from, count, sample: true }],
        ..StepPlan::default()
    }
}

/// As `plan`, with save 77 of block `index`, whole, into dram slot 2.
pub fn plan_with_save(plan: StepPlan, index: u32) -> StepPlan {
    let sequence = plan.rows[0].sequence;
    let saves = vec![PlanSave { id: 77, sequence, index, dram_slot: 2, valid: crate::support::BLOCK as u32 }];
    StepPlan { saves, ..plan }
}

/// What the lock, the directory and the file system's books may take of the ssd tier's bound besides slots.
const SSD_BOOKS: u64 = 20 << 10;

impl Driver {
    /// Room for small prompts.
    pub fn open(preload_layers: Option<usize>) -> Self {
        let room = Room { hbm_blocks: 16, dram_blocks: 4, ssd: None };
        Self::open_with(Subject::always_there(), &room, preload_layers)
    }

    pub fn open_with(subject: Subject, room: &Room, preload_layers: Option<usize>) -> Self {
        Self::open_checking(subject, room, preload_layers, 1.0)
    }

    /// As `open_with`; `load_checks`: the share of the loads that are compared with their checksums.
    pub fn open_checking(
        subject: Subject,
        room: &Room,
        preload_layers: Option<usize>,
        load_checks: f64,
    ) -> Self {
        let watch = Arc::new(Watch::default());
        let (wake, woken) = channel();
        let wake = Mutex::new(wake);
        let host_slot = subject.block_bytes + HEADER_BYTES as u64;
        let options = EngineOptions {
            model: subject.model,
            device: subject.device,
            kernel_cache: std::env::temp_dir().join("attentionstore-test-kernels"),
            threads: 2,
            max_batch_tokens: MAX_BATCH_TOKENS,
            hbm_bytes: u64::from(room.hbm_blocks) * subject.block_bytes,
            dram_bytes: u64::from(room.dram_blocks) * host_slot,
            ssd_bytes: room.ssd.as_ref().map_or(0, |(blocks, _)| u64::from(*blocks) * host_slot + SSD_BOOKS),
            ssd_dir: room.ssd.as_ref().map(|(_, directory)| directory.join("ssd")),
            data_dir: room.ssd.as_ref().map(|(_, directory)| directory.clone()),
            ssd_read_limit: None,
            ssd_write_limit: None,
            preload_layers,
            load_checks: Some(load_checks),
            kv_dtype: "bf16".into(),
            instruction_set: None,
        };
        let seen = watch.clone();
        let engine = Engine::open_with(
            options,
            &|_, _| {},
            Box::new(move || {
                // Nobody listens any more once a test has ended.
                let _ = wake.lock().unwrap().send(());
            }),
            |inner| Box::new(Watched { inner, watch: seen, rows: 0 }),
        )
        .expect("the model loads");
        Self { engine, watch, woken, pending: Vec::new(), next_id: 0 }
    }

    pub fn add(&self, sequence: u32, tokens: &[u32]) {
        self.add_held_to(sequence, tokens, None);
    }

    /// As `add`, with an answer that is held to something.
    pub fn add_held_to(&self, sequence: u32, tokens: &[u32], constraint: Option<Box<dyn MaskSource>>) {
        self.add_ruled(sequence, tokens, constraint, |_| {});
    }

    /// As `add_held_to`, under rules of its own.
    pub fn add_ruled(
        &self,
        sequence: u32,
        tokens: &[u32],
        constraint: Option<Box<dyn MaskSource>>,
        rule: impl FnOnce(&mut SequenceSpec),
    ) {
        let sampling = SamplingParams::greedy();
        let mut spec = SequenceSpec {
            sequence,
            tokens: tokens.to_vec(),
            root: [0; 32],
            view: None,
            sampling,
            stop_tokens: Vec::new(),
            include_stop: false,
            bans: Bans { ignore_eos: true, ..Bans::default() },
            max_tokens: 100,
            prompt_logprobs: None,
            output: None,
            prefill: 0,
            constraint,
        };
        rule(&mut spec);
        self.engine.add_sequence(spec, Vec::new()).unwrap();
    }

    /// A decode row in the table as it is, planned before the reply of `step - 1`.
    pub fn plan_ahead(&mut self, step: u32, sequence: u32, from: u32) {
        self.submit(&plan(step, sequence, &[], from, 1));
    }

    /// One row group of `sequence`, its whole table given, one token sampled; waits for its reply.
    pub fn step(&mut self, step: u32, sequence: u32, from: u32, count: u32, table: &[u32]) -> Row {
        self.run(sequence, plan(step, sequence, table, from, count))
    }

    /// As `step`, with nothing sampled.
    pub fn compute(&mut self, sequence: u32, from: u32, count: u32, table: &[u32]) -> Row {
        let step = self.new_id();
        let mut plan = plan(step, sequence, table, from, count);
        plan.rows[0].sample = false;
        self.run(sequence, plan)
    }

    /// The slices of a dram slot, in the order of layers.
    pub fn dram(&self, slot: usize) -> Vec<u8> {
        let layout = self.engine.info().layout;
        let memory = self.watch.memory.lock().unwrap().clone().expect("the engine has a dram tier");
        // SAFETY: the arena has the slot, and nothing moves into it while a test looks.
        let slot = unsafe { memory.slot_mut(layout.host_slot_bytes(), slot) }.unwrap();
        slot[HEADER_BYTES..HEADER_BYTES + layout.block_bytes()].to_vec()
    }

    /// Flips a bit of a dram slot's payload, as memory does.
    pub fn flip(&self, slot: usize, byte: usize) {
        let layout = self.engine.info().layout;
        let memory = self.watch.memory.lock().unwrap().clone().expect("the engine has a dram tier");
        // SAFETY: as above, and nothing reads it meanwhile.
        let slot = unsafe { memory.slot_mut(layout.host_slot_bytes(), slot) }.unwrap();
        slot[HEADER_BYTES + byte] ^= 4;
    }

    /// Keeps the logits of all rows from now on, and gives those that were kept.
    pub fn take_logits(&mut self) -> Vec<Vec<f32>> {
        self.watch.logits.lock().unwrap().replace(Vec::new()).unwrap_or_default()
    }

    fn run(&mut self, sequence: u32, plan: StepPlan) -> Row {
        let mut plan = StepPlan { resets: vec![sequence], ..plan };
        loop {
            self.submit(&plan);
            let row = self.rows(plan.step).remove(0);
            // A mask may come late on a busy machine; then the row is planned again, as the scheduler does.
            if row.status != RowStatus::Late {
                return row;
            }
            plan.step = AGAIN + self.new_id();
        }
    }

    /// Waits for the reply of a step.
    fn rows(&mut self, step: u32) -> Vec<Row> {
        match self.next(|told| matches!(told, Told::Step { step: replied, .. } if *replied == step)) {
            Told::Step { rows, .. } => rows,
            other => panic!("{other:?} is no step"),
        }
    }

    /// Tells tables by a plan without rows.
    pub fn tables(&mut self, tables: &[(u32, &[u32])], step: u32) {
        let entries = tables.iter().flat_map(|&(sequence, slots)| {
            (0..).zip(slots).map(move |(index, &slot)| TableUpdate { sequence, index, slot })
        });
        self.submit(&StepPlan { step, tables: entries.collect(), ..StepPlan::default() });
        self.rows(step);
    }

    /// A number that was not given before.
    pub fn fresh(&mut self) -> u32 {
        self.new_id()
    }

    pub fn submit(&self, plan: &StepPlan) {
        self.engine.submit(&encode_plan(plan)).unwrap();
    }

    /// Starts transfers with these ids in one batch, without waiting for their ends.
    pub fn start(&self, transfers: &[(u32, TransferKind)]) {
        let transfers: Vec<Transfer> =
            transfers.iter().map(|(id, kind)| Transfer { id: *id, kind: kind.clone() }).collect();
        self.engine.transfer(&encode_transfers(&transfers)).unwrap();
    }

    /// Waits for the end of a transfer; the error code.
    pub fn ended(&mut self, id: u32) -> String {
        match self.next(|told| matches!(told, Told::Transfer { id: done, .. } if *done == id)) {
            Told::Transfer { error, .. } => error,
            other => panic!("{other:?} is no transfer"),
        }
    }

    /// Whether the transfer was told to have ended, as far as events have been taken.
    pub fn has_ended(&self, id: u32) -> bool {
        self.pending.iter().any(|told| matches!(told, Told::Transfer { id: done, .. } if *done == id))
    }

    /// The engine thread is between two steps, inside a copy, and stays there until what is returned is dropped.
    pub fn hold(&mut self) -> Sender<()> {
        let (held, gate) = channel();
        *self.watch.gate.lock().unwrap() = Some(gate);
        let (id, last) = (self.new_id(), self.engine.info().hbm_slots - 1);
        self.start(&[(id, copy(last - 1, last, 1))]);
        held
    }

    /// Starts a transfer and waits for its end; the error code.
    pub fn transfer(&mut self, kind: TransferKind) -> String {
        let id = self.new_id();
        self.start(&[(id, kind)]);
        self.ended(id)
    }

    /// Waits until the memory of all slots has come, and their room on the disk.
    pub fn grow_whole(&mut self) {
        let info = self.engine.info();
        for (tier, slots, there) in [
            (GrowingTier::Hbm, info.hbm_slots, info.hbm_committed),
            (GrowingTier::Dram, info.dram_slots, info.dram_committed),
            (GrowingTier::Ssd, info.ssd_slots, info.ssd_committed),
        ] {
            if there < slots {
                self.engine.grow(tier, slots).unwrap();
                self.next(|told| *told == Told::Committed { tier, slots });
            }
        }
    }

    /// Whether all slots of a tier were told to be there, as far as events have been taken.
    pub fn has_grown(&self, tier: GrowingTier, slots: u32) -> bool {
        self.pending.contains(&Told::Committed { tier, slots })
    }

    fn new_id(&mut self) -> u32 {
        self.next_id += 1;
        self.next_id
    }

    /// The first event that `wanted` takes; others wait for their own turn.
    pub fn next(&mut self, wanted: impl Fn(&Told) -> bool) -> Told {
        loop {
            if let Some(at) = self.pending.iter().position(&wanted) {
                return self.pending.remove(at);
            }
            self.woken.recv().expect("the engine lives");
            let mut packed = vec![0; 1 << 16];
            let length = self.engine.events().take(&mut packed);
            let told = decode_events(&packed[..length]).expect("they are events");
            self.pending.extend(told.into_iter().map(Told::from));
        }
    }
}
