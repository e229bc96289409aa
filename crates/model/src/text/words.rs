//! Byte-level BPE of plain text without the bookkeeping of offsets, which costs the library more than the work
//! itself. Cuts and merges are the library's own; a test holds the two against each other.

use serde_json::Value;
use tokenizers::utils::SysRegex;
use tokenizers::{Model, ModelWrapper, NormalizedString};

use super::alphabet::char_of_byte;
use super::cuts::Cuts;
use super::error::TextError;
use super::pace::Pace;

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
    pub fn encode(
        &self,
        model: &ModelWrapper,
        cuts: &Cuts,
        text: &str,
        pace: &mut Pace<'_>,
    ) -> Result<Option<Vec<u32>>, TextError> {
        if !self.composes || text.is_ascii() {
            return self.encode_normal(model, cuts, text, pace);
        }
        if self.finds_added(text) {
            return Ok(None);
        }
        let normal = composed(text, pace);
        self.encode_normal(model, cuts, &normal, pace)
    }

    fn finds_added(&self, text: &str) -> bool {
        self.plain_added.iter().any(|token| text.contains(token.as_str()))
    }

    fn encode_normal(
        &self,
        model: &ModelWrapper,
        cuts: &Cuts,
        text: &str,
        pace: &mut Pace<'_>,
    ) -> Result<Option<Vec<u32>>, TextError> {
        if self.finds_added(text) {
            return Ok(None);
        }
        let mut ids = Vec::with_capacity(text.len().min(1 << 20) / 3);
        let mut word = String::new();
        self.cut(&self.cuts, text, &mut |piece| {
            let (bytes, mut at) = (piece.as_bytes(), 0);
            while at < bytes.len() {
                // A word as long as that has no part that ends where it would: most are one part.
                let end = if bytes.len() > pace.portion() {
                    cuts.end(bytes, at, pace.portion())
                } else {
                    bytes.len()
                };
                word.clear();
                word.extend(bytes[at..end].iter().map(|byte| char_of_byte(*byte)));
                let tokens = model
                    .tokenize(&word)
                    .map_err(|error| TextError::Tokenizer { detail: error.to_string() })?;
                ids.extend(tokens.iter().map(|token| token.id));
                pace.spend(end - at, ids.len())?;
                at = end;
            }
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

/// `text` in normal form C, made in portions: nothing before an ASCII character composes with it.
fn composed(text: &str, pace: &mut Pace<'_>) -> String {
    let (mut normal, mut at) = (String::with_capacity(text.len()), 0);
    while at < text.len() {
        let from = at.saturating_add(pace.portion()).min(text.len());
        let end =
            text.as_bytes()[from..].iter().position(u8::is_ascii).map_or(text.len(), |more| from + more);
        let mut part = NormalizedString::from(&text[at..end]);
        part.nfc();
        normal.push_str(part.get());
        if end < text.len() {
            pace.breathe();
        }
        at = end;
    }
    normal
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

    use crate::text::pace::Pace;
    use crate::text::plain::Stretch;
    use crate::text::tokenizer::Tokenizer;

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

    fn family(name: &str) -> Tokenizer {
        let path = format!("{}/../../test/fixtures/text/{name}/tokenizer.json", env!("CARGO_MANIFEST_DIR"));
        let path = Path::new(&path);
        Tokenizer::from_json(path, &std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn words_are_encoded_as_the_library_encodes_them() {
        for family_name in ["gpt2", "llama3", "qwen2", "tekken"] {
            let tokenizer = family(family_name);
            assert!(tokenizer.plain().has_word_encoder(), "{family_name}");
            proptest!(ProptestConfig::with_cases(500), |(text in text())| {
                let by_library = tokenizer.plain().encode_by_library(&text, Stretch::First).unwrap();
                let mut pause = || ();
                let found = tokenizer.plain().encode(&text, Stretch::First, &mut Pace::new(None, &mut pause)).unwrap();
                prop_assert_eq!(found, by_library, "{}", family_name);
            });
        }
    }

    /// Long stretches of one kind beside the short ones: words and runs that reach over many portions.
    fn long_text() -> impl Strategy<Value = String> {
        let unit =
            prop_oneof!["[a-z]{1,6}", "[a-zA-Z0-9+/=]{8}", "[ \n]{1,2}", "(ab|é|語| x|▁|\u{1})", "[!-~]{3}"];
        let run = (unit, 1usize..120).prop_map(|(unit, times)| unit.repeat(times));
        proptest::collection::vec(prop_oneof![run, text()], 0..12).prop_map(|parts| parts.concat())
    }

    #[test]
    fn portions_of_a_text_have_the_ids_of_the_whole_in_every_family() {
        for family_name in ["gpt2", "llama3", "qwen2", "tekken", "llama2", "mistral"] {
            let tokenizer = family(family_name);
            let pauses = std::cell::Cell::new(0);
            proptest!(ProptestConfig::with_cases(300), |(text in long_text())| {
                for place in [Stretch::First, Stretch::AfterSpecial, Stretch::Continuing] {
                    let whole = tokenizer.plain().encode_by_library(&text, place).unwrap();
                    let mut pause = || pauses.set(pauses.get() + 1);
                    let mut pace = Pace::new(None, &mut pause).with_portion(16);
                    let found = tokenizer.plain().encode(&text, place, &mut pace).unwrap();
                    prop_assert_eq!(found, whole, "{} {:?}", family_name, place);
                }
            });
            assert!(pauses.get() > 1000, "{family_name}: {} pauses", pauses.get());
        }
    }
}
