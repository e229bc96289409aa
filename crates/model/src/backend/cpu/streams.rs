//! The two copy streams: a thread each with a queue, beside the computation. `Compute` is the caller itself, so
//! its events have happened by the time they are recorded.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;

use crossbeam_channel::{Receiver, Sender, unbounded};

use super::slots::SlotArena;
use crate::backend::{Completion, Event, SliceCopy, Stream};
use crate::error::ModelError;

/// How far a stream has come.
#[derive(Default)]
struct Progress {
    done: AtomicU64,
    failed: AtomicBool,
    lock: Mutex<()>,
    advanced: Condvar,
}

impl Progress {
    fn is_done(&self, sequence: u64) -> bool {
        self.done.load(Ordering::Acquire) >= sequence
    }

    /// Whether everything so far has succeeded.
    fn check(&self) -> Result<(), ModelError> {
        if self.failed.load(Ordering::Acquire) {
            return Err(ModelError::Device { device: "cpu".into(), detail: "a copy thread failed".into() });
        }
        Ok(())
    }

    fn wait(&self, sequence: u64) {
        if self.is_done(sequence) {
            return;
        }
        let mut guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        while !self.is_done(sequence) {
            guard = self.advanced.wait(guard).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn advance(&self) {
        let _guard = self.lock.lock().unwrap_or_else(PoisonError::into_inner);
        self.done.fetch_add(1, Ordering::Release);
        self.advanced.notify_all();
    }
}

enum Command {
    Copy(Vec<SliceCopy>),
    Wait(Event),
    Notify(Completion),
}

/// One copy stream as its owner sees it.
struct Lane {
    /// Taken when the streams close: the thread then ends after what is queued.
    queue: Option<Sender<Command>>,
    /// Commands enqueued so far.
    enqueued: u64,
    thread: Option<JoinHandle<()>>,
}

/// What the copy threads share.
struct Shared {
    arena: Arc<SlotArena>,
    load: Progress,
    save: Progress,
}

/// The copy streams of one backend.
pub struct Streams {
    shared: Arc<Shared>,
    load: Lane,
    save: Lane,
    /// Events of `Compute` recorded so far.
    compute_events: u64,
}

impl Streams {
    /// Starts both threads.
    ///
    /// # Errors
    /// The system refuses a thread.
    pub fn new(arena: Arc<SlotArena>) -> std::io::Result<Streams> {
        let shared = Arc::new(Shared { arena, load: Progress::default(), save: Progress::default() });
        let load = start(&shared, Stream::Load, "kv-load")?;
        let save = start(&shared, Stream::Save, "kv-save")?;
        Ok(Streams { shared, load, save, compute_events: 0 })
    }

    /// The present end of `stream`.
    pub fn record(&mut self, stream: Stream) -> Event {
        let sequence = match stream {
            Stream::Compute => {
                self.compute_events += 1;
                self.compute_events
            }
            Stream::Load => self.load.enqueued,
            Stream::Save => self.save.enqueued,
        };
        Event { stream, sequence }
    }

    /// See [`crate::backend::Backend::wait`].
    pub fn wait(&mut self, stream: Stream, event: Event) {
        match stream {
            Stream::Compute => self.synchronize(event),
            // What has happened already, and what comes earlier in the same queue, needs no waiting.
            _ if event.stream == stream || self.is_done(event) => {}
            _ => self.enqueue(stream, Command::Wait(event)),
        }
    }

    /// # Errors
    /// A copy thread has failed: what it was to write may be anything.
    pub fn check(&self) -> Result<(), ModelError> {
        self.shared.load.check().and_then(|()| self.shared.save.check())
    }

    pub fn is_done(&self, event: Event) -> bool {
        self.shared.progress(event.stream).is_none_or(|progress| progress.is_done(event.sequence))
    }

    pub fn synchronize(&self, event: Event) {
        if let Some(progress) = self.shared.progress(event.stream) {
            progress.wait(event.sequence);
        }
    }

    /// See [`crate::backend::Backend::notify`].
    pub fn notify(&mut self, stream: Stream, completion: Completion) {
        match stream {
            Stream::Compute => completion(Ok(())),
            _ => self.enqueue(stream, Command::Notify(completion)),
        }
    }

    /// Enqueues copies.
    ///
    /// # Errors
    /// `Compute` does not copy; a layer or slot out of range; no host address; a copy thread that has failed.
    pub fn copy(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), ModelError> {
        let invalid = |detail: String| ModelError::Invalid { what: "slice copy", detail };
        let Some(progress) = self.shared.progress(stream) else {
            return Err(invalid("the compute stream copies nothing".into()));
        };
        let (layers, slots) = (self.shared.arena.layout.layers, self.shared.arena.slots);
        for copy in copies {
            if copy.layer as usize >= layers || copy.slot as usize >= slots {
                let SliceCopy { layer, slot, .. } = copy;
                return Err(invalid(format!("layer {layer} of {layers}, slot {slot} of {slots}")));
            }
            if copy.host.is_null() {
                return Err(invalid("no host address".into()));
            }
        }
        progress.check()?;
        self.enqueue(stream, Command::Copy(copies.to_vec()));
        Ok(())
    }

    fn enqueue(&mut self, stream: Stream, command: Command) {
        let lane = if stream == Stream::Load { &mut self.load } else { &mut self.save };
        lane.enqueued += 1;
        if let Some(queue) = &lane.queue {
            // The thread ends only when the queue is closed, so it is there to receive.
            let _ = queue.send(command);
        }
    }
}

impl Drop for Streams {
    fn drop(&mut self) {
        for lane in [&mut self.load, &mut self.save] {
            drop(lane.queue.take());
        }
        for lane in [&mut self.load, &mut self.save] {
            if let Some(thread) = lane.thread.take() {
                // Its panics are caught command by command.
                let _ = thread.join();
            }
        }
    }
}

impl Shared {
    fn progress(&self, stream: Stream) -> Option<&Progress> {
        match stream {
            Stream::Compute => None,
            Stream::Load => Some(&self.load),
            Stream::Save => Some(&self.save),
        }
    }

    /// Runs commands until the queue is closed and empty. A command that panics is done, and the stream failed:
    /// whoever waits goes on, and the next copy reports it.
    fn serve(&self, stream: Stream, commands: &Receiver<Command>) {
        let Some(progress) = self.progress(stream) else { return };
        for command in commands {
            let outcome = catch_unwind(AssertUnwindSafe(|| self.execute(stream, command)));
            if outcome.is_err() {
                progress.failed.store(true, Ordering::Release);
            }
            progress.advance();
        }
    }

    fn execute(&self, stream: Stream, command: Command) {
        match command {
            Command::Copy(copies) => copies.into_iter().for_each(|copy| self.copy_slice(stream, copy)),
            Command::Wait(event) => {
                if let Some(progress) = self.progress(event.stream) {
                    progress.wait(event.sequence);
                }
            }
            Command::Notify(completion) => {
                completion(self.progress(stream).map_or(Ok(()), Progress::check));
            }
        }
    }

    fn copy_slice(&self, stream: Stream, copy: SliceCopy) {
        let slice = self.arena.slice(copy.layer as usize, copy.slot as usize);
        let bytes = self.arena.layout.slice_bytes();
        // SAFETY: `slice` is a slice of the arena; the host address is as long and stays mapped, and nobody else
        // touches either side until this is done, as the engine guarantees.
        unsafe {
            match stream {
                Stream::Load => std::ptr::copy_nonoverlapping(copy.host.cast_const(), slice, bytes),
                _ => std::ptr::copy_nonoverlapping(slice.cast_const(), copy.host, bytes),
            }
        }
    }
}

fn start(shared: &Arc<Shared>, stream: Stream, name: &str) -> std::io::Result<Lane> {
    let (queue, commands) = unbounded();
    let shared = shared.clone();
    let thread = std::thread::Builder::new().name(name.into());
    let thread = thread.spawn(move || shared.serve(stream, &commands))?;
    Ok(Lane { queue: Some(queue), enqueued: 0, thread: Some(thread) })
}
