//! What the engine reports: replies of steps, ends of transfers, its own failure. Mirrors `ts/engine/types.ts`;
//! `crates/engine/wire.json` describes how it crosses.

use std::fmt::Display;

use attentionstore_model::sampling::{Sampled, Scored};
pub use attentionstore_output::Part as OutputPart;

use crate::error::EngineError;

/// What became of one planned row group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowStatus {
    Ok,
    /// The sequence had finished before this step.
    Noop,
    /// A load it depends on failed: nothing was sampled, saved or made visible.
    Void,
    /// What its answer is held to did not say in time which tokens may come, or did not before: nothing was sampled or
    /// made visible.
    Late,
}

/// Why an answer ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finish {
    /// One of the model's end tokens.
    EndToken,
    /// A token of the request's `stop_tokens`.
    StopToken(u32),
    StopString(String),
    /// `max_tokens`.
    Length,
    /// No token may come next: what the answer is held to, bans and bias leave none.
    NoneAllowed,
    /// What the answer is held to takes more work or time for a token than is given to it.
    ConstraintFailed,
}

/// The end of an answer: what the token record and the last block are made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    pub reason: Finish,
    /// Answer tokens that lie wholly inside the returned answer, its markers included, and the UTF-8 bytes they cover.
    pub inside_tokens: u32,
    pub inside_bytes: u32,
    /// Leading answer tokens that are reasoning and its markers.
    pub reasoning_tokens: u32,
    /// Tokens of the sequence whose KV is kept.
    pub computed_tokens: u32,
    /// Key of the last block if it is partly filled.
    pub tail_key: Option<[u8; 32]>,
}

/// A block by its index in the sequence, and its key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilledBlock {
    pub index: u32,
    pub key: [u8; 32],
}

#[derive(Clone, Debug, PartialEq)]
pub struct RowResult {
    pub sequence: u32,
    pub status: RowStatus,
    /// The sampled token; none where an end or stop token ended the answer, or no token may come next.
    pub sampled: Option<Sampled>,
    /// Parts of the answer that can be shown now.
    pub parts: Vec<OutputPart>,
    /// Where the request asks about its prompt: the scores of the prompt tokens behind these rows, in order.
    pub scored: Vec<Scored>,
    /// The view blocks that these rows filled.
    pub filled: Vec<FilledBlock>,
    pub finished: Option<Finished>,
}

impl RowResult {
    pub fn without_work(sequence: u32, status: RowStatus) -> Self {
        Self {
            sequence,
            status,
            sampled: None,
            parts: Vec::new(),
            scored: Vec::new(),
            filled: Vec::new(),
            finished: None,
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct StepReply {
    pub step: u32,
    pub rows: Vec<RowResult>,
    pub step_ms: f32,
    /// Of `step_ms`, spent waiting for loads.
    pub load_stall_ms: f32,
    /// Layers that had to wait for a load.
    pub stalled_layers: u32,
}

/// Why a transfer failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reason {
    /// A stable name for this kind of failure.
    pub code: String,
    /// The same for people, with what it is about.
    pub detail: String,
}

impl Reason {
    pub fn of(error: &EngineError) -> Self {
        Self::new(error.code(), error)
    }

    pub fn new(code: &str, detail: impl Display) -> Self {
        Self { code: code.to_owned(), detail: detail.to_string() }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub struct TransferDone {
    pub id: u32,
    /// None if it succeeded.
    pub error: Option<Reason>,
    pub bytes: u64,
    pub ms: f32,
}

impl TransferDone {
    /// A transfer that moved nothing, and for that took no time.
    pub fn failed(id: u32, reason: Reason) -> Self {
        Self { id, error: Some(reason), bytes: 0, ms: 0.0 }
    }
}

/// A tier whose slots lie in memory, or on a disk, that is taken from the system as it is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GrowingTier {
    Hbm,
    Dram,
    Ssd,
}

/// How far the memory or the files of a tier have come.
#[derive(Clone, Debug, PartialEq)]
pub struct TierCommitted {
    pub tier: GrowingTier,
    /// Slots that may be used, from the first on; never fewer than before.
    pub slots: u32,
    /// Why there are fewer than were asked for.
    pub refused: Option<Reason>,
}

/// The end of the extents of another model or layout, which made room for the engine's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExtentGivenUp {
    /// As in `EngineInfo::extents`.
    pub owner: String,
    /// Slots from the first on that it has left.
    pub slots_left: u32,
    /// That the disk got back.
    pub bytes: u64,
}

#[derive(Clone, Debug, PartialEq)]
pub enum EngineEvent {
    Step(StepReply),
    Transfer(TransferDone),
    Committed(TierCommitted),
    GivenUp(ExtentGivenUp),
    /// The engine can do no more.
    Failed {
        code: String,
        message: String,
    },
}
