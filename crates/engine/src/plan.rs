//! What a step does, as TypeScript planned it. Mirrors `ts/engine/types.ts`; `crates/engine/wire.json` describes how
//! it crosses.

/// Tokens `[from, from + count)` of a sequence, by token index; all of one epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanRow {
    pub sequence: u32,
    pub from: u32,
    pub count: u32,
    /// Sample the token after the last row.
    pub sample: bool,
}

/// Block `index` of a sequence, counted from its first token, lies in `hbm` slot `slot` from this step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableUpdate {
    pub sequence: u32,
    pub index: u32,
    pub slot: u32,
}

/// Save block `index` layer by layer beside this step; `valid` rows of it hold KV afterwards.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PlanSave {
    pub id: u32,
    pub sequence: u32,
    pub index: u32,
    pub dram_slot: u32,
    pub valid: u32,
}

/// One step. Only what changed since the last plan is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StepPlan {
    pub step: u32,
    /// Sequences whose block table is emptied first: they come back after preemption.
    pub resets: Vec<u32>,
    pub tables: Vec<TableUpdate>,
    pub rows: Vec<PlanRow>,
    pub saves: Vec<PlanSave>,
}

/// A movement outside a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transfer {
    pub id: u32,
    pub kind: TransferKind,
}

impl TransferKind {
    /// It moves bytes between dram and ssd, and does not pass the engine thread.
    pub fn is_disk(&self) -> bool {
        matches!(self, Self::Read { .. } | Self::Write { .. } | Self::Erase { .. } | Self::Flush)
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TransferKind {
    /// dram → hbm, layer by layer; later steps that read the slot wait for it layer by layer.
    Load { dram_slot: u32, hbm_slot: u32 },
    /// hbm → dram, all layers; rows from `valid` on are zeroed in dram.
    Save { hbm_slot: u32, dram_slot: u32, valid: u32 },
    /// ssd → dram, verified against `key` and `valid`.
    Read { ssd_slot: u32, dram_slot: u32, key: [u8; 32], valid: u32 },
    /// dram → ssd, with a header that says which block it is.
    Write { dram_slot: u32, ssd_slot: u32, block: WrittenBlock },
    /// The first `valid` rows of one hbm slot to another, before the next step.
    Copy { from_hbm_slot: u32, to_hbm_slot: u32, valid: u32 },
    /// Overwrites an ssd slot with zeros, header and all.
    Erase { ssd_slot: u32 },
    /// Done when every write and erasure enqueued before it is durable.
    Flush,
    /// Compares what lies in a dram slot with the checksum that it has had since its save or read.
    Check { dram_slot: u32 },
}

/// A block as its header on ssd describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WrittenBlock {
    pub key: [u8; 32],
    /// Key of the block before it, or the root.
    pub parent: [u8; 32],
    /// Counted from the sequence's first token.
    pub index: u32,
    /// What the key depends on besides: only of a block that starts at or after the window.
    pub view: Option<WrittenView>,
    /// Milliseconds since 1970.
    pub last_use: u64,
    /// Its token ids; as many of its rows hold KV.
    pub tokens: Vec<u32>,
}

/// Window, kept head and step, in tokens.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct WrittenView {
    pub window: u32,
    pub head: u32,
    pub step: u32,
}
