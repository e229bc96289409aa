//! A model's shape, normalised from `config.json` or GGUF metadata.

mod check;
pub(crate) mod gguf;
pub(crate) mod huggingface;
mod identity;
pub(crate) mod json;

/// The architectures that are computed. Anything else is refused by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    Llama,
    Mistral,
    Qwen2,
    Qwen3,
}

/// How inverse frequencies depart from `theta^(-2i/d)`. What depends on the current length (dynamic NTK,
/// longrope) and YaRN are refused when the configuration is read.
#[derive(Clone, Debug, PartialEq)]
pub enum RopeScaling {
    None,
    Linear {
        factor: f32,
    },
    Llama3 {
        factor: f32,
        low_freq_factor: f32,
        high_freq_factor: f32,
        original_max_position: usize,
    },
    /// Divisors per frequency, as Llama-3.1 GGUF files carry them in `rope_freqs.weight`; `head_dim / 2` long.
    Divisors(Vec<f32>),
}

/// Everything the forward pass needs to know, in one place. Dimensions are counts of elements.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelConfig {
    pub architecture: Architecture,
    pub name: String,
    pub vocab_size: usize,
    pub hidden: usize,
    pub intermediate: usize,
    pub layers: usize,
    pub heads: usize,
    pub kv_heads: usize,
    pub head_dim: usize,
    pub rms_eps: f32,
    pub rope_theta: f32,
    pub rope_scaling: RopeScaling,
    /// Elements of a head that are rotated; `head_dim` unless the model's rotary is partial.
    pub rotary_dim: usize,
    /// Longest context in tokens: the model's, capped by an active sliding window.
    pub max_context: usize,
    /// Set when `max_context` was capped by a sliding window, to be said at start.
    pub capped_by_sliding_window: bool,
    pub tied_embeddings: bool,
    pub qkv_bias: bool,
    pub qk_norm: bool,
}

impl ModelConfig {
    /// Inverse frequencies in f32 as transformers computes them, `rotary_dim / 2` long. Rotation tables are
    /// made from these in f64.
    pub fn inverse_frequencies(&self) -> Vec<f32> {
        let half = self.rotary_dim / 2;
        let base = (0..half)
            .map(|i| 1.0 / self.rope_theta.powf((2 * i) as f32 / self.rotary_dim as f32))
            .collect::<Vec<f32>>();
        match &self.rope_scaling {
            RopeScaling::None => base,
            RopeScaling::Linear { factor } => base.iter().map(|f| f / factor).collect(),
            RopeScaling::Divisors(divisors) => base.iter().zip(divisors).map(|(f, d)| f / d).collect(),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => {
                let original = *original_max_position as f32;
                let (low, high) = (original / low_freq_factor, original / high_freq_factor);
                base.iter()
                    .map(|&f| {
                        let wavelength = 2.0 * std::f32::consts::PI / f;
                        if wavelength < high {
                            f
                        } else if wavelength > low {
                            f / factor
                        } else {
                            let smooth = (original / wavelength - low_freq_factor)
                                / (high_freq_factor - low_freq_factor);
                            (1.0 - smooth) * f / factor + smooth * f
                        }
                    })
                    .collect()
            }
        }
    }
}
