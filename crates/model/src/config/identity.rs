//! The configuration as part of a KV block's identity.

use std::fmt::Write;

use super::{ModelConfig, RopeScaling};

impl ModelConfig {
    /// Everything that changes the bits of K and V beside the weights themselves, one `key=value` a line in a fixed
    /// order. Floats are their bits in hexadecimal: two configurations give the same text only if they compute the
    /// same. Name, context length and tying are left out, since keys and values do not depend on them.
    pub fn identity(&self) -> String {
        let mut text = String::new();
        let mut line = |key: &str, value: String| {
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{key}={value}");
        };
        for (key, value) in [
            ("vocab_size", self.vocab_size),
            ("hidden", self.hidden),
            ("intermediate", self.intermediate),
            ("layers", self.layers),
            ("heads", self.heads),
            ("kv_heads", self.kv_heads),
            ("head_dim", self.head_dim),
            ("rotary_dim", self.rotary_dim),
        ] {
            line(key, value.to_string());
        }
        line("activation", "silu".to_owned());
        line("rms_eps", bits(self.rms_eps));
        line("rope_theta", bits(self.rope_theta));
        line("rope_scaling", self.rope_scaling.identity());
        line("qkv_bias", self.qkv_bias.to_string());
        line("qk_norm", self.qk_norm.to_string());
        text
    }
}

impl RopeScaling {
    fn identity(&self) -> String {
        match self {
            RopeScaling::None => "none".to_owned(),
            RopeScaling::Linear { factor } => format!("linear:{}", bits(*factor)),
            RopeScaling::Llama3 { factor, low_freq_factor, high_freq_factor, original_max_position } => {
                let factors = [*factor, *low_freq_factor, *high_freq_factor].map(bits).join(",");
                format!("llama3:{factors},{original_max_position}")
            }
            RopeScaling::Divisors(divisors) => {
                format!("divisors:{}", divisors.iter().copied().map(bits).collect::<Vec<_>>().join(","))
            }
        }
    }
}

fn bits(value: f32) -> String {
    format!("{:08x}", value.to_bits())
}
