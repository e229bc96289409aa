//! Attention of a whole step, cut into tasks.
//!
//! Sequences with many rows: a task is some rows of one K/V head over all blocks they see, folded as they come.
//! Sequences with few rows: a task is a few blocks of one K/V head; what each block found is kept and folded
//! afterwards. The operations on each number are the same.

use attentionstore_kv::BLOCK_TOKENS;

use super::attention::{
    AttentionScratch, BlockResult, Geometry, Partial, Queries, attend_block, expand_block, fold,
};
use super::buffer::{Rows, SharedRows};
use super::compute::Compute;
use super::pool::TaskPanicked;
use super::rope::RopeTable;
use super::simd::{Kernel, LANES, Simd};
use super::slots::SlotArena;
use super::step::{Step, StepSequence};
use super::tile::Strided;

/// Query vectors of a task: enough to use an expanded block often, few enough for the second-level cache.
const QUERIES_A_TASK: usize = 96;

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
struct RowTask {
    sequence: usize,
    kv_head: usize,
    first: usize,
    rows: usize,
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
    let tasks = row_tasks(step, attention.geometry);
    let (isa, workspaces) = (compute.isa, &compute.workspaces);
    compute.pool.run(tasks.len(), &|task, thread| {
        let task = tasks[task];
        let scratch = &mut workspaces.of(thread).attention;
        isa.run(AttendRows { attention, sequence: &step.sequences[task.sequence], task, scratch });
    })
}

/// The tasks, the longest first, so that threads finish together.
fn row_tasks(step: &Step, geometry: Geometry) -> Vec<RowTask> {
    let at_once = rows_a_task(geometry);
    let mut tasks = Vec::new();
    for (index, sequence) in step.sequences.iter().enumerate() {
        for first in (0..sequence.rows).step_by(at_once) {
            let rows = at_once.min(sequence.rows - first);
            let heads = 0..geometry.kv_heads;
            tasks.extend(heads.map(|kv_head| RowTask { sequence: index, kv_head, first, rows }));
        }
    }
    let cost = |task: &RowTask| task.rows * (step.sequences[task.sequence].position + task.first + task.rows);
    tasks.sort_by_key(|task| std::cmp::Reverse(cost(task)));
    tasks
}

/// One task of a sequence with many rows.
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
        let end = sequence.position + task.first + task.rows;
        for block in 0..end.div_ceil(BLOCK_TOKENS) {
            // Rows before the block's first token do not see it.
            let start = block * BLOCK_TOKENS;
            let unseeing = start.saturating_sub(sequence.position + task.first);
            let rows = RowTask { first: task.first + unseeing, rows: task.rows - unseeing, ..task };
            attention.over_block(s, sequence, rows, block, scratch);
            let queries = rows.rows * group;
            let found =
                BlockResult { max: &scratch.block.max, sum: &scratch.block.sum, value: &scratch.block.value };
            fold(s, &mut scratch.running, unseeing * group, found, queries);
        }
        attention.finish(s, sequence, task, &scratch.running);
    }
}

impl Attention<'_> {
    /// `scratch.block` = attention of `rows` over block `block` alone.
    #[inline(always)]
    fn over_block<S: Simd>(
        &self,
        s: S,
        sequence: &StepSequence,
        rows: RowTask,
        block: usize,
        scratch: &mut AttentionScratch,
    ) {
        let slot = sequence.slots[block] as usize;
        // SAFETY: this step's rows are written, and the engine lets nobody else write slots of a running step.
        let slice = unsafe { self.arena.view(self.layer, slot) };
        expand_block(s, self.geometry, slice, rows.kv_head, sequence.valid(block), scratch);
        let width = self.queries.width();
        let data = &self.queries.data()[(sequence.first_row + rows.first) * width..];
        let queries = Queries {
            rows: Strided { data, stride: width, rows: rows.rows },
            kv_head: rows.kv_head,
            position: sequence.position + rows.first,
        };
        attend_block(s, self.geometry, self.rope, queries, block * BLOCK_TOKENS, scratch);
    }

    /// Divides by the sums and writes the task's part of the output.
    #[inline(always)]
    fn finish<S: Simd>(&self, s: S, sequence: &StepSequence, task: RowTask, running: &Partial) {
        let (dim, group) = (self.geometry.head_dim, self.geometry.group());
        let mut head = [0.0; LANES];
        for query in 0..task.rows * group {
            let row = sequence.first_row + task.first + query / group;
            let column = (task.kv_head * group + query % group) * dim;
            // SAFETY: each task has its own rows and heads.
            let out = unsafe { self.out.part(row, column, dim) };
            let sum = s.splat(running.sum[query]);
            let value = running.value[query * running.dim..].as_chunks::<LANES>().0;
            for (out, value) in out.chunks_mut(LANES).zip(value) {
                s.store(s.div(s.load(value), sum), &mut head);
                out.copy_from_slice(&head[..out.len()]);
            }
        }
    }
}
