//! AVX2 with FMA and F16C: two registers of eight make sixteen lanes.

use std::arch::x86_64::*;

use super::{Kernel, LANES, Lanes, Simd};

/// The proof that AVX2, FMA and F16C exist: only [`run`] makes one.
#[derive(Clone, Copy)]
pub struct Avx2(());

/// Runs `kernel` with AVX2, FMA and F16C enabled.
///
/// # Safety
/// The machine has them.
#[target_feature(enable = "avx,avx2,fma,f16c,bmi1,bmi2,popcnt")]
pub unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx2(()))
}

/// Eight i32 read as lanes 0…7, or 8…15 with `at` 8.
#[inline(always)]
fn low_high(from: &[u32; LANES]) -> (__m256i, __m256i) {
    // SAFETY: an `Avx2` exists wherever this is called; the loads are unaligned and inside the array.
    unsafe { (_mm256_loadu_si256(from.as_ptr().cast()), _mm256_loadu_si256(from.as_ptr().add(8).cast())) }
}

/// A method that applies one 256-bit intrinsic to both halves.
macro_rules! halves {
    ($(fn $name:ident($($argument:ident: $kind:ty),+) -> $out:ty = $intrinsic:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $kind),+) -> $out {
            // SAFETY: `self` proves that the instructions exist.
            unsafe { ($intrinsic($($argument.0),+), $intrinsic($($argument.1),+)) }
        }
    )+};
}

impl Simd for Avx2 {
    type F = (__m256, __m256);
    type U = (__m256i, __m256i);

    const ROWS: usize = 6;
    const PANELS: usize = 1;
    const FEW_ROWS: usize = 2;

    halves! {
        fn add(a: Self::F, b: Self::F) -> Self::F = _mm256_add_ps;
        fn sub(a: Self::F, b: Self::F) -> Self::F = _mm256_sub_ps;
        fn mul(a: Self::F, b: Self::F) -> Self::F = _mm256_mul_ps;
        fn div(a: Self::F, b: Self::F) -> Self::F = _mm256_div_ps;
        fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F = _mm256_fmadd_ps;
        fn max(a: Self::F, b: Self::F) -> Self::F = _mm256_max_ps;
        fn bits(a: Self::F) -> Self::U = _mm256_castps_si256;
        fn from_bits(a: Self::U) -> Self::F = _mm256_castsi256_ps;
        fn add_u32(a: Self::U, b: Self::U) -> Self::U = _mm256_add_epi32;
        fn and(a: Self::U, b: Self::U) -> Self::U = _mm256_and_si256;
        fn or(a: Self::U, b: Self::U) -> Self::U = _mm256_or_si256;
        fn convert_i32(a: Self::U) -> Self::F = _mm256_cvtepi32_ps;
    }

    #[inline(always)]
    fn splat(self, value: f32) -> Self::F {
        // SAFETY: `self` proves that the instructions exist.
        let half = unsafe { _mm256_set1_ps(value) };
        (half, half)
    }
    #[inline(always)]
    fn load(self, from: &Lanes) -> Self::F {
        // SAFETY: as above; unaligned loads inside the array.
        unsafe { (_mm256_loadu_ps(from.as_ptr()), _mm256_loadu_ps(from.as_ptr().add(8))) }
    }
    #[inline(always)]
    fn store(self, value: Self::F, to: &mut Lanes) {
        // SAFETY: as above; unaligned stores inside the array.
        unsafe {
            _mm256_storeu_ps(to.as_mut_ptr(), value.0);
            _mm256_storeu_ps(to.as_mut_ptr().add(8), value.1);
        }
    }
    #[inline(always)]
    fn first(self, count: usize, a: Self::F, b: Self::F) -> Self::F {
        // SAFETY: as above.
        unsafe {
            let limit = _mm256_set1_epi32(count as i32);
            let low = _mm256_cmpgt_epi32(limit, _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
            let high = _mm256_cmpgt_epi32(limit, _mm256_setr_epi32(8, 9, 10, 11, 12, 13, 14, 15));
            (
                _mm256_blendv_ps(b.0, a.0, _mm256_castsi256_ps(low)),
                _mm256_blendv_ps(b.1, a.1, _mm256_castsi256_ps(high)),
            )
        }
    }
    #[inline(always)]
    fn sum_lanes(self, a: Self::F) -> f32 {
        // SAFETY: as above.
        unsafe {
            let eight = _mm256_add_ps(a.0, a.1);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    fn max_lanes(self, a: Self::F) -> f32 {
        // SAFETY: as above.
        unsafe {
            let eight = _mm256_max_ps(a.0, a.1);
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn splat_u32(self, value: u32) -> Self::U {
        // SAFETY: as above.
        let half = unsafe { _mm256_set1_epi32(value as i32) };
        (half, half)
    }
    #[inline(always)]
    fn load_u32(self, from: &[u32; LANES]) -> Self::U {
        low_high(from)
    }
    #[inline(always)]
    fn load_u8(self, from: &[u8; LANES]) -> Self::U {
        // SAFETY: as above; two loads of eight bytes inside the array.
        unsafe {
            (
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.as_ptr().cast())),
                _mm256_cvtepu8_epi32(_mm_loadl_epi64(from.as_ptr().add(8).cast())),
            )
        }
    }
    #[inline(always)]
    fn shl(self, a: Self::U, bits: u32) -> Self::U {
        // SAFETY: as above.
        unsafe {
            let count = _mm_cvtsi32_si128(bits as i32);
            (_mm256_sll_epi32(a.0, count), _mm256_sll_epi32(a.1, count))
        }
    }
    #[inline(always)]
    fn shr(self, a: Self::U, bits: u32) -> Self::U {
        // SAFETY: as above.
        unsafe {
            let count = _mm_cvtsi32_si128(bits as i32);
            (_mm256_srl_epi32(a.0, count), _mm256_srl_epi32(a.1, count))
        }
    }

    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        // SAFETY: as above; a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> Self::F {
        // SAFETY: as above; two loads of eight bytes inside the array.
        unsafe {
            (
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.as_ptr().cast()))),
                _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(from.as_ptr().add(8).cast()))),
            )
        }
    }
    #[inline(always)]
    fn load_f16(self, from: &[u16; LANES]) -> Self::F {
        // SAFETY: as above; two loads of sixteen bytes inside the array.
        unsafe {
            (
                _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().cast())),
                _mm256_cvtph_ps(_mm_loadu_si128(from.as_ptr().add(8).cast())),
            )
        }
    }
    #[inline(always)]
    fn load_bf16(self, from: &[u16; LANES]) -> Self::F {
        // SAFETY: as above; two loads of sixteen bytes inside the array.
        unsafe {
            let low = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.as_ptr().cast()));
            let high = _mm256_cvtepu16_epi32(_mm_loadu_si128(from.as_ptr().add(8).cast()));
            (
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(low)),
                _mm256_castsi256_ps(_mm256_slli_epi32::<16>(high)),
            )
        }
    }
}
