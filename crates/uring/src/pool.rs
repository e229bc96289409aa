//! The engine for everywhere: threads with `pread` and `pwrite`.

use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, current};

use rustix::fs::fdatasync;
use rustix::io::{Errno, pread, pwrite};

use crate::error::{IoError, Operation};
use crate::lanes::Lanes;
use crate::panics::Panics;
use crate::request::{Engine, EngineOptions, Request};
use crate::transfer::{Step, Transfer};

/// More threads than this gain nothing on one disk.
const THREADS_MAX: usize = 16;

/// Blocking system calls on a few threads that sleep while there is nothing to do.
pub struct PoolEngine {
    lanes: Arc<Lanes>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    panics: Panics,
}

impl PoolEngine {
    /// # Errors
    /// [`IoError::Start`] if a thread cannot be made.
    pub fn start(options: EngineOptions) -> Result<Self, IoError> {
        let count = options.depth.clamp(1, THREADS_MAX);
        let lanes = Arc::new(Lanes::new(options.queue, count));
        let engine = Self { lanes, threads: Mutex::new(Vec::new()), panics: options.panics };
        for index in 0..count {
            let (lanes, panics) = (engine.lanes.clone(), engine.panics.clone());
            let thread = Builder::new()
                .name(format!("disk-{index}"))
                .spawn(move || serve(&lanes, options.max_transfer, &panics))
                .map_err(|error| IoError::Start {
                    what: "thread of the pread/pwrite pool",
                    errno: Errno::from_io_error(&error).unwrap_or(Errno::AGAIN),
                })?;
            engine.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        }
        Ok(engine)
    }
}

impl Engine for PoolEngine {
    fn submit(&self, request: Request) {
        if let Err(error) = request.check() {
            return request.complete_on(Err(error), &self.panics);
        }
        if let Err(request) = self.lanes.push(request) {
            request.complete_on(Err(IoError::Closed), &self.panics);
        }
    }

    fn close(&self) {
        self.lanes.close();
        let mut threads = self.threads.lock().unwrap_or_else(PoisonError::into_inner);
        if threads.iter().any(|thread| thread.thread().id() == current().id()) {
            return;
        }
        for thread in threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Drop for PoolEngine {
    fn drop(&mut self) {
        self.close();
    }
}

fn serve(lanes: &Lanes, max_transfer: usize, panics: &Panics) {
    while let Some(mut request) = lanes.pop() {
        // No system call is under way after a panic, so the buffer may go back.
        let result = panics.guard(|| carry_out(&mut request, max_transfer));
        lanes.ended(request.operation);
        request.complete_on(result.unwrap_or(Err(IoError::Closed)), panics);
    }
}

fn carry_out(request: &mut Request, max_transfer: usize) -> Result<(), IoError> {
    let mut transfer = Transfer::new(request);
    loop {
        let result = transfer_piece(request, transfer.done(), max_transfer);
        match transfer.advance(result) {
            Step::Continue => {}
            Step::Finished => return Ok(()),
            Step::Failed(failure) => return Err(transfer.error(request, failure)),
        }
    }
}

fn transfer_piece(request: &mut Request, from: usize, max_transfer: usize) -> Result<usize, Errno> {
    let offset = request.offset + from as u64;
    let to = request.bytes().min(from + max_transfer);
    match (request.operation, &mut request.buffer) {
        (Operation::Read, Some(buffer)) => pread(&*request.file, &mut buffer.bytes_mut()[from..to], offset),
        (Operation::Write, Some(buffer)) => pwrite(&*request.file, &buffer.bytes()[from..to], offset),
        (_, _) => fdatasync(&*request.file).map(|()| 0),
    }
}
