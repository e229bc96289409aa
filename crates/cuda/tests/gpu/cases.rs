//! Sequences whose views lie in scattered slots, and attention over them in f64, keys at absolute positions.

use attentionstore_cuda::launch::{AttentionShape, View, rope_table};
use attentionstore_cuda::runtime::DeviceBuffer;
use half::bf16;

use crate::support::{BLOCK, Gpu, Random};

/// Inverse frequencies of a usual RoPE.
pub fn frequencies(head_dim: usize) -> Vec<f32> {
    (0..head_dim / 2).map(|pair| 10_000f32.powf(-2.0 * pair as f32 / head_dim as f32)).collect()
}

/// Turns a head's pairs by `position`, in f64.
pub fn turn(head: &mut [f64], frequencies: &[f32], position: usize) {
    let half = head.len() / 2;
    for (pair, &frequency) in frequencies.iter().enumerate() {
        let (sin, cos) = (position as f64 * f64::from(frequency)).sin_cos();
        let (a, b) = (head[pair], head[pair + half]);
        head[pair] = a * cos - b * sin;
        head[pair + half] = b * cos + a * sin;
    }
}

/// One layer of slots with `lengths.len()` views in it. Rows that no view reaches are NaN.
pub struct Case {
    pub shape: AttentionShape,
    pub lengths: Vec<usize>,
    pub slots: Vec<bf16>,
    /// All views' slots, one view after another.
    pub block_slots: Vec<u32>,
    pub table_starts: Vec<u32>,
}

/// The case in the card's memory.
pub struct Uploaded {
    layer: DeviceBuffer,
    block_slots: DeviceBuffer,
    table: DeviceBuffer,
    longest: usize,
}

impl Case {
    pub fn new(random: &mut Random, shape: AttentionShape, lengths: &[usize]) -> Case {
        let counts: Vec<usize> = lengths.iter().map(|length| length.div_ceil(BLOCK)).collect();
        let blocks: usize = counts.iter().sum();
        let block_slots = random.shuffled(blocks + 2)[..blocks].to_vec();
        let mut slots = vec![bf16::NAN; (blocks + 2) * shape.slice_bytes() / 2];
        let starts = counts.iter().scan(0, |next, count| {
            let start = *next;
            *next += count;
            Some(start as u32)
        });
        let mut case = Case {
            shape,
            lengths: lengths.to_vec(),
            table_starts: starts.collect(),
            slots: Vec::new(),
            block_slots,
        };
        let row = shape.kv_heads() * shape.head_dim();
        for (view, &length) in lengths.iter().enumerate() {
            for (key, part) in (0..length).flat_map(|key| [(key, 0), (key, 1)]) {
                let at = case.row_start(view, key, part);
                slots[at..at + row].copy_from_slice(&random.bf16s(row));
            }
        }
        case.slots = slots;
        case
    }

    fn row_start(&self, view: usize, key: usize, part: usize) -> usize {
        let slot = self.block_slots[self.table_starts[view] as usize + key / BLOCK] as usize;
        let row = self.shape.kv_heads() * self.shape.head_dim();
        slot * self.shape.slice_bytes() / 2 + (part * BLOCK + key % BLOCK) * row
    }

    fn head(&self, view: usize, key: usize, part: usize, kv_head: usize) -> Vec<f64> {
        let at = self.row_start(view, key, part) + kv_head * self.shape.head_dim();
        self.slots[at..at + self.shape.head_dim()].iter().map(|value| value.to_f64()).collect()
    }

    pub fn upload(&self, gpu: &Gpu) -> Uploaded {
        let longest = self.lengths.iter().copied().max().unwrap_or(0);
        Uploaded {
            layer: gpu.upload(&self.slots),
            block_slots: gpu.upload(&self.block_slots),
            table: gpu.upload(&rope_table(&frequencies(self.shape.head_dim()), longest)),
            longest,
        }
    }

    /// The scale of all cases: small enough that many keys count.
    pub fn scale(&self) -> f32 {
        0.5 / (self.shape.head_dim() as f32).sqrt()
    }

    /// What the queries of row `row` (`[head][dim]`) at `position` of `view` attend to.
    pub fn attend(&self, view: usize, position: usize, queries: &[bf16]) -> Vec<f64> {
        let frequencies = frequencies(self.shape.head_dim());
        let keys_and_values: Vec<Vec<(Vec<f64>, Vec<f64>)>> = (0..self.shape.kv_heads())
            .map(|kv_head| {
                (0..=position)
                    .map(|key| {
                        let mut rotated = self.head(view, key, 0, kv_head);
                        turn(&mut rotated, &frequencies, key / BLOCK * BLOCK);
                        (rotated, self.head(view, key, 1, kv_head))
                    })
                    .collect()
            })
            .collect();
        queries
            .chunks_exact(self.shape.head_dim())
            .enumerate()
            .flat_map(|(head, query)| {
                let mut query: Vec<f64> = query.iter().map(|value| value.to_f64()).collect();
                turn(&mut query, &frequencies, position);
                weigh(&query, &keys_and_values[head / self.shape.group()], f64::from(self.scale()))
            })
            .collect()
    }
}

fn weigh(query: &[f64], keys_and_values: &[(Vec<f64>, Vec<f64>)], scale: f64) -> Vec<f64> {
    let dot = |key: &[f64]| scale * query.iter().zip(key).map(|(a, b)| a * b).sum::<f64>();
    let scores: Vec<f64> = keys_and_values.iter().map(|(key, _)| dot(key)).collect();
    let most = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights: Vec<f64> = scores.iter().map(|score| (score - most).exp()).collect();
    let total: f64 = weights.iter().sum();
    (0..query.len())
        .map(|dim| {
            weights.iter().zip(keys_and_values).map(|(w, (_, value))| w * value[dim]).sum::<f64>() / total
        })
        .collect()
}

impl Uploaded {
    pub fn view(&self) -> View {
        View {
            layer: self.layer.pointer(),
            block_slots: self.block_slots.pointer(),
            table: self.table.pointer(),
            longest: self.longest,
        }
    }
}
