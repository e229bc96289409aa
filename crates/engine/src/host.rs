//! The dram tier as the engine sees it: numbered slots in the host arena.

use std::sync::Arc;

use attentionstore_kv::arena::HostArena;
use attentionstore_kv::{KvError, KvLayout};

use crate::error::EngineError;

/// Slots of [`KvLayout::host_slot_bytes`] in one arena. Cloning shares the arena.
#[derive(Clone)]
pub struct HostSlots {
    arena: Arc<HostArena>,
    layout: KvLayout,
    count: u32,
}

impl HostSlots {
    pub fn new(arena: Arc<HostArena>, layout: KvLayout, count: u32) -> Self {
        assert!(count as usize * layout.host_slot_bytes() <= arena.len(), "the arena holds all slots");
        Self { arena, layout, count }
    }

    /// The memory that the slots lie in.
    pub fn arena(&self) -> &Arc<HostArena> {
        &self.arena
    }

    /// Slots that there are.
    pub fn count(&self) -> u32 {
        self.count
    }

    pub fn layout(&self) -> &KvLayout {
        &self.layout
    }

    /// Checks a slot number that came from outside.
    pub fn check(&self, slot: u32) -> Result<u32, EngineError> {
        if slot < self.count {
            return Ok(slot);
        }
        let detail = format!("slot {slot} of {}", self.count);
        Err(EngineError::Kv(KvError::Invalid { what: "dram slot", detail }))
    }

    /// First byte of a slot: its header page. `slot` was checked.
    pub fn slot(&self, slot: u32) -> *mut u8 {
        debug_assert!(slot < self.count);
        // SAFETY: the slot lies inside the arena, as `new` asserted and `check` keeps.
        unsafe { self.arena.base().as_ptr().add(slot as usize * self.layout.host_slot_bytes()) }
    }

    /// First byte of layer `layer`'s slice in a slot.
    pub fn slice(&self, slot: u32, layer: usize) -> *mut u8 {
        // SAFETY: as above; the slice lies inside the slot.
        unsafe { self.slot(slot).add(self.layout.slice_offset(layer)) }
    }

    /// Zeroes the rows of all slices beyond `valid`, so that bytes nobody computed are never stored.
    ///
    /// # Safety
    /// Nobody else reads or writes the slot meanwhile.
    pub unsafe fn zero_tails(&self, slot: u32, valid: u32) -> Result<(), KvError> {
        let bytes = self.layout.host_slot_bytes();
        // SAFETY: the slot lies inside the arena; the caller keeps others away.
        let host_slot = unsafe { std::slice::from_raw_parts_mut(self.slot(slot), bytes) };
        self.layout.zero_tails(host_slot, valid as usize)
    }
}
