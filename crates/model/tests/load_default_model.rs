//! The default model, when it is there.

mod default_model_support;

use attentionstore_model::weights::WeightDtype;
use attentionstore_model::{Progress, WeightsOrigin, load};

use crate::default_model_support::default_model;

#[test]
fn the_default_model_loads_with_its_shape_tokenizer_and_template() {
    let Some(path) = default_model() else {
        println!("skipped: the default model is not there");
        return;
    };
    let layers = std::cell::Cell::new(0);
    let model = load(&path, &|progress| {
        if let Progress::Layers { placed, total } = progress {
            assert!(placed <= total);
            layers.set(placed);
        }
    })
    .unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(layers.get(), 30);
    let config = &model.config;
    assert_eq!((config.layers, config.hidden, config.heads, config.kv_heads), (30, 576, 9, 3));
    assert_eq!((config.head_dim, config.rotary_dim, config.max_context), (64, 64, 8192));
    assert_eq!((config.vocab_size, config.intermediate), (49152, 1536));
    assert_eq!(config.rope_theta, 100_000.0);
    assert!(config.tied_embeddings && !config.qkv_bias && !config.qk_norm);
    assert_eq!(model.quantisation, "Q4_1+Q8_0");
    assert_eq!(model.weights.embedding.dtype, WeightDtype::Q8_0);
    assert_eq!(model.weights_origin, WeightsOrigin::Files(vec![path]));
    assert_eq!(model.generation.eos_ids, [2]);
    assert_eq!(model.text.eos_token.as_deref(), Some("<|im_end|>"));
    assert!(model.text.chat_template.is_some_and(|template| template.contains("add_generation_prompt")));
}
