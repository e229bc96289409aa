//! What each token is in bytes, taken from the vocabulary once so that decoding needs no library call a token.

use std::path::Path;

use serde_json::Value;
use tokenizers::Tokenizer as Core;

use super::alphabet::byte_of_char;
use crate::ModelError;

/// Ids above this are not believed: no vocabulary is that large, and the table is as long as the largest id.
const MAX_TOKEN_ID: u32 = 1 << 24;

/// How the vocabulary's strings become bytes: the tokenizer's decoder, reduced to what one token needs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct DecodeRule {
    /// Strings replaced inside a token, e.g. `▁` by a space.
    replacements: Vec<(String, String)>,
    /// `<0x0A>` stands for one byte.
    byte_fallback: bool,
    /// GPT-2's printable characters stand for bytes.
    byte_level: bool,
}

impl DecodeRule {
    /// Reads the `decoder` of a tokenizer definition; what needs more than one token to decode is refused.
    pub fn from_definition(path: &Path, decoder: &Value) -> Result<Self, ModelError> {
        let mut rule = DecodeRule::default();
        rule.add(decoder).map_err(|detail| ModelError::Unsupported { path: path.to_owned(), detail })?;
        Ok(rule)
    }

    fn add(&mut self, step: &Value) -> Result<(), String> {
        match step["type"].as_str() {
            Some("ByteLevel") => self.byte_level = true,
            Some("ByteFallback") => self.byte_fallback = true,
            // Joining tokens changes no byte; a space stripped from the start is not there inside a conversation.
            Some("Fuse" | "Strip") => {}
            Some("Metaspace") => {
                let mark = step["replacement"].as_str().unwrap_or("▁");
                self.replacements.push((mark.to_owned(), " ".to_owned()));
            }
            Some("Replace") => {
                let from =
                    step["pattern"]["String"].as_str().ok_or("its decoder replaces by regular expression")?;
                let to = step["content"].as_str().ok_or("its decoder replaces by nothing readable")?;
                self.replacements.push((from.to_owned(), to.to_owned()));
            }
            Some("Sequence") => {
                for step in step["decoders"].as_array().map(Vec::as_slice).unwrap_or_default() {
                    self.add(step)?;
                }
            }
            Some(other) => {
                return Err(format!("its decoder is of the kind {other:?}, which is not supported"));
            }
            None => return Err("it has no decoder: its tokens cannot be turned back into text".to_owned()),
        }
        Ok(())
    }

    fn bytes_of(&self, token: &str, out: &mut Vec<u8>) {
        if self.byte_fallback
            && let Some(byte) = fallback_byte(token)
        {
            out.push(byte);
            return;
        }
        if self.byte_level
            && let Some(bytes) = token.chars().map(byte_of_char).collect::<Option<Vec<u8>>>()
        {
            out.extend(bytes);
            return;
        }
        if self.replacements.is_empty() {
            out.extend_from_slice(token.as_bytes());
            return;
        }
        let mut text = token.to_owned();
        for (from, to) in &self.replacements {
            text = text.replace(from.as_str(), to);
        }
        out.extend_from_slice(text.as_bytes());
    }
}

/// The byte that `<0xNN>` stands for.
fn fallback_byte(token: &str) -> Option<u8> {
    let digits = token.strip_prefix("<0x")?.strip_suffix('>')?;
    (digits.len() == 2).then(|| u8::from_str_radix(digits, 16).ok())?
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Unknown,
    Text,
    Special,
}

/// The bytes of every token, one after another.
pub(crate) struct TokenPieces {
    /// `starts[id]..starts[id + 1]` are the bytes of `id`.
    starts: Vec<u32>,
    bytes: Vec<u8>,
    kinds: Vec<Kind>,
}

impl TokenPieces {
    pub fn new(path: &Path, core: &Core, rule: &DecodeRule) -> Result<Self, ModelError> {
        let mut strings = strings_by_id(path, core)?;
        let mut kinds: Vec<Kind> =
            strings.iter().map(|string| if string.is_some() { Kind::Text } else { Kind::Unknown }).collect();
        let added = core.get_added_tokens_decoder();
        let mut pieces = Self { starts: vec![0], bytes: Vec::new(), kinds: Vec::new() };
        for (id, string) in strings.iter_mut().enumerate() {
            match (added.get(&(id as u32)), string.take()) {
                (Some(token), _) => {
                    pieces.bytes.extend_from_slice(token.content.as_bytes());
                    kinds[id] = if token.special { Kind::Special } else { Kind::Text };
                }
                (None, Some(string)) => rule.bytes_of(&string, &mut pieces.bytes),
                (None, None) => {}
            }
            pieces.starts.push(pieces.bytes.len() as u32);
        }
        pieces.kinds = kinds;
        Ok(pieces)
    }

    /// Ids are below this; some below may be unused.
    pub fn len(&self) -> usize {
        self.kinds.len()
    }

    /// Bytes of the longest token.
    pub fn longest(&self) -> usize {
        self.starts.windows(2).map(|bounds| (bounds[1] - bounds[0]) as usize).max().unwrap_or(0)
    }

    /// The bytes that `id` adds to a text; `None` for special tokens and unused ids.
    pub fn text(&self, id: u32) -> Option<&[u8]> {
        (self.kinds.get(id as usize) == Some(&Kind::Text)).then(|| self.raw(id))
    }

    /// The bytes of `id`, a special token's too; empty for an unused id.
    pub fn raw(&self, id: u32) -> &[u8] {
        let id = id as usize;
        match self.starts.get(id..id + 2) {
            Some([start, end]) => &self.bytes[*start as usize..*end as usize],
            _ => &[],
        }
    }

    pub fn is_special(&self, id: u32) -> bool {
        self.kinds.get(id as usize) == Some(&Kind::Special)
    }

    pub fn is_known(&self, id: u32) -> bool {
        self.kinds.get(id as usize).is_some_and(|kind| *kind != Kind::Unknown)
    }
}

fn strings_by_id(path: &Path, core: &Core) -> Result<Vec<Option<String>>, ModelError> {
    let vocabulary = core.get_vocab(true);
    let largest = vocabulary.values().copied().max();
    let Some(largest) = largest.filter(|id| *id <= MAX_TOKEN_ID) else {
        let detail = match largest {
            Some(id) => format!("the vocabulary has a token with id {id}, above {MAX_TOKEN_ID}"),
            None => "the vocabulary is empty".to_owned(),
        };
        return Err(ModelError::Malformed { path: path.to_owned(), detail });
    };
    let mut strings = vec![None; largest as usize + 1];
    for (string, id) in vocabulary {
        strings[id as usize] = Some(string);
    }
    Ok(strings)
}
