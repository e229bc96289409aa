//! The io_uring engine: one thread that owns the ring, and with it every buffer in flight.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle, current};

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use rustix::event::{EventfdFlags, eventfd};
use rustix::io::Errno;

use crate::buffer::Region;
use crate::error::{IoError, Operation};
use crate::lanes::{Lanes, Next};
use crate::panics::Panics;
use crate::registration::{CHUNK_BYTES, Registration};
use crate::request::{Engine, EngineOptions, Request};
use crate::transfer::{Step, Transfer};

/// Marks the completion of the read that wakes the thread.
const WAKE: u64 = u64::MAX;

/// io_uring, with or without registered memory. The thread sleeps in the kernel until a request is complete
/// or a new one comes.
pub struct RingEngine {
    lanes: Arc<Lanes>,
    wake: Arc<OwnedFd>,
    thread: Mutex<Option<JoinHandle<()>>>,
    panics: Panics,
}

impl RingEngine {
    /// `regions` are registered with the ring; with none, ordinary reads and writes are used.
    ///
    /// # Errors
    /// [`IoError::Start`], which says what failed: EPERM or ENOSYS where io_uring may not be used, ENOMEM where
    /// the user may not lock the regions.
    pub fn start(options: EngineOptions, regions: Vec<Arc<dyn Region>>) -> Result<Self, IoError> {
        Self::start_in_chunks(options, regions, CHUNK_BYTES)
    }

    fn start_in_chunks(
        options: EngineOptions,
        regions: Vec<Arc<dyn Region>>,
        chunk_bytes: usize,
    ) -> Result<Self, IoError> {
        let depth = options.depth.clamp(1, 4096);
        let entries = u32::try_from(depth + 1).unwrap_or(u32::MAX).next_power_of_two();
        let ring = IoUring::new(entries).map_err(|error| failed("io_uring", &error))?;
        let registration = Registration::register(&ring, regions, chunk_bytes)
            .map_err(|error| failed("registering the arena with io_uring", &error))?;
        let wake = eventfd(0, EventfdFlags::CLOEXEC).map_err(|errno| failed("eventfd", &errno.into()))?;
        let (lanes, wake) = (Arc::new(Lanes::new(options.queue, depth)), Arc::new(wake));
        let driver = Driver {
            ring,
            registration,
            lanes: lanes.clone(),
            wake: wake.clone(),
            flights: (0..depth).map(|_| None).collect(),
            free: (0..depth).collect(),
            wake_value: Box::new(0),
            wake_armed: false,
            max_transfer: options.max_transfer.clamp(4096, 1 << 30),
            panics: options.panics.clone(),
        };
        let thread = Builder::new()
            .name("io-uring".into())
            .spawn(move || driver.run())
            .map_err(|error| failed("thread of the io_uring", &error))?;
        Ok(Self { lanes, wake, thread: Mutex::new(Some(thread)), panics: options.panics })
    }

    fn wake(&self) {
        // Fails only if 2^64 - 2 wake-ups are pending.
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
    }
}

fn failed(what: &'static str, error: &io::Error) -> IoError {
    IoError::Start { what, errno: Errno::from_io_error(error).unwrap_or(Errno::IO) }
}

impl Engine for RingEngine {
    fn submit(&self, request: Request) {
        if let Err(error) = request.check() {
            return request.complete_on(Err(error), &self.panics);
        }
        match self.lanes.push(request) {
            Ok(()) => self.wake(),
            Err(request) => request.complete_on(Err(IoError::Closed), &self.panics),
        }
    }

    fn close(&self) {
        self.lanes.close();
        self.wake();
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if thread.as_ref().is_some_and(|thread| thread.thread().id() == current().id()) {
            return;
        }
        if let Some(thread) = thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for RingEngine {
    fn drop(&mut self) {
        self.close();
    }
}

/// A request at the kernel. It sits in its place until the kernel has answered.
struct Flight {
    request: Request,
    transfer: Transfer,
}

/// What the thread owns. The fields are dropped in order: the ring before the memory registered with it.
struct Driver {
    ring: IoUring,
    registration: Registration,
    lanes: Arc<Lanes>,
    wake: Arc<OwnedFd>,
    flights: Vec<Option<Flight>>,
    free: Vec<usize>,
    wake_value: Box<u64>,
    wake_armed: bool,
    max_transfer: usize,
    panics: Panics,
}

impl Driver {
    /// Serves until everything is over. After a panic the kernel may still use the memory of what is in flight.
    fn run(mut self) {
        let panics = self.panics.clone();
        match panics.guard(|| self.serve()) {
            Some(Ok(())) => self.disarm(),
            Some(Err(errno)) => self.give_up(errno),
            None => self.give_up(Errno::IO),
        }
    }

    fn serve(&mut self) -> Result<(), Errno> {
        loop {
            let intake_finished = self.take_in();
            if intake_finished && self.in_flight() == 0 {
                return Ok(());
            }
            self.arm_wake();
            if let Err(error) = self.ring.submit_and_wait(1) {
                let errno = Errno::from_io_error(&error).unwrap_or(Errno::IO);
                // EBUSY: completions have to be reaped first, which is what comes next.
                if !matches!(errno, Errno::INTR | Errno::AGAIN | Errno::BUSY) {
                    return Err(errno);
                }
            }
            self.reap();
            self.registration.extend(&self.ring);
        }
    }

    fn in_flight(&self) -> usize {
        self.flights.len() - self.free.len()
    }

    /// Starts what may begin. True once nothing more will ever come.
    fn take_in(&mut self) -> bool {
        while let Some(&place) = self.free.last() {
            match self.lanes.try_pop() {
                Next::Request(request) => {
                    self.free.pop();
                    let transfer = Transfer::new(&request);
                    self.flights[place] = Some(Flight { request, transfer });
                    self.start(place);
                }
                Next::Nothing => return false,
                Next::Finished => return true,
            }
        }
        false
    }

    /// Queues the next piece of the request in `place`.
    fn start(&mut self, place: usize) {
        let Some(flight) = &self.flights[place] else { return };
        let entry = entry(flight, &self.registration, self.max_transfer).user_data(place as u64);
        self.push(&entry);
    }

    fn push(&mut self, entry: &squeue::Entry) {
        // SAFETY: the buffer belongs to the flight (or to `self` for the wake-up), which stays in its place
        // until the completion is reaped.
        while unsafe { self.ring.submission().push(entry) }.is_err() {
            // There is an entry for every place and the wake-up, so this only happens if the kernel has not
            // taken the last batch; errors come back in `run`, which tries the same again.
            if self.ring.submit().is_err() {
                std::thread::yield_now();
            }
        }
    }

    fn arm_wake(&mut self) {
        if !self.wake_armed {
            let target = std::ptr::from_mut(&mut *self.wake_value).cast::<u8>();
            let entry = opcode::Read::new(types::Fd(self.wake.as_raw_fd()), target, 8).build();
            self.push(&entry.user_data(WAKE));
            self.wake_armed = true;
        }
    }

    fn reap(&mut self) {
        let completions: Vec<cqueue::Entry> = self.ring.completion().collect();
        for completion in completions {
            if completion.user_data() == WAKE {
                self.wake_armed = false;
            } else if let Ok(place) = usize::try_from(completion.user_data()) {
                self.advance(place, completion.result());
            }
        }
    }

    fn advance(&mut self, place: usize, result: i32) {
        let Some(flight) = self.flights.get_mut(place).and_then(Option::as_mut) else { return };
        let result = usize::try_from(result).map_err(|_| Errno::from_raw_os_error(-result));
        let outcome = match flight.transfer.advance(result) {
            Step::Continue => return self.start(place),
            Step::Finished => Ok(()),
            Step::Failed(failure) => Err(flight.transfer.error(&flight.request, failure)),
        };
        if let Some(flight) = self.flights[place].take() {
            self.free.push(place);
            self.lanes.ended(flight.request.operation);
            flight.request.complete_on(outcome, &self.panics);
        }
    }

    /// Lets the pending wake-up read finish, so that the kernel no longer refers to `wake_value`.
    fn disarm(mut self) {
        let _ = rustix::io::write(&*self.wake, &1u64.to_ne_bytes());
        while self.wake_armed {
            match self.ring.submit_and_wait(1) {
                Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                    // The kernel still has the address: leaking eight bytes is the safe end.
                    std::mem::forget(std::mem::take(&mut self.wake_value));
                    return;
                }
                _ => self.reap(),
            }
        }
    }

    /// The ring itself failed. Everyone who waits hears of it; memory that the kernel may still use is leaked.
    fn give_up(mut self, errno: Errno) {
        self.lanes.close();
        std::mem::forget(std::mem::take(&mut self.wake_value));
        let error = IoError::Start { what: "io_uring broke down", errno };
        for flight in self.flights.drain(..).flatten() {
            self.lanes.ended(flight.request.operation);
            flight.request.abandon(Err(error.clone()), &self.panics);
        }
        loop {
            match self.lanes.try_pop() {
                Next::Request(request) => {
                    self.lanes.ended(request.operation);
                    request.complete_on(Err(error.clone()), &self.panics);
                }
                Next::Nothing => {}
                Next::Finished => return,
            }
        }
    }
}

fn entry(flight: &Flight, registration: &Registration, max_transfer: usize) -> squeue::Entry {
    let Flight { request, transfer } = flight;
    let fd = types::Fd(request.file.as_raw_fd());
    let Some(buffer) = &request.buffer else {
        return opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build();
    };
    let done = transfer.done();
    // SAFETY: `done` is below the buffer's length until the transfer is finished.
    let pointer = unsafe { buffer.pointer().add(done) }.as_ptr();
    let len = (buffer.len() - done).min(max_transfer);
    let offset = request.offset + done as u64;
    let registered = registration.find(pointer.addr(), len);
    // At most 1 GiB, so it fits.
    let size = |len: usize| u32::try_from(len).unwrap_or(1 << 30);
    match (request.operation, registered) {
        (Operation::Read, Some((index, len))) => {
            opcode::ReadFixed::new(fd, pointer, size(len), index).offset(offset).build()
        }
        (Operation::Read, None) => opcode::Read::new(fd, pointer, size(len)).offset(offset).build(),
        (_, Some((index, len))) => {
            opcode::WriteFixed::new(fd, pointer, size(len), index).offset(offset).build()
        }
        (_, None) => opcode::Write::new(fd, pointer, size(len)).offset(offset).build(),
    }
}

#[cfg(test)]
mod tests {
    use std::ptr::NonNull;

    use super::*;
    use crate::buffer::{AlignedBuffer, IO_ALIGNMENT, RegionRange};
    use crate::file::{Direct, IoFile};
    use crate::request::wait;

    struct Memory(NonNull<u8>, AlignedBuffer);
    // SAFETY: reached only through the ranges of the test below.
    unsafe impl Send for Memory {}
    // SAFETY: as above.
    unsafe impl Sync for Memory {}
    // SAFETY: the buffer lives as long as the region.
    unsafe impl Region for Memory {
        fn base(&self) -> NonNull<u8> {
            self.0
        }
        fn len(&self) -> usize {
            self.1.len()
        }
    }

    #[test]
    fn a_transfer_across_registered_chunks_is_done_piece_by_piece() {
        let bytes: Vec<u8> = (0..16 * IO_ALIGNMENT).map(|at| (at / 7 % 251) as u8).collect();
        let mut buffer = AlignedBuffer::copy_of(&bytes).unwrap();
        let memory: Arc<dyn Region> = Arc::new(Memory(NonNull::from(&mut buffer[0]), buffer));
        let started =
            RingEngine::start_in_chunks(EngineOptions::default(), vec![memory.clone()], 3 * IO_ALIGNMENT);
        let engine = match started {
            Ok(engine) => engine,
            Err(error) => return println!("skipped: io_uring does not run here: {error}"),
        };
        let directory = tempfile::tempdir().unwrap();
        let file = Arc::new(IoFile::open(&directory.path().join("file"), Direct::Try).unwrap());
        // SAFETY: one request at a time.
        let range = |offset, len| unsafe { RegionRange::new(memory.clone(), offset, len).unwrap() };
        let (from, len) = (2 * IO_ALIGNMENT, 10 * IO_ALIGNMENT);
        wait(&engine, |done| Request::write(file.clone(), 0, range(from, len), done)).result.unwrap();
        assert!(std::fs::read(file.path()).unwrap() == bytes[from..from + len]);
        let back = wait(&engine, |done| Request::read(file.clone(), 0, range(IO_ALIGNMENT, len), done));
        back.result.unwrap();
        assert!(back.buffer.unwrap().bytes() == &bytes[from..from + len]);
    }
}
