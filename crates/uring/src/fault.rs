//! An engine that fails on demand, for tests of whatever does disk I/O.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use crate::buffer::AlignedBuffer;
use crate::error::{IoError, Operation};
use crate::request::{Completion, Engine, Request};

/// What goes wrong with one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// Nothing is transferred; the system's error is reported.
    Fail(Errno),
    /// Only the first `bytes` are transferred (a direct file: rounded down to a page), and reported as the end
    /// of the file. For a sync: nothing is done.
    Short { bytes: usize },
    /// Bit `bit` (from the buffer's start, modulo its length) is flipped in what is read, or in what reaches
    /// the disk. Success is reported.
    FlipBit { bit: usize },
    /// Only the first `bytes` of a write reach the disk (a direct file: rounded down to a page), and success is
    /// reported, as if power had gone before the device wrote the rest. For a read as [`Fault::Short`].
    Torn { bytes: usize },
}

/// Passes requests on to a real engine, except where a fault was asked for.
pub struct FaultEngine {
    inner: Arc<dyn Engine>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reads: VecDeque<Option<Fault>>,
    writes: VecDeque<Option<Fault>>,
    syncs: VecDeque<Option<Fault>>,
    power_cut: bool,
    held: Option<Vec<Request>>,
}

impl FaultEngine {
    pub fn new(inner: Arc<dyn Engine>) -> Arc<Self> {
        Arc::new(Self { inner, state: Mutex::default() })
    }

    /// The next request of this kind that has no fault assigned gets this one.
    pub fn inject(&self, operation: Operation, fault: Fault) {
        self.lock().faults(operation).push_back(Some(fault));
    }

    /// The next request of this kind that has no fault assigned goes well.
    pub fn pass(&self, operation: Operation) {
        self.lock().faults(operation).push_back(None);
    }

    /// From now on writes and syncs report success and do nothing, as if power had gone.
    pub fn cut_power(&self) {
        self.lock().power_cut = true;
    }

    /// Keeps all requests until [`FaultEngine::release`]: a test can hold a race open without sleeping.
    pub fn hold(&self) {
        self.lock().held.get_or_insert_default();
    }

    /// Requests that are kept now.
    pub fn held(&self) -> usize {
        self.lock().held.as_ref().map_or(0, Vec::len)
    }

    /// Lets everything kept go on, in the order in which it came, and keeps no more.
    pub fn release(&self) {
        let held = self.lock().held.take();
        for request in held.into_iter().flatten() {
            self.carry_out(request);
        }
    }

    fn carry_out(&self, request: Request) {
        let (fault, power_cut) = {
            let mut state = self.lock();
            (state.faults(request.operation()).pop_front().flatten(), state.power_cut)
        };
        if power_cut && request.operation() != Operation::Read {
            return request.complete(Ok(()));
        }
        match fault {
            None => self.inner.submit(request),
            Some(Fault::Fail(errno)) => {
                let error = IoError::Os {
                    operation: request.operation(),
                    path: request.file.path().to_path_buf(),
                    offset: request.offset,
                    errno,
                };
                request.complete(Err(error));
            }
            Some(Fault::FlipBit { bit }) => self.flip(request, bit),
            Some(Fault::Short { bytes }) => self.cut(request, bytes, true),
            Some(Fault::Torn { bytes }) => self.cut(request, bytes, false),
        }
    }

    fn flip(&self, request: Request, bit: usize) {
        match request.operation() {
            Operation::Read => self.inner.submit(request.intercept(move |completion| {
                if let Some(buffer) = &mut completion.buffer {
                    flip_bit(buffer.bytes_mut(), bit);
                }
            })),
            Operation::Write => self.write_instead(request, usize::MAX, Some(bit), None),
            Operation::Sync => self.inner.submit(request),
        }
    }

    fn cut(&self, request: Request, bytes: usize, report: bool) {
        let bytes = bytes.min(request.bytes());
        let bytes = bytes - bytes % request.file.alignment();
        let error = IoError::UnexpectedEnd {
            operation: request.operation(),
            path: request.file.path().to_path_buf(),
            offset: request.offset + bytes as u64,
            expected: request.bytes(),
            got: bytes,
        };
        match request.operation() {
            Operation::Read => self.read_prefix(request, bytes, error),
            Operation::Write => self.write_instead(request, bytes, None, report.then_some(error)),
            Operation::Sync => request.complete(if report { Err(error) } else { Ok(()) }),
        }
    }

    /// Reads the first `bytes` into the buffer, and then reports `error`.
    fn read_prefix(&self, mut request: Request, bytes: usize, error: IoError) {
        let Ok(prefix) = AlignedBuffer::zeroed(bytes) else { return request.complete(Err(error)) };
        let (file, offset) = (request.file.clone(), request.offset);
        self.inner.submit(Request::read(file, offset, prefix, move |completion: Completion| {
            if let (Some(target), Some(source)) = (&mut request.buffer, &completion.buffer) {
                target.bytes_mut()[..bytes].copy_from_slice(source.bytes());
            }
            request.complete(completion.result.and(Err(error)));
        }));
    }

    /// Writes a copy of the first `bytes`, with one bit flipped, and reports `error` if there is one.
    fn write_instead(&self, request: Request, bytes: usize, bit: Option<usize>, error: Option<IoError>) {
        let source = request.buffer.as_ref().map_or(&[][..], |buffer| buffer.bytes());
        let Ok(mut copy) = AlignedBuffer::copy_of(&source[..bytes.min(source.len())]) else {
            return request.complete(error.map_or(Ok(()), Err));
        };
        if let Some(bit) = bit {
            flip_bit(&mut copy, bit);
        }
        let (file, offset) = (request.file.clone(), request.offset);
        self.inner.submit(Request::write(file, offset, copy, move |completion: Completion| {
            request.complete(completion.result.and(error.map_or(Ok(()), Err)));
        }));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Engine for FaultEngine {
    fn submit(&self, request: Request) {
        let request = {
            let mut state = self.lock();
            match &mut state.held {
                Some(held) => {
                    held.push(request);
                    return;
                }
                None => request,
            }
        };
        self.carry_out(request);
    }

    fn close(&self) {
        self.release();
        self.inner.close();
    }
}

impl State {
    fn faults(&mut self, operation: Operation) -> &mut VecDeque<Option<Fault>> {
        match operation {
            Operation::Read => &mut self.reads,
            Operation::Write => &mut self.writes,
            Operation::Sync => &mut self.syncs,
        }
    }
}

fn flip_bit(bytes: &mut [u8], bit: usize) {
    let bit = bit % (bytes.len() * 8);
    bytes[bit / 8] ^= 1 << (bit % 8);
}
