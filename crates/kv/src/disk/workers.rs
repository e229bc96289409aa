//! The tier's worker threads: they seal blocks before a write, and verify them after a read.

use std::io;
use std::mem::replace;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use attentionstore_uring::{AlignedBuffer, Completion, Engine, IoBuffer, IoError, RegionRange, Request};
use crossbeam_channel::select_biased;

use super::jobs::{EraseJob, Job, Place, ReadJob, SyncJob, Ticket, WriteJob};
use super::shared::Shared;
use crate::error::KvError;
use crate::header::Refusal;
use crate::layout::HEADER_BYTES;

/// More threads than this outrun any memory.
const WORKERS_MAX: usize = 16;

pub(super) fn start(shared: &Arc<Shared>, count: usize) -> io::Result<Vec<JoinHandle<()>>> {
    (0..count.clamp(1, WORKERS_MAX))
        .map(|index| {
            let shared = shared.clone();
            let name = format!("disk-tier-{index}");
            Builder::new().name(name).spawn(move || shared.panics.guard(|| run(&shared)).unwrap_or_default())
        })
        .collect()
}

fn run(shared: &Arc<Shared>) {
    loop {
        select_biased! {
            recv(shared.queues.reads.1) -> back => if let Ok((job, range)) = back {
                job.verify(shared, &range);
            },
            recv(shared.queues.jobs.1) -> job => match job {
                Ok(Job::Write(job)) => job.carry_out(shared),
                Ok(Job::Sync(job)) => job.carry_out(shared),
                Ok(Job::Stop) | Err(_) => return,
            },
        }
    }
}

impl WriteJob {
    fn carry_out(self, shared: &Arc<Shared>) {
        let Self { block, place, range, number, ticket } = self;
        let layout = &shared.form.layout;
        let bytes = layout.host_slot_bytes();
        // SAFETY: the range is a host slot; by the contract of `DiskTier::write` its header page is ours and
        // nobody writes to its payload.
        let sealed = unsafe {
            let start = range.pointer().as_ptr();
            let page = std::slice::from_raw_parts_mut(start, HEADER_BYTES);
            let payload = std::slice::from_raw_parts(start.add(HEADER_BYTES), layout.block_bytes());
            shared.form.seal(&block, page, payload)
        };
        if let Err(reason) = sealed {
            let error = KvError::Invalid { what: "block to write", detail: reason.into() };
            return end_write(shared, number, ticket, Err(error), bytes);
        }
        submit_write(shared, place, range, number, ticket);
    }
}

impl EraseJob {
    /// Begins the write of zeros, on the caller's thread, as [`ReadJob::submit`].
    pub(super) fn submit(self, shared: &Arc<Shared>, zeros: AlignedBuffer) {
        submit_write(shared, self.place, zeros, self.number, self.ticket);
    }
}

/// Writes a whole slot; `buffer` is as long as one.
fn submit_write(
    shared: &Arc<Shared>,
    (extent, offset): Place,
    buffer: impl Into<IoBuffer>,
    number: u64,
    ticket: Ticket,
) {
    let buffer = buffer.into();
    let bytes = buffer.len();
    let (shared_later, file) = (shared.clone(), extent.file.clone());
    let done = move |completion: Completion| {
        extent.wrote();
        let path = extent.file.path();
        let result = completion.result.map_err(|error| KvError::from_engine(path, error));
        end_write(&shared_later, number, ticket, result, bytes);
    };
    shared.engine.submit(Request::write(file, offset, buffer, done));
}

/// Lets the flushes go that waited for this write, then tells who waits for it.
fn end_write(shared: &Shared, number: u64, ticket: Ticket, result: Result<(), KvError>, bytes: usize) {
    for flush in shared.flights.end_write(number) {
        shared.queues.send(Job::Sync(flush));
    }
    ticket.finish(result, bytes, &shared.callback_panics);
}

impl SyncJob {
    /// Flushes every extent that was written since it was flushed last. Those that another flush has under way are flushed
    /// again: this one must not end well before that one has.
    fn carry_out(self, shared: &Arc<Shared>) {
        let extents = shared.extents.all();
        let due: Vec<_> = extents
            .into_iter()
            .filter_map(|extent| extent.unflushed().map(|written| (extent, written)))
            .collect();
        if due.is_empty() {
            return end_flush(shared, self.ticket, Ok(()));
        }
        let rest = Arc::new(Mutex::new((due.len(), Ok(()), Some(self.ticket))));
        for (extent, written) in due {
            let (shared_later, rest, file) = (shared.clone(), rest.clone(), extent.file.clone());
            shared.engine.submit(Request::sync(file, move |completion: Completion| {
                let path = extent.file.path();
                let result = completion.result.map_err(|error| KvError::from_engine(path, error));
                if result.is_ok() {
                    extent.became_durable(written);
                }
                let ended = {
                    let mut rest = rest.lock().unwrap_or_else(PoisonError::into_inner);
                    let (left, outcome, ticket) = &mut *rest;
                    *left -= 1;
                    if outcome.is_ok() {
                        *outcome = result;
                    }
                    if *left == 0 {
                        ticket.take().map(|ticket| (ticket, replace(outcome, Ok(()))))
                    } else {
                        None
                    }
                };
                if let Some((ticket, outcome)) = ended {
                    end_flush(&shared_later, ticket, outcome);
                }
            }));
        }
    }
}

fn end_flush(shared: &Shared, ticket: Ticket, result: Result<(), KvError>) {
    shared.flights.end_flush();
    ticket.finish(result, 0, &shared.callback_panics);
}

impl ReadJob {
    /// Begins the read, on the caller's thread: the engine's queue has room for all that the tier admits.
    pub(super) fn submit(self, shared: &Arc<Shared>, range: RegionRange) {
        let (extent, offset) = self.place.clone();
        let (shared_later, file) = (shared.clone(), extent.file.clone());
        let done = move |completion: Completion| match (completion.result, completion.buffer) {
            (Ok(()), Some(IoBuffer::Region(range))) => shared_later.queues.verify(self, range),
            (Ok(()), _) => {
                self.finish(&shared_later, Err(Refusal::Damaged("the buffer did not come back")));
            }
            (Err(IoError::UnexpectedEnd { .. }), _) => {
                self.finish(&shared_later, Err(Refusal::Damaged("the extent ends in it")));
            }
            (Err(error), _) => {
                shared_later.flights.end_read();
                let error = KvError::from_engine(extent.file.path(), error);
                self.ticket.finish(Err(error), 0, &shared_later.callback_panics);
            }
        };
        shared.engine.submit(Request::read(file, offset, range, done));
    }

    fn verify(self, shared: &Shared, range: &RegionRange) {
        let layout = &shared.form.layout;
        // SAFETY: the range is a host slot; by the contract of `DiskTier::read` it is ours alone.
        let (page, payload) = unsafe {
            let slot = std::slice::from_raw_parts(range.pointer().as_ptr(), layout.host_slot_bytes());
            slot.split_at(HEADER_BYTES)
        };
        let verdict = shared.form.verify(&self.key, self.valid, page, &payload[..layout.block_bytes()]);
        self.finish(shared, verdict.map(drop));
    }

    fn finish(self, shared: &Shared, verdict: Result<(), Refusal>) {
        let (slot, bytes) = (self.slot, shared.form.layout.host_slot_bytes());
        if verdict.is_err() {
            shared.damaged.fetch_add(1, Ordering::Relaxed);
        }
        shared.flights.end_read();
        let result = verdict.map_err(|refusal| match refusal {
            Refusal::Damaged(reason) => KvError::Damaged { slot, reason },
            Refusal::Foreign(reason) => KvError::Foreign { slot, reason },
        });
        self.ticket.finish(result, bytes, &shared.callback_panics);
    }
}
