//! Attention of a whole step, cut into tasks.
//!
//! Usually a task is some rows of one K/V head over all blocks they see, folded as they come. Where that gives
//! too few tasks for the threads, as with one sequence that decodes, a task is a few blocks of one K/V head; what
//! each block found is kept and folded afterwards (`attend_split`). The operations on each number are the same.

use attentionstore_kv::{BLOCK_TOKENS, KvDtype};

use super::attend_split::run_split;
use super::attention::{AttentionScratch, Block, Geometry, Partial, Queries, attend_block};
use super::buffer::{Rows, SharedRows, as_lanes};
use super::compute::Compute;
use super::pool::TaskPanicked;
use super::rope::RopeTable;
use super::simd::{Kernel, LANES, Simd};
use super::slots::{Bf16, Element, SlotArena};
use super::tile::Strided;
use crate::backend::step::{Step, StepSequence};

/// Query vectors of a task: enough to use an expanded block often, few enough for the second-level cache.
const QUERIES_A_TASK: usize = 96;

/// Query vectors below which a task is not made smaller: an expanded block must be used some times.
const QUERIES_A_SMALL_TASK: usize = 24;
/// Tasks a thread: with fewer one thread would wait for the others.
const TASKS_A_THREAD: usize = 2;

/// Most query vectors that a thread's scratch must hold.
pub fn queries_max(geometry: Geometry) -> usize {
    rows_a_task(geometry) * geometry.group()
}

fn rows_a_task(geometry: Geometry) -> usize {
    (QUERIES_A_TASK / geometry.group()).max(1)
}

/// What attention of one layer reads and writes.
#[derive(Clone, Copy)]
pub struct Attention<'a> {
    pub geometry: Geometry,
    pub rope: &'a RopeTable,
    pub arena: &'a SlotArena,
    pub layer: usize,
    /// Rows of scaled queries.
    pub queries: &'a Rows,
    /// `[row][query head][head_dim]`
    pub out: SharedRows<'a>,
}

/// Rows `first…first + rows` of a sequence, for one K/V head.
#[derive(Clone, Copy, Debug)]
pub struct RowTask {
    pub sequence: usize,
    pub kv_head: usize,
    pub first: usize,
    pub rows: usize,
}

impl RowTask {
    /// The rows that see block `block`, and how many rows before them do not: those that stand before it.
    pub fn seeing(self, sequence: &StepSequence, block: usize) -> (RowTask, usize) {
        let unseeing = (block * BLOCK_TOKENS).saturating_sub(sequence.position + self.first);
        (RowTask { first: self.first + unseeing, rows: self.rows - unseeing, ..self }, unseeing)
    }

    /// Blocks that the last row sees.
    pub fn blocks(self, sequence: &StepSequence) -> usize {
        (sequence.position + self.first + self.rows).div_ceil(BLOCK_TOKENS)
    }
}

/// Attends over all sequences of `step`.
///
/// # Errors
/// A task panicked.
pub fn run_attention(
    compute: &mut Compute,
    step: &Step,
    attention: Attention<'_>,
) -> Result<(), TaskPanicked> {
    let wanted = TASKS_A_THREAD * compute.pool.threads();
    let tasks = row_tasks(step, attention.geometry, wanted);
    if tasks.len() < wanted && run_split(compute, step, attention, &tasks)? {
        return Ok(());
    }
    let (isa, workspaces) = (compute.isa, &compute.workspaces);
    compute.pool.run(tasks.len(), &|task, thread| {
        let task = tasks[task];
        let scratch = &mut workspaces.of(thread).attention;
        isa.run(AttendRows { attention, sequence: &step.sequences[task.sequence], task, scratch });
    })
}

/// The tasks, the longest first, so that threads finish together. As large as they may be, or smaller where that would
/// be fewer than `wanted`.
fn row_tasks(step: &Step, geometry: Geometry, wanted: usize) -> Vec<RowTask> {
    let least = QUERIES_A_SMALL_TASK.div_ceil(geometry.group());
    let mut at_once = rows_a_task(geometry);
    let count = |at_once: usize| -> usize {
        geometry.kv_heads
            * step.sequences.iter().map(|sequence| sequence.rows.div_ceil(at_once)).sum::<usize>()
    };
    while count(at_once) < wanted && at_once / 2 >= least {
        at_once /= 2;
    }
    let mut tasks = Vec::new();
    for (index, sequence) in step.sequences.iter().enumerate() {
        // Shared out evenly over the tasks that they need.
        let share = sequence.rows.div_ceil(sequence.rows.div_ceil(at_once).max(1)).max(1);
        for first in (0..sequence.rows).step_by(share) {
            let rows = share.min(sequence.rows - first);
            let heads = 0..geometry.kv_heads;
            tasks.extend(heads.map(|kv_head| RowTask { sequence: index, kv_head, first, rows }));
        }
    }
    let cost = |task: &RowTask| task.rows * (step.sequences[task.sequence].position + task.first + task.rows);
    tasks.sort_by_key(|task| std::cmp::Reverse(cost(task)));
    tasks
}

/// One task over all blocks.
struct AttendRows<'a> {
    attention: Attention<'a>,
    sequence: &'a StepSequence,
    task: RowTask,
    scratch: &'a mut AttentionScratch,
}

impl Kernel for AttendRows<'_> {
    type Output = ();

    #[inline(always)]
    fn run<S: Simd>(self, s: S) {
        let AttendRows { attention, sequence, task, scratch } = self;
        let group = attention.geometry.group();
        scratch.running.clear();
        for block in 0..task.blocks(sequence) {
            let (rows, unseeing) = task.seeing(sequence, block);
            attention.over_block(s, sequence, rows, block, scratch);
            scratch.running.fold(s, unseeing * group, rows.rows * group, scratch.block.found());
        }
        attention.finish(s, sequence, task, &scratch.running);
    }
}

impl Attention<'_> {
    /// `scratch.block` = attention of `rows` over block `block` alone.
    #[inline(always)]
    pub fn over_block<S: Simd>(
        &self,
        s: S,
        sequence: &StepSequence,
        rows: RowTask,
        block: usize,
        scratch: &mut AttentionScratch,
    ) {
        match self.arena.layout.dtype {
            KvDtype::Bf16 => self.over_stored::<S, Bf16>(s, sequence, rows, block, scratch),
            KvDtype::F32 => self.over_stored::<S, f32>(s, sequence, rows, block, scratch),
        }
    }

    #[inline(always)]
    fn over_stored<S: Simd, E: Element>(
        &self,
        s: S,
        sequence: &StepSequence,
        rows: RowTask,
        block: usize,
        scratch: &mut AttentionScratch,
    ) {
        // SAFETY: this step's rows are written, and the engine lets nobody else write slots of a running step;
        // the caller chose the layout's element.
        let head = |slot: u32| unsafe { self.arena.head::<E>(self.layer, slot as usize, rows.kv_head) };
        // The block after this one is asked for meanwhile; the last one stands in for its own successor.
        let next = head(sequence.slots[(block + 1).min(sequence.slots.len() - 1)]);
        let head = head(sequence.slots[block]);
        let width = self.queries.width();
        let data = &self.queries.data()[(sequence.first_row + rows.first) * width..];
        let queries = Queries {
            rows: Strided { data, stride: width, rows: rows.rows },
            kv_head: rows.kv_head,
            position: sequence.position + rows.first,
        };
        let block = Block { head, next, start: block * BLOCK_TOKENS, valid: sequence.valid(block) };
        attend_block(s, self.geometry, self.rope, queries, block, scratch);
    }

    /// Divides by the sums and writes the task's part of the output.
    #[inline(always)]
    pub fn finish<S: Simd>(&self, s: S, sequence: &StepSequence, task: RowTask, running: &Partial) {
        let (dim, group) = (self.geometry.head_dim, self.geometry.group());
        let mut head = [0.0; LANES];
        for query in 0..task.rows * group {
            let row = sequence.first_row + task.first + query / group;
            let column = (task.kv_head * group + query % group) * dim;
            // SAFETY: each task has its own rows and heads.
            let out = unsafe { self.out.part(row, column, dim) };
            let sum = s.splat(running.sum[query]);
            let value = &running.value[query * running.dim..(query + 1) * running.dim];
            for (out, value) in out.chunks_mut(LANES).zip(as_lanes(value)) {
                s.store(s.div(s.load(value), sum), &mut head);
                out.copy_from_slice(&head[..out.len()]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Geometry, QUERIES_A_SMALL_TASK, row_tasks, rows_a_task};
    use crate::backend::step::{Step, StepSequence};

    const GEOMETRY: Geometry = Geometry { heads: 9, kv_heads: 3, head_dim: 64 };

    fn step_of(rows: &[usize]) -> Step {
        let sequence = |&rows: &usize| StepSequence { first_row: 0, rows, position: 4000, slots: Vec::new() };
        Step { sequences: rows.iter().map(sequence).collect(), ..Step::default() }
    }

    #[test]
    fn a_few_rows_over_a_long_history_give_every_thread_the_same_work() {
        for rows in [16, 31, 33, 64, 65] {
            let tasks = row_tasks(&step_of(&[rows]), GEOMETRY, 4);
            let sizes: Vec<usize> = tasks.iter().map(|task| task.rows).collect();
            let (most, least) = (sizes[0], sizes[sizes.len() - 1]);
            assert!(sizes.len() >= 4 && most - least <= 2, "{rows} rows: {sizes:?}");
        }
    }

    #[test]
    fn tasks_cover_every_row_of_every_head_once_and_are_no_larger_than_the_scratch_and_no_smaller_than_pays()
    {
        for rows in [1, 7, 8, 31, 32, 33, 100, 256] {
            for wanted in [1, 4, 16, 128] {
                let tasks = row_tasks(&step_of(&[rows, 1]), GEOMETRY, wanted);
                let mut seen = vec![0; 3 * (rows + 1)];
                for task in tasks {
                    assert!(task.rows <= rows_a_task(GEOMETRY));
                    assert!(
                        task.rows == rows || task.sequence == 1 || 2 * task.rows * 3 >= QUERIES_A_SMALL_TASK
                    );
                    for row in task.first..task.first + task.rows {
                        seen[3 * (task.sequence * rows + row) + task.kv_head] += 1;
                    }
                }
                assert!(seen.iter().all(|&times| times == 1), "{rows} rows, {wanted} tasks wanted");
            }
        }
    }
}
