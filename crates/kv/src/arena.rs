//! Host memory for blocks: one anonymous mapping with huge pages, first touched in parallel.

use std::ptr::NonNull;

use crate::error::KvError;

/// A page-aligned, zeroed, anonymous mapping. Never moves, never grows.
///
/// The arena hands out raw addresses and synchronises nothing: who may read or write which bytes when is
/// decided by the directory (TypeScript) and kept by the engine's events.
pub struct HostArena {
    base: NonNull<u8>,
    bytes: usize,
}

// SAFETY: the arena is plain memory; see the type's contract on who may touch which bytes.
unsafe impl Send for HostArena {}
// SAFETY: as above.
unsafe impl Sync for HostArena {}
