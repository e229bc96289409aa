//! Matrix products of activations with packed weights, over all threads.
//!
//! A task is a few panels of outputs for all rows. With many rows a tile of 256 inputs is expanded to f32 once
//! and used by every row; few rows multiply weights as they are expanded, in registers. Both are the same
//! chain of operations for each output.

use super::buffer::{Rows, SharedRows};
use super::compute::Compute;
use super::math::silu;
use super::packed::{
    Factors, GROUP, PAIR, PackedMatrix, PanelBlock, expand, for_group, weights_of, with_panels,
};
use super::pool::TaskPanicked;
use super::simd::{Available, Kernel, LANES, Lanes, Simd};
use super::tile::{Next, Out, Product, Strided};
use super::workspace::{TILE_INPUTS, Workspace};

/// Most panels of a task with many rows. They share each tile of activations while it is in the second-level cache,
/// of which all rows of all inputs are most or more.
const MANY_ROWS_PANELS: usize = 8;
/// Tasks a thread with many rows: with fewer the last ones keep one thread waiting for the others.
const MANY_ROWS_TASKS: usize = 3;
/// Most panels of a task with few rows: larger tasks cost less to hand out, smaller ones end together.
const FEW_ROWS_PANELS: usize = 8;
/// Tasks a thread with few rows.
const FEW_ROWS_TASKS: usize = 6;
/// How far ahead weights are asked for, in bytes: the hardware stops at each page of 4 KiB, so a page.
const PREFETCH_BYTES: usize = 4096;

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
    let threads = compute.pool.threads();
    let has_few_rows = rows <= compute.isa.room().few_rows;
    let panels_of = |linear: &Linear<'_>| panels_a_task(has_few_rows, linear.matrix.panel_count(), threads);
    let tasks_of = |linear: &Linear<'_>| linear.matrix.panel_count().div_ceil(panels_of(linear));
    let tasks = linears.iter().map(tasks_of).sum();
    let (isa, workspaces) = (compute.isa, &compute.workspaces);
    compute.pool.run(tasks, &|task, thread| {
        let mut task = task;
        for linear in linears {
            let own = tasks_of(linear);
            if task < own {
                let panels = panels_of(linear);
                let last = linear.matrix.panel_count().min((task + 1) * panels);
                let part = Part { isa, linear, rows, first: task * panels, last };
                return part.run(&mut workspaces.of(thread));
            }
            task -= own;
        }
    })
}

/// Panels of one task, so that every thread gets some tasks. It shows in no result.
fn panels_a_task(has_few_rows: bool, panels: usize, threads: usize) -> usize {
    let (tasks, most) =
        if has_few_rows { (FEW_ROWS_TASKS, FEW_ROWS_PANELS) } else { (MANY_ROWS_TASKS, MANY_ROWS_PANELS) };
    let share = panels / (threads * tasks) / PAIR * PAIR;
    share.clamp(PAIR, most)
}

/// Scratch sums that a task needs in steps of up to `rows` rows: those of two matrices.
pub fn sums_a_task(rows: usize) -> usize {
    2 * MANY_ROWS_PANELS.max(FEW_ROWS_PANELS) * rows
}

/// Panels `first…last` of a product; `first` is even.
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
            let a_row = matrix.inputs / weights_of(blocks);
            let blocks = &blocks[self.first * a_row..self.last.next_multiple_of(PAIR) * a_row];
            if self.rows <= self.isa.room().few_rows {
                self.isa.run(FewRows { blocks, a_row, x: self.linear.x, rows: self.rows, sums });
            } else {
                self.many_rows(blocks, a_row, tile, sums);
            }
        });
    }

    /// Panels are expanded tile by tile: a tile has the same size whether it is of one panel or of two.
    fn many_rows<B: PanelBlock>(&self, blocks: &[B], a_row: usize, tile: &mut [Lanes], sums: &mut [Lanes]) {
        let (x, rows, together) = (self.linear.x, self.rows, self.isa.room().panels_together);
        let at_once = (TILE_INPUTS / together / B::WEIGHTS).max(1);
        // The pair of `panel`, from block `first` on: as much as one tile is of.
        let stored = |panel: usize, first: usize| {
            let count = at_once.min(a_row - first);
            &blocks[(panel / PAIR * a_row + first) * PAIR..][..count * PAIR]
        };
        for first in (0..a_row).step_by(at_once) {
            let inputs = at_once.min(a_row - first) * B::WEIGHTS;
            let mut panel = 0;
            for sums in sums.chunks_mut(together * rows) {
                let tile = &mut tile[..sums.len() / rows * inputs];
                for tile in tile.chunks_exact_mut(inputs) {
                    self.isa.run(Expand { blocks: stored(panel, first), side: panel % PAIR, tile });
                    panel += 1;
                }
                let x = Strided { data: &x.data()[first * B::WEIGHTS..], stride: x.width(), rows };
                let out =
                    Out { data: sums.as_flattened_mut(), row_stride: LANES, panel_stride: rows * LANES };
                let next = match (self.first + panel < self.last, first + at_once < a_row) {
                    (true, _) => Next::of(stored(panel, first)),
                    (false, true) => Next::of(stored(0, first + at_once)),
                    (false, false) => Next::none(),
                };
                self.isa.run(Product { x, w: tile, inputs, out, from_zero: first == 0, next });
            }
        }
    }
}

/// Expands consecutive blocks of one panel of a pair.
struct Expand<'a, B> {
    blocks: &'a [B],
    /// Which panel: 0 or 1.
    side: usize,
    tile: &'a mut [Lanes],
}

impl<B: PanelBlock> Kernel for Expand<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        for (block, tile) in
            self.blocks.iter().skip(self.side).step_by(PAIR).zip(self.tile.chunks_exact_mut(B::WEIGHTS))
        {
            expand(s, block, tile);
        }
    }
}

/// At most [`Simd::FEW_ROWS`] rows times pairs of panels of `a_row` blocks each.
struct FewRows<'a, B> {
    blocks: &'a [B],
    a_row: usize,
    x: &'a Rows,
    rows: usize,
    sums: &'a mut [Lanes],
}

impl<B: PanelBlock> Kernel for FewRows<'_, B> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        // Of what an instruction set has no registers for, nothing is compiled.
        match self.rows {
            1 => self.run_rows::<S, 1>(s),
            2 => self.run_rows::<S, 2>(s),
            3 if S::FEW_ROWS >= 3 => self.run_rows::<S, 3>(s),
            4 if S::FEW_ROWS >= 4 => self.run_rows::<S, 4>(s),
            5 if S::FEW_ROWS >= 5 => self.run_rows::<S, 5>(s),
            6 if S::FEW_ROWS >= 6 => self.run_rows::<S, 6>(s),
            7 if S::FEW_ROWS >= 7 => self.run_rows::<S, 7>(s),
            8 if S::FEW_ROWS >= 8 => self.run_rows::<S, 8>(s),
            rows => unreachable!("{rows} rows are many"),
        }
    }
}

impl<B: PanelBlock> FewRows<'_, B> {
    #[inline(always)]
    fn run_rows<S: Simd, const R: usize>(self, s: S) {
        let x: [&[f32]; R] = std::array::from_fn(|row| self.x.row(row));
        let pairs = self.blocks.chunks_exact(self.a_row * PAIR);
        for (blocks, sums) in pairs.zip(self.sums.chunks_mut(R * PAIR)) {
            few_rows(s, blocks, x, sums);
        }
    }
}

/// `R` rows times a pair of panels. Two panels, input by input: with one the few chains of sums would wait for themselves.
#[inline(always)]
fn few_rows<S: Simd, B: PanelBlock, const R: usize>(s: S, blocks: &[B], x: [&[f32]; R], out: &mut [Lanes]) {
    let groups = B::RUN / GROUP;
    let x = x.map(|row| row.as_chunks::<GROUP>().0);
    let mut sums = [[s.splat(0.0); PAIR]; R];
    for (index, blocks) in blocks.as_chunks::<PAIR>().0.iter().enumerate() {
        for line in (0..size_of_val(blocks)).step_by(64) {
            s.prefetch(std::ptr::from_ref(blocks).cast::<u8>().wrapping_add(PREFETCH_BYTES + line));
        }
        for run in 0..B::WEIGHTS / B::RUN {
            let factors = [blocks[0].factors(s, run), blocks[1].factors(s, run)];
            for group in run * groups..(run + 1) * groups {
                let x = x.map(|row| &row[index * (B::WEIGHTS / GROUP) + group]);
                add_group(s, blocks, group, &factors, x, &mut sums);
            }
        }
    }
    for (panel, out) in out.chunks_exact_mut(R).enumerate() {
        for (out, sums) in out.iter_mut().zip(&sums) {
            s.store(sums[panel], out);
        }
    }
}

/// Adds eight inputs of the panels to the sums of `R` rows.
#[inline(always)]
fn add_group<S: Simd, B: PanelBlock, const R: usize>(
    s: S,
    blocks: &[B; PAIR],
    group: usize,
    factors: &[Factors<S>; PAIR],
    x: [&[f32; GROUP]; R],
    sums: &mut [[S::F; PAIR]; R],
) {
    for_group!(INDEX => {
        let weights = [blocks[0].weight(s, group, INDEX, factors[0]), blocks[1].weight(s, group, INDEX, factors[1])];
        for (x, sums) in x.iter().zip(sums.iter_mut()) {
            for (sum, weight) in sums.iter_mut().zip(weights) {
                *sum = s.fma(s.splat(x[INDEX]), weight, *sum);
            }
        }
    });
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
