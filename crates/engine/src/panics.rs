//! A panic on a thread of the engine ends the engine, and is told: work that never ends would leave its callers waiting.

use std::sync::Arc;

use attentionstore_uring::{Panics, caught};

use crate::event::EngineEvent;
use crate::outbox::Outbox;

/// Runs `work`, whose panic is posted as the engine's failure. `place` names what panicked.
pub fn guarded(outbox: &Outbox, place: &str, work: impl FnOnce()) {
    if let Err(message) = caught(work) {
        tell(outbox, place, &message);
    }
}

/// Posts the panic of `place` as the engine's failure.
pub fn tell(outbox: &Outbox, place: &str, message: &str) {
    let message = format!("{place} panicked: {message}");
    outbox.post(&EngineEvent::Failed { code: "panic".to_owned(), message });
}

/// Panics of threads below the engine, posted as its failure.
pub fn posted_to(outbox: &Arc<Outbox>) -> Panics {
    let outbox = outbox.clone();
    Panics::told_to(move |thread, message| tell(&outbox, &format!("the thread {thread}"), message))
}
