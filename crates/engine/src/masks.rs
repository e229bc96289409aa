//! Masks made beside the layers of a step.

use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use attentionstore_model::sampling::TokenMask;
use attentionstore_uring::caught;

use crate::crew::{Crew, Lane, processor_time};
use crate::mask_source::{CannotGoOn, MaskSource};
use crate::stats::Meters;

/// A mask that takes more of a processor than this makes its answer slow: its next ones are made behind all other work.
const SLOW: Duration = Duration::from_millis(2);
/// A mask that takes less makes a slow answer quick again.
const QUICK: Duration = Duration::from_millis(1);

/// Stack of a thread that makes masks.
const STACK_BYTES: usize = 4 << 20;

/// A source, what it fills, and how it did last.
pub struct Work {
    source: Box<dyn MaskSource>,
    pub mask: TokenMask,
    is_slow: bool,
}

impl Work {
    pub fn new(source: Box<dyn MaskSource>, vocabulary: usize) -> Self {
        Self { source, mask: TokenMask::new(vocabulary), is_slow: false }
    }

    fn make(&mut self, accepted: Option<u32>) -> Result<(), CannotGoOn> {
        if let Some(token) = accepted {
            self.source.accept(token)?;
        }
        self.mask.clear();
        self.source.allow(&mut self.mask)
    }
}

type Made = Result<Work, CannotGoOn>;

/// A mask on its way. Dropped, what is made is dropped too.
pub struct Making(Arc<Mutex<Option<Made>>>);

impl Making {
    /// The mask that was made, once.
    pub fn take(&self) -> Option<Made> {
        lock(&self.0).take()
    }
}

/// Rung when any mask is ready.
#[derive(Default)]
struct Bell {
    rung: Mutex<u64>,
    rings: Condvar,
}

/// The threads that make masks.
pub struct MaskMakers {
    crew: Crew,
    bell: Arc<Bell>,
    meters: Arc<Meters>,
}

impl MaskMakers {
    pub fn new(meters: Arc<Meters>) -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let crew = Crew::new("mask", (threads / 4).clamp(1, 4), SLOW, STACK_BYTES);
        Self { crew, bell: Arc::default(), meters }
    }

    /// Has the mask made that follows `accepted`, and returns at once.
    pub fn make(&self, mut work: Work, accepted: Option<u32>) -> Making {
        let place = Arc::new(Mutex::new(None));
        let (given, bell, meters) = (place.clone(), self.bell.clone(), self.meters.clone());
        let lane = if work.is_slow { Lane::Slow } else { Lane::Quick };
        self.crew.run(lane, move || {
            let before = processor_time(lane);
            let made = match caught(|| work.make(accepted)) {
                Ok(made) => made,
                Err(detail) => Err(CannotGoOn { detail }),
            };
            let took = processor_time(lane).saturating_sub(before);
            meters.mask.masks.fetch_add(1, Relaxed);
            meters.mask.busy_ns.fetch_add(took.as_nanos() as u64, Relaxed);
            work.is_slow = if work.is_slow { took >= QUICK } else { took >= SLOW };
            *lock(&given) = Some(made.map(|()| work));
            *lock(&bell.rung) += 1;
            bell.rings.notify_all();
        });
        Making(place)
    }

    /// Waits until `is_ready`, which is asked after each mask that was made, or for `time`.
    pub fn wait(&self, time: Duration, mut is_ready: impl FnMut() -> bool) -> bool {
        let until = Instant::now() + time;
        let mut rung = lock(&self.bell.rung);
        loop {
            if is_ready() {
                return true;
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            rung = self.bell.rings.wait_timeout(rung, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
