//! `config.json` of a Hugging Face directory, as transformers 4 and 5 write it.

use std::path::Path;

use serde_json::Value;

use super::check::check_config;
use super::json::Fields;
use super::{Architecture, ModelConfig, RopeScaling};
use crate::error::ModelError;

/// What transformers uses where the file says nothing.
const DEFAULT_ROPE_THETA: f64 = 10_000.0;
const DEFAULT_RMS_EPS: f64 = 1e-6;
const DEFAULT_MISTRAL_WINDOW: usize = 4096;

/// Keys that stand for computations we do not have, unless absent, null or false.
const UNSUPPORTED_IF_SET: [&str; 12] = [
    "quantization_config",
    "rope_interleaved",
    "attention_bias",
    "mlp_bias",
    "num_experts",
    "num_local_experts",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "attention_multiplier",
    "logits_scaling",
    "embedding_multiplier",
    "residual_multiplier",
];

/// Reads `config.json`. `name` is what the model is called.
///
/// # Errors
/// `Unsupported` for anything that would be computed wrongly, `Malformed` for what contradicts itself.
pub(crate) fn read_config(path: &Path, name: &str) -> Result<(ModelConfig, Fields), ModelError> {
    let fields = Fields::read(path)?;
    Ok((read_fields(&fields, name)?, fields))
}

/// As [`read_config`], from fields that were read already.
///
/// # Errors
/// As [`read_config`].
pub(crate) fn read_fields(fields: &Fields, name: &str) -> Result<ModelConfig, ModelError> {
    let architecture = architecture(fields)?;
    refuse_unsupported(fields)?;
    let (hidden, heads) = (fields.needed_count("hidden_size")?, fields.needed_count("num_attention_heads")?);
    let layers = fields.needed_count("num_hidden_layers")?;
    let head_dim = head_dim(fields, hidden, heads)?;
    let rope = read_rope(fields, head_dim)?;
    let trained_context = fields.needed_count("max_position_embeddings")?;
    let window = active_window(fields, architecture, layers)?;
    let config = ModelConfig {
        architecture,
        name: name.to_owned(),
        vocab_size: fields.needed_count("vocab_size")?,
        hidden,
        intermediate: fields.needed_count("intermediate_size")?,
        layers,
        heads,
        kv_heads: kv_heads(fields, architecture, heads)?,
        head_dim,
        rms_eps: fields.number("rms_norm_eps")?.unwrap_or(DEFAULT_RMS_EPS) as f32,
        rope_theta: rope.theta,
        rope_scaling: rope.scaling,
        rotary_dim: rope.rotary_dim,
        max_context: window.map_or(trained_context, |window| window.min(trained_context)),
        capped_by_sliding_window: window.is_some_and(|window| window < trained_context),
        tied_embeddings: fields.flag("tie_word_embeddings")?,
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
    };
    check_config(fields.path(), &config)?;
    Ok(config)
}

fn architecture(fields: &Fields) -> Result<Architecture, ModelError> {
    let (architecture, class) = match fields.text("model_type")? {
        Some("llama") => (Architecture::Llama, "LlamaForCausalLM"),
        Some("mistral") => (Architecture::Mistral, "MistralForCausalLM"),
        Some("qwen2") => (Architecture::Qwen2, "Qwen2ForCausalLM"),
        Some("qwen3") => (Architecture::Qwen3, "Qwen3ForCausalLM"),
        Some(other) => {
            let detail = format!("model_type {other} is not supported (llama, mistral, qwen2 and qwen3 are)");
            return Err(ModelError::unsupported(fields.path(), detail));
        }
        None => return Err(ModelError::malformed(fields.path(), "model_type is missing")),
    };
    // A classifier or reward model has the same body and another head.
    let classes = fields.get("architectures").and_then(Value::as_array);
    match classes.and_then(|classes| classes.first()).and_then(Value::as_str) {
        Some(other) if other != class => {
            Err(ModelError::unsupported(fields.path(), format!("architecture {other} is not supported")))
        }
        _ => Ok(architecture),
    }
}

fn refuse_unsupported(fields: &Fields) -> Result<(), ModelError> {
    for key in UNSUPPORTED_IF_SET {
        if fields.get(key).is_some_and(|value| value != &Value::Bool(false)) {
            return Err(ModelError::unsupported(fields.path(), format!("{key} is not supported")));
        }
    }
    match fields.text("hidden_act")? {
        None | Some("silu" | "swish") => Ok(()),
        Some(other) => Err(ModelError::unsupported(
            fields.path(),
            format!("hidden_act {other} is not supported (silu is)"),
        )),
    }
}

fn head_dim(fields: &Fields, hidden: usize, heads: usize) -> Result<usize, ModelError> {
    match fields.count("head_dim")? {
        Some(head_dim) => Ok(head_dim),
        None if heads > 0 && hidden.is_multiple_of(heads) => Ok(hidden / heads),
        None => {
            let detail = format!("hidden_size {hidden} is no multiple of num_attention_heads {heads}");
            Err(ModelError::malformed(fields.path(), detail))
        }
    }
}

/// Only Llama has a default that does not depend on the transformers version at hand.
fn kv_heads(fields: &Fields, architecture: Architecture, heads: usize) -> Result<usize, ModelError> {
    match architecture {
        Architecture::Llama => Ok(fields.count("num_key_value_heads")?.unwrap_or(heads)),
        _ => fields.needed_count("num_key_value_heads"),
    }
}

/// The window of the layers that have one, `None` if every layer sees everything.
fn active_window(
    fields: &Fields,
    architecture: Architecture,
    layers: usize,
) -> Result<Option<usize>, ModelError> {
    let window = fields.count("sliding_window")?;
    let absent = !fields.values().any(|(key, _)| key == "sliding_window");
    match architecture {
        Architecture::Llama => Ok(None),
        // Unlike everywhere else, absent and null differ here: null switches the window off.
        Architecture::Mistral if absent => Ok(Some(DEFAULT_MISTRAL_WINDOW)),
        Architecture::Mistral => Ok(window),
        Architecture::Qwen2 | Architecture::Qwen3 => {
            let used = fields.flag("use_sliding_window")? && some_layer_slides(fields, layers)?;
            Ok(window.filter(|_| used))
        }
    }
}

fn some_layer_slides(fields: &Fields, layers: usize) -> Result<bool, ModelError> {
    if let Some(types) = fields.get("layer_types").and_then(Value::as_array) {
        return Ok(types.iter().any(|layer| layer.as_str() == Some("sliding_attention")));
    }
    Ok(fields.count("max_window_layers")?.is_none_or(|first| first < layers))
}

struct Rope {
    theta: f32,
    scaling: RopeScaling,
    rotary_dim: usize,
}

/// transformers 5 keeps everything in `rope_parameters`, 4 theta at the top and the rest in `rope_scaling`.
fn read_rope(fields: &Fields, head_dim: usize) -> Result<Rope, ModelError> {
    let source = match fields.object("rope_parameters")? {
        Some(parameters) => Some(parameters),
        None => fields.object("rope_scaling")?,
    };
    let inner_number = |key: &str| source.as_ref().map_or(Ok(None), |source| source.number(key));
    let theta = match inner_number("rope_theta")? {
        Some(theta) => theta,
        None => fields.number("rope_theta")?.unwrap_or(DEFAULT_ROPE_THETA),
    };
    let partial = match inner_number("partial_rotary_factor")? {
        Some(factor) => Some(factor),
        None => fields.number("partial_rotary_factor")?,
    };
    let scaling = source.as_ref().map_or(Ok(RopeScaling::None), read_scaling)?;
    // `as` saturates, and the checks on the whole configuration refuse what is left of nonsense.
    let rotary_dim = partial.map_or(head_dim, |factor| (head_dim as f64 * factor) as usize);
    Ok(Rope { theta: theta as f32, scaling, rotary_dim })
}

fn read_scaling(source: &Fields) -> Result<RopeScaling, ModelError> {
    if source.values().any(|(_, value)| value.is_object()) {
        return Err(ModelError::unsupported(source.path(), "RoPE parameters that differ between layers"));
    }
    let kind = match source.text("rope_type")? {
        Some(kind) => Some(kind),
        None => source.text("type")?,
    };
    match kind {
        None | Some("default") => Ok(RopeScaling::None),
        Some("linear") => Ok(RopeScaling::Linear { factor: source.needed_number("factor")? as f32 }),
        Some("llama3") => Ok(RopeScaling::Llama3 {
            factor: source.needed_number("factor")? as f32,
            low_freq_factor: source.needed_number("low_freq_factor")? as f32,
            high_freq_factor: source.needed_number("high_freq_factor")? as f32,
            original_max_position: source.needed_count("original_max_position_embeddings")?,
        }),
        Some(other) => {
            let detail = format!("RoPE scaling {other} is not supported (linear and llama3 are)");
            Err(ModelError::unsupported(source.path(), detail))
        }
    }
}
