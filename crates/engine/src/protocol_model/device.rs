//! A device of tags: a slice holds one byte, which says where its bytes came from. Its copy streams are threads of the
//! model.

use std::collections::VecDeque;
use std::sync::Arc;

use attentionstore_kv::{KvDtype, KvLayout, SliceOrder};
use attentionstore_model::ModelError;
use attentionstore_model::backend::{Backend, BatchSequence, Completion, Event, SliceCopy, Stream};
use attentionstore_model::config::ModelConfig;
use attentionstore_model::sampling::{SampleOutcome, SampleRequest, Sampled};
use shuttle::thread;

use crate::sync::{Condvar, Mutex};

pub const LAYOUT: KvLayout =
    KvLayout { layers: 2, kv_heads: 1, head_dim: 8, dtype: KvDtype::Bf16, order: SliceOrder::TokensFirst };
const SLOTS: usize = 10;

/// Tags: what lies in dram slot 0, what a step computed, and what was in a slot before.
pub const LOADED: u8 = 1;
pub const COMPUTED: u8 = 2;
const OLD: u8 = 3;

/// Tokens: every row of the history was there, or not.
pub const SAW_ALL: u32 = 7;
pub const READ_WRONG: u32 = 9;

/// Calls to `copy` that go wrong, counted from 0 on each stream.
#[derive(Clone, Copy, Default)]
pub struct Faults {
    pub refused_load: Option<u32>,
    /// Accepted, and told to have failed at the next notice.
    pub failed_load: Option<u32>,
    pub refused_save: Option<u32>,
}

impl Faults {
    pub fn any(&self) -> bool {
        self.refused_load.or(self.failed_load).or(self.refused_save).is_some()
    }
}

enum Command {
    Copy(Vec<SliceCopy>),
    Fail,
    Notify(Completion),
    Close,
}

/// A copy stream: a queue and how far its thread has come.
#[derive(Default)]
struct Lane {
    state: Mutex<LaneState>,
    changed: Condvar,
}

#[derive(Default)]
struct LaneState {
    queue: VecDeque<Command>,
    enqueued: u64,
    done: u64,
    failed: bool,
}

type Slots = Arc<Mutex<[[u8; LAYOUT.layers]; SLOTS]>>;

#[derive(Clone)]
pub struct Device {
    config: Arc<ModelConfig>,
    slots: Slots,
    load: Arc<Lane>,
    save: Arc<Lane>,
    faults: Faults,
    calls: [u32; 2],
    /// Of the running step: the slots before its rows, and those of its rows.
    step: Vec<(Vec<u32>, Vec<u32>)>,
    saw_all: Vec<bool>,
}

impl Device {
    pub fn new(config: Arc<ModelConfig>, faults: Faults) -> Self {
        let slots: Slots = Arc::new(Mutex::new([[OLD; LAYOUT.layers]; SLOTS]));
        let lane = |stream: Stream| {
            let (lane, slots) = (Arc::new(Lane::default()), slots.clone());
            let served = lane.clone();
            thread::spawn(move || served.serve(stream, &slots));
            lane
        };
        let (load, save) = (lane(Stream::Load), lane(Stream::Save));
        Self { config, slots, load, save, faults, calls: [0; 2], step: Vec::new(), saw_all: Vec::new() }
    }

    /// Waits for what is enqueued, and ends the threads.
    pub fn close(&self) {
        for lane in [&self.load, &self.save] {
            let end = lane.enqueue(Command::Close);
            lane.wait(end);
        }
    }

    fn lane(&self, stream: Stream) -> Option<&Lane> {
        match stream {
            Stream::Compute => None,
            Stream::Load => Some(&self.load),
            Stream::Save => Some(&self.save),
        }
    }
}

impl Lane {
    fn enqueue(&self, command: Command) -> u64 {
        let mut state = self.state.lock().unwrap();
        state.queue.push_back(command);
        state.enqueued += 1;
        self.changed.notify_all();
        state.enqueued
    }

    fn wait(&self, sequence: u64) {
        let mut state = self.state.lock().unwrap();
        while state.done < sequence {
            state = self.changed.wait(state).unwrap();
        }
    }

    fn serve(&self, stream: Stream, slots: &Slots) {
        loop {
            let (command, failed) = {
                let mut state = self.state.lock().unwrap();
                while state.queue.is_empty() {
                    state = self.changed.wait(state).unwrap();
                }
                (state.queue.pop_front().unwrap(), state.failed)
            };
            // Others use the link too.
            (0..3).for_each(|_| thread::yield_now());
            let closes = matches!(command, Command::Close);
            let fails = matches!(command, Command::Fail);
            match command {
                Command::Copy(copies) => copies.into_iter().for_each(|copy| move_tag(stream, copy, slots)),
                Command::Notify(completion) if failed => completion(Err(gone_wrong())),
                Command::Notify(completion) => completion(Ok(())),
                Command::Fail | Command::Close => {}
            }
            let mut state = self.state.lock().unwrap();
            state.failed |= fails;
            state.done += 1;
            self.changed.notify_all();
            if closes {
                return;
            }
        }
    }
}

fn move_tag(stream: Stream, copy: SliceCopy, slots: &Slots) {
    let mut slots = slots.lock().unwrap();
    let tag = &mut slots[copy.slot as usize][copy.layer as usize];
    // SAFETY: a slice is mapped there; the model runs on one thread of the system.
    unsafe {
        match stream {
            Stream::Load => *tag = copy.host.read(),
            _ => copy.host.write(*tag),
        }
    }
}

fn gone_wrong() -> ModelError {
    ModelError::Device { device: "model".into(), detail: "as asked".into() }
}

impl Backend for Device {
    fn config(&self) -> &ModelConfig {
        &self.config
    }
    fn layout(&self) -> KvLayout {
        LAYOUT
    }
    fn slots(&self) -> usize {
        SLOTS
    }
    fn max_batch_tokens(&self) -> usize {
        256
    }
    fn describe(&self) -> String {
        "model".into()
    }
    fn numerics_id(&self) -> String {
        "model".into()
    }

    fn begin_step(&mut self, batch: &[BatchSequence<'_>]) -> Result<(), ModelError> {
        let split = |row: &BatchSequence<'_>| {
            let (before, own) = row.slots.split_at(row.position as usize / attentionstore_kv::BLOCK_TOKENS);
            (before.to_vec(), own.to_vec())
        };
        self.step = batch.iter().map(split).collect();
        self.saw_all = vec![true; batch.len()];
        Ok(())
    }

    fn run_layer(&mut self, layer: usize) -> Result<(), ModelError> {
        let mut slots = self.slots.lock().unwrap();
        for ((before, own), saw_all) in self.step.iter().zip(&mut self.saw_all) {
            *saw_all &= before.iter().all(|&slot| slots[slot as usize][layer] == LOADED);
            own.iter().for_each(|&slot| slots[slot as usize][layer] = COMPUTED);
        }
        Ok(())
    }

    fn sample(&mut self, requests: &[SampleRequest<'_>]) -> Result<Vec<SampleOutcome>, ModelError> {
        let token = |saw_all| if saw_all { SAW_ALL } else { READ_WRONG };
        let sampled = |request: &SampleRequest<'_>| token(self.saw_all[request.row]);
        let sampled = requests.iter().map(sampled);
        let sampled = sampled.map(|token| Sampled { token, logprob: None, top: Vec::new() });
        Ok(sampled.map(SampleOutcome::Token).collect())
    }

    fn read_logits(&mut self, _row: usize, _out: &mut [f32]) -> Result<(), ModelError> {
        Err(gone_wrong())
    }

    fn record(&mut self, stream: Stream) -> Event {
        let sequence = self.lane(stream).map_or(0, |lane| lane.state.lock().unwrap().enqueued);
        Event { stream, sequence }
    }

    fn wait(&mut self, stream: Stream, event: Event) {
        if let (Stream::Compute, Some(lane)) = (stream, self.lane(event.stream)) {
            lane.wait(event.sequence);
        }
    }

    fn is_done(&self, event: Event) -> bool {
        self.lane(event.stream).is_none_or(|lane| lane.state.lock().unwrap().done >= event.sequence)
    }

    fn synchronize(&self, event: Event) {
        if let Some(lane) = self.lane(event.stream) {
            lane.wait(event.sequence);
        }
    }

    fn notify(&mut self, stream: Stream, completion: Completion) {
        match self.lane(stream) {
            Some(lane) => drop(lane.enqueue(Command::Notify(completion))),
            None => completion(Ok(())),
        }
    }

    fn copy(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), ModelError> {
        let is_load = stream == Stream::Load;
        let calls = &mut self.calls[usize::from(is_load)];
        let call = *calls;
        *calls += 1;
        let refused = if is_load { self.faults.refused_load } else { self.faults.refused_save };
        // The call that asks for each alone is refused too.
        if refused.is_some_and(|refused| call == refused || call == refused + 1) {
            return Err(gone_wrong());
        }
        let fails = is_load && self.faults.failed_load == Some(call);
        let command = if fails { Command::Fail } else { Command::Copy(copies.to_vec()) };
        if let Some(lane) = self.lane(stream) {
            lane.enqueue(command);
        }
        Ok(())
    }

    fn copy_rows(&mut self, from_slot: u32, to_slot: u32, _valid: u32) -> Result<(), ModelError> {
        let mut slots = self.slots.lock().unwrap();
        slots[to_slot as usize] = slots[from_slot as usize];
        Ok(())
    }
}
