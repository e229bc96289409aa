//! Memory of the tiers, taken from the system a little before it is needed.
//!
//! TypeScript asks for slots; a thread of its own makes their memory present (and, on a card, registers it) step by step,
//! and tells how far it has come. Before each step it asks what the system and the control groups have left: a process
//! that takes more is killed.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};

use attentionstore_kv::memory_left::MemoryLeft;
use attentionstore_model::backend::{PinnedMemory, SlotMemory};

use crate::error::EngineError;
use crate::event::{EngineEvent, GrowingTier, Reason, TierCommitted};
use crate::host::HostSlots;
use crate::outbox::Outbox;
use crate::panics::guarded;

/// Most bytes between two reports.
const STEP_BYTES: u64 = 64 << 20;

/// Bytes of each tier that are there when the engine opens.
const AT_START_BYTES: u64 = 64 << 20;

/// What the rest of the process, and of the machine, is left: a share of the bound, within bounds.
const RESERVE_SHARE: u64 = 16;
const RESERVE_MIN: u64 = 64 << 20;
const RESERVE_MAX: u64 = 1 << 30;

/// Asks the system how much memory may still be taken. `None`: the system tells none, and no step is refused.
pub type AskSystem = Arc<dyn Fn() -> Option<MemoryLeft> + Send + Sync>;

/// One tier's memory.
pub trait TierMemory: Send {
    fn slots(&self) -> u32;
    /// Bytes of a slot.
    fn slot_bytes(&self) -> u64;
    /// Makes slots present, from those that are on; at least up to `to` where there are so many. Returns how many are.
    ///
    /// # Errors
    /// The system or the device refuses.
    fn commit(&mut self, to: u32) -> Result<u32, EngineError>;
}

/// Slots of the device that lie in memory of the host.
pub struct HbmMemory {
    memory: Arc<dyn SlotMemory>,
    slots: u32,
    slot_bytes: u64,
    committed: u32,
}

impl HbmMemory {
    pub fn new(memory: Arc<dyn SlotMemory>, slots: u32, slot_bytes: u64) -> Self {
        Self { memory, slots, slot_bytes, committed: 0 }
    }
}

impl TierMemory for HbmMemory {
    fn slots(&self) -> u32 {
        self.slots
    }

    fn slot_bytes(&self) -> u64 {
        self.slot_bytes
    }

    fn commit(&mut self, to: u32) -> Result<u32, EngineError> {
        let to = to.min(self.slots);
        self.memory.commit(self.committed..to)?;
        self.committed = self.committed.max(to);
        Ok(self.committed)
    }
}

/// Slots in the host arena.
pub struct DramMemory {
    host: HostSlots,
    slots: u32,
    pinned: Option<Arc<dyn PinnedMemory>>,
    /// Bytes of the arena that may be used.
    ready: usize,
}

impl DramMemory {
    pub fn new(host: HostSlots, slots: u32, pinned: Option<Arc<dyn PinnedMemory>>) -> Self {
        Self { host, slots, pinned, ready: 0 }
    }
}

impl TierMemory for DramMemory {
    fn slots(&self) -> u32 {
        self.slots
    }

    fn slot_bytes(&self) -> u64 {
        self.host.layout().host_slot_bytes() as u64
    }

    fn commit(&mut self, to: u32) -> Result<u32, EngineError> {
        let (arena, slot_bytes) = (self.host.arena(), self.host.layout().host_slot_bytes());
        let wanted = to.min(self.slots) as usize * slot_bytes;
        let Some(pinned) = &self.pinned else {
            arena.commit(wanted)?;
            self.ready = wanted.max(self.ready);
            return Ok((self.ready / slot_bytes) as u32);
        };
        let part = pinned.part_bytes();
        let end = wanted.next_multiple_of(part).min(arena.len());
        arena.commit(end)?;
        while self.ready < end {
            let next = (self.ready + part).min(end);
            pinned.register(self.ready..next)?;
            self.ready = next;
        }
        Ok(self.slots.min((self.ready / slot_bytes) as u32))
    }
}

/// A tier's memory and how far it has come.
struct Growing {
    memory: Box<dyn TierMemory>,
    committed: u32,
}

impl Growing {
    /// One step towards `to` slots.
    ///
    /// # Errors
    /// The system has not so much left; what [`TierMemory::commit`] says.
    fn step(&mut self, to: u32, ask: &AskSystem) -> Result<(), EngineError> {
        let slot_bytes = self.memory.slot_bytes().max(1);
        let most = u32::try_from(STEP_BYTES / slot_bytes).unwrap_or(u32::MAX).max(1);
        let next = to.min(self.committed.saturating_add(most)).min(self.memory.slots());
        check_room(u64::from(next - self.committed) * slot_bytes, ask)?;
        self.committed = self.memory.commit(next)?.max(self.committed);
        Ok(())
    }

    fn is_enough(&self, wanted: u32) -> bool {
        self.committed >= wanted.min(self.memory.slots())
    }
}

fn check_room(bytes: u64, ask: &AskSystem) -> Result<(), EngineError> {
    let Some(MemoryLeft { left, limit }) = ask() else { return Ok(()) };
    let reserve = (limit / RESERVE_SHARE).clamp(RESERVE_MIN, RESERVE_MAX);
    if left >= bytes.saturating_add(reserve) {
        return Ok(());
    }
    Err(EngineError::MemoryLow { bytes, left, reserve })
}

/// The tiers before the thread that grows them has started.
pub struct Tiers {
    hbm: Option<Growing>,
    dram: Growing,
    ask: AskSystem,
}

impl Tiers {
    /// Makes the first slots of both tiers present. `hbm`: `None` where all of it is. `dram_at_once`: all slots of dram.
    ///
    /// # Errors
    /// There is no memory for them.
    pub fn open(
        hbm: Option<HbmMemory>,
        dram: DramMemory,
        dram_at_once: bool,
        ask: AskSystem,
    ) -> Result<Self, EngineError> {
        let growing = |memory: Box<dyn TierMemory>, all: bool| {
            let mut growing = Growing { memory, committed: 0 };
            let at_start = AT_START_BYTES / growing.memory.slot_bytes().max(1);
            let wanted = if all { u32::MAX } else { u32::try_from(at_start).unwrap_or(u32::MAX).max(1) };
            while !growing.is_enough(wanted) {
                growing.step(wanted, &ask)?;
            }
            Ok::<_, EngineError>(growing)
        };
        let hbm = hbm.map(|memory| growing(Box::new(memory), false)).transpose()?;
        let dram = growing(Box::new(dram), dram_at_once)?;
        Ok(Self { hbm, dram, ask })
    }

    /// Slots of hbm that may be used, unless all may.
    pub fn hbm_committed(&self) -> Option<u32> {
        self.hbm.as_ref().map(|hbm| hbm.committed)
    }

    pub fn dram_committed(&self) -> u32 {
        self.dram.committed
    }

    fn tier(&mut self, tier: GrowingTier) -> Option<&mut Growing> {
        match tier {
            GrowingTier::Hbm => self.hbm.as_mut(),
            GrowingTier::Dram => Some(&mut self.dram),
            // Its room is on a disk: `disk_keeper`.
            GrowingTier::Ssd => None,
        }
    }

    /// One step of one tier, told through `outbox`. False: the tier has all that was wanted, or can have no more now.
    fn grow(&mut self, tier: GrowingTier, wanted: u32, outbox: &Outbox) -> bool {
        let ask = self.ask.clone();
        let Some(growing) = self.tier(tier).filter(|growing| !growing.is_enough(wanted)) else {
            return false;
        };
        let refused = growing.step(wanted, &ask).err().map(|error| Reason::of(&error));
        let (slots, goes_on) = (growing.committed, refused.is_none());
        outbox.post(&EngineEvent::Committed(TierCommitted { tier, slots, refused }));
        goes_on
    }
}

/// A tier, and how many slots are wanted of it.
type Wish = (GrowingTier, u32);

/// The thread that grows the tiers.
pub struct MemoryKeeper {
    wishes: Mutex<Option<Sender<Wish>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl MemoryKeeper {
    /// # Errors
    /// There is no thread for it.
    pub fn start(mut tiers: Tiers, outbox: Arc<Outbox>) -> std::io::Result<Self> {
        let (wishes, received) = channel();
        let work = move || guarded(&outbox, "the thread of memory", || serve(&mut tiers, &received, &outbox));
        let thread = Builder::new().name("attentionstore-memory".to_owned()).spawn(work)?;
        Ok(Self { wishes: Mutex::new(Some(wishes)), thread: Mutex::new(Some(thread)) })
    }

    /// Asks for the memory of the first `slots` of a tier. Answered by events, each with as many as may be used by then;
    /// the last one says why if they are fewer. Not answered where they may be used already.
    ///
    /// # Errors
    /// [`EngineError::Closed`].
    pub fn wish(&self, tier: GrowingTier, slots: u32) -> Result<(), EngineError> {
        let wishes = self.wishes.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = wishes.as_ref().map(|wishes| wishes.send((tier, slots)));
        sent.and_then(Result::ok).ok_or(EngineError::Closed)
    }

    /// Waits for the step under way. Idempotent.
    pub fn close(&self) {
        self.wishes.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

/// Tiers grow in turn, a step each, until all wishes are fulfilled or refused.
fn serve(tiers: &mut Tiers, received: &Receiver<Wish>, outbox: &Outbox) {
    let mut open: Vec<Wish> = Vec::new();
    loop {
        if open.is_empty() {
            let Ok(wish) = received.recv() else { return };
            open.push(wish);
        }
        loop {
            match received.try_recv() {
                Ok(wish) => open.push(wish),
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => return,
            }
        }
        open.retain(|&(tier, wanted)| tiers.grow(tier, wanted, outbox));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use super::*;

    const MIB: u64 = 1 << 20;

    /// Slots of 1 MiB.
    struct Counted(u32);

    impl TierMemory for Counted {
        fn slots(&self) -> u32 {
            1000
        }
        fn slot_bytes(&self) -> u64 {
            MIB
        }
        fn commit(&mut self, to: u32) -> Result<u32, EngineError> {
            self.0 = self.0.max(to);
            Ok(self.0)
        }
    }

    fn growing() -> Growing {
        Growing { memory: Box::new(Counted(0)), committed: 0 }
    }

    fn with_left(left: &Arc<AtomicU64>) -> AskSystem {
        let left = left.clone();
        Arc::new(move || Some(MemoryLeft { left: left.load(Ordering::Relaxed), limit: 1 << 30 }))
    }

    #[test]
    fn a_tier_grows_in_steps_up_to_all_of_its_slots() {
        let ask: AskSystem = Arc::new(|| None);
        let mut tier = growing();
        tier.step(u32::MAX, &ask).unwrap();
        assert_eq!(tier.committed, 64);
        while !tier.is_enough(u32::MAX) {
            tier.step(u32::MAX, &ask).unwrap();
        }
        assert_eq!(tier.committed, 1000);
    }

    #[test]
    fn a_step_that_would_touch_the_reserve_is_refused_and_one_after_it_that_would_not_is_not() {
        let left = Arc::new(AtomicU64::new(0));
        let mut tier = growing();
        left.store(64 * MIB + 9 * MIB, Ordering::Relaxed);
        tier.step(9, &with_left(&left)).unwrap();
        let error = tier.step(20, &with_left(&left)).unwrap_err();
        assert_eq!((error.code(), tier.committed), ("memory_low", 9));
        left.store(200 * MIB, Ordering::Relaxed);
        tier.step(20, &with_left(&left)).unwrap();
        assert_eq!(tier.committed, 20);
    }

    #[test]
    fn every_step_is_told_and_the_last_says_why_there_are_fewer() {
        let left = Arc::new(AtomicU64::new(64 * MIB + 70 * MIB));
        let outbox = Arc::new(Outbox::new(Box::new(|| {})));
        let (dram, ask) = (growing(), with_left(&left));
        let mut tiers = Tiers { hbm: None, dram, ask };
        assert!(tiers.grow(GrowingTier::Dram, 100, &outbox));
        left.store(0, Ordering::Relaxed);
        assert!(!tiers.grow(GrowingTier::Dram, 100, &outbox));
        assert!(!tiers.grow(GrowingTier::Dram, 64, &outbox), "there are as many");
        assert!(!tiers.grow(GrowingTier::Hbm, 64, &outbox), "all of it is there");
        let mut packed = vec![0; 4096];
        let length = outbox.take(&mut packed);
        let mut events = crate::wire::decode_events(&packed[..length]).unwrap().into_iter();
        let told = TierCommitted { tier: GrowingTier::Dram, slots: 64, refused: None };
        assert_eq!(events.next(), Some(EngineEvent::Committed(told)));
        let Some(EngineEvent::Committed(last)) = events.next() else { panic!("a second event") };
        assert_eq!((last.slots, last.refused.unwrap().code.as_str()), (64, "memory_low"));
        assert_eq!(events.next(), None);
    }
}
