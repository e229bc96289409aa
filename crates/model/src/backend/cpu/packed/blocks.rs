//! Panels of the formats with at most one scale for 32 weights.

use super::quants::{half_bits, set_nibble};
use super::{Factors, GROUP, PanelBlock};
use crate::backend::cpu::simd::{LANES, Lanes, Simd};

/// Inputs of a block of these formats.
const RUN: usize = 32;

/// Factors of formats that need none.
#[inline(always)]
fn no_factors<S: Simd>(s: S) -> Factors<S> {
    Factors::new(s, s.splat(1.0), s.splat(0.0))
}

/// fma(d, q, m) of input `index` of a group of 4-bit numbers, in all columns.
#[inline(always)]
pub(super) fn nibble_weight<S: Simd>(s: S, group: &[u32; LANES], index: usize, factors: Factors<S>) -> S::F {
    let (half, at) = (index / 4, index % 4);
    let q = s.and(s.shr(s.load_u32(group), 16 * half as u32), s.splat_u32(15 << (4 * at)));
    s.fma(factors.d[at], s.convert_i32(q), factors.m)
}

/// The 4-bit number of input `index` of a group, in all columns.
#[inline(always)]
pub(super) fn nibble<S: Simd>(s: S, group: &[u32; LANES], index: usize) -> S::U {
    s.and(s.shr(s.load_u32(group), 4 * index as u32), s.splat_u32(15))
}

/// f32, 32 inputs.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct PanelF32([Lanes; RUN]);

impl PanelBlock for PanelF32 {
    const WEIGHTS: usize = RUN;
    const RUN: usize = RUN;

    fn zero() -> Self {
        PanelF32([[0.0; LANES]; RUN])
    }
    fn pack(&mut self, column: usize, stored: &[u8]) {
        for (row, bytes) in self.0.iter_mut().zip(stored.as_chunks::<4>().0) {
            row[column] = f32::from_le_bytes(*bytes);
        }
    }
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, _: usize) -> Factors<S> {
        no_factors(s)
    }
    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, _: Factors<S>) -> S::F {
        s.load(&self.0[group * GROUP + index])
    }
}

/// Sets column `column` from 16-bit numbers.
fn pack_halves(rows: &mut [[u16; LANES]; RUN], column: usize, stored: &[u8]) {
    for (row, bytes) in rows.iter_mut().zip(stored.as_chunks::<2>().0) {
        row[column] = u16::from_le_bytes(*bytes);
    }
}

/// f16, 32 inputs.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct PanelF16([[u16; LANES]; RUN]);

impl PanelBlock for PanelF16 {
    const WEIGHTS: usize = RUN;
    const RUN: usize = RUN;

    fn zero() -> Self {
        PanelF16([[0; LANES]; RUN])
    }
    fn pack(&mut self, column: usize, stored: &[u8]) {
        pack_halves(&mut self.0, column, stored);
    }
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, _: usize) -> Factors<S> {
        no_factors(s)
    }
    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, _: Factors<S>) -> S::F {
        s.load_f16(&self.0[group * GROUP + index])
    }
}

/// bf16, 32 inputs.
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct PanelBf16([[u16; LANES]; RUN]);

impl PanelBlock for PanelBf16 {
    const WEIGHTS: usize = RUN;
    const RUN: usize = RUN;

    fn zero() -> Self {
        PanelBf16([[0; LANES]; RUN])
    }
    fn pack(&mut self, column: usize, stored: &[u8]) {
        pack_halves(&mut self.0, column, stored);
    }
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, _: usize) -> Factors<S> {
        no_factors(s)
    }
    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, _: Factors<S>) -> S::F {
        s.load_bf16(&self.0[group * GROUP + index])
    }
}

/// Q8_0: weight = d · q.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub struct PanelQ8_0 {
    d: [u16; LANES],
    q: [[i8; LANES]; RUN],
}

impl PanelBlock for PanelQ8_0 {
    const WEIGHTS: usize = RUN;
    const RUN: usize = RUN;

    fn zero() -> Self {
        PanelQ8_0 { d: [0; LANES], q: [[0; LANES]; RUN] }
    }
    fn pack(&mut self, column: usize, stored: &[u8]) {
        self.d[column] = half_bits(stored, 0);
        for (row, &q) in self.q.iter_mut().zip(&stored[2..]) {
            row[column] = q as i8;
        }
    }
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, _: usize) -> Factors<S> {
        Factors::new(s, s.load_f16(&self.d), s.splat(0.0))
    }
    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, factors: Factors<S>) -> S::F {
        s.mul(factors.d[0], s.load_i8(&self.q[group * GROUP + index]))
    }
}

/// Q4_0: weight = fma(d, q, -8 d), where 8 d is exact.
#[derive(Clone, Copy)]
#[repr(C, align(32))]
pub struct PanelQ4_0 {
    d: [u16; LANES],
    q: [[u32; LANES]; RUN / GROUP],
}

impl PanelBlock for PanelQ4_0 {
    const WEIGHTS: usize = RUN;
    const RUN: usize = RUN;

    fn zero() -> Self {
        PanelQ4_0 { d: [0; LANES], q: [[0; LANES]; RUN / GROUP] }
    }
    fn pack(&mut self, column: usize, stored: &[u8]) {
        self.d[column] = half_bits(stored, 0);
        pack_halved_nibbles(&mut self.q, column, &stored[2..]);
    }
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, _: usize) -> Factors<S> {
        let d = s.load_f16(&self.d);
        Factors::new(s, d, s.mul(d, s.splat(-8.0)))
    }
    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, factors: Factors<S>) -> S::F {
        nibble_weight(s, &self.q[group], index, factors)
    }
}

/// Q4_1: weight = fma(d, q, m).
#[derive(Clone, Copy)]
#[repr(C, align(64))]
pub struct PanelQ4_1 {
    d: [u16; LANES],
    m: [u16; LANES],
    q: [[u32; LANES]; RUN / GROUP],
}

impl PanelBlock for PanelQ4_1 {
    const WEIGHTS: usize = RUN;
    const RUN: usize = RUN;

    fn zero() -> Self {
        PanelQ4_1 { d: [0; LANES], m: [0; LANES], q: [[0; LANES]; RUN / GROUP] }
    }
    fn pack(&mut self, column: usize, stored: &[u8]) {
        self.d[column] = half_bits(stored, 0);
        self.m[column] = half_bits(stored, 2);
        pack_halved_nibbles(&mut self.q, column, &stored[4..]);
    }
    #[inline(always)]
    fn factors<S: Simd>(&self, s: S, _: usize) -> Factors<S> {
        Factors::new(s, s.load_f16(&self.d), s.load_f16(&self.m))
    }
    #[inline(always)]
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, factors: Factors<S>) -> S::F {
        nibble_weight(s, &self.q[group], index, factors)
    }
}

/// Sixteen stored bytes whose low nibbles are inputs 0…15 and whose high ones are 16…31.
fn pack_halved_nibbles(groups: &mut [[u32; LANES]], column: usize, stored: &[u8]) {
    for (k, &byte) in stored.iter().enumerate() {
        set_nibble(groups, column, k, byte & 15);
        set_nibble(groups, column, k + RUN / 2, byte >> 4);
    }
}
