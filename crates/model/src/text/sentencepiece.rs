//! SentencePiece BPE vocabularies as GGUF files carry them: pieces with scores, and no list of merges.

use std::collections::HashSet;
use std::path::Path;

use serde_json::{Value, json};

use super::gguf::{GgufTokenizer, TokenType};
use crate::ModelError;

/// What a space becomes.
const SPACE_MARK: &str = "▁";

/// The definition in the form of `tokenizer.json`: merges from the scores, a byte for what no piece covers, and
/// a space put before each stretch of text where the file asks for it.
pub(crate) fn definition(gguf: &GgufTokenizer, path: &Path) -> Result<Value, ModelError> {
    if gguf.scores.is_empty() {
        return Err(ModelError::Malformed {
            path: path.to_owned(),
            detail: "its tokenizer is of the kind \"llama\" but has no tokenizer.ggml.scores".to_owned(),
        });
    }
    let bytes_known = (0..gguf.tokens.len()).filter(|id| gguf.token_type(*id) == TokenType::Byte).count();
    if bytes_known != 256 {
        return Err(ModelError::Unsupported {
            path: path.to_owned(),
            detail: format!("its SentencePiece vocabulary has {bytes_known} byte tokens instead of 256"),
        });
    }
    let prefix = gguf.add_space_prefix.unwrap_or(true);
    Ok(json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": gguf.added_tokens(),
        "normalizer": normalizer(prefix),
        "pre_tokenizer": null,
        "post_processor": null,
        "decoder": decoder(prefix),
        "model": {
            "type": "BPE",
            "dropout": null,
            "unk_token": gguf.unknown.and_then(|id| gguf.token(id)),
            "continuing_subword_prefix": null,
            "end_of_word_suffix": null,
            "fuse_unk": true,
            "byte_fallback": true,
            "ignore_merges": false,
            "vocab": gguf.vocabulary(),
            "merges": merges(gguf),
        },
    }))
}

fn normalizer(prefix: bool) -> Value {
    let marks = json!({"type": "Replace", "pattern": {"String": " "}, "content": SPACE_MARK});
    if prefix {
        json!({"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": SPACE_MARK}, marks]})
    } else {
        marks
    }
}

fn decoder(prefix: bool) -> Value {
    let mut steps = vec![
        json!({"type": "Replace", "pattern": {"String": SPACE_MARK}, "content": " "}),
        json!({"type": "ByteFallback"}),
        json!({"type": "Fuse"}),
    ];
    if prefix {
        steps.push(json!({"type": "Strip", "content": " ", "start": 1, "stop": 0}));
    }
    json!({"type": "Sequence", "decoders": steps})
}

/// Every way to put a piece together from two pieces, the best-scored piece first: SentencePiece merges the pair
/// whose result scores highest, and that is what these ranks say. Equal scores: the longer left part first, as the
/// reference's conversion has it.
fn merges(gguf: &GgufTokenizer) -> Vec<[&str; 2]> {
    let mergeable = |id: usize| matches!(gguf.token_type(id), TokenType::Normal | TokenType::UserDefined);
    let parts: HashSet<&str> =
        (0..gguf.tokens.len()).filter(|id| mergeable(*id)).map(|id| gguf.tokens[id].as_str()).collect();
    let mut found: Vec<(f32, [&str; 2])> = Vec::new();
    for (id, piece) in
        gguf.tokens.iter().enumerate().filter(|(id, _)| gguf.token_type(*id) == TokenType::Normal)
    {
        for (at, _) in piece.char_indices().skip(1) {
            let (left, right) = piece.split_at(at);
            if parts.contains(left) && parts.contains(right) {
                found.push((gguf.scores[id], [left, right]));
            }
        }
    }
    let length = |pair: &[&str; 2]| pair.map(|part| part.chars().count());
    found.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| length(&b.1).cmp(&length(&a.1))));
    found.into_iter().map(|(_, pair)| pair).collect()
}
