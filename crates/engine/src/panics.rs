//! A panic on a thread of the engine ends the engine, and is told: work that never ends would leave its callers waiting.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::event::EngineEvent;
use crate::outbox::Outbox;

/// Runs `work`; the message of a panic in it.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message_of(&*panic))
}

/// Runs `work`, whose panic is posted as the engine's failure. `place` names what panicked.
pub fn guarded(outbox: &Outbox, place: &str, work: impl FnOnce()) {
    if let Err(message) = caught(work) {
        tell(outbox, place, &message);
    }
}

/// Posts the panic of `place` as the engine's failure.
pub fn tell(outbox: &Outbox, place: &str, message: &str) {
    let message = format!("{place} panicked: {message}");
    outbox.post(&EngineEvent::Failed { code: "panic", message });
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}
