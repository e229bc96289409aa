//! What cannot be computed is refused with one error that names the file and what is wrong, whatever is wrong.

mod fixtures;

use std::fs;
use std::path::Path;

use attentionstore_model::ModelError;
use attentionstore_model::text::TextModel;
use serde_json::{Value, json};

use crate::fixtures::gguf::{Gguf, bool_value, f32_value, text, texts, u32_value};
use crate::fixtures::{Copy, as_file, must_load, must_refuse};

/// The error's kind, the name of the file it speaks of, and what it says.
fn parts(error: &ModelError) -> (&'static str, String, String) {
    let (path, detail) = match error {
        ModelError::Malformed { path, detail } | ModelError::Unsupported { path, detail } => {
            (path, detail.clone())
        }
        ModelError::Io { path, source } => (path, source.to_string()),
        other => panic!("{other} names no file"),
    };
    let name = path.file_name().expect("a name").to_string_lossy().into_owned();
    assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    (error.code(), name, detail)
}

fn assert_refused(path: &Path, code: &str, file: &str, about: &str) {
    let error = must_refuse(path);
    let (given_code, given_file, detail) = parts(&error);
    assert_eq!((given_code, given_file.as_str()), (code, file), "{error}");
    assert!(detail.contains(about), "{error} says nothing of {about}");
    assert!(!detail.contains('\n'), "one line: {error}");
}

fn assert_directory_refused(copy: &Copy, code: &str, file: &str, about: &str) {
    assert_refused(copy.path(), code, file, about);
}

fn assert_file_refused(file: &Gguf, code: &str, about: &str) {
    let (_folder, path) = as_file(&file.bytes());
    assert_refused(&path, code, "model.gguf", about);
}

const MALFORMED: &str = "model_malformed";
const UNSUPPORTED: &str = "model_unsupported";

#[test]
fn configurations_that_would_be_computed_wrongly_are_refused() {
    let cases: [(&str, &str, Value); 20] = [
        ("llama", "model_type", json!("gpt2")),
        ("llama", "model_type", json!("mixtral")),
        ("llama", "architectures", json!(["LlamaForSequenceClassification"])),
        ("llama", "attention_bias", json!(true)),
        ("llama", "mlp_bias", json!(true)),
        ("llama", "hidden_act", json!("gelu")),
        ("llama", "rope_interleaved", json!(true)),
        ("llama", "num_local_experts", json!(8)),
        ("llama", "quantization_config", json!({"quant_method": "gptq"})),
        ("llama", "attn_logit_softcapping", json!(50.0)),
        ("llama", "final_logit_softcapping", json!(30.0)),
        ("llama", "rope_parameters", json!({"rope_type": "yarn", "rope_theta": 1e4, "factor": 4.0})),
        ("llama", "rope_parameters", json!({"rope_type": "dynamic", "rope_theta": 1e4, "factor": 4.0})),
        ("llama", "rope_parameters", json!({"rope_type": "longrope", "rope_theta": 1e4})),
        ("llama", "rope_parameters", json!({"full_attention": {"rope_type": "default", "rope_theta": 1e4}})),
        ("llama-linear-rope", "rope_scaling", json!({"type": "yarn", "factor": 4.0})),
        ("qwen2", "num_experts", json!(4)),
        ("qwen3", "attention_bias", json!(true)),
        ("qwen3", "model_type", json!("qwen3_moe")),
        ("mistral", "model_type", json!("ministral")),
    ];
    for (model, key, value) in cases {
        let about = value.as_str().unwrap_or(match key {
            "rope_parameters" | "rope_scaling" => "RoPE",
            "architectures" => "LlamaForSequenceClassification",
            other => other,
        });
        let copy = Copy::of(model).config(key, value.clone());
        assert_directory_refused(&copy, UNSUPPORTED, "config.json", about);
    }
}

#[test]
fn configurations_that_contradict_themselves_are_refused() {
    let cases: [(&str, Value, &str); 19] = [
        ("hidden_size", json!(0), "hidden size of 0"),
        ("hidden_size", json!(48.5), "hidden_size"),
        ("hidden_size", json!("48"), "hidden_size"),
        ("hidden_size", json!(-48), "hidden_size"),
        ("hidden_size", json!(u64::MAX), "hidden size"),
        ("num_attention_heads", json!(0), "heads of 0"),
        ("num_key_value_heads", json!(0), "KV heads of 0"),
        ("num_key_value_heads", json!(2), "KV heads"),
        ("num_hidden_layers", json!(0), "layers of 0"),
        ("vocab_size", json!(null), "vocab_size is missing"),
        ("max_position_embeddings", json!(0), "context length of 0"),
        ("head_dim", json!(15), "15"),
        ("partial_rotary_factor", json!(2.0), "32 rotated"),
        ("partial_rotary_factor", json!(-1.0), "0 rotated"),
        ("rms_norm_eps", json!(0.0), "epsilon of 0"),
        ("rms_norm_eps", json!(1e-300), "epsilon of 0"),
        ("rope_parameters", json!({"rope_theta": 1e300}), "RoPE base of inf"),
        (
            "rope_parameters",
            json!({"rope_type": "linear", "rope_theta": 1e4}),
            "rope_parameters.factor is missing",
        ),
        ("rope_parameters", json!({"rope_type": "linear", "rope_theta": 1e4, "factor": 0.0}), "RoPE scaling"),
    ];
    for (key, value, about) in cases {
        let copy = Copy::of("llama").config(key, value);
        assert_directory_refused(&copy, MALFORMED, "config.json", about);
    }
    let not_json = Copy::of("llama").write("config.json", "{\"model_type\": ");
    assert_directory_refused(&not_json, MALFORMED, "config.json", "not JSON");
    let not_text = Copy::of("llama").write("config.json", [0xff, 0xfe]);
    assert_directory_refused(&not_text, MALFORMED, "config.json", "UTF-8");
    let deep = Copy::of("llama").write("config.json", "[".repeat(100_000));
    assert_directory_refused(&deep, MALFORMED, "config.json", "not JSON");
}

#[test]
fn llama3_scaling_needs_all_its_factors_in_order() {
    let edit = |key: &str, value: Value| {
        Copy::of("llama-llama3-rope").edit("config.json", |config| config["rope_parameters"][key] = value)
    };
    for key in ["factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings"] {
        let about = format!("rope_parameters.{key} is missing");
        assert_directory_refused(&edit(key, Value::Null), MALFORMED, "config.json", &about);
    }
    assert_directory_refused(&edit("high_freq_factor", json!(0.5)), MALFORMED, "config.json", "RoPE scaling");
}

#[test]
fn a_directory_without_one_of_its_files_says_which() {
    for file in ["config.json", "tokenizer.json", "model.safetensors"] {
        let copy = Copy::of("llama").remove(file);
        let folder = copy.path().file_name().expect("name").to_string_lossy().into_owned();
        assert_directory_refused(&copy, MALFORMED, &folder, file);
    }
    let shard = "model-00002-of-00003.safetensors";
    assert_directory_refused(&Copy::of("mistral").remove(shard), "model_io", shard, "No such file");
    let nowhere = tempfile::tempdir().expect("folder").path().join("no-such-model");
    assert_refused(&nowhere, "model_io", "no-such-model", "No such file");
}

#[test]
fn tensors_that_do_not_fit_the_configuration_are_named() {
    let index = "model.safetensors.index.json";
    let cases = [
        (Copy::of("llama").config("hidden_size", 51), "model.embed_tokens.weight"),
        (Copy::of("llama").config("vocab_size", 308), "model.embed_tokens.weight"),
        (Copy::of("llama").config("intermediate_size", 73), "mlp.gate_proj.weight"),
        (
            Copy::of("llama").config("num_hidden_layers", 3),
            "model.layers.2.input_layernorm.weight is missing",
        ),
        (Copy::of("llama").config("head_dim", 18), "self_attn.q_proj.weight"),
        (Copy::of("llama").config("num_key_value_heads", 3), "self_attn.k_proj.weight"),
        (Copy::of("llama").config("tie_word_embeddings", false), "lm_head.weight is missing"),
    ];
    for (copy, about) in cases {
        assert_directory_refused(&copy, MALFORMED, "model.safetensors", about);
    }
    let name = "model.layers.1.mlp.up_proj.weight";
    let hole = Copy::of("mistral").edit(index, |index| {
        index["weight_map"].as_object_mut().expect("map").remove(name);
    });
    assert_directory_refused(&hole, MALFORMED, index, name);
    let displaced = Copy::of("mistral").edit(index, |index| {
        let other = if index["weight_map"][name] == "model-00001-of-00003.safetensors" { 3 } else { 1 };
        index["weight_map"][name] = format!("model-0000{other}-of-00003.safetensors").into();
    });
    let (_, file, detail) = parts(&must_refuse(displaced.path()));
    assert!(file.starts_with("model-0000") && detail.contains(name), "{file}: {detail}");
}

#[test]
fn tensors_that_would_be_ignored_are_refused() {
    let fewer_layers = Copy::of("llama").config("num_hidden_layers", 1);
    assert_directory_refused(&fewer_layers, UNSUPPORTED, "model.safetensors", "model.layers.1.");
    let no_bias = Copy::of("qwen2").config("model_type", "llama").config("architectures", Value::Null);
    assert_directory_refused(&no_bias, UNSUPPORTED, "model.safetensors", "self_attn.k_proj.bias");
    let no_norm = Copy::of("qwen3").config("model_type", "llama").config("architectures", Value::Null);
    assert_directory_refused(&no_norm, UNSUPPORTED, "model.safetensors", "self_attn.k_norm.weight");
    let bias = Gguf::of("llama").add_f32("blk.0.attn_output.bias", &[0.0; 48]);
    assert_file_refused(&bias, UNSUPPORTED, "blk.0.attn_output.bias");
}

#[test]
fn an_index_cannot_point_outside_its_directory() {
    let outside = tempfile::tempdir().expect("folder");
    let shard = "model-00001-of-00003.safetensors";
    let source = Copy::of("mistral");
    fs::copy(source.file(shard), outside.path().join(shard)).expect("copy");
    let absolute = outside.path().join(shard).display().to_string();
    let relative = format!("../{}/{shard}", outside.path().file_name().expect("name").to_string_lossy());
    for place in [absolute.as_str(), &relative, "..", ".", "", "a/b", "a\\b", "./model.safetensors", "a\0b"] {
        let copy = Copy::of("mistral").edit("model.safetensors.index.json", |index| {
            for file in index["weight_map"].as_object_mut().expect("map").values_mut() {
                *file = place.into();
            }
        });
        assert_directory_refused(&copy, MALFORMED, "model.safetensors.index.json", "no file name");
    }
}

#[test]
#[cfg(unix)]
fn links_are_followed_as_in_hugging_faces_cache_and_pipes_are_not_waited_for() {
    let copy = Copy::of("llama");
    let blobs = tempfile::tempdir().expect("folder");
    let blob = blobs.path().join("blob");
    fs::rename(copy.file("model.safetensors"), &blob)
        .or_else(|_| fs::copy(copy.file("model.safetensors"), &blob).map(drop))
        .expect("move");
    let _ = fs::remove_file(copy.file("model.safetensors"));
    std::os::unix::fs::symlink(&blob, copy.file("model.safetensors")).expect("link");
    must_load(copy.path());
    let pipe = Copy::of("llama").remove("config.json");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        pipe.file("config.json"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RWXU,
        0,
    )
    .expect("pipe");
    assert_directory_refused(&pipe, MALFORMED, "config.json", "regular file");
}

#[test]
fn weights_cut_short_are_refused_wherever_they_are_cut() {
    let whole = fs::read(Copy::of("llama").file("model.safetensors")).expect("read");
    for length in [0, 4, 8, 100, whole.len() / 2, whole.len() - 1] {
        let copy = Copy::of("llama").write("model.safetensors", &whole[..length]);
        let about = if length == 0 { "empty" } else { "safetensors" };
        assert_directory_refused(&copy, MALFORMED, "model.safetensors", about);
    }
    let whole = Gguf::of("llama").bytes();
    for length in [0, 3, 4, 20, 100, 5000, whole.len() / 2, whole.len() - 64] {
        let (_folder, path) = as_file(&whole[..length]);
        let (code, file, detail) = parts(&must_refuse(&path));
        assert_eq!((code, file.as_str()), (MALFORMED, "model.gguf"), "{length}: {detail}");
    }
}

#[test]
fn vocabularies_that_the_embedding_has_no_rows_for_are_refused() {
    let more = Copy::of("llama").edit("tokenizer.json", |tokenizer| {
        let added = json!({"id": 307, "content": "<|more|>", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true});
        tokenizer["added_tokens"].as_array_mut().expect("list").push(added);
    });
    let model = must_load(more.path());
    let error = TextModel::from_loaded(&model).err().expect("a tokenizer that does not fit");
    assert_eq!((parts(&error).0, parts(&error).1.as_str()), (MALFORMED, "tokenizer.json"), "{error}");
    let tokens = vec!["a"; 308];
    assert_file_refused(
        &Gguf::of("llama").set("tokenizer.ggml.tokens", texts(&tokens)),
        MALFORMED,
        "308 tokens",
    );
    let far = Copy::of("llama").edit("generation_config.json", |config| config["eos_token_id"] = json!(307));
    let (code, _, detail) = parts(&must_refuse(far.path()));
    assert!(code == MALFORMED && detail.contains("token 307"), "{detail}");
    let far = Gguf::of("llama").set("tokenizer.ggml.eos_token_id", u32_value(307));
    assert_file_refused(&far, MALFORMED, "token 307");
}

#[test]
fn gguf_metadata_that_would_be_computed_wrongly_is_refused() {
    let llama = || Gguf::of("llama");
    let cases = [
        (llama().set("general.architecture", text("gemma3")), "gemma3"),
        (llama().set("llama.expert_count", u32_value(8)), "experts"),
        (llama().set("llama.attn_logit_softcapping", f32_value(50.0)), "attn_logit_softcapping"),
        (llama().set("llama.attention.scale", f32_value(0.1)), "attention.scale"),
        (llama().set("llama.attention.causal", bool_value(false)), "causal"),
        (llama().set("llama.attention.value_length", u32_value(8)), "values of 8"),
        (llama().set("llama.rope.scaling.type", text("yarn")), "RoPE scaling yarn"),
        (llama().set("llama.rope.scaling.attn_factor", f32_value(1.2)), "attention factor"),
        (llama().set("split.count", u32_value(3)), "split"),
        (llama().tensor("blk.0.attn_q.weight", |tensor| tensor.type_id = 6), "Q5_0"),
        (llama().tensor("blk.0.attn_q.weight", |tensor| tensor.type_id = 777), "type 777"),
    ];
    for (file, about) in cases {
        assert_file_refused(&file, UNSUPPORTED, about);
    }
    let mut old = llama();
    old.version = 1;
    assert_file_refused(&old, UNSUPPORTED, "version 1");
    old.version = 3u32.swap_bytes();
    assert_file_refused(&old, UNSUPPORTED, "big-endian");
}

#[test]
fn gguf_files_that_contradict_themselves_are_refused() {
    let llama = || Gguf::of("llama");
    let q = "blk.0.attn_q.weight";
    let cases = [
        (llama().without("general.architecture"), "general.architecture is missing"),
        (llama().without("llama.block_count"), "llama.block_count is missing"),
        (llama().without("llama.attention.layer_norm_rms_epsilon"), "layer_norm_rms_epsilon is missing"),
        (llama().set("llama.block_count", text("two")), "llama.block_count is not"),
        (llama().set("llama.block_count", u32_value(u32::MAX)), "number of layers"),
        (llama().set("llama.feed_forward_length", texts(&["1", "2"])), "llama.feed_forward_length is not"),
        (llama().set("llama.attention.head_count", u32_value(0)), "number of heads of 0"),
        (llama().set("llama.rope.dimension_count", u32_value(18)), "18 rotated"),
        (llama().set("llama.rope.freq_base", f32_value(f32::NAN)), "RoPE base of NaN"),
        (llama().set("llama.attention.layer_norm_rms_epsilon", f32_value(f32::INFINITY)), "epsilon of inf"),
        (llama().set("llama.vocab_size", u32_value(9)), "vocabulary of 9"),
        (llama().set("general.alignment", u32_value(0)), "general.alignment"),
        (llama().set("general.alignment", u32_value(24)), "general.alignment"),
        (llama().without("tokenizer.ggml.tokens"), "tokenizer"),
        (llama().set("tokenizer.ggml.token_type", u32_value(1)), "token_type is not"),
        (llama().without_tensor("token_embd.weight"), "token_embd.weight is missing"),
        (llama().without_tensor("blk.1.ffn_up.weight"), "blk.1.ffn_up.weight is missing"),
        (llama().tensor(q, |tensor| tensor.dimensions = vec![48, 24]), "blk.0.attn_q.weight has the shape"),
        (llama().tensor(q, |tensor| tensor.dimensions = vec![0, 48]), "dimension of 0"),
        (llama().tensor(q, |tensor| tensor.dimensions = vec![1 << 40, 1 << 40]), "overflows"),
        (llama().tensor(q, |tensor| tensor.dimensions = vec![1; 9]), "9 dimensions"),
        (llama().tensor(q, |tensor| tensor.type_id = 3), "no multiple of Q4_1"),
        (
            llama()
                .tensor("blk.1.ffn_up.weight", |tensor| "blk.0.ffn_up.weight".clone_into(&mut tensor.name)),
            "twice",
        ),
        (llama().add_f32("rope_freqs.weight", &[1.0; 7]), "rope_freqs.weight"),
        (llama().add_f32("rope_freqs.weight", &[0.0; 8]), "RoPE scaling"),
        (llama().add_f32("rope_freqs.weight", &[f32::NAN; 8]), "RoPE scaling"),
    ];
    for (file, about) in cases {
        assert_file_refused(&file, MALFORMED, about);
    }
}

#[test]
fn a_file_of_another_kind_is_refused() {
    let (_folder, path) = as_file(b"PK\x03\x04 something else");
    assert_refused(&path, MALFORMED, "model.gguf", "neither a GGUF file");
    let (_folder, path) = as_file(b"");
    assert_refused(&path, MALFORMED, "model.gguf", "empty");
}

#[test]
fn a_gguf_tokenizer_that_is_not_said_whole_is_refused_naming_the_key() {
    let file = |key: &str| Gguf::of("llama").without(key);
    assert_file_refused(&file("tokenizer.ggml.pre"), MALFORMED, "it has no tokenizer.ggml.pre");
    assert_file_refused(&file("tokenizer.ggml.merges"), MALFORMED, "it has no tokenizer.ggml.merges");
    let empty = Gguf::of("llama").set("tokenizer.ggml.merges", texts(&[]));
    assert_file_refused(&empty, MALFORMED, "it has no tokenizer.ggml.merges");
}
