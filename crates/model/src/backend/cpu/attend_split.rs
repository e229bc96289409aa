//! Attention of few tasks, split over blocks so that every thread has some.

use super::attend::{Attention, RowTask, queries_max};
use super::attention::{AttentionScratch, Found, Geometry};
use super::buffer::{Rows, SharedRows};
use super::compute::Compute;
use super::pool::TaskPanicked;
use super::simd::{Kernel, Simd, padded};
use crate::backend::step::{Step, StepSequence};

/// Blocks of one task.
const BLOCKS_A_TASK: usize = 4;
/// Most f32 kept between the two passes: 16 MiB. Beyond, tasks are not split.
const KEPT_MAX: usize = 4 << 20;

/// Blocks `first…last` of one row task.
#[derive(Clone, Copy)]
struct Piece {
    task: usize,
    first: usize,
    last: usize,
}

/// Where the findings of row tasks are kept: one row a (task, block), which holds maxima and sums of the queries
/// in whole lanes, then their values.
struct Plan {
    pieces: Vec<Piece>,
    /// First row of each task.
    starts: Vec<usize>,
    rows: usize,
    columns: Columns,
}

/// Where they stand in a row.
#[derive(Clone, Copy)]
struct Columns {
    sum: usize,
    value: usize,
    end: usize,
}

/// Attends block by block, then folds in order. Returns false, and has done nothing, where splitting gains
/// nothing: one thread, many rows, few blocks, or more findings than are kept.
///
/// # Errors
/// A task panicked.
pub fn run_split(
    compute: &mut Compute,
    step: &Step,
    attention: Attention<'_>,
    tasks: &[RowTask],
) -> Result<bool, TaskPanicked> {
    let group = attention.geometry.group();
    let few_rows = tasks.iter().all(|task| 4 * task.rows * group <= queries_max(attention.geometry));
    if compute.pool.threads() == 1 || !few_rows {
        return Ok(false);
    }
    let plan = plan(step, tasks, attention.geometry);
    let width = plan.columns.end;
    if plan.pieces.len() <= tasks.len() || plan.rows * width > KEPT_MAX {
        return Ok(false);
    }
    let mut kept = std::mem::replace(&mut compute.kept, Rows::new(0, width));
    if kept.width() < width || kept.rows() < plan.rows {
        kept = Rows::new(plan.rows.next_power_of_two(), width);
    }
    let outcome = both_passes(compute, step, attention, tasks, &plan, &mut kept);
    compute.kept = kept;
    outcome.map(|()| true)
}

fn plan(step: &Step, tasks: &[RowTask], geometry: Geometry) -> Plan {
    let queries = tasks.iter().map(|task| task.rows * geometry.group()).max().unwrap_or(0);
    let sum = padded(queries);
    let columns = Columns { sum, value: 2 * sum, end: 2 * sum + queries * geometry.padded_dim() };
    let mut plan = Plan { pieces: Vec::new(), starts: Vec::new(), rows: 0, columns };
    for (task, row_task) in tasks.iter().enumerate() {
        let blocks = row_task.blocks(&step.sequences[row_task.sequence]);
        plan.starts.push(plan.rows);
        plan.rows += blocks;
        for first in (0..blocks).step_by(BLOCKS_A_TASK) {
            plan.pieces.push(Piece { task, first, last: blocks.min(first + BLOCKS_A_TASK) });
        }
    }
    plan
}

fn both_passes(
    compute: &mut Compute,
    step: &Step,
    attention: Attention<'_>,
    tasks: &[RowTask],
    plan: &Plan,
    kept: &mut Rows,
) -> Result<(), TaskPanicked> {
    let (isa, workspaces) = (compute.isa, &compute.workspaces);
    let shared = kept.shared();
    let columns = plan.columns;
    let of = |task: usize| (tasks[task], &step.sequences[tasks[task].sequence], plan.starts[task]);
    compute.pool.run(plan.pieces.len(), &|index, thread| {
        let piece = plan.pieces[index];
        let (task, sequence, start) = of(piece.task);
        let scratch = &mut workspaces.of(thread).attention;
        isa.run(AttendPiece { attention, sequence, task, piece, start, columns, kept: shared, scratch });
    })?;
    let kept = &*kept;
    compute.pool.run(tasks.len(), &|index, thread| {
        let (task, sequence, start) = of(index);
        let scratch = &mut workspaces.of(thread).attention;
        isa.run(FoldTask { attention, sequence, task, start, columns, kept, scratch });
    })
}

/// First pass: what each block of a piece found.
struct AttendPiece<'a> {
    attention: Attention<'a>,
    sequence: &'a StepSequence,
    task: RowTask,
    piece: Piece,
    start: usize,
    columns: Columns,
    kept: SharedRows<'a>,
    scratch: &'a mut AttentionScratch,
}

impl Kernel for AttendPiece<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let Columns { sum, value, end } = self.columns;
        for block in self.piece.first..self.piece.last {
            let (rows, _) = self.task.seeing(self.sequence, block);
            self.attention.over_block(s, self.sequence, rows, block, self.scratch);
            // SAFETY: each (task, block) has its own row.
            let out = unsafe { self.kept.part(self.start + block, 0, end) };
            let found = self.scratch.block.found();
            out[..sum].copy_from_slice(&found.max[..sum]);
            out[sum..value].copy_from_slice(&found.sum[..sum]);
            out[value..].copy_from_slice(&found.value[..end - value]);
        }
    }
}

/// Second pass: a task's findings folded in view order.
struct FoldTask<'a> {
    attention: Attention<'a>,
    sequence: &'a StepSequence,
    task: RowTask,
    start: usize,
    columns: Columns,
    kept: &'a Rows,
    scratch: &'a mut AttentionScratch,
}

impl Kernel for FoldTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let group = self.attention.geometry.group();
        let Columns { sum, value, end } = self.columns;
        let running = &mut self.scratch.running;
        running.clear();
        for block in 0..self.task.blocks(self.sequence) {
            let (rows, unseeing) = self.task.seeing(self.sequence, block);
            let row = self.kept.row(self.start + block);
            let found = Found { max: &row[..sum], sum: &row[sum..value], value: &row[value..end] };
            running.fold(s, unseeing * group, rows.rows * group, found);
        }
        self.attention.finish(s, self.sequence, self.task, running);
    }
}
