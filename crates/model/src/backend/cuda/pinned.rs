//! Host memory that the card's copy engines reach by themselves.

use std::sync::Arc;

use attentionstore_cuda::runtime::{HostRegistration, MemoryCopy};
use attentionstore_cuda::{CudaError, Device};
use attentionstore_kv::arena::HostArena;

/// Arenas kept and registered until dropped.
#[derive(Default)]
pub struct PinnedMemory(Vec<Pinned>);

struct Pinned {
    // Before the arena: the memory must still be there when it is given up.
    _registration: HostRegistration,
    arena: Arc<HostArena>,
    /// Bytes registered in one piece.
    chunk_bytes: usize,
}

impl PinnedMemory {
    /// Registers the arena in chunks of `chunk_bytes`.
    ///
    /// # Errors
    /// The driver refuses the memory.
    pub fn add(
        &mut self,
        device: &Device,
        arena: Arc<HostArena>,
        chunk_bytes: usize,
    ) -> Result<(), CudaError> {
        let (start, bytes) = (arena.base().as_ptr(), arena.len());
        // SAFETY: the arena never moves, and is kept longer than its registration.
        let registration = unsafe { HostRegistration::in_chunks(device, start, bytes, chunk_bytes) }?;
        self.0.push(Pinned { _registration: registration, arena, chunk_bytes });
        Ok(())
    }

    /// Adds `copy`, whose host side is `host`, to `copies`, in pieces that each lie in one chunk. False: its memory is not
    /// registered, and the copy is added whole.
    pub fn split(&self, copy: MemoryCopy, host: *const u8, copies: &mut Vec<MemoryCopy>) -> bool {
        for Pinned { arena, chunk_bytes, .. } in &self.0 {
            let offset = host.addr().wrapping_sub(arena.base().as_ptr().addr());
            if offset < arena.len() && copy.bytes <= arena.len() - offset {
                copies.extend(copy.within(*chunk_bytes, offset));
                return true;
            }
        }
        copies.push(copy);
        false
    }
}
