//! Functions of our own, the same bits on every path: exponential, SiLU, root mean square.

use super::simd::{LANES, Lanes, Simd};

/// log2(e), rounded to f32.
pub const LOG2_E: f32 = std::f32::consts::LOG2_E;

/// Smallest exponent computed: below it, 2^x is given as 2^-126.
const LOWEST: f32 = -126.0;
const HIGHEST: f32 = 127.0;
/// 1.5 · 2^23: adding it rounds to an integer, which then stands in the low bits.
const ROUND: f32 = 12_582_912.0;

/// Minimax polynomial of 2^f on [-0.5, 0.5] with 2^0 = 1, highest power first; relative error below 1.5e-7.
#[expect(clippy::approx_constant, reason = "fitted beside the others, not ln 2")]
const EXP2: [f32; 6] = [0.001_326_473_2, 0.009_671_523, 0.055_507_34, 0.240_222_42, 0.693_147, 1.0];

/// 2^x in each lane, for x clamped to [-126, 127].
#[inline(always)]
pub fn exp2<S: Simd>(s: S, x: S::F) -> S::F {
    let zero = s.splat(0.0);
    let at_most = s.sub(zero, s.max(s.sub(zero, x), s.splat(-HIGHEST)));
    exp2_at_most_one(s, at_most)
}

/// [`exp2`] without its upper clamp, for x ≤ 127: the softmax's, whose x are never positive.
#[inline(always)]
pub fn exp2_at_most_one<S: Simd>(s: S, x: S::F) -> S::F {
    let x = s.max(x, s.splat(LOWEST));
    let shifted = s.add(x, s.splat(ROUND));
    let fraction = s.sub(x, s.sub(shifted, s.splat(ROUND)));
    let mut power = s.splat(EXP2[0]);
    for &coefficient in &EXP2[1..] {
        power = s.fma(power, fraction, s.splat(coefficient));
    }
    let exponent = s.shl(s.bits(shifted), 23);
    s.from_bits(s.add_u32(s.bits(power), exponent))
}

/// x / (1 + e^-x) in each lane.
#[inline(always)]
pub fn silu<S: Simd>(s: S, x: S::F) -> S::F {
    let decay = exp2(s, s.mul(x, s.splat(-LOG2_E)));
    s.div(x, s.add(s.splat(1.0), decay))
}

/// Root-mean-square norm of a row of `length` elements in whole lanes (zeros beyond): out = x · scale · weight.
/// Lane i sums the squares of elements i, i + 16, …; the lanes are then summed in the fixed tree.
#[inline(always)]
pub fn rms_norm<S: Simd>(s: S, x: &[Lanes], weight: &[Lanes], length: usize, eps: f32, out: &mut [Lanes]) {
    let scale = s.splat(rms_scale(s, x, length, eps));
    for ((x, weight), out) in x.iter().zip(weight).zip(out) {
        s.store(s.mul(s.mul(s.load(x), scale), s.load(weight)), out);
    }
}

/// 1 / √(mean of squares + eps).
#[inline(always)]
pub fn rms_scale<S: Simd>(s: S, x: &[Lanes], length: usize, eps: f32) -> f32 {
    let squares = x.iter().fold(s.splat(0.0), |sum, x| s.fma(s.load(x), s.load(x), sum));
    1.0 / (s.sum_lanes(squares) / length as f32 + eps).sqrt()
}

/// Copies a row into whole lanes, zeros beyond its length.
pub fn to_lanes(row: &[f32], lanes: &mut [Lanes]) {
    for (index, lanes) in lanes.iter_mut().enumerate() {
        let from = &row[(index * LANES).min(row.len())..row.len().min((index + 1) * LANES)];
        lanes[..from.len()].copy_from_slice(from);
        lanes[from.len()..].fill(0.0);
    }
}
