//! Byte-level BPE of plain text without the bookkeeping of offsets, which costs the library more than the work
//! itself. Cuts and merges are the library's own; a test holds the two against each other.

use serde_json::Value;
use tokenizers::utils::SysRegex;
use tokenizers::{Model, ModelWrapper, NormalizedString};

use super::alphabet::char_of_byte;
use super::error::TextError;

/// How the `ByteLevel` pre-tokenizer cuts when it is asked to (GPT-2's pattern).
const GPT2: &str = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+";

enum Cut {
    /// Every numeric character stands alone.
    Digits,
    /// Matches stand alone, and so does what lies between them.
    Pattern(SysRegex),
}

/// Encodes plain text word by word, for tokenizers of the common byte-level kinds.
pub(crate) struct WordEncoder {
    cuts: Vec<Cut>,
    /// Text is brought into normal form C first.
    composes: bool,
    /// Tokens found in plain text before it is cut; where one occurs, the library has to find it.
    plain_added: Vec<String>,
}

impl WordEncoder {
    /// `None` for a definition with anything in it that is not known here.
    pub fn from_definition(definition: &Value) -> Option<Self> {
        let model = &definition["model"];
        let plain_model =
            model["merges"].is_array() && model["byte_fallback"] != true && model["dropout"].is_null();
        let composes = match &definition["normalizer"] {
            Value::Null => false,
            normalizer if normalizer["type"] == "NFC" => true,
            _ => return None,
        };
        let pre = &definition["pre_tokenizer"];
        let steps = pre["pretokenizers"].as_array().map_or(std::slice::from_ref(pre), Vec::as_slice);
        let (last, first) = steps.split_last()?;
        let mut cuts: Vec<Cut> = first.iter().map(cut_of).collect::<Option<_>>()?;
        if last["type"] != "ByteLevel" || last["add_prefix_space"] == true || !plain_model {
            return None;
        }
        if last["use_regex"] != false {
            cuts.push(Cut::Pattern(SysRegex::new(GPT2).ok()?));
        }
        let added = definition["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
        let plain_added = added.iter().filter(|token| token["special"] != true);
        let plain_added =
            plain_added.map(|token| token["content"].as_str().map(str::to_owned)).collect::<Option<_>>()?;
        Some(Self { cuts, composes, plain_added })
    }

    /// The ids of `text`; `None` if it holds a token that has to be found before the text is cut.
    pub fn encode(&self, model: &ModelWrapper, text: &str) -> Result<Option<Vec<u32>>, TextError> {
        if !self.composes || text.is_ascii() {
            return self.encode_normal(model, text);
        }
        let mut normal = NormalizedString::from(text);
        normal.nfc();
        if self.finds_added(text) { Ok(None) } else { self.encode_normal(model, normal.get()) }
    }

    fn finds_added(&self, text: &str) -> bool {
        self.plain_added.iter().any(|token| text.contains(token.as_str()))
    }

    fn encode_normal(&self, model: &ModelWrapper, text: &str) -> Result<Option<Vec<u32>>, TextError> {
        if self.finds_added(text) {
            return Ok(None);
        }
        let mut ids = Vec::with_capacity(text.len() / 3);
        let mut word = String::new();
        self.cut(&self.cuts, text, &mut |piece| {
            word.clear();
            word.extend(piece.bytes().map(char_of_byte));
            let tokens =
                model.tokenize(&word).map_err(|error| TextError::Tokenizer { detail: error.to_string() })?;
            ids.extend(tokens.iter().map(|token| token.id));
            Ok(())
        })?;
        Ok(Some(ids))
    }

    /// Gives the words of `text` to `word`, cut by each of `cuts` in turn.
    fn cut(
        &self,
        cuts: &[Cut],
        text: &str,
        word: &mut dyn FnMut(&str) -> Result<(), TextError>,
    ) -> Result<(), TextError> {
        let Some((cut, rest)) = cuts.split_first() else {
            return if text.is_empty() { Ok(()) } else { word(text) };
        };
        let mut at = 0;
        let mut isolate = |start: usize, end: usize| {
            if at < start {
                self.cut(rest, &text[at..start], word)?;
            }
            at = end;
            self.cut(rest, &text[start..end], word)
        };
        match cut {
            Cut::Digits => {
                for (start, digit) in text.match_indices(char::is_numeric) {
                    isolate(start, start + digit.len())?;
                }
            }
            Cut::Pattern(pattern) => {
                for (start, end) in pattern.find_iter(text) {
                    isolate(start, end)?;
                }
            }
        }
        self.cut(rest, &text[at..], word)
    }
}

fn cut_of(step: &Value) -> Option<Cut> {
    match step["type"].as_str()? {
        "Digits" if step["individual_digits"] == true => Some(Cut::Digits),
        "Split" if step["behavior"] == "Isolated" && step["invert"] != true => {
            SysRegex::new(step["pattern"]["Regex"].as_str()?).ok().map(Cut::Pattern)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use crate::text::tokenizer::{Stretch, Tokenizer};

    fn text() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            any::<char>().prop_map(String::from),
            "[a-zA-Z' ]{1,12}",
            "[0-9]{1,6}",
            "[ \n\r\t\u{a0}\u{3000}]{1,6}",
            "[!-/:-@]{1,4}",
            proptest::sample::select(vec![
                "I'VE",
                "e\u{301}",
                "각",
                "\u{1112}\u{1161}",
                "½٣",
                "<think>",
                "<|im_end|>",
                "ǅ",
                "👍🏽"
            ])
            .prop_map(String::from),
        ];
        proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
    }

    #[test]
    fn words_are_encoded_as_the_library_encodes_them() {
        for family in ["gpt2", "llama3", "qwen2", "tekken"] {
            let path =
                format!("{}/../../test/fixtures/text/{family}/tokenizer.json", env!("CARGO_MANIFEST_DIR"));
            let path = Path::new(&path);
            let tokenizer = Tokenizer::from_json(path, &std::fs::read(path).unwrap()).unwrap();
            assert!(tokenizer.has_word_encoder(), "{family}");
            proptest!(ProptestConfig::with_cases(500), |(text in text())| {
                let by_library = tokenizer.encode_by_library(&text, Stretch::First).unwrap();
                prop_assert_eq!(tokenizer.encode_plain(&text, Stretch::First).unwrap(), by_library, "{}", family);
            });
        }
    }
}
