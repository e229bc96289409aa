//! Logits against the CPU backend on seeded random models: every head dim, every feature, mixed batches.

use attentionstore_kv::KvDtype;
use attentionstore_model::backend::cpu::CpuOptions;
use attentionstore_model::config::{ModelConfig, RopeScaling};
use attentionstore_model::weights::WeightDtype;

use crate::cpu_support::models::{Random, weights};
use crate::cpu_support::{Sequence, backend, distance, step};
use crate::support::{card, config};

/// Weights, activations, keys and values are bf16 on the card, f32 (KV bf16) on the CPU.
const TOLERANCE: f64 = 2e-2;

fn models() -> Vec<(&'static str, ModelConfig, Vec<WeightDtype>)> {
    use WeightDtype::{Bf16, F16, F32, Q4_0, Q4_1, Q4K, Q5K, Q6K, Q8_0};
    let llama3 = RopeScaling::Llama3 {
        factor: 8.0,
        low_freq_factor: 1.0,
        high_freq_factor: 4.0,
        original_max_position: 64,
    };
    let shaped = |heads, kv_heads, head_dim| ModelConfig {
        heads,
        kv_heads,
        head_dim,
        rotary_dim: head_dim,
        ..config()
    };
    let wide = ModelConfig { hidden: 256, intermediate: 512, ..shaped(4, 2, 64) };
    vec![
        ("llama, 64", config(), vec![F32]),
        ("three heads a group", ModelConfig { tied_embeddings: false, ..shaped(9, 3, 64) }, vec![F16, Bf16]),
        ("heads of 96", ModelConfig { rope_scaling: llama3, ..shaped(7, 1, 96) }, vec![Bf16]),
        ("heads of 128", ModelConfig { hidden: 512, ..shaped(8, 2, 128) }, vec![F16]),
        ("qwen2", ModelConfig { qkv_bias: true, ..shaped(8, 1, 64) }, vec![Q8_0, Q4_1]),
        ("qwen3", ModelConfig { qk_norm: true, ..shaped(4, 4, 128) }, vec![Q8_0, Q4_0]),
        // In the order of the tensors: embedding and down, q, k, v, output, gate, up. Random scales of scales in
        // queries and keys make a softmax that turns on the last bit.
        ("K formats", wide, vec![Q4K, F32, F32, F32, F32, Q6K, Q5K]),
    ]
}

/// The same tokens in the same steps on both: a long prefill, short ones, decodes, all together.
#[test]
fn logits_are_those_of_the_cpu_whatever_is_in_a_step_together() {
    let Some(card) = card("logits_are_those_of_the_cpu_whatever_is_in_a_step_together") else { return };
    for (name, config, formats) in models() {
        let seed = config.heads as u64 * 100 + config.head_dim as u64;
        let weights = weights(&config, seed, &formats);
        let mut random = Random(seed);
        let (slots, rows) = (24, 400);
        let cpu =
            CpuOptions { threads: 2, max_batch_tokens: rows, slots, kv_dtype: KvDtype::Bf16, isa: None };
        let mut reference = backend(&config, &weights, cpu);
        let mut found = card.backend(&config, &weights, slots as u64, rows);
        let places = random.shuffled(slots as u32);
        let lengths = [330, 150, 70, 200];
        let mut starts = 0;
        let sequences: Vec<Sequence> = lengths
            .iter()
            .map(|&length: &usize| {
                let own = &places[starts..starts + length.div_ceil(64)];
                starts += own.len();
                Sequence::new(&random.tokens(length, config.vocab_size), own)
            })
            .collect();
        let (mut ours, mut theirs) = (sequences.clone(), sequences);
        // Dense beside blocked; one of 63 and one of 64; decodes beside both; only decodes.
        for counts in [[200, 5, 1, 64], [63, 64, 2, 1], [1, 1, 1, 1], [65, 0, 60, 130], [1, 80, 1, 4]] {
            step(&mut found, &mut ours, &counts);
            step(&mut reference, &mut theirs, &counts);
        }
        for (index, (ours, theirs)) in ours.iter().zip(&theirs).enumerate() {
            let distance = distance(&ours.logits.concat(), &theirs.logits.concat());
            println!("{name}, sequence {index}: {distance:.2e}");
            assert!(distance <= TOLERANCE, "{name}, sequence {index} of seed {seed}: {distance}");
        }
    }
}
