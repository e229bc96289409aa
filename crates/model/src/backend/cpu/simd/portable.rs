//! The reference path: sixteen scalars and `f32::mul_add`.

use half::{bf16, f16};

use super::{LANES, Lanes, Simd};

/// Plain Rust. Correct everywhere; fast only where the target has fused multiply-add.
#[derive(Clone, Copy, Debug)]
pub struct Portable;

#[inline(always)]
fn each<T: Copy, U>(a: [T; LANES], f: impl Fn(T) -> U) -> [U; LANES] {
    a.map(f)
}

#[inline(always)]
fn both<T: Copy, U>(a: [T; LANES], b: [T; LANES], f: impl Fn(T, T) -> U) -> [U; LANES] {
    std::array::from_fn(|lane| f(a[lane], b[lane]))
}

/// Folds i with i + 8, then 4, 2 and 1 apart.
#[inline(always)]
fn tree(mut a: Lanes, f: impl Fn(f32, f32) -> f32) -> f32 {
    for width in [8, 4, 2, 1] {
        for lane in 0..width {
            a[lane] = f(a[lane], a[lane + width]);
        }
    }
    a[0]
}

#[inline(always)]
fn greater(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

impl Simd for Portable {
    type F = Lanes;
    type U = [u32; LANES];

    const ROWS: usize = 4;
    const PANELS: usize = 1;
    const FEW_ROWS: usize = 2;

    #[inline(always)]
    fn splat(self, value: f32) -> Lanes {
        [value; LANES]
    }
    #[inline(always)]
    fn load(self, from: &Lanes) -> Lanes {
        *from
    }
    #[inline(always)]
    fn store(self, value: Lanes, to: &mut Lanes) {
        *to = value;
    }
    #[inline(always)]
    fn add(self, a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| a + b)
    }
    #[inline(always)]
    fn sub(self, a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| a - b)
    }
    #[inline(always)]
    fn mul(self, a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| a * b)
    }
    #[inline(always)]
    fn div(self, a: Lanes, b: Lanes) -> Lanes {
        both(a, b, |a, b| a / b)
    }
    #[inline(always)]
    fn fma(self, a: Lanes, b: Lanes, c: Lanes) -> Lanes {
        std::array::from_fn(|lane| a[lane].mul_add(b[lane], c[lane]))
    }
    #[inline(always)]
    fn max(self, a: Lanes, b: Lanes) -> Lanes {
        both(a, b, greater)
    }
    #[inline(always)]
    fn first(self, count: usize, a: Lanes, b: Lanes) -> Lanes {
        std::array::from_fn(|lane| if lane < count { a[lane] } else { b[lane] })
    }
    #[inline(always)]
    fn sum_lanes(self, a: Lanes) -> f32 {
        tree(a, |a, b| a + b)
    }
    #[inline(always)]
    fn max_lanes(self, a: Lanes) -> f32 {
        tree(a, greater)
    }

    #[inline(always)]
    fn bits(self, a: Lanes) -> Self::U {
        each(a, f32::to_bits)
    }
    #[inline(always)]
    fn from_bits(self, a: Self::U) -> Lanes {
        each(a, f32::from_bits)
    }
    #[inline(always)]
    fn splat_u32(self, value: u32) -> Self::U {
        [value; LANES]
    }
    #[inline(always)]
    fn load_u32(self, from: &[u32; LANES]) -> Self::U {
        *from
    }
    #[inline(always)]
    fn load_u8(self, from: &[u8; LANES]) -> Self::U {
        each(*from, u32::from)
    }
    #[inline(always)]
    fn add_u32(self, a: Self::U, b: Self::U) -> Self::U {
        both(a, b, u32::wrapping_add)
    }
    #[inline(always)]
    fn and(self, a: Self::U, b: Self::U) -> Self::U {
        both(a, b, |a, b| a & b)
    }
    #[inline(always)]
    fn or(self, a: Self::U, b: Self::U) -> Self::U {
        both(a, b, |a, b| a | b)
    }
    #[inline(always)]
    fn shl(self, a: Self::U, bits: u32) -> Self::U {
        each(a, |a| a << bits)
    }
    #[inline(always)]
    fn shr(self, a: Self::U, bits: u32) -> Self::U {
        each(a, |a| a >> bits)
    }
    #[inline(always)]
    fn convert_i32(self, a: Self::U) -> Lanes {
        each(a, |a| a as i32 as f32)
    }

    #[inline(always)]
    fn prefetch(self, _: *const u8) {}

    #[inline(always)]
    fn load_i8(self, from: &[i8; LANES]) -> Lanes {
        each(*from, f32::from)
    }
    #[inline(always)]
    fn load_f16(self, from: &[u16; LANES]) -> Lanes {
        each(*from, |bits| f16::from_bits(bits).to_f32())
    }
    #[inline(always)]
    fn load_bf16(self, from: &[u16; LANES]) -> Lanes {
        each(*from, |bits| bf16::from_bits(bits).to_f32())
    }
}
