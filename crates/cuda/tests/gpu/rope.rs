//! From the fused QKV product to queries and slots.

use attentionstore_cuda::launch::{AttentionShape, RopeWrite, rope_table};
use half::bf16;

use crate::cases::{frequencies, turn};
use crate::support::{BLOCK, NONE, Random, distance, gpu};

const EPSILON: f32 = 1e-6;

struct Extras {
    bias: Option<Vec<f32>>,
    q_norm: Option<Vec<f32>>,
    k_norm: Option<Vec<f32>>,
}

/// What a head becomes before it is rotated.
fn prepared(head: &[bf16], bias: Option<&[f32]>, norm: Option<&Vec<f32>>) -> Vec<f64> {
    let mut values: Vec<f64> = head.iter().map(|value| value.to_f64()).collect();
    if let Some(bias) = bias {
        values.iter_mut().zip(bias).for_each(|(value, &bias)| *value += f64::from(bias));
    }
    if let Some(norm) = norm {
        let squares: f64 = values.iter().map(|value| value * value).sum();
        let scale = 1.0 / (squares / values.len() as f64 + f64::from(EPSILON)).sqrt();
        values.iter_mut().zip(norm).for_each(|(value, &weight)| *value *= scale * f64::from(weight));
    }
    values
}

#[test]
fn new_rows_go_rotated_by_their_offset_to_their_slots_and_nowhere_else() {
    let Some(gpu) = gpu("new_rows_go_rotated_by_their_offset_to_their_slots") else { return };
    for (heads, kv_heads, dim, with_extras) in
        [(9, 3, 64, false), (6, 2, 96, true), (4, 1, 128, true), (3, 3, 128, false)]
    {
        let shape = AttentionShape::new(heads, kv_heads, dim).unwrap();
        let (all_heads, slots) = (heads + 2 * kv_heads, 4);
        let mut random = Random(dim as u64 + heads as u64);
        // Offsets 0, 1, 63 and one of the middle; one row takes no part.
        let places = [(2, 0), (2, 1), (NONE, 7), (0, 191), (3, 4 * BLOCK as u32 + 33)];
        let (row_slots, row_positions): (Vec<u32>, Vec<u32>) = places.into_iter().unzip();
        let qkv = random.bf16s(places.len() * all_heads * dim);
        let mut extra = |count: usize| with_extras.then(|| random.floats(count));
        let extras = Extras { bias: extra(all_heads * dim), q_norm: extra(dim), k_norm: extra(dim) };

        let inputs = (gpu.upload(&qkv), gpu.upload(&row_slots), gpu.upload(&row_positions));
        let table = gpu.upload(&rope_table(&frequencies(dim), BLOCK));
        let optional = [&extras.bias, &extras.q_norm, &extras.k_norm]
            .map(|values| values.as_ref().map(|values| gpu.upload(values)));
        let pointer = |at: usize| optional[at].as_ref().map(|buffer| buffer.pointer());
        let q = gpu.poisoned(shape.query_bytes(places.len()));
        let layer = gpu.poisoned(slots * shape.slice_bytes());
        let poison = gpu.download::<bf16>(&layer);
        let launch = RopeWrite {
            shape,
            rows: places.len(),
            qkv: inputs.0.pointer(),
            bias: pointer(0),
            q_norm: pointer(1),
            k_norm: pointer(2),
            epsilon: EPSILON,
            table: table.pointer(),
            row_slots: inputs.1.pointer(),
            row_positions: inputs.2.pointer(),
            q: q.pointer(),
            layer: layer.pointer(),
        };
        gpu.kernels.rope_write(gpu.stream(), &launch).unwrap();
        let (q, mut layer) = (gpu.download::<bf16>(&q), gpu.download::<bf16>(&layer));

        for (row, (slot, position)) in places.into_iter().enumerate().filter(|(_, place)| place.0 != NONE) {
            for head in 0..all_heads {
                let from = &qkv[(row * all_heads + head) * dim..][..dim];
                let bias = extras.bias.as_ref().map(|bias| &bias[head * dim..][..dim]);
                let is_key = (heads..heads + kv_heads).contains(&head);
                let norm = if head < heads { &extras.q_norm } else { &extras.k_norm };
                let norm = norm.as_ref().filter(|_| head < heads + kv_heads);
                let mut expected = prepared(from, bias, norm);
                let offset = position as usize % BLOCK;
                let found = if head < heads {
                    distance(&q[(row * heads + head) * dim..][..dim], &expected)
                } else {
                    if is_key {
                        turn(&mut expected, &frequencies(dim), offset);
                    }
                    let part = usize::from(!is_key) * BLOCK + offset;
                    let at = slot as usize * shape.slice_bytes() / 2
                        + (part * kv_heads + (head - heads) % kv_heads) * dim;
                    let found = distance(&layer[at..at + dim], &expected);
                    layer[at..at + dim].copy_from_slice(&poison[at..at + dim]);
                    found
                };
                assert!(found < 4e-3, "{shape:?}, row {row}, head {head}: {found}");
            }
        }
        assert!(layer == poison, "{shape:?}: something else of the slots was written");
        let idle = &q[2 * heads * dim..3 * heads * dim];
        assert!(idle == &poison[..heads * dim], "{shape:?}: the idle row was written");
    }
}
