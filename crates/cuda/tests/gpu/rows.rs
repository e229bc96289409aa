//! Embedding, norm, SiLU·mul, copies of rows, argmax.

use attentionstore_cuda::launch::{Argmax, AttentionShape, CopyRows, Embedding, GatherRows, Norm, SiluMul};
use half::bf16;

use crate::support::{BLOCK, Random, distance, gpu};

#[test]
fn an_embedding_is_the_tables_row_exactly() {
    let Some(gpu) = gpu("an_embedding_is_the_tables_row_exactly") else { return };
    let (rows, hidden, vocabulary) = (7, 1048, 37);
    let mut random = Random(1);
    let table = random.bf16s(vocabulary * hidden);
    let tokens: Vec<u32> = (0..rows).map(|_| random.below(vocabulary) as u32).collect();
    let residual = gpu.poisoned(rows * hidden * 4);
    let (tokens_buffer, table_buffer) = (gpu.upload(&tokens), gpu.upload(&table));
    let launch = Embedding {
        rows,
        hidden,
        tokens: tokens_buffer.pointer(),
        table: table_buffer.pointer(),
        residual: residual.pointer(),
    };
    gpu.kernels.embedding(gpu.stream(), &launch).unwrap();
    let expected: Vec<f32> = tokens
        .iter()
        .flat_map(|&token| &table[token as usize * hidden..][..hidden])
        .map(|value| value.to_f32())
        .collect();
    assert_eq!(gpu.download::<f32>(&residual), expected);
}

#[test]
fn a_norm_adds_the_delta_and_scales_each_row_to_its_weight() {
    let Some(gpu) = gpu("a_norm_adds_the_delta_and_scales_each_row") else { return };
    for (rows, hidden, with_delta) in
        [(1, 8, true), (3, 576, false), (5, 4096, true), (2, 8200, true), (1, 16_384, true)]
    {
        let mut random = Random(hidden as u64);
        let residual = random.floats(rows * hidden);
        let (delta, weight) = (random.bf16s(rows * hidden), random.floats(hidden));
        let (residual_buffer, delta_buffer) = (gpu.upload(&residual), gpu.upload(&delta));
        let (weight_buffer, out) = (gpu.upload(&weight), gpu.poisoned(rows * hidden * 2));
        let launch = Norm {
            rows,
            hidden,
            residual: residual_buffer.pointer(),
            delta: with_delta.then(|| delta_buffer.pointer()),
            weight: weight_buffer.pointer(),
            out: out.pointer(),
            epsilon: 1e-5,
        };
        gpu.kernels.rmsnorm(gpu.stream(), &launch).unwrap();
        let summed: Vec<f32> = residual
            .iter()
            .zip(&delta)
            .map(|(x, delta)| if with_delta { x + delta.to_f32() } else { *x })
            .collect();
        assert_eq!(gpu.download::<f32>(&residual_buffer), summed);
        let reference: Vec<f64> = summed.chunks_exact(hidden).flat_map(|row| normed(row, &weight)).collect();
        let found = distance(&gpu.download(&out), &reference);
        assert!(found < 4e-3, "{rows} × {hidden}: {found}");
    }
}

fn normed(row: &[f32], weight: &[f32]) -> Vec<f64> {
    let squares: f64 = row.iter().map(|&x| f64::from(x).powi(2)).sum();
    let scale = 1.0 / (squares / row.len() as f64 + 1e-5).sqrt();
    row.iter().zip(weight).map(|(&x, &w)| f64::from(x) * scale * f64::from(w)).collect()
}

#[test]
fn a_norm_wider_than_its_widest_instance_is_refused() {
    let Some(gpu) = gpu("a_norm_wider_than_its_widest_instance_is_refused") else { return };
    let row = gpu.poisoned(16_392 * 4).pointer();
    let launch =
        Norm { rows: 1, hidden: 16_392, residual: row, delta: None, weight: row, out: row, epsilon: 1e-5 };
    let error = gpu.kernels.rmsnorm(gpu.stream(), &launch).unwrap_err();
    assert!(error.to_string().contains("16392"), "{error}");
}

#[test]
fn gathered_rows_are_those_named_in_their_order() {
    let Some(gpu) = gpu("gathered_rows_are_those_named_in_their_order") else { return };
    let (rows, width, named) = (9, 4104, [7_u32, 0, 8, 8, 3]);
    let values = Random(3).bf16s(rows * width);
    let (from, names) = (gpu.upload(&values), gpu.upload(&named));
    let to = gpu.poisoned(named.len() * width * 2);
    let launch = GatherRows {
        count: named.len(),
        row_bytes: width * 2,
        from: from.pointer(),
        rows: names.pointer(),
        to: to.pointer(),
    };
    gpu.kernels.gather_rows(gpu.stream(), &launch).unwrap();
    let expected: Vec<bf16> =
        named.iter().flat_map(|&row| values[row as usize * width..][..width].to_vec()).collect();
    assert!(gpu.download::<bf16>(&to) == expected);
}

#[test]
fn silu_gates_the_other_half_of_its_row() {
    let Some(gpu) = gpu("silu_gates_the_other_half_of_its_row") else { return };
    for (rows, width) in [(1, 8), (3, 1544), (5, 2056)] {
        let gate_up = Random(width as u64).bf16s(rows * 2 * width);
        let (buffer, out) = (gpu.upload(&gate_up), gpu.poisoned(rows * width * 2));
        let launch = SiluMul { rows, width, gate_up: buffer.pointer(), out: out.pointer() };
        gpu.kernels.silu_mul(gpu.stream(), &launch).unwrap();
        let reference: Vec<f64> = gate_up
            .chunks_exact(2 * width)
            .flat_map(|row| {
                let (gate, up) = row.split_at(width);
                gate.iter().zip(up).map(|(gate, up)| {
                    let gate = gate.to_f64();
                    gate / (1.0 + (-gate).exp()) * up.to_f64()
                })
            })
            .collect();
        let found = distance(&gpu.download(&out), &reference);
        assert!(found < 4e-3, "{rows} × {width}: {found}");
    }
}

#[test]
fn copied_rows_are_the_same_bits_in_every_layer_and_nothing_else_changes() {
    let Some(gpu) = gpu("copied_rows_are_the_same_bits_in_every_layer") else { return };
    let shape = AttentionShape::new(3, 3, 96).unwrap();
    let (layers, slots, row) = (3, 5, 3 * 96);
    let before = Random(5).bf16s(layers * slots * shape.slice_bytes() / 2);
    for valid in [0, 1, 37, BLOCK] {
        let memory = gpu.upload(&before);
        let launch = CopyRows {
            shape,
            layers,
            slots,
            memory: memory.pointer(),
            from_slot: 4,
            to_slot: 1,
            valid: valid as u32,
        };
        gpu.kernels.copy_rows(gpu.stream(), &launch).unwrap();
        let half = BLOCK * row;
        let mut expected = before.clone();
        for part in 0..layers * 2 {
            let (layer, part) = (part / 2 * slots * 2 * half, part % 2 * half);
            let from = layer + 4 * 2 * half + part;
            expected.copy_within(from..from + valid * row, layer + 2 * half + part);
        }
        assert!(gpu.download::<bf16>(&memory) == expected, "{valid} rows");
        let outside = CopyRows { to_slot: 5, ..launch };
        assert_eq!(gpu.kernels.copy_rows(gpu.stream(), &outside).unwrap_err().code(), "cuda_invalid");
    }
}

#[test]
fn argmax_takes_the_lowest_of_equals_and_no_nan() {
    let Some(gpu) = gpu("argmax_takes_the_lowest_of_equals_and_no_nan") else { return };
    for vocabulary in [1, 31, 1025, 49_153] {
        let rows = 4;
        let mut logits = Random(vocabulary as u64).floats(rows * vocabulary);
        let last = vocabulary - 1;
        let expected = [vocabulary / 3, vocabulary / 2, last, 0].map(|at| at as u32);
        for (row, &best) in expected.iter().enumerate() {
            let row = &mut logits[row * vocabulary..][..vocabulary];
            row[best as usize..].fill(2.0);
        }
        logits[3 * vocabulary..].fill(f32::NEG_INFINITY);
        if vocabulary > 4 {
            logits[0] = f32::NAN;
        }
        let (buffer, tokens) = (gpu.upload(&logits), gpu.poisoned(rows * 4));
        let launch = Argmax { rows, vocabulary, logits: buffer.pointer(), tokens: tokens.pointer() };
        gpu.kernels.argmax(gpu.stream(), &launch).unwrap();
        assert_eq!(gpu.download::<u32>(&tokens), expected, "{vocabulary} logits");
    }
}
