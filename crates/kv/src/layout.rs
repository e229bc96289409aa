//! The shape of a block's bytes: how big a slice is, how its elements lie, where it lies in a host slot.

use crate::error::KvError;

/// Tokens in a full block. Only a sequence's last block may hold fewer (its valid length).
pub const BLOCK_TOKENS: usize = 64;

/// Bytes before a block's payload in a host slot, and in its extent on the SSD: one page, so that payload
/// and extent stay aligned for `O_DIRECT`.
pub const HEADER_BYTES: usize = 4096;

/// Alignment of host slots and of disk extents, in bytes.
pub const PAGE_BYTES: usize = 4096;

/// Element type of stored keys and values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum KvDtype {
    Bf16,
    /// Only for tests: the reference comparison with f32 keys and values.
    F32,
}

impl KvDtype {
    pub const fn bytes(self) -> usize {
        match self {
            KvDtype::Bf16 => 2,
            KvDtype::F32 => 4,
        }
    }
}

/// How the elements of a slice lie. It belongs to the backend and is part of a block's identity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SliceOrder {
    /// CPU: K as `[kv head][dim][token]`, so that SIMD lanes run over keys; V as `[kv head][token][dim]`.
    KeysByDim,
    /// GPU: K and V as `[token][kv head][dim]`.
    TokensFirst,
}

/// The geometry of one model's KV. A slice is K then V of one layer of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct KvLayout {
    pub layers: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub dtype: KvDtype,
    pub order: SliceOrder,
}

impl KvLayout {
    /// Bytes of K (or of V) of one layer of one block.
    pub const fn half_slice_bytes(&self) -> usize {
        BLOCK_TOKENS * self.kv_heads * self.head_dim * self.dtype.bytes()
    }

    /// Bytes of one layer's part of one block: K and V, contiguous.
    pub const fn slice_bytes(&self) -> usize {
        2 * self.half_slice_bytes()
    }

    /// Bytes of a block in all layers, without header or padding.
    pub const fn block_bytes(&self) -> usize {
        self.layers * self.slice_bytes()
    }

    /// Bytes of a host slot, which are also the bytes of the block's extent on the SSD:
    /// header page, slices in layer order, padding to a page.
    pub const fn host_slot_bytes(&self) -> usize {
        HEADER_BYTES + self.block_bytes().next_multiple_of(PAGE_BYTES)
    }

    /// Offset of layer `layer`'s slice from the start of a host slot, in bytes.
    pub const fn slice_offset(&self, layer: usize) -> usize {
        HEADER_BYTES + layer * self.slice_bytes()
    }

    /// Zeroes the rows of one slice at and beyond `valid` tokens, so that a partly filled block has one
    /// checksum and no stale bytes (0 × NaN is NaN).
    ///
    /// # Errors
    /// `valid` above [`BLOCK_TOKENS`], or `slice` not [`KvLayout::slice_bytes`] long.
    pub fn zero_tail(&self, slice: &mut [u8], valid: usize) -> Result<(), KvError> {
        if valid > BLOCK_TOKENS || slice.len() != self.slice_bytes() {
            return Err(KvError::Invalid {
                what: "slice to zero",
                detail: format!("valid {valid}, {} bytes, a slice has {}", slice.len(), self.slice_bytes()),
            });
        }
        let element = self.dtype.bytes();
        let (keys, values) = slice.split_at_mut(self.half_slice_bytes());
        match self.order {
            SliceOrder::KeysByDim => {
                for row in keys.chunks_exact_mut(BLOCK_TOKENS * element) {
                    row[valid * element..].fill(0);
                }
                for head in values.chunks_exact_mut(BLOCK_TOKENS * self.head_dim * element) {
                    head[valid * self.head_dim * element..].fill(0);
                }
            }
            SliceOrder::TokensFirst => {
                let from = valid * self.kv_heads * self.head_dim * element;
                keys[from..].fill(0);
                values[from..].fill(0);
            }
        }
        Ok(())
    }

    /// Zeroes the rows at and beyond `valid` tokens in all slices of the block in `slot` (a host slot,
    /// [`KvLayout::host_slot_bytes`] long): to be done before a partly filled block is written to the SSD.
    ///
    /// # Errors
    /// As [`KvLayout::zero_tail`], and if `slot` has another length.
    pub fn zero_tails(&self, slot: &mut [u8], valid: usize) -> Result<(), KvError> {
        if slot.len() != self.host_slot_bytes() {
            return Err(KvError::Invalid {
                what: "host slot to zero",
                detail: format!("{} bytes, a slot has {}", slot.len(), self.host_slot_bytes()),
            });
        }
        slot[HEADER_BYTES..HEADER_BYTES + self.block_bytes()]
            .chunks_exact_mut(self.slice_bytes())
            .try_for_each(|slice| self.zero_tail(slice, valid))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ORDERS: [SliceOrder; 2] = [SliceOrder::KeysByDim, SliceOrder::TokensFirst];

    fn layout(order: SliceOrder) -> KvLayout {
        KvLayout { layers: 2, kv_heads: 3, head_dim: 5, dtype: KvDtype::Bf16, order }
    }

    /// The token whose row byte `at` of a slice belongs to, from the documented order of elements.
    fn token_of(layout: &KvLayout, at: usize) -> usize {
        let (half, element) = (layout.half_slice_bytes(), layout.dtype.bytes());
        let (values, element) = (at >= half, at % half / element);
        match (layout.order, values) {
            (SliceOrder::KeysByDim, false) => element % BLOCK_TOKENS,
            (SliceOrder::KeysByDim, true) => element / layout.head_dim % BLOCK_TOKENS,
            (SliceOrder::TokensFirst, _) => element / (layout.kv_heads * layout.head_dim),
        }
    }

    #[test]
    fn exactly_the_rows_beyond_the_valid_length_are_zeroed_in_every_layer() {
        for (order, valid) in
            ORDERS.into_iter().flat_map(|order| [0, 1, 17, 63, 64].map(|valid| (order, valid)))
        {
            let layout = layout(order);
            let mut slot = vec![0xff; layout.host_slot_bytes()];
            layout.zero_tails(&mut slot, valid).unwrap();
            for (at, &byte) in slot.iter().enumerate() {
                let inside = at.checked_sub(HEADER_BYTES).filter(|&at| at < layout.block_bytes());
                let zeroed = inside.is_some_and(|at| token_of(&layout, at % layout.slice_bytes()) >= valid);
                assert_eq!(byte == 0, zeroed, "{order:?}, valid {valid}, byte {at}");
            }
        }
    }

    #[test]
    fn slices_fill_a_slot_without_gaps_and_the_slot_is_whole_pages() {
        let layout = layout(SliceOrder::KeysByDim);
        assert_eq!(layout.slice_bytes(), 2 * 64 * 3 * 5 * 2);
        assert_eq!(layout.slice_offset(0), HEADER_BYTES);
        assert_eq!(layout.slice_offset(1), HEADER_BYTES + layout.slice_bytes());
        assert_eq!(layout.host_slot_bytes(), HEADER_BYTES + 2 * PAGE_BYTES);
    }

    #[test]
    fn wrong_lengths_are_refused_and_change_nothing() {
        let layout = layout(SliceOrder::TokensFirst);
        let mut slot = vec![0xff; layout.host_slot_bytes()];
        assert_eq!(layout.zero_tails(&mut slot, 65).unwrap_err().code(), "kv_invalid");
        assert_eq!(layout.zero_tails(&mut slot[1..], 3).unwrap_err().code(), "kv_invalid");
        assert_eq!(layout.zero_tail(&mut slot[..10], 3).unwrap_err().code(), "kv_invalid");
        assert!(slot.iter().all(|&byte| byte == 0xff));
    }
}
