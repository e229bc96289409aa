//! f32 fused multiply-adds in registers: nothing but the arithmetic units is busy.

use std::hint::black_box;

const ROUNDS: usize = 20_000_000;
/// Independent chains: latency × throughput of the units, with some to spare.
const CHAINS: usize = 12;

#[cfg(target_arch = "x86_64")]
const LANES: usize = 8;
#[cfg(not(target_arch = "x86_64"))]
const LANES: usize = 4;

/// Floating-point operations of one `run` (an AVX-512 machine does twice this in the same loop count).
pub const FLOPS_PER_CALL: f64 = (ROUNDS * CHAINS * LANES * 2) as f64;

pub fn run() {
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx512f") {
        // Half the rounds of twice the lanes: the same number of operations.
        // SAFETY: the feature was detected.
        return unsafe { x86::wide(ROUNDS / 2) };
    }
    #[cfg(target_arch = "x86_64")]
    if is_x86_feature_detected!("avx2") && is_x86_feature_detected!("fma") {
        // SAFETY: the features were detected.
        return unsafe { x86::narrow(ROUNDS) };
    }
    portable(ROUNDS);
}

fn portable(rounds: usize) {
    let mut sums = [[1.0f32; LANES]; CHAINS];
    let (factor, term) = (black_box(0.999_999f32), black_box(1e-6f32));
    for _ in 0..rounds {
        for sum in sums.iter_mut().flatten() {
            *sum = sum.mul_add(factor, term);
        }
    }
    black_box(sums);
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use super::CHAINS;
    use std::arch::x86_64::*;
    use std::hint::black_box;

    #[target_feature(enable = "avx2,fma")]
    pub fn narrow(rounds: usize) {
        let mut sums = [_mm256_set1_ps(1.0); CHAINS];
        let (factor, term) = (_mm256_set1_ps(black_box(0.999_999)), _mm256_set1_ps(black_box(1e-6)));
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm256_fmadd_ps(*sum, factor, term);
            }
        }
        black_box(sums);
    }

    #[target_feature(enable = "avx512f")]
    pub fn wide(rounds: usize) {
        let mut sums = [_mm512_set1_ps(1.0); CHAINS];
        let (factor, term) = (_mm512_set1_ps(black_box(0.999_999)), _mm512_set1_ps(black_box(1e-6)));
        for _ in 0..rounds {
            for sum in &mut sums {
                *sum = _mm512_fmadd_ps(*sum, factor, term);
            }
        }
        black_box(sums);
    }
}
