//! Decode and prefill attention against the f64 reference, at every head dim.

use attentionstore_cuda::launch::{
    AttentionShape, DecodeAttention, KeySplit, Partials, PrefillAttention, QueryTile, RotatedKeys,
    query_tiles,
};
use attentionstore_cuda::runtime::DeviceBuffer;
use half::bf16;

use crate::cases::Case;
use crate::support::{BLOCK, Gpu, NONE, Random, distance, gpu};

/// Queries, weights and outputs are bf16; each rounds by up to 2⁻⁹.
const TOLERANCE: f64 = 8e-3;

/// (query heads, KV heads, head dim): every head dim, groups of 1, 3, 4, 7 and 8.
const SHAPES: [(usize, usize, usize); 6] =
    [(9, 3, 64), (8, 1, 64), (6, 2, 96), (7, 1, 96), (8, 2, 128), (3, 3, 128)];

fn shapes() -> impl Iterator<Item = AttentionShape> {
    SHAPES.into_iter().map(|(heads, kv_heads, dim)| AttentionShape::new(heads, kv_heads, dim).unwrap())
}

fn workspace(gpu: &Gpu, shape: &AttentionShape, rows: usize, splits: usize) -> (DeviceBuffer, Partials) {
    let buffer = gpu.poisoned(Partials::bytes(shape, rows, splits));
    let partials = Partials::new(buffer.pointer(), shape, rows, splits).unwrap();
    (buffer, partials)
}

/// One query at the end of each view, and a last row that takes no part.
fn decode(gpu: &Gpu, case: &Case, queries: &[bf16], split: KeySplit) -> Vec<bf16> {
    let (shape, rows) = (case.shape, case.lengths.len() + 1);
    let positions: Vec<u32> = case.lengths.iter().map(|&length| length as u32 - 1).chain([NONE]).collect();
    let starts: Vec<u32> = case.table_starts.iter().copied().chain([NONE]).collect();
    let (uploaded, q) = (case.upload(gpu), gpu.upload(queries));
    let (positions, table_starts) = (gpu.upload(&positions), gpu.upload(&starts));
    let out = gpu.poisoned(shape.query_bytes(rows));
    let (_kept, partials) = workspace(gpu, &shape, rows, split.splits);
    let launch = DecodeAttention {
        shape,
        rows,
        q: q.pointer(),
        out: out.pointer(),
        positions: positions.pointer(),
        table_starts: table_starts.pointer(),
        view: uploaded.view(),
        scale: case.scale(),
        split,
        partials,
    };
    gpu.kernels.decode_attention(gpu.stream(), &launch).unwrap();
    gpu.download(&out)
}

#[test]
fn decode_attends_to_every_key_of_a_view_and_to_no_other() {
    let Some(gpu) = gpu("decode_attends_to_every_key_of_a_view") else { return };
    for shape in shapes() {
        let mut random = Random(shape.heads() as u64 * 1000 + shape.head_dim() as u64);
        let lengths = [1, 16, 17, 63, 64, 65, 200, 1000, 321];
        let case = Case::new(&mut random, shape, &lengths);
        let row = shape.heads() * shape.head_dim();
        let queries = random.bf16s((lengths.len() + 1) * row);
        for blocks_per_split in [1, 4, 5, 16] {
            let splits = 1000usize.div_ceil(BLOCK).div_ceil(blocks_per_split);
            let out = decode(&gpu, &case, &queries, KeySplit { blocks_per_split, splits });
            let (out, idle) = out.split_at(lengths.len() * row);
            assert!(idle.iter().all(|value| *value == bf16::ZERO), "{shape:?}: the idle row is not zero");
            for (view, &length) in lengths.iter().enumerate() {
                let reference = case.attend(view, length - 1, &queries[view * row..][..row]);
                let found = distance(&out[view * row..][..row], &reference);
                assert!(found < TOLERANCE, "{shape:?}, {length} keys, {blocks_per_split} a split: {found}");
            }
        }
    }
}

#[test]
fn decode_gives_the_same_bits_for_the_same_plan_wherever_the_blocks_lie() {
    let Some(gpu) = gpu("decode_gives_the_same_bits_for_the_same_plan") else { return };
    let shape = AttentionShape::new(8, 2, 128).unwrap();
    let mut random = Random(77);
    let case = Case::new(&mut random, shape, &[700, 129]);
    let queries = random.bf16s(3 * 8 * 128);
    let split = KeySplit { blocks_per_split: 4, splits: 3 };
    let first = decode(&gpu, &case, &queries, split);
    let moved = moved(&case, &mut random);
    assert!(moved.block_slots != case.block_slots);
    let second = decode(&gpu, &moved, &queries, split);
    let bits = |values: &[bf16]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
    assert_eq!(bits(&first), bits(&second));
}

/// The same views in other slots.
fn moved(case: &Case, random: &mut Random) -> Case {
    let slice = case.shape.slice_bytes() / 2;
    let places = random.shuffled(case.slots.len() / slice);
    let mut slots = vec![bf16::NAN; case.slots.len()];
    for (from, &to) in places.iter().enumerate() {
        let to = to as usize * slice;
        slots[to..to + slice].copy_from_slice(&case.slots[from * slice..][..slice]);
    }
    Case {
        shape: case.shape,
        lengths: case.lengths.clone(),
        table_starts: case.table_starts.clone(),
        block_slots: case.block_slots.iter().map(|&slot| places[slot as usize]).collect(),
        slots,
    }
}

/// The last `new` tokens of each view.
fn prefill(gpu: &Gpu, case: &Case, new: &[usize], queries: &[bf16], plan: (KeySplit, bool)) -> Vec<bf16> {
    let (split, dense) = plan;
    let (shape, rows) = (case.shape, new.iter().sum::<usize>());
    let mut first_row = 0;
    let mut tiles = Vec::new();
    let mut positions = Vec::new();
    for (view, &tokens) in new.iter().enumerate() {
        let position = (case.lengths[view] - tokens) as u32;
        let table_start = case.table_starts[view];
        let tokens = tokens as u32;
        tiles.extend(query_tiles(&shape, QueryTile { first_row, tokens, position, table_start }));
        positions.extend(position..position + tokens);
        first_row += tokens;
    }
    let words: Vec<u32> = tiles
        .iter()
        .flat_map(|tile| [tile.first_row, tile.tokens, tile.position, tile.table_start])
        .collect();
    let (uploaded, q, tile_words) = (case.upload(gpu), gpu.upload(queries), gpu.upload(&words));
    let out = gpu.poisoned(shape.query_bytes(rows));
    let positions = gpu.upload(&positions);
    let (_kept, partials) = workspace(gpu, &shape, rows, split.splits);
    let view = uploaded.view();
    let scratch = gpu.poisoned(view.longest * shape.kv_heads() * shape.head_dim() * 2);
    if dense {
        let keys = RotatedKeys { shape, view, scratch: scratch.pointer() };
        gpu.kernels.rotate_keys(gpu.stream(), &keys).unwrap();
    }
    let launch = PrefillAttention {
        shape,
        tiles: tile_words.pointer(),
        tile_count: tiles.len(),
        rows,
        q: q.pointer(),
        out: out.pointer(),
        view,
        rotated_keys: dense.then(|| scratch.pointer()),
        scale: case.scale(),
        split,
        partials: (split.splits > 1).then(|| (positions.pointer(), partials)),
    };
    gpu.kernels.prefill_attention(gpu.stream(), &launch).unwrap();
    gpu.download(&out)
}

fn check_prefill(gpu: &Gpu, shape: AttentionShape, lengths: &[usize], new: &[usize], plan: (KeySplit, bool)) {
    let mut random = Random(shape.heads() as u64 * 7 + lengths[0] as u64);
    let case = Case::new(&mut random, shape, lengths);
    let row = shape.heads() * shape.head_dim();
    let queries = random.bf16s(new.iter().sum::<usize>() * row);
    let out = prefill(gpu, &case, new, &queries, plan);
    let mut at = 0;
    for (view, &tokens) in new.iter().enumerate() {
        for position in lengths[view] - tokens..lengths[view] {
            let reference = case.attend(view, position, &queries[at * row..][..row]);
            let found = distance(&out[at * row..][..row], &reference);
            assert!(found < TOLERANCE, "{shape:?}, view {view}, position {position}, {plan:?}: {found}");
            at += 1;
        }
    }
}

#[test]
fn prefill_over_history_is_causal_for_every_row_of_every_sequence() {
    let Some(gpu) = gpu("prefill_over_history_is_causal") else { return };
    for shape in shapes() {
        let whole = KeySplit { blocks_per_split: 5, splits: 1 };
        check_prefill(&gpu, shape, &[193, 64, 1, 300], &[130, 64, 1, 3], (whole, false));
        let split = KeySplit { blocks_per_split: 2, splits: 3 };
        check_prefill(&gpu, shape, &[193, 64, 1, 300], &[45, 64, 1, 3], (split, false));
    }
}

#[test]
fn prefill_over_keys_rotated_once_is_the_same_attention() {
    let Some(gpu) = gpu("prefill_over_keys_rotated_once") else { return };
    for shape in shapes() {
        for (length, new) in [(1, 1), (129, 129), (290, 77), (577, 40)] {
            for (blocks_per_split, splits) in [(10, 1), (1, 10), (3, 4)] {
                let split = KeySplit { blocks_per_split, splits };
                check_prefill(&gpu, shape, &[length], &[new], (split, true));
            }
        }
    }
}
