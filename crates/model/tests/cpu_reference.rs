//! Logits against Hugging Face transformers: every architecture, from both containers.

mod cpu_support;
mod fixtures;

use std::path::Path;

use attentionstore_kv::KvDtype;
use attentionstore_model::LoadedModel;
use attentionstore_model::config::RopeScaling;
use attentionstore_model::weights::{Tensor, TensorBytes};
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
    distance_of_model(&must_load(path), name, kv_dtype)
}

fn distance_of_model(model: &LoadedModel, name: &str, kv_dtype: KvDtype) -> f64 {
    let reference = reference(name);
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

/// The rows of a matrix in the order in which llama-architecture GGUF files keep them.
fn interleaved(tensor: &Tensor, head_dim: usize) -> Tensor {
    let place = |row: usize| row / head_dim * head_dim + row % 2 * (head_dim / 2) + row % head_dim / 2;
    let bytes: Vec<u8> = (0..tensor.rows).flat_map(|row| tensor.row(place(row)).to_vec()).collect();
    Tensor { bytes: TensorBytes::Owned(bytes.into()), ..tensor.clone() }
}

/// One change to a loaded model.
type Change = fn(&mut LoadedModel);

/// Without this, a reference that does not depend on some part of the model would be met by any.
#[test]
fn a_model_that_is_wrong_in_one_place_is_far_from_its_reference() {
    let wrong: [(&str, Change); 9] = [
        ("llama", |model| model.config.rope_theta *= 1.2),
        ("llama", |model| model.config.rotary_dim /= 2),
        ("llama", |model| model.config.rms_eps *= 1e4),
        ("llama", |model| model.weights.layers[1].k = interleaved(&model.weights.layers[1].k, 16)),
        ("llama-llama3-rope", |model| model.config.rope_scaling = RopeScaling::None),
        ("llama-linear-rope", |model| model.config.rope_scaling = RopeScaling::None),
        ("mistral", |model| model.weights.head = Some(model.weights.embedding.clone())),
        ("qwen2", |model| model.weights.layers[0].k_bias = model.weights.layers[1].k_bias.clone()),
        ("qwen3", |model| model.weights.layers[0].q_norm = model.weights.layers[1].q_norm.clone()),
    ];
    for (index, (name, change)) in wrong.into_iter().enumerate() {
        let mut model = must_load(&hugging_face(name));
        change(&mut model);
        let distance = distance_of_model(&model, name, KvDtype::F32);
        println!("{name}, {index}: {distance:.2e}");
        assert!(distance >= 1e-3, "{name}, change {index}: only {distance}");
    }
}
