//! Checksums of what lies in dram. A slot gets one when its save has ended or its read was verified; it is compared before
//! the block is written down, for a share of the loads, and whenever it is asked for.
//!
//! Memory without ECC flips bits, and stray writes leave no trace: without a checksum such KV would be served, and kept.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::mpsc::{SendError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use attentionstore_kv::HEADER_BYTES;
use attentionstore_kv::header::{checksum_in, payload_checksum};

use crate::event::{EngineEvent, Reason, TransferDone};
use crate::host::HostSlots;
use crate::outbox::Outbox;
use crate::panics::guarded;

/// Code of transfers whose dram slot does not hold what was put there.
pub const DRAM_DAMAGED: &str = "dram_damaged";

/// Code of loads that came in one batch with such a one: their own slots hold what was put there.
pub const BATCH_DAMAGED: &str = "batch_damaged";

const MILLION: u64 = 1_000_000;

type Job = Box<dyn FnOnce() + Send>;

/// How many slots were compared, and how many held something else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CheckCounts {
    pub checked: u64,
    pub damaged: u64,
}

/// The checksums of a dram tier, and the thread that computes them: beside the streams, so that no copy waits for it.
pub struct Checks {
    host: HostSlots,
    outbox: Arc<Outbox>,
    /// By slot; `None`: nothing is known of its bytes.
    sums: Mutex<Vec<Option<u128>>>,
    /// Loads of a million that are compared.
    share: u64,
    loads: AtomicU64,
    checked: AtomicU64,
    damaged: AtomicU64,
    /// `None`: jobs run where they are given.
    jobs: Mutex<Option<Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Checks {
    /// Without a thread of its own. `share`: of the loads, 0 to 1.
    pub fn inline(host: HostSlots, outbox: Arc<Outbox>, share: f64) -> Self {
        Self {
            sums: Mutex::new(vec![None; host.count() as usize]),
            host,
            outbox,
            share: (share.clamp(0.0, 1.0) * MILLION as f64) as u64,
            loads: AtomicU64::new(0),
            checked: AtomicU64::new(0),
            damaged: AtomicU64::new(0),
            jobs: Mutex::new(None),
            thread: Mutex::new(None),
        }
    }

    /// # Errors
    /// The system gives no thread.
    pub fn start(host: HostSlots, outbox: Arc<Outbox>, share: f64) -> std::io::Result<Self> {
        let checks = Self::inline(host, outbox.clone(), share);
        let (jobs, to_run) = channel::<Job>();
        let thread = Builder::new().name("attentionstore-checks".to_owned()).spawn(move || {
            to_run.iter().for_each(|job| guarded(&outbox, "the thread attentionstore-checks", job));
        })?;
        *lock(&checks.jobs) = Some(jobs);
        *lock(&checks.thread) = Some(thread);
        Ok(checks)
    }

    /// Runs a job behind those given before it; here and now once the thread has ended.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) {
        let job: Job = Box::new(job);
        let jobs = lock(&self.jobs).clone();
        let left = match jobs {
            Some(jobs) => jobs.send(job).err().map(|SendError(job)| job),
            None => Some(job),
        };
        if let Some(job) = left {
            guarded(&self.outbox, "a check", job);
        }
    }

    /// Runs what was given, then ends the thread. Idempotent.
    pub fn close(&self) {
        lock(&self.jobs).take();
        if let Some(thread) = lock(&self.thread).take() {
            let _ = thread.join();
        }
    }

    /// The slot holds a block from now on. `slot` was checked, and is its caller's alone.
    pub fn remember(&self, slot: u32) {
        let sum = self.sum_of(slot);
        lock(&self.sums)[slot as usize] = Some(sum);
    }

    /// The slot holds what a verified header in it describes: its checksum is that of the disk, not a new one.
    pub fn adopt(&self, slot: u32) {
        // SAFETY: the slot was checked; its header page is initialised and nobody writes to it now.
        let page = unsafe { std::slice::from_raw_parts(self.host.slot(slot), HEADER_BYTES) };
        lock(&self.sums)[slot as usize] = Some(checksum_in(page));
    }

    /// Nothing is known of the slot's bytes any more.
    pub fn forget(&self, slot: u32) {
        lock(&self.sums)[slot as usize] = None;
    }

    /// Compares a slot's bytes with its checksum. `slot` was checked; nobody writes to it meanwhile.
    ///
    /// # Errors
    /// They are not what was put there.
    pub fn verify(&self, slot: u32) -> Result<(), Reason> {
        let Some(expected) = lock(&self.sums)[slot as usize] else { return Ok(()) };
        self.checked.fetch_add(1, Relaxed);
        if self.sum_of(slot) == expected {
            return Ok(());
        }
        self.damaged.fetch_add(1, Relaxed);
        Err(Reason::new(DRAM_DAMAGED, format_args!("dram slot {slot} does not hold what was put there")))
    }

    /// Whether the next load is one of those that are compared: spread evenly.
    pub fn is_due(&self) -> bool {
        let before = self.loads.fetch_add(self.share, Relaxed);
        before % MILLION + self.share >= MILLION
    }

    pub fn counts(&self) -> CheckCounts {
        CheckCounts { checked: self.checked.load(Relaxed), damaged: self.damaged.load(Relaxed) }
    }

    /// Compares a slot behind the jobs before it, and posts the end as transfer `id`.
    pub fn check(self: &Arc<Self>, id: u32, slot: u32) {
        let slot = match self.host.check(slot) {
            Ok(slot) => slot,
            Err(error) => {
                return self
                    .outbox
                    .post(&EngineEvent::Transfer(TransferDone::failed(id, Reason::of(&error))));
            }
        };
        let checks = self.clone();
        self.run(move || {
            let error = checks.verify(slot).err();
            let bytes = checks.host.layout().block_bytes() as u64;
            checks.outbox.post(&EngineEvent::Transfer(TransferDone { id, error, bytes, ms: 0.0 }));
        });
    }

    fn sum_of(&self, slot: u32) -> u128 {
        // SAFETY: the slot was checked; by the contracts above nobody writes to its payload meanwhile.
        let payload = unsafe {
            let start = self.host.slot(slot).add(HEADER_BYTES);
            std::slice::from_raw_parts(start, self.host.layout().block_bytes())
        };
        payload_checksum(payload)
    }
}

impl Drop for Checks {
    fn drop(&mut self) {
        self.close();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(all(test, not(feature = "shuttle")))]
mod tests {
    use attentionstore_kv::arena::HostArena;
    use attentionstore_kv::{KvDtype, KvLayout, SliceOrder};

    use super::*;

    const LAYOUT: KvLayout = KvLayout {
        layers: 2,
        kv_heads: 1,
        head_dim: 64,
        dtype: KvDtype::Bf16,
        order: SliceOrder::TokensFirst,
    };

    fn checks(share: f64) -> Checks {
        let arena = Arc::new(HostArena::new(2 * LAYOUT.host_slot_bytes()).unwrap());
        let host = HostSlots::new(arena, LAYOUT, 2);
        Checks::start(host, Arc::new(Outbox::new(Box::new(|| {}))), share).unwrap()
    }

    #[test]
    fn any_flipped_bit_of_a_slot_is_found_and_the_slot_beside_it_is_whole() {
        let checks = checks(1.0);
        (0..2).for_each(|slot| checks.remember(slot));
        for byte in [0, 1, LAYOUT.block_bytes() / 2, LAYOUT.block_bytes() - 1] {
            let flip = |bit: u8| {
                // SAFETY: inside slot 1, which no other thread uses.
                unsafe { *checks.host.slot(1).add(HEADER_BYTES + byte) ^= 1 << bit }
            };
            for bit in 0..8 {
                flip(bit);
                assert_eq!(checks.verify(1).unwrap_err().code, DRAM_DAMAGED);
                assert_eq!(checks.verify(0), Ok(()));
                flip(bit);
            }
        }
        assert_eq!(checks.verify(1), Ok(()));
        assert_eq!(checks.counts(), CheckCounts { checked: 65, damaged: 32 });
    }

    #[test]
    fn a_share_of_the_loads_is_due_evenly() {
        let due = |share: f64| {
            let checks = checks(share);
            (0..1000).map(|_| checks.is_due()).collect::<Vec<bool>>()
        };
        for (share, expected) in [(0.0, 0), (0.02, 20), (0.25, 250), (1.0, 1000)] {
            let due = due(share);
            assert_eq!(due.iter().filter(|due| **due).count(), expected);
            assert!(share == 0.0 || due.windows((1.0 / share) as usize + 1).all(|some| some.contains(&true)));
        }
    }

    #[test]
    fn jobs_run_in_their_order_and_those_after_the_close_at_once() {
        let checks = checks(1.0);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let note = |number: u32| {
            let seen = seen.clone();
            move || lock(&seen).push(number)
        };
        (0..10).for_each(|number| checks.run(note(number)));
        checks.close();
        checks.run(note(10));
        assert_eq!(*lock(&seen), (0..11).collect::<Vec<u32>>());
    }
}
