//! A tokenizer's definition in the form of `tokenizer.json`: checked before the library reads it, and varied.

use std::collections::HashSet;
use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer as Core;

use super::alphabet::char_of_byte;
use super::cuts::marks_spaces;
use crate::ModelError;

/// Before which stretches of text the tokenizer puts a space.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prefix {
    None,
    /// Before every stretch between special tokens.
    EveryStretch,
    /// Before the text, but not after a special token.
    FirstStretch,
}

/// Builds the library's tokenizer for plain text, without truncation and padding.
pub(crate) fn build(path: &Path, definition: &Value) -> Result<Core, ModelError> {
    let malformed = |detail: String| ModelError::Malformed { path: path.to_owned(), detail };
    let json = serde_json::to_vec(definition).map_err(|error| malformed(error.to_string()))?;
    let mut core = Core::from_bytes(json).map_err(|error| malformed(format!("tokenizer: {error}")))?;
    core.with_padding(None);
    core.with_truncation(None).map_err(|error| malformed(error.to_string()))?;
    core.set_encode_special_tokens(true);
    Ok(core)
}

/// Refuses what the library would panic on, and kinds of models that cannot be decoded token by token.
pub(crate) fn check(path: &Path, definition: &Value) -> Result<(), ModelError> {
    let model = &definition["model"];
    let kind = model["type"].as_str().unwrap_or(if model["merges"].is_array() { "BPE" } else { "unknown" });
    match kind {
        "BPE" => check_bpe(path, model),
        "Unigram" | "WordLevel" => Ok(()),
        other => Err(ModelError::Unsupported {
            path: path.to_owned(),
            detail: format!(
                "its tokenizer is of the kind {other:?}; supported are BPE, Unigram and WordLevel"
            ),
        }),
    }
}

/// Every merge must join two tokens into a third.
fn check_bpe(path: &Path, model: &Value) -> Result<(), ModelError> {
    let malformed = |detail: String| ModelError::Malformed { path: path.to_owned(), detail };
    for part in ["continuing_subword_prefix", "end_of_word_suffix"] {
        if model[part].as_str().is_some_and(|text| !text.is_empty()) {
            let detail = format!("its tokenizer uses {part}, which is not supported");
            return Err(ModelError::Unsupported { path: path.to_owned(), detail });
        }
    }
    let vocabulary =
        model["vocab"].as_object().ok_or_else(|| malformed("model.vocab is no object".to_owned()))?;
    let known: HashSet<&str> = vocabulary.keys().map(String::as_str).collect();
    let merges =
        model["merges"].as_array().ok_or_else(|| malformed("model.merges is no array".to_owned()))?;
    for (rank, merge) in merges.iter().enumerate() {
        let pair = pair_of(merge).ok_or_else(|| malformed(format!("merge {rank} is no pair: {merge}")))?;
        let joined = pair.concat();
        for token in [pair[0], pair[1], joined.as_str()] {
            if !known.contains(token) {
                return Err(malformed(format!(
                    "merge {rank} needs {token:?}, which is not in the vocabulary"
                )));
            }
        }
    }
    Ok(())
}

fn pair_of(merge: &Value) -> Option<[&str; 2]> {
    match merge {
        Value::String(text) => {
            text.split_once(' ').filter(|(_, right)| !right.contains(' ')).map(|(l, r)| [l, r])
        }
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(left), Value::String(right)] => Some([left, right]),
            _ => None,
        },
        _ => None,
    }
}

/// The most bytes of text that one token can stand for, when the longest has `longest`: a normaliser may shorten text
/// (NFC by up to three), a token that swallows white space or stands for all unknown text knows no bound.
pub(crate) fn most_bytes_per_token(definition: &Value, longest: usize) -> Option<usize> {
    let added = definition["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
    let swallows = added.iter().any(|token| token["lstrip"] == true || token["rstrip"] == true);
    let covers_bytes =
        definition["model"]["byte_fallback"] == true || definition["decoder"]["type"] == "ByteLevel";
    let normalizer = &definition["normalizer"];
    let shortens = match () {
        () if normalizer["type"] == "NFC" => 3,
        () if marks_spaces(normalizer) => 1,
        () => return None,
    };
    (!swallows && covers_bytes).then_some(longest * shortens)
}

/// The bytes that a byte-level vocabulary has no token for: they are left out of the tokens.
pub(crate) fn silent_bytes(definition: &Value) -> Vec<u8> {
    if definition["decoder"]["type"] != "ByteLevel" {
        return Vec::new();
    }
    let vocabulary = &definition["model"]["vocab"];
    (0..=u8::MAX).filter(|byte| vocabulary.get(char_of_byte(*byte).to_string()).is_none()).collect()
}

/// What the post-processor puts before a single text: BOS, or nothing.
pub(crate) fn prompt_prefix(core: &Core) -> Vec<u32> {
    let (Ok(with), Ok(without)) = (core.encode_fast("a", true), core.encode_fast("a", false)) else {
        return Vec::new();
    };
    let (with, without) = (with.get_ids(), without.get_ids());
    let at = with.windows(without.len().max(1)).position(|window| window == without).unwrap_or(0);
    with[..at].to_vec()
}

/// Takes out of the definition whatever puts a space in front, and says what it was.
pub(crate) fn take_prefix(definition: &mut Value) -> Prefix {
    let by_normalizer = take_prepend(&mut definition["normalizer"]);
    match (by_normalizer, take_from_pre_tokenizer(&mut definition["pre_tokenizer"])) {
        (true, _) | (_, Prefix::EveryStretch) => Prefix::EveryStretch,
        (false, other) => other,
    }
}

fn take_prepend(normalizer: &mut Value) -> bool {
    match normalizer["type"].as_str() {
        Some("Prepend") => {
            *normalizer = Value::Null;
            true
        }
        Some("Sequence") => {
            let Some(steps) = normalizer["normalizers"].as_array_mut() else { return false };
            let count = steps.len();
            steps.retain(|step| step["type"] != "Prepend");
            steps.len() < count
        }
        _ => false,
    }
}

fn take_from_pre_tokenizer(pre: &mut Value) -> Prefix {
    match pre["type"].as_str() {
        Some("Sequence") => {
            let steps = pre["pretokenizers"].as_array_mut().map(Vec::as_mut_slice).unwrap_or_default();
            let found: Vec<Prefix> = steps.iter_mut().map(take_from_pre_tokenizer).collect();
            found.into_iter().find(|prefix| *prefix != Prefix::None).unwrap_or(Prefix::None)
        }
        Some("ByteLevel") if pre["add_prefix_space"] == true => {
            pre["add_prefix_space"] = false.into();
            Prefix::EveryStretch
        }
        Some("Metaspace") => {
            let scheme = pre["prepend_scheme"].as_str().unwrap_or("always").to_owned();
            let never = scheme == "never" || pre["add_prefix_space"] == false;
            pre["prepend_scheme"] = "never".into();
            if let Some(fields) = pre.as_object_mut() {
                fields.remove("add_prefix_space");
            }
            match (never, scheme.as_str()) {
                (true, _) => Prefix::None,
                (_, "first") => Prefix::FirstStretch,
                _ => Prefix::EveryStretch,
            }
        }
        _ => Prefix::None,
    }
}
