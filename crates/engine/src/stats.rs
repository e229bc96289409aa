//! Figures since start, readable from any thread while the engine runs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Instant;

/// Bytes, operations and busy time of one stream of copies. Overlapping batches count the time once: a batch is
/// busy from its enqueueing, or from the end of the batch before it, to its own end.
#[derive(Default)]
pub struct StreamMeter {
    bytes: AtomicU64,
    busy_ns: AtomicU64,
    /// Batches enqueued and not done.
    depth: AtomicU64,
    /// End of the last batch, in nanoseconds since the engine's start.
    last_end_ns: AtomicU64,
}

impl StreamMeter {
    pub fn enqueued(&self) {
        self.depth.fetch_add(1, Relaxed);
    }

    /// Counts a batch that has ended now; returns its busy time in milliseconds.
    pub fn ended(&self, epoch: Instant, enqueued: Instant, bytes: u64) -> f32 {
        let now = epoch.elapsed().as_nanos() as u64;
        let start = (enqueued - epoch).as_nanos() as u64;
        let busy = now - start.max(self.last_end_ns.swap(now, Relaxed)).min(now);
        self.depth.fetch_sub(1, Relaxed);
        self.bytes.fetch_add(bytes, Relaxed);
        self.busy_ns.fetch_add(busy, Relaxed);
        (busy as f64 / 1e6) as f32
    }

    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    pub fn busy_ms(&self) -> f64 {
        self.busy_ns.load(Relaxed) as f64 / 1e6
    }

    pub fn depth(&self) -> u64 {
        self.depth.load(Relaxed)
    }
}

/// Steps and their time.
#[derive(Default)]
pub struct StepMeter {
    pub steps: AtomicU64,
    pub compute_ns: AtomicU64,
    pub stall_ns: AtomicU64,
    pub stalled_layers: AtomicU64,
}

/// Masks of answers that are held to something.
#[derive(Default)]
pub struct MaskMeter {
    pub masks: AtomicU64,
    pub busy_ns: AtomicU64,
    /// Rows that were not sampled because their mask was not ready.
    pub late_rows: AtomicU64,
}

pub struct Meters {
    /// What `last_end_ns` counts from.
    pub epoch: Instant,
    pub step: StepMeter,
    pub load: StreamMeter,
    pub save: StreamMeter,
    pub mask: MaskMeter,
}

impl Meters {
    pub fn new() -> Self {
        Self {
            epoch: Instant::now(),
            step: StepMeter::default(),
            load: StreamMeter::default(),
            save: StreamMeter::default(),
            mask: MaskMeter::default(),
        }
    }
}

impl Default for Meters {
    fn default() -> Self {
        Self::new()
    }
}
