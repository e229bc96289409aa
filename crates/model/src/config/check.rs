//! What must hold of every configuration, whatever file it came from.

use std::path::Path;

use super::{ModelConfig, RopeScaling};
use crate::error::ModelError;

/// Far above any model, far below where a product of two overflows.
const MAX_DIMENSION: usize = 1 << 28;

/// Refuses dimensions that are zero, absurd or do not fit each other, and parameters that are no positive numbers.
/// After it, products of any two dimensions fit `usize`.
pub(crate) fn check_config(path: &Path, config: &ModelConfig) -> Result<(), ModelError> {
    let problem = dimension_problem(config).or_else(|| rope_problem(config));
    match problem {
        None => Ok(()),
        Some(detail) => Err(ModelError::malformed(path, detail)),
    }
}

fn dimension_problem(config: &ModelConfig) -> Option<String> {
    let dimensions = [
        ("vocabulary", config.vocab_size),
        ("hidden size", config.hidden),
        ("intermediate size", config.intermediate),
        ("number of layers", config.layers),
        ("number of heads", config.heads),
        ("number of KV heads", config.kv_heads),
        ("head dimension", config.head_dim),
        ("context length", config.max_context),
    ];
    if let Some((what, value)) =
        dimensions.into_iter().find(|&(_, value)| value == 0 || value > MAX_DIMENSION)
    {
        return Some(format!("the {what} of {value} is out of range"));
    }
    if !config.heads.is_multiple_of(config.kv_heads) {
        return Some(format!("{} heads cannot share {} KV heads", config.heads, config.kv_heads));
    }
    if config.rotary_dim == 0 || !config.rotary_dim.is_multiple_of(2) || config.rotary_dim > config.head_dim {
        return Some(format!(
            "{} rotated elements do not fit heads of {}",
            config.rotary_dim, config.head_dim
        ));
    }
    None
}

fn rope_problem(config: &ModelConfig) -> Option<String> {
    let positive = |value: f32| value.is_finite() && value > 0.0;
    if !positive(config.rms_eps) {
        return Some(format!("the norm epsilon of {} is not a positive number", config.rms_eps));
    }
    if !positive(config.rope_theta) {
        return Some(format!("the RoPE base of {} is not a positive number", config.rope_theta));
    }
    let sound = match &config.rope_scaling {
        RopeScaling::None => true,
        RopeScaling::Linear { factor } => positive(*factor),
        RopeScaling::Divisors(divisors) => divisors.iter().all(|&divisor| positive(divisor)),
        RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => {
            [*factor, *low_freq_factor, *high_freq_factor].into_iter().all(positive)
                && low_freq_factor < high_freq_factor
                && (1..=MAX_DIMENSION).contains(original_max_position)
        }
    };
    (!sound).then(|| "RoPE scaling has parameters out of range".to_owned())
}
