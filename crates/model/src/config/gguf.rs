//! A model's shape out of GGUF metadata.

use super::check::check_config;
use super::{Architecture, ModelConfig, RopeScaling};
use crate::error::ModelError;
use crate::weights::assemble::Convention;
use crate::weights::dequantize::dequantize;
use crate::weights::gguf::GgufFile;
use crate::weights::store::TensorStore;
use crate::weights::{Tensor, WeightDtype};

/// Base of the frequencies where the file says nothing.
const DEFAULT_ROPE_THETA: f32 = 10_000.0;

/// Keys under the architecture's name that stand for computations we do not have.
const UNSUPPORTED_IF_PRESENT: [&str; 12] = [
    "attention.scale",
    "attention.output_scale",
    "attention.temperature_scale",
    "swiglu_clamp_exp",
    "attention.clamp_kqv",
    "attention.max_alibi_bias",
    "attention.layer_norm_epsilon",
    "attn_logit_softcapping",
    "final_logit_softcapping",
    "logit_scale",
    "embedding_scale",
    "residual_scale",
];

/// Reads metadata under the architecture's prefix.
struct Keys<'a> {
    file: &'a GgufFile,
    prefix: &'static str,
}

impl Keys<'_> {
    fn full(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn count(&self, key: &str) -> Result<Option<usize>, ModelError> {
        let full = self.full(key);
        let count = self.file.u64(&full)?.map(usize::try_from).transpose();
        count
            .map_err(|_| ModelError::malformed(self.file.path(), format!("metadata key {full} is too large")))
    }

    fn needed_count(&self, key: &str) -> Result<usize, ModelError> {
        self.count(key)?.ok_or_else(|| self.missing(key))
    }

    fn number(&self, key: &str) -> Result<Option<f32>, ModelError> {
        self.file.f32(&self.full(key))
    }

    fn missing(&self, key: &str) -> ModelError {
        ModelError::malformed(self.file.path(), format!("metadata key {} is missing", self.full(key)))
    }
}

/// Reads the configuration of an opened file. `name` is what the model is called.
///
/// # Errors
/// `Unsupported` for anything that would be computed wrongly, `Malformed` for what contradicts itself.
pub(crate) fn read_config(file: &GgufFile, name: &str) -> Result<(ModelConfig, Convention), ModelError> {
    let (architecture, prefix) = architecture(file)?;
    let keys = Keys { file, prefix };
    refuse_unsupported(&keys)?;
    let convention = Convention::Gguf { interleaved_heads: architecture == Architecture::Llama };
    let (hidden, heads) =
        (keys.needed_count("embedding_length")?, keys.needed_count("attention.head_count")?);
    let head_dim = head_dim(&keys, hidden, heads)?;
    let rotary_dim = keys.count("rope.dimension_count")?.unwrap_or(head_dim);
    let trained_context = keys.needed_count("context_length")?;
    let window = keys.count("attention.sliding_window")?.filter(|&window| window > 0);
    let config = ModelConfig {
        architecture,
        name: name.to_owned(),
        vocab_size: vocab_size(&keys, convention)?,
        hidden,
        intermediate: keys.needed_count("feed_forward_length")?,
        layers: keys.needed_count("block_count")?,
        heads,
        kv_heads: keys.count("attention.head_count_kv")?.unwrap_or(heads),
        head_dim,
        rms_eps: keys
            .number("attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| keys.missing("attention.layer_norm_rms_epsilon"))?,
        rope_theta: keys.number("rope.freq_base")?.unwrap_or(DEFAULT_ROPE_THETA),
        rope_scaling: read_scaling(&keys, rotary_dim)?,
        rotary_dim,
        max_context: window.map_or(trained_context, |window| window.min(trained_context)),
        capped_by_sliding_window: window.is_some_and(|window| window < trained_context),
        tied_embeddings: file.find(convention.head())?.is_none(),
        qkv_bias: architecture == Architecture::Qwen2,
        qk_norm: architecture == Architecture::Qwen3,
    };
    check_config(file.path(), &config)?;
    Ok((config, convention))
}

fn architecture(file: &GgufFile) -> Result<(Architecture, &'static str), ModelError> {
    match file.text("general.architecture")? {
        // Mistral models are stored under this name too; nothing tells them apart but the window.
        Some("llama") => Ok((Architecture::Llama, "llama")),
        Some("qwen2") => Ok((Architecture::Qwen2, "qwen2")),
        Some("qwen3") => Ok((Architecture::Qwen3, "qwen3")),
        Some(other) => {
            let detail = format!("architecture {other} is not supported (llama, qwen2 and qwen3 are)");
            Err(ModelError::unsupported(file.path(), detail))
        }
        None => Err(ModelError::malformed(file.path(), "metadata key general.architecture is missing")),
    }
}

fn refuse_unsupported(keys: &Keys<'_>) -> Result<(), ModelError> {
    let refuse =
        |what: String| Err(ModelError::unsupported(keys.file.path(), format!("{what} is not supported")));
    for key in UNSUPPORTED_IF_PRESENT {
        if keys.file.has(&keys.full(key)) {
            return refuse(format!("metadata key {}", keys.full(key)));
        }
    }
    if keys.count("expert_count")?.is_some_and(|experts| experts > 0) {
        return refuse("a mixture of experts".to_owned());
    }
    let causal = keys.file.bool(&keys.full("attention.causal"))?;
    let parallel = keys.file.bool(&keys.full("use_parallel_residual"))?;
    match (causal, parallel) {
        (Some(false), _) => refuse("attention that is not causal".to_owned()),
        (_, Some(true)) => refuse("a parallel residual".to_owned()),
        _ => Ok(()),
    }
}

fn head_dim(keys: &Keys<'_>, hidden: usize, heads: usize) -> Result<usize, ModelError> {
    let head_dim = match keys.count("attention.key_length")? {
        Some(head_dim) => head_dim,
        None if heads > 0 && hidden.is_multiple_of(heads) => hidden / heads,
        None => {
            let detail = format!("embedding length {hidden} is no multiple of {heads} heads");
            return Err(ModelError::malformed(keys.file.path(), detail));
        }
    };
    match keys.count("attention.value_length")? {
        Some(value_length) if value_length != head_dim => {
            let detail = format!("values of {value_length} beside keys of {head_dim} elements a head");
            Err(ModelError::unsupported(keys.file.path(), detail))
        }
        _ => Ok(head_dim),
    }
}

/// The embedding's rows, which are what token ids are held against.
fn vocab_size(keys: &Keys<'_>, convention: Convention) -> Result<usize, ModelError> {
    let name = convention.embedding();
    let Some(embedding) = keys.file.find(name)? else {
        return Err(ModelError::malformed(keys.file.path(), format!("tensor {name} is missing")));
    };
    let rows = embedding.shape[0];
    match keys.count("vocab_size")? {
        Some(said) if said != rows => {
            let detail = format!("{name} has {rows} rows, metadata says a vocabulary of {said}");
            Err(ModelError::malformed(keys.file.path(), detail))
        }
        _ => Ok(rows),
    }
}

fn read_scaling(keys: &Keys<'_>, rotary_dim: usize) -> Result<RopeScaling, ModelError> {
    let unsupported = |detail: String| Err(ModelError::unsupported(keys.file.path(), detail));
    if keys.number("rope.scaling.attn_factor")?.is_some_and(|factor| factor != 1.0) {
        return unsupported("a RoPE attention factor is not supported".to_owned());
    }
    let linear = match keys.file.text(&keys.full("rope.scaling.type"))? {
        Some("none") => None,
        Some("linear") => {
            Some(keys.number("rope.scaling.factor")?.ok_or_else(|| keys.missing("rope.scaling.factor"))?)
        }
        Some(other) => return unsupported(format!("RoPE scaling {other} is not supported")),
        // Files of 2023 know only linear scaling, under another name.
        None => keys.number("rope.scale_linear")?,
    };
    let scaling = linear.map_or(RopeScaling::None, |factor| RopeScaling::Linear { factor });
    match (read_divisors(keys, rotary_dim)?, scaling) {
        (None, scaling) => Ok(scaling),
        (Some(divisors), RopeScaling::None) => Ok(RopeScaling::Divisors(divisors)),
        (Some(_), _) => {
            unsupported("rope_freqs.weight beside linear RoPE scaling is not supported".to_owned())
        }
    }
}

/// Where converters put the scaling of Llama 3.1 and later: divisors of the frequencies, one for each.
fn read_divisors(keys: &Keys<'_>, rotary_dim: usize) -> Result<Option<Vec<f32>>, ModelError> {
    let name = "rope_freqs.weight";
    let Some(stored) = keys.file.find(name)? else { return Ok(None) };
    if stored.dtype != WeightDtype::F32 || stored.shape != [rotary_dim / 2] {
        let detail = format!(
            "tensor {name} is {:?} of {}, expected [{}] of F32",
            stored.shape,
            stored.dtype,
            rotary_dim / 2
        );
        return Err(ModelError::malformed(keys.file.path(), detail));
    }
    let tensor = Tensor {
        name: name.to_owned(),
        dtype: stored.dtype,
        rows: 1,
        columns: rotary_dim / 2,
        bytes: stored.bytes,
    };
    let mut divisors = vec![0.0; tensor.columns];
    dequantize(tensor.dtype, tensor.bytes(), &mut divisors);
    Ok(Some(divisors))
}
