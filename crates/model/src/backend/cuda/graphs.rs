//! Layers of decode steps as graphs: the launches of a layer are recorded once for a shape and then launched as one.
//!
//! A layer at a time, not a whole step: loads and saves stay between layers as they are.

use super::arrange::{Arrangement, DecodeGroup};

/// Shapes whose graphs are kept. A conversation's own shape changes slowly; this is for several batch sizes.
const SHAPES_MOST: usize = 8;
/// Uses of a shape before it is recorded: the first one loads what products need, and chooses their algorithms.
const PLAIN_USES: u32 = 1;
/// Largest decode step that is padded and recorded: beyond it launches no longer matter.
const ROWS_MOST: usize = 256;
const BLOCK_TOKENS: usize = attentionstore_kv::BLOCK_TOKENS;

/// What a recorded layer depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GraphShape {
    pub rows: usize,
    pub longest: usize,
}

/// Rows of a decode step, rounded up: powers of two and the halves between them.
pub fn rows_bucket(rows: usize) -> usize {
    round_up(rows, 2)
}

/// Positions of the longest view, rounded up to whole blocks, four steps to each doubling.
pub fn longest_bucket(longest: usize) -> usize {
    round_up(longest.div_ceil(BLOCK_TOKENS).max(4), 4) * BLOCK_TOKENS
}

/// The next multiple of a `steps`-th of the greatest power of two below.
fn round_up(value: usize, steps: usize) -> usize {
    let value = value.max(1);
    let step = ((1 << value.ilog2()) / steps).max(1);
    value.next_multiple_of(step)
}

/// Pads a step of nothing but decode rows to its bucket. The shape to record it by, if there is one: bits depend on the
/// bucket, and so on the plan alone.
pub fn pad(step: &mut Arrangement, rows_most: usize, positions: usize) -> Option<GraphShape> {
    let DecodeGroup { rows, longest } = step.decode.filter(|_| step.prefill.is_empty())?;
    let bucket = rows_bucket(rows);
    if bucket > rows_most.min(ROWS_MOST) {
        return None;
    }
    let longest = longest_bucket(longest).min(positions);
    step.pad_decode(bucket, longest);
    Some(GraphShape { rows: bucket, longest })
}

/// What to do with a layer.
pub enum Turn<'a, G> {
    /// Enqueue it as it is.
    Plain,
    /// Record it, and keep it here.
    Record(&'a mut Option<G>),
    /// Launch what was recorded.
    Launch(&'a G),
}

struct Entry<G> {
    shape: GraphShape,
    uses: u32,
    layers: Vec<Option<G>>,
}

/// Recorded layers by shape, the latest used first.
pub struct GraphCache<G> {
    layers: usize,
    entries: Vec<Entry<G>>,
}

impl<G> GraphCache<G> {
    pub fn new(layers: usize) -> GraphCache<G> {
        GraphCache { layers, entries: Vec::new() }
    }

    /// A step of this shape begins.
    pub fn begin(&mut self, shape: GraphShape) {
        match self.entries.iter().position(|entry| entry.shape == shape) {
            Some(at) => self.entries[..=at].rotate_right(1),
            None => {
                self.entries.truncate(SHAPES_MOST - 1);
                let layers = (0..self.layers).map(|_| None).collect();
                self.entries.insert(0, Entry { shape, uses: 0, layers });
            }
        }
        self.entries[0].uses = self.entries[0].uses.saturating_add(1);
    }

    /// How to run layer `layer` of the step that began last.
    pub fn layer(&mut self, layer: usize) -> Turn<'_, G> {
        let Some(entry) = self.entries.first_mut() else { return Turn::Plain };
        if entry.uses <= PLAIN_USES {
            return Turn::Plain;
        }
        match &mut entry.layers[layer] {
            Some(graph) => Turn::Launch(graph),
            place => Turn::Record(place),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_hold_what_they_are_for_and_waste_little() {
        let rows: Vec<usize> = [1, 2, 3, 4, 5, 7, 9, 13, 17, 33, 64, 65, 100].map(rows_bucket).to_vec();
        assert_eq!(rows, [1, 2, 3, 4, 6, 8, 12, 16, 24, 48, 64, 96, 128]);
        for longest in 1..20_000 {
            let bucket = longest_bucket(longest);
            assert!(bucket >= longest && bucket.is_multiple_of(BLOCK_TOKENS));
            assert!(longest < 256 || bucket < longest + longest / 4 + BLOCK_TOKENS, "{longest}: {bucket}");
        }
        assert_eq!(longest_bucket(1), 256);
    }

    #[test]
    fn only_steps_of_nothing_but_decode_rows_are_padded() {
        let decode = |rows: usize| Arrangement {
            tokens: vec![5; rows],
            row_slots: vec![1; rows],
            row_positions: vec![9; rows],
            table_starts: vec![0; rows],
            decode: Some(DecodeGroup { rows, longest: 300 }),
            ..Arrangement::default()
        };
        let mut step = decode(5);
        assert_eq!(pad(&mut step, 64, 8192), Some(GraphShape { rows: 6, longest: 320 }));
        assert_eq!(step.decode, Some(DecodeGroup { rows: 6, longest: 320 }));
        assert_eq!((step.tokens[5], step.row_slots[5], step.row_positions[5]), (0, u32::MAX, u32::MAX));
        assert_eq!(step.table_starts.len(), 6);
        assert_eq!(pad(&mut decode(5), 5, 8192), None, "a bucket beyond the step's rows");
        assert_eq!(pad(&mut decode(64), 64, 310).map(|shape| shape.longest), Some(310));
        assert_eq!(pad(&mut Arrangement::default(), 64, 8192), None);
        let group = super::super::arrange::PrefillGroup {
            first_row: 0,
            rows: 2,
            first_tile: 0,
            tiles: 1,
            first_slot: 0,
            longest: 2,
            dense: false,
        };
        assert_eq!(pad(&mut Arrangement { prefill: vec![group], ..decode(1) }, 64, 8192), None);
    }

    fn turn(cache: &mut GraphCache<u32>, layer: usize) -> &'static str {
        match cache.layer(layer) {
            Turn::Plain => "plain",
            Turn::Record(place) => {
                *place = Some(7);
                "record"
            }
            Turn::Launch(_) => "launch",
        }
    }

    #[test]
    fn a_shape_runs_plainly_once_is_recorded_and_then_launched() {
        let mut cache = GraphCache::new(2);
        let shape = |rows| GraphShape { rows, longest: 256 };
        assert_eq!(turn(&mut cache, 0), "plain");
        for wanted in ["plain", "record", "launch", "launch"] {
            cache.begin(shape(1));
            assert_eq!([turn(&mut cache, 0), turn(&mut cache, 1)], [wanted, wanted]);
        }
        cache.begin(shape(2));
        assert_eq!(turn(&mut cache, 0), "plain");
        cache.begin(shape(1));
        assert_eq!(turn(&mut cache, 0), "launch", "another shape in between changes nothing");
    }

    #[test]
    fn the_shape_that_was_not_used_for_longest_makes_room() {
        let mut cache: GraphCache<u32> = GraphCache::new(1);
        for rows in (1..=SHAPES_MOST).chain([1]) {
            cache.begin(GraphShape { rows, longest: 256 });
        }
        cache.begin(GraphShape { rows: 100, longest: 256 });
        assert_eq!(cache.entries.len(), SHAPES_MOST);
        assert!(cache.entries.iter().any(|entry| entry.shape.rows == 1));
        assert!(cache.entries.iter().all(|entry| entry.shape.rows != 2));
    }
}
