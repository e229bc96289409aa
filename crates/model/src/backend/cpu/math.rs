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
    let mut squares = s.splat(0.0);
    for x in x {
        squares = s.fma(s.load(x), s.load(x), squares);
    }
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

#[cfg(test)]
mod tests {
    use super::{exp2, rms_norm, silu, to_lanes};
    use crate::backend::cpu::simd::{Available, Isa, Kernel, LANES, Simd};

    /// 2^x and SiLU of sixteen numbers.
    struct Functions([f32; LANES]);

    impl Kernel for Functions {
        type Output = [[f32; LANES]; 2];

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Self::Output {
            let mut out = [[0.0; LANES]; 2];
            let x = s.load(&self.0);
            s.store(exp2(s, x), &mut out[0]);
            s.store(silu(s, x), &mut out[1]);
            out
        }
    }

    fn functions(x: [f32; LANES]) -> [[f32; LANES]; 2] {
        Available::new(Isa::detect()).unwrap().run(Functions(x))
    }

    #[test]
    fn exponential_and_silu_are_within_a_few_units_in_the_last_place() {
        for step in 0..20_000 {
            let x = std::array::from_fn(|lane| (step * LANES + lane) as f32 * 7.8e-4 - 125.0);
            let [powers, silus] = functions(x);
            for lane in 0..LANES {
                let x = f64::from(x[lane]);
                let (power, silu) = (x.exp2(), x / (1.0 + (-x).exp()));
                assert!((f64::from(powers[lane]) / power - 1.0).abs() < 2.5e-7, "2^{x}: {}", powers[lane]);
                // The exponent is rounded before the power is taken, so the error grows with it.
                let tolerance = (3e-7 + 1e-7 * x.abs()) * silu.abs() + 1e-35;
                assert!((f64::from(silus[lane]) - silu).abs() <= tolerance, "silu({x})");
            }
        }
    }

    #[test]
    fn powers_are_exact_where_they_can_be_and_clamped_where_they_cannot() {
        let mut x = [0.0; LANES];
        x[..7].copy_from_slice(&[0.0, 1.0, -3.0, 10.0, f32::NEG_INFINITY, f32::INFINITY, -200.0]);
        let [powers, _] = functions(x);
        let (least, most) = (2f32.powi(-126), 2f32.powi(127));
        assert_eq!(powers[..7], [1.0, 2.0, 0.125, 1024.0, least, most, least]);
    }

    /// A norm of a row that is no whole number of lanes.
    struct Norm<'a>(&'a [f32], &'a [f32]);

    impl Kernel for Norm<'_> {
        type Output = Vec<f32>;

        #[inline(always)]
        fn run<S: Simd>(self, s: S) -> Vec<f32> {
            let width = self.0.len().div_ceil(LANES);
            let [mut x, mut weight, mut out] = std::array::from_fn(|_| vec![[0.0; LANES]; width]);
            to_lanes(self.0, &mut x);
            to_lanes(self.1, &mut weight);
            rms_norm(s, &x, &weight, self.0.len(), 1e-5, &mut out);
            out.as_flattened().to_vec()
        }
    }

    #[test]
    fn a_norm_of_an_odd_length_counts_only_its_own_elements() {
        let x: Vec<f32> = (0..50).map(|i| (i as f32 - 20.0) / 7.0).collect();
        let weight: Vec<f32> = (0..50).map(|i| 1.0 + i as f32 / 100.0).collect();
        let found = Available::new(Isa::detect()).unwrap().run(Norm(&x, &weight));
        let mean = x.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>() / 50.0;
        for i in 0..50 {
            let wanted = f64::from(x[i]) * f64::from(weight[i]) / (mean + 1e-5).sqrt();
            assert!((f64::from(found[i]) - wanted).abs() < 1e-5);
        }
        assert!(found[50..].iter().all(|&beyond| beyond == 0.0));
    }
}
