//! The one inner product: rows of f32 times sixteen columns of f32, every output one chain of fused multiply-adds
//! over k, whatever the number of rows.

use super::simd::{Kernel, Lanes, Simd};

/// Rows with a distance of `stride` elements between their starts.
#[derive(Clone, Copy)]
pub struct Strided<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub rows: usize,
}

/// `out[row] (+)= Σ_k x[row][k] · w[k]`, sixteen columns a row, rows `out_stride` elements apart.
pub struct Product<'a> {
    pub x: Strided<'a>,
    pub w: &'a [Lanes],
    pub out: &'a mut [f32],
    pub out_stride: usize,
    /// Begin the chains at zero rather than at what `out` holds.
    pub from_zero: bool,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        product(s, self.x, self.w, self.out, self.out_stride, self.from_zero);
    }
}

/// See [`Product`].
#[inline(always)]
pub fn product<S: Simd>(
    s: S,
    x: Strided<'_>,
    w: &[Lanes],
    out: &mut [f32],
    out_stride: usize,
    from_zero: bool,
) {
    let mut row = 0;
    while row < x.rows {
        let tile = Tile {
            x: &x.data[row * x.stride..],
            stride: x.stride,
            w,
            out: &mut out[row * out_stride..],
            out_stride,
            from_zero,
        };
        row += tile.run_next(s, x.rows - row);
    }
}

/// The rows of one pass over `w`.
struct Tile<'a> {
    x: &'a [f32],
    stride: usize,
    w: &'a [Lanes],
    out: &'a mut [f32],
    out_stride: usize,
    from_zero: bool,
}

impl Tile<'_> {
    /// Computes as many of `left` rows as go together; returns how many. Rows are shared out evenly over the
    /// passes that they need: a pass with one or two rows would wait for its own sums.
    #[inline(always)]
    fn run_next<S: Simd>(self, s: S, left: usize) -> usize {
        let rows = left.div_ceil(left.div_ceil(S::ROWS));
        if S::ROWS > 6 && rows > 6 {
            self.run_wide(s, rows);
            return rows;
        }
        match rows {
            1 => self.run::<S, 1>(s),
            2 => self.run::<S, 2>(s),
            3 => self.run::<S, 3>(s),
            4 => self.run::<S, 4>(s),
            5 => self.run::<S, 5>(s),
            _ => self.run::<S, 6>(s),
        }
        rows
    }

    /// 7 to 12 rows, for instruction sets with registers enough.
    #[inline(always)]
    fn run_wide<S: Simd>(self, s: S, rows: usize) {
        match rows {
            7 => self.run::<S, 7>(s),
            8 => self.run::<S, 8>(s),
            9 => self.run::<S, 9>(s),
            10 => self.run::<S, 10>(s),
            11 => self.run::<S, 11>(s),
            _ => self.run::<S, 12>(s),
        }
    }

    #[inline(always)]
    fn run<S: Simd, const R: usize>(self, s: S) {
        assert!(self.x.len() >= (R - 1) * self.stride + self.w.len(), "rows as long as the weights");
        let mut sums = [s.splat(0.0); R];
        if !self.from_zero {
            for (row, sum) in sums.iter_mut().enumerate() {
                *sum = s.load(self.out[row * self.out_stride..].first_chunk().expect("sixteen columns"));
            }
        }
        for (k, w) in self.w.iter().enumerate() {
            let w = s.load(w);
            for (row, sum) in sums.iter_mut().enumerate() {
                // SAFETY: `row < R` and `k < w.len()`, inside `x` as asserted above.
                let x = unsafe { *self.x.get_unchecked(row * self.stride + k) };
                *sum = s.fma(s.splat(x), w, *sum);
            }
        }
        for (row, &sum) in sums.iter().enumerate() {
            s.store(sum, self.out[row * self.out_stride..].first_chunk_mut().expect("sixteen columns"));
        }
    }
}
