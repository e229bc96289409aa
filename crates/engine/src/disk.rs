//! Transfers between dram and ssd: they pass no engine thread, so that a long step delays none of them.

use std::ptr::NonNull;
use std::sync::Arc;

use attentionstore_kv::disk::{BlockTransfer, DiskCompletion, DiskDone, DiskTier};
use attentionstore_kv::{KvError, StoredBlock};

use crate::checks::Checks;
use crate::error::EngineError;
use crate::event::{EngineEvent, Reason, TransferDone};
use crate::host::HostSlots;
use crate::outbox::Outbox;
use crate::plan::{Transfer, TransferKind, WrittenBlock};

/// The ssd tier of an engine. Cloning shares it.
#[derive(Clone)]
pub struct Disk {
    tier: Arc<DiskTier>,
    host: HostSlots,
    checks: Arc<Checks>,
    outbox: Arc<Outbox>,
}

impl Disk {
    pub fn new(tier: DiskTier, host: HostSlots, checks: Arc<Checks>, outbox: Arc<Outbox>) -> Self {
        Self { tier: Arc::new(tier), host, checks, outbox }
    }

    pub fn tier(&self) -> &DiskTier {
        &self.tier
    }

    /// Starts a read, write, erasure or flush. Whatever becomes of it is posted, also a refusal. A user waits for a read;
    /// the others keep their order behind the checks of what is written.
    pub fn start(&self, transfer: Transfer) {
        if matches!(transfer.kind, TransferKind::Read { .. }) {
            return self.start_now(transfer);
        }
        let disk = self.clone();
        self.checks.run(move || disk.start_now(transfer));
    }

    fn start_now(&self, Transfer { id, kind }: Transfer) {
        if let Err(reason) = self.submit(id, kind) {
            self.outbox.post(&EngineEvent::Transfer(TransferDone::failed(id, reason)));
        }
    }

    fn submit(&self, id: u32, kind: TransferKind) -> Result<(), Reason> {
        if let TransferKind::Write { dram_slot, .. } = &kind {
            let slot = self.host.check(*dram_slot).map_err(|error| Reason::of(&error))?;
            self.checks.verify(slot)?;
        }
        self.hand_over(id, kind).map_err(|error| Reason::of(&error))
    }

    fn hand_over(&self, id: u32, kind: TransferKind) -> Result<(), EngineError> {
        match kind {
            TransferKind::Read { ssd_slot, dram_slot, key, valid } => {
                let place = self.place(id, ssd_slot, dram_slot)?;
                self.checks.forget(dram_slot);
                // SAFETY: the directory gives a dram slot to one transfer at a time, until it is reported.
                unsafe { self.tier.read(place, key, valid as usize, self.read_done(id, dram_slot)) }?;
            }
            TransferKind::Write { dram_slot, ssd_slot, block } => {
                let place = self.place(id, ssd_slot, dram_slot)?;
                // SAFETY: as above; loads may read the payload meanwhile, nobody writes it.
                unsafe { self.tier.write(place, stored(block), self.done(id)) }?;
            }
            TransferKind::Erase { ssd_slot } => self.tier.erase(ssd_slot, u64::from(id), self.done(id))?,
            TransferKind::Flush => self.tier.flush(u64::from(id), self.done(id))?,
            TransferKind::Load { .. }
            | TransferKind::Save { .. }
            | TransferKind::Copy { .. }
            | TransferKind::Check { .. } => {
                let detail = "a transfer of memory came to the disk".to_owned();
                return Err(EngineError::Protocol { detail });
            }
        }
        Ok(())
    }

    fn place(&self, id: u32, slot: u32, dram_slot: u32) -> Result<BlockTransfer, EngineError> {
        let host = NonNull::new(self.host.slot(self.host.check(dram_slot)?)).ok_or(KvError::Closed)?;
        Ok(BlockTransfer { host, slot, tag: u64::from(id) })
    }

    /// The slot's checksum is that of the header that was verified.
    fn read_done(&self, id: u32, dram_slot: u32) -> DiskDone {
        let (checks, tell) = (self.checks.clone(), self.done(id));
        Box::new(move |completion: DiskCompletion| {
            if completion.result.is_ok() {
                checks.adopt(dram_slot);
            }
            tell(completion);
        })
    }

    fn done(&self, id: u32) -> DiskDone {
        let outbox = self.outbox.clone();
        Box::new(move |completion: DiskCompletion| {
            let error = completion.result.err().map(|error| Reason::of(&error.into()));
            let (bytes, ms) = (completion.bytes, completion.duration.as_secs_f32() * 1e3);
            outbox.post(&EngineEvent::Transfer(TransferDone { id, error, bytes, ms }));
        })
    }
}

/// The block as its header describes it.
fn stored(block: WrittenBlock) -> StoredBlock {
    let WrittenBlock { key, parent, index, view, last_use, tokens } = block;
    let view = view.map(|view| [view.window, view.head, view.step]);
    StoredBlock { key, parent, index, view, last_use, tokens }
}
