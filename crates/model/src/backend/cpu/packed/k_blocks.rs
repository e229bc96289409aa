//! Panels of the K formats: 256 weights with 6- or 8-bit scales a run of 32 or 16.

use super::blocks::{nibble, nibble_weight};
use super::quants::{half_bits, set_bits, set_nibble};
use super::{Factors, GROUP, PanelBlock};
use crate::backend::cpu::simd::{LANES, Simd};

/// Inputs of a block of these formats.
const WEIGHTS: usize = 256;
const GROUPS: usize = WEIGHTS / GROUP;

/// `d`, `dmin` and the twelve bytes of 6-bit scales and mins of Q4_K and Q5_K, byte by byte for sixteen columns.
#[derive(Clone, Copy)]
#[repr(C)]
struct Scales {
    d: [u16; LANES],
    dmin: [u16; LANES],
    packed: [[u8; LANES]; 12],
}

impl Scales {
    fn zero() -> Self {
        Scales { d: [0; LANES], dmin: [0; LANES], packed: [[0; LANES]; 12] }
    }

    fn pack(&mut self, column: usize, stored: &[u8]) {
        self.d[column] = half_bits(stored, 0);
        self.dmin[column] = half_bits(stored, 2);
        for (row, &byte) in self.packed.iter_mut().zip(&stored[4..16]) {
            row[column] = byte;
        }
    }

    /// d = super-block d · scale and m = -(dmin · min): both products are exact in f32.
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, run: usize) -> Factors<S> {
        let (low4, low6) = (s.splat_u32(15), s.splat_u32(63));
        let (scale, min) = if run < 4 {
            (s.and(self.byte(s, run), low6), s.and(self.byte(s, run + 4), low6))
        } else {
            let low = self.byte(s, run + 4);
            let (scale_high, min_high) = (self.upper_bits(s, run - 4), self.upper_bits(s, run));
            (s.or(s.and(low, low4), scale_high), s.or(s.shr(low, 4), min_high))
        };
        let d = s.mul(s.load_f16(&self.d), s.convert_i32(scale));
        let m = s.mul(s.load_f16(&self.dmin), s.convert_i32(min));
        Factors::new(s, d, s.mul(m, s.splat(-1.0)))
    }

    #[inline(always)]
    fn byte<S: Simd>(&self, s: S, at: usize) -> S::U {
        s.load_u8(&self.packed[at])
    }

    /// The two upper bits of a byte, as bits 4 and 5.
    #[inline(always)]
    fn upper_bits<S: Simd>(&self, s: S, at: usize) -> S::U {
        s.shl(s.shr(self.byte(s, at), 6), 4)
    }
}

/// Q4_K: weight = fma(d · scale, q, -(dmin · min)).
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct PanelQ4K {
    scales: Scales,
    q: [[u32; LANES]; GROUPS],
}

impl PanelBlock for PanelQ4K {
    const WEIGHTS: usize = WEIGHTS;
    const RUN: usize = 32;

    fn zero() -> Self {
        PanelQ4K { scales: Scales::zero(), q: [[0; LANES]; GROUPS] }
    }
    fn pack(&mut self, column: usize, stored: &[u8]) {
        self.scales.pack(column, stored);
        pack_paired_nibbles(&mut self.q, column, &stored[16..144]);
    }
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, run: usize) -> Factors<S> {
        self.scales.factors(s, run)
    }
    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, factors: Factors<S>) -> S::F {
        nibble_weight(s, &self.q[group], index, factors)
    }
}

/// 128 stored bytes: 32 at a time hold a run of 32 in their low nibbles and the next run in their high ones.
fn pack_paired_nibbles(groups: &mut [[u32; LANES]], column: usize, stored: &[u8]) {
    for (at, &byte) in stored.iter().enumerate() {
        let k = at / 32 * 64 + at % 32;
        set_nibble(groups, column, k, byte & 15);
        set_nibble(groups, column, k + 32, byte >> 4);
    }
}

/// Q5_K: as Q4_K with a fifth bit.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct PanelQ5K {
    scales: Scales,
    low: [[u32; LANES]; GROUPS],
    /// Bit 4 of 32 inputs a word.
    high: [[u32; LANES]; WEIGHTS / 32],
}

impl PanelBlock for PanelQ5K {
    const WEIGHTS: usize = WEIGHTS;
    const RUN: usize = 32;

    fn zero() -> Self {
        PanelQ5K { scales: Scales::zero(), low: [[0; LANES]; GROUPS], high: [[0; LANES]; WEIGHTS / 32] }
    }
    fn pack(&mut self, column: usize, stored: &[u8]) {
        self.scales.pack(column, stored);
        pack_paired_nibbles(&mut self.low, column, &stored[48..176]);
        for k in 0..WEIGHTS {
            let bit = stored[16 + k % 32] >> (k / 32) & 1;
            set_bits(&mut self.high, 1, column, k, bit);
        }
    }
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, run: usize) -> Factors<S> {
        self.scales.factors(s, run)
    }
    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, factors: Factors<S>) -> S::F {
        let k = group * GROUP + index;
        let bit = s.and(s.shr(s.load_u32(&self.high[k / 32]), (k % 32) as u32), s.splat_u32(1));
        let q = s.or(nibble(s, &self.low[group], index), s.shl(bit, 4));
        s.fma(factors.d[0], s.convert_i32(q), factors.m)
    }
}

/// Q6_K: weight = d · scale · (q - 32), of which nothing is rounded.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub struct PanelQ6K {
    d: [u16; LANES],
    scales: [[i8; LANES]; WEIGHTS / 16],
    low: [[u32; LANES]; GROUPS],
    /// Bits 4 and 5 of 16 inputs a word.
    high: [[u32; LANES]; WEIGHTS / 16],
}

impl PanelBlock for PanelQ6K {
    const WEIGHTS: usize = WEIGHTS;
    const RUN: usize = 16;

    fn zero() -> Self {
        PanelQ6K {
            d: [0; LANES],
            scales: [[0; LANES]; WEIGHTS / 16],
            low: [[0; LANES]; GROUPS],
            high: [[0; LANES]; WEIGHTS / 16],
        }
    }
    fn pack(&mut self, column: usize, stored: &[u8]) {
        let (low, high, scales) = (&stored[..128], &stored[128..192], &stored[192..208]);
        self.d[column] = half_bits(stored, 208);
        for (row, &scale) in self.scales.iter_mut().zip(scales) {
            row[column] = scale as i8;
        }
        // Two halves of 128; in each four runs of 32: the low nibbles of 2 × 32 bytes, then their high ones.
        for k in 0..WEIGHTS {
            let (half, run, at) = (k / 128, k % 128 / 32, k % 32);
            set_nibble(&mut self.low, column, k, low[half * 64 + run % 2 * 32 + at] >> (run / 2 * 4) & 15);
            set_bits(&mut self.high, 2, column, k, high[half * 32 + at] >> (2 * run) & 3);
        }
    }
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, run: usize) -> Factors<S> {
        Factors::new(s, s.mul(s.load_f16(&self.d), s.load_i8(&self.scales[run])), s.splat(-32.0))
    }
    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, factors: Factors<S>) -> S::F {
        let k = group * GROUP + index;
        let bits = s.and(s.shr(s.load_u32(&self.high[k / 16]), 2 * (k % 16) as u32), s.splat_u32(3));
        let q = s.or(nibble(s, &self.low[group], index), s.shl(bits, 4));
        s.mul(factors.d[0], s.add(s.convert_i32(q), factors.m))
    }
}
