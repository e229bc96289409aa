//! AVX-512 F, BW, DQ and VL: one register is sixteen lanes.

use std::arch::x86_64::*;

use super::{Kernel, LANES, Lanes, Simd};

/// The proof that AVX-512 F, BW, DQ and VL exist: only [`run`] makes one.
#[derive(Clone, Copy)]
pub struct Avx512(());

/// Runs `kernel` with AVX-512 enabled.
///
/// # Safety
/// The machine has AVX2, FMA, F16C and AVX-512 F, BW, DQ and VL.
#[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx2,fma,f16c,bmi1,bmi2,popcnt")]
pub unsafe fn run<K: Kernel>(kernel: K) -> K::Output {
    kernel.run(Avx512(()))
}

/// The lower and the upper eight lanes.
#[inline(always)]
fn split(a: __m512) -> (__m256, __m256) {
    // SAFETY: an `Avx512` exists wherever this is called.
    unsafe { (_mm512_castps512_ps256(a), _mm512_extractf32x8_ps::<1>(a)) }
}

/// A method that is one 512-bit intrinsic.
macro_rules! whole {
    ($(fn $name:ident($($argument:ident: $kind:ty),+) -> $out:ty = $intrinsic:ident;)+) => {$(
        #[inline(always)]
        fn $name(self, $($argument: $kind),+) -> $out {
            // SAFETY: `self` proves that the instructions exist.
            unsafe { $intrinsic($($argument),+) }
        }
    )+};
}

impl Simd for Avx512 {
    type F = __m512;
    type U = __m512i;

    const ROWS: usize = 12;
    const PANELS: usize = 2;
    const FEW_ROWS: usize = 8;

    whole! {
        fn splat(value: f32) -> Self::F = _mm512_set1_ps;
        fn add(a: Self::F, b: Self::F) -> Self::F = _mm512_add_ps;
        fn sub(a: Self::F, b: Self::F) -> Self::F = _mm512_sub_ps;
        fn mul(a: Self::F, b: Self::F) -> Self::F = _mm512_mul_ps;
        fn div(a: Self::F, b: Self::F) -> Self::F = _mm512_div_ps;
        fn fma(a: Self::F, b: Self::F, c: Self::F) -> Self::F = _mm512_fmadd_ps;
        fn max(a: Self::F, b: Self::F) -> Self::F = _mm512_max_ps;
        fn bits(a: Self::F) -> Self::U = _mm512_castps_si512;
        fn from_bits(a: Self::U) -> Self::F = _mm512_castsi512_ps;
        fn add_u32(a: Self::U, b: Self::U) -> Self::U = _mm512_add_epi32;
        fn and(a: Self::U, b: Self::U) -> Self::U = _mm512_and_si512;
        fn or(a: Self::U, b: Self::U) -> Self::U = _mm512_or_si512;
        fn convert_i32(a: Self::U) -> Self::F = _mm512_cvtepi32_ps;
    }

    #[inline(always)]
    fn load(self, from: &Lanes) -> Self::F {
        // SAFETY: `self` proves that the instructions exist; an unaligned load inside the array.
        unsafe { _mm512_loadu_ps(from.as_ptr()) }
    }
    #[inline(always)]
    fn store(self, value: Self::F, to: &mut Lanes) {
        // SAFETY: as above; an unaligned store inside the array.
        unsafe { _mm512_storeu_ps(to.as_mut_ptr(), value) }
    }
    #[inline(always)]
    fn first(self, count: usize, a: Self::F, b: Self::F) -> Self::F {
        let mask = ((1u32 << count.min(LANES)) - 1) as u16;
        // SAFETY: as above.
        unsafe { _mm512_mask_blend_ps(mask, b, a) }
    }
    #[inline(always)]
    fn sum_lanes(self, a: Self::F) -> f32 {
        let (low, high) = split(a);
        // SAFETY: as above.
        unsafe {
            let eight = _mm256_add_ps(low, high);
            let four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }
    #[inline(always)]
    fn max_lanes(self, a: Self::F) -> f32 {
        let (low, high) = split(a);
        // SAFETY: as above.
        unsafe {
            let eight = _mm256_max_ps(low, high);
            let four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps::<1>(eight));
            let two = _mm_max_ps(four, _mm_movehl_ps(four, four));
            _mm_cvtss_f32(_mm_max_ss(two, _mm_shuffle_ps::<1>(two, two)))
        }
    }

    #[inline(always)]
    fn splat_u32(self, value: u32) -> Self::U {
        // SAFETY: as above.
        unsafe { _mm512_set1_epi32(value as i32) }
    }
    #[inline(always)]
    fn load_u32(self, from: &[u32; LANES]) -> Self::U {
        // SAFETY: as above; an unaligned load inside the array.
        unsafe { _mm512_loadu_si512(from.as_ptr().cast()) }
    }
    #[inline(always)]
    fn load_u8(self, from: &[u8; LANES]) -> Self::U {
        // SAFETY: as above; an unaligned load of the array.
        unsafe { _mm512_cvtepu8_epi32(_mm_loadu_si128(from.as_ptr().cast())) }
    }
    #[inline(always)]
    fn shl(self, a: Self::U, bits: u32) -> Self::U {
        // SAFETY: as above.
        unsafe { _mm512_sll_epi32(a, _mm_cvtsi32_si128(bits as i32)) }
    }
    #[inline(always)]
    fn shr(self, a: Self::U, bits: u32) -> Self::U {
        // SAFETY: as above.
        unsafe { _mm512_srl_epi32(a, _mm_cvtsi32_si128(bits as i32)) }
    }

    #[inline(always)]
    fn prefetch(self, address: *const u8) {
        // SAFETY: as above; a prefetch never faults.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(address.cast()) }
    }

    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> Self::F {
        // SAFETY: as above; an unaligned load of the array.
        unsafe { _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(from.as_ptr().cast()))) }
    }
    #[inline(always)]
    fn load_f16(self, from: &[u16; LANES]) -> Self::F {
        // SAFETY: as above; an unaligned load of the array.
        unsafe { _mm512_cvtph_ps(_mm256_loadu_si256(from.as_ptr().cast())) }
    }
    #[inline(always)]
    fn load_bf16(self, from: &[u16; LANES]) -> Self::F {
        // SAFETY: as above; an unaligned load of the array.
        unsafe {
            let wide = _mm512_cvtepu16_epi32(_mm256_loadu_si256(from.as_ptr().cast()));
            _mm512_castsi512_ps(_mm512_slli_epi32::<16>(wide))
        }
    }
}
