//! A wrapper that measures what goes through an engine.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::error::Operation;
use crate::request::{Completion, Engine, Request};

/// What one direction has done since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct DirectionStats {
    /// Requests that succeeded.
    pub operations: u64,
    /// Bytes of the requests that succeeded.
    pub bytes: u64,
    /// Requests that failed.
    pub errors: u64,
    /// Requests submitted and not complete.
    pub in_flight: u64,
    /// Most requests in flight at any moment.
    pub in_flight_max: u64,
    /// Time during which at least one request was in flight: `bytes / busy` is the rate of the device.
    pub busy: Duration,
    /// Sum over complete requests of the time from submission to completion.
    pub latency: Duration,
}

/// What went through, one snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct IoStats {
    pub read: DirectionStats,
    pub write: DirectionStats,
    pub sync: DirectionStats,
}

/// Counts bytes, requests, queue depth and time of the engine inside. Waiting inside it counts too, so around
/// a [`crate::Limited`] engine it measures what a caller gets.
pub struct Measured {
    inner: Arc<dyn Engine>,
    meters: Arc<Mutex<[Meter; 3]>>,
}

#[derive(Clone, Copy, Default)]
struct Meter {
    stats: DirectionStats,
    busy_since: Option<Instant>,
}

impl Measured {
    pub fn new(inner: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { inner, meters: Arc::default() })
    }

    /// All directions at one moment.
    pub fn stats(&self) -> IoStats {
        let now = Instant::now();
        let [read, write, sync] = lock(&self.meters).map(|meter| meter.at(now));
        IoStats { read, write, sync }
    }
}

impl Engine for Measured {
    fn submit(&self, request: Request) {
        let (operation, bytes) = (request.operation(), request.bytes() as u64);
        let started = Instant::now();
        lock(&self.meters)[place(operation)].begin(started);
        let meters = self.meters.clone();
        self.inner.submit(request.intercept(move |completion: &mut Completion| {
            let succeeded = completion.result.is_ok().then_some(bytes);
            lock(&meters)[place(operation)].end(started, Instant::now(), succeeded);
        }));
    }

    fn close(&self) {
        self.inner.close();
    }
}

impl Meter {
    fn begin(&mut self, now: Instant) {
        self.stats.in_flight += 1;
        self.stats.in_flight_max = self.stats.in_flight_max.max(self.stats.in_flight);
        self.busy_since.get_or_insert(now);
    }

    fn end(&mut self, started: Instant, now: Instant, succeeded: Option<u64>) {
        match succeeded {
            Some(bytes) => {
                self.stats.operations += 1;
                self.stats.bytes += bytes;
            }
            None => self.stats.errors += 1,
        }
        self.stats.latency += now.saturating_duration_since(started);
        self.stats.in_flight -= 1;
        if self.stats.in_flight == 0
            && let Some(since) = self.busy_since.take()
        {
            self.stats.busy += now.saturating_duration_since(since);
        }
    }

    fn at(self, now: Instant) -> DirectionStats {
        let open = self.busy_since.map_or(Duration::ZERO, |since| now.saturating_duration_since(since));
        DirectionStats { busy: self.stats.busy + open, ..self.stats }
    }
}

fn place(operation: Operation) -> usize {
    match operation {
        Operation::Read => 0,
        Operation::Write => 1,
        Operation::Sync => 2,
    }
}

fn lock(meters: &Mutex<[Meter; 3]>) -> MutexGuard<'_, [Meter; 3]> {
    meters.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_time_counts_overlapping_requests_once() {
        let (mut meter, start) = (Meter::default(), Instant::now());
        let at = |ms| start + Duration::from_millis(ms);
        meter.begin(at(0));
        meter.begin(at(10));
        meter.end(at(0), at(20), Some(100));
        assert_eq!(meter.at(at(25)).busy, Duration::from_millis(25));
        meter.end(at(10), at(30), None);
        meter.begin(at(100));
        meter.end(at(100), at(105), Some(1));
        let stats = meter.at(at(1000));
        assert_eq!(stats.busy, Duration::from_millis(35));
        assert_eq!(stats.latency, Duration::from_millis(20 + 20 + 5));
        assert_eq!((stats.operations, stats.bytes, stats.errors), (2, 101, 1));
        assert_eq!((stats.in_flight, stats.in_flight_max), (0, 2));
    }
}
