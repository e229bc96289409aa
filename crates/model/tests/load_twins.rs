//! A Hugging Face directory and its GGUF twin are the same model: what the architectures and containers do
//! differently is gone after loading.

mod fixtures;

use attentionstore_model::config::{Architecture, RopeScaling};
use attentionstore_model::loader::TokenizerSource;
use attentionstore_model::text::TextModel;
use attentionstore_model::weights::{ModelWeights, Tensor, WeightDtype};
use attentionstore_model::{LoadedModel, WeightsOrigin};

use crate::fixtures::gguf::{Gguf, f32_value, i32_value, text, u32_value};
use crate::fixtures::{Copy, QUANTISED, TWINS, as_file, gguf_file, hugging_face, must_load};

/// Which part of the model a tensor is, whatever its container calls it, and what it holds.
fn values(weights: &ModelWeights) -> Vec<(usize, usize, Vec<f32>)> {
    weights.tensors().map(|tensor: &Tensor| (tensor.rows, tensor.columns, tensor.dequantize())).collect()
}

#[test]
fn twins_have_the_same_weights_to_the_bit_with_q_and_k_rows_in_the_same_order() {
    for name in TWINS {
        let (directory, file) = (must_load(&hugging_face(name)), must_load(&gguf_file(name)));
        assert_eq!(values(&directory.weights), values(&file.weights), "{name}");
    }
}

#[test]
fn twins_have_the_same_configuration() {
    for name in TWINS {
        let (directory, file) = (must_load(&hugging_face(name)), must_load(&gguf_file(name)));
        let (mut wanted, given) = (directory.config, file.config);
        assert!(given.name.starts_with("Tiny"), "{name}");
        wanted.name.clone_from(&given.name);
        if wanted.architecture == Architecture::Mistral {
            wanted.architecture = Architecture::Llama;
        }
        if name == "llama-llama3-rope" {
            // The same frequencies in two notations.
            for (ours, theirs) in wanted.inverse_frequencies().iter().zip(given.inverse_frequencies()) {
                assert!((ours - theirs).abs() <= 2e-7 * ours.abs(), "{ours} {theirs}");
            }
            assert!(matches!(wanted.rope_scaling, RopeScaling::Llama3 { .. }));
            assert!(matches!(&given.rope_scaling, RopeScaling::Divisors(divisors) if divisors.len() == 12));
            wanted.rope_scaling = given.rope_scaling.clone();
        }
        assert_eq!(wanted, given, "{name}");
        assert_eq!(wanted.identity(), given.identity(), "{name}");
    }
}

#[test]
fn twins_tokenise_and_end_answers_alike() {
    for name in TWINS {
        let texts = [must_load(&hugging_face(name)), must_load(&gguf_file(name))]
            .map(|model| TextModel::from_loaded(&model).unwrap_or_else(|error| panic!("{name}: {error}")));
        let [directory, file] = texts.map(|text| {
            let encode =
                |prompt| text.tokenizer.encode_prompt(prompt, attentionstore_model::text::Specials::Plain);
            let tokens = ["The keys and values, 1234 <|im_end|>", "", " ünï\n\t"].map(encode);
            (tokens, text.end_tokens.clone(), text.template.is_some())
        });
        assert_eq!(directory, file, "{name}");
        assert!(file.2, "{name} has a template");
    }
}

#[test]
fn every_architecture_has_its_shape_and_its_own_parts() {
    let shapes = TWINS.map(|name| {
        let config = must_load(&hugging_face(name)).config;
        let scaled = config.rope_scaling != RopeScaling::None;
        (
            config.architecture,
            config.tied_embeddings,
            config.qkv_bias,
            config.qk_norm,
            config.head_dim,
            scaled,
        )
    });
    assert_eq!(
        shapes,
        [
            (Architecture::Llama, true, false, false, 16, false),
            (Architecture::Llama, false, false, false, 24, true),
            (Architecture::Llama, false, false, false, 12, true),
            (Architecture::Mistral, false, false, false, 14, false),
            (Architecture::Qwen2, true, true, false, 8, false),
            (Architecture::Qwen3, true, false, true, 20, false),
        ]
    );
}

#[test]
fn a_sharded_directory_names_all_its_files() {
    let model = must_load(&hugging_face("mistral"));
    let WeightsOrigin::Files(files) = &model.weights_origin else { panic!("{:?}", model.weights_origin) };
    let names: Vec<_> = files.iter().filter_map(|path| path.file_name()?.to_str()).collect();
    let wanted = [1, 2, 3].map(|shard| format!("model-0000{shard}-of-00003.safetensors"));
    assert_eq!(names, wanted);
}

#[test]
fn stored_formats_are_named_most_weights_first() {
    let quantisation = |path: &std::path::Path| must_load(path).quantisation;
    assert_eq!(quantisation(&hugging_face("qwen2")), "BF16");
    assert_eq!(quantisation(&gguf_file("qwen2")), "F16");
    assert_eq!(quantisation(&gguf_file(QUANTISED[0])), "Q8_0+Q4_1+F16+Q4_0");
    assert_eq!(quantisation(&gguf_file(QUANTISED[1])), "Q4_K+Q6_K+Q5_K");
}

#[test]
fn rows_of_quantised_heads_are_moved_whole() {
    let model = must_load(&gguf_file("llama-q8-q4"));
    let layer = &model.weights.layers[0];
    assert_eq!((layer.q.dtype, layer.q.rows, layer.q.columns), (WeightDtype::Q8_0, 64, 64));
    let stored = Gguf::of("llama-q8-q4");
    let stored = stored.tensors.iter().find(|tensor| tensor.name == "blk.0.attn_q.weight").expect("tensor");
    // Heads of 16: row 1 is stored at 2, row 8 (the second half's first) at 1, of the second head 16 further on.
    for (row, place) in [(0, 0), (1, 2), (8, 1), (15, 15), (16 + 9, 16 + 3)] {
        assert_eq!(layer.q.row(row), &stored.bytes[place * 68..(place + 1) * 68], "row {row}");
    }
}

#[test]
fn a_sliding_window_caps_the_context_and_says_so() {
    let capped = |model: LoadedModel| (model.config.max_context, model.config.capped_by_sliding_window);
    assert_eq!(capped(must_load(&hugging_face("mistral"))), (256, true));
    assert_eq!(capped(must_load(&gguf_file("mistral"))), (256, true));
    let off = Copy::of("mistral").config("sliding_window", serde_json::Value::Null);
    assert_eq!(capped(must_load(off.path())), (512, false), "null switches it off");
    let absent = Copy::of("mistral")
        .edit("config.json", |config| drop(config.as_object_mut().expect("object").remove("sliding_window")))
        .config("max_position_embeddings", 8192);
    assert_eq!(capped(must_load(absent.path())), (4096, true), "absent means transformers' 4096");
    let wide = Copy::of("mistral").config("sliding_window", 512);
    assert_eq!(capped(must_load(wide.path())), (512, false), "as wide as the context");
}

#[test]
fn a_window_that_qwen_does_not_use_caps_nothing() {
    let capped = |copy: &Copy| must_load(copy.path()).config.max_context;
    assert_eq!(capped(&Copy::of("qwen2")), 512);
    let used = || {
        Copy::of("qwen2")
            .config("use_sliding_window", true)
            .config("sliding_window", 64)
            .edit("config.json", |config| drop(config.as_object_mut().expect("object").remove("layer_types")))
    };
    assert_eq!(capped(&used().config("max_window_layers", 1)), 64);
    assert_eq!(capped(&used().config("max_window_layers", 2)), 512, "no layer slides");
    let types = serde_json::json!(["full_attention", "sliding_attention"]);
    assert_eq!(capped(&used().config("max_window_layers", 2).config("layer_types", types)), 64);
}

#[test]
fn files_of_version_2_and_of_the_older_linear_key_load() {
    let mut file = Gguf::of("llama-linear-rope")
        .without("llama.rope.scaling.type")
        .without("llama.rope.scaling.factor")
        .set("llama.rope.scale_linear", f32_value(4.0));
    file.version = 2;
    let (_folder, path) = as_file(&file.bytes());
    assert_eq!(must_load(&path).config.rope_scaling, RopeScaling::Linear { factor: 4.0 });
}

#[test]
fn an_alignment_of_its_own_is_followed() {
    let file = Gguf::of("llama").set("general.alignment", u32_value(8));
    // The writer pads to 32, which is a multiple of 8 for every offset; only the start of the data moves.
    let mut bytes = file.bytes();
    let header = bytes.len() - file.tensors.iter().map(|t| t.bytes.len().next_multiple_of(32)).sum::<usize>();
    let unpadded = (header - 31..=header)
        .find(|end| bytes[*end..header].iter().all(|&byte| byte == 0))
        .expect("padding")
        .next_multiple_of(8);
    bytes.drain(unpadded..header);
    let (_folder, path) = as_file(&bytes);
    assert_eq!(values(&must_load(&path).weights), values(&must_load(&gguf_file("llama")).weights));
}

#[test]
fn a_partial_rotary_is_read_and_only_its_rows_are_put_in_order() {
    let (_folder, path) = as_file(&Gguf::of("llama").set("llama.rope.dimension_count", u32_value(8)).bytes());
    let model = must_load(&path);
    assert_eq!(model.config.rotary_dim, 8);
    let full = must_load(&gguf_file("llama"));
    let (partial, stored) = (&model.weights.layers[0].q, Gguf::of("llama"));
    let stored = stored.tensors.iter().find(|tensor| tensor.name == "blk.0.attn_q.weight").expect("tensor");
    for (row, place) in [(1, 2), (4, 1), (7, 7), (8, 8), (13, 13)] {
        assert_eq!(partial.row(row), &stored.bytes[place * 192..(place + 1) * 192], "row {row}");
    }
    assert_eq!(model.weights.layers[0].v.bytes(), full.weights.layers[0].v.bytes());
    let copy = Copy::of("llama").config("partial_rotary_factor", 0.5);
    assert_eq!(must_load(copy.path()).config.rotary_dim, 8);
}

#[test]
fn names_come_from_metadata_or_from_the_path() {
    let (_folder, path) = as_file(&Gguf::of("llama").set("general.name", text("  ")).bytes());
    assert_eq!(must_load(&path).config.name, "model");
    assert_eq!(must_load(&hugging_face("llama")).config.name, "hf");
}

#[test]
fn generation_defaults_come_from_their_file_and_fall_back_to_the_configuration() {
    let model = must_load(&hugging_face("qwen3"));
    assert_eq!((model.generation.eos_ids, model.generation.bos_id), (vec![0, 2], Some(1)));
    assert_eq!((model.generation.temperature, model.generation.top_p), (Some(0.7), Some(0.9)));
    let without = Copy::of("qwen3").remove("generation_config.json");
    let model = must_load(without.path());
    assert_eq!((model.generation.eos_ids, model.generation.temperature), (vec![2], None));
    let sampling = Gguf::of("qwen3")
        .set("general.sampling.temp", f32_value(0.5))
        .set("general.sampling.top_k", u32_value(40))
        .set("tokenizer.ggml.eot_token_id", u32_value(0));
    let (_folder, path) = as_file(&sampling.bytes());
    let generation = must_load(&path).generation;
    assert_eq!((generation.eos_ids, generation.bos_id), (vec![0, 2], Some(1)));
    assert_eq!((generation.temperature, generation.top_k), (Some(0.5), Some(40)));
    assert_eq!((generation.min_p, generation.repetition_penalty), (None, None));
}

#[test]
fn every_sampling_default_is_read_from_either_format() {
    let named = Copy::of("llama").edit("generation_config.json", |config| {
        config["top_k"] = serde_json::json!(-1);
        config["min_p"] = serde_json::json!(0.05);
        config["repetition_penalty"] = serde_json::json!(1.1);
    });
    let sampling = Gguf::of("llama")
        .set("general.sampling.top_k", i32_value(-1))
        .set("general.sampling.min_p", f32_value(0.05))
        .set("general.sampling.penalty_repeat", f32_value(1.1));
    let (_folder, path) = as_file(&sampling.bytes());
    for generation in [must_load(named.path()).generation, must_load(&path).generation] {
        assert_eq!(generation.top_k, Some(0));
        assert_eq!((generation.min_p, generation.repetition_penalty), (Some(0.05), Some(1.1)));
    }
}

#[test]
fn the_chat_template_is_found_wherever_it_is_kept() {
    let templates = ["llama", "llama-llama3-rope", "mistral"].map(|name| {
        let text = must_load(&hugging_face(name)).text;
        assert!(matches!(text.tokenizer, TokenizerSource::HuggingFace { .. }));
        assert_eq!(
            (text.bos_token.as_deref(), text.eos_token.as_deref()),
            (Some("<|im_start|>"), Some("<|im_end|>"))
        );
        text.chat_template.expect("a template")
    });
    assert_eq!(templates[0], templates[1], "the default of a list");
    assert_eq!(templates[0], templates[2], "a file of its own");
    assert_eq!(must_load(&gguf_file("llama")).text.chat_template.as_ref(), Some(&templates[0]));
}
