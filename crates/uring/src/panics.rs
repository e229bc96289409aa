//! Panics on threads that work for others. Such a thread has callers that wait, so its panic must be told.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread;

type Report = dyn Fn(&str, &str) + Send + Sync;

/// Where panics are told: the name of the thread and the panic's message. By default nowhere.
#[derive(Clone, Default)]
pub struct Panics(Option<Arc<Report>>);

impl Panics {
    /// Panics that are told to `report`, from the thread that panicked.
    pub fn told_to(report: impl Fn(&str, &str) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(report)))
    }

    /// Runs `work`; `None` if it panicked, which is told.
    pub fn guard<T>(&self, work: impl FnOnce() -> T) -> Option<T> {
        caught(work).map_err(|message| self.tell(&message)).ok()
    }

    /// Tells of a panic that was caught on this thread.
    pub fn tell(&self, message: &str) {
        if let Some(report) = &self.0 {
            report(thread::current().name().unwrap_or("a thread"), message);
        }
    }
}

impl std::fmt::Debug for Panics {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(if self.0.is_some() { "Panics(told)" } else { "Panics(untold)" })
    }
}

/// Runs `work`; the message of a panic in it.
pub fn caught<T>(work: impl FnOnce() -> T) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(work)).map_err(|panic| message_of(&*panic))
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned()).unwrap_or_else(|| "no message".to_owned())
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn a_panic_is_told_with_its_thread_and_message_and_what_went_well_is_not() {
        let told: Arc<Mutex<Vec<(String, String)>>> = Arc::default();
        let heard = told.clone();
        let panics = Panics::told_to(move |thread, message| {
            heard.lock().unwrap().push((thread.to_owned(), message.to_owned()));
        });
        let work = move || {
            assert_eq!(panics.guard(|| 7), Some(7));
            assert_eq!(panics.guard(|| -> u32 { panic!("number {}", 3) }), None);
        };
        thread::Builder::new().name("worker".into()).spawn(work).unwrap().join().unwrap();
        assert_eq!(*told.lock().unwrap(), [("worker".to_owned(), "number 3".to_owned())]);
    }
}
