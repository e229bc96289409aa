//! Host memory that the card's copy engines reach by themselves.

use std::ops::Range;
use std::sync::{Arc, Mutex, PoisonError};

use attentionstore_cuda::Device;
use attentionstore_cuda::runtime::{HostRegistration, MemoryCopy};
use attentionstore_kv::arena::HostArena;

use super::options::device_error;
use crate::backend::PinnedMemory;
use crate::error::ModelError;

/// Arenas whose bytes copies may name.
#[derive(Default)]
pub struct PinnedArenas(Vec<Arc<PinnedArena>>);

/// An arena of which part after part is registered.
struct PinnedArena {
    ordinal: usize,
    // Before the arena: the memory must still be there when it is given up.
    registration: Mutex<HostRegistration>,
    arena: Arc<HostArena>,
    part_bytes: usize,
}

impl PinnedMemory for PinnedArena {
    fn part_bytes(&self) -> usize {
        self.part_bytes
    }

    fn register(&self, bytes: Range<usize>) -> Result<(), ModelError> {
        let end = bytes.end.min(self.arena.len());
        let mut registration = self.registration.lock().unwrap_or_else(PoisonError::into_inner);
        for from in (bytes.start..end).step_by(self.part_bytes) {
            let length = self.part_bytes.min(end - from);
            // SAFETY: inside the arena, which never moves and is kept longer than its registration.
            unsafe { registration.add(self.arena.base().as_ptr().add(from), length) }
                .map_err(|error| device_error(self.ordinal, &error))?;
        }
        Ok(())
    }
}

impl PinnedArenas {
    /// Keeps the arena. Its bytes are registered in parts of `part_bytes`, whole pages, later on.
    pub fn add(
        &mut self,
        device: &Device,
        ordinal: usize,
        arena: Arc<HostArena>,
        part_bytes: usize,
    ) -> Arc<dyn PinnedMemory> {
        let registration = Mutex::new(HostRegistration::none(device));
        let pinned = Arc::new(PinnedArena { ordinal, registration, arena, part_bytes });
        self.0.push(pinned.clone());
        pinned
    }

    /// Adds `copy`, whose host side is `host`, to `copies`, in pieces that each lie in one part. False: its memory is in no
    /// pinned arena, and the copy is added whole.
    pub fn split(&self, copy: MemoryCopy, host: *const u8, copies: &mut Vec<MemoryCopy>) -> bool {
        for pinned in &self.0 {
            let PinnedArena { arena, part_bytes, .. } = pinned.as_ref();
            let offset = host.addr().wrapping_sub(arena.base().as_ptr().addr());
            if offset < arena.len() && copy.bytes <= arena.len() - offset {
                copies.extend(copy.within(*part_bytes, offset));
                return true;
            }
        }
        copies.push(copy);
        false
    }
}
