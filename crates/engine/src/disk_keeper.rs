//! Room on the disk, taken a little before it is needed: a thread of its own, for the file system may take its time.

use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use attentionstore_kv::disk::{DiskTier, GivenUp, Growth, Owner};

use crate::error::EngineError;
use crate::event::{EngineEvent, ExtentGivenUp, GrowingTier, Reason, TierCommitted, TransferDone};
use crate::outbox::Outbox;
use crate::panics::guarded;

/// Work on files that no transfer waits behind.
pub enum Errand {
    /// Room for the first so many slots. Answered by events, each with as many as may be used by then; the last one says
    /// why if they are fewer. Not answered where they may be used already.
    Grow(u32),
    /// Zeros over a slot of a foreign owner; answered as transfer `id`, when they are durable.
    EraseForeign { id: u32, owner: Owner, slot: u32 },
}

/// The thread that works on the tier's files.
pub struct DiskKeeper {
    errands: Mutex<Option<Sender<Errand>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl DiskKeeper {
    /// # Errors
    /// There is no thread for it.
    pub fn start(tier: Arc<DiskTier>, outbox: Arc<Outbox>) -> std::io::Result<Self> {
        let (errands, received) = channel();
        let work = move || guarded(&outbox, "the thread of disk room", || serve(&tier, &received, &outbox));
        let thread = Builder::new().name("attentionstore-disk".to_owned()).spawn(work)?;
        Ok(Self { errands: Mutex::new(Some(errands)), thread: Mutex::new(Some(thread)) })
    }

    /// # Errors
    /// [`EngineError::Closed`].
    pub fn send(&self, errand: Errand) -> Result<(), EngineError> {
        let errands = self.errands.lock().unwrap_or_else(PoisonError::into_inner);
        let sent = errands.as_ref().map(|errands| errands.send(errand));
        sent.and_then(Result::ok).ok_or(EngineError::Closed)
    }

    /// Waits for what was asked for; of a growth, for the step under way. Idempotent.
    pub fn close(&self) {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let _ = thread.join();
        }
    }
}

/// A growth gives way to other errands between its steps.
fn serve(tier: &DiskTier, received: &Receiver<Errand>, outbox: &Outbox) {
    let mut wanted = 0;
    loop {
        let is_growing = tier.committed() < wanted;
        let errand = if is_growing {
            received.try_recv()
        } else {
            received.recv().map_err(|_| TryRecvError::Disconnected)
        };
        match errand {
            Ok(Errand::Grow(slots)) => wanted = wanted.max(slots.min(tier.slots())),
            Ok(Errand::EraseForeign { id, owner, slot }) => erase(tier, id, owner, slot, outbox),
            Err(TryRecvError::Empty) if grow(tier, wanted, outbox) => {}
            Err(TryRecvError::Empty) => wanted = 0,
            Err(TryRecvError::Disconnected) => return,
        }
    }
}

/// One step. False: it was refused.
fn grow(tier: &DiskTier, wanted: u32, outbox: &Outbox) -> bool {
    let Growth { slots, given_up, refused } = tier.grow(wanted);
    for GivenUp { owner, slots_left, bytes } in given_up {
        let given_up = ExtentGivenUp { owner: owner.to_string(), slots_left, bytes };
        outbox.post(&EngineEvent::GivenUp(given_up));
    }
    let goes_on = refused.is_none();
    let refused = refused.map(|error| Reason::of(&error.into()));
    outbox.post(&EngineEvent::Committed(TierCommitted { tier: GrowingTier::Ssd, slots, refused }));
    goes_on
}

fn erase(tier: &DiskTier, id: u32, owner: Owner, slot: u32, outbox: &Outbox) {
    let begun = Instant::now();
    let error = tier.erase_foreign(owner, slot).err().map(|error| Reason::of(&error.into()));
    let ms = begun.elapsed().as_secs_f32() * 1e3;
    outbox.post(&EngineEvent::Transfer(TransferDone { id, error, bytes: 0, ms }));
}
