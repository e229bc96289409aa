//! Packing helpers: where the small integers of a column stand inside a panel's block.

use super::GROUP;
use crate::backend::cpu::simd::LANES;

/// The bits of an f16 at `at`.
pub fn half_bits(stored: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([stored[at], stored[at + 1]])
}

/// Sets the 4-bit number of input `k` of `column`: eight inputs share the column's u32, lowest first.
pub fn set_nibble(groups: &mut [[u32; LANES]], column: usize, k: usize, value: u8) {
    let shift = 4 * (k % GROUP);
    let word = &mut groups[k / GROUP][column];
    *word = *word & !(15 << shift) | u32::from(value & 15) << shift;
}

/// Sets `bits` bits (1 or 2) of input `k` of `column`: `32 / bits` inputs share the column's u32.
pub fn set_bits(words: &mut [[u32; LANES]], bits: usize, column: usize, k: usize, value: u8) {
    let per_word = 32 / bits;
    let shift = bits * (k % per_word);
    let mask = (1u32 << bits) - 1;
    let word = &mut words[k / per_word][column];
    *word = *word & !(mask << shift) | (u32::from(value) & mask) << shift;
}
