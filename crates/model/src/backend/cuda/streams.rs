//! The card's three streams as the engine sees them: numbered events, and completions that come also where the
//! work before them has failed.

use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use attentionstore_cuda::runtime::{self, Event as CardEvent};
use attentionstore_cuda::{CudaError, Device};
use crossbeam_channel::{Sender, unbounded};

use super::options::device_error;
use crate::backend::{Completion, Event, Stream};
use crate::error::ModelError;

/// The first failure of the card's work. A card that failed stays failed: whoever asks later is told the same.
#[derive(Clone)]
pub struct Failure {
    ordinal: usize,
    first: Arc<Mutex<Option<String>>>,
}

impl Failure {
    pub fn new(ordinal: usize) -> Failure {
        Failure { ordinal, first: Arc::default() }
    }

    /// Keeps a failure that nobody can be told at once.
    pub fn note<T>(&self, outcome: Result<T, CudaError>) -> Option<T> {
        outcome
            .map_err(|error| {
                let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
                first.get_or_insert_with(|| error.to_string());
            })
            .ok()
    }

    /// # Errors
    /// Something failed before.
    pub fn check(&self) -> Result<(), ModelError> {
        let first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        match first.as_ref() {
            None => Ok(()),
            Some(detail) => {
                Err(ModelError::Device { device: format!("cuda:{}", self.ordinal), detail: detail.clone() })
            }
        }
    }

    pub fn error(&self, error: &CudaError) -> ModelError {
        device_error(self.ordinal, error)
    }
}

/// One stream's events.
#[derive(Default)]
struct Lane {
    /// Events recorded so far.
    recorded: u64,
    /// Those that may not have happened yet, oldest first.
    pending: VecDeque<(u64, CardEvent)>,
    /// Events that have happened, to be recorded again.
    spare: Vec<CardEvent>,
}

impl Lane {
    fn find(&self, sequence: u64) -> Option<&CardEvent> {
        let first = self.pending.front()?.0;
        let index = usize::try_from(sequence.checked_sub(first)?).ok()?;
        self.pending.get(index).map(|(_, event)| event)
    }

    /// Takes back events that have happened.
    fn collect(&mut self) {
        while let Some((_, event)) = self.pending.front() {
            if !matches!(event.is_done(), Ok(true)) {
                return;
            }
            self.spare.extend(self.pending.pop_front().map(|(_, event)| event));
        }
    }
}

/// Waits for one stream's completions, so that no work of the card's own threads is needed: those are not called
/// after a failure.
struct Watcher {
    queue: Option<Sender<(CardEvent, Completion)>>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    fn start(name: &str, failure: Failure) -> std::io::Result<Watcher> {
        let (queue, waiting) = unbounded::<(CardEvent, Completion)>();
        let watch = move || {
            for (event, completion) in waiting {
                failure.note(event.synchronize());
                let outcome = failure.check();
                // A panic is the completion's own; the hook has printed it, and others still wait.
                let _ = catch_unwind(AssertUnwindSafe(|| completion(outcome)));
            }
        };
        let thread = std::thread::Builder::new().name(name.into()).spawn(watch)?;
        Ok(Watcher { queue: Some(queue), thread: Some(thread) })
    }
}

/// The streams of one backend.
pub struct Streams {
    pub card: runtime::Streams,
    pub failure: Failure,
    device: Device,
    lanes: [Lane; 3],
    watchers: [Watcher; 3],
}

fn index(stream: Stream) -> usize {
    match stream {
        Stream::Compute => 0,
        Stream::Load => 1,
        Stream::Save => 2,
    }
}

impl Streams {
    /// # Errors
    /// The driver refuses a stream, or the system a thread.
    pub fn new(device: &Device, ordinal: usize) -> Result<Streams, ModelError> {
        let failure = Failure::new(ordinal);
        let card = device.streams().map_err(|error| failure.error(&error))?;
        let watcher = |name| {
            Watcher::start(name, failure.clone()).map_err(|error| ModelError::Device {
                device: format!("cuda:{ordinal}"),
                detail: error.to_string(),
            })
        };
        let watchers = [watcher("cuda-compute")?, watcher("cuda-load")?, watcher("cuda-save")?];
        Ok(Streams { card, failure, device: device.clone(), lanes: Default::default(), watchers })
    }

    pub fn of(&self, stream: Stream) -> &runtime::Stream {
        match stream {
            Stream::Compute => &self.card.compute,
            Stream::Load => &self.card.load,
            Stream::Save => &self.card.save,
        }
    }

    /// See [`crate::backend::Backend::record`].
    pub fn record(&mut self, stream: Stream) -> Event {
        let lane = &mut self.lanes[index(stream)];
        lane.collect();
        let event = match lane.spare.pop() {
            Some(event) => Ok(event),
            None => CardEvent::new(&self.device),
        };
        let recorded = event.and_then(|event| event.record(self.of(stream)).map(|()| event));
        let recorded = self.failure.note(recorded);
        let lane = &mut self.lanes[index(stream)];
        match recorded {
            Some(event) => {
                lane.recorded += 1;
                lane.pending.push_back((lane.recorded, event));
            }
            // Nothing will ever be behind it: what comes next is told of the failure.
            None => {
                lane.recorded += 1;
                lane.pending.clear();
            }
        }
        Event { stream, sequence: lane.recorded }
    }

    /// See [`crate::backend::Backend::wait`].
    pub fn wait(&mut self, stream: Stream, event: Event) {
        if event.stream == stream {
            return;
        }
        if let Some(pending) = self.lanes[index(event.stream)].find(event.sequence) {
            self.failure.note(self.of(stream).wait(pending));
        }
    }

    /// Whether the event has happened; one of failed work has.
    pub fn is_done(&self, event: Event) -> bool {
        match self.lanes[index(event.stream)].find(event.sequence) {
            None => true,
            Some(pending) => self.failure.note(pending.is_done()).unwrap_or(true),
        }
    }

    /// See [`crate::backend::Backend::synchronize`].
    pub fn synchronize(&self, event: Event) {
        if let Some(pending) = self.lanes[index(event.stream)].find(event.sequence) {
            self.failure.note(pending.synchronize());
        }
    }

    /// See [`crate::backend::Backend::notify`].
    pub fn notify(&mut self, stream: Stream, completion: Completion) {
        let event =
            CardEvent::sleeping(&self.device).and_then(|event| event.record(self.of(stream)).map(|()| event));
        let queue = self.watchers[index(stream)].queue.as_ref();
        match (self.failure.note(event), queue) {
            (Some(event), Some(queue)) => {
                // The watcher ends only when the queue is closed, so it is there to receive.
                let _ = queue.send((event, completion));
            }
            _ => completion(self.failure.check()),
        }
    }

    /// Waits for everything that is enqueued on any stream.
    pub fn drain(&self) {
        for stream in [Stream::Compute, Stream::Load, Stream::Save] {
            self.failure.note(self.of(stream).synchronize());
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        for watcher in &mut self.watchers {
            drop(watcher.queue.take());
        }
        for watcher in &mut self.watchers {
            if let Some(thread) = watcher.thread.take() {
                // Panics of completions are caught one by one.
                let _ = thread.join();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_failure_is_told_to_everyone_who_asks_afterwards() {
        let failure = Failure::new(3);
        failure.check().unwrap();
        let error = |number| CudaError::NoSuchDevice { ordinal: number, count: 0 };
        assert_eq!(failure.note(Ok(7)), Some(7));
        assert_eq!(failure.clone().note::<u32>(Err(error(1))), None);
        failure.note::<u32>(Err(error(2)));
        for _ in 0..2 {
            let told = failure.check().unwrap_err().to_string();
            assert!(told.starts_with("cuda:3: ") && told.contains("device 1"), "{told}");
        }
    }
}
