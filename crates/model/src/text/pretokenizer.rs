//! The pre-tokenizers that GGUF files name, as the reference's `tokenizer.json` files define them.

use serde_json::{Value, json};

/// How text is cut before byte pairs are merged.
pub(crate) struct PreTokenizer {
    pub normalizer: Value,
    pub pre_tokenizer: Value,
    /// A word that is a token as a whole is taken as it is.
    pub ignore_merges: bool,
}

/// Every name that [`named`] knows.
pub(crate) const NAMES: [&str; 9] =
    ["gpt-2", "default", "smollm", "llama-bpe", "llama3", "llama-v3", "qwen2", "deepseek-r1-qwen", "tekken"];

const LLAMA3: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const QWEN2: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";
const TEKKEN: &str = r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// The pre-tokenizer called `name`; `None` for one that is not known.
pub(crate) fn named(name: &str) -> Option<PreTokenizer> {
    let plain =
        |pre_tokenizer: Value| PreTokenizer { normalizer: Value::Null, pre_tokenizer, ignore_merges: false };
    match name {
        "gpt-2" | "default" => Some(plain(byte_level(true))),
        "smollm" => Some(plain(json!({
            "type": "Sequence",
            "pretokenizers": [{"type": "Digits", "individual_digits": true}, byte_level(true)],
        }))),
        "llama-bpe" | "llama3" | "llama-v3" => {
            Some(PreTokenizer { ignore_merges: true, ..plain(split(LLAMA3)) })
        }
        "qwen2" | "deepseek-r1-qwen" => {
            Some(PreTokenizer { normalizer: json!({"type": "NFC"}), ..plain(split(QWEN2)) })
        }
        "tekken" => Some(PreTokenizer { ignore_merges: true, ..plain(split(TEKKEN)) }),
        _ => None,
    }
}

/// Whether models with this pre-tokenizer begin a raw prompt with BOS when their file does not say.
pub(crate) fn adds_bos(name: &str) -> bool {
    matches!(name, "llama-bpe" | "llama3" | "llama-v3" | "tekken")
}

fn byte_level(use_regex: bool) -> Value {
    json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true, "use_regex": use_regex})
}

fn split(pattern: &str) -> Value {
    json!({
        "type": "Sequence",
        "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": false},
            byte_level(false),
        ],
    })
}
