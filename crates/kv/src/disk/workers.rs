//! The tier's worker threads: they seal blocks before a write, and verify them after a read.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::{Builder, JoinHandle};

use attentionstore_uring::{AlignedBuffer, Completion, Engine, IoBuffer, IoError, RegionRange, Request};
use crossbeam_channel::select_biased;

use super::jobs::{EraseJob, Job, ReadJob, SyncJob, Ticket, WriteJob};
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
        let Self { block, slot, range, number, ticket } = self;
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
        submit_write(shared, slot, range, number, ticket);
    }
}

impl EraseJob {
    /// Begins the write of zeros, on the caller's thread, as [`ReadJob::submit`].
    pub(super) fn submit(self, shared: &Arc<Shared>, zeros: AlignedBuffer) {
        submit_write(shared, self.slot, zeros, self.number, self.ticket);
    }
}

/// Writes a whole slot; `buffer` is as long as one.
fn submit_write(shared: &Arc<Shared>, slot: u32, buffer: impl Into<IoBuffer>, number: u64, ticket: Ticket) {
    let buffer = buffer.into();
    let bytes = buffer.len();
    let shared_later = shared.clone();
    let done = move |completion: Completion| {
        let path = shared_later.file.path();
        let result = completion.result.map_err(|error| KvError::from_engine(path, error));
        end_write(&shared_later, number, ticket, result, bytes);
    };
    let offset = u64::from(slot) * bytes as u64;
    shared.engine.submit(Request::write(shared.file.clone(), offset, buffer, done));
}

/// Lets the flushes go that waited for this write, then tells who waits for it.
fn end_write(shared: &Shared, number: u64, ticket: Ticket, result: Result<(), KvError>, bytes: usize) {
    for flush in shared.flights.end_write(number) {
        shared.queues.send(Job::Sync(flush));
    }
    ticket.finish(result, bytes, &shared.callback_panics);
}

impl SyncJob {
    fn carry_out(self, shared: &Arc<Shared>) {
        let (shared_later, ticket) = (shared.clone(), self.ticket);
        shared.engine.submit(Request::sync(shared.file.clone(), move |completion: Completion| {
            shared_later.flights.end_flush();
            let path = shared_later.file.path();
            let result = completion.result.map_err(|error| KvError::from_engine(path, error));
            ticket.finish(result, 0, &shared_later.callback_panics);
        }));
    }
}

impl ReadJob {
    /// Begins the read, on the caller's thread: the engine's queue has room for all that the tier admits.
    pub(super) fn submit(self, shared: &Arc<Shared>, range: RegionRange) {
        let offset = u64::from(self.slot) * shared.form.layout.host_slot_bytes() as u64;
        let shared_later = shared.clone();
        let done = move |completion: Completion| match (completion.result, completion.buffer) {
            (Ok(()), Some(IoBuffer::Region(range))) => shared_later.queues.verify(self, range),
            (Ok(()), _) => {
                self.finish(&shared_later, Err(Refusal::Damaged("the buffer did not come back")));
            }
            (Err(IoError::UnexpectedEnd { .. }), _) => {
                self.finish(&shared_later, Err(Refusal::Damaged("the slot file ends in it")));
            }
            (Err(error), _) => {
                shared_later.flights.end_read();
                let error = KvError::from_engine(shared_later.file.path(), error);
                self.ticket.finish(Err(error), 0, &shared_later.callback_panics);
            }
        };
        shared.engine.submit(Request::read(shared.file.clone(), offset, range, done));
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
