//! Host memory that the card's copy engines reach by themselves.

use std::sync::Arc;

use attentionstore_cuda::runtime::HostRegistration;
use attentionstore_cuda::{CudaError, Device};
use attentionstore_kv::arena::HostArena;

/// Arenas kept and registered until dropped.
#[derive(Default)]
pub struct PinnedMemory(Vec<Pinned>);

struct Pinned {
    // Before the arena: the memory must still be there when it is given up.
    _registration: HostRegistration,
    arena: Arc<HostArena>,
}

impl PinnedMemory {
    /// # Errors
    /// The driver refuses the memory.
    pub fn add(&mut self, device: &Device, arena: Arc<HostArena>) -> Result<(), CudaError> {
        // SAFETY: the arena never moves, and is kept longer than its registration.
        let registration = unsafe { HostRegistration::new(device, arena.base().as_ptr(), arena.len()) }?;
        self.0.push(Pinned { _registration: registration, arena });
        Ok(())
    }

    /// Whether `bytes` from `start` on lie in one of them.
    pub fn holds(&self, start: *const u8, bytes: usize) -> bool {
        self.0.iter().any(|Pinned { arena, .. }| {
            let base = arena.base().as_ptr().addr();
            start.addr() >= base && start.addr() + bytes <= base + arena.len()
        })
    }
}
