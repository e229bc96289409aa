//! Drives an engine one event at a time.

use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use attentionstore_engine::{Engine, EngineOptions, MaskSource, SamplingParams, SequenceSpec};
use attentionstore_kv::HEADER_BYTES;

use crate::support::subject::Subject;
use crate::support::watched::{Watch, Watched};

pub const MAX_BATCH_TOKENS: usize = 512;

/// As the wire numbers them.
const COPY: u32 = 4;
const LATE: u32 = 3;
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
    Failed { code: String, message: String },
}

/// Sequence, status (0 ok, 1 no-op, 2 void, 3 late), the sampled token, and why the answer ended, as the wire numbers it.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    pub sequence: u32,
    pub status: u32,
    pub token: Option<u32>,
    pub finish: Option<u32>,
}

impl Driver {
    /// Room for small prompts.
    pub fn open(preload_layers: Option<usize>) -> Self {
        let room = Room { hbm_blocks: 16, dram_blocks: 4, ssd: None };
        Self::open_with(Subject::always_there(), &room, preload_layers)
    }

    pub fn open_with(subject: Subject, room: &Room, preload_layers: Option<usize>) -> Self {
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
            ssd_bytes: room.ssd.as_ref().map_or(0, |(blocks, _)| u64::from(*blocks) * host_slot),
            ssd_dir: room.ssd.as_ref().map(|(_, directory)| directory.join("ssd")),
            data_dir: room.ssd.as_ref().map(|(_, directory)| directory.clone()),
            ssd_read_limit: None,
            ssd_write_limit: None,
            preload_layers,
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
        let sampling = SamplingParams::greedy();
        let spec = SequenceSpec {
            sequence,
            tokens: tokens.to_vec(),
            root: [0; 32],
            view: None,
            sampling,
            stop_tokens: Vec::new(),
            ignore_eos: true,
            max_tokens: 100,
            constraint,
        };
        self.engine.add_sequence(spec, Vec::new()).unwrap();
    }

    /// A decode row in the table as it is, planned before the reply of `step - 1`.
    pub fn plan_ahead(&mut self, step: u32, sequence: u32, from: u32) {
        self.engine.submit(&[step, 0, 0, 1, 0, sequence, from, 1, 1]).unwrap();
    }

    /// One row group of `sequence`, its whole table given, one token sampled; waits for its reply.
    pub fn step(&mut self, step: u32, sequence: u32, from: u32, count: u32, table: &[u32]) -> Row {
        self.run(step, sequence, table, [from, count, 1])
    }

    /// As `step`, with nothing sampled.
    pub fn compute(&mut self, sequence: u32, from: u32, count: u32, table: &[u32]) -> Row {
        let step = self.new_id();
        self.run(step, sequence, table, [from, count, 0])
    }

    /// The slices of a dram slot, in the order of layers.
    pub fn dram(&self, slot: usize) -> Vec<u8> {
        let layout = self.engine.info().layout;
        let memory = self.watch.memory.lock().unwrap().clone().expect("the engine has a dram tier");
        // SAFETY: the arena has the slot, and nothing moves into it while a test looks.
        let slot = unsafe { memory.slot_mut(layout.host_slot_bytes(), slot) }.unwrap();
        slot[HEADER_BYTES..HEADER_BYTES + layout.block_bytes()].to_vec()
    }

    /// Keeps the logits of all rows from now on, and gives those that were kept.
    pub fn take_logits(&mut self) -> Vec<Vec<f32>> {
        self.watch.logits.lock().unwrap().replace(Vec::new()).unwrap_or_default()
    }

    fn run(&mut self, step: u32, sequence: u32, table: &[u32], row: [u32; 3]) -> Row {
        let mut words = vec![step, 1, table.len() as u32, 1, 0, sequence];
        for (index, slot) in table.iter().enumerate() {
            words.extend([sequence, index as u32, *slot]);
        }
        words.push(sequence);
        words.extend(row);
        loop {
            let step = words[0];
            self.engine.submit(&words).unwrap();
            let row = match self.next(|told| matches!(told, Told::Step { step: replied, .. } if *replied == step)) {
                Told::Step { rows, .. } => rows[0].clone(),
                other => panic!("{other:?} is no step"),
            };
            if row.status != LATE {
                return row;
            }
            words[0] = AGAIN + self.new_id();
        }
    }

    /// The tables of sequences, by a plan without rows.
    pub fn tables(&mut self, tables: &[(u32, &[u32])], step: u32) {
        let entries: Vec<[u32; 3]> = tables
            .iter()
            .flat_map(|(sequence, slots)| (0..).zip(*slots).map(|(index, slot)| [*sequence, index, *slot]))
            .collect();
        let mut words = vec![step, 0, entries.len() as u32, 0, 0];
        words.extend(entries.concat());
        self.engine.submit(&words).unwrap();
        self.next(|told| matches!(told, Told::Step { step: replied, .. } if *replied == step));
    }

    /// A plan of sampled rows `[sequence, from, count]` in the tables as they are.
    pub fn submit_rows(&self, step: u32, rows: &[[u32; 3]]) {
        let mut words = vec![step, 0, 0, rows.len() as u32, 0];
        words.extend(rows.iter().flat_map(|[sequence, from, count]| [*sequence, *from, *count, 1]));
        self.engine.submit(&words).unwrap();
    }

    /// A number that was not given before.
    pub fn fresh(&mut self) -> u32 {
        self.new_id()
    }

    /// Starts transfers in one batch, each `[kind, id, a, b, valid]`, without waiting for their ends.
    pub fn start(&self, transfers: &[[u32; 5]]) {
        let words: Vec<u32> =
            transfers.iter().flat_map(|words| words.iter().copied().chain([0; 8])).collect();
        self.engine.transfer(&words).unwrap();
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
        self.start(&[[COPY, id, last - 1, last, 1]]);
        held
    }

    /// Starts a transfer of kind `kind` (as the wire numbers them) and waits for its end; the error code.
    pub fn transfer(&mut self, kind: u32, a: u32, b: u32, valid: u32) -> String {
        self.transfer_block(kind, a, b, valid, &[0; 32])
    }

    /// As `transfer`, of the block with this key.
    pub fn transfer_block(&mut self, kind: u32, a: u32, b: u32, valid: u32, key: &[u8; 32]) -> String {
        let id = self.new_id();
        let mut words = vec![kind, id, a, b, valid];
        words.extend(key.as_chunks::<4>().0.iter().map(|bytes| u32::from_le_bytes(*bytes)));
        self.engine.transfer(&words).unwrap();
        self.ended(id)
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
            self.pending.extend(read_events(&packed[..length]));
        }
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

fn text(bytes: &[u8], at: &mut usize) -> String {
    let length = word(bytes, *at) as usize;
    let value = String::from_utf8(bytes[*at + 4..*at + 4 + length].to_vec()).unwrap();
    *at += 4 + length.next_multiple_of(4);
    value
}

fn read_events(mut bytes: &[u8]) -> Vec<Told> {
    let mut events = Vec::new();
    while !bytes.is_empty() {
        let length = word(bytes, 4) as usize;
        let (event, rest) = bytes.split_at(length);
        events.push(match word(event, 0) {
            0 => Told::Step { step: word(event, 8), rows: read_rows(event) },
            1 => Told::Transfer { id: word(event, 8), error: text(event, &mut 24) },
            _ => {
                let at = &mut 8;
                Told::Failed { code: text(event, at), message: text(event, at) }
            }
        });
        bytes = rest;
    }
    events
}

fn read_rows(event: &[u8]) -> Vec<Row> {
    let mut at = 28;
    (0..word(event, 24))
        .map(|_| {
            let (sequence, flags, filled) = (word(event, at), word(event, at + 4), word(event, at + 8));
            at += 12 + filled as usize * 36;
            text(event, &mut at);
            let token = (flags & 4 != 0).then(|| word(event, at));
            at += if token.is_some() { 4 } else { 0 };
            assert_eq!(flags & 8, 0, "these tests ask for no log probabilities");
            let finish = (flags & 16 != 0).then(|| {
                let reason = word(event, at);
                at += 8;
                text(event, &mut at);
                at += 12 + if flags & 32 != 0 { 32 } else { 0 };
                reason
            });
            Row { sequence, status: flags & 3, token, finish }
        })
        .collect()
}
