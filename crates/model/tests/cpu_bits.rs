//! Logits are the same bits under any plan: instruction set, chunking, batch, threads, slots, copies.

mod cpu_support;

use attentionstore_kv::KvDtype;
use attentionstore_model::backend::cpu::{CpuOptions, Isa};
use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted, SliceCopy, Stream};
use attentionstore_model::config::{Architecture, ModelConfig, RopeScaling};
use attentionstore_model::weights::{ModelWeights, WeightDtype};

use crate::cpu_support::models::{Random, config, weights};
use crate::cpu_support::{Sequence, assert_same_bits, backend, isas, logits, options, step};

const PLAIN: [WeightDtype; 3] = [WeightDtype::F32, WeightDtype::F16, WeightDtype::Bf16];
const BLOCKS: [WeightDtype; 3] = [WeightDtype::Q8_0, WeightDtype::Q4_0, WeightDtype::Q4_1];
const K_BLOCKS: [WeightDtype; 3] = [WeightDtype::Q4K, WeightDtype::Q5K, WeightDtype::Q6K];

/// A model's shape and weights.
struct Case {
    name: &'static str,
    config: ModelConfig,
    weights: ModelWeights,
}

fn case(name: &'static str, config: ModelConfig, formats: &[WeightDtype]) -> Case {
    let weights = weights(&config, 17, formats);
    Case { name, config, weights }
}

/// Every format; odd and even sizes, grouped heads, biases, norms, partial rotary.
fn cases() -> Vec<Case> {
    let odd = ModelConfig {
        architecture: Architecture::Qwen2,
        hidden: 50,
        intermediate: 70,
        heads: 6,
        kv_heads: 2,
        head_dim: 24,
        rotary_dim: 20,
        qkv_bias: true,
        tied_embeddings: false,
        ..config()
    };
    let k_blocks = ModelConfig {
        architecture: Architecture::Qwen3,
        hidden: 256,
        intermediate: 512,
        layers: 1,
        heads: 8,
        kv_heads: 1,
        head_dim: 64,
        rotary_dim: 64,
        qk_norm: true,
        rope_scaling: RopeScaling::Linear { factor: 4.0 },
        ..config()
    };
    vec![
        case("odd sizes, plain formats", odd, &PLAIN),
        case("even sizes, small blocks", config(), &BLOCKS),
        case("one K/V head, K blocks", k_blocks, &K_BLOCKS),
    ]
}

fn tokens(case: &Case, count: usize) -> Vec<u32> {
    Random(5).tokens(count, case.config.vocab_size)
}

/// The case's logits, computed in one piece.
fn expected(case: &Case, count: usize) -> Vec<Vec<f32>> {
    let mut backend = backend(&case.config, &case.weights, options());
    logits(&mut backend, &tokens(case, count), &[0, 1, 2], count)
}

#[test]
fn every_instruction_set_gives_the_same_bits() {
    for case in cases() {
        for kv_dtype in [KvDtype::Bf16, KvDtype::F32] {
            let by = |isa| {
                let options = CpuOptions { isa: Some(isa), kv_dtype, ..options() };
                let mut backend = backend(&case.config, &case.weights, options);
                // 75 rows at once, then one at a time: both ways through the products.
                let mut sequences = [Sequence::new(&tokens(&case, 78), &[1, 0])];
                for count in [75, 1, 2] {
                    step(&mut backend, &mut sequences, &[count]);
                }
                sequences[0].logits.clone()
            };
            let portable = by(Isa::Portable);
            for isa in isas() {
                assert_same_bits(&format!("{}, {}", case.name, isa.name()), &by(isa), &portable);
            }
        }
    }
}

#[test]
fn every_chunking_gives_the_same_bits() {
    for case in cases() {
        let expected = expected(&case, 150);
        // Up to eight rows multiply weights in registers, on some instruction sets: each count is code of its own.
        for chunk in (1..=9).chain([13, 64, 100]) {
            let mut backend = backend(&case.config, &case.weights, options());
            let chunked = logits(&mut backend, &tokens(&case, 150), &[2, 0, 1], chunk);
            assert_same_bits(&format!("{}, chunks of {chunk}", case.name), &chunked, &expected);
        }
    }
}

#[test]
fn every_thread_count_gives_the_same_bits() {
    for case in cases() {
        let expected = expected(&case, 100);
        for threads in 1..=4 {
            let mut backend = backend(&case.config, &case.weights, CpuOptions { threads, ..options() });
            let threaded = logits(&mut backend, &tokens(&case, 100), &[0, 1], 60);
            assert_same_bits(&format!("{}, {threads} threads", case.name), &threaded, &expected);
        }
    }
}

#[test]
fn random_plans_of_several_sequences_give_each_the_bits_it_has_alone() {
    for (seed, case) in (40..).zip(cases().iter().cycle().take(9)) {
        println!("seed {seed}");
        let mut random = Random(seed);
        let slots = random.shuffled(16);
        let mut sequences: Vec<Sequence> = (0..5)
            .map(|index| {
                let count = 1 + random.below(180);
                let tokens = random.tokens(count, case.config.vocab_size);
                Sequence::new(&tokens, &slots[index * 3..index * 3 + 3])
            })
            .collect();
        let mut together =
            backend(&case.config, &case.weights, CpuOptions { threads: 1 + random.below(3), ..options() });
        while sequences.iter().any(|sequence| sequence.left() > 0) {
            let longest = [1, 1, 4, 38][random.below(4)];
            let mut counts: Vec<usize> =
                sequences.iter().map(|sequence| sequence.left().min(random.below(longest + 1))).collect();
            if counts.iter().all(|&count| count == 0) {
                let unfinished = sequences.iter().position(|sequence| sequence.left() > 0);
                counts[unfinished.expect("one is left")] = 1;
            }
            step(&mut together, &mut sequences, &counts);
        }
        for sequence in sequences {
            let mut alone = backend(&case.config, &case.weights, options());
            let expected = logits(&mut alone, &sequence.tokens, &[0, 1, 2], 192);
            assert_same_bits(&format!("{}, seed {seed}", case.name), &sequence.logits, &expected);
        }
    }
}

#[test]
fn asking_for_fewer_logits_changes_none_of_those_that_are_given() {
    use LogitsWanted::{All, Last, None};
    for case in cases() {
        let all = expected(&case, 100);
        let tokens = tokens(&case, 100);
        let mut backend = backend(&case.config, &case.weights, options());
        for wanted in
            [[None, None, None], [Last, None, All], [None, All, Last], [Last, Last, Last], [All, Last, None]]
        {
            // Three times the same tokens, in pieces of different lengths.
            let pieces = [(0..100, 0), (0..70, 2), (0..1, 4)];
            let sequence =
                |((range, first), logits): ((std::ops::Range<usize>, usize), LogitsWanted)| BatchSequence {
                    tokens: &tokens[range],
                    position: 0,
                    slots: &[0, 1, 2, 3, 4][first..],
                    logits,
                };
            let batch: Vec<BatchSequence<'_>> =
                pieces.clone().into_iter().zip(wanted).map(sequence).collect();
            backend.begin_step(&batch).unwrap();
            (0..case.config.layers).for_each(|layer| backend.run_layer(layer).unwrap());
            let given = pieces.into_iter().zip(wanted).flat_map(|((range, _), wanted)| match wanted {
                All => range.collect(),
                Last => vec![range.end - 1],
                None => vec![],
            });
            let expected: Vec<Vec<f32>> = given.map(|token| all[token].clone()).collect();
            let mut found = vec![vec![0.0; case.config.vocab_size]; expected.len()];
            for (row, logits) in found.iter_mut().enumerate() {
                backend.read_logits(row, logits).unwrap();
            }
            assert!(backend.read_logits(expected.len(), &mut vec![0.0; case.config.vocab_size]).is_err());
            assert_same_bits(&format!("{}, {wanted:?}", case.name), &found, &expected);
        }
    }
}

/// Host memory for one block, poisoned.
fn host_block(slice_bytes: usize, layers: usize) -> Vec<Vec<u8>> {
    vec![vec![0xff; slice_bytes]; layers]
}

/// Copies a block between a slot and host memory, layer by layer.
fn copies(host: &mut [Vec<u8>], slot: u32) -> Vec<SliceCopy> {
    let layers = host.iter_mut().enumerate();
    layers.map(|(layer, slice)| SliceCopy { layer: layer as u32, slot, host: slice.as_mut_ptr() }).collect()
}

#[test]
fn saved_blocks_loaded_into_other_poisoned_slots_give_the_same_bits() {
    for case in cases() {
        let expected = expected(&case, 120);
        let mut backend = backend(&case.config, &case.weights, options());
        let layout = backend.layout();
        let mut sequences = [Sequence::new(&tokens(&case, 120), &[4, 5])];
        step(&mut backend, &mut sequences, &[90]);
        let mut saved = [
            host_block(layout.slice_bytes(), layout.layers),
            host_block(layout.slice_bytes(), layout.layers),
        ];
        for (host, slot) in saved.iter_mut().zip([4, 5]) {
            backend.copy(Stream::Save, &copies(host, slot)).unwrap();
        }
        let event = backend.record(Stream::Save);
        backend.synchronize(event);
        for slice in &mut saved[1] {
            layout.zero_tail(slice, 90 - 64).unwrap();
        }
        let mut poison = host_block(layout.slice_bytes(), layout.layers);
        for slot in 0..16 {
            backend.copy(Stream::Load, &copies(&mut poison, slot)).unwrap();
        }
        for (host, slot) in saved.iter_mut().zip([11, 7]) {
            backend.copy(Stream::Load, &copies(host, slot)).unwrap();
        }
        let event = backend.record(Stream::Load);
        backend.wait(Stream::Compute, event);
        assert!(backend.is_done(event));
        sequences[0].slots = vec![11, 7];
        step(&mut backend, &mut sequences, &[1]);
        step(&mut backend, &mut sequences, &[29]);
        assert_same_bits(case.name, &sequences[0].logits, &expected);
    }
}

#[test]
fn rows_beyond_the_valid_ones_are_never_read() {
    for case in cases() {
        for kv_dtype in [KvDtype::Bf16, KvDtype::F32] {
            let options = CpuOptions { kv_dtype, ..options() };
            let mut clean = backend(&case.config, &case.weights, options.clone());
            let expected = logits(&mut clean, &tokens(&case, 70), &[0, 1], 70);
            let mut poisoned = backend(&case.config, &case.weights, options);
            let layout = poisoned.layout();
            // All bits set: a NaN in both formats.
            let mut poison = host_block(layout.slice_bytes(), layout.layers);
            for slot in 0..16 {
                poisoned.copy(Stream::Load, &copies(&mut poison, slot)).unwrap();
            }
            let event = poisoned.record(Stream::Load);
            poisoned.wait(Stream::Compute, event);
            let found = logits(&mut poisoned, &tokens(&case, 70), &[0, 1], 9);
            assert_same_bits(case.name, &found, &expected);
        }
    }
}

#[test]
fn a_fork_from_copied_rows_gives_the_same_bits() {
    for case in cases() {
        let expected = expected(&case, 100);
        let mut backend = backend(&case.config, &case.weights, options());
        let mut sequences = [Sequence::new(&tokens(&case, 100), &[0, 1])];
        step(&mut backend, &mut sequences, &[100]);
        // The fork shares block 0 and takes twenty rows of block 1.
        backend.copy_rows(1, 9, 20).unwrap();
        let mut fork = [Sequence::new(&tokens(&case, 100), &[0, 9])];
        fork[0].done = 84;
        step(&mut backend, &mut fork, &[16]);
        assert_same_bits(case.name, &fork[0].logits, &expected[84..]);
    }
}
