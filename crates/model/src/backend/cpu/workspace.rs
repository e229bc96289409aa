//! What every thread keeps for itself: expanded tiles and running sums.

use std::sync::{Mutex, MutexGuard, PoisonError};

use super::attention::AttentionScratch;
use super::simd::{LANES, Lanes};

/// Inputs of a weight tile expanded at once: with 16 columns 16 KiB, half of a first-level cache. Half as many with two
/// panels, unless a stored block is longer.
pub const TILE_INPUTS: usize = 256;
/// A tile of two panels of a stored block each.
const MOST_TILE_LANES: usize = 2 * TILE_INPUTS;

/// One thread's scratch memory.
pub struct Workspace {
    /// An expanded tile of weights.
    pub tile: Vec<Lanes>,
    /// Sums of a task's panels: `[panel][row]`.
    pub sums: Vec<Lanes>,
    pub attention: AttentionScratch,
}

/// One workspace a thread. A thread takes its own, so no lock is ever waited for.
pub struct Workspaces(Vec<Mutex<Workspace>>);

impl Workspaces {
    /// For `threads` threads, with `sums` sums each.
    pub fn new(threads: usize, sums: usize, attention: impl Fn() -> AttentionScratch) -> Self {
        let one = || Workspace {
            tile: vec![[0.0; LANES]; MOST_TILE_LANES],
            sums: vec![[0.0; LANES]; sums],
            attention: attention(),
        };
        Workspaces((0..threads).map(|_| Mutex::new(one())).collect())
    }

    /// The workspace of `thread`.
    pub fn of(&self, thread: usize) -> MutexGuard<'_, Workspace> {
        // A task that panicked has failed its whole step; what it left here is overwritten before it is read.
        self.0[thread].lock().unwrap_or_else(PoisonError::into_inner)
    }
}
