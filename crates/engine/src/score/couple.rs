//! Keys as they would be if positions were part of them: a block that moves in the view is turned back to where it was.

use attentionstore_kv::{BLOCK_TOKENS, KvDtype, KvLayout, SliceOrder};
use attentionstore_model::backend::{SliceCopy, Stream};

use super::Scorer;
use crate::error::EngineError;
use crate::view::View;

impl Scorer {
    /// At the edge before token `from`, where the kept blocks move towards the head by one step: turns their keys by as
    /// much the other way, in all layers.
    pub(super) fn couple(&mut self, view: &View, from: u32) -> Result<(), EngineError> {
        let end = from as usize / BLOCK_TOKENS;
        for block in view.blocks(from, end).filter(|&block| !view.is_head(block)) {
            self.turn_block(view.ring_slot(block), view.step())?;
        }
        Ok(())
    }

    fn turn_block(&mut self, slot: u32, positions: u32) -> Result<(), EngineError> {
        let layout = self.backend.layout();
        let mut bytes = vec![0u8; layout.block_bytes()];
        let copies: Vec<SliceCopy> = bytes
            .chunks_exact_mut(layout.slice_bytes())
            .enumerate()
            .map(|(layer, slice)| SliceCopy { layer: layer as u32, slot, host: slice.as_mut_ptr() })
            .collect();
        let computed = self.backend.record(Stream::Compute);
        self.backend.wait(Stream::Save, computed);
        self.copy(Stream::Save, &copies)?;
        for slice in bytes.chunks_exact_mut(layout.slice_bytes()) {
            turn_keys(&layout, &self.frequencies, &mut slice[..layout.half_slice_bytes()], positions);
        }
        self.copy(Stream::Load, &copies)
    }

    fn copy(&mut self, stream: Stream, copies: &[SliceCopy]) -> Result<(), EngineError> {
        self.backend.copy(stream, copies)?;
        let copied = self.backend.record(stream);
        self.backend.synchronize(copied);
        Ok(())
    }
}

/// Rotates every key of one layer of a block, `keys`, by `positions`.
pub fn turn_keys(layout: &KvLayout, frequencies: &[f32], keys: &mut [u8], positions: u32) {
    let half = frequencies.len();
    for (pair, &frequency) in frequencies.iter().enumerate() {
        let (sin, cos) = (f64::from(positions) * f64::from(frequency)).sin_cos();
        let (sin, cos) = (sin as f32, cos as f32);
        for head in 0..layout.kv_heads {
            for token in 0..BLOCK_TOKENS {
                let (a, b) = (place(layout, head, pair, token), place(layout, head, pair + half, token));
                let (x, y) = (read(layout.dtype, keys, a), read(layout.dtype, keys, b));
                write(layout.dtype, keys, a, x * cos - y * sin);
                write(layout.dtype, keys, b, y * cos + x * sin);
            }
        }
    }
}

/// Which element of a layer's keys one is.
fn place(layout: &KvLayout, head: usize, dim: usize, token: usize) -> usize {
    match layout.order {
        SliceOrder::KeysByDim => (head * layout.head_dim + dim) * BLOCK_TOKENS + token,
        SliceOrder::TokensFirst => (token * layout.kv_heads + head) * layout.head_dim + dim,
    }
}

fn read(dtype: KvDtype, bytes: &[u8], at: usize) -> f32 {
    match dtype {
        KvDtype::Bf16 => {
            f32::from_bits(u32::from(u16::from_le_bytes([bytes[2 * at], bytes[2 * at + 1]])) << 16)
        }
        KvDtype::F32 => f32::from_le_bytes([0, 1, 2, 3].map(|byte| bytes[4 * at + byte])),
    }
}

fn write(dtype: KvDtype, bytes: &mut [u8], at: usize, value: f32) {
    match dtype {
        KvDtype::Bf16 => {
            // To the nearest, ties to even; keys are finite.
            let bits = value.to_bits();
            let rounded = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
            bytes[2 * at..2 * at + 2].copy_from_slice(&(rounded as u16).to_le_bytes());
        }
        KvDtype::F32 => bytes[4 * at..4 * at + 4].copy_from_slice(&value.to_le_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_turned_there_and_back_are_what_they_were_and_turned_by_nothing_they_stay() {
        for (dtype, bound) in [(KvDtype::F32, 1e-5), (KvDtype::Bf16, 0.02)] {
            for order in [SliceOrder::KeysByDim, SliceOrder::TokensFirst] {
                let layout = KvLayout { layers: 1, kv_heads: 2, head_dim: 8, dtype, order };
                let frequencies = [1.0, 0.3, 0.1];
                let mut keys = vec![0; layout.half_slice_bytes()];
                let elements = keys.len() / dtype.bytes();
                (0..elements).for_each(|at| write(dtype, &mut keys, at, (at % 17) as f32 / 17.0 - 0.4));
                let before = keys.clone();
                turn_keys(&layout, &frequencies, &mut keys, 0);
                assert_eq!(keys, before);
                turn_keys(&layout, &frequencies, &mut keys, 640);
                assert_ne!(keys, before);
                turn_keys(&layout, &frequencies.map(|frequency| -frequency), &mut keys, 640);
                for at in 0..elements {
                    let difference = read(dtype, &keys, at) - read(dtype, &before, at);
                    assert!(difference.abs() < bound, "{dtype:?} {order:?} element {at}: {difference}");
                }
            }
        }
    }
}
