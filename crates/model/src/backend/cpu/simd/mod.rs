//! Sixteen virtual lanes: every kernel is written once over [`Simd`] and is bit-equal on every path, because each
//! operation here is one IEEE operation a lane and every fold over lanes is one fixed tree.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;
#[cfg(test)]
mod tests;

pub use portable::Portable;

/// Virtual lanes of every path, and columns of a weight panel.
pub const LANES: usize = 16;

/// Sixteen f32, one a lane.
pub type Lanes = [f32; LANES];

/// An instruction set that the kernels can run on. All give the same bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Isa {
    /// Plain Rust with `f32::mul_add`.
    Portable,
    /// AVX2 with FMA and F16C.
    Avx2,
    /// AVX-512 F, BW, DQ and VL.
    Avx512,
}

impl Isa {
    /// The widest instruction set of this machine.
    pub fn detect() -> Isa {
        [Isa::Avx512, Isa::Avx2].into_iter().find(|isa| isa.is_available()).unwrap_or(Isa::Portable)
    }

    /// Whether this machine has it.
    pub fn is_available(self) -> bool {
        match self {
            Isa::Portable => true,
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => {
                is_x86_feature_detected!("avx2")
                    && is_x86_feature_detected!("fma")
                    && is_x86_feature_detected!("f16c")
            }
            #[cfg(target_arch = "x86_64")]
            Isa::Avx512 => {
                Isa::Avx2.is_available()
                    && is_x86_feature_detected!("avx512f")
                    && is_x86_feature_detected!("avx512bw")
                    && is_x86_feature_detected!("avx512dq")
                    && is_x86_feature_detected!("avx512vl")
            }
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => false,
        }
    }

    /// Its name in logs.
    pub fn name(self) -> &'static str {
        match self {
            Isa::Portable => "portable",
            Isa::Avx2 => "avx2",
            Isa::Avx512 => "avx512",
        }
    }
}

/// What products may take at once.
#[derive(Clone, Copy, Debug)]
pub struct Room {
    /// [`Simd::PANELS`].
    pub panels_together: usize,
    /// [`Simd::FEW_ROWS`].
    pub few_rows: usize,
}

/// An instruction set known to be present: the proof that `run` needs.
#[derive(Clone, Copy, Debug)]
pub struct Available(Isa);

impl Available {
    /// `None` if this machine lacks `isa`.
    pub fn new(isa: Isa) -> Option<Available> {
        isa.is_available().then_some(Available(isa))
    }

    pub fn isa(self) -> Isa {
        self.0
    }

    /// What this instruction set has registers for.
    pub fn room(self) -> Room {
        struct OfSimd;
        impl Kernel for OfSimd {
            type Output = Room;
            #[inline(always)]
            fn run<S: Simd>(self, _: S) -> Room {
                Room { panels_together: S::PANELS, few_rows: S::FEW_ROWS }
            }
        }
        self.run(OfSimd)
    }

    /// Runs `kernel` compiled for this instruction set.
    #[inline]
    pub fn run<K: Kernel>(self, kernel: K) -> K::Output {
        match self.0 {
            Isa::Portable => kernel.run(Portable),
            #[cfg(target_arch = "x86_64")]
            // SAFETY: `Available` is only made when the machine has the instruction set.
            Isa::Avx2 => unsafe { avx2::run(kernel) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Isa::Avx512 => unsafe { avx512::run(kernel) },
            #[cfg(not(target_arch = "x86_64"))]
            Isa::Avx2 | Isa::Avx512 => unreachable!("never available here"),
        }
    }
}

/// A piece of work compiled once for each instruction set. `run` must be `#[inline(always)]`, and so must
/// everything it calls with a vector argument: only then is it compiled with the instructions it is meant for.
pub trait Kernel {
    type Output;
    fn run<S: Simd>(self, simd: S) -> Self::Output;
}

/// Operations on sixteen lanes. A value of an implementing type is the proof that its instructions exist.
pub trait Simd: Copy + Send + Sync + 'static {
    /// Sixteen f32.
    type F: Copy;
    /// Sixteen u32.
    type U: Copy;

    /// Rows of the widest register tile of a matrix product.
    const ROWS: usize;
    /// Panels that the tile takes together, 1 or 2: as many as there are registers for.
    const PANELS: usize;
    /// Most rows that multiply weights as they are expanded, in registers: sums of two panels, factors of both.
    const FEW_ROWS: usize;

    fn splat(self, value: f32) -> Self::F;
    fn load(self, from: &Lanes) -> Self::F;
    fn store(self, value: Self::F, to: &mut Lanes);
    fn add(self, a: Self::F, b: Self::F) -> Self::F;
    fn sub(self, a: Self::F, b: Self::F) -> Self::F;
    fn mul(self, a: Self::F, b: Self::F) -> Self::F;
    fn div(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a · b + c`, rounded once.
    fn fma(self, a: Self::F, b: Self::F, c: Self::F) -> Self::F;
    /// `a` where it is greater than `b`, else `b`.
    fn max(self, a: Self::F, b: Self::F) -> Self::F;
    /// `a` in the lanes below `count`, `b` in the others.
    fn first(self, count: usize, a: Self::F, b: Self::F) -> Self::F;
    /// Sum of the lanes: i with i + 8, then 4, 2 and 1 apart.
    fn sum_lanes(self, a: Self::F) -> f32;
    /// Greatest of the lanes, in the same tree.
    fn max_lanes(self, a: Self::F) -> f32;

    fn bits(self, a: Self::F) -> Self::U;
    #[expect(clippy::wrong_self_convention, reason = "self is only the proof that the instructions exist")]
    fn from_bits(self, a: Self::U) -> Self::F;
    fn splat_u32(self, value: u32) -> Self::U;
    fn load_u32(self, from: &[u32; LANES]) -> Self::U;
    fn load_u8(self, from: &[u8; LANES]) -> Self::U;
    fn add_u32(self, a: Self::U, b: Self::U) -> Self::U;
    fn and(self, a: Self::U, b: Self::U) -> Self::U;
    fn or(self, a: Self::U, b: Self::U) -> Self::U;
    fn shl(self, a: Self::U, bits: u32) -> Self::U;
    fn shr(self, a: Self::U, bits: u32) -> Self::U;
    /// The value of lanes read as i32.
    fn convert_i32(self, a: Self::U) -> Self::F;

    /// Asks for the cache line at `address`, which may lie anywhere: it is only a hint.
    fn prefetch(self, address: *const u8);

    fn load_i8(self, from: &[i8; LANES]) -> Self::F;
    fn load_f16(self, from: &[u16; LANES]) -> Self::F;
    fn load_bf16(self, from: &[u16; LANES]) -> Self::F;
}

/// A vector of f32 in whole lanes: `length` elements, then zeros up to a multiple of [`LANES`].
pub fn padded(length: usize) -> usize {
    length.next_multiple_of(LANES)
}
