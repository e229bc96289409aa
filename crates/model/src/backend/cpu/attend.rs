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
    let tasks = row_tasks(step, attention.geometry);
    if tasks.len() < 2 * compute.pool.threads() && run_split(compute, step, attention, &tasks)? {
        return Ok(());
    }
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
