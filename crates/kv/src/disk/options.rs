//! What a disk tier is opened with.

use std::path::PathBuf;

use attentionstore_uring::{EngineChoice, EngineOptions, Panics, RateLimits};

use crate::error::KvError;
use crate::layout::KvLayout;
use crate::seal::Sealer;

/// Where the tier lies, how big it may be, and how it does I/O.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// The `ssd/` directory; made if it does not exist.
    pub directory: PathBuf,
    pub layout: KvLayout,
    /// Identity of everything that a block's bytes depend on, without tenant and salt: blocks of another are foreign.
    pub model: [u8; 32],
    /// Seals the token ids in headers.
    pub sealer: Sealer,
    /// Bound on the bytes of all slot files in the directory.
    pub capacity_bytes: u64,
    /// Reads, writes and flushes under way, each; more are refused.
    pub queue: usize,
    /// Threads that compute checksums.
    pub workers: usize,
    /// Requests at the device at once.
    pub depth: usize,
    pub choice: EngineChoice,
    /// Real limits of the rates, in bytes a second.
    pub limits: RateLimits,
    /// Where panics of the tier's threads, and of callbacks on them, are told. One of a thread may have lost the end of a
    /// transfer: the tier accepts nothing any more, and does not wait for what is under way when it is closed.
    pub panics: Panics,
}

impl DiskOptions {
    /// The defaults: 256 transfers of each kind under way, two workers, the best engine, no limits.
    pub fn new(
        directory: impl Into<PathBuf>,
        layout: KvLayout,
        model: [u8; 32],
        sealer: Sealer,
        capacity_bytes: u64,
    ) -> Self {
        Self {
            directory: directory.into(),
            layout,
            model,
            sealer,
            capacity_bytes,
            queue: 256,
            workers: 2,
            depth: 32,
            choice: EngineChoice::Auto,
            limits: RateLimits::default(),
            panics: Panics::default(),
        }
    }

    /// How many slots the bound has room for.
    ///
    /// # Errors
    /// [`KvError::Invalid`] if not even one fits.
    pub fn slots(&self) -> Result<u32, KvError> {
        let slot_bytes = self.layout.host_slot_bytes() as u64;
        let slots = u32::try_from(self.capacity_bytes / slot_bytes).unwrap_or(u32::MAX);
        if slots == 0 {
            return Err(KvError::Invalid {
                what: "bytes of the ssd tier",
                detail: format!("{} bytes are too few: one slot has {slot_bytes}", self.capacity_bytes),
            });
        }
        Ok(slots)
    }

    /// The engine's queue holds all that the tier accepts, so that handing over never blocks.
    pub(super) fn engine(&self, panics: Panics) -> EngineOptions {
        EngineOptions { depth: self.depth, queue: 2 * self.queue, panics, ..EngineOptions::default() }
    }
}
