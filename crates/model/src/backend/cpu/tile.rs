//! The one inner product: rows of f32 times sixteen columns of f32, every output one chain of fused multiply-adds
//! over k, whatever the number of rows.

use std::ops::Range;

use super::simd::{Kernel, Lanes, Simd};

/// Rows with a distance of `stride` elements between their starts.
#[derive(Clone, Copy)]
pub struct Strided<'a> {
    pub data: &'a [f32],
    pub stride: usize,
    pub rows: usize,
}

/// Where sums go: sixteen columns a row and panel.
pub struct Out<'a> {
    pub data: &'a mut [f32],
    /// Elements between rows.
    pub row_stride: usize,
    /// Elements between panels.
    pub panel_stride: usize,
}

/// What is read next, asked for bit by bit meanwhile: all at once would fill the processor's queue of misses.
pub struct Next(Range<*const u8>);

impl Next {
    const LINE: usize = 64;

    pub fn none() -> Self {
        Next(std::ptr::null()..std::ptr::null())
    }

    pub fn of<T>(items: &[T]) -> Self {
        let Range { start, end } = items.as_ptr_range();
        Next(start.cast()..end.cast())
    }

    /// Asks for the lines of one of `passes` equal parts.
    #[inline(always)]
    fn ask<S: Simd>(&mut self, s: S, passes: usize) {
        let lines = (self.0.end.addr() - self.0.start.addr()).div_ceil(Self::LINE).div_ceil(passes);
        for _ in 0..lines {
            s.prefetch(self.0.start);
            self.0.start = self.0.start.wrapping_add(Self::LINE).min(self.0.end);
        }
    }
}

/// `out[row][panel] (+)= Σ_k x[row][k] · w[panel][k]` for panels of sixteen columns of `inputs` weights, one after
/// the other in `w`.
///
/// Instruction sets with registers enough take two panels together: an element of `x` is then loaded once for both.
pub struct Product<'a> {
    pub x: Strided<'a>,
    pub w: &'a [Lanes],
    pub inputs: usize,
    pub out: Out<'a>,
    /// Begin the chains at zero rather than at what `out` holds.
    pub from_zero: bool,
    pub next: Next,
}

impl Kernel for Product<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Product { x, w, inputs, out, from_zero, mut next } = self;
        let panels = w.len() / inputs;
        let mut panel = 0;
        while panel < panels {
            let w = &w[panel * inputs..];
            let columns = Columns {
                x,
                out: &mut out.data[panel * out.panel_stride..],
                row_stride: out.row_stride,
                from_zero,
            };
            if S::PANELS == 2 && panel + 1 < panels {
                columns.run(s, [&w[..inputs], &w[inputs..2 * inputs]], out.panel_stride, &mut next);
                panel += 2;
            } else {
                columns.run(s, [&w[..inputs]], 0, &mut next);
                panel += 1;
            }
        }
    }
}

/// All rows of the panels that are taken together.
struct Columns<'a> {
    x: Strided<'a>,
    out: &'a mut [f32],
    row_stride: usize,
    from_zero: bool,
}

impl Columns<'_> {
    #[inline(always)]
    fn run<S: Simd, const P: usize>(self, s: S, w: [&[Lanes]; P], panel_stride: usize, next: &mut Next) {
        let Columns { x, out, row_stride, from_zero } = self;
        let mut row = 0;
        while row < x.rows {
            next.ask(s, (x.rows - row).div_ceil(S::ROWS));
            let tile = Tile {
                x: &x.data[row * x.stride..],
                stride: x.stride,
                w,
                out: &mut out[row * row_stride..],
                row_stride,
                panel_stride,
                from_zero,
            };
            row += tile.run_next(s, x.rows - row);
        }
    }
}

/// The rows of one pass over `w`.
struct Tile<'a, const P: usize> {
    x: &'a [f32],
    stride: usize,
    w: [&'a [Lanes]; P],
    out: &'a mut [f32],
    row_stride: usize,
    panel_stride: usize,
    from_zero: bool,
}

impl<const P: usize> Tile<'_, P> {
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
        let inputs = self.w[0].len();
        assert!(self.w.iter().all(|w| w.len() == inputs), "panels of one length");
        assert!(self.x.len() >= (R - 1) * self.stride + inputs, "rows as long as the weights");
        let mut sums = [[s.splat(0.0); P]; R];
        if !self.from_zero {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (panel, sum) in sums.iter_mut().enumerate() {
                    let at = row * self.row_stride + panel * self.panel_stride;
                    *sum = s.load(self.out[at..].first_chunk().expect("sixteen columns"));
                }
            }
        }
        for k in 0..inputs {
            // SAFETY: `k < inputs`, which every panel has.
            let w = self.w.map(|w| s.load(unsafe { w.get_unchecked(k) }));
            for (row, sums) in sums.iter_mut().enumerate() {
                // SAFETY: `row < R` and `k < inputs`, inside `x` as asserted above.
                let x = s.splat(unsafe { *self.x.get_unchecked(row * self.stride + k) });
                for (sum, w) in sums.iter_mut().zip(w) {
                    *sum = s.fma(x, w, *sum);
                }
            }
        }
        for (row, sums) in sums.iter().enumerate() {
            for (panel, &sum) in sums.iter().enumerate() {
                let at = row * self.row_stride + panel * self.panel_stride;
                s.store(sum, self.out[at..].first_chunk_mut().expect("sixteen columns"));
            }
        }
    }
}
