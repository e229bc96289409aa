//! Events on their way to TypeScript: packed as they happen, taken in batches by the event loop.

use std::sync::PoisonError;

use crate::event::EngineEvent;
use crate::sync::Mutex;
use crate::wire::encode_event;

/// Any thread posts, one reader takes. The reader is woken when the outbox stops being empty, not for every
/// event: under load one wake-up carries many.
pub struct Outbox {
    packed: Mutex<Vec<u8>>,
    wake: Mutex<Option<Wake>>,
}

/// Called, from any thread, when there are events to take.
pub type Wake = Box<dyn Fn() + Send + Sync>;

impl Outbox {
    pub fn new(wake: Wake) -> Self {
        Self { packed: Mutex::new(Vec::new()), wake: Mutex::new(Some(wake)) }
    }

    /// Wakes nobody any more and lets go of the reader's event loop. What was posted can still be taken.
    pub fn hang_up(&self) {
        self.wake.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    pub fn post(&self, event: &EngineEvent) {
        let was_empty = {
            let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
            let was_empty = packed.is_empty();
            encode_event(event, &mut packed);
            was_empty
        };
        if was_empty && let Some(wake) = self.wake.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            wake();
        }
    }

    /// Moves all packed events into `into`. Returns their length in bytes; if `into` is too small nothing is
    /// moved and the length is what it needs to be.
    pub fn take(&self, into: &mut [u8]) -> usize {
        let mut packed = self.packed.lock().unwrap_or_else(PoisonError::into_inner);
        let length = packed.len();
        if let Some(target) = into.get_mut(..length) {
            target.copy_from_slice(&packed);
            packed.clear();
        }
        length
    }
}
