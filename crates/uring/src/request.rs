//! The engine trait, and the requests that go through it.

use std::sync::Arc;

use crate::buffer::IoBuffer;
use crate::error::{IoError, Operation};
use crate::file::IoFile;
use crate::panics::Panics;

/// Something that carries out reads, writes and syncs in the background.
///
/// The implementation MUST complete every request exactly once, MUST transfer the whole buffer or report an
/// error (short transfers, EINTR and EAGAIN are its business), and MUST NOT let go of the buffer before the
/// kernel has. It gives no order among requests in flight.
pub trait Engine: Send + Sync {
    /// Hands a request over. Blocks only while the engine's queue of that direction is full, so a completion
    /// callback must not call it. A request that cannot begin (engine closed, not aligned) is completed at
    /// once, on the caller's thread.
    fn submit(&self, request: Request);

    /// Takes no more requests, waits until all accepted ones are complete, ends the threads. Idempotent.
    /// Called from a completion callback it only stops the intake.
    fn close(&self);
}

/// How much an engine takes at once.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Requests at the device at once (ring entries, pool threads at most 16). Writes get at most half.
    pub depth: usize,
    /// Requests accepted and waiting, per direction; more block in [`Engine::submit`].
    pub queue: usize,
    /// Longest single transfer in bytes, a multiple of the I/O alignment; longer requests are done in pieces.
    pub max_transfer: usize,
    /// Where panics of the engine's threads are told, those of callbacks among them.
    pub panics: Panics,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self { depth: 32, queue: 1024, max_transfer: 1 << 30, panics: Panics::default() }
    }
}

/// What a completion callback gets: the outcome for the whole buffer, and the buffer (`None` for a sync).
pub struct Completion {
    pub result: Result<(), IoError>,
    pub buffer: Option<IoBuffer>,
}

type Done = Box<dyn FnOnce(Completion) + Send>;

/// One read, write or sync, with everything that it needs to live until it is complete.
pub struct Request {
    pub(crate) operation: Operation,
    pub(crate) file: Arc<IoFile>,
    pub(crate) offset: u64,
    pub(crate) buffer: Option<IoBuffer>,
    done: Done,
}

impl Request {
    /// Fills the whole buffer from byte `offset` of the file. `done` runs on a thread of the engine: it must be
    /// short and must not submit.
    pub fn read(
        file: Arc<IoFile>,
        offset: u64,
        buffer: impl Into<IoBuffer>,
        done: impl FnOnce(Completion) + Send + 'static,
    ) -> Self {
        let buffer = Some(buffer.into());
        Self { operation: Operation::Read, file, offset, buffer, done: Box::new(done) }
    }

    /// Writes the whole buffer at byte `offset` of the file. `done` as for [`Request::read`].
    pub fn write(
        file: Arc<IoFile>,
        offset: u64,
        buffer: impl Into<IoBuffer>,
        done: impl FnOnce(Completion) + Send + 'static,
    ) -> Self {
        let buffer = Some(buffer.into());
        Self { operation: Operation::Write, file, offset, buffer, done: Box::new(done) }
    }

    /// `fdatasync`: makes durable what was complete before this request was submitted.
    pub fn sync(file: Arc<IoFile>, done: impl FnOnce(Completion) + Send + 'static) -> Self {
        Self { operation: Operation::Sync, file, offset: 0, buffer: None, done: Box::new(done) }
    }

    /// What the request asks for.
    pub fn operation(&self) -> Operation {
        self.operation
    }

    /// Bytes to transfer; 0 for a sync.
    pub fn bytes(&self) -> usize {
        self.buffer.as_ref().map_or(0, IoBuffer::len)
    }

    /// Puts `observe` between the engine and the callback that the request came with.
    pub(crate) fn intercept(self, observe: impl FnOnce(&mut Completion) + Send + 'static) -> Self {
        let inner = self.done;
        let done = move |mut completion: Completion| {
            observe(&mut completion);
            inner(completion);
        };
        Self { done: Box::new(done), ..self }
    }

    /// Ends the request on the thread of a caller. A panic in the callback is the callback's own, and must not take the
    /// thread along (the panic hook has reported it).
    pub(crate) fn complete(self, result: Result<(), IoError>) {
        self.complete_on(result, &Panics::default());
    }

    /// Ends the request on a thread of the engine, where a panic in the callback is told.
    pub(crate) fn complete_on(self, result: Result<(), IoError>, panics: &Panics) {
        let Self { buffer, done, .. } = self;
        panics.guard(move || done(Completion { result, buffer }));
    }

    /// As [`Request::complete`], but the buffer is never given back nor freed: the kernel may still use it.
    pub(crate) fn abandon(mut self, result: Result<(), IoError>, panics: &Panics) {
        std::mem::forget(self.buffer.take());
        self.complete_on(result, panics);
    }

    /// Refuses what `O_DIRECT` would answer with a bare EINVAL.
    pub(crate) fn check(&self) -> Result<(), IoError> {
        let (Some(buffer), alignment) = (&self.buffer, self.file.alignment()) else { return Ok(()) };
        let address = buffer.pointer().as_ptr().addr();
        let aligned = |value: usize| value.is_multiple_of(alignment);
        if aligned(address) && aligned(buffer.len()) && self.offset.is_multiple_of(alignment as u64) {
            return Ok(());
        }
        Err(IoError::Invalid {
            what: "request to a file opened with O_DIRECT",
            detail: format!(
                "address {address:#x}, {} bytes at offset {} are not all multiples of {alignment}",
                buffer.len(),
                self.offset
            ),
        })
    }
}

/// Submits what `make` builds around a callback, and waits for its completion. For start-up and tests; never
/// from a completion callback.
pub fn wait(
    engine: &dyn Engine,
    make: impl FnOnce(Box<dyn FnOnce(Completion) + Send>) -> Request,
) -> Completion {
    let (sender, receiver) = crossbeam_channel::bounded(1);
    engine.submit(make(Box::new(move |completion| drop(sender.send(completion)))));
    receiver.recv().unwrap_or(Completion { result: Err(IoError::Closed), buffer: None })
}
