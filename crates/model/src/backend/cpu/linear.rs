//! Matrix products of activations with packed weights, over all threads.
//!
//! A task is a few panels of outputs for all rows. With several rows a tile of 256 inputs is expanded to f32 once
//! and used by every row; a single row multiplies weights as they are expanded, in registers. Both are the same
//! chain of operations for each output.

use super::buffer::{Rows, SharedRows};
use super::compute::Compute;
use super::math::silu;
use super::packed::{Factors, GROUP, PackedMatrix, PanelBlock, expand, with_panels};
use super::pool::TaskPanicked;
use super::simd::{Available, Kernel, LANES, Lanes, Simd};
use super::tile::{Product, Strided};
use super::workspace::{TILE_INPUTS, Workspace};

/// Panels of a task: more, and activations are read from the second-level cache; fewer, and threads finish
/// together.
pub const PANELS_A_TASK: usize = 2;
/// Panels of a task with one row: they are read side by side, to have enough chains in flight.
const PANELS_AT_ONCE: usize = 4;

/// What becomes of the sums.
#[derive(Clone, Copy)]
pub enum Finish<'a> {
    /// out = sum
    Store,
    /// out = sum + bias
    Bias(&'a [Lanes]),
    /// out = out + sum
    Add,
    /// out = silu(sum) · sum of the second matrix
    Gate(&'a PackedMatrix),
}

/// One product: `out[row][column…] = finish(x[row] · matrixᵀ)`.
#[derive(Clone, Copy)]
pub struct Linear<'a> {
    pub matrix: &'a PackedMatrix,
    pub x: &'a Rows,
    pub out: SharedRows<'a>,
    /// First column of `out`, a multiple of sixteen.
    pub column: usize,
    pub finish: Finish<'a>,
}

/// Runs products that do not depend on each other, over rows 0…`rows` of their inputs.
///
/// # Errors
/// A task panicked.
pub fn run_linears(compute: &mut Compute, rows: usize, linears: &[Linear<'_>]) -> Result<(), TaskPanicked> {
    for linear in linears {
        assert!(linear.x.width() >= linear.matrix.inputs, "activations as wide as the matrix");
    }
    let panels = if rows == 1 { PANELS_AT_ONCE } else { PANELS_A_TASK };
    let tasks_of = |linear: &Linear<'_>| linear.matrix.panel_count().div_ceil(panels);
    let tasks = linears.iter().map(tasks_of).sum();
    let (isa, workspaces) = (compute.isa, &compute.workspaces);
    compute.pool.run(tasks, &|task, thread| {
        let mut task = task;
        for linear in linears {
            let own = tasks_of(linear);
            if task < own {
                let last = linear.matrix.panel_count().min((task + 1) * panels);
                let part = Part { isa, linear, rows, first: task * panels, last };
                return part.run(&mut workspaces.of(thread));
            }
            task -= own;
        }
    })
}

/// Panels `first…last` of a product.
struct Part<'a> {
    isa: Available,
    linear: &'a Linear<'a>,
    rows: usize,
    first: usize,
    last: usize,
}

impl Part<'_> {
    fn run(&self, workspace: &mut Workspace) {
        let panels = self.last - self.first;
        let Workspace { tile, sums, .. } = workspace;
        let (sums, second) = sums.split_at_mut(panels * self.rows);
        self.sum(self.linear.matrix, tile, sums);
        if let Finish::Gate(up) = self.linear.finish {
            self.sum(up, tile, &mut second[..panels * self.rows]);
        }
        self.isa.run(Finishing { part: self, sums, second });
    }

    /// `sums[panel][row]` of one matrix.
    fn sum(&self, matrix: &PackedMatrix, tile: &mut [Lanes], sums: &mut [Lanes]) {
        with_panels!(&matrix.panels, blocks => {
            let a_row = blocks.len() / matrix.panel_count();
            let blocks = &blocks[self.first * a_row..self.last * a_row];
            if self.rows == 1 {
                self.isa.run(OneRow { blocks, a_row, x: self.linear.x.row(0), sums });
            } else {
                self.many_rows(blocks, a_row, tile, sums);
            }
        });
    }

    fn many_rows<B: PanelBlock>(&self, blocks: &[B], a_row: usize, tile: &mut [Lanes], sums: &mut [Lanes]) {
        let x = self.linear.x;
        let at_once = TILE_INPUTS / B::WEIGHTS;
        for first in (0..a_row).step_by(at_once) {
            let count = at_once.min(a_row - first);
            let tile = &mut tile[..count * B::WEIGHTS];
            for (panel, sums) in blocks.chunks_exact(a_row).zip(sums.chunks_exact_mut(self.rows)) {
                self.isa.run(Expand { blocks: &panel[first..first + count], tile });
                let x = Strided { data: &x.data()[first * B::WEIGHTS..], stride: x.width(), rows: self.rows };
                let (out, from_zero) = (sums.as_flattened_mut(), first == 0);
                self.isa.run(Product { x, w: tile, out, out_stride: LANES, from_zero });
            }
        }
    }
}

/// Expands consecutive blocks of a panel.
struct Expand<'a, B> {
    blocks: &'a [B],
    tile: &'a mut [Lanes],
}

impl<B: PanelBlock> Kernel for Expand<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (block, tile) in self.blocks.iter().zip(self.tile.chunks_exact_mut(B::WEIGHTS)) {
            expand(s, block, tile);
        }
    }
}

/// One row times up to four panels of `a_row` blocks.
struct OneRow<'a, B> {
    blocks: &'a [B],
    a_row: usize,
    x: &'a [f32],
    sums: &'a mut [Lanes],
}

impl<B: PanelBlock> Kernel for OneRow<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        match self.sums.len() {
            4 => self.panels::<S, 4>(s),
            3 => self.panels::<S, 3>(s),
            2 => self.panels::<S, 2>(s),
            _ => self.panels::<S, 1>(s),
        }
    }
}

impl<B: PanelBlock> OneRow<'_, B> {
    #[inline(always)]
    fn panels<S: Simd, const P: usize>(self, s: S) {
        let panels: [&[B]; P] = std::array::from_fn(|p| &self.blocks[p * self.a_row..(p + 1) * self.a_row]);
        let mut sums = [s.splat(0.0); P];
        for (index, x) in self.x.chunks_exact(B::WEIGHTS).take(self.a_row).enumerate() {
            for (run, x) in x.chunks_exact(B::RUN).enumerate() {
                let factors: [Factors<S>; P] = std::array::from_fn(|p| panels[p][index].factors(s, run));
                for (group, x) in x.as_chunks::<GROUP>().0.iter().enumerate() {
                    let group = run * (B::RUN / GROUP) + group;
                    for p in 0..P {
                        for (at, &x) in x.iter().enumerate() {
                            let weight = panels[p][index].weight(s, group, at, factors[p]);
                            sums[p] = s.fma(s.splat(x), weight, sums[p]);
                        }
                    }
                }
            }
        }
        for (sum, out) in sums.into_iter().zip(self.sums) {
            s.store(sum, out);
        }
    }
}

/// Writes a part's sums where they belong.
struct Finishing<'a> {
    part: &'a Part<'a>,
    sums: &'a [Lanes],
    second: &'a [Lanes],
}

impl Kernel for Finishing<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Part { linear, rows, first, last, .. } = *self.part;
        for panel in first..last {
            for row in 0..rows {
                let at = (panel - first) * rows + row;
                // SAFETY: each panel of a product is one task's, and products of one run write different columns.
                let out = unsafe { linear.out.lanes(row, linear.column + panel * LANES) };
                let sum = s.load(&self.sums[at]);
                let value = match linear.finish {
                    Finish::Store => sum,
                    Finish::Bias(bias) => s.add(sum, s.load(&bias[panel])),
                    Finish::Add => s.add(s.load(out), sum),
                    Finish::Gate(_) => s.mul(silu(s, sum), s.load(&self.second[at])),
                };
                s.store(value, out);
            }
        }
    }
}
