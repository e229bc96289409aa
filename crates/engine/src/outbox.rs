//! Events on their way to TypeScript: packed as they happen, taken in batches by the event loop.

use std::sync::Mutex;

use crate::event::EngineEvent;
use crate::wire::encode_event;

/// Any thread posts, one reader takes. The reader is woken when the outbox stops being empty, not for every
/// event: under load one wake-up carries many.
pub struct Outbox {
    packed: Mutex<Vec<u8>>,
    wake: Box<dyn Fn() + Send + Sync>,
}

impl Outbox {
    pub fn new(wake: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { packed: Mutex::new(Vec::new()), wake }
    }

    pub fn post(&self, event: &EngineEvent) {
        let was_empty = {
            let mut packed = self.packed.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let was_empty = packed.is_empty();
            encode_event(event, &mut packed);
            was_empty
        };
        if was_empty {
            (self.wake)();
        }
    }

    /// Moves all packed events into `into`. Returns their length in bytes; if `into` is too small nothing is
    /// moved and the length is what it needs to be.
    pub fn take(&self, into: &mut [u8]) -> usize {
        let mut packed = self.packed.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let length = packed.len();
        if let Some(target) = into.get_mut(..length) {
            target.copy_from_slice(&packed);
            packed.clear();
        }
        length
    }
}
