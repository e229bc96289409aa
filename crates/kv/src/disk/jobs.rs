//! Transfers on their way between the tier's callers, its workers and its engine.

use std::sync::Arc;
use std::time::Instant;

use attentionstore_uring::{Panics, RegionRange};
use crossbeam_channel::{Receiver, Sender, unbounded};

use super::completion::{DiskCompletion, DiskDone, DiskOperation};
use super::extents::Extent;
use crate::error::KvError;
use crate::header::StoredBlock;
use crate::key::BlockKey;

/// Work on the way to the disk.
pub(super) enum Job {
    Write(WriteJob),
    Sync(SyncJob),
    /// Ends one worker.
    Stop,
}

/// A block to be sealed and written.
pub(super) struct WriteJob {
    pub(super) block: StoredBlock,
    pub(super) place: Place,
    pub(super) range: RegionRange,
    pub(super) number: u64,
    pub(super) ticket: Ticket,
}

/// A slot to be overwritten with zeros.
pub(super) struct EraseJob {
    pub(super) place: Place,
    pub(super) number: u64,
    pub(super) ticket: Ticket,
}

/// A flush whose turn has come.
pub(super) struct SyncJob {
    pub(super) ticket: Ticket,
}

/// A block to be read and verified.
pub(super) struct ReadJob {
    pub(super) key: BlockKey,
    pub(super) valid: usize,
    pub(super) slot: u32,
    pub(super) place: Place,
    pub(super) ticket: Ticket,
}

/// Where a slot lies: its extent, and its first byte in it.
pub(super) type Place = (Arc<Extent>, u64);

/// Who waits, and since when.
pub(super) struct Ticket {
    tag: u64,
    operation: DiskOperation,
    accepted: Instant,
    done: DiskDone,
}

impl Ticket {
    pub(super) fn new(tag: u64, operation: DiskOperation, done: DiskDone) -> Self {
        Self { tag, operation, accepted: Instant::now(), done }
    }

    /// A panic in the callback is told, and must not take a thread of the tier along.
    pub(super) fn finish(self, result: Result<(), KvError>, bytes: usize, panics: &Panics) {
        let Self { tag, operation, accepted, done } = self;
        let bytes = if result.is_ok() { bytes as u64 } else { 0 };
        let completion = DiskCompletion { tag, operation, result, bytes, duration: accepted.elapsed() };
        panics.guard(move || done(completion));
    }
}

/// What workers wait for. Unbounded, because the tier admits only so many transfers; two, because someone waits
/// for a verified read, which therefore goes first.
pub(super) struct Queues {
    pub(super) jobs: (Sender<Job>, Receiver<Job>),
    pub(super) reads: (Sender<ReadBack>, Receiver<ReadBack>),
}

/// A read that has come back from the disk, to be verified.
pub(super) type ReadBack = (ReadJob, RegionRange);

impl Default for Queues {
    fn default() -> Self {
        Self { jobs: unbounded(), reads: unbounded() }
    }
}

impl Queues {
    /// Never blocks, so that it may be called from an engine's callback.
    pub(super) fn send(&self, job: Job) {
        // Cannot fail: the receiver lies beside the sender.
        let _ = self.jobs.0.send(job);
    }

    pub(super) fn stop(&self, workers: usize) {
        (0..workers).for_each(|_| self.send(Job::Stop));
    }

    pub(super) fn verify(&self, job: ReadJob, range: RegionRange) {
        // As in `send`.
        let _ = self.reads.0.send((job, range));
    }
}
