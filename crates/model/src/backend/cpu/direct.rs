//! Attention of a few queries: keys and values are turned into f32 in registers, as they are read. The same
//! chains of operations as the products with expanded blocks.

use attentionstore_kv::BLOCK_TOKENS;

use super::simd::{LANES, Simd};
use super::slots::Element;
use super::tile::Strided;

/// `scores[query][key]` of a head's keys `[dim][key]`.
#[inline(always)]
pub fn scores<S: Simd, E: Element>(
    s: S,
    queries: Strided<'_>,
    keys: &[[E; BLOCK_TOKENS]],
    scores: &mut [f32],
) {
    let mut from = 0;
    while from < queries.rows {
        let pass = Pass { s, queries: from_row(queries, from), out: &mut scores[from * BLOCK_TOKENS..] };
        from += match queries.rows - from {
            1 => pass.scores::<E, 1, 4>(keys),
            2 => pass.scores::<E, 2, 2>(keys),
            3 => pass.scores::<E, 3, 2>(keys),
            4 | 7 | 8 => pass.scores::<E, 4, 1>(keys),
            5 | 9 | 10 => pass.scores::<E, 5, 1>(keys),
            _ => pass.scores::<E, 6, 1>(keys),
        };
    }
}

/// `out[query][element]` = values `[key][dim]` weighted by `weights[query][key]`; `dim` is whole lanes.
#[inline(always)]
pub fn values<S: Simd, E: Element>(s: S, weights: Strided<'_>, values: &[E], dim: usize, out: &mut [f32]) {
    let mut from = 0;
    while from < weights.rows {
        let pass = Pass { s, queries: from_row(weights, from), out: &mut out[from * dim..] };
        let groups = dim / LANES;
        from += match weights.rows - from {
            1 if groups.is_multiple_of(4) => pass.values::<E, 1, 4>(values, dim),
            1 => pass.values::<E, 1, 1>(values, dim),
            2 if groups.is_multiple_of(2) => pass.values::<E, 2, 2>(values, dim),
            2 => pass.values::<E, 2, 1>(values, dim),
            3 if groups.is_multiple_of(2) => pass.values::<E, 3, 2>(values, dim),
            3 => pass.values::<E, 3, 1>(values, dim),
            4 | 7 | 8 => pass.values::<E, 4, 1>(values, dim),
            5 | 9 | 10 => pass.values::<E, 5, 1>(values, dim),
            _ => pass.values::<E, 6, 1>(values, dim),
        };
    }
}

/// The rows from `row` on.
#[inline(always)]
fn from_row(all: Strided<'_>, row: usize) -> Strided<'_> {
    Strided { data: &all.data[row * all.stride..], stride: all.stride, rows: all.rows - row }
}

/// `Q` queries at once, with sums of `G` groups of sixteen outputs each in registers.
struct Pass<'a, S> {
    s: S,
    queries: Strided<'a>,
    out: &'a mut [f32],
}

impl<S: Simd> Pass<'_, S> {
    /// Returns how many queries it did.
    #[inline(always)]
    fn scores<E: Element, const Q: usize, const G: usize>(self, keys: &[[E; BLOCK_TOKENS]]) -> usize {
        let s = self.s;
        assert!(
            self.queries.data.len() >= (Q - 1) * self.queries.stride + keys.len(),
            "queries as long as keys"
        );
        for first in (0..BLOCK_TOKENS / LANES).step_by(G) {
            let mut sums = [[s.splat(0.0); G]; Q];
            for (d, keys) in keys.iter().enumerate() {
                let groups = &keys.as_chunks::<LANES>().0[first..first + G];
                self.add::<E, Q, G>(d, groups, &mut sums);
            }
            for (sums, out) in sums.into_iter().zip(self.out.chunks_mut(BLOCK_TOKENS)) {
                for (sum, out) in sums.into_iter().zip(&mut out.as_chunks_mut::<LANES>().0[first..]) {
                    s.store(sum, out);
                }
            }
        }
        Q
    }

    /// Returns how many queries it did.
    #[inline(always)]
    fn values<E: Element, const Q: usize, const G: usize>(self, values: &[E], dim: usize) -> usize {
        let s = self.s;
        assert!(
            self.queries.data.len() >= (Q - 1) * self.queries.stride + values.len() / dim,
            "a weight a key"
        );
        for first in (0..dim / LANES).step_by(G) {
            let mut sums = [[s.splat(0.0); G]; Q];
            for (key, values) in values.chunks_exact(dim).enumerate() {
                let groups = &values.as_chunks::<LANES>().0[first..first + G];
                self.add::<E, Q, G>(key, groups, &mut sums);
            }
            for (sums, out) in sums.into_iter().zip(self.out.chunks_mut(dim)) {
                for (sum, out) in sums.into_iter().zip(&mut out.as_chunks_mut::<LANES>().0[first..]) {
                    s.store(sum, out);
                }
            }
        }
        Q
    }

    /// Adds element `k` of the queries times `groups`.
    #[inline(always)]
    fn add<E: Element, const Q: usize, const G: usize>(
        &self,
        k: usize,
        groups: &[[E; LANES]],
        sums: &mut [[S::F; G]; Q],
    ) {
        let s = self.s;
        let mut numbers = [s.splat(0.0); G];
        for (number, group) in numbers.iter_mut().zip(groups) {
            *number = E::lanes(s, group);
        }
        for (query, sums) in sums.iter_mut().enumerate() {
            // SAFETY: `query < Q` and `k` inside the rows, as the callers assert.
            let x = s.splat(unsafe { *self.queries.data.get_unchecked(query * self.queries.stride + k) });
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum = s.fma(x, number, *sum);
            }
        }
    }
}
