//! Rotations from tables: pairs (i, i + half) of the first `rotary_dim` elements, as Hugging Face's `rotate_half`.

use super::buffer::as_lanes;
use super::simd::{LANES, Simd};
use crate::config::ModelConfig;
use crate::error::ModelError;

/// cos and sin of every position, computed in f64 from the f32 inverse frequencies and rounded once.
pub struct RopeTable {
    half: usize,
    cos: Vec<f32>,
    sin: Vec<f32>,
}

/// The rotation by one position.
#[derive(Clone, Copy)]
pub struct Rotation<'a> {
    cos: &'a [f32],
    sin: &'a [f32],
}

impl RopeTable {
    /// Rotations by 0…`positions`, exclusive.
    ///
    /// # Errors
    /// An odd `rotary_dim`, or one above `head_dim`.
    pub fn new(config: &ModelConfig, positions: usize) -> Result<RopeTable, ModelError> {
        let frequencies = config.inverse_frequencies();
        let fits = config.rotary_dim.is_multiple_of(2) && config.rotary_dim <= config.head_dim;
        if !fits || frequencies.len() != config.rotary_dim / 2 {
            let detail = format!(
                "rotary dimension {} with {} frequencies, head dimension {}",
                config.rotary_dim,
                frequencies.len(),
                config.head_dim
            );
            return Err(ModelError::Invalid { what: "rotary embedding", detail });
        }
        let angles =
            || (0..positions).flat_map(|n| frequencies.iter().map(move |&f| n as f64 * f64::from(f)));
        Ok(RopeTable {
            half: frequencies.len(),
            cos: angles().map(|angle| angle.cos() as f32).collect(),
            sin: angles().map(|angle| angle.sin() as f32).collect(),
        })
    }

    /// The rotation by `position`.
    #[inline(always)]
    pub fn at(&self, position: usize) -> Rotation<'_> {
        let range = position * self.half..(position + 1) * self.half;
        Rotation { cos: &self.cos[range.clone()], sin: &self.sin[range] }
    }
}

impl Rotation<'_> {
    /// out = R · x for one head; what is not rotated is copied.
    #[inline(always)]
    pub fn apply<S: Simd>(self, s: S, x: &[f32], out: &mut [f32]) {
        let half = self.cos.len();
        let (x1, rest) = x.split_at(half);
        let (x2, tail) = rest.split_at(half);
        let (out1, out_rest) = out.split_at_mut(half);
        let (out2, out_tail) = out_rest.split_at_mut(half);
        out_tail[..tail.len()].copy_from_slice(tail);

        let whole = half / LANES * LANES;
        let negative = s.splat(-1.0);
        let outs = out1.as_chunks_mut::<LANES>().0.iter_mut().zip(out2.as_chunks_mut::<LANES>().0);
        for (at, (out1, out2)) in outs.enumerate() {
            let lanes = |row: &[f32]| s.load(&as_lanes(row)[at]);
            let (x1, x2, cos, sin) = (lanes(x1), lanes(x2), lanes(self.cos), lanes(self.sin));
            s.store(s.fma(x1, cos, s.mul(s.mul(x2, sin), negative)), out1);
            s.store(s.fma(x2, cos, s.mul(x1, sin)), out2);
        }
        for i in whole..half {
            out1[i] = x1[i].mul_add(self.cos[i], -(x2[i] * self.sin[i]));
            out2[i] = x2[i].mul_add(self.cos[i], x1[i] * self.sin[i]);
        }
    }
}
