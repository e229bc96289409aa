//! What a disk tier is opened with.

use std::path::PathBuf;

use attentionstore_uring::{EngineChoice, EngineOptions, Panics, RateLimits};

use super::extent_name::EXTENT_BYTES;
use super::space::Allocator;
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
    /// Bound on the bytes that all files of the directory take on the disk.
    pub capacity_bytes: u64,
    /// Bytes of a whole extent; 1 GiB, or less in tests.
    pub extent_bytes: u64,
    /// Takes room from the file system.
    pub allocator: Allocator,
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
            extent_bytes: EXTENT_BYTES,
            allocator: Allocator::default(),
            queue: 256,
            workers: 2,
            depth: 32,
            choice: EngineChoice::Auto,
            limits: RateLimits::default(),
            panics: Panics::default(),
        }
    }

    /// The engine's queue holds all that the tier accepts, so that handing over never blocks.
    pub(super) fn engine(&self, panics: Panics) -> EngineOptions {
        EngineOptions { depth: self.depth, queue: 2 * self.queue, panics, ..EngineOptions::default() }
    }
}
