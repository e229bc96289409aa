//! A step's numbers on their way to the card: one copy a step, out of pinned memory that is written again only
//! when the card has it. The card's processors fetch it: behind a load, its copy engine would take milliseconds.
//!
//! In words: tokens, slots, positions, logit rows and starts of views (one a row each), tiles (four words each),
//! then the slots of all views.

use attentionstore_cuda::launch::QueryTile;
use attentionstore_cuda::runtime::{DevicePointer, Event, PinnedBuffer, Stream, bytes_of};
use attentionstore_cuda::{CudaError, Device, Kernels};

use super::arrange::Arrangement;
use super::plan::Sizes;

const TILE_WORDS: usize = size_of::<QueryTile>() / 4;

/// One of the two places that steps take turns with.
struct Staging {
    memory: PinnedBuffer,
    /// The last copy out of it.
    sent: Event,
}

/// Where the card finds a step's numbers. The places do not change.
#[derive(Clone, Copy, Debug)]
pub struct InputPointers {
    pub tokens: DevicePointer,
    pub row_slots: DevicePointer,
    pub row_positions: DevicePointer,
    pub logit_rows: DevicePointer,
    pub table_starts: DevicePointer,
    pub tiles: DevicePointer,
    pub block_slots: DevicePointer,
}

pub struct Inputs {
    rows: usize,
    all: DevicePointer,
    pub pointers: InputPointers,
    staging: [Staging; 2],
    turn: usize,
}

impl Inputs {
    /// # Errors
    /// No pinned memory, or `all` is smaller than `sizes` say.
    pub fn new(device: &Device, sizes: &Sizes, all: DevicePointer) -> Result<Inputs, CudaError> {
        let rows = sizes.rows;
        let part = |at: usize| all.part(at * rows * 4, rows * 4);
        let fixed = (5 + TILE_WORDS) * rows * 4;
        let pointers = InputPointers {
            tokens: part(0)?,
            row_slots: part(1)?,
            row_positions: part(2)?,
            logit_rows: part(3)?,
            table_starts: part(4)?,
            tiles: all.part(5 * rows * 4, TILE_WORDS * rows * 4)?,
            block_slots: all.from(fixed)?,
        };
        let staging = || -> Result<Staging, CudaError> {
            let memory = PinnedBuffer::new(device, all.bytes())?;
            Ok(Staging { memory, sent: Event::new(device)? })
        };
        Ok(Inputs { rows, all, pointers, staging: [staging()?, staging()?], turn: 0 })
    }

    /// Enqueues the copy of a step's numbers.
    ///
    /// # Errors
    /// The driver refuses, or earlier work failed.
    pub fn send(
        &mut self,
        kernels: &Kernels,
        stream: &Stream,
        arrangement: &Arrangement,
    ) -> Result<(), CudaError> {
        let rows = self.rows;
        self.turn = (self.turn + 1) % self.staging.len();
        let Staging { memory, sent } = &mut self.staging[self.turn];
        sent.synchronize()?;
        let words = [
            (0, bytes_of(&arrangement.tokens)),
            (1, bytes_of(&arrangement.row_slots)),
            (2, bytes_of(&arrangement.row_positions)),
            (3, bytes_of(&arrangement.logit_rows)),
            (4, bytes_of(&arrangement.table_starts)),
            (5, bytes_of(&arrangement.tiles)),
            (5 + TILE_WORDS, bytes_of(&arrangement.block_slots)),
        ];
        let place = memory.as_mut_slice();
        for (at, bytes) in words {
            place[at * rows * 4..][..bytes.len()].copy_from_slice(bytes);
        }
        let used = (5 + TILE_WORDS) * rows * 4 + arrangement.block_slots.len() * 4;
        // SAFETY: the place is written again only after `sent`, and freed by the driver after the stream is done.
        unsafe { kernels.send(stream, memory, self.all, used) }?;
        sent.record(stream)
    }
}
