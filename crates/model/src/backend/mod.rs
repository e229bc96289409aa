//! What a device must offer: a batched forward pass over slot-addressed KV, layer by layer, with loads and
//! saves on streams of their own.
//!
//! The engine drives a step as
//! `begin_step`, then for each layer `wait(Compute, load event)`, `run_layer`, `record(Compute)`,
//! `wait(Save, that event)`, `copy(Save, …)`, and last `sample`. On the CPU the compute stream is the caller
//! itself: a wait blocks it; on a GPU everything is enqueued.

pub mod cpu;
pub mod cuda;
mod step;

use std::ops::Range;
use std::sync::Arc;

use attentionstore_kv::KvLayout;
use attentionstore_kv::arena::HostArena;

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::sampling::{SampleOutcome, SampleRequest, ScoreRequest, Scored, score};

/// The three queues of a device. Work on one stream runs in the order it was enqueued.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stream {
    Compute,
    /// Host memory → device slots.
    Load,
    /// Device slots → host memory.
    Save,
}

/// A point in a stream's work, made by [`Backend::record`]: everything enqueued before it is done once it is.
/// Events are never reused; asking about an old one is always allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    pub stream: Stream,
    pub sequence: u64,
}

/// One slice to copy between a device slot and host memory.
#[derive(Clone, Copy, Debug)]
pub struct SliceCopy {
    pub layer: u32,
    /// Device (`hbm`) slot.
    pub slot: u32,
    /// Address of the slice in host memory, `KvLayout::slice_bytes()` long.
    /// The engine guarantees that it stays mapped, and that nobody else writes it, until the copy is done.
    pub host: *mut u8,
}

// SAFETY: the address is only used by the backend's copy threads under the engine's contract above.
unsafe impl Send for SliceCopy {}

/// The new tokens of one sequence in a step.
#[derive(Clone, Copy, Debug)]
pub struct BatchSequence<'a> {
    /// Token ids to compute, at consecutive positions. Never empty.
    pub tokens: &'a [u32],
    /// Position of `tokens[0]` inside the sequence's view.
    pub position: u32,
    /// Device slots of the view's blocks in view order: position `p` lies in `slots[p / 64]`, row `p % 64`.
    /// Covers every position up to the last new token; all rows before `position` hold valid KV.
    pub slots: &'a [u32],
    /// For which of `tokens` logits are needed.
    pub logits: LogitsWanted,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogitsWanted {
    None,
    Last,
    All,
}

/// Told, once, how the work before it ended. It must be short.
pub type Completion = Box<dyn FnOnce(Result<(), ModelError>) + Send>;

/// Memory of device slots that is taken from the system as it is needed.
pub trait SlotMemory: Send + Sync {
    /// Makes the memory of `slots` present in all layers, so that nothing waits for the system when they are used.
    ///
    /// # Errors
    /// [`ModelError::Memory`]: the system has not that much.
    fn commit(&self, slots: Range<u32>) -> Result<(), ModelError>;
}

/// Host memory that a device reaches by itself, part by part, until the last of those who keep it lets go.
pub trait PinnedMemory: Send + Sync {
    /// Parts begin at multiples of so many bytes.
    fn part_bytes(&self) -> usize;

    /// Registers bytes of the arena that are present: whole parts, or what is left of the arena.
    ///
    /// # Errors
    /// The device refuses the memory.
    fn register(&self, bytes: Range<usize>) -> Result<(), ModelError>;
}

/// A device that computes one model. One engine thread owns it; copies run beside the computation.
pub trait Backend: Send {
    fn config(&self) -> &ModelConfig;

    /// Layout of the slices in this backend's slots; host slots hold the same bytes.
    fn layout(&self) -> KvLayout;

    /// Device slots (`hbm` tier).
    fn slots(&self) -> usize;

    /// What takes memory for the slots from the system, where that is not done when the backend is made.
    fn slot_memory(&self) -> Option<Arc<dyn SlotMemory>> {
        None
    }

    /// Most rows (new tokens of all sequences) of one step.
    fn max_batch_tokens(&self) -> usize;

    /// The device for people, e.g. `cpu (avx2, 2 threads)`.
    fn describe(&self) -> String;

    /// A name for the numerics of this backend, part of every block's identity.
    fn numerics_id(&self) -> String;

    /// Starts a step: takes over the batch and embeds its tokens.
    ///
    /// # Errors
    /// A token outside the vocabulary, a slot out of range, more rows than `max_batch_tokens`.
    fn begin_step(&mut self, batch: &[BatchSequence<'_>]) -> Result<(), ModelError>;

    /// Runs one layer over the step's rows: writes the new tokens' K and V into their slots and attends over
    /// them, also over this step's own, reading K and V only from slots.
    fn run_layer(&mut self, layer: usize) -> Result<(), ModelError>;

    /// Final norm, head and sampling. Logit rows are numbered over the batch in order, as `LogitsWanted` asks.
    /// Returns when the whole step is computed, also with nothing to sample.
    ///
    /// # Errors
    /// A row that is not there; whatever failed in the step.
    fn sample(&mut self, requests: &[SampleRequest<'_>]) -> Result<Vec<SampleOutcome>, ModelError>;

    /// Scores known tokens by the step's logit rows, which the requests name in ascending order. After `sample`.
    ///
    /// # Errors
    /// As [`Backend::sample`].
    fn score(&mut self, requests: &[ScoreRequest]) -> Result<Vec<Scored>, ModelError> {
        let mut logits = vec![0.0; self.config().vocab_size];
        let one = |request: &ScoreRequest| {
            self.read_logits(request.row, &mut logits)?;
            Ok(score(&logits, request))
        };
        requests.iter().map(one).collect()
    }

    /// The raw logits of the step's logit row `row` (`vocab_size` of f32), for tests and evaluation.
    fn read_logits(&mut self, row: usize, out: &mut [f32]) -> Result<(), ModelError>;

    /// Marks the present end of `stream`'s work.
    fn record(&mut self, stream: Stream) -> Event;

    /// Later work on `stream` starts only after `event`. On the CPU, waiting on `Compute` blocks the caller.
    fn wait(&mut self, stream: Stream, event: Event);

    /// Whether `event` has happened.
    fn is_done(&self, event: Event) -> bool;

    /// Blocks until `event` has happened.
    fn synchronize(&self, event: Event);

    /// Calls `completion` once everything enqueued on `stream` so far has ended, from a thread of the backend
    /// (for the CPU's `Compute`, at once). Work that failed is told as an error: nothing it was to write may be
    /// used.
    fn notify(&mut self, stream: Stream, completion: Completion);

    /// Keeps host memory, whose bytes copies may name once they were registered with what comes back. `None`: the device
    /// reaches all memory, as the CPU does.
    fn pin(&mut self, _memory: Arc<HostArena>) -> Option<Arc<dyn PinnedMemory>> {
        None
    }

    /// Enqueues slice copies on `Load` (host → slot) or `Save` (slot → host).
    fn copy(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), ModelError>;

    /// Copies the first `valid` rows of a slot in all layers, on the compute stream: the start of a fork.
    fn copy_rows(&mut self, from_slot: u32, to_slot: u32, valid: u32) -> Result<(), ModelError>;
}
