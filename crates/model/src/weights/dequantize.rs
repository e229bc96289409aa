//! What stored weights mean: the reference expansion to f32 that every kernel is held against.
//!
//! A weight is `fma(d, q, m)` with `d` and `m` in f32 and `q` a small integer. For the K formats
//! `d = super-block d · scale` and `m = −(dmin · min)`; each product, and each `d · q`, has at most 24 significant
//! bits, so nothing is rounded before the last addition and ggml's own order of operations gives the same bits.
//!
//! Layouts (ggml's `block_*`), little endian; "low first" means that the low nibbles of `qs` are the first half
//! of the run and the high nibbles the second.
//!
//! | format | weights | bytes |
//! |---|---|---|
//! | Q8_0 | 32 | d: f16, q: 32 × i8 |
//! | Q4_0 | 32 | d: f16, qs: 16, low first; weight = d · (q − 8) |
//! | Q4_1 | 32 | d: f16, m: f16, qs: 16, low first |
//! | Q4_K | 256 | d, dmin: f16, 12 bytes of 6-bit scales and mins of eight runs of 32, qs: 128 (runs in pairs, low first) |
//! | Q5_K | 256 | as Q4_K with qh: 32 before qs; bit `run` of `qh[i]` is bit 4 of weight i of the run |
//! | Q6_K | 256 | ql: 128, qh: 64, scales: 16 × i8 (runs of 16), d: f16; weight = d · scale · (q − 32) |

use half::{bf16, f16};

use super::{Tensor, WeightDtype};

impl Tensor {
    /// Expands row `row` into `out`, `columns` long.
    ///
    /// # Panics
    /// `row` or the length of `out` is out of range.
    pub fn dequantize_row(&self, row: usize, out: &mut [f32]) {
        assert_eq!(out.len(), self.columns, "a row has {} weights", self.columns);
        dequantize(self.dtype, self.row(row), out);
    }

    /// All rows, one after another.
    pub fn dequantize(&self) -> Vec<f32> {
        let mut out = vec![0.0; self.rows * self.columns];
        for (row, out) in out.chunks_exact_mut(self.columns).enumerate() {
            self.dequantize_row(row, out);
        }
        out
    }
}

/// Expands whole blocks: `bytes` holds exactly the blocks of `out.len()` weights.
///
/// # Panics
/// The lengths do not fit each other.
pub fn dequantize(dtype: WeightDtype, bytes: &[u8], out: &mut [f32]) {
    assert_eq!(out.len() % dtype.block_len(), 0, "{dtype} comes in blocks of {}", dtype.block_len());
    assert_eq!(bytes.len(), out.len() / dtype.block_len() * dtype.block_bytes(), "bytes of {dtype}");
    let expand = match dtype {
        WeightDtype::F32 => expand_f32,
        WeightDtype::F16 => expand_f16,
        WeightDtype::Bf16 => expand_bf16,
        WeightDtype::Q8_0 => expand_q8_0,
        WeightDtype::Q4_0 => expand_q4_0,
        WeightDtype::Q4_1 => expand_q4_1,
        WeightDtype::Q4K => expand_q4_k,
        WeightDtype::Q5K => expand_q5_k,
        WeightDtype::Q6K => expand_q6_k,
    };
    let blocks = bytes.chunks_exact(dtype.block_bytes());
    for (block, out) in blocks.zip(out.chunks_exact_mut(dtype.block_len())) {
        expand(block, out);
    }
}

fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

fn expand_f32(block: &[u8], out: &mut [f32]) {
    out[0] = f32::from_le_bytes([block[0], block[1], block[2], block[3]]);
}

fn expand_f16(block: &[u8], out: &mut [f32]) {
    out[0] = half_at(block, 0);
}

fn expand_bf16(block: &[u8], out: &mut [f32]) {
    out[0] = bf16::from_le_bytes([block[0], block[1]]).to_f32();
}

fn expand_q8_0(block: &[u8], out: &mut [f32]) {
    let d = half_at(block, 0);
    for (out, &q) in out.iter_mut().zip(&block[2..]) {
        *out = d * f32::from(q as i8);
    }
}

fn expand_q4_0(block: &[u8], out: &mut [f32]) {
    let d = half_at(block, 0);
    expand_nibbles(&block[2..], d, -8.0 * d, out);
}

fn expand_q4_1(block: &[u8], out: &mut [f32]) {
    expand_nibbles(&block[4..], half_at(block, 0), half_at(block, 2), out);
}

/// 16 bytes of nibbles, low first, as `d · q + m`.
fn expand_nibbles(qs: &[u8], d: f32, m: f32, out: &mut [f32]) {
    let (low, high) = out.split_at_mut(qs.len());
    for ((&q, low), high) in qs.iter().zip(low).zip(high) {
        *low = d.mul_add(f32::from(q & 15), m);
        *high = d.mul_add(f32::from(q >> 4), m);
    }
}

/// The 6-bit scale and min of run `run` (0…7) out of the 12 packed bytes of Q4_K and Q5_K.
fn k_scale_min(packed: &[u8], run: usize) -> (u8, u8) {
    if run < 4 {
        (packed[run] & 63, packed[run + 4] & 63)
    } else {
        let low = packed[run + 4];
        (low & 15 | packed[run - 4] >> 6 << 4, low >> 4 | packed[run] >> 6 << 4)
    }
}

/// `d` and `m` of run `run` of a Q4_K or Q5_K block.
fn k_factors(block: &[u8], run: usize) -> (f32, f32) {
    let (scale, min) = k_scale_min(&block[4..16], run);
    (half_at(block, 0) * f32::from(scale), -(half_at(block, 2) * f32::from(min)))
}

fn expand_q4_k(block: &[u8], out: &mut [f32]) {
    for (run, out) in out.chunks_exact_mut(32).enumerate() {
        let (d, m) = k_factors(block, run);
        let qs = &block[16 + run / 2 * 32..][..32];
        for (out, &q) in out.iter_mut().zip(qs) {
            *out = d.mul_add(f32::from(q >> (run % 2 * 4) & 15), m);
        }
    }
}

fn expand_q5_k(block: &[u8], out: &mut [f32]) {
    let high = &block[16..48];
    for (run, out) in out.chunks_exact_mut(32).enumerate() {
        let (d, m) = k_factors(block, run);
        let qs = &block[48 + run / 2 * 32..][..32];
        for ((out, &q), &high) in out.iter_mut().zip(qs).zip(high) {
            let q = q >> (run % 2 * 4) & 15 | (high >> run & 1) << 4;
            *out = d.mul_add(f32::from(q), m);
        }
    }
}

fn expand_q6_k(block: &[u8], out: &mut [f32]) {
    let (ql, qh, scales) = (&block[..128], &block[128..192], &block[192..208]);
    let d = half_at(block, 208);
    // Two halves of 128 weights; in each, four runs of 32: the low nibbles of 2 × 32 bytes, then the high ones.
    for (run, out) in out.chunks_exact_mut(32).enumerate() {
        let (half, run_in_half) = (run / 4, run % 4);
        let low = &ql[half * 64 + run_in_half % 2 * 32..][..32];
        let high = &qh[half * 32..][..32];
        for (i, out) in out.iter_mut().enumerate() {
            let q = low[i] >> (run_in_half / 2 * 4) & 15 | (high[i] >> (2 * run_in_half) & 3) << 4;
            let scale = scales[run * 2 + i / 16] as i8;
            *out = d * f32::from(scale) * f32::from(i16::from(q) - 32);
        }
    }
}
