//! The tokenizer of random weights: a token a byte, a trivial chat template, and for every other id a made-up word, so
//! that whatever is sampled reads as text. Words are only ever decoded: without merges, text becomes bytes.

use std::path::Path;

use crate::config::ModelConfig;
use crate::error::ModelError;
use crate::loader::{TextSource, TokenizerSource};
use crate::text::{GgufTokenizer, byte_tokens};

const BYTE_TOKENS: u32 = 256;
/// Ends a message.
pub(super) const END: u32 = BYTE_TOKENS;
const SPECIALS: [&str; 4] = ["<|end|>", "<|system|>", "<|user|>", "<|assistant|>"];
/// Kinds of GGUF metadata: a normal token, and a control one.
const NORMAL: i32 = 1;
const CONTROL: i32 = 3;

const TEMPLATE: &str = "{% for message in messages %}<|{{ message.role }}|>\n{{ message.content }}<|end|>\n{% endfor %}\
                        {% if add_generation_prompt %}<|assistant|>\n{% endif %}";

/// Refuses a vocabulary that does not hold every byte and the special tokens.
pub(super) fn check_fits(config: &ModelConfig) -> Result<(), ModelError> {
    let needed = BYTE_TOKENS as usize + SPECIALS.len();
    if config.vocab_size >= needed {
        return Ok(());
    }
    let detail =
        format!("a vocabulary of {} is too small for bytes and special tokens ({needed})", config.vocab_size);
    Err(ModelError::Invalid { what: "--random-weights", detail })
}

pub(super) fn text_source(config: &ModelConfig) -> TextSource {
    let mut tokens: Vec<String> = byte_tokens().collect();
    tokens.extend(SPECIALS.map(str::to_owned));
    let words = config.vocab_size - tokens.len();
    // As the byte alphabet writes a space.
    tokens.extend((0..words).map(|index| format!("Ġ{}", word(index))));
    let kinds = |id: usize| {
        let is_special = (BYTE_TOKENS as usize..BYTE_TOKENS as usize + SPECIALS.len()).contains(&id);
        if is_special { CONTROL } else { NORMAL }
    };
    let tokenizer = GgufTokenizer {
        model: "gpt2".to_owned(),
        pre: Some("gpt-2".to_owned()),
        token_types: (0..tokens.len()).map(kinds).collect(),
        tokens,
        eos: Some(END),
        chat_template: Some(TEMPLATE.to_owned()),
        ..GgufTokenizer::default()
    };
    TextSource {
        chat_template: tokenizer.chat_template.clone(),
        bos_token: None,
        eos_token: tokenizer.token(END).map(str::to_owned),
        unk_token: None,
        pad_token: None,
        tokenizer: TokenizerSource::Gguf {
            path: Path::new("random weights").to_owned(),
            tokenizer: Box::new(tokenizer),
        },
    }
}

/// The `index`-th pronounceable word, of at least two syllables; no two are the same.
fn word(index: usize) -> String {
    const CONSONANTS: &[u8] = b"bdfghklmnprstvz";
    const VOWELS: &[u8] = b"aeiou";
    let syllables = CONSONANTS.len() * VOWELS.len();
    let mut rest = index + syllables;
    let mut word = String::new();
    while rest > 0 {
        let syllable = rest % syllables;
        word.push(char::from(CONSONANTS[syllable / VOWELS.len()]));
        word.push(char::from(VOWELS[syllable % VOWELS.len()]));
        rest /= syllables;
    }
    word
}
