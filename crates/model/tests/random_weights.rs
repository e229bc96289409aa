//! Random weights: the same bits from the same seed, in the size that was said before, and sane to compute with.

use attentionstore_kv::KvDtype;
use attentionstore_model::backend::cpu::{CpuBackend, CpuOptions};
use attentionstore_model::backend::{Backend, BatchSequence, LogitsWanted};
use attentionstore_model::loader::random::{RandomModel, RandomSpec, shape_names};
use attentionstore_model::text::{ChatDate, ChatMessage, ChatRequest, Specials, TextModel};
use attentionstore_model::weights::{ModelWeights, WeightDtype};
use attentionstore_model::{LoadedModel, ModelError};

/// A Qwen2 (biases) of two layers, whose heads are tied to nothing.
const TINY: &str = r#"{
    "model_type": "qwen2", "vocab_size": 400, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "rms_norm_eps": 1e-5, "max_position_embeddings": 512
}"#;

fn read(shape: &str, seed: u64) -> Result<RandomModel, ModelError> {
    RandomModel::read(&RandomSpec { shape: shape.to_owned(), seed })
}

fn directory(config: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().expect("a directory");
    std::fs::write(directory.path().join("config.json"), config).expect("it can be written");
    directory
}

fn tiny(seed: u64) -> LoadedModel {
    let directory = directory(TINY);
    read(&directory.path().to_string_lossy(), seed).expect("it is sound").generate(&|_| {})
}

fn bits(weights: &ModelWeights) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    for tensor in weights.tensors() {
        hasher.update(tensor.bytes());
    }
    hasher.finalize()
}

#[test]
fn the_same_seed_gives_the_same_bits_and_another_seed_others() {
    assert_eq!(bits(&tiny(7).weights), bits(&tiny(7).weights));
    assert_ne!(bits(&tiny(7).weights), bits(&tiny(8).weights));
    assert_ne!(tiny(7).weights_origin, tiny(8).weights_origin);
    assert_eq!(tiny(7).weights_origin, tiny(7).weights_origin);
}

#[test]
fn the_bits_are_those_of_this_generators_version() {
    // Whoever changes this raises GENERATOR_VERSION, or old blocks would be served to new weights.
    let weights = tiny(0).weights;
    assert_eq!(
        bits(&weights).to_hex().as_str(),
        "9fbe4b0a4c0503d96b322ffe7ac6a8a783f7a0dafaa73c67c8923c436e53b5f7"
    );
}

#[test]
fn every_shape_is_known_in_bytes_before_it_is_made() {
    let billions = |name: &str| read(name, 0).expect("known").weight_bytes() as f64 / 2e9;
    let rounded: Vec<(&str, f64)> =
        shape_names().into_iter().map(|name| (name, (billions(name) * 1000.0).round() / 1000.0)).collect();
    // As these models' cards say.
    let cards =
        [("mistral-7b", 7.242), ("llama-13b", 13.016), ("llama-70b", 68.977), ("smollm2-135m", 0.135)];
    assert_eq!(rounded, cards);
}

#[test]
fn what_is_made_has_the_bytes_that_were_said() {
    let directory = directory(TINY);
    let model = read(&directory.path().to_string_lossy(), 1).expect("it is sound");
    let said = model.weight_bytes();
    let made: usize = model.generate(&|_| {}).weights.tensors().map(|tensor| tensor.bytes().len()).sum();
    assert_eq!(said, made as u64);
}

#[test]
fn weights_have_the_deviation_that_keeps_the_scale_of_what_goes_in() {
    let model = tiny(3);
    let matrix = &model.weights.layers[1].gate;
    let mut values = vec![0.0; matrix.rows * matrix.columns];
    for (row, values) in values.chunks_exact_mut(matrix.columns).enumerate() {
        matrix.dequantize_row(row, values);
    }
    let count = values.len() as f32;
    let mean = values.iter().sum::<f32>() / count;
    let deviation = (values.iter().map(|value| value * value).sum::<f32>() / count).sqrt();
    assert!(mean.abs() < 0.005 && (deviation * 8.0 - 1.0).abs() < 0.05, "mean {mean}, deviation {deviation}");
    assert_eq!(matrix.dtype, WeightDtype::Bf16);
}

#[test]
fn logits_are_finite_and_neither_flat_nor_wild() {
    let model = tiny(4);
    let options =
        CpuOptions { threads: 1, max_batch_tokens: 64, slots: 1, kv_dtype: KvDtype::Bf16, isa: None };
    let mut backend = CpuBackend::new(model.config.clone(), &model.weights, options).expect("it fits");
    let tokens: Vec<u32> = (0..64).map(|n| n * 5).collect();
    let batch = [BatchSequence { tokens: &tokens, position: 0, slots: &[0], logits: LogitsWanted::Last }];
    backend.begin_step(&batch).expect("a valid batch");
    (0..model.config.layers).for_each(|layer| backend.run_layer(layer).expect("a layer"));
    let mut logits = vec![0.0; model.config.vocab_size];
    backend.read_logits(0, &mut logits).expect("logits");
    let rms = (logits.iter().map(|logit| logit * logit).sum::<f32>() / logits.len() as f32).sqrt();
    assert!((0.3..3.0).contains(&rms), "{rms}");
}

#[test]
fn text_is_a_token_a_byte_and_every_id_reads_as_text() {
    let model = tiny(5);
    let text = TextModel::from_loaded(&model).expect("a tokenizer");
    let given = "Grüße, <|end|> 語\n";
    let tokens = text.tokenizer.encode(given, Specials::Plain).expect("it encodes");
    assert_eq!(tokens, given.bytes().map(u32::from).collect::<Vec<_>>());
    assert_eq!(text.tokenizer.decode(&tokens, false).expect("it decodes"), given);
    let words: Vec<String> =
        (260..400).map(|id| text.tokenizer.decode(&[id], false).expect("it decodes")).collect();
    assert!(words.iter().all(|word| word.len() >= 3 && word.starts_with(' ')), "{words:?}");
    assert_eq!(words.iter().collect::<std::collections::HashSet<_>>().len(), words.len());
    assert_eq!(text.end_tokens, [256]);
}

#[test]
fn a_chat_is_rendered_with_special_tokens_around_each_message() {
    let text = TextModel::from_loaded(&tiny(6)).expect("a tokenizer");
    let message = |role: &str, content: &str| ChatMessage {
        role: role.to_owned(),
        content: content.to_owned(),
        ..ChatMessage::default()
    };
    let messages = [message("system", "be"), message("user", "<|end|>")];
    let request = ChatRequest::new(&messages, ChatDate::from_unix_seconds(0));
    let encoded = text.encode_chat(&request).expect("it encodes");
    let specials: Vec<u32> = encoded.tokens.iter().copied().filter(|&token| token >= 256).collect();
    assert_eq!(specials, [257, 256, 258, 256, 259]);
}

#[test]
fn what_is_no_shape_is_refused_by_name() {
    let refusal = |shape: &str| read(shape, 0).expect_err("it is refused").to_string();
    let unknown = refusal("mistral-8b");
    assert!(shape_names().iter().all(|name| unknown.contains(name)), "{unknown}");
    let empty = tempfile::tempdir().expect("a directory");
    assert!(refusal(&empty.path().to_string_lossy()).contains("no config.json"));
    let small = directory(&TINY.replace("400", "259"));
    let small = refusal(&small.path().to_string_lossy());
    assert!(small.contains("vocabulary of 259") && small.contains("260"), "{small}");
    let odd = directory(&TINY.replace("qwen2", "gpt_neox"));
    assert!(refusal(&odd.path().to_string_lossy()).contains("gpt_neox"));
}
