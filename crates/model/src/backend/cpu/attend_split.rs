//! Attention of few tasks, split over blocks so that every thread has some.

use super::attend::{Attention, RowTask, queries_max};
use super::attention::{AttentionScratch, Found};
use super::buffer::{Rows, SharedRows};
use super::compute::Compute;
use super::pool::TaskPanicked;
use super::simd::{Kernel, LANES, Simd};
use super::step::{Step, StepSequence};

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

/// Where the findings of a row task are kept: one row a (block, query).
struct Plan {
    pieces: Vec<Piece>,
    /// First row of each task.
    starts: Vec<usize>,
    rows: usize,
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
    let plan = plan(step, tasks, group);
    let width = attention.geometry.padded_dim() + LANES;
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

fn plan(step: &Step, tasks: &[RowTask], group: usize) -> Plan {
    let mut plan = Plan { pieces: Vec::new(), starts: Vec::new(), rows: 0 };
    for (index, task) in tasks.iter().enumerate() {
        let blocks = task.blocks(&step.sequences[task.sequence]);
        plan.starts.push(plan.rows);
        plan.rows += blocks * task.rows * group;
        let firsts = (0..blocks).step_by(BLOCKS_A_TASK);
        plan.pieces.extend(firsts.map(|first| Piece {
            task: index,
            first,
            last: blocks.min(first + BLOCKS_A_TASK),
        }));
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
    let of = |task: usize| (tasks[task], &step.sequences[tasks[task].sequence], plan.starts[task]);
    compute.pool.run(plan.pieces.len(), &|index, thread| {
        let piece = plan.pieces[index];
        let (task, sequence, start) = of(piece.task);
        let scratch = &mut workspaces.of(thread).attention;
        isa.run(AttendPiece { attention, sequence, task, piece, start, kept: shared, scratch });
    })?;
    let kept = &*kept;
    compute.pool.run(tasks.len(), &|index, thread| {
        let (task, sequence, start) = of(index);
        let scratch = &mut workspaces.of(thread).attention;
        isa.run(FoldTask { attention, sequence, task, start, kept, scratch });
    })
}

/// First pass: what each block of a piece found.
struct AttendPiece<'a> {
    attention: Attention<'a>,
    sequence: &'a StepSequence,
    task: RowTask,
    piece: Piece,
    start: usize,
    kept: SharedRows<'a>,
    scratch: &'a mut AttentionScratch,
}

impl Kernel for AttendPiece<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let group = self.attention.geometry.group();
        let dim = self.attention.geometry.padded_dim();
        for block in self.piece.first..self.piece.last {
            let (rows, unseeing) = self.task.seeing(self.sequence, block);
            self.attention.over_block(s, self.sequence, rows, block, self.scratch);
            for query in 0..rows.rows * group {
                let row = self.start + (block * self.task.rows + unseeing) * group + query;
                // SAFETY: each (task, block, query) has its own row.
                let out = unsafe { self.kept.part(row, 0, dim + LANES) };
                let found = self.scratch.block.of(query);
                out[..dim].copy_from_slice(found.value);
                (out[dim], out[dim + 1]) = (found.max, found.sum);
            }
        }
    }
}

/// Second pass: a task's findings folded in view order.
struct FoldTask<'a> {
    attention: Attention<'a>,
    sequence: &'a StepSequence,
    task: RowTask,
    start: usize,
    kept: &'a Rows,
    scratch: &'a mut AttentionScratch,
}

impl Kernel for FoldTask<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let group = self.attention.geometry.group();
        let dim = self.attention.geometry.padded_dim();
        let running = &mut self.scratch.running;
        running.clear();
        for block in 0..self.task.blocks(self.sequence) {
            let (_, unseeing) = self.task.seeing(self.sequence, block);
            for query in unseeing * group..self.task.rows * group {
                let row = self.kept.row(self.start + block * self.task.rows * group + query);
                let found = Found { max: row[dim], sum: row[dim + 1], value: &row[..dim] };
                running.fold(s, query, found);
            }
        }
        self.attention.finish(s, self.sequence, self.task, running);
    }
}
