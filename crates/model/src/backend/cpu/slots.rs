//! The backend's own slots: on the CPU an arena in the place of HBM, laid out `[layer][slot][slice]`.
//! Memory for them is taken from the system slot by slot, in all layers.

use std::ops::Range;

use attentionstore_kv::arena::HostArena;
use attentionstore_kv::{BLOCK_TOKENS, KvError, KvLayout};
use half::bf16;

use super::simd::{LANES, Simd};
use crate::backend::SlotMemory;
use crate::error::ModelError;

/// All slots in all layers. Like the host arena it synchronises nothing: the engine's events decide who touches
/// which slice when.
pub struct SlotArena {
    memory: HostArena,
    pub layout: KvLayout,
    pub slots: usize,
}

impl SlotArena {
    /// # Errors
    /// No memory for that many slots.
    pub fn new(layout: KvLayout, slots: usize) -> Result<SlotArena, ModelError> {
        let bytes = slots.checked_mul(layout.block_bytes());
        let bytes = bytes.ok_or(ModelError::Memory { what: "kv slots", bytes: usize::MAX })?;
        let memory = HostArena::new(bytes).map_err(no_memory)?;
        Ok(SlotArena { memory, layout, slots })
    }

    /// Address of a slice.
    ///
    /// # Panics
    /// Layer or slot out of range.
    pub fn slice(&self, layer: usize, slot: usize) -> *mut u8 {
        assert!(layer < self.layout.layers && slot < self.slots, "slice ({layer}, {slot})");
        // SAFETY: inside the arena, which has `layers · slots` slices.
        unsafe { self.memory.base().as_ptr().add((layer * self.slots + slot) * self.layout.slice_bytes()) }
    }

    /// Copies rows 0…`valid` of a slot in all layers.
    ///
    /// # Errors
    /// A slot out of range, more rows than a block has.
    pub fn copy_rows(&self, from: u32, to: u32, valid: u32) -> Result<(), ModelError> {
        let (from, to, valid) = (from as usize, to as usize, valid as usize);
        if from >= self.slots || to >= self.slots || valid > BLOCK_TOKENS {
            let detail = format!("{valid} rows of slot {from} to {to}, of {} slots", self.slots);
            return Err(ModelError::Invalid { what: "copy of rows", detail });
        }
        if from == to {
            return Ok(());
        }
        for layer in 0..self.layout.layers {
            // SAFETY: two different slices; the engine lets nobody else touch them until this returns.
            unsafe { self.copy_slice_rows(self.slice(layer, from), self.slice(layer, to), valid) };
        }
        Ok(())
    }

    /// # Safety
    /// Both are slices of this arena, different ones, and nobody else touches them.
    unsafe fn copy_slice_rows(&self, from: *const u8, to: *mut u8, valid: usize) {
        let element = self.layout.dtype.bytes();
        let (heads, dim) = (self.layout.kv_heads, self.layout.head_dim);
        let half = self.layout.half_slice_bytes();
        let copy = |at: usize, bytes: usize| {
            // SAFETY: inside both slices, by the layout `[head][dim][token]` of K and `[head][token][dim]` of V.
            unsafe { std::ptr::copy_nonoverlapping(from.add(at), to.add(at), bytes) }
        };
        for key_row in 0..heads * dim {
            copy(key_row * BLOCK_TOKENS * element, valid * element);
        }
        for head in 0..heads {
            copy(half + head * BLOCK_TOKENS * dim * element, valid * dim * element);
        }
    }

    /// A head's keys and values of a slice.
    ///
    /// # Safety
    /// `E` is the layout's element, and nobody writes the head's part of the slice as long as the result lives.
    pub unsafe fn head<E: Element>(&self, layer: usize, slot: usize, kv_head: usize) -> HeadSlice<'_, E> {
        let (keys, values) = self.head_parts::<E>(layer, slot, kv_head);
        let dim = self.layout.head_dim;
        // SAFETY: both parts are `dim · 64` elements, of which any bits are a number; nobody writes them.
        unsafe {
            HeadSlice {
                keys: std::slice::from_raw_parts(keys.cast(), dim),
                values: std::slice::from_raw_parts(values, BLOCK_TOKENS * dim),
            }
        }
    }

    /// A head's keys and values of a slice, to be written.
    ///
    /// # Safety
    /// `E` is the layout's element, and nobody else uses the head's part of the slice as long as the result lives.
    #[allow(clippy::mut_from_ref)]
    pub unsafe fn head_mut<E: Element>(
        &self,
        layer: usize,
        slot: usize,
        kv_head: usize,
    ) -> HeadSliceMut<'_, E> {
        let (keys, values) = self.head_parts::<E>(layer, slot, kv_head);
        let dim = self.layout.head_dim;
        // SAFETY: as in `head`; nobody else uses them.
        unsafe {
            HeadSliceMut {
                keys: std::slice::from_raw_parts_mut(keys.cast(), dim),
                values: std::slice::from_raw_parts_mut(values, BLOCK_TOKENS * dim),
            }
        }
    }

    /// Where a head's keys and its values begin. They are aligned, because the arena is, and slices are multiples of
    /// 64 elements long.
    fn head_parts<E: Element>(&self, layer: usize, slot: usize, kv_head: usize) -> (*mut E, *mut E) {
        assert!(kv_head < self.layout.kv_heads, "K/V head {kv_head}");
        assert_eq!(size_of::<E>(), self.layout.dtype.bytes(), "elements of the layout");
        let elements = BLOCK_TOKENS * self.layout.head_dim;
        let slice = self.slice(layer, slot).cast::<E>();
        // SAFETY: K of a slice is `kv_heads` such parts, then comes V, as many.
        unsafe { (slice.add(kv_head * elements), slice.add((self.layout.kv_heads + kv_head) * elements)) }
    }
}

impl SlotMemory for SlotArena {
    fn commit(&self, slots: Range<u32>) -> Result<(), ModelError> {
        let (from, to) = (slots.start as usize, (slots.end as usize).min(self.slots));
        for layer in 0..self.layout.layers {
            let at = |slot: usize| (layer * self.slots + slot) * self.layout.slice_bytes();
            self.memory.commit_range(at(from)..at(to.max(from))).map_err(no_memory)?;
        }
        Ok(())
    }
}

fn no_memory(error: KvError) -> ModelError {
    match error {
        KvError::Memory { bytes, .. } => ModelError::Memory { what: "kv slots", bytes },
        other => ModelError::Invalid { what: "kv slots", detail: other.to_string() },
    }
}

/// One stored number.
pub trait Element: Copy + Send + Sync + 'static {
    /// Sixteen of them.
    fn lanes<S: Simd>(s: S, from: &[Self; LANES]) -> S::F;
    fn number(self) -> f32;
    /// Rounded to nearest, ties to even.
    fn rounded(number: f32) -> Self;
}

/// The bits of a bf16.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub struct Bf16(u16);

impl Element for Bf16 {
    #[inline(always)]
    fn lanes<S: Simd>(s: S, from: &[Self; LANES]) -> S::F {
        // SAFETY: `Bf16` is a `u16` in memory.
        s.load_bf16(unsafe { &*std::ptr::from_ref(from).cast() })
    }
    #[inline(always)]
    fn number(self) -> f32 {
        bf16::from_bits(self.0).to_f32()
    }
    #[inline(always)]
    fn rounded(number: f32) -> Self {
        // In arithmetic that compiles to vectors. A NaN stays one.
        let bits = number.to_bits();
        let nearest = (bits.wrapping_add(0x7fff + (bits >> 16 & 1)) >> 16) as u16;
        Bf16(if number.is_nan() { (bits >> 16) as u16 | 0x40 } else { nearest })
    }
}

impl Element for f32 {
    #[inline(always)]
    fn lanes<S: Simd>(s: S, from: &[Self; LANES]) -> S::F {
        s.load(from)
    }
    #[inline(always)]
    fn number(self) -> f32 {
        self
    }
    #[inline(always)]
    fn rounded(number: f32) -> Self {
        number
    }
}

/// One head's keys and values of a slice.
#[derive(Clone, Copy)]
pub struct HeadSlice<'a, E> {
    /// `[dim][token]`
    pub keys: &'a [[E; BLOCK_TOKENS]],
    /// `[token][dim]`
    pub values: &'a [E],
}

/// [`HeadSlice`], to be written.
pub struct HeadSliceMut<'a, E> {
    pub keys: &'a mut [[E; BLOCK_TOKENS]],
    pub values: &'a mut [E],
}

#[cfg(test)]
mod tests {
    use half::bf16;

    use super::{Bf16, Element};

    #[test]
    fn rounding_to_bf16_is_to_nearest_with_ties_to_even() {
        let near = (0..=u16::MAX).flat_map(|high| {
            [0u32, 1, 0x7fff, 0x8000, 0x8001, 0xffff].map(|low| f32::from_bits(u32::from(high) << 16 | low))
        });
        for number in near {
            let (found, wanted) = (Bf16::rounded(number).number(), bf16::from_f32(number).to_f32());
            assert!(found.to_bits() == wanted.to_bits() || found.is_nan() && wanted.is_nan(), "{number:e}");
        }
    }
}
