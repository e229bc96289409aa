//! A whole matrix in panels.

use super::PanelBlock;
use super::blocks::{PanelBf16, PanelF16, PanelF32, PanelQ4_0, PanelQ4_1, PanelQ8_0};
use super::k_blocks::{PanelQ4K, PanelQ5K, PanelQ6K};
use attentionstore_kv::PAGE_BYTES;
use rustix::mm::{Advice, madvise};

use crate::backend::cpu::simd::LANES;
use crate::error::ModelError;
use crate::weights::{Tensor, WeightDtype};

/// Blocks of all panels: pair of panels after pair, in each the blocks in input order, the two panels' taking
/// turns. So a pair is one stream of memory.
pub enum Panels {
    F32(Vec<PanelF32>),
    F16(Vec<PanelF16>),
    Bf16(Vec<PanelBf16>),
    Q8_0(Vec<PanelQ8_0>),
    Q4_0(Vec<PanelQ4_0>),
    Q4_1(Vec<PanelQ4_1>),
    Q4K(Vec<PanelQ4K>),
    Q5K(Vec<PanelQ5K>),
    Q6K(Vec<PanelQ6K>),
}

/// A matrix `outputs × inputs` in panels of sixteen outputs; outputs and inputs that fill up the last panel and
/// the last block are zero.
pub struct PackedMatrix {
    pub outputs: usize,
    /// Inputs, filled up to whole blocks: what a row of activations must be long, zeros at its end.
    pub inputs: usize,
    pub panels: Panels,
}

/// Panels that lie together.
pub const PAIR: usize = 2;

/// Runs `$body` with `$blocks` bound to the blocks of any format.
macro_rules! with_panels {
    ($panels:expr, $blocks:ident => $body:expr) => {
        match $panels {
            $crate::backend::cpu::packed::Panels::F32($blocks) => $body,
            $crate::backend::cpu::packed::Panels::F16($blocks) => $body,
            $crate::backend::cpu::packed::Panels::Bf16($blocks) => $body,
            $crate::backend::cpu::packed::Panels::Q8_0($blocks) => $body,
            $crate::backend::cpu::packed::Panels::Q4_0($blocks) => $body,
            $crate::backend::cpu::packed::Panels::Q4_1($blocks) => $body,
            $crate::backend::cpu::packed::Panels::Q4K($blocks) => $body,
            $crate::backend::cpu::packed::Panels::Q5K($blocks) => $body,
            $crate::backend::cpu::packed::Panels::Q6K($blocks) => $body,
        }
    };
}
pub(in crate::backend::cpu) use with_panels;

impl PackedMatrix {
    /// Repacks `tensor` with `threads` threads.
    ///
    /// # Errors
    /// A row that is not whole blocks, or bytes that do not fit the shape.
    pub fn new(tensor: &Tensor, threads: usize) -> Result<PackedMatrix, ModelError> {
        check_shape(tensor)?;
        let panels = match tensor.dtype {
            WeightDtype::F32 => Panels::F32(pack(tensor, threads)),
            WeightDtype::F16 => Panels::F16(pack(tensor, threads)),
            WeightDtype::Bf16 => Panels::Bf16(pack(tensor, threads)),
            WeightDtype::Q8_0 => Panels::Q8_0(pack(tensor, threads)),
            WeightDtype::Q4_0 => Panels::Q4_0(pack(tensor, threads)),
            WeightDtype::Q4_1 => Panels::Q4_1(pack(tensor, threads)),
            WeightDtype::Q4K => Panels::Q4K(pack(tensor, threads)),
            WeightDtype::Q5K => Panels::Q5K(pack(tensor, threads)),
            WeightDtype::Q6K => Panels::Q6K(pack(tensor, threads)),
        };
        let block = with_panels!(&panels, blocks => weights_of(blocks));
        Ok(PackedMatrix { outputs: tensor.rows, inputs: tensor.columns.next_multiple_of(block), panels })
    }

    /// Panels of sixteen outputs, the last one filled up. A panel without a partner is followed by one of zeros.
    pub fn panel_count(&self) -> usize {
        self.outputs.div_ceil(LANES)
    }
}

/// Inputs of a block.
pub fn weights_of<B: PanelBlock>(_: &[B]) -> usize {
    B::WEIGHTS
}

fn check_shape(tensor: &Tensor) -> Result<(), ModelError> {
    let whole = tensor.columns > 0 && tensor.columns.is_multiple_of(tensor.dtype.block_len());
    if whole && tensor.rows > 0 && tensor.bytes().len() == tensor.rows * tensor.row_bytes() {
        return Ok(());
    }
    let detail = format!(
        "{}: {} × {} weights of {:?} in {} bytes",
        tensor.name,
        tensor.rows,
        tensor.columns,
        tensor.dtype,
        tensor.bytes().len()
    );
    Err(ModelError::Invalid { what: "weights", detail })
}

fn pack<B: PanelBlock>(tensor: &Tensor, threads: usize) -> Vec<B> {
    let blocks_a_row = tensor.columns.div_ceil(B::WEIGHTS);
    let pairs = tensor.rows.div_ceil(PAIR * LANES);
    let mut blocks = on_huge_pages(PAIR * pairs * blocks_a_row);
    blocks.resize(PAIR * pairs * blocks_a_row, B::zero());
    let pairs_a_thread = pairs.div_ceil(threads.max(1));
    std::thread::scope(|scope| {
        for (part, blocks) in blocks.chunks_mut(pairs_a_thread * PAIR * blocks_a_row).enumerate() {
            scope.spawn(move || pack_pairs(tensor, part * pairs_a_thread, blocks_a_row, blocks));
        }
    });
    blocks
}

/// An empty vector whose memory the kernel may back with huge pages: weights are read from end to end for every
/// token, and small pages cost their translation each time.
fn on_huge_pages<B>(capacity: usize) -> Vec<B> {
    let blocks: Vec<B> = Vec::with_capacity(capacity);
    let start = blocks.as_ptr().addr().next_multiple_of(PAGE_BYTES);
    let end = (blocks.as_ptr().addr() + capacity * size_of::<B>()) / PAGE_BYTES * PAGE_BYTES;
    if start < end {
        // SAFETY: whole pages of the vector's own memory; the advice changes no contents. A kernel without huge
        // pages refuses, and all is only slower.
        let _ = unsafe { madvise(start as *mut _, end - start, Advice::LinuxHugepage) };
    }
    blocks
}

/// Packs pairs of panels from `first` on into `blocks`.
fn pack_pairs<B: PanelBlock>(tensor: &Tensor, first: usize, blocks_a_row: usize, blocks: &mut [B]) {
    let stored_bytes = B::WEIGHTS / tensor.dtype.block_len() * tensor.dtype.block_bytes();
    for (pair, blocks) in blocks.chunks_exact_mut(PAIR * blocks_a_row).enumerate() {
        let rows = (first + pair) * PAIR * LANES..tensor.rows;
        for (at, row) in rows.take(PAIR * LANES).enumerate() {
            let stored = tensor.row(row).chunks(stored_bytes);
            for (block, stored) in blocks.iter_mut().skip(at / LANES).step_by(PAIR).zip(stored) {
                block.pack(at % LANES, stored);
            }
        }
    }
}
