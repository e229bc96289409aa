//! The header page in front of a block's payload: it makes a block on the SSD prove what it is.
//!
//! Page layout, little-endian; what is not named is zero:
//!
//! | bytes | |
//! |---|---|
//! | 0..8 | magic |
//! | 8..12 | format version |
//! | 12..16, 16..20, 20..24 | layers, kv heads, head dim |
//! | 24, 25 | element type, order of elements |
//! | 26..28 | codec id |
//! | 28..32 | valid length in tokens |
//! | 32..40 | payload bytes |
//! | 40..72 | block key |
//! | 4080..4096 | XXH3-128 of the page before it and of the payload |

use xxhash_rust::xxh3::Xxh3;

use crate::key::BlockKey;
use crate::layout::{BLOCK_TOKENS, HEADER_BYTES, KvDtype, KvLayout, SliceOrder};

const MAGIC: [u8; 8] = *b"ATTNBLK\n";

/// Of the page layout above. A change of what a slice's bytes mean belongs into the identity instead.
pub const FORMAT_VERSION: u32 = 1;

/// The payload is stored as it is.
pub const CODEC_PLAIN: u16 = 0;

const GEOMETRY: std::ops::Range<usize> = 8..28;
const VALID: std::ops::Range<usize> = 28..32;
const PAYLOAD_BYTES: std::ops::Range<usize> = 32..40;
const KEY: std::ops::Range<usize> = 40..72;
const CHECKSUM: std::ops::Range<usize> = 4080..4096;

/// What a block in a slot claims to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockHeader {
    pub layout: KvLayout,
    pub codec: u16,
    pub key: BlockKey,
    /// Tokens whose rows are valid, 1 to [`BLOCK_TOKENS`].
    pub valid: usize,
}

impl BlockHeader {
    /// Fills the header page for a payload that is complete, and zero beyond `valid`.
    ///
    /// # Errors
    /// A reason, if `page` or `payload` has not the layout's length, or `valid` is out of range.
    pub fn seal(&self, page: &mut [u8], payload: &[u8]) -> Result<(), &'static str> {
        self.check_bounds(page, payload)?;
        page.fill(0);
        self.write_fields(page);
        let checksum = checksum(page, payload);
        page[CHECKSUM].copy_from_slice(&checksum);
        Ok(())
    }

    /// Checks that page and payload are exactly this block, undamaged.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub fn verify(&self, page: &[u8], payload: &[u8]) -> Result<(), &'static str> {
        self.check_bounds(page, payload)?;
        let mut expected = [0; KEY.end];
        self.write_fields(&mut expected);
        let checks = [
            (0..8, "it is not a block"),
            (GEOMETRY, "another format, layout or codec"),
            (KEY, "another block's key"),
            (VALID, "another valid length"),
            (PAYLOAD_BYTES, "another payload length"),
        ];
        for (range, reason) in checks {
            if page[range.clone()] != expected[range] {
                return Err(reason);
            }
        }
        if page[CHECKSUM] != checksum(page, payload) {
            return Err("the checksum does not match");
        }
        Ok(())
    }

    fn check_bounds(&self, page: &[u8], payload: &[u8]) -> Result<(), &'static str> {
        if page.len() != HEADER_BYTES || payload.len() != self.layout.block_bytes() {
            return Err("the page or the payload does not have the block's length");
        }
        if !(1..=BLOCK_TOKENS).contains(&self.valid) {
            return Err("the valid length is out of range");
        }
        Ok(())
    }

    fn write_fields(&self, page: &mut [u8]) {
        page[..8].copy_from_slice(&MAGIC);
        page[GEOMETRY].copy_from_slice(&geometry(&self.layout, self.codec));
        page[VALID].copy_from_slice(&low_32(self.valid));
        page[PAYLOAD_BYTES].copy_from_slice(&(self.layout.block_bytes() as u64).to_le_bytes());
        page[KEY].copy_from_slice(&self.key);
    }
}

/// 64 bits that differ between layouts, codecs and header formats whose slots must not be confused.
pub fn fingerprint(layout: &KvLayout, codec: u16) -> u64 {
    let mut hasher = Xxh3::new();
    hasher.update(&MAGIC);
    hasher.update(&geometry(layout, codec));
    hasher.digest()
}

fn geometry(layout: &KvLayout, codec: u16) -> [u8; 20] {
    let mut bytes = [0; 20];
    bytes[0..4].copy_from_slice(&FORMAT_VERSION.to_le_bytes());
    bytes[4..8].copy_from_slice(&low_32(layout.layers));
    bytes[8..12].copy_from_slice(&low_32(layout.kv_heads));
    bytes[12..16].copy_from_slice(&low_32(layout.head_dim));
    bytes[16] = match layout.dtype {
        KvDtype::Bf16 => 0,
        KvDtype::F32 => 1,
    };
    bytes[17] = match layout.order {
        SliceOrder::KeysByDim => 0,
        SliceOrder::TokensFirst => 1,
    };
    bytes[18..20].copy_from_slice(&codec.to_le_bytes());
    bytes
}

/// Four little-endian bytes. A layout with a count above 32 bits would not fit into any slot.
fn low_32(value: usize) -> [u8; 4] {
    u32::try_from(value).unwrap_or(u32::MAX).to_le_bytes()
}

fn checksum(page: &[u8], payload: &[u8]) -> [u8; 16] {
    let mut hasher = Xxh3::new();
    hasher.update(&page[..CHECKSUM.start]);
    hasher.update(payload);
    hasher.digest128().to_le_bytes()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LAYOUT: KvLayout =
        KvLayout { layers: 2, kv_heads: 1, head_dim: 8, dtype: KvDtype::Bf16, order: SliceOrder::KeysByDim };

    fn header() -> BlockHeader {
        BlockHeader { layout: LAYOUT, codec: CODEC_PLAIN, key: [0x42; 32], valid: 40 }
    }

    fn sealed(header: &BlockHeader) -> Vec<u8> {
        let payload: Vec<u8> = (0..header.layout.block_bytes()).map(|at| (at * 31 % 251) as u8).collect();
        let mut page = vec![0xee; HEADER_BYTES];
        header.seal(&mut page, &payload).unwrap();
        page.extend(payload);
        page
    }

    fn verify(header: &BlockHeader, slot: &[u8]) -> Result<(), &'static str> {
        let (page, payload) = slot.split_at(HEADER_BYTES);
        header.verify(page, payload)
    }

    #[test]
    fn what_was_sealed_is_accepted() {
        assert_eq!(verify(&header(), &sealed(&header())), Ok(()));
    }

    #[test]
    fn another_block_is_refused_with_the_reason() {
        let slot = sealed(&header());
        let other_layout = KvLayout { layers: 1, kv_heads: 2, ..LAYOUT };
        let others = [
            (BlockHeader { key: [0x43; 32], ..header() }, "another block's key"),
            (BlockHeader { valid: 41, ..header() }, "another valid length"),
            (BlockHeader { codec: 1, ..header() }, "another format, layout or codec"),
            (BlockHeader { layout: other_layout, ..header() }, "another format, layout or codec"),
        ];
        for (other, reason) in others {
            assert_eq!(verify(&other, &slot), Err(reason));
        }
        assert_eq!(verify(&header(), &vec![0; slot.len()]), Err("it is not a block"));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused_and_do_not_panic() {
        let slot = sealed(&header());
        for valid in [0, 65, usize::MAX] {
            assert!(verify(&BlockHeader { valid, ..header() }, &slot).is_err());
        }
        for cut in [0, 1, 100] {
            assert!(header().verify(&slot[..HEADER_BYTES], &slot[HEADER_BYTES..][..cut]).is_err());
            assert!(header().verify(&slot[..cut], &slot[HEADER_BYTES..]).is_err());
        }
    }

    #[test]
    fn every_flipped_bit_of_the_named_fields_and_the_checksum_is_detected() {
        let slot = sealed(&header());
        for byte in (0..KEY.end).chain(CHECKSUM) {
            for bit in 0..8 {
                let mut damaged = slot.clone();
                damaged[byte] ^= 1 << bit;
                assert!(verify(&header(), &damaged).is_err(), "bit {bit} of byte {byte}");
            }
        }
    }

    #[test]
    fn fingerprints_differ_between_all_layouts_that_share_a_slot_size() {
        let mut seen = std::collections::HashSet::new();
        for (layers, kv_heads, head_dim) in [(2, 1, 8), (1, 2, 8), (1, 1, 16), (2, 2, 4), (4, 1, 4)] {
            for (dtype, order) in [
                (KvDtype::Bf16, SliceOrder::KeysByDim),
                (KvDtype::Bf16, SliceOrder::TokensFirst),
                (KvDtype::F32, SliceOrder::KeysByDim),
            ] {
                let layout = KvLayout { layers, kv_heads, head_dim, dtype, order };
                assert!(seen.insert(fingerprint(&layout, CODEC_PLAIN)), "{layout:?}");
            }
        }
        assert!(seen.insert(fingerprint(&LAYOUT, 1)));
    }

    proptest! {
        /// Any damage anywhere in page or payload is found: some bytes changed at random.
        #[test]
        fn any_change_of_page_or_payload_is_detected(
            changes in prop::collection::vec((any::<prop::sample::Index>(), 1u8..=255), 1..4)
        ) {
            let slot = sealed(&header());
            let mut damaged = slot.clone();
            for (at, change) in changes {
                damaged[at.index(slot.len())] ^= change;
            }
            prop_assert_eq!(verify(&header(), &damaged).is_ok(), damaged == slot);
        }

        /// A write that was cut anywhere, over whatever was there before, is found.
        #[test]
        fn a_torn_write_is_detected(cut in any::<prop::sample::Index>(), before in any::<u8>()) {
            let slot = sealed(&header());
            let mut torn = slot.clone();
            torn[cut.index(slot.len())..].fill(before);
            prop_assert_eq!(verify(&header(), &torn).is_ok(), torn == slot);
        }
    }
}
