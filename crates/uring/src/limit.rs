//! A wrapper that holds an engine to a rate, each direction to its own.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, current};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, Sender, bounded};
use rustix::io::Errno;

use crate::error::{IoError, Operation};
use crate::panics::Panics;
use crate::request::{Engine, Request};

/// An idle direction may get ahead of its rate by this much, no more: 1 MB at 200 MB/s.
const BURST: Duration = Duration::from_millis(5);

/// Bytes a second in each direction; `None` is no limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RateLimits {
    pub read: Option<u64>,
    pub write: Option<u64>,
}

/// Time, so that tests need not wait for it.
pub trait Clock: Send + Sync {
    /// Time since some fixed moment.
    fn now(&self) -> Duration;
    /// Returns at `moment` or later.
    fn sleep_until(&self, moment: Duration);
}

/// The machine's monotonic clock.
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn sleep_until(&self, moment: Duration) {
        if let Some(rest) = moment.checked_sub(self.now()) {
            std::thread::sleep(rest);
        }
    }
}

/// A token bucket, kept as the moment up to which the rate is spent.
#[derive(Clone, Copy, Debug)]
pub struct Bucket {
    bytes_per_second: u64,
    spent_until: Duration,
}

impl Bucket {
    /// An empty bucket at `now`. A rate of 0 counts as 1 byte a second.
    pub fn new(bytes_per_second: u64, now: Duration) -> Self {
        Self { bytes_per_second: bytes_per_second.max(1), spent_until: now }
    }

    /// When a request of `bytes` that arrived at `arrival` may begin: when all its bytes are paid for.
    ///
    /// Idle time is measured against the arrival, not against when the request is looked at: a backlog that is
    /// served late (the system slept too long) catches up exactly, and only true idleness loses tokens.
    pub fn reserve(&mut self, arrival: Duration, bytes: u64) -> Duration {
        let cost = Duration::from_nanos(
            u64::try_from(u128::from(bytes) * 1_000_000_000 / u128::from(self.bytes_per_second))
                .unwrap_or(u64::MAX),
        );
        let from = self.spent_until.max(arrival.saturating_sub(BURST));
        self.spent_until = from.saturating_add(cost);
        self.spent_until
    }
}

/// Delays requests so that each direction keeps to its rate. A limited direction has a thread and a bounded
/// queue of its own, so that slow writes do not hold up reads; syncs and unlimited directions pass at once.
pub struct Limited {
    inner: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    read: Option<Lane>,
    write: Option<Lane>,
}

struct Lane {
    entrance: Mutex<Option<Sender<(Duration, Request)>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Limited {
    /// At most `queue` requests wait in each limited direction; more block in `submit`.
    ///
    /// # Errors
    /// [`IoError::Start`] if a thread cannot be made.
    pub fn new(
        inner: Arc<dyn Engine>,
        limits: RateLimits,
        queue: usize,
        clock: Arc<dyn Clock>,
        panics: &Panics,
    ) -> Result<Self, IoError> {
        let lane = |rate: Option<u64>, name| {
            rate.map(|rate| Lane::start(&inner, (rate, queue), &clock, panics, name)).transpose()
        };
        let (read, write) = (lane(limits.read, "limit-read")?, lane(limits.write, "limit-write")?);
        Ok(Self { inner, clock, read, write })
    }
}

impl Engine for Limited {
    fn submit(&self, request: Request) {
        let lane = match request.operation() {
            Operation::Read => &self.read,
            Operation::Write => &self.write,
            Operation::Sync => &None,
        };
        match lane {
            Some(lane) => lane.submit(self.clock.now(), request),
            None => self.inner.submit(request),
        }
    }

    fn close(&self) {
        for lane in [&self.read, &self.write].into_iter().flatten() {
            lane.close();
        }
        self.inner.close();
    }
}

impl Drop for Limited {
    fn drop(&mut self) {
        self.close();
    }
}

impl Lane {
    fn start(
        inner: &Arc<dyn Engine>,
        (rate, queue): (u64, usize),
        clock: &Arc<dyn Clock>,
        panics: &Panics,
        name: &str,
    ) -> Result<Self, IoError> {
        let (entrance, exit) = bounded(queue.max(1));
        let (inner, clock, panics) = (inner.clone(), clock.clone(), panics.clone());
        let bucket = Bucket::new(rate, clock.now());
        let thread = Builder::new()
            .name(name.into())
            .spawn(move || panics.guard(|| release(&exit, &*inner, bucket, &*clock)).unwrap_or_default())
            .map_err(|error| IoError::Start {
                what: "thread of the rate limit",
                errno: Errno::from_io_error(&error).unwrap_or(Errno::AGAIN),
            })?;
        Ok(Self { entrance: Mutex::new(Some(entrance)), thread: Mutex::new(Some(thread)) })
    }

    fn submit(&self, arrival: Duration, request: Request) {
        let entrance = self.entrance.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Some(entrance) = entrance else { return request.complete(Err(IoError::Closed)) };
        if let Err(refused) = entrance.send((arrival, request)) {
            refused.0.1.complete(Err(IoError::Closed));
        }
    }

    fn close(&self) {
        drop(self.entrance.lock().unwrap_or_else(PoisonError::into_inner).take());
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_some_and(|thread| thread.thread().id() != current().id())
            && let Some(thread) = thread.take()
        {
            let _ = thread.join();
        }
    }
}

fn release(exit: &Receiver<(Duration, Request)>, inner: &dyn Engine, mut bucket: Bucket, clock: &dyn Clock) {
    for (arrival, request) in exit {
        let begin = bucket.reserve(arrival, request.bytes() as u64);
        clock.sleep_until(begin);
        inner.submit(request);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MB: u64 = 1_000_000;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn a_backlog_is_released_exactly_at_the_rate() {
        let mut bucket = Bucket::new(200 * MB, ms(0));
        let last = (0..60).map(|_| bucket.reserve(ms(0), MB)).last();
        assert_eq!(last, Some(ms(300)));
    }

    #[test]
    fn one_request_after_another_keeps_the_rate_if_the_disk_is_faster() {
        let mut bucket = Bucket::new(200 * MB, ms(0));
        let mut now = ms(0);
        for _ in 0..60 {
            now = bucket.reserve(now, MB) + ms(2);
        }
        assert_eq!(now, ms(302));
    }

    #[test]
    fn idle_time_saves_up_no_more_than_the_burst() {
        let mut bucket = Bucket::new(200 * MB, ms(0));
        bucket.reserve(ms(0), MB);
        assert_eq!(bucket.reserve(ms(10_000), 2 * MB), ms(10_005));
    }

    #[test]
    fn a_late_wake_up_does_not_lower_the_rate_of_a_backlog() {
        let mut bucket = Bucket::new(200 * MB, ms(0));
        bucket.reserve(ms(0), MB);
        // The thread slept until 500 ms; these two had arrived long before.
        assert_eq!(bucket.reserve(ms(1), MB), ms(10));
        assert_eq!(bucket.reserve(ms(1), MB), ms(15));
    }

    #[test]
    fn absurd_sizes_and_rates_neither_overflow_nor_divide_by_zero() {
        let mut bucket = Bucket::new(0, ms(0));
        assert_eq!(bucket.reserve(ms(0), 1), ms(1000));
        bucket.reserve(Duration::MAX, u64::MAX);
        bucket.reserve(Duration::MAX, u64::MAX);
    }
}
