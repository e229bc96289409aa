//! Where a text can be cut so that its parts, encoded apart, give the tokens of the whole: between two bytes that stand
//! side by side in no piece of the vocabulary. No merge crosses such a place, since its result would be a piece.

use serde_json::Value;

use super::pieces::TokenPieces;

/// The pairs of bytes that pieces hold.
pub(crate) struct Cuts {
    pairs: Vec<u64>,
    /// Bytes that are pieces of their own: others may be left out, or be joined as unknown text.
    single: [bool; 256],
    /// A part shorter than this might be a piece as a whole, which some tokenizers take before they merge.
    least: usize,
}

impl Cuts {
    pub fn new(pieces: &TokenPieces) -> Self {
        let mut cuts = Self { pairs: vec![0; 1 << 10], single: [false; 256], least: pieces.longest() + 1 };
        for id in 0..pieces.len() as u32 {
            let bytes = pieces.raw(id);
            if let ([byte], Some(_)) = (bytes, pieces.text(id)) {
                cuts.single[usize::from(*byte)] = true;
            }
            for pair in bytes.windows(2) {
                let at = index(pair[0], pair[1]);
                cuts.pairs[at / 64] |= 1 << (at % 64);
            }
        }
        cuts
    }

    /// The end of a part of `bytes` that begins at `start`: the first place, at least `length` bytes on, where a cut
    /// changes no token, or the end.
    pub fn end(&self, bytes: &[u8], start: usize, length: usize) -> usize {
        let from = start.saturating_add(length.max(self.least));
        (from..bytes.len().saturating_sub(self.least))
            .find(|at| self.is_safe(bytes[at - 1], bytes[*at]))
            .unwrap_or(bytes.len())
    }

    /// The same in a text that the library encodes: between two ASCII characters.
    pub fn end_in_text(&self, text: &str, start: usize, length: usize) -> usize {
        let bytes = text.as_bytes();
        let from = start.saturating_add(length.max(self.least));
        (from..bytes.len().saturating_sub(self.least))
            .find(|at| {
                let (before, after) = (bytes[at - 1], bytes[*at]);
                before.is_ascii() && after.is_ascii() && self.is_safe(before, after)
            })
            .unwrap_or(bytes.len())
    }

    fn is_safe(&self, before: u8, after: u8) -> bool {
        let at = index(before, after);
        let apart = self.pairs[at / 64] >> (at % 64) & 1 == 0;
        apart && self.single[usize::from(before)] && self.single[usize::from(after)]
    }
}

fn index(before: u8, after: u8) -> usize {
    usize::from(before) << 8 | usize::from(after)
}

/// Whether the library's way with a text allows cuts: its steps look at no more than one character at a time, or turn
/// spaces into marks, and the model merges.
pub(crate) fn library_allows(definition: &Value) -> bool {
    let model = &definition["model"];
    let merges = model["merges"].is_array() && model["dropout"].is_null();
    let added = definition["added_tokens"].as_array().map(Vec::as_slice).unwrap_or_default();
    let plain = |token: &Value| {
        let looks_around = ["lstrip", "rstrip", "single_word"].iter().any(|way| token[*way] == true);
        !looks_around && (token["special"] == true || token["normalized"] != true)
    };
    merges
        && marks_spaces(&definition["normalizer"])
        && [Value::Null, "Metaspace".into()].contains(&definition["pre_tokenizer"]["type"])
        && added.iter().all(plain)
}

/// Whether a normaliser does nothing but put marks in the place of spaces, and one in front.
pub(crate) fn marks_spaces(normalizer: &Value) -> bool {
    match normalizer["type"].as_str() {
        None => normalizer.is_null(),
        Some("Prepend") => normalizer["prepend"] == "▁",
        Some("Replace") => normalizer["pattern"]["String"] == " " && normalizer["content"] == "▁",
        Some("Sequence") => {
            normalizer["normalizers"].as_array().is_some_and(|steps| steps.iter().all(marks_spaces))
        }
        Some(_) => false,
    }
}
