//! From a step's batch to the order of its rows on the card: sequences with one new token first, in one launch;
//! then those with a few, in one launch; then each one whose keys are worth rotating once.

use attentionstore_cuda::launch::{AttentionShape, QueryTile, query_tiles};
use attentionstore_kv::BLOCK_TOKENS;

use crate::backend::step::{Step, StepSequence};

/// New tokens from which on a view's keys are rotated once instead of its queries for every block. Measured on an
/// H100: see `docs/design/cuda.md`. Part of the plan: it changes bits.
pub const DENSE_FROM: usize = 64;

/// Slot and position of a row that takes no part.
const NO_PART: u32 = u32::MAX;

/// One launch of decode attention: rows `0..rows`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DecodeGroup {
    pub rows: usize,
    /// Positions of the longest view.
    pub longest: usize,
}

/// One launch of prefill attention.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PrefillGroup {
    pub first_row: usize,
    pub rows: usize,
    pub first_tile: usize,
    pub tiles: usize,
    /// Where the views begin in [`Arrangement::block_slots`].
    pub first_slot: usize,
    /// Positions of the longest view.
    pub longest: usize,
    /// The group is one sequence, whose keys are rotated once.
    pub dense: bool,
}

/// What a step sends to the card.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Arrangement {
    pub tokens: Vec<u32>,
    /// The slot that each row's K and V go to.
    pub row_slots: Vec<u32>,
    /// Position of each row inside its view.
    pub row_positions: Vec<u32>,
    /// Rows whose logits are wanted, in batch order.
    pub logit_rows: Vec<u32>,
    /// Where the view of each decode row begins in `block_slots`.
    pub table_starts: Vec<u32>,
    /// Slots of all views, one view after another.
    pub block_slots: Vec<u32>,
    /// Of all prefill groups; rows and views are counted from their group's first.
    pub tiles: Vec<QueryTile>,
    pub decode: Option<DecodeGroup>,
    pub prefill: Vec<PrefillGroup>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Decode,
    Blocked,
    Dense,
}

fn kind(sequence: &StepSequence, dense_keys: usize) -> Kind {
    match sequence.rows {
        1 => Kind::Decode,
        rows if rows >= DENSE_FROM && sequence.end() <= dense_keys => Kind::Dense,
        _ => Kind::Blocked,
    }
}

impl Arrangement {
    /// Views of more than `dense_keys` keys are never computed densely.
    pub fn new(step: &Step, shape: &AttentionShape, dense_keys: usize) -> Arrangement {
        let mut order: Vec<usize> = (0..step.sequences.len()).collect();
        order.sort_by_key(|&sequence| kind(&step.sequences[sequence], dense_keys));
        let mut arrangement = Arrangement::default();
        // Where each row of the step went.
        let mut places = vec![0; step.tokens.len()];
        for &index in &order {
            let sequence = &step.sequences[index];
            for (row, place) in places[sequence.first_row..][..sequence.rows].iter_mut().enumerate() {
                *place = (arrangement.tokens.len() + row) as u32;
            }
            arrangement.add(step, sequence, kind(sequence, dense_keys), shape);
        }
        arrangement.logit_rows = step.logit_rows.iter().map(|&row| places[row]).collect();
        arrangement
    }

    pub fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// Makes a step of decode rows only as large as `rows` and as long as `longest`, with rows that take no part.
    pub fn pad_decode(&mut self, rows: usize, longest: usize) {
        self.tokens.resize(rows, 0);
        self.row_slots.resize(rows, NO_PART);
        self.row_positions.resize(rows, NO_PART);
        self.table_starts.resize(rows, 0);
        self.decode = Some(DecodeGroup { rows, longest });
    }

    fn add(&mut self, step: &Step, sequence: &StepSequence, kind: Kind, shape: &AttentionShape) {
        let (first_row, first_slot) = (self.tokens.len(), self.block_slots.len());
        match kind {
            Kind::Decode => {
                self.table_starts.push(first_slot as u32);
                let longest = self.decode.map_or(0, |group| group.longest).max(sequence.end());
                self.decode = Some(DecodeGroup { rows: first_row + 1, longest });
            }
            Kind::Blocked | Kind::Dense => {
                let dense = kind == Kind::Dense;
                let joins = !dense && self.prefill.last().is_some_and(|group| !group.dense);
                if !joins {
                    self.prefill.push(PrefillGroup {
                        first_row,
                        rows: 0,
                        first_tile: self.tiles.len(),
                        tiles: 0,
                        first_slot,
                        longest: 0,
                        dense,
                    });
                }
                self.extend_group(sequence, shape, first_row, first_slot);
            }
        }
        let end = sequence.end();
        self.tokens.extend_from_slice(&step.tokens[sequence.first_row..][..sequence.rows]);
        self.row_positions.extend((sequence.position..end).map(|position| position as u32));
        self.row_slots.extend((sequence.position..end).map(|at| sequence.slots[at / BLOCK_TOKENS]));
        self.block_slots.extend_from_slice(&sequence.slots);
    }

    fn extend_group(
        &mut self,
        sequence: &StepSequence,
        shape: &AttentionShape,
        first_row: usize,
        first_slot: usize,
    ) {
        let Some(group) = self.prefill.last_mut() else { return };
        let before = self.tiles.len();
        let whole = QueryTile {
            first_row: (first_row - group.first_row) as u32,
            tokens: sequence.rows as u32,
            position: sequence.position as u32,
            table_start: (first_slot - group.first_slot) as u32,
        };
        self.tiles.extend(query_tiles(shape, whole));
        group.tiles += self.tiles.len() - before;
        group.rows += sequence.rows;
        group.longest = group.longest.max(sequence.end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::step::Limits;
    use crate::backend::{BatchSequence, LogitsWanted};

    fn shape() -> AttentionShape {
        AttentionShape::new(9, 3, 64).unwrap()
    }

    /// (new tokens, position, logits)
    fn arrange(batch: &[(usize, u32, LogitsWanted)], dense_keys: usize) -> Arrangement {
        let limits = Limits { vocabulary: 10_000, slots: 1000, rows: 1000, positions: 4096 };
        let tokens: Vec<Vec<u32>> =
            batch.iter().enumerate().map(|(index, each)| vec![index as u32; each.0]).collect();
        let slots: Vec<Vec<u32>> = batch
            .iter()
            .enumerate()
            .map(|(index, each)| {
                let blocks = (each.1 as usize + each.0).div_ceil(BLOCK_TOKENS) as u32;
                (0..blocks).map(|block| 100 * index as u32 + block).collect()
            })
            .collect();
        let sequences: Vec<BatchSequence<'_>> = batch
            .iter()
            .enumerate()
            .map(|(index, each)| BatchSequence {
                tokens: &tokens[index],
                position: each.1,
                slots: &slots[index],
                logits: each.2,
            })
            .collect();
        Arrangement::new(&Step::new(&sequences, limits).unwrap(), &shape(), dense_keys)
    }

    #[test]
    fn rows_are_ordered_by_how_they_attend_and_logits_keep_the_batch_s_order() {
        use LogitsWanted::{All, Last, None};
        let found =
            arrange(&[(70, 10, Last), (1, 130, Last), (3, 62, All), (1, 5, None), (2, 0, Last)], 4096);
        assert_eq!(found.tokens[..7], [1, 3, 2, 2, 2, 4, 4]);
        assert_eq!(found.tokens[7..], [0; 70]);
        assert_eq!(found.decode, Some(DecodeGroup { rows: 2, longest: 131 }));
        assert_eq!(found.table_starts, [0, 3]);
        assert_eq!(found.logit_rows, [76, 0, 2, 3, 4, 6]);
        assert_eq!(found.row_positions[..7], [130, 5, 62, 63, 64, 0, 1]);
        assert_eq!(found.row_slots[..7], [102, 300, 200, 200, 201, 400, 400]);
        assert_eq!(found.block_slots, [100, 101, 102, 300, 200, 201, 400, 0, 1]);
        let [blocked, dense] = found.prefill[..] else { panic!("{:?}", found.prefill) };
        assert_eq!((blocked.first_row, blocked.rows, blocked.tiles, blocked.dense), (2, 5, 2, false));
        assert_eq!((blocked.first_slot, blocked.longest), (4, 65));
        assert_eq!(
            (dense.first_row, dense.rows, dense.first_tile, dense.tiles, dense.dense),
            (7, 70, 2, 2, true)
        );
        assert_eq!((dense.first_slot, dense.longest), (7, 80));
        let tile =
            |first_row, tokens, position, table_start| QueryTile { first_row, tokens, position, table_start };
        let expected = [tile(0, 3, 62, 0), tile(3, 2, 0, 2), tile(0, 42, 10, 0), tile(42, 28, 52, 0)];
        assert_eq!(found.tiles, expected);
    }

    #[test]
    fn keys_are_rotated_once_from_the_threshold_on_and_only_where_they_fit() {
        let dense = |tokens, dense_keys| -> Vec<bool> {
            let found = arrange(&[(tokens, 0, LogitsWanted::None)], dense_keys);
            found.prefill.iter().map(|group| group.dense).collect()
        };
        assert!(dense(1, 4096).is_empty());
        assert_eq!(dense(DENSE_FROM - 1, 4096), [false]);
        assert_eq!(dense(DENSE_FROM, 4096), [true]);
        assert_eq!(dense(200, 199), [false]);
    }

    #[test]
    fn each_dense_sequence_is_a_launch_of_its_own() {
        let found = arrange(&[(64, 0, LogitsWanted::None), (64, 0, LogitsWanted::None)], 4096);
        assert_eq!(found.prefill.iter().map(|group| group.first_row).collect::<Vec<_>>(), [0, 64]);
        assert_eq!(found.tiles.iter().map(|tile| tile.first_row).collect::<Vec<_>>(), [0, 42, 0, 42]);
        assert!(found.decode.is_none());
    }
}
