//! What the tier's workers and its engine's callbacks need.

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use attentionstore_uring::{Measured, Panics};

use super::extents::Extents;
use super::flights::Flights;
use super::jobs::{Queues, SyncJob};
use crate::header::HeaderForm;

pub(super) struct Shared {
    pub(super) form: HeaderForm,
    pub(super) extents: Extents,
    pub(super) engine: Arc<Measured>,
    pub(super) flights: Arc<Flights<SyncJob>>,
    pub(super) queues: Queues,
    /// Blocks read that were not what was asked for.
    pub(super) damaged: AtomicU64,
    /// Of threads: the end of a transfer may be lost with them.
    pub(super) panics: Panics,
    /// Of callbacks, which lose nothing.
    pub(super) callback_panics: Panics,
}
