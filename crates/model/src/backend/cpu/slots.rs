//! The backend's own slots: on the CPU an arena in the place of HBM, laid out `[layer][slot][slice]`.

use std::marker::PhantomData;

use attentionstore_kv::arena::HostArena;
use attentionstore_kv::{BLOCK_TOKENS, KvDtype, KvError, KvLayout};

use super::simd::{LANES, Simd};
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
        let memory = HostArena::new(bytes).map_err(|error| match error {
            KvError::Memory { bytes, .. } => ModelError::Memory { what: "kv slots", bytes },
            other => ModelError::Invalid { what: "kv slots", detail: other.to_string() },
        })?;
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

    /// A slice to read.
    ///
    /// # Safety
    /// Nobody writes rows of it that are read as long as the view lives.
    pub unsafe fn view(&self, layer: usize, slot: usize) -> SliceView<'_> {
        let half = self.layout.half_slice_bytes();
        let base = self.slice(layer, slot);
        SliceView {
            base,
            elements: half / self.layout.dtype.bytes(),
            dtype: self.layout.dtype,
            arena: PhantomData,
        }
    }
}

/// Keys or values of a slice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Half {
    Keys,
    Values,
}

/// A slice as numbers: K then V, `elements` each.
#[derive(Clone, Copy)]
pub struct SliceView<'a> {
    base: *const u8,
    elements: usize,
    dtype: KvDtype,
    arena: PhantomData<&'a SlotArena>,
}

impl SliceView<'_> {
    /// Sixteen elements from `at` on.
    #[inline(always)]
    pub fn lanes<S: Simd>(&self, s: S, half: Half, at: usize) -> S::F {
        let at = self.index(half, at, LANES);
        // SAFETY: inside the slice as `index` checks; any bits are a number; the arena is aligned for both.
        unsafe {
            match self.dtype {
                KvDtype::Bf16 => s.load_bf16(&*self.base.cast::<u16>().add(at).cast()),
                KvDtype::F32 => s.load(&*self.base.cast::<f32>().add(at).cast()),
            }
        }
    }

    /// One element.
    #[inline(always)]
    pub fn one(&self, half: Half, at: usize) -> f32 {
        let at = self.index(half, at, 1);
        // SAFETY: as above.
        unsafe {
            match self.dtype {
                KvDtype::Bf16 => half::bf16::from_bits(*self.base.cast::<u16>().add(at)).to_f32(),
                KvDtype::F32 => *self.base.cast::<f32>().add(at),
            }
        }
    }

    #[inline(always)]
    fn index(&self, half: Half, at: usize, length: usize) -> usize {
        assert!(at + length <= self.elements, "inside one half of a slice");
        if half == Half::Keys { at } else { self.elements + at }
    }
}
