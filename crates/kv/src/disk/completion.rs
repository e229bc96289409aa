//! What the tier tells of a transfer that has ended.

use std::time::Duration;

use crate::error::KvError;

/// What a completion is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DiskOperation {
    Read,
    Write,
    Erase,
    Flush,
}

/// The outcome of an accepted read, write, erasure or flush.
#[derive(Debug)]
pub struct DiskCompletion {
    pub tag: u64,
    pub operation: DiskOperation,
    pub result: Result<(), KvError>,
    /// Bytes moved; 0 for a flush, and for what failed.
    pub bytes: u64,
    /// From acceptance to completion, waiting in queues included.
    pub duration: Duration,
}

/// Takes a completion, on a thread of the tier or of its engine: it must be short and must not call the tier.
pub type DiskDone = Box<dyn FnOnce(DiskCompletion) + Send>;

impl DiskCompletion {
    /// A callback that sends the completion to a channel (and drops it if nobody listens any more).
    pub fn to(sender: &crossbeam_channel::Sender<DiskCompletion>) -> DiskDone {
        let sender = sender.clone();
        Box::new(move |completion| drop(sender.send(completion)))
    }
}
