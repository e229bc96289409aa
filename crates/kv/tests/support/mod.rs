//! A small tier with its arena, and blocks whose bytes follow from a number.
#![allow(dead_code)]

use std::path::Path;
use std::sync::Arc;

use attentionstore_kv::header::TOKENS_PURPOSE;
use attentionstore_kv::seal::Sealer;
use attentionstore_kv::{
    BlockKey, BlockTransfer, DiskCompletion, DiskDone, DiskOptions, DiskTier, HostArena, KvDtype, KvError,
    KvLayout, SliceOrder, StoredBlock,
};
use attentionstore_uring::fault::FaultEngine;
use crossbeam_channel::{Receiver, Sender, unbounded};

/// Two layers, odd sizes: a slot is a header page and two slices of 12 KiB.
pub fn layout() -> KvLayout {
    KvLayout { layers: 2, kv_heads: 3, head_dim: 16, dtype: KvDtype::Bf16, order: SliceOrder::KeysByDim }
}

/// A tier for `slots` blocks over a fresh arena of `host_slots`.
pub struct Bench {
    pub tier: DiskTier,
    pub faults: Arc<FaultEngine>,
    pub arena: Arc<HostArena>,
    sender: Sender<DiskCompletion>,
    receiver: Receiver<DiskCompletion>,
}

impl Bench {
    pub fn open(directory: &Path, slots: u64) -> Self {
        Self::open_with(&options(directory, slots))
    }

    pub fn open_with(options: &DiskOptions) -> Self {
        Self::try_open(options).unwrap()
    }

    pub fn try_open(options: &DiskOptions) -> Result<Self, KvError> {
        let arena = Arc::new(HostArena::new(2 << 20)?);
        let mut faults = None;
        let tier = DiskTier::open_with(options, std::slice::from_ref(&arena), |engine| {
            let engine = FaultEngine::new(engine);
            faults = Some(engine.clone());
            engine
        })?;
        let (sender, receiver) = unbounded();
        Ok(Self { tier, faults: faults.unwrap(), arena, sender, receiver })
    }

    /// The bytes of a host slot. The tests use a slot for one thing at a time.
    #[allow(clippy::mut_from_ref)]
    pub fn host(&self, index: usize) -> &mut [u8] {
        // SAFETY: see above.
        unsafe { self.arena.slot_mut(layout().host_slot_bytes(), index).unwrap() }
    }

    /// The payload of a host slot.
    pub fn payload(&self, index: usize) -> &mut [u8] {
        &mut self.host(index)[4096..4096 + layout().block_bytes()]
    }

    pub fn transfer(&self, host: usize, slot: u32) -> BlockTransfer {
        let host = self.arena.slot(layout().host_slot_bytes(), host).unwrap();
        BlockTransfer { host, slot, tag: u64::from(slot) }
    }

    pub fn begin_write(&self, host: usize, slot: u32, block: &Block) -> Result<(), KvError> {
        block.fill(self.payload(host));
        let transfer = self.transfer(host, slot);
        // SAFETY: the tests touch the slot again only after the completion.
        unsafe { self.tier.write(transfer, block.stored(), DiskCompletion::to(&self.sender)) }
    }

    pub fn begin_read(&self, host: usize, slot: u32, block: &Block) -> Result<(), KvError> {
        let transfer = self.transfer(host, slot);
        // SAFETY: as in `begin_write`.
        unsafe { self.tier.read(transfer, block.key(), block.valid, DiskCompletion::to(&self.sender)) }
    }

    /// What lies in the files of the tier's slots, one after the other.
    pub fn bytes(&self) -> Vec<u8> {
        self.tier.paths().iter().flat_map(|path| std::fs::read(path).unwrap()).collect()
    }

    /// A callback that sends to this bench.
    pub fn done(&self) -> DiskDone {
        DiskCompletion::to(&self.sender)
    }

    /// Until the engine has so many requests in its hands; the tier's workers need a moment.
    pub fn wait_until_held(&self, count: usize) {
        while self.faults.held() < count {
            std::thread::yield_now();
        }
    }

    pub fn begin_flush(&self, tag: u64) -> Result<(), KvError> {
        self.tier.flush(tag, DiskCompletion::to(&self.sender))
    }

    pub fn next(&self) -> DiskCompletion {
        self.receiver.recv().unwrap()
    }

    pub fn pending(&self) -> usize {
        self.receiver.len()
    }

    pub fn write(&self, slot: u32, block: &Block) -> Result<(), KvError> {
        self.begin_write(0, slot, block)?;
        self.next().result
    }

    pub fn flush(&self) -> Result<(), KvError> {
        self.begin_flush(0)?;
        self.next().result
    }

    /// Reads into a host slot full of rubbish; on success the payload must be the block's.
    pub fn read(&self, slot: u32, block: &Block) -> Result<(), KvError> {
        self.host(1).fill(0xee);
        self.begin_read(1, slot, block)?;
        self.next().result?;
        let mut expected = vec![0; layout().block_bytes()];
        block.fill(&mut expected);
        assert!(self.payload(1) == expected, "the tier served other bytes than {block:?}");
        Ok(())
    }
}

/// Bytes of a slot of [`layout`].
pub fn slot_bytes() -> u64 {
    layout().host_slot_bytes() as u64
}

/// What the directory itself and the file system's books may take of a bound besides slots.
pub const BOOKS: u64 = 16 << 10;

pub fn options(directory: &Path, slots: u64) -> DiskOptions {
    let sealer = Sealer::new(&[3; 32], TOKENS_PURPOSE);
    DiskOptions::new(directory, layout(), [4; 32], sealer, slots * slot_bytes() + BOOKS)
}

/// A block whose key and bytes follow from `seed`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    pub seed: u64,
    pub valid: usize,
}

impl Block {
    pub fn full(seed: u64) -> Self {
        Self { seed, valid: 64 }
    }

    pub fn key(&self) -> BlockKey {
        let mut key = [0; 32];
        key[..8].copy_from_slice(&self.seed.to_le_bytes());
        key[8] = 0x6b;
        key
    }

    pub fn stored(&self) -> StoredBlock {
        let tokens = (0..self.valid as u32).map(|at| self.seed as u32 ^ at).collect();
        StoredBlock { key: self.key(), parent: [9; 32], index: 2, view: None, last_use: self.seed, tokens }
    }

    /// Pseudo-random bytes (splitmix64), rows beyond `valid` zeroed.
    pub fn fill(&self, payload: &mut [u8]) {
        let mut state = self.seed;
        for word in payload.chunks_exact_mut(8) {
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            word.copy_from_slice(&(mixed ^ (mixed >> 27)).to_le_bytes());
        }
        for slice in payload.chunks_exact_mut(layout().slice_bytes()) {
            layout().zero_tail(slice, self.valid).unwrap();
        }
    }
}
