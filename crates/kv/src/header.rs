//! The header page in front of a block's payload: it makes a block on the SSD prove what it is, without anything beside it.
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
//! | 32..40 | payload bytes as stored |
//! | 40..72 | model fingerprint |
//! | 72..104 | block key |
//! | 104..136 | parent key |
//! | 136..140 | index of the block in its sequence |
//! | 140..152 | view parameters W, S, D; zeros: the block's key knows no view |
//! | 152..160 | last use, milliseconds since 1970 |
//! | 160..176 | XXH3-128 of the payload as stored |
//! | 176..200 | nonce |
//! | 200..216 | tag of the sealed tokens, over bytes 0..176 too |
//! | 216..472 | token ids, sealed; zeros beyond the valid length |
//! | 4080..4096 | XXH3-128 of the page before it |

use std::ops::Range;

use xxhash_rust::xxh3::{Xxh3, xxh3_128};

use crate::key::{BlockKey, ViewParameters};
use crate::layout::{BLOCK_TOKENS, HEADER_BYTES, KvDtype, KvLayout, SliceOrder};
use crate::seal::{NONCE_BYTES, Sealer, TAG_BYTES};

const MAGIC: [u8; 8] = *b"ATTNBLK\n";

/// Of the page layout above. A change of what a slice's bytes mean belongs into the identity instead.
pub const FORMAT_VERSION: u32 = 2;

/// The payload is stored as it is computed: bf16 or f32.
pub const CODEC_PLAIN: u16 = 0;

const VERSION: Range<usize> = 8..12;
const GEOMETRY: Range<usize> = 8..28;
const VALID: Range<usize> = 28..32;
const PAYLOAD_BYTES: Range<usize> = 32..40;
const MODEL: Range<usize> = 40..72;
const KEY: Range<usize> = 72..104;
const PARENT: Range<usize> = 104..136;
const INDEX: Range<usize> = 136..140;
const VIEW: Range<usize> = 140..152;
const LAST_USE: Range<usize> = 152..160;
const PAYLOAD_CHECKSUM: Range<usize> = 160..176;
/// In clear, and proven by the tag.
const ASSOCIATED: Range<usize> = 0..176;
const NONCE: Range<usize> = 176..176 + NONCE_BYTES;
const TAG: Range<usize> = NONCE.end..NONCE.end + TAG_BYTES;
const TOKENS: Range<usize> = TAG.end..TAG.end + 4 * BLOCK_TOKENS;
const CHECKSUM: Range<usize> = 4080..4096;

/// What [`Sealer::new`] is given for the tokens of headers.
pub const TOKENS_PURPOSE: &str = "block header";

/// A block as its header describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StoredBlock {
    pub key: BlockKey,
    /// Key of the block before it, or the root.
    pub parent: BlockKey,
    /// Blocks before it in its sequence.
    pub index: u32,
    /// The view that its key depends on: only of a block that starts at or after the window.
    pub view: Option<ViewParameters>,
    /// Milliseconds since 1970.
    pub last_use: u64,
    /// Its token ids, 1 to [`BLOCK_TOKENS`]: as many rows of its payload are valid.
    pub tokens: Vec<u32>,
}

/// Why a page is not taken for a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// A block, but not one that this server can use: of another format, layout, codec, model or secret.
    Foreign(&'static str),
    /// Not the block that was asked for, or no longer.
    Damaged(&'static str),
}

/// What all blocks of one slot file have in common.
#[derive(Clone, Debug)]
pub struct HeaderForm {
    pub layout: KvLayout,
    pub codec: u16,
    /// Identity of everything that the bytes depend on, without tenant and salt.
    pub model: [u8; 32],
    pub sealer: Sealer,
}

impl HeaderForm {
    /// Fills the header page for a payload that is complete, and zero beyond the block's tokens.
    ///
    /// # Errors
    /// A reason: `page` or `payload` has not the layout's length, the block has no tokens or too many, or the system gives
    /// no random bytes.
    pub fn seal(&self, block: &StoredBlock, page: &mut [u8], payload: &[u8]) -> Result<(), &'static str> {
        if page.len() != HEADER_BYTES || payload.len() != self.layout.block_bytes() {
            return Err("the page or the payload does not have the block's length");
        }
        if !(1..=BLOCK_TOKENS).contains(&block.tokens.len()) {
            return Err("the valid length is out of range");
        }
        page.fill(0);
        self.write_common(page);
        write_fields(block, page);
        page[PAYLOAD_CHECKSUM].copy_from_slice(&payload_checksum(payload).to_le_bytes());
        let (associated, rest) = page.split_at_mut(ASSOCIATED.end);
        let tokens = &mut rest[TOKENS.start - ASSOCIATED.end..TOKENS.end - ASSOCIATED.end];
        for (bytes, token) in tokens.as_chunks_mut::<4>().0.iter_mut().zip(&block.tokens) {
            *bytes = token.to_le_bytes();
        }
        let (nonce, tag) =
            self.sealer.seal(associated, tokens).map_err(|_| "the system gives no random bytes")?;
        page[NONCE].copy_from_slice(&nonce);
        page[TAG].copy_from_slice(&tag);
        let checksum = xxh3_128(&page[..CHECKSUM.start]).to_le_bytes();
        page[CHECKSUM].copy_from_slice(&checksum);
        Ok(())
    }

    /// The block that a header page describes, from the page alone.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub fn read(&self, page: &[u8]) -> Result<StoredBlock, Refusal> {
        self.check(page)?;
        let mut tokens = [0; TOKENS.end - TOKENS.start];
        tokens.copy_from_slice(&page[TOKENS]);
        let (nonce, tag) = (array(page, NONCE), array(page, TAG));
        if !self.sealer.open(&nonce, &page[ASSOCIATED], &mut tokens, &tag) {
            return Err(Refusal::Foreign("its tokens were sealed under another secret"));
        }
        let valid = u32::from_le_bytes(array(page, VALID)) as usize;
        if !(1..=BLOCK_TOKENS).contains(&valid) {
            return Err(Refusal::Damaged("the valid length is out of range"));
        }
        let view = read_view(page);
        Ok(StoredBlock {
            key: array(page, KEY),
            parent: array(page, PARENT),
            index: u32::from_le_bytes(array(page, INDEX)),
            view: (view != [0; 3]).then_some(view),
            last_use: u64::from_le_bytes(array(page, LAST_USE)),
            tokens: tokens.as_chunks::<4>().0[..valid]
                .iter()
                .map(|bytes| u32::from_le_bytes(*bytes))
                .collect(),
        })
    }

    /// Checks that page and payload are the block with this key and valid length, undamaged.
    ///
    /// # Errors
    /// The first thing that is not as it should be.
    pub fn verify(
        &self,
        key: &BlockKey,
        valid: usize,
        page: &[u8],
        payload: &[u8],
    ) -> Result<StoredBlock, Refusal> {
        let block = self.read(page)?;
        if block.key != *key {
            return Err(Refusal::Damaged("another block's key"));
        }
        if block.tokens.len() != valid {
            return Err(Refusal::Damaged("another valid length"));
        }
        if payload.len() != self.layout.block_bytes() {
            return Err(Refusal::Damaged("the payload does not have the block's length"));
        }
        if checksum_in(page) != payload_checksum(payload) {
            return Err(Refusal::Damaged("the payload's checksum does not match"));
        }
        Ok(block)
    }

    /// Version first: what another version's page means is not known.
    fn check(&self, page: &[u8]) -> Result<(), Refusal> {
        if page.len() != HEADER_BYTES || page[..8] != MAGIC {
            return Err(Refusal::Damaged("it is not a block"));
        }
        if page[VERSION] != FORMAT_VERSION.to_le_bytes() {
            return Err(Refusal::Foreign("another version of the header"));
        }
        if page[CHECKSUM] != xxh3_128(&page[..CHECKSUM.start]).to_le_bytes() {
            return Err(Refusal::Damaged("the header's checksum does not match"));
        }
        let mut own = [0; MODEL.end];
        self.write_common(&mut own);
        if page[GEOMETRY] != own[GEOMETRY] || page[PAYLOAD_BYTES] != own[PAYLOAD_BYTES] {
            return Err(Refusal::Foreign("another layout or codec"));
        }
        if page[MODEL] != own[MODEL] {
            return Err(Refusal::Foreign("another model"));
        }
        Ok(())
    }

    fn write_common(&self, page: &mut [u8]) {
        page[..8].copy_from_slice(&MAGIC);
        page[GEOMETRY].copy_from_slice(&geometry(&self.layout, self.codec));
        page[PAYLOAD_BYTES].copy_from_slice(&(self.layout.block_bytes() as u64).to_le_bytes());
        page[MODEL].copy_from_slice(&self.model);
    }
}

/// XXH3-128 of a payload as it is stored.
pub fn payload_checksum(payload: &[u8]) -> u128 {
    xxh3_128(payload)
}

/// The payload's checksum that a verified header page names.
pub fn checksum_in(page: &[u8]) -> u128 {
    u128::from_le_bytes(array(page, PAYLOAD_CHECKSUM))
}

fn write_fields(block: &StoredBlock, page: &mut [u8]) {
    page[VALID].copy_from_slice(&low_32(block.tokens.len()));
    page[KEY].copy_from_slice(&block.key);
    page[PARENT].copy_from_slice(&block.parent);
    page[INDEX].copy_from_slice(&block.index.to_le_bytes());
    let view = block.view.unwrap_or_default();
    for (bytes, parameter) in page[VIEW].as_chunks_mut::<4>().0.iter_mut().zip(view) {
        *bytes = parameter.to_le_bytes();
    }
    page[LAST_USE].copy_from_slice(&block.last_use.to_le_bytes());
}

fn read_view(page: &[u8]) -> ViewParameters {
    let mut view = [0; 3];
    for (parameter, bytes) in view.iter_mut().zip(page[VIEW].as_chunks::<4>().0) {
        *parameter = u32::from_le_bytes(*bytes);
    }
    view
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

/// The `N` bytes of a field.
fn array<const N: usize>(page: &[u8], field: Range<usize>) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&page[field]);
    bytes
}

#[cfg(test)]
mod tests;
