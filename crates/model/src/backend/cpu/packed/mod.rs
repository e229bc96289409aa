//! Weights repacked once at load: panels of sixteen outputs, of the same bits a weight as stored, expanded to f32
//! tile by tile as `fma(d, q, m)`.

mod blocks;
mod k_blocks;
mod matrix;
mod quants;
#[cfg(test)]
mod tests;

pub(super) use matrix::with_panels;
pub use matrix::{PAIR, PackedMatrix, Panels, weights_of};

use super::simd::{LANES, Simd};

/// Weights expanded together from one u32 a column (or eight rows of whole numbers): a group.
pub const GROUP: usize = 8;

/// `d` and `m` of a run of weights, one column a lane.
#[derive(Clone, Copy)]
pub struct Factors<S: Simd> {
    /// `d`, and `d` divided by 16, 256 and 4096, which is exact: a nibble may then stay where it stands in its
    /// word, multiplied by that power, and `d · q` is the same product.
    pub d: [S::F; 4],
    pub m: S::F,
}

impl<S: Simd> Factors<S> {
    #[inline(always)]
    pub fn new(s: S, d: S::F, m: S::F) -> Self {
        let divided = |by: f32| s.mul(d, s.splat(1.0 / by));
        Factors { d: [d, divided(16.0), divided(256.0), divided(4096.0)], m }
    }
}

/// Sixteen columns of one stored block: `WEIGHTS` consecutive inputs of sixteen outputs.
pub trait PanelBlock: Copy + Send + Sync + 'static {
    /// Inputs of a block; a multiple of [`PanelBlock::RUN`].
    const WEIGHTS: usize;
    /// Inputs that share `d` and `m`; a multiple of [`GROUP`].
    const RUN: usize;

    /// A block of zeros.
    fn zero() -> Self;

    /// Puts one column's stored block in place. `stored` is what the file holds for these weights; of formats
    /// without blocks it may be shorter at a row's end, and what is missing is zero.
    fn pack(&mut self, column: usize, stored: &[u8]);

    /// `d` and `m` of run `run`.
    fn factors<S: Simd>(&self, s: S, run: usize) -> Factors<S>;

    /// Input `group · GROUP + index` of all sixteen columns.
    fn weight<S: Simd>(&self, s: S, group: usize, index: usize, factors: Factors<S>) -> S::F;
}

/// Runs `$body` for each input of a group, `$index` being a constant: shifts and masks must be immediates, and a
/// loop that the compiler leaves a loop would look its factors up in memory.
macro_rules! for_group {
    ($index:ident => $body:expr) => {
        $crate::backend::cpu::packed::for_group!($index => $body, 0 1 2 3 4 5 6 7)
    };
    ($index:ident => $body:expr, $($value:literal)*) => {
        $({
            const $index: usize = $value;
            $body
        })*
    };
}
pub(super) use for_group;

/// Expands a block: `out[k]` is input k of the sixteen columns.
#[inline(always)]
pub fn expand<S: Simd, B: PanelBlock>(s: S, block: &B, out: &mut [[f32; LANES]]) {
    for (run, out) in out.chunks_exact_mut(B::RUN).enumerate() {
        let factors = block.factors(s, run);
        for (group, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let group = run * (B::RUN / GROUP) + group;
            for_group!(INDEX => s.store(block.weight(s, group, INDEX, factors), &mut out[INDEX]));
        }
    }
}
