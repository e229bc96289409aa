//! Logits against Hugging Face transformers: every architecture, from both containers.

mod cpu_support;
mod fixtures;

use std::path::Path;

use attentionstore_kv::KvDtype;
use safetensors::SafeTensors;

use crate::cpu_support::{backend, distance, logits, options};
use crate::fixtures::{QUANTISED, TWINS, gguf_file, hugging_face, models, must_load};

/// Tokens and what transformers computed for some of their positions.
struct Reference {
    tokens: Vec<u32>,
    positions: Vec<usize>,
    logits: Vec<f32>,
}

fn reference(name: &str) -> Reference {
    let bytes = std::fs::read(models().join(name).join("reference.safetensors")).expect("reference");
    let file = SafeTensors::deserialize(&bytes).expect("safetensors");
    let words = |tensor: &str| -> Vec<[u8; 4]> {
        file.tensor(tensor).expect(tensor).data().as_chunks::<4>().0.to_vec()
    };
    Reference {
        tokens: words("tokens").into_iter().map(u32::from_le_bytes).collect(),
        positions: words("positions").into_iter().map(|word| u32::from_le_bytes(word) as usize).collect(),
        logits: words("logits").into_iter().map(f32::from_le_bytes).collect(),
    }
}

/// How far the model at `path` is from the reference.
fn distance_of(path: &Path, name: &str, kv_dtype: KvDtype) -> f64 {
    let (model, reference) = (must_load(path), reference(name));
    let mut options = options();
    options.kv_dtype = kv_dtype;
    let mut backend = backend(&model.config, &model.weights, options);
    let all = logits(&mut backend, &reference.tokens, &[3, 1, 2], 100);
    let ours: Vec<f32> = reference.positions.iter().flat_map(|&position| all[position].clone()).collect();
    distance(&ours, &reference.logits)
}

fn all_models() -> Vec<(std::path::PathBuf, &'static str)> {
    let directories = TWINS.map(|name| (hugging_face(name), name));
    let files = TWINS.map(|name| (gguf_file(name), name));
    let quantised = QUANTISED.map(|name| (gguf_file(name), name));
    directories.into_iter().chain(files).chain(quantised).collect()
}

#[test]
fn logits_with_f32_keys_and_values_are_those_of_transformers() {
    for (path, name) in all_models() {
        let distance = distance_of(&path, name, KvDtype::F32);
        println!("{name}: {distance:.2e}");
        assert!(distance <= 1e-4, "{}: {distance}", path.display());
    }
}

#[test]
fn logits_with_bf16_keys_and_values_are_near_those_of_transformers() {
    for (path, name) in all_models() {
        let distance = distance_of(&path, name, KvDtype::Bf16);
        println!("{name}: {distance:.2e}");
        assert!(distance <= 2e-2, "{}: {distance}", path.display());
    }
}
