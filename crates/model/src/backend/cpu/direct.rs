//! Attention of a few queries: keys and values are turned into f32 in registers, as they are read. The same
//! chains of operations as the products with expanded blocks.
//!
//! With so little arithmetic a number the time is that of reading memory, so the next block is asked for line by
//! line while this one is computed; all at once would fill the processor's queue of misses and stop it.

use super::simd::{LANES, Simd};
use super::slots::Element;
use super::tile::Strided;

/// Numbers as stored, `[k][width]`, `width` being whole lanes.
#[derive(Clone, Copy)]
pub struct Stored<'a, E> {
    pub numbers: &'a [E],
    pub width: usize,
    /// As many that are read next.
    pub next: &'a [E],
}

/// `out[query][column] = Σ_k x[query][k] · stored[k][column]`.
#[inline(always)]
pub fn product<S: Simd, E: Element>(s: S, x: Strided<'_>, stored: Stored<'_, E>, out: &mut [f32]) {
    let groups = stored.width / LANES;
    let mut from = 0;
    while from < x.rows {
        let x = Strided { data: &x.data[from * x.stride..], stride: x.stride, rows: x.rows - from };
        let pass = Pass { s, x, stored, out: &mut out[from * stored.width..] };
        // Seven or more are shared out evenly.
        from += match x.rows {
            1 if groups.is_multiple_of(4) => pass.run::<1, 4>(),
            1 => pass.run::<1, 1>(),
            2 if groups.is_multiple_of(2) => pass.run::<2, 2>(),
            2 => pass.run::<2, 1>(),
            3 => pass.run::<3, 1>(),
            4 | 7 | 8 => pass.run::<4, 1>(),
            5 | 9 | 10 => pass.run::<5, 1>(),
            _ => pass.run::<6, 1>(),
        };
    }
}

/// The queries that are computed at once.
struct Pass<'a, S, E> {
    s: S,
    x: Strided<'a>,
    stored: Stored<'a, E>,
    out: &'a mut [f32],
}

impl<S: Simd, E: Element> Pass<'_, S, E> {
    /// `Q` queries, with sums of `G` groups of sixteen columns each in registers. Returns `Q`.
    #[inline(always)]
    fn run<const Q: usize, const G: usize>(self) -> usize {
        let Stored { numbers, width, next } = self.stored;
        let rows = numbers.len() / width;
        assert!(self.x.data.len() >= (Q - 1) * self.x.stride + rows, "queries as long as what is stored");
        let bytes = G * LANES * size_of::<E>();
        let mut asked = next.as_ptr().cast::<u8>();
        for first in (0..width / LANES).step_by(G) {
            let mut sums = [[self.s.splat(0.0); G]; Q];
            for (k, row) in numbers.chunks_exact(width).enumerate() {
                for line in (0..bytes).step_by(64) {
                    self.s.prefetch(asked.wrapping_add(line));
                }
                asked = asked.wrapping_add(bytes);
                self.add::<Q, G>(k, &row.as_chunks::<LANES>().0[first..first + G], &mut sums);
            }
            for (sums, out) in sums.into_iter().zip(self.out.chunks_mut(width)) {
                for (sum, out) in sums.into_iter().zip(&mut out.as_chunks_mut::<LANES>().0[first..]) {
                    self.s.store(sum, out);
                }
            }
        }
        Q
    }

    /// Adds element `k` of the queries times `groups`.
    #[inline(always)]
    fn add<const Q: usize, const G: usize>(
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
            // SAFETY: `query < Q` and `k` inside the rows, as the caller asserts.
            let x = s.splat(unsafe { *self.x.data.get_unchecked(query * self.x.stride + k) });
            for (sum, number) in sums.iter_mut().zip(numbers) {
                *sum = s.fma(x, number, *sum);
            }
        }
    }
}
